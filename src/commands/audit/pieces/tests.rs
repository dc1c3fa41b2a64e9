//! Tests: inputs that are cut into pieces in many ways, and how many bytes are in memory while they are read.

use std::cell::Cell;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

/// An input that gives so many bytes at once, and may end with an error.
struct Input<'a> {
    bytes: &'a [u8],
    at_once: usize,
    fails: bool,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.len().min(buffer.len()).min(self.at_once);
        if read == 0 && self.fails && !buffer.is_empty() {
            return Err(io::Error::other("damaged"));
        }
        buffer[..read].copy_from_slice(&self.bytes[..read]);
        self.bytes = &self.bytes[read..];
        Ok(read)
    }
}

/// An input that notes the most bytes that were read of it and not taken yet.
struct Counted<'a> {
    input: &'a [u8],
    read: &'a Cell<usize>,
    taken: &'a Cell<usize>,
    most: &'a Cell<usize>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.read.set(self.read.get() + read);
        self.most.set(self.most.get().max(self.read.get() - self.taken.get()));
        Ok(read)
    }
}

/// All lines of an input, with their line breaks; of one that is too long, its length.
fn lines(pieces: &mut Pieces, input: Input<'_>) -> (Vec<Result<Vec<u8>, u64>>, bool) {
    let mut all = Vec::new();
    let read: Result<_, Infallible> = pieces.read(input, <[u8]>::to_vec, |found| {
        match found {
            Found::Lines(bytes, looked) => {
                assert_eq!(bytes, looked);
                all.extend(bytes.split_inclusive(|byte| *byte == b'\n').map(|line| Ok(line.to_vec())));
            }
            Found::TooLong { length, .. } => all.push(Err(length)),
        }
        Ok(())
    });
    let Ok(read) = read;
    (all, read.is_ok())
}

fn pieces(longest: usize, size: usize, workers: usize) -> Pieces {
    Pieces { longest, size, workers, ..Pieces::new(longest) }
}

proptest! {
    #[test]
    fn every_line_comes_once_in_order_however_it_is_cut(
        text in "[ab\n]{0,300}",
        size in 1..40usize,
        more in 0..40usize,
        workers in 0..4usize,
        at_once in 1..50usize,
        fails in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let longest = size + more;
        let mut pieces = pieces(longest, size, workers);
        let bytes = text.as_bytes();
        // The input grows after its end was read once.
        let cut = if fails { bytes.len() } else { cut.index(bytes.len() + 1) };
        let (mut found, is_read) = lines(&mut pieces, Input { bytes: &bytes[..cut], at_once, fails });
        prop_assert!(is_read != fails);
        let last_line = bytes[..cut].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let is_cut_in_a_long_line = last_line.len() >= longest;
        if !fails && !is_cut_in_a_long_line {
            found.extend(lines(&mut pieces, Input { bytes: &bytes[cut..], at_once, fails }).0);
        } else if is_cut_in_a_long_line {
            prop_assert!(pieces.rest().is_empty());
            return Ok(());
        }
        let mut expected: Vec<Result<Vec<u8>, u64>> = bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| {
                let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
                if end < longest { Ok(line.to_vec()) } else { Err(line.len() as u64) }
            })
            .collect();
        let rest = match expected.last() {
            Some(Ok(last)) if !last.ends_with(b"\n") => expected.pop().and_then(Result::ok),
            // The error came within a line that is too long.
            Some(Err(_)) if fails && !bytes.ends_with(b"\n") => {
                expected.pop();
                prop_assert_eq!(found, expected);
                return Ok(());
            }
            _ => None,
        };
        prop_assert_eq!(found, expected);
        prop_assert_eq!(pieces.rest(), rest.unwrap_or_default());
    }
}

#[test]
fn what_cannot_be_taken_ends_the_reading() {
    let mut pieces = pieces(8, 4, 2);
    let mut taken = 0;
    let read = pieces.read(io::repeat(b'\n'), <[u8]>::len, |_| {
        taken += 1;
        if taken == 100 { Err("full") } else { Ok(()) }
    });
    assert_eq!((read.unwrap_err(), taken), ("full", 100));
}

#[test]
fn where_no_thread_can_be_started_the_reader_looks() {
    let mut pieces = pieces(64, 64, 3);
    // No address space has room for such a stack.
    pieces.stack = 1 << (usize::BITS - 2);
    let text = b"abcdefg\n".repeat(100);
    let here = std::thread::current().id();
    for _ in 0..2 {
        let mut all = Vec::new();
        let look = |bytes: &[u8]| {
            assert_eq!(std::thread::current().id(), here);
            bytes.to_vec()
        };
        let read: Result<_, Infallible> = pieces.read(&text[..], look, |found| {
            let Found::Lines(bytes, looked) = found else { panic!("no line is too long") };
            assert_eq!(bytes, looked);
            all.extend(looked);
            Ok(())
        });
        let Ok(read) = read;
        read.unwrap();
        assert_eq!((&all, pieces.workers), (&text, 0));
    }
}

#[test]
fn the_bytes_in_memory_are_bounded_however_long_the_lines_are() {
    const LONGEST: usize = 1000;
    // Lines of which none fits into a piece, some of them too long.
    let lengths = [900, 20, 1500, 990, 700, 4000, 999];
    let text: Vec<u8> = lengths.iter().flat_map(|n| [vec![b'a'; n - 1], b"\n".to_vec()].concat()).collect();
    let text = text.repeat(20);
    let (read, taken, most) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let mut pieces = pieces(LONGEST, 10, 8);
    let counted = Counted { input: &text[..], read: &read, taken: &taken, most: &most };
    let done: Result<_, Infallible> = pieces.read(counted, <[u8]>::len, |found| {
        let length = match found {
            Found::Lines(bytes, length) => {
                assert_eq!(bytes.len(), length);
                length
            }
            Found::TooLong { length, .. } => usize::try_from(length).unwrap(),
        };
        taken.set(taken.get() + length);
        Ok(())
    });
    let Ok(done) = done;
    done.unwrap();
    assert_eq!(taken.get(), text.len());
    // What is awaited, the piece that is being read, and what was read after the piece before it. Of a line that is too long
    // more is read than kept.
    assert!(most.get() <= 3 * LONGEST + 4000, "{}", most.get());
}

#[test]
fn a_bounded_number_of_pieces_is_in_memory() {
    let mut pieces = pieces(64, 64, 3);
    let lines = b"abcdefg\n".repeat(10_000);
    let read: Result<_, Infallible> = pieces.read(&lines[..], |_| (), |_| Ok(()));
    let Ok(read) = read;
    read.unwrap();
    assert!(pieces.spare.len() <= 3 * PIECES_EACH + 1, "{}", pieces.spare.len());
}
