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
        Self { reader: BufReader::with_capacity(READ_BYTES, input), line: Vec::new() }
    }

    /// The next line, or `None` at the end.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let limit = LINE_MAX as u64 + 1;
        if self.reader.by_ref().take(limit).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() > LINE_MAX {
            self.line = Vec::new();
            self.reader.skip_until(b'\n')?;
            return Ok(Some(Line::TooLong));
        }
        Ok(Some(Line::Bytes(&self.line)))
    }

    /// Whether the next line has to be asked of the input, which may take its time.
    pub fn may_wait(&self) -> bool {
        self.reader.buffer().is_empty()
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
