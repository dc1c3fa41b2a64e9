//! The exact form of a record's line, as docs/LOGGING.md gives it.
//!
//! A line is checked without parsing JSON: the first fields are at its beginning, the chain's fields at its end ([`Link`]), and
//! the details are between them.

use std::fmt::{self, Display};

use rust_i18n::t;

use super::chain::{HASH_DIGITS, HASH_FIELD, Link};

/// The longest line that can be a record. Real ones have hundreds of bytes, at most some thousands.
pub const LINE_MAX: usize = 1 << 20;

/// The beginning of every record, up to the event's name. Each `d` is a digit of the instant.
const BEGINNING: &[u8] = b"{\"timestamp_utc\":\"dddd-dd-ddTdd:dd:dd.ddddddZ\",\"level\":\"AUDIT\",\"event_type\":\"";
/// The bytes after the event.
const SERVICE_FIELD: &[u8] = b"\",\"service\":\"";
/// The bytes after the service.
const DETAILS_FIELD: &[u8] = b"\",\"details\":{";

/// The place of the instant in a record's line. Instants in this form sort by their bytes.
pub const INSTANT: std::ops::Range<usize> = 18..18 + INSTANT_LENGTH;
/// Its length.
pub const INSTANT_LENGTH: usize = "2025-10-26T18:00:05.123456Z".len();
/// The beginning of every record, before the instant. Inside a JSON text its quotes would be escaped.
pub const FIRST_FIELD: &[u8] = BEGINNING.split_at(INSTANT.start).0;

/// The kind of the bytes after a file's last line break.
#[derive(Debug)]
pub enum Rest<'a> {
    /// The beginning of a record.
    Begun,
    /// A whole record without its line break. Its hash is not checked.
    Whole(Link<'a>),
    /// Not a record, and not the beginning of one.
    Other,
}

/// What shows that a line is not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misshapen {
    Beginning,
    AfterEvent,
    AfterService,
    BeforeSeq,
    End,
    Overlapping,
    TooLong,
}

impl Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Beginning => t!("it does not begin with timestamp_utc, level and event_type"),
            Self::AfterEvent => t!("event_type is not followed by service"),
            Self::AfterService => t!("service is not followed by details"),
            Self::BeforeSeq => t!("seq does not follow details"),
            Self::End => t!("it does not end with seq, req, autor, ip, prev and hash"),
            Self::Overlapping => t!("its fields overlap"),
            Self::TooLong => t!("it is too long"),
        })
    }
}

/// The result of checking a record's first fields.
enum FirstFields<'a> {
    /// They are whole. These bytes follow: the details without their opening brace, and the rest.
    Whole(&'a [u8]),
    /// The line ends within them.
    Begun,
    /// The line has another form: what is wrong.
    Other(Misshapen),
}

/// Checks the form of a line and parses its end. The hash is not checked. The error names the part that is wrong.
pub fn check(line: &[u8]) -> Result<Link<'_>, Misshapen> {
    parts(line).map(|(link, _)| link)
}

/// The same, with the details. Nothing but the details may be something else than JSON.
pub fn parts(line: &[u8]) -> Result<(Link<'_>, &[u8]), Misshapen> {
    let details = match first_fields(line) {
        FirstFields::Whole(details) => details,
        FirstFields::Begun => return Err(Misshapen::Beginning),
        FirstFields::Other(why) => return Err(why),
    };
    let link = Link::of(line).ok_or(Misshapen::End)?;
    // The brace that opens the details is before these.
    let begin = line.len() - details.len();
    match link.body.get(begin..).ok_or(Misshapen::Overlapping)?.last() {
        Some(b'}') => Ok((link, &link.body[begin - 1..])),
        _ => Err(Misshapen::BeforeSeq),
    }
}

/// The kind of the bytes after the last line break, [`without_zeros`].
pub fn rest(bytes: &[u8]) -> Rest<'_> {
    if bytes.iter().any(u8::is_ascii_control) {
        return Rest::Other;
    }
    // Inside a string quotation marks are escaped, so this is found only as the record's own field.
    let Some(at) = memchr::memmem::find(bytes, HASH_FIELD.as_bytes()) else {
        return if matches!(first_fields(bytes), FirstFields::Other(_)) { Rest::Other } else { Rest::Begun };
    };
    // The hash may be torn, but then all fields before it must be whole.
    let completed = [&bytes[..at], HASH_FIELD.as_bytes(), &[b'0'; HASH_DIGITS], b"\"}"].concat();
    let hash = &bytes[at + HASH_FIELD.len()..];
    let digits = hash.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
    match (check(&completed), digits, &hash[digits..]) {
        (Ok(_), 0..=HASH_DIGITS, b"") | (Ok(_), HASH_DIGITS, b"\"") => Rest::Begun,
        (Ok(_), HASH_DIGITS, b"\"}") => check(bytes).map_or(Rest::Other, Rest::Whole),
        _ => Rest::Other,
    }
}

/// The bytes without the zeros at their end. After a power failure a file may have its new length without its new bytes; it then
/// ends with zeros.
pub fn without_zeros(rest: &[u8]) -> &[u8] {
    &rest[..rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)]
}

/// The instant and the event of a line that begins as a record does.
pub fn instant_and_event(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (beginning, rest) = line.split_at_checked(BEGINNING.len())?;
    if !is_beginning(beginning) {
        return None;
    }
    Some((&line[INSTANT], &rest[..memchr::memchr(b'"', rest)?]))
}

fn first_fields(line: &[u8]) -> FirstFields<'_> {
    if !is_beginning(line) {
        return FirstFields::Other(Misshapen::Beginning);
    }
    let rest = line.get(BEGINNING.len()..).unwrap_or_default();
    let after_event = word_then(rest, |byte| byte.is_ascii_uppercase() || byte == b'_', SERVICE_FIELD);
    let Ok(Some(rest)) = after_event else {
        return after_event.map_or(FirstFields::Other(Misshapen::AfterEvent), |_| FirstFields::Begun);
    };
    match word_then(rest, |byte| byte.is_ascii_lowercase() || byte == b'-', DETAILS_FIELD) {
        Ok(Some(details)) => FirstFields::Whole(details),
        Ok(None) => FirstFields::Begun,
        Err(()) => FirstFields::Other(Misshapen::AfterService),
    }
}

/// The bytes after a word and the field that follows it; `None` if the bytes end before the end of that field.
fn word_then<'a>(bytes: &'a [u8], belongs: impl Fn(u8) -> bool, field: &[u8]) -> Result<Option<&'a [u8]>, ()> {
    let length = bytes.iter().take_while(|byte| belongs(**byte)).count();
    let rest = &bytes[length..];
    match rest.strip_prefix(field) {
        _ if rest.is_empty() => Ok(None),
        _ if length == 0 => Err(()),
        Some(rest) => Ok(Some(rest)),
        None if field.starts_with(rest) => Ok(None),
        None => Err(()),
    }
}

/// Whether the line begins like a record; a line that is too short is compared as far as it goes. This runs for every line, so
/// most bytes are compared in one step.
fn is_beginning(line: &[u8]) -> bool {
    let length = line.len().min(BEGINNING.len());
    let agrees =
        |from: usize, to: usize| line[from.min(length)..to.min(length)] == BEGINNING[from.min(length)..to.min(length)];
    let instant = INSTANT.start.min(length)..INSTANT.end.min(length);
    let is_right = |(byte, form): (&u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == form };
    agrees(0, INSTANT.start)
        && agrees(INSTANT.end, BEGINNING.len())
        && line[instant.clone()].iter().zip(&BEGINNING[instant]).all(is_right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Caller;
    use crate::audit::chain::ChainHead;
    use crate::audit::record::{Event, LEVEL, Process, SERVICE};
    use crate::time::Timestamp;

    fn line() -> String {
        let process = Process { version: "0.1.0", mode: "com_trava", pid: 1, address: "127.0.0.1:5000".to_owned() };
        let at = Timestamp::parse_rfc3339("2025-10-26T18:00:05.123456Z").unwrap();
        ChainHead::genesis("abc").append(Event::ServiceStarted(&process).open_json(at), None, &Caller::service("x"))
    }

    #[test]
    fn a_record_as_it_is_made_has_the_form() {
        let line = line();
        assert!(check(line.as_bytes()).is_ok());
        assert!(
            line.contains(&format!("\"level\":\"{LEVEL}\"")) && line.contains(&format!("\"service\":\"{SERVICE}\""))
        );
        assert_eq!(&line[INSTANT], "2025-10-26T18:00:05.123456Z");
        let (instant, event) = instant_and_event(line.as_bytes()).unwrap();
        assert_eq!((instant, event), (&line.as_bytes()[INSTANT], &b"SERVICO_INICIADO"[..]));
        assert_eq!(FIRST_FIELD, b"{\"timestamp_utc\":\"");
    }

    #[test]
    fn every_cut_record_is_a_beginning_and_one_with_a_wrong_byte_is_not() {
        let line = line().into_bytes();
        let details = memchr::memmem::find(&line, b"{\"versao").unwrap();
        let chained = memchr::memmem::find(&line, b",\"seq\":").unwrap();
        let hash = memchr::memmem::find(&line, HASH_FIELD.as_bytes()).unwrap() + HASH_FIELD.len();
        for cut in 0..line.len() {
            assert!(matches!(rest(&line[..cut]), Rest::Begun), "cut at {cut}");
            // `%` is not a digit, not a letter of a word and not a quotation mark.
            let changed = [&line[..cut], b"%"].concat();
            // The details may hold any byte, and their end is known only when the hash is there.
            assert_eq!(matches!(rest(&changed), Rest::Other), cut <= details || cut >= hash, "{cut}");
            // Once the hash is there, the fields before it have to be whole.
            if cut >= chained && cut < hash - HASH_FIELD.len() {
                let changed = [&line[..cut], b"%", &line[cut + 1..hash]].concat();
                assert!(matches!(rest(&changed), Rest::Other), "{}", String::from_utf8_lossy(&changed));
            }
        }
        assert!(matches!(rest(&line), Rest::Whole(_)));
        assert!(matches!(rest(&[&line[..], b" "].concat()), Rest::Other));
    }

    #[test]
    fn a_wrong_word_or_a_control_character_is_not_the_beginning_of_a_record() {
        let begin = "{\"timestamp_utc\":\"2025-10-26T18:00:05.123456Z\",\"level\":\"AUDIT\",\"event_type\":\"";
        for (after, begun) in [
            ("", true),
            ("A", true),
            ("lower", false),
            ("A\",\"foo", false),
            ("\"", false),
            ("A\",\"service\":\"9", false),
            ("A\",\"service\":\"\"", false),
            ("A\",\"service\":\"a\",\"details\":[", false),
            ("A\",\"service\":\"a\",\"details\":{\"x\":\"y\"},\"seq\":", true),
            ("A\",\"service\":\"a\",\"details\":{\"x\":\"\r", false),
        ] {
            let bytes = format!("{begin}{after}");
            assert_eq!(matches!(rest(bytes.as_bytes()), Rest::Begun), begun, "{after}");
        }
    }
}
