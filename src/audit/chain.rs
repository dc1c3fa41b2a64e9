//! The hash chain that makes the trail tamper-evident.
//!
//! Each record has the hash of the record before it and ends with its own hash. The hash covers the exact bytes of the line
//! before `,"hash":`. So each line proves all lines before it, and is checked without a JSON parser. The idea is from Schneier
//! and Kelsey, "Secure Audit Logs to Support Computer Forensics", 1999.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::access::{AUTHOR_MAX, Caller, is_author_byte};
use crate::http::request_id::RequestId;

/// The `req` of a record that no request caused.
const NO_REQUEST: &str = "-";

/// The bytes between a record's hashed bytes and its hash.
pub const HASH_FIELD: &str = ",\"hash\":\"";

/// The number and the hash of the chain's last record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// Its number; 0 before the first.
    pub seq: u64,
    /// Its hash, 64 lower-case hexadecimal digits. Before the first record it is the hash of the trail's identity.
    pub hash: String,
}

impl ChainHead {
    /// The head of a trail without records.
    pub fn genesis(identity: &str) -> Self {
        Self { seq: 0, hash: hex(&Sha256::digest(identity.as_bytes())) }
    }

    /// Adds a record to the chain and returns its line, without the line break. `open_json` is a JSON object without its closing
    /// brace; `request` is the cause, if a request is.
    pub fn append(&mut self, open_json: String, request: Option<&RequestId>, caller: &Caller) -> String {
        let mut line = open_json;
        self.seq += 1;
        // Writing to a `String` cannot fail. No identifier and no author needs escaping in JSON.
        let _ = write!(line, ",\"seq\":{},\"req\":\"{}\"", self.seq, request.map_or(NO_REQUEST, |request| request));
        if let Some(chosen) = request.and_then(RequestId::client) {
            let _ = write!(line, ",\"req_cliente\":\"{chosen}\"");
        }
        let Caller { author, ip } = caller;
        let _ = write!(line, ",\"autor\":\"{author}\",\"ip\":");
        let _ = match ip {
            Some(ip) => write!(line, "\"{ip}\""),
            None => write!(line, "null"),
        };
        let _ = write!(line, ",\"prev\":\"{}\"", self.hash);
        self.hash = hex(&Sha256::digest(line.as_bytes()));
        let _ = write!(line, "{HASH_FIELD}{}\"}}", self.hash);
        line
    }

    /// Checks whether a line (without its line break) is the next record. If it is, it becomes the head.
    pub fn follow(&mut self, line: &[u8]) -> bool {
        let link = Link::of(line).filter(Link::hash_is_right);
        let Some(link) = link.filter(|link| link.seq == self.seq + 1 && link.prev == self.hash.as_bytes()) else {
            return false;
        };
        *self = link.head();
        true
    }
}

/// The chain's fields at the end of a record's line. They are found from the line's end, without parsing the rest.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// The record's number.
    pub seq: u64,
    /// The hash of the record before, 64 lower-case hexadecimal digits.
    pub prev: &'a [u8],
    /// The record's own hash, in the same form.
    pub hash: &'a [u8],
    /// The hashed bytes.
    hashed: &'a [u8],
    /// The bytes before the chain's fields.
    pub body: &'a [u8],
}

/// Hexadecimal digits of a hash.
pub const HASH_DIGITS: usize = 64;
/// The end of a line.
const END: &[u8] = b"\"}";
const PREV_FIELD: &[u8] = b",\"prev\":\"";
const IP_FIELD: &[u8] = b",\"ip\":";
const NO_IP: &[u8] = b"null";
/// The most bytes of an address: an IPv6 one that ends with an IPv4 one.
const IP_MAX: usize = 45;
const AUTHOR_FIELD: &[u8] = b",\"autor\":";
const CLIENT_FIELD: &[u8] = b",\"req_cliente\":";
const REQ_FIELD: &[u8] = b",\"req\":";
const SEQ_FIELD: &[u8] = b",\"seq\":";
/// The most bytes of a request's identifier.
const REQ_MAX: usize = 64;

impl<'a> Link<'a> {
    /// Parses the end of a line (without its line break); `None` if any part has another form.
    pub fn of(line: &'a [u8]) -> Option<Self> {
        let (hashed, tail) = line.split_at(line.len().checked_sub(HASH_FIELD.len() + HASH_DIGITS + END.len())?);
        let hash = tail.strip_prefix(HASH_FIELD.as_bytes())?.strip_suffix(END)?;
        let rest = hashed.strip_suffix(b"\"")?;
        let (rest, prev) = rest.split_at(rest.len().checked_sub(HASH_DIGITS)?);
        if !is_hash(prev) || !is_hash(hash) {
            return None;
        }
        let rest = rest.strip_suffix(PREV_FIELD)?;
        let rest = before_caller(rest).unwrap_or(rest);
        let rest = before_text(rest, REQ_FIELD, REQ_MAX, is_req_byte)?;
        let (rest, digits) = split_word(rest, 20, |byte| byte.is_ascii_digit())?;
        if digits.first().is_none_or(|&first| first == b'0') {
            return None;
        }
        let seq = str::from_utf8(digits).ok()?.parse().ok()?;
        Some(Self { seq, prev, hash, hashed, body: rest.strip_suffix(SEQ_FIELD)? })
    }

    /// The record as the head of the chain.
    pub fn head(&self) -> ChainHead {
        ChainHead { seq: self.seq, hash: String::from_utf8_lossy(self.hash).into_owned() }
    }

    /// The record before, as the head of the chain.
    pub fn before(&self) -> ChainHead {
        // No record has the number 0: its digits would begin with one.
        ChainHead { seq: self.seq - 1, hash: String::from_utf8_lossy(self.prev).into_owned() }
    }

    /// Whether the hash of the line's bytes equals the hash that the line has.
    pub fn hash_is_right(&self) -> bool {
        let mut digits = [0; HASH_DIGITS];
        // The buffer has room for the digits of a SHA-256.
        base16ct::lower::encode(&Sha256::digest(self.hashed), &mut digits).is_ok_and(|digits| digits == self.hash)
    }
}

/// The bytes before the fields that say who asked, if these are the last ones. Records of older versions have none. The identifier
/// that the client chose is there if it did.
fn before_caller(bytes: &[u8]) -> Option<&[u8]> {
    let rest = match bytes.strip_suffix(NO_IP) {
        Some(rest) => rest.strip_suffix(IP_FIELD)?,
        None => before_text(bytes, IP_FIELD, IP_MAX, is_ip_byte)?,
    };
    let rest = before_text(rest, AUTHOR_FIELD, AUTHOR_MAX, is_author_byte)?;
    Some(before_text(rest, CLIENT_FIELD, REQ_MAX, is_req_byte).unwrap_or(rest))
}

/// The bytes before a field whose value is a text of 1 to `most` such bytes, if this is the last field.
fn before_text<'a>(bytes: &'a [u8], field: &[u8], most: usize, belongs: impl Fn(u8) -> bool) -> Option<&'a [u8]> {
    let (rest, text) = split_word(bytes.strip_suffix(b"\"")?, most, belongs)?;
    if text.is_empty() { None } else { rest.strip_suffix(b"\"")?.strip_suffix(field) }
}

/// Splits off the last bytes for which `belongs` is true; `None` if there are more than `most` of them.
fn split_word(bytes: &[u8], most: usize, belongs: impl Fn(u8) -> bool) -> Option<(&[u8], &[u8])> {
    let length = bytes.iter().rev().take(most + 1).take_while(|&&byte| belongs(byte)).count();
    (length <= most).then(|| bytes.split_at(bytes.len() - length))
}

fn is_req_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn is_ip_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'.' | b':')
}

/// Whether these are the digits of a hash.
pub fn is_hash(digits: &[u8]) -> bool {
    digits.len() == HASH_DIGITS && digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The number of a record, read from the end of its line, or `None` if it is not a whole record with a right hash.
pub fn checked_seq(line: &[u8]) -> Option<u64> {
    Link::of(line).filter(Link::hash_is_right).map(|link| link.seq)
}

fn hex(digest: &[u8]) -> String {
    base16ct::lower::encode_string(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RequestId {
        RequestId::of_test("r-1")
    }

    fn client() -> Caller {
        Caller::anonymous("192.0.2.10:4711".parse().unwrap())
    }

    #[test]
    fn the_first_record_follows_the_hash_of_the_identity() {
        // SHA-256("abc"), FIPS 180-2 appendix B.1.
        let head = ChainHead::genesis("abc");
        assert_eq!(head.hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn each_record_carries_the_hash_of_the_one_before() {
        let mut head = ChainHead::genesis("abc");
        let mut previous = head.hash.clone();
        for seq in 1..=3 {
            let line = head.append(format!("{{\"n\":{seq}"), Some(&request()), &client());
            let record: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(record["seq"], seq);
            assert_eq!(record["prev"], previous);
            assert_eq!(record["hash"], head.hash);
            assert_eq!(checked_seq(line.as_bytes()), Some(seq));
            previous = head.hash.clone();
        }
    }

    /// A record as older versions made it.
    fn append_old(head: &mut ChainHead, seq: u64) -> String {
        let hashed = format!("{{\"n\":{seq},\"seq\":{seq},\"req\":\"r-1\",\"prev\":\"{}\"", head.hash);
        *head = ChainHead { seq, hash: hex(&Sha256::digest(hashed.as_bytes())) };
        format!("{hashed}{HASH_FIELD}{}\"}}", head.hash)
    }

    #[test]
    fn a_chain_goes_on_from_records_that_do_not_say_who_asked() {
        let mut written = ChainHead::genesis("abc");
        let mut read = written.clone();
        let causes = [
            (Some(request()), client()),
            (request().beside("clique-7"), client()),
            (None, Caller::service("servico-agendamento")),
        ];
        for seq in 1..=8 {
            let line = if seq <= 2 {
                append_old(&mut written, seq as u64)
            } else {
                let (request, caller) = &causes[seq % 3];
                written.append(format!("{{\"n\":{seq}"), request.as_ref(), caller)
            };
            assert!(read.follow(line.as_bytes()), "{line}");
            assert_eq!(Link::of(line.as_bytes()).unwrap().body, format!("{{\"n\":{seq}").as_bytes());
        }
        assert_eq!(read, written);
    }

    #[test]
    fn the_fields_that_say_who_asked_have_one_form() {
        let whole = |fields: &str| {
            let zeros = "0".repeat(HASH_DIGITS);
            let line =
                format!("{{\"n\":1,\"seq\":1,\"req\":\"r-1\",{fields}\"prev\":\"{zeros}\"{HASH_FIELD}{zeros}\"}}");
            Link::of(line.as_bytes()).is_some()
        };
        for fine in [
            "",
            "\"autor\":\"a\",\"ip\":null,",
            "\"autor\":\"a.b@c\",\"ip\":\"::ffff:1.2.3.4\",",
            "\"req_cliente\":\"a.B_9-\",\"autor\":\"a\",\"ip\":null,",
        ] {
            assert!(whole(fine), "{fine}");
        }
        for wrong in [
            "\"autor\":\"a\",",
            "\"ip\":null,",
            "\"ip\":null,\"autor\":\"a\",",
            "\"autor\":\"\",\"ip\":null,",
            "\"autor\":\"a b\",\"ip\":null,",
            "\"autor\":null,\"ip\":null,",
            "\"autor\":\"a\",\"ip\":\"\",",
            "\"autor\":\"a\",\"ip\":\"null\",",
            "\"autor\":\"a\",\"ip\":7,",
            "\"autor\":\"a\",\"ip\":\"::1\",\"autor\":\"a\",\"ip\":\"::1\",",
            "\"req_cliente\":\"a\",",
            "\"req_cliente\":\"\",\"autor\":\"a\",\"ip\":null,",
            "\"req_cliente\":null,\"autor\":\"a\",\"ip\":null,",
            "\"req_cliente\":\"a b\",\"autor\":\"a\",\"ip\":null,",
            "\"autor\":\"a\",\"req_cliente\":\"a\",\"ip\":null,",
            "\"req_cliente\":\"a\",\"req_cliente\":\"a\",\"autor\":\"a\",\"ip\":null,",
        ] {
            assert!(!whole(wrong), "{wrong}");
        }
    }

    #[test]
    fn every_changed_byte_is_detected() {
        let request = request().beside("clique-7");
        let line = ChainHead::genesis("abc").append("{\"n\":1".to_owned(), request.as_ref(), &client()).into_bytes();
        for position in 0..line.len() {
            let mut changed = line.clone();
            changed[position] ^= 1;
            assert_eq!(checked_seq(&changed), None, "byte {position}");
            assert_eq!(checked_seq(&line[..position]), None, "cut at {position}");
        }
    }
}
