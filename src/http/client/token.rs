//! The token by which a client says who it is. No message, log line or debug output shows it.

use std::fmt;
use std::str::FromStr;

use hyper::header::HeaderValue;

/// The most characters of a token.
const TOKEN_MAX: usize = 4096;

/// A token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

/// What is wrong with a text that should be a token. The text itself is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongToken {
    /// It is empty.
    Empty,
    /// It is longer than any token.
    TooLong,
    /// It has a space, a line break, or a character that is not ASCII.
    Characters,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl FromStr for Token {
    type Err = WrongToken;

    /// Reads a token. White space around it is left out: most files end with a line break.
    fn from_str(text: &str) -> Result<Self, WrongToken> {
        let text = text.trim();
        if text.is_empty() {
            return Err(WrongToken::Empty);
        }
        if text.len() > TOKEN_MAX {
            return Err(WrongToken::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(WrongToken::Characters);
        }
        Ok(Self(text.into()))
    }
}

impl Token {
    /// The value of `Authorization` ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    pub(super) fn authorization(&self) -> HeaderValue {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).expect("a header takes visible ASCII");
        value.set_sensitive(true);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_trimmed_and_never_shown() {
        let token: Token = " sctec_abc\r\n".parse().unwrap();
        assert_eq!(token.authorization(), "Bearer sctec_abc");
        assert!(!format!("{token:?} {:?}", token.authorization()).contains("abc"));
        for (text, wrong) in [
            ("", WrongToken::Empty),
            (" \n\t", WrongToken::Empty),
            ("a b", WrongToken::Characters),
            ("a\nb", WrongToken::Characters),
            ("ação", WrongToken::Characters),
            ("a\u{7f}", WrongToken::Characters),
        ] {
            assert_eq!(text.parse::<Token>(), Err(wrong), "{text:?}");
        }
        assert_eq!("a".repeat(TOKEN_MAX + 1).parse::<Token>(), Err(WrongToken::TooLong));
    }
}
