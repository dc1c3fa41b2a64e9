//! Cuts an input at line ends into pieces, which are looked at on all cores; what is found in them is taken in the input's order.
//!
//! A bounded number of pieces and of bytes is in memory, however long the input and its lines are. Where no thread can be started, the
//! reading thread looks at the pieces.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, available_parallelism};

/// The bytes of a piece, if no line is longer. It fits into a core's own cache.
const PIECE: usize = 512 << 10;
/// The most workers. One thread reads, and cannot read for more of them.
const WORKERS_MAX: usize = 16;
/// The bytes of a worker's stack.
const STACK: usize = 2 << 20;
/// The pieces in memory, for each worker: it has the next one while what it found in the last one is not taken yet.
const PIECES_EACH: usize = 2;

/// Cuts one input after the other.
pub struct Pieces {
    /// A line is too long if it has no line break among so many bytes.
    longest: usize,
    /// The bytes of a piece, if no line is longer.
    size: usize,
    /// So many workers are started at the most. None if no thread can be started.
    workers: usize,
    stack: usize,
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

/// A line that is too long, as [`Found::TooLong`].
struct TooLong {
    begin: Piece,
    length: u64,
    is_whole: bool,
}

enum Cut {
    Lines(Piece),
    TooLong(TooLong),
}

impl Cut {
    /// The bytes of memory that it needs.
    fn held(&self) -> usize {
        let (Self::Lines(piece) | Self::TooLong(TooLong { begin: piece, .. })) = self;
        piece.buffer.len()
    }
}

/// A piece that was given to a worker, that was looked at, or that needs no look, in the input's order.
enum Awaited<T> {
    Given(Receiver<(Piece, T)>),
    Looked(Piece, T),
    TooLong(TooLong),
}

/// A piece, and where it goes with what was found in it.
type Job<T> = (Piece, SyncSender<(Piece, T)>);

impl Pieces {
    /// For inputs of which a line is too long if it has no line break among its first `longest` bytes.
    pub fn new(longest: usize) -> Self {
        let workers = available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
        let size = PIECE.min(longest);
        Self {
            longest,
            size,
            workers,
            stack: STACK,
            rest: Piece::default(),
            rest_has_lines: false,
            spare: Vec::new(),
            failed: None,
        }
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
            let (mut awaited, mut held, mut begun, mut end) = (VecDeque::new(), 0, 0, None);
            loop {
                if end.is_none() && self.has_room(awaited.len(), held) {
                    let cut = match self.cut(&mut input) {
                        Ok(Some(cut)) => cut,
                        ended => {
                            end = Some(ended.map(|_| ()));
                            continue;
                        }
                    };
                    held += cut.held();
                    if begun < self.workers && matches!(cut, Cut::Lines(_)) {
                        let worker = Builder::new().name("pieces".to_owned()).stack_size(self.stack);
                        match worker.spawn_scoped(scope, || work(&to_do, look)) {
                            Ok(_) => begun += 1,
                            // There may be no more threads. Those that there are go on, for further inputs too.
                            Err(_) => self.workers = begun,
                        }
                    }
                    awaited.push_back(give(cut, (begun > 0).then_some(&jobs), look));
                    continue;
                }
                let Some(next) = awaited.pop_front() else { return Ok(end.unwrap_or(Ok(()))) };
                let piece = taken(next, &mut take)?;
                held -= piece.buffer.len();
                self.give_back(piece);
            }
        })
    }

    /// Whether one more piece may be read while so many are awaited, with so many bytes. It may be as long as a line may be.
    fn has_room(&self, awaited: usize, held: usize) -> bool {
        let most = self.workers.max(1) * PIECES_EACH;
        awaited < most && held < self.longest.max(most * self.size)
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
            let length = if piece.filled < self.size { self.size } else { self.longest.min(2 * piece.filled) };
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
            return Ok(Cut::TooLong(TooLong { begin, length, is_whole }));
        }
    }
}

/// Gives a piece to the workers. If there are none, it is looked at here.
fn give<T>(cut: Cut, workers: Option<&Sender<Job<T>>>, look: impl Fn(&[u8]) -> T) -> Awaited<T> {
    match (cut, workers) {
        (Cut::Lines(piece), Some(jobs)) => {
            let (found, result) = sync_channel(1);
            // It fails only if the workers have panicked; then there is no result, either.
            let _ = jobs.send((piece, found));
            Awaited::Given(result)
        }
        (Cut::Lines(piece), None) => {
            let found = look(piece.bytes());
            Awaited::Looked(piece, found)
        }
        (Cut::TooLong(line), _) => Awaited::TooLong(line),
    }
}

/// Takes what was found in a piece, once it is known. Returns the piece.
fn taken<T, E>(next: Awaited<T>, take: &mut impl FnMut(Found<'_, T>) -> Result<(), E>) -> Result<Piece, E> {
    let (piece, found) = match next {
        Awaited::Given(result) => result.recv().expect("a worker gives a result, or panics"),
        Awaited::Looked(piece, found) => (piece, found),
        Awaited::TooLong(TooLong { begin, length, is_whole }) => {
            take(Found::TooLong { begin: begin.bytes(), length, is_whole })?;
            return Ok(begin);
        }
    };
    take(Found::Lines(piece.bytes(), found))?;
    Ok(piece)
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
mod tests;
