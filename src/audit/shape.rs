//! A record's form, to the byte: the one that docs/LOGGING.md gives, and that every line of a trail has.
//!
//! A line is held against it without reading it as JSON: the first fields stand at its beginning, the chain's at its end
//! ([`Link`]), and what is between them is the details.

use super::chain::{HASH_DIGITS, HASH_FIELD, Link};

/// The longest line that is taken for a record's: one is some hundreds of bytes, some thousands at the most.
pub const LINE_MAX: usize = 1 << 20;

/// How every record begins, up to the event's name; `d` is a digit where the instant is.
const BEGINNING: &[u8] = b"{\"timestamp_utc\":\"dddd-dd-ddTdd:dd:dd.ddddddZ\",\"level\":\"AUDIT\",\"event_type\":\"";
/// What follows the event.
const SERVICE_FIELD: &[u8] = b"\",\"service\":\"";
/// What follows the service.
const DETAILS_FIELD: &[u8] = b"\",\"details\":{";

/// Where a record's instant is in its line. Instants as they are written here have the order of their bytes.
pub const INSTANT: std::ops::Range<usize> = 18..18 + INSTANT_LENGTH;
/// Its length.
pub const INSTANT_LENGTH: usize = "2025-10-26T18:00:05.123456Z".len();
/// What every record begins with, before its instant. Inside a text its quotes would be escaped.
pub const FIRST_FIELD: &[u8] = BEGINNING.split_at(INSTANT.start).0;

/// What the bytes after a file's last line break are.
#[derive(Debug)]
pub enum Rest<'a> {
    /// The beginning of a line that has the form.
    Begun,
    /// All of one, but its line break. Whether its hash is right was not looked at.
    Whole(Link<'a>),
    /// Neither: nothing that a record begins with.
    Other,
}

/// How far a line goes that has the form of a record's first fields.
enum FirstFields<'a> {
    /// Past them: these are the bytes of the details, without their opening brace, and all that follows.
    Whole(&'a [u8]),
    /// It ends within them.
    Begun,
    /// It has something else there.
    Other(&'static str),
}

/// Holds a line against the form, and takes its end apart. Whether its hash is right is not looked at.
///
/// # Errors
/// With what is not as it should be.
pub fn check(line: &[u8]) -> Result<Link<'_>, &'static str> {
    const NO_BEGINNING: &str = "it does not begin as one does, with timestamp_utc, level and event_type";
    let details = match first_fields(line) {
        FirstFields::Whole(details) => details,
        FirstFields::Begun => return Err(NO_BEGINNING),
        FirstFields::Other(why) => return Err(why),
    };
    let link = Link::of(line).ok_or("it does not end as one does, with seq, req, prev and hash")?;
    match link.body.get(line.len() - details.len()..).ok_or("its fields overlap")?.last() {
        Some(b'}') => Ok(link),
        _ => Err("before seq stands something else than details"),
    }
}

/// What the bytes after the last line break are. Those who lost their power may have left a file that is longer than what
/// was written to it: its zeros are not to be among them.
pub fn rest(bytes: &[u8]) -> Rest<'_> {
    if bytes.iter().any(u8::is_ascii_control) {
        return Rest::Other;
    }
    // Inside a text a quotation mark is escaped, so this is found in its own place only.
    let Some(at) = memchr::memmem::find(bytes, HASH_FIELD.as_bytes()) else {
        return if matches!(first_fields(bytes), FirstFields::Other(_)) { Rest::Other } else { Rest::Begun };
    };
    // What stands before the hash has to be all of it, whatever is there of the hash.
    let completed = [&bytes[..at], HASH_FIELD.as_bytes(), &[b'0'; HASH_DIGITS], b"\"}"].concat();
    let hash = &bytes[at + HASH_FIELD.len()..];
    let digits = hash.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
    match (check(&completed), digits, &hash[digits..]) {
        (Ok(_), 0..=HASH_DIGITS, b"") | (Ok(_), HASH_DIGITS, b"\"") => Rest::Begun,
        (Ok(_), HASH_DIGITS, b"\"}") => check(bytes).map_or(Rest::Other, Rest::Whole),
        _ => Rest::Other,
    }
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
        return FirstFields::Other("it does not begin as one does, with timestamp_utc, level and event_type");
    }
    let rest = line.get(BEGINNING.len()..).unwrap_or_default();
    let after_event = word_then(rest, |byte| byte.is_ascii_uppercase() || byte == b'_', SERVICE_FIELD);
    let Ok(Some(rest)) = after_event else {
        return after_event
            .map_or(FirstFields::Other("after event_type comes something else than service"), |_| FirstFields::Begun);
    };
    match word_then(rest, |byte| byte.is_ascii_lowercase() || byte == b'-', DETAILS_FIELD) {
        Ok(Some(details)) => FirstFields::Whole(details),
        Ok(None) => FirstFields::Begun,
        Err(()) => FirstFields::Other("after service comes something else than details"),
    }
}

/// What follows a word and the field after it, or `None` if the bytes end before that.
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

/// Whether the line begins as every record, as far as it goes. Asked of every line, so most of it is compared at once.
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
    use crate::audit::chain::ChainHead;
    use crate::audit::record::{Event, LEVEL, Process, SERVICE};
    use crate::time::Timestamp;

    fn line() -> String {
        let process = Process { version: "0.1.0", mode: "com_trava", pid: 1, address: "127.0.0.1:5000".to_owned() };
        let at = Timestamp::parse_rfc3339("2025-10-26T18:00:05.123456Z").unwrap();
        ChainHead::genesis("abc").append(Event::ServiceStarted(&process).open_json(at), "6b1f-2a")
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
    fn every_beginning_of_a_record_is_one_and_with_another_byte_where_the_form_has_its_own_is_none() {
        let line = line().into_bytes();
        let details = memchr::memmem::find(&line, b"{\"versao").unwrap();
        let chained = memchr::memmem::find(&line, b",\"seq\":").unwrap();
        let hash = memchr::memmem::find(&line, HASH_FIELD.as_bytes()).unwrap() + HASH_FIELD.len();
        for cut in 0..line.len() {
            assert!(matches!(rest(&line[..cut]), Rest::Begun), "cut at {cut}");
            // Not a digit, no letter of a word, nor a quotation mark.
            let changed = [&line[..cut], b"%"].concat();
            // In the details anything may stand, and what follows them is told from them by the hash only.
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
    fn words_and_controls_that_no_record_has_begin_none() {
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
