//! Short forms of instants and of long texts, for a table.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The form of a column's instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are recorded.
    Whole,
    /// `2026-11-25 23:04:12`
    Dated,
    /// `11-25 23:04:12`
    OfOneYear,
    /// `23:04:12`
    OfOneDay,
}

/// An instant in a short form, without its fraction and without `left_out` at its end. A text that is not an instant in UTC stays
/// as it is.
pub fn short(text: &str, form: Form, left_out: &str) -> String {
    let is_instant = text.is_ascii() && text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z');
    if form == Form::Whole || !is_instant {
        return text.to_owned();
    }
    let (date, time) = (&text[..10], &text[11..19]);
    let time = time.strip_suffix(left_out).unwrap_or(time);
    match form {
        Form::OfOneDay => time.to_owned(),
        Form::OfOneYear => format!("{} {time}", &date[5..]),
        Form::Dated | Form::Whole => format!("{date} {time}"),
    }
}

/// The text, cut to that width, after a word if that leaves most of it. `…` stands for what was cut.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let fits = |c: &char| {
        let width = c.width().unwrap_or_default();
        let fits = width <= room;
        room = room.saturating_sub(width);
        fits
    };
    let kept: String = text.chars().take_while(fits).collect();
    let next_begins_a_word = text[kept.len()..].starts_with(' ');
    let words = if next_begins_a_word { Some(kept.as_str()) } else { kept.rsplit_once(' ').map(|(words, _)| words) };
    let most = words.filter(|words| words.width() * 2 >= width);
    format!("{}…", most.unwrap_or(&kept).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_after_a_word_or_between_two_characters() {
        assert_eq!(cut("Marie Curie", 11), "Marie Curie");
        assert_eq!(cut("Marie Curie", 10), "Marie…");
        assert_eq!(cut("Marie Curie", 6), "Marie…");
        assert_eq!(cut("Marie Curie", 5), "Mari…");
        assert_eq!(cut("7 Maria da Conceição", 12), "7 Maria da…");
        assert_eq!(cut("7 Wolfgang", 9), "7 Wolfga…");
        assert_eq!(cut("望遠鏡", 6), "望遠鏡");
        assert_eq!(cut("望遠鏡", 5), "望遠…");
        assert_eq!(cut("望遠鏡", 4), "望…");
    }
}
