//! Records that match and are not printed yet, because only the last ones are wanted, or the newest first.

use std::collections::VecDeque;
use std::io::{self, Write};

use tempfile::SpooledTempFile;

/// Bytes of kept records above which a temporary file is used.
const IN_MEMORY: usize = 8 << 20;

/// Records that are kept until all of an input was read.
pub enum Kept {
    /// The last ones, at most `most`.
    Last { most: usize, lines: VecDeque<Vec<u8>> },
    /// All.
    All(SpooledTempFile),
}

impl Kept {
    /// The last `most` records, or all.
    pub fn new(most: Option<usize>) -> Self {
        most.map_or_else(
            || Self::All(SpooledTempFile::new(IN_MEMORY)),
            |most| Self::Last { most, lines: VecDeque::new() },
        )
    }

    /// Keeps a record's line.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn keep(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::All(file) => file.write_all(line).and_then(|()| file.write_all(b"\n")),
            Self::Last { most, lines } => {
                if lines.len() == *most {
                    lines.pop_front();
                }
                if *most > 0 {
                    lines.push_back(line.to_owned());
                }
                Ok(())
            }
        }
    }
}
