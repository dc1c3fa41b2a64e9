//! The bytes of an input: unchanged, or decompressed if the first bytes say gzip. [`Watched`] ends the reading of a pipe when the
//! output's pipe is closed.

use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::os::fd::AsFd;

use flate2::read::MultiGzDecoder;
use rust_i18n::t;

use crate::audit::form::{self, Foreign, Form};
use crate::commands::output::{self, tell};
use crate::language::chain;

/// Compressed bytes of one read.
const GZIP_BYTES: usize = 128 * 1024;

/// The first bytes of an input, which were read already, and the rest.
type Begun<R> = Chain<Cursor<Vec<u8>>, R>;

/// The bytes of an input.
pub enum Source<R: Read> {
    /// Lines, unchanged.
    Lines(Begun<R>),
    /// Decompressed lines.
    Gzip(Box<MultiGzDecoder<BufReader<Begun<R>>>>),
    /// Not lines. The bytes are read unchanged.
    Foreign(Foreign, Begun<R>),
}

impl<R: Read> Source<R> {
    /// Recognises the form of `input` by its first bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(mut input: R) -> io::Result<Self> {
        let mut begin = vec![0; form::LOOKED_AT];
        let mut filled = 0;
        while filled < form::NEEDED && !begin[..filled].contains(&b'\n') {
            match input.read(&mut begin[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        begin.truncate(filled);
        let form = Form::of(&begin);
        let begun = Cursor::new(begin).chain(input);
        Ok(match form {
            Form::Lines => Self::Lines(begun),
            Form::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(GZIP_BYTES, begun)))),
            Form::Foreign(foreign) => Self::Foreign(foreign, begun),
        })
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Lines(input) | Self::Foreign(_, input) => input.read(buffer),
            Self::Gzip(input) => input.read(buffer).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    io::Error::new(error.kind(), t!("its gzip data has no end: the file was cut"))
                }
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                    io::Error::new(io::ErrorKind::InvalidData, t!("its gzip data is damaged"))
                }
                _ => error,
            }),
        }
    }
}

/// Whether the error is a cut or damaged file. Then the search goes on with the next file.
pub fn is_damage(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData))
}

/// Says that a file is cut or damaged, and was read up to there.
pub fn tell_damage(error: &anyhow::Error) {
    tell(t!("%{error}; sctec read what comes before that", error = chain(error.as_ref())));
}

/// An input that may have to be waited for: a pipe or a terminal. Its reading ends with EPIPE when the output's pipe is closed.
pub struct Watched(File);

impl Watched {
    /// Standard input, without the buffer of the standard library: nothing else reads standard input.
    ///
    /// # Errors
    /// When the process has too many open files (EMFILE).
    pub fn stdin() -> io::Result<Self> {
        Ok(Self(io::stdin().as_fd().try_clone_to_owned()?.into()))
    }

    /// A file that is not a regular file.
    pub fn file(file: File) -> Self {
        Self(file)
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        output::wait_for_input(self.0.as_fd())?;
        self.0.read(buffer)
    }
}
