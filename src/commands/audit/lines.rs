//! Reads a file of any size line by line, with bounded memory.

use std::io::{self, BufRead, BufReader, Read};

/// The longest line that is returned. A record has some hundreds of bytes, so a longer line is certainly not a record.
pub const LINE_MAX_MIB: usize = 16;
/// The same in bytes.
pub const LINE_MAX: usize = LINE_MAX_MIB << 20;
/// Bytes of one read.
const READ_BYTES: usize = 256 * 1024;

/// The lines of `R`, one at a time, in one reused buffer.
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
    /// The bytes.
    Bytes(&'a [u8]),
    /// The line was longer than [`LINE_MAX_MIB`] and was skipped.
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

    /// Reads the next line and returns whether it ends with a line break. The last line of a file that is being written may not
    /// have its line break yet. [`Lines::line`] returns the line.
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

    /// Whether the line that was read last ends with a line break.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The number of bytes read so far, with line breaks.
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

    /// Whether the buffer is empty, so that the next line may have to wait for the input.
    pub fn may_wait(&self) -> bool {
        self.reader.buffer().is_empty()
    }
}

/// Skips the rest of a line. Returns its length, and whether it had a line break.
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
    fn lines_are_returned_without_line_breaks_and_the_last_may_have_none() {
        assert_eq!(lines("".as_bytes()), [""; 0]);
        assert_eq!(lines("a\n\nb\r\nc".as_bytes()), ["a", "", "b\r", "c"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_the_next_is_whole() {
        let long = |length| io::repeat(b'{').take(length).chain("\nnext\n".as_bytes());
        assert_eq!(lines(long(LINE_MAX as u64 + 1)), ["too long", "next"]);
        assert_eq!(lines(long(LINE_MAX as u64 + 300_000)), ["too long", "next"]);
        let longest = lines(long(LINE_MAX as u64));
        assert_eq!((longest[0].len(), longest[1].as_str()), (LINE_MAX, "next"));
        assert_eq!(lines(io::repeat(b'{').take(LINE_MAX as u64 + 1)), ["too long"]);
    }
}
