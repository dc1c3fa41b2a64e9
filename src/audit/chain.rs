//! The hash chain that makes the trail tamper-evident.
//!
//! Each record carries the hash of the one before it and ends with its own, over the exact bytes of its line before
//! `,"hash":`. So a line proves all the lines above it, and can be checked without knowing what JSON is (the idea of
//! Schneier and Kelsey, "Secure Audit Logs to Support Computer Forensics", 1999).

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// What stands between a record's hashed bytes and its hash.
const HASH_FIELD: &str = ",\"hash\":\"";

/// The chain's last record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 before the first.
    pub seq: u64,
    /// Its hash, 64 lower-case hexadecimal digits; before the first, that of the trail's identity.
    pub hash: String,
}

impl Head {
    /// The head of a trail without records.
    pub fn genesis(identity: &str) -> Self {
        Self { seq: 0, hash: hex(&Sha256::digest(identity.as_bytes())) }
    }

    /// Adds a record to the chain and gives its line, without the line break. `open_json` is a JSON object up to its
    /// closing brace, `request_id` needs no escaping.
    pub fn append(&mut self, open_json: String, request_id: &str) -> String {
        let mut line = open_json;
        self.seq += 1;
        // Writing to a `String` cannot fail.
        let _ = write!(line, ",\"seq\":{},\"req\":\"{request_id}\",\"prev\":\"{}\"", self.seq, self.hash);
        self.hash = hex(&Sha256::digest(line.as_bytes()));
        let _ = write!(line, "{HASH_FIELD}{}\"}}", self.hash);
        line
    }
}

/// The one field that is read back.
#[derive(serde::Deserialize)]
struct Numbered {
    seq: u64,
}

/// The number of a record, read from the end of its line, or `None` if it is not a whole record with a right hash.
pub fn checked_seq(line: &[u8]) -> Option<u64> {
    const TAIL: usize = HASH_FIELD.len() + 64 + 2;
    let (hashed, tail) = line.split_at(line.len().checked_sub(TAIL)?);
    let hash = tail.strip_prefix(HASH_FIELD.as_bytes())?.strip_suffix(b"\"}")?;
    if hex(&Sha256::digest(hashed)).as_bytes() != hash {
        return None;
    }
    serde_json::from_slice::<Numbered>(line).ok().map(|record| record.seq)
}

fn hex(digest: &[u8]) -> String {
    base16ct::lower::encode_string(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_previous_hash_is_that_of_the_identity() {
        // SHA-256("abc"), FIPS 180-2 appendix B.1.
        let head = Head::genesis("abc");
        assert_eq!(head.hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn each_record_carries_the_hash_of_the_one_before() {
        let mut head = Head::genesis("abc");
        let mut previous = head.hash.clone();
        for seq in 1..=3 {
            let line = head.append(format!("{{\"n\":{seq}"), "r-1");
            let record: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(record["seq"], seq);
            assert_eq!(record["prev"], previous);
            assert_eq!(record["hash"], head.hash);
            assert_eq!(checked_seq(line.as_bytes()), Some(seq));
            previous = head.hash.clone();
        }
    }

    #[test]
    fn any_changed_byte_shows() {
        let line = Head::genesis("abc").append("{\"n\":1".to_owned(), "r-1").into_bytes();
        for position in 0..line.len() {
            let mut changed = line.clone();
            changed[position] ^= 1;
            assert_eq!(checked_seq(&changed), None, "byte {position}");
            assert_eq!(checked_seq(&line[..position]), None, "cut at {position}");
        }
    }
}
