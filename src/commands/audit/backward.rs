//! Reads a file line by line from its end, with bounded memory.

use std::io::{self, Read, Seek, SeekFrom};

use super::lines::{LINE_MAX, Line};

/// Bytes of one read.
const CHUNK: usize = 256 * 1024;

/// The lines of a file from its last one to its first one, with bounded memory.
pub struct Backward<F> {
    file: F,
    /// Where the bytes of `buffer` begin in the file.
    begin: u64,
    buffer: Vec<u8>,
    /// How many bytes of `buffer` have not been returned.
    end: usize,
    /// Whether the line that is being read is too long, so that its bytes are dropped.
    too_long: bool,
    /// Whether the first line was returned.
    done: bool,
    /// Whether the file's last line ends with a line break.
    ends_whole: bool,
}

impl<F: Read + Seek> Backward<F> {
    /// The lines of `file`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(mut file: F) -> io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        let mut lines = Self {
            file,
            begin: length,
            buffer: Vec::new(),
            end: 0,
            too_long: false,
            done: length == 0,
            ends_whole: false,
        };
        lines.read_before()?;
        // The last line break ends the last line and begins no other.
        if lines.buffer.last() == Some(&b'\n') {
            lines.end -= 1;
            lines.ends_whole = true;
        }
        Ok(lines)
    }

    /// Whether the file's last line, which is returned first, ends with a line break. All others do.
    pub fn ends_whole(&self) -> bool {
        self.ends_whole
    }

    /// The line before, or `None` at the beginning.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        if self.done {
            return Ok(None);
        }
        loop {
            let end = self.end;
            let begin = match memchr::memrchr(b'\n', &self.buffer[..end]) {
                Some(at) => {
                    self.end = at;
                    at + 1
                }
                None if self.begin > 0 => {
                    if end > LINE_MAX {
                        (self.too_long, self.end) = (true, 0);
                    }
                    self.read_before()?;
                    continue;
                }
                None => {
                    (self.done, self.end) = (true, 0);
                    0
                }
            };
            let too_long = std::mem::take(&mut self.too_long) || end - begin > LINE_MAX;
            return Ok(Some(if too_long { Line::TooLong } else { Line::Bytes(&self.buffer[begin..end]) }));
        }
    }

    /// Reads the bytes before those of the buffer: at least as many as it has, so that a long line is not moved often.
    fn read_before(&mut self) -> io::Result<()> {
        let length = self.begin.min(self.end.max(CHUNK) as u64);
        self.begin -= length;
        let length = usize::try_from(length).unwrap_or_default();
        let mut buffer = vec![0; length + self.end];
        self.file.seek(SeekFrom::Start(self.begin))?;
        self.file.read_exact(&mut buffer[..length])?;
        buffer[length..].copy_from_slice(&self.buffer[..self.end]);
        (self.end, self.buffer) = (buffer.len(), buffer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::super::lines::Lines;
    use super::*;

    fn owned(line: &Line<'_>) -> Option<Vec<u8>> {
        match line {
            Line::Bytes(bytes) => Some(bytes.to_vec()),
            Line::TooLong => None,
        }
    }

    fn backward(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Backward::new(Cursor::new(bytes)).unwrap();
        std::iter::from_fn(|| lines.next().unwrap().map(|line| owned(&line))).collect()
    }

    fn forward(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(bytes);
        std::iter::from_fn(|| lines.next().unwrap().map(|line| owned(&line))).collect()
    }

    #[test]
    fn lines_longer_than_a_read_and_too_long_ones_are_those_of_a_reading_from_the_beginning() {
        let long = [b"a\n".to_vec(), vec![b'x'; 3 * CHUNK + 1], b"\nb\n".to_vec(), vec![b'y'; LINE_MAX + 1]].concat();
        for bytes in [long.clone(), [&long[..], b"\nc"].concat(), vec![b'\n'; CHUNK + 1], vec![b'z'; LINE_MAX]] {
            let mut back = backward(&bytes);
            back.reverse();
            assert!(back == forward(&bytes), "{} bytes", bytes.len());
        }
    }

    proptest! {
        #[test]
        fn the_lines_are_those_of_a_reading_from_the_beginning(text in "[a\n]{0,40}") {
            let mut back = backward(text.as_bytes());
            back.reverse();
            prop_assert_eq!(back, forward(text.as_bytes()));
        }
    }
}
