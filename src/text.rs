//! Text that is safe to show: one event stays on one line of the log, and a name from outside cannot steer a terminal.
//!
//! Everything that came from a client, a server or a file's name passes through here before it is logged or printed.
//!
//! # The log line's grammar
//!
//! In a message, `=` stands only inside quotes, and every quote that is opened is closed. So ` name=value` outside of
//! quotes is always a field of the service's own: a client cannot forge one. Inside quotes `\` and `"` have a `\` before
//! them. Everywhere, a character that is invisible or changes how others look is written as JSON writes it.

use std::fmt::{self, Write as _};

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Appends text, with unsafe characters ([`is_unsafe`]) as escapes.
struct Escaped<'a>(&'a mut String);

impl Escaped<'_> {
    fn push(&mut self, c: char) {
        match c {
            '\n' => self.0.push_str("\\n"),
            '\r' => self.0.push_str("\\r"),
            '\t' => self.0.push_str("\\t"),
            c if is_unsafe(c) => self.push_escape(c),
            c => self.0.push(c),
        }
    }

    /// As JSON has it: a character past U+FFFF is two escapes.
    fn push_escape(&mut self, c: char) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a `String` cannot fail.
            let _ = write!(self.0, "\\u{unit:04x}");
        }
    }
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if has_unsafe(text) {
            text.chars().for_each(|c| self.push(c));
        } else {
            self.0.push_str(text);
        }
        Ok(())
    }
}

/// Whether a text has a character that is unsafe. Most texts have only letters of western languages and signs of ASCII.
fn has_unsafe(text: &str) -> bool {
    // In UTF-8 the letters of U+00C0 to U+00FF, and no other character, begin with the byte C3; bytes from 80 to BF go on with a character.
    // Many bytes are compared at once.
    let is_plain = text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~' | 0x80..=0xbf | 0xc3));
    !is_plain && text.contains(is_unsafe)
}

/// Whether a character is invisible or changes how others look. By Unicode's own tables these are control and format
/// characters (bidirectional marks, joiners, tags), line and paragraph separators, characters that a renderer may ignore
/// (fillers, variation selectors), and unassigned ones.
pub fn is_unsafe(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::Unassigned
    ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// At most the first `max_chars` characters of a text. A text that is short enough is neither read nor copied.
pub fn shortened(mut text: String, max_chars: usize) -> String {
    // No character is less than one byte.
    if text.len() > max_chars
        && let Some((end, _)) = text.char_indices().nth(max_chars)
    {
        text.truncate(end);
    }
    text
}

/// The text, with unsafe characters ([`is_unsafe`]) as escapes: it can neither break a line nor steer a terminal.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // Writing to a `String` cannot fail.
    let _ = Escaped(&mut safe).write_str(text);
    safe
}

/// The same for a text that is not needed any more: one that is safe already is not copied.
pub fn into_escaped(text: String) -> String {
    if has_unsafe(&text) { escaped(&text) } else { text }
}

/// A client's word inside a message, in quotes unless it consists of letters, digits and a few signs.
pub struct Word<'a>(pub &'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_plain_word(self.0) {
            return f.write_str(self.0);
        }
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// The signs of a word that needs no quotes.
const fn is_sign(c: char) -> bool {
    matches!(c, '-' | '_' | '.' | ':' | '/' | '+' | '%' | '@' | '#' | '~')
}

/// Whether a word needs no quotes.
fn is_plain_word(word: &str) -> bool {
    /// Of each byte, whether it is a letter, a digit or a sign of ASCII: these are safe, and most words have no others.
    static PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = 0_u8;
        while byte < 0x80 {
            plain[byte as usize] = byte.is_ascii_alphanumeric() || is_sign(byte as char);
            byte += 1;
        }
        plain
    };
    let is_plain = word.bytes().all(|byte| PLAIN[usize::from(byte)])
        || word.chars().all(|c| (c.is_alphanumeric() || is_sign(c)) && !is_unsafe(c));
    is_plain && !word.is_empty()
}

/// Several words, one after the other.
pub struct Words<'a, T>(pub &'a [T]);

impl<T: AsRef<str>> fmt::Display for Words<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{}", Word(word.as_ref()))?;
        }
        Ok(())
    }
}

/// Appends a field's value that is a text: see [`push_value`].
pub fn push_text_value(line: &mut String, value: &str) {
    if is_plain_word(value) {
        line.push_str(value);
    } else {
        push_value(line, &format_args!("{value}"));
    }
}

/// Appends a field's value: the escaped text, in quotes unless it is a plain word.
pub fn push_value(line: &mut String, value: &fmt::Arguments<'_>) {
    // Most values are plain words, which stay where they were written.
    if let Some(value) = pushed_unless(line, value, is_plain_word) {
        // Writing to a `String` cannot fail.
        let _ = write!(Escaped(line), "{}", Word(&value));
    }
}

/// Appends a text to the line if it `may_stay` there as it is. Else the text.
fn pushed_unless(line: &mut String, text: &fmt::Arguments<'_>, may_stay: fn(&str) -> bool) -> Option<String> {
    let start = line.len();
    // Writing to a `String` cannot fail.
    let _ = line.write_fmt(*text);
    (!may_stay(&line[start..])).then(|| line.split_off(start))
}

/// Appends a message, escaped as the line's grammar has it.
pub fn push_message(line: &mut String, message: &fmt::Arguments<'_>) {
    let is_plain = |text: &str| !has_unsafe(text) && memchr::memchr3(b'"', b'=', b'\\', text.as_bytes()).is_none();
    // Most messages are plain, and stay where they were written.
    if let Some(message) = pushed_unless(line, message, is_plain) {
        push_escaped(line, &message);
    }
}

/// Appends a message that has a character that is unsafe, or a sign of the grammar.
fn push_escaped(line: &mut String, message: &str) {
    let mut line = Escaped(line);
    let with_quotes = closes_its_quotes(message);
    let (mut quoted, mut after_backslash) = (false, false);
    for c in message.chars() {
        match c {
            // Text inside quotes was escaped by its author.
            c if quoted => {
                line.push(c);
                quoted = c != '"' || after_backslash;
                after_backslash = c == '\\' && !after_backslash;
            }
            '"' if with_quotes => {
                line.push(c);
                (quoted, after_backslash) = (true, false);
            }
            '"' | '=' => line.push_escape(c),
            '\\' => line.0.push_str("\\\\"),
            c => line.push(c),
        }
    }
}

/// Whether each quote that the text opens is closed in it. Else what follows the text would be inside quotes.
fn closes_its_quotes(text: &str) -> bool {
    let (mut quoted, mut after_backslash) = (false, false);
    for c in text.chars() {
        if quoted {
            quoted = c != '"' || after_backslash;
            after_backslash = c == '\\' && !after_backslash;
        } else if c == '"' {
            (quoted, after_backslash) = (true, false);
        }
    }
    !quoted
}

/// The text in lines of at most `width` cells: `first` stands before the first one, `others` before each of the others. Words stay
/// whole, also one that is wider.
pub fn wrapped(text: &str, width: usize, first: &str, others: &str) -> String {
    let options = textwrap::Options::new(width).initial_indent(first).subsequent_indent(others);
    textwrap::fill(text, options.break_words(false).word_splitter(textwrap::WordSplitter::NoHyphenation))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_quick_look_finds_what_each_character_says(text in "[ -~à-ÿ\u{ad}\u{2028}\u{202e}\n\x7f]{0,9}|.{0,9}") {
            prop_assert_eq!(has_unsafe(&text), text.contains(is_unsafe));
        }

        #[test]
        fn a_shortened_text_has_the_first_characters(text in ".{0,9}", max_chars in 0_usize..12) {
            let expected: String = text.chars().take(max_chars).collect();
            prop_assert_eq!(shortened(text, max_chars), expected);
        }
    }

    fn message(text: &str) -> String {
        let mut line = String::new();
        push_message(&mut line, &format_args!("{text}"));
        line
    }

    /// The fields of a line, read by its grammar: what has a `=` outside of quotes.
    fn fields(line: &str) -> Vec<(String, String)> {
        let (mut words, mut quoted, mut escape) = (vec![String::new()], false, false);
        for c in line.chars() {
            if c == ' ' && !quoted {
                words.push(String::new());
                continue;
            }
            if c == '"' && !escape {
                quoted = !quoted;
            }
            escape = quoted && c == '\\' && !escape;
            // Inside quotes it is no field's sign.
            words.last_mut().unwrap().push(if c == '=' && quoted { '\0' } else { c });
        }
        let pairs = words.iter().filter_map(|word| word.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.replace('\0', "="))).collect()
    }

    fn unquoted(value: &str) -> String {
        if value.starts_with('"') { serde_json::from_str(value).unwrap() } else { value.to_owned() }
    }

    #[test]
    fn a_plain_name_is_not_quoted_and_any_other_is() {
        for name in ["X", "Hubble-Acad_2025-12-01T03:00:00Z", "a/b.c", "Observatório", "望遠鏡", "127.0.0.1:3000"] {
            assert_eq!(Word(name).to_string(), name);
        }
        for (name, written) in [
            ("", "\"\""),
            ("x req=forged-1 token=9", "\"x req=forged-1 token=9\""),
            ("a=b", "\"a=b\""),
            ("a\"b\\", "\"a\\\"b\\\\\""),
            ("a, b", "\"a, b\""),
            ("a\u{a0}b", "\"a\u{a0}b\""),
            ("a\u{3000}b", "\"a\u{3000}b\""),
            ("a\u{200e}", "\"a\u{200e}\""),
        ] {
            assert_eq!(Word(name).to_string(), written, "{name:?}");
        }
        assert_eq!(Words(&["a", "b c"]).to_string(), "a \"b c\"");
    }

    #[test]
    fn invisible_characters_are_written_as_json_writes_them() {
        for (c, written) in [
            ('\u{7f}', "\\u007f"),
            ('\u{85}', "\\u0085"),
            ('\u{ad}', "\\u00ad"),
            ('\u{34f}', "\\u034f"),
            ('\u{61c}', "\\u061c"),
            ('\u{115f}', "\\u115f"),
            ('\u{180e}', "\\u180e"),
            ('\u{200b}', "\\u200b"),
            ('\u{200d}', "\\u200d"),
            ('\u{200e}', "\\u200e"),
            ('\u{200f}', "\\u200f"),
            ('\u{2028}', "\\u2028"),
            ('\u{202e}', "\\u202e"),
            ('\u{2060}', "\\u2060"),
            ('\u{2069}', "\\u2069"),
            ('\u{206a}', "\\u206a"),
            ('\u{3164}', "\\u3164"),
            ('\u{fe0f}', "\\ufe0f"),
            ('\u{feff}', "\\ufeff"),
            ('\u{fff9}', "\\ufff9"),
            ('\u{110bd}', "\\ud804\\udcbd"),
            ('\u{1bca0}', "\\ud82f\\udca0"),
            ('\u{1d173}', "\\ud834\\udd73"),
            ('\u{e0001}', "\\udb40\\udc01"),
            ('\u{e0041}', "\\udb40\\udc41"),
            ('\u{e0100}', "\\udb40\\udd00"),
        ] {
            assert_eq!(escaped(&c.to_string()), written);
            let back: String = serde_json::from_str(&format!("\"{written}\"")).unwrap();
            assert_eq!(back, c.to_string());
        }
        for fine in ["Marie Curie", "ção", "ß", "望遠鏡", "🔭", "e\u{301}", "א", "ع", " \u{a0}"] {
            assert_eq!(escaped(fine), fine);
        }
    }

    #[test]
    fn a_message_has_no_fields() {
        for (text, written) in [
            ("Lock concedido para recurso X", "Lock concedido para recurso X"),
            ("recurso \"X req=forjado\" livre", "recurso \"X req=forjado\" livre"),
            ("O recurso x req=forged-1 token=9 está livre", "O recurso x req\\u003dforged-1 token\\u003d9 está livre"),
            ("não há telescópio \"x\" req=forged \"y\"", "não há telescópio \"x\" req\\u003dforged \"y\""),
            ("não há telescópio \"x\" req=forged\"", "não há telescópio \\u0022x\\u0022 req\\u003dforged\\u0022"),
            ("não há telescópio \"x\\\"; a", "não há telescópio \\u0022x\\\\\\u0022; a"),
            ("a\\nb\nc", "a\\\\nb\\nc"),
        ] {
            assert_eq!(message(text), written);
            assert_eq!(fields(&message(text)), []);
        }
    }

    /// Pieces that would be fields, quotes or escapes if they were not escaped.
    fn forgery() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just(" req=forged".to_owned()),
            Just("\"".to_owned()),
            Just("\\".to_owned()),
            Just("=".to_owned()),
            Just(" ".to_owned()),
            Just("\n".to_owned()),
            "\\PC{0,4}",
            any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn only_our_fields_are_fields(text in forgery(), name in forgery(), value in forgery()) {
            let mut line = message(&format!("{text} {} {text}", Word(&name)));
            line.push_str(" req=r-1 de=");
            push_value(&mut line, &format_args!("{value}"));
            prop_assert!(!line.contains(is_unsafe), "{}", line);
            let found = fields(&line);
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            prop_assert_eq!(names, ["req", "de"], "{}", line);
            prop_assert_eq!(&found[0].1, "r-1");
            prop_assert_eq!(unquoted(&found[1].1), value, "{}", line);
        }

        #[test]
        fn an_escaped_json_text_is_the_same_text(text in any::<String>()) {
            let json = escaped(&serde_json::to_string(&text).unwrap());
            prop_assert!(!json.contains(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
