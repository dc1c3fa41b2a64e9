//! Tokens: how one is made, recognised and stored.
//!
//! A token is `sctec_`, then 32 random bytes as 43 base62 digits, then a CRC-32 of all of that as 6 base62 digits. So a scanner of
//! repositories recognises a token that somebody has published, and a typing error is told apart from a token that was
//! revoked. GitHub's tokens have the same form ("Behind GitHub's new authentication token formats", 2021).
//!
//! Only the SHA-256 of a token is stored. A slow hash protects a password, which a person has chosen; nobody can try 2^256
//! random tokens.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// What every token begins with.
pub const TOKEN_PREFIX: &str = "sctec_";
/// The random bytes of a token, and of a session's secret.
pub(super) const SECRET_BYTES: usize = 32;
/// Their base62 digits: 62^43 > 2^256.
pub(super) const SECRET_DIGITS: usize = 43;
/// The base62 digits of the checksum: 62^6 > 2^32.
const CHECKSUM_DIGITS: usize = 6;
/// The bytes of a token.
pub const TOKEN_BYTES: usize = TOKEN_PREFIX.len() + SECRET_DIGITS + CHECKSUM_DIGITS;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A token as its bearer sends it. No log and no error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// What is wrong with a text that should be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongToken {
    /// It does not have a token's form.
    Form,
    /// It has the form, and its checksum is that of another text: a digit is missing or wrong.
    Checksum,
}

/// The SHA-256 of a token, of a session's secret, or of another random secret: what is stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Token {
    /// A new token.
    ///
    /// # Errors
    /// When the system has no random bytes to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret)?;
        Ok(Self::of(secret))
    }

    fn of(secret: [u8; SECRET_BYTES]) -> Self {
        let mut text = String::with_capacity(TOKEN_BYTES);
        text.push_str(TOKEN_PREFIX);
        push_base62(&mut text, &secret, SECRET_DIGITS);
        let checksum = checksum_digits(&text);
        text.extend(checksum.map(char::from));
        Self(text)
    }

    /// Reads what should be a token.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, WrongToken> {
        check(text).map(|()| Self(text.to_owned()))
    }

    /// The token itself, to be sent or to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Digest {
    /// That of a secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// That of what should be a token.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_token(text: &str) -> Result<Self, WrongToken> {
        check(text).map(|()| Self::of(text))
    }

    /// That of these bytes, as they are stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// Checks what should be a token. Each request with a token is checked, so nothing is allocated.
fn check(text: &str) -> Result<(), WrongToken> {
    let rest = text.strip_prefix(TOKEN_PREFIX).ok_or(WrongToken::Form)?;
    if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(WrongToken::Form);
    }
    let (said, checksum) = text.split_at_checked(TOKEN_BYTES - CHECKSUM_DIGITS).ok_or(WrongToken::Checksum)?;
    let right = checksum_digits(said);
    if checksum.as_bytes() == right { Ok(()) } else { Err(WrongToken::Checksum) }
}

/// The checksum of a token's beginning: a CRC-32 as base62 digits.
fn checksum_digits(said: &str) -> [u8; CHECKSUM_DIGITS] {
    let mut number = crc32fast::hash(said.as_bytes());
    let mut digits = [0; CHECKSUM_DIGITS];
    for digit in digits.iter_mut().rev() {
        // A rest below 62 is a place in the table.
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    digits
}

/// Appends the big-endian number `bytes` as exactly `digits` base62 digits.
pub(super) fn push_base62(text: &mut String, bytes: &[u8], digits: usize) {
    let mut number = bytes.to_vec();
    let mut found = vec![DIGITS[0]; digits];
    for digit in found.iter_mut().rev() {
        let mut rest = 0_u16;
        for byte in &mut number {
            let value = rest * 256 + u16::from(*byte);
            // A rest below 62 and a byte make a value below 62 * 256, so the quotient is a byte.
            *byte = (value / 62).to_be_bytes()[1];
            rest = value % 62;
        }
        *digit = DIGITS[usize::from(rest)];
    }
    text.extend(found.into_iter().map(char::from));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_smallest_and_the_largest_have_the_same_length() {
        for (secret, begin) in [([0; 32], "sctec_0000000"), ([255; 32], "sctec_")] {
            let token = Token::of(secret);
            assert!(token.0.len() == TOKEN_BYTES && token.0.starts_with(begin), "{}", token.0);
            assert_eq!(Token::parse(&token.0), Ok(token));
        }
        let mut one = [0; 32];
        one[31] = 62;
        assert!(Token::of(one).0.starts_with("sctec_0000000000000000000000000000000000000000010"));
    }

    #[test]
    fn a_token_is_random_and_is_never_shown() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert_ne!(one, other);
        for shown in [format!("{one:?}"), format!("{:?}", one.digest())] {
            assert!(!shown.contains(&one.0[6..12]), "{shown}");
        }
    }

    #[test]
    fn what_is_no_token_is_told_apart_from_a_typing_error() {
        let token = Token::of([7; 32]).0;
        for text in ["", "sctec_", "ghp_abc", "sctec_ab cd", "sctec_é", &format!("{token}\n"), &token[6..]] {
            assert_eq!(Token::parse(text), Err(WrongToken::Form), "{text:?}");
        }
        for text in [&token[..TOKEN_BYTES - 1], &format!("{token}0"), "sctec_a"] {
            assert_eq!(Token::parse(text), Err(WrongToken::Checksum), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_wrong_digit_is_found(secret: [u8; 32], at in TOKEN_PREFIX.len()..TOKEN_BYTES, by in 1_usize..62) {
            let mut bytes = Token::of(secret).0.into_bytes();
            let digit = DIGITS.iter().position(|digit| *digit == bytes[at]).unwrap();
            bytes[at] = DIGITS[(digit + by) % 62];
            let wrong = String::from_utf8(bytes).unwrap();
            prop_assert_eq!(Token::parse(&wrong), Err(WrongToken::Checksum));
        }
    }
}
