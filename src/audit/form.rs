//! The form of a file, recognised by its first bytes and not by its name: a trail's lines, lines compressed with gzip, or a
//! foreign form that has no lines.

/// The most bytes that [`Form::of`] examines.
pub const LOOKED_AT: usize = 1024;
/// The bytes that [`Form::of`] needs. Fewer are enough if a line or the file ends before.
pub const NEEDED: usize = 6;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines of text; also a file whose form is not recognised.
    Lines,
    /// Compressed with gzip (RFC 1952).
    Gzip,
    /// Something else.
    Foreign(Foreign),
}

/// A form that cannot be read as lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Compressed with this program.
    Compressed(&'static str),
    /// An archive of this kind.
    Archive(&'static str),
    /// A database of SQLite.
    Database,
    /// A text in this encoding.
    Text(&'static str),
    /// Other data that is not text.
    Binary,
}

impl Foreign {
    /// Whether it may be a trail that was compressed or converted. Other foreign files are not trails.
    pub fn may_hold_a_trail(self) -> bool {
        match self {
            Self::Compressed(_) | Self::Archive(_) | Self::Text(_) => true,
            Self::Database | Self::Binary => false,
        }
    }
}

/// The first bytes of the foreign forms.
const BEGINNINGS: &[(&[u8], Foreign)] = &[
    (b"\x28\xb5\x2f\xfd", Foreign::Compressed("zstd")),
    (b"\xfd7zXZ\0", Foreign::Compressed("xz")),
    (b"BZh", Foreign::Compressed("bzip2")),
    (b"\x04\x22\x4d\x18", Foreign::Compressed("lz4")),
    (b"LZIP", Foreign::Compressed("lzip")),
    (b"\x1f\x9d", Foreign::Compressed("compress")),
    (b"PK\x03\x04", Foreign::Archive("zip")),
    (b"7z\xbc\xaf\x27\x1c", Foreign::Archive("7z")),
    (b"SQLite format 3\0", Foreign::Database),
    (b"\xff\xfe", Foreign::Text("UTF-16")),
    (b"\xfe\xff", Foreign::Text("UTF-16")),
    (b"\0\0\xfe\xff", Foreign::Text("UTF-32")),
    // The first two characters of a trail in UTF-16 without a byte order mark.
    (b"{\0\"\0", Foreign::Text("UTF-16")),
    (b"\0{\0\"", Foreign::Text("UTF-16")),
];

impl Form {
    /// The form of a file with these first bytes.
    pub fn of(begin: &[u8]) -> Self {
        let begin = &begin[..begin.len().min(LOOKED_AT)];
        if begin.starts_with(b"\x1f\x8b") {
            return Self::Gzip;
        }
        let known = BEGINNINGS.iter().find(|(bytes, _)| begin.starts_with(bytes));
        match known {
            Some(&(_, foreign)) => Self::Foreign(foreign),
            None if is_binary(begin) => Self::Foreign(Foreign::Binary),
            None => Self::Lines,
        }
    }
}

/// Whether these bytes are not text. A text with one or two changed bytes is still a text. A file of zeros counts as text too: a
/// power failure can leave zeros.
fn is_binary(begin: &[u8]) -> bool {
    /// Binary data has more than one invalid byte in this many.
    const TEXT: usize = 10;
    if begin.iter().all(|&byte| byte == 0) {
        return false;
    }
    let control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    let mut wrong = begin.iter().filter(|byte| control(byte)).count();
    for chunk in begin.utf8_chunks() {
        // The last character may have been cut at the end of the examined bytes.
        wrong += chunk.invalid().len();
    }
    wrong.saturating_sub(3) * TEXT > begin.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(begin: &[u8]) -> Option<Foreign> {
        match Form::of(begin) {
            Form::Foreign(foreign) => Some(foreign),
            _ => None,
        }
    }

    #[test]
    fn each_form_is_recognised_by_its_first_bytes() {
        assert_eq!(Form::of(b"\x1f\x8b\x08"), Form::Gzip);
        for lines in
            [&b""[..], b"{\"timestamp_utc\":\"", b"\xef\xbb\xbf{\"a\"", b"INFO:2025", "ação 望遠鏡 🔭".as_bytes()]
        {
            assert_eq!(Form::of(lines), Form::Lines, "{lines:?}");
        }
        assert_eq!(what(b"\x28\xb5\x2f\xfd\x04"), Some(Foreign::Compressed("zstd")));
        assert_eq!(what(b"BZh91AY"), Some(Foreign::Compressed("bzip2")));
        for utf16 in [&b"\xff\xfe{\0"[..], b"\xfe\xff\0{", b"{\0\"\0t\0", b"\0{\0\"\0t"] {
            assert_eq!(what(utf16), Some(Foreign::Text("UTF-16")), "{utf16:?}");
        }
        let noise: Vec<u8> = (0..=255).cycle().take(LOOKED_AT).collect();
        assert_eq!(what(&noise), Some(Foreign::Binary));
    }

    #[test]
    fn a_text_with_a_changed_byte_and_a_file_of_zeros_are_lines() {
        let text = "{\"timestamp_utc\":\"2025-10-26T18:00:05.123456Z\",\"level\":\"AUDIT\"}\n".repeat(3);
        for at in 0..text.len() {
            for with in [0, 0x80, 0xff] {
                let mut changed = text.clone().into_bytes();
                changed[at] ^= with;
                assert_eq!(Form::of(&changed), Form::Lines, "byte {at}");
            }
        }
        assert_eq!(Form::of(&[0; LOOKED_AT]), Form::Lines);
        // The last character is cut at the end of the examined bytes.
        let long = "é".repeat(LOOKED_AT);
        assert_eq!(Form::of(&long.as_bytes()[1..]), Form::Lines);
    }
}
