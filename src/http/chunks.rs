//! The bytes of an answer in chunks, each of which gives its memory back when it is sent. They are compressed on their way into the chunks,
//! if that is wanted and they are not few.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// The bytes of a chunk. What is not longer than that is sent as it is: compressing it would take longer than sending it.
pub const CHUNK: usize = 64 * 1024;

/// Bytes in chunks.
pub struct Chunks {
    sink: Sink,
    /// Whether many bytes are to be compressed.
    packs: bool,
}

enum Sink {
    Plain(Cut),
    Packed(Box<GzEncoder<Cut>>),
}

/// Bytes cut to the length of chunks.
#[derive(Default)]
struct Cut {
    done: Vec<Bytes>,
    open: Vec<u8>,
}

impl Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.open.len() == CHUNK {
            self.done.push(std::mem::take(&mut self.open).into());
            self.open.reserve_exact(CHUNK);
        }
        let taken = bytes.len().min(CHUNK - self.open.len());
        self.open.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Cut {
    fn into_chunks(mut self) -> Vec<Bytes> {
        self.done.push(self.open.into());
        self.done
    }
}

impl Chunks {
    /// No bytes yet. `packs`: whether many are to be compressed.
    pub fn new(packs: bool) -> Self {
        Self { sink: Sink::Plain(Cut::default()), packs }
    }

    /// Adds bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        // Writing to memory does not fail.
        self.write(bytes).expect("memory takes bytes");
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Plain(cut) if self.packs && cut.open.len() + bytes.len() > CHUNK => {
                let mut encoder = GzEncoder::new(Cut::default(), Compression::fast());
                encoder.write_all(&cut.open)?;
                encoder.write_all(bytes)?;
                self.sink = Sink::Packed(Box::new(encoder));
                Ok(())
            }
            Sink::Plain(cut) => cut.write_all(bytes),
            Sink::Packed(encoder) => encoder.write_all(bytes),
        }
    }

    /// Whether they fit into one chunk.
    pub fn are_few(&self) -> bool {
        matches!(&self.sink, Sink::Plain(cut) if cut.done.is_empty())
    }

    /// How many bytes the chunks have.
    pub fn held(&self) -> usize {
        let cut = match &self.sink {
            Sink::Plain(cut) => cut,
            Sink::Packed(encoder) => encoder.get_ref(),
        };
        cut.done.len() * CHUNK + cut.open.len()
    }

    /// Whether they are compressed.
    pub fn are_packed(&self) -> bool {
        matches!(self.sink, Sink::Packed(_))
    }

    /// From now on they are taken while others are added: if they are to be compressed, then from the first one, however many follow.
    pub fn begin(&mut self) {
        if let Sink::Plain(cut) = &mut self.sink
            && self.packs
        {
            let mut encoder = GzEncoder::new(Cut::default(), Compression::fast());
            encoder.write_all(&cut.open).expect("memory takes bytes");
            self.sink = Sink::Packed(Box::new(encoder));
        }
    }

    /// The chunks that are not taken yet.
    pub fn take(&mut self) -> Vec<Bytes> {
        let cut = match &mut self.sink {
            Sink::Plain(cut) => cut,
            Sink::Packed(encoder) => encoder.get_mut(),
        };
        std::mem::take(cut).into_chunks()
    }

    /// The last chunks.
    pub fn end(self) -> Vec<Bytes> {
        match self.sink {
            Sink::Plain(cut) => cut.into_chunks(),
            Sink::Packed(encoder) => encoder.finish().expect("memory takes bytes").into_chunks(),
        }
    }
}
