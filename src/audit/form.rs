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
pub struct Foreign {
    /// The name of the form; it completes "it is …".
    pub what: &'static str,
    /// What the user should do.
    pub advice: &'static str,
}

impl Foreign {
    /// Whether it may be a trail that was compressed or converted. Other foreign files are not trails.
    pub fn may_hold_a_trail(self) -> bool {
        self.advice != NOT_A_TRAIL
    }
}

const DECOMPRESS: &str = "decompress it first; the only compression that sctec reads is gzip";
const CONVERT: &str = "convert it to UTF-8 first, as with iconv -f UTF-16 -t UTF-8: a trail is UTF-8";
const NOT_A_TRAIL: &str = "name a file of a trail (audit.jsonl), or a log with its records (app.log)";

/// The first bytes of the foreign forms.
const BEGINNINGS: &[(&[u8], &str, &str)] = &[
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", DECOMPRESS),
    (b"\xfd7zXZ\0", "compressed with xz", DECOMPRESS),
    (b"BZh", "compressed with bzip2", DECOMPRESS),
    (b"\x04\x22\x4d\x18", "compressed with lz4", DECOMPRESS),
    (b"LZIP", "compressed with lzip", DECOMPRESS),
    (b"\x1f\x9d", "compressed with compress", DECOMPRESS),
    (b"PK\x03\x04", "a zip archive", DECOMPRESS),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", DECOMPRESS),
    (b"SQLite format 3\0", "a SQLite database", NOT_A_TRAIL),
    (b"\xff\xfe", "UTF-16 text", CONVERT),
    (b"\xfe\xff", "UTF-16 text", CONVERT),
    (b"\0\0\xfe\xff", "UTF-32 text", CONVERT),
    // The first two characters of a trail in UTF-16 without a byte order mark.
    (b"{\0\"\0", "UTF-16 text", CONVERT),
    (b"\0{\0\"", "UTF-16 text", CONVERT),
];

impl Form {
    /// The form of a file with these first bytes.
    pub fn of(begin: &[u8]) -> Self {
        let begin = &begin[..begin.len().min(LOOKED_AT)];
        if begin.starts_with(b"\x1f\x8b") {
            return Self::Gzip;
        }
        let known = BEGINNINGS.iter().find(|(bytes, ..)| begin.starts_with(bytes));
        match known {
            Some(&(_, what, advice)) => Self::Foreign(Foreign { what, advice }),
            None if is_binary(begin) => Self::Foreign(Foreign { what: "binary data", advice: NOT_A_TRAIL }),
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

    fn what(begin: &[u8]) -> Option<&'static str> {
        match Form::of(begin) {
            Form::Foreign(foreign) => Some(foreign.what),
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
        assert_eq!(what(b"\x28\xb5\x2f\xfd\x04"), Some("compressed with zstd"));
        assert_eq!(what(b"BZh91AY"), Some("compressed with bzip2"));
        for utf16 in [&b"\xff\xfe{\0"[..], b"\xfe\xff\0{", b"{\0\"\0t\0", b"\0{\0\"\0t"] {
            assert_eq!(what(utf16), Some("UTF-16 text"), "{utf16:?}");
        }
        let noise: Vec<u8> = (0..=255).cycle().take(LOOKED_AT).collect();
        assert_eq!(what(&noise), Some("binary data"));
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
