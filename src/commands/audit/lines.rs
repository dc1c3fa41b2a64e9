//! Lines of a file of any size, in memory that stays the same.

use std::io::{self, BufRead, BufReader, Read};

/// The longest line that is given out. A record is some hundreds of bytes; what is longer than this is not text.
pub const LINE_MAX_MIB: usize = 16;
const LINE_MAX: usize = LINE_MAX_MIB << 20;
/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

/// The lines of `R`, one at a time, in a buffer that is used again.
pub struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    taken: u64,
    whole: bool,
    too_long: bool,
}

/// One line, without its line break.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes.
    Bytes(&'a [u8]),
    /// Longer than [`LINE_MAX_MIB`]; it was passed over.
    TooLong,
}

impl<R: Read> Lines<R> {
    /// The lines of `input`.
    pub fn new(input: R) -> Self {
        Self {
            reader: BufReader::with_capacity(READ_BYTES, input),
            line: Vec::new(),
            taken: 0,
            whole: false,
            too_long: false,
        }
    }

    /// The next line, or `None` at the end.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        Ok(self.read()?.then(|| self.line()))
    }

    /// Reads the next line and tells whether there is one that has its line break; the last one of a file that is being
    /// written may not have it yet. [`Lines::line`] gives it.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn next_is_whole(&mut self) -> io::Result<bool> {
        Ok(self.read()? && self.whole)
    }

    /// The line that was read last.
    pub fn line(&self) -> Line<'_> {
        if self.too_long { Line::TooLong } else { Line::Bytes(&self.line) }
    }

    /// How many bytes were taken, line breaks included.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Reads one line, if there is one.
    fn read(&mut self) -> io::Result<bool> {
        self.line.clear();
        let limit = LINE_MAX as u64 + 1;
        let mut read = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.line)?;
        self.whole = self.line.last() == Some(&b'\n');
        self.too_long = !self.whole && self.line.len() > LINE_MAX;
        if self.whole {
            self.line.pop();
        } else if self.too_long {
            self.line = Vec::new();
            let rest = skip_line(&mut self.reader)?;
            read += rest.0;
            self.whole = rest.1;
        }
        self.taken += read as u64;
        Ok(read > 0)
    }

    /// Whether the next line has to be asked of the input, which may take its time.
    pub fn may_wait(&self) -> bool {
        self.reader.buffer().is_empty()
    }
}

/// Passes over the rest of a line: its length, and whether it has its line break.
fn skip_line(reader: &mut impl BufRead) -> io::Result<(usize, bool)> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok((skipped, false));
        }
        let end = memchr::memchr(b'\n', buffer);
        let length = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(length);
        skipped += length;
        if end.is_some() {
            return Ok((skipped, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: impl Read) -> Vec<String> {
        let mut lines = Lines::new(input);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(match line {
                Line::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                Line::TooLong => "too long".to_owned(),
            });
        }
        all
    }

    #[test]
    fn each_line_without_its_break_and_the_last_one_as_it_is() {
        assert_eq!(lines("".as_bytes()), [""; 0]);
        assert_eq!(lines("a\n\nb\r\nc".as_bytes()), ["a", "", "b\r", "c"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_the_next_is_whole() {
        let long = |length| io::repeat(b'{').take(length).chain("\nnext\n".as_bytes());
        assert_eq!(lines(long(LINE_MAX as u64 + 1)), ["too long", "next"]);
        assert_eq!(lines(long(LINE_MAX as u64 + 300_000)), ["too long", "next"]);
        let longest = lines(long(LINE_MAX as u64));
        assert_eq!((longest[0].len(), longest[1].as_str()), (LINE_MAX, "next"));
        assert_eq!(lines(io::repeat(b'{').take(LINE_MAX as u64 + 1)), ["too long"]);
    }
}
