//! Cuts an input at line ends into pieces, which are looked at on all cores; what is found in them is taken in the input's order.
//!
//! A bounded number of pieces is in memory, however long the input is.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;

/// The bytes of a piece, if no line is longer. It fits into a core's own cache.
const PIECE: usize = 512 << 10;
/// The most workers. One thread reads, and cannot read for more of them.
const WORKERS_MAX: usize = 16;
/// The pieces in memory, for each worker: it has the next one while what it found in the last one is not taken yet.
const PIECES_EACH: usize = 2;

/// Cuts one input after the other.
pub struct Pieces {
    /// A line is too long if it has no line break among so many bytes.
    longest: usize,
    /// The bytes of a piece, if no line is longer.
    size: usize,
    workers: usize,
    /// What was read after the last piece: the beginning of a line.
    rest: Piece,
    /// Whether the rest may have line breaks, as after a line that is too long.
    rest_has_lines: bool,
    /// Buffers for further pieces.
    spare: Vec<Piece>,
    /// Why no more can be read. It is reported after the lines that were read before.
    failed: Option<io::Error>,
}

/// What comes next in the input.
pub enum Found<'a, T> {
    /// Whole lines, each with its line break, and what was found in them.
    Lines(&'a [u8], T),
    /// A line that is too long.
    TooLong {
        /// Its first bytes.
        begin: &'a [u8],
        /// Its length, with its line break.
        length: u64,
        /// Whether it has a line break.
        is_whole: bool,
    },
}

/// A buffer, and how many bytes of it are filled.
#[derive(Default)]
struct Piece {
    buffer: Vec<u8>,
    filled: usize,
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    fn set(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.buffer[..bytes.len()].copy_from_slice(bytes);
        self.filled = bytes.len();
    }

    /// A buffer that was used before is not filled with zeros again.
    fn make_room(&mut self, length: usize) {
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
    }

    /// Reads until so many bytes are there, or the input ends. Returns whether there are so many.
    fn fill(&mut self, input: &mut impl Read, length: usize) -> io::Result<bool> {
        self.make_room(length);
        while self.filled < length {
            match input.read(&mut self.buffer[self.filled..length]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

enum Cut {
    Lines(Piece),
    TooLong { begin: Piece, length: u64, is_whole: bool },
}

/// A piece that was given to a worker or needs none, in the input's order.
enum Awaited<T> {
    Lines(Receiver<(Piece, T)>),
    TooLong { begin: Piece, length: u64, is_whole: bool },
}

/// A piece, and where it goes with what was found in it.
type Job<T> = (Piece, SyncSender<(Piece, T)>);

impl Pieces {
    /// For inputs of which a line is too long if it has no line break among its first `longest` bytes.
    pub fn new(longest: usize) -> Self {
        let workers = available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
        let size = PIECE.min(longest);
        Self { longest, size, workers, rest: Piece::default(), rest_has_lines: false, spare: Vec::new(), failed: None }
    }

    /// The bytes after the last line break of what was read so far.
    pub fn rest(&self) -> &[u8] {
        self.rest.bytes()
    }

    /// Forgets those bytes: what is read next begins a line.
    pub fn forget_rest(&mut self) {
        self.rest.filled = 0;
    }

    /// Reads an input to its end: `look` is called for each piece, on any thread and in any order, and `take` in the order of the
    /// input. The bytes after the last line break are kept, and begin what is read next. Returns the error of reading; all whole lines
    /// before it were taken.
    ///
    /// # Errors
    /// The first one of `take`.
    pub fn read<T: Send, E>(
        &mut self,
        mut input: impl Read,
        look: impl Fn(&[u8]) -> T + Sync,
        mut take: impl FnMut(Found<'_, T>) -> Result<(), E>,
    ) -> Result<io::Result<()>, E> {
        let (jobs, to_do) = channel::<Job<T>>();
        let (to_do, look) = (Mutex::new(to_do), &look);
        std::thread::scope(|scope| {
            // The workers end when this is dropped.
            let jobs = jobs;
            let (mut awaited, mut begun, mut end) = (VecDeque::new(), 0, None);
            loop {
                if end.is_none() && awaited.len() < self.workers * PIECES_EACH {
                    match self.cut(&mut input) {
                        Ok(Some(Cut::Lines(piece))) => {
                            if begun < self.workers {
                                begun += 1;
                                scope.spawn(|| work(&to_do, look));
                            }
                            let (found, result) = sync_channel(1);
                            // It fails only if the workers have panicked; then there is no result, either.
                            let _ = jobs.send((piece, found));
                            awaited.push_back(Awaited::Lines(result));
                        }
                        Ok(Some(Cut::TooLong { begin, length, is_whole })) => {
                            awaited.push_back(Awaited::TooLong { begin, length, is_whole });
                        }
                        ended => end = Some(ended.map(|_| ())),
                    }
                    continue;
                }
                let Some(next) = awaited.pop_front() else { return Ok(end.unwrap_or(Ok(()))) };
                let piece = match next {
                    Awaited::Lines(result) => {
                        let (piece, found) = result.recv().expect("a worker gives a result, or panics");
                        take(Found::Lines(piece.bytes(), found))?;
                        piece
                    }
                    Awaited::TooLong { begin, length, is_whole } => {
                        take(Found::TooLong { begin: begin.bytes(), length, is_whole })?;
                        begin
                    }
                };
                self.give_back(piece);
            }
        })
    }

    /// Keeps a buffer for another piece, if it is not one that a long line needed.
    fn give_back(&mut self, piece: Piece) {
        if piece.buffer.len() <= self.size {
            self.spare.push(piece);
        }
    }

    /// The next piece of the input; `None` at its end. The bytes after the last line break become the rest.
    fn cut(&mut self, input: &mut impl Read) -> io::Result<Option<Cut>> {
        let mut piece = std::mem::take(&mut self.rest);
        // So many of its bytes have no line break.
        let mut searched = if std::mem::take(&mut self.rest_has_lines) { 0 } else { piece.filled };
        loop {
            let length = if piece.filled < self.size { self.size } else { self.longest };
            let filled = self.failed.take().map_or_else(|| piece.fill(input, length), Err);
            if let Some(end) = memchr::memrchr(b'\n', &piece.bytes()[searched..]) {
                let end = searched + end + 1;
                self.rest = self.spare.pop().unwrap_or_default();
                self.rest.set(&piece.bytes()[end..]);
                piece.filled = end;
                self.failed = filled.err();
                return Ok(Some(Cut::Lines(piece)));
            }
            searched = piece.filled;
            match filled {
                Ok(true) if searched == self.longest => return self.pass_over_line(input, piece).map(Some),
                Ok(true) => {}
                ended => {
                    self.rest = piece;
                    return ended.map(|_| None);
                }
            }
        }
    }

    /// Reads a line that is too long to its end.
    fn pass_over_line(&mut self, input: &mut impl Read, begin: Piece) -> io::Result<Cut> {
        let mut length = begin.filled as u64;
        let mut piece = self.spare.pop().unwrap_or_default();
        loop {
            piece.filled = 0;
            let filled = piece.fill(input, self.size);
            let end = memchr::memchr(b'\n', piece.bytes());
            length += end.map_or(piece.filled, |end| end + 1) as u64;
            let is_whole = end.is_some();
            if let Some(end) = end {
                self.rest.set(&piece.bytes()[end + 1..]);
                (self.rest_has_lines, self.failed) = (true, filled.err());
            } else if filled? {
                continue;
            }
            self.give_back(piece);
            return Ok(Cut::TooLong { begin, length, is_whole });
        }
    }
}

/// Looks at pieces until no more come.
fn work<T>(to_do: &Mutex<Receiver<Job<T>>>, look: impl Fn(&[u8]) -> T) {
    loop {
        let job = to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((piece, found)) = job else { return };
        let what = look(piece.bytes());
        // The reader has gone if what was found before could not be taken.
        let _ = found.send((piece, what));
    }
}

#[cfg(test)]
mod tests {
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
            workers in 1..4usize,
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
            let is_cut_in_a_long_line = matches!(found.last(), Some(Err(_))) && !bytes[..cut].ends_with(b"\n");
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
    fn a_bounded_number_of_pieces_is_in_memory() {
        let mut pieces = pieces(64, 64, 3);
        let lines = b"abcdefg\n".repeat(10_000);
        let read: Result<_, Infallible> = pieces.read(&lines[..], |_| (), |_| Ok(()));
        let Ok(read) = read;
        read.unwrap();
        assert!(pieces.spare.len() <= 3 * PIECES_EACH + 1, "{}", pieces.spare.len());
    }
}
