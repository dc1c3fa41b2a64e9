//! The note of how far a trail's file is, in a file beside it: where several schedulers each write the whole trail of one database, each
//! has its own.
//!
//! It saves the next start from comparing all of a long file with the database. A note that is missing, damaged or of another trail is
//! none. It is written when the records are on disk in the trail's file, so what it says is true also if a crash leaves an older one.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::source::{Exported, Extent};
use crate::files::{create_anew, private_no_link};

/// The note beside one file of the trail.
pub struct Note {
    path: PathBuf,
    beginning: String,
}

/// The file's text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    /// The hash that the trail's first record follows.
    trilha: String,
    /// The last record that is durable in the file.
    exportado: u64,
    /// The record before the file's first one.
    antes: u64,
    /// The file's length.
    bytes: u64,
}

impl Note {
    /// The note beside the file at `trail`, whose first record follows the hash `beginning`.
    pub fn beside(trail: &Path, beginning: &str) -> Self {
        Self { path: trail.with_extension("exportado.json"), beginning: beginning.to_owned() }
    }

    /// What was noted last.
    pub fn read(&self) -> Exported {
        let text = private_no_link().read(true).open(&self.path).and_then(io::read_to_string);
        let noted = text.ok().and_then(|text| serde_json::from_str::<Text>(&text).ok());
        noted.filter(|noted| noted.trilha == self.beginning).map_or_else(Exported::default, |noted| Exported {
            seq: noted.exportado,
            file: Some(Extent { before: noted.antes, bytes: noted.bytes }),
        })
    }

    /// Notes that the file is durable up to `seq`, and its extent then.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, seq: u64, file: Extent) -> io::Result<()> {
        let text = Text { trilha: self.beginning.clone(), exportado: seq, antes: file.before, bytes: file.bytes };
        let temporary = self.path.with_extension("json.tmp");
        let mut made = create_anew(&temporary)?;
        made.write_all(format!("{}\n", serde_json::to_string(&text)?).as_bytes())?;
        std::fs::rename(&temporary, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_one_that_is_not_whole_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let trail = folder.path().join("audit.jsonl");
        let note = Note::beside(&trail, "aa");
        assert_eq!(note.read(), Exported::default());
        let extent = Extent { before: 3, bytes: 77 };
        note.write(9, extent).unwrap();
        assert_eq!(note.read(), Exported { seq: 9, file: Some(extent) });
        // Of another trail, whose file stood in this folder.
        assert_eq!(Note::beside(&trail, "bb").read(), Exported::default());
        let file = folder.path().join("audit.exportado.json");
        let text = std::fs::read_to_string(&file).unwrap();
        for end in 0..text.trim_end().len() {
            std::fs::write(&file, &text[..end]).unwrap();
            assert_eq!(note.read(), Exported::default(), "{end}");
        }
        note.write(10, extent).unwrap();
        assert_eq!(note.read().seq, 10);
    }
}
