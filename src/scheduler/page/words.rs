//! Puts the words of a language into the page, so that a browser paints it in that language from the first moment.
//!
//! `index.html` has no words of its own: each element names its text by `data-t`, and its label by `data-t-label`. The words
//! are those of the page's own scripts, `pt.js` and `en.js`, so that each word stands in one place.

use std::collections::HashMap;

/// A language of the page.
#[derive(Debug)]
pub struct Language {
    /// Its primary tag, by which a browser asks for it.
    pub tag: &'static str,
    /// The value of the `lang` attribute and of `Content-Language`.
    pub locale: &'static str,
    /// The script with its words.
    pub script: &'static str,
}

/// The languages of the page. The first is for a browser that accepts none of them.
pub const LANGUAGES: [Language; 2] = [
    Language { tag: "pt", locale: "pt-BR", script: "pt.js" },
    Language { tag: "en", locale: "en-GB", script: "en.js" },
];

/// Words by their keys.
pub type Words = HashMap<String, String>;

/// Why a page cannot be filled.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// The script is not a module that exports one object of words.
    #[error("this is not `export default {{ \"key\": \"words\", … }}`")]
    NotACatalogue,
    /// An element names a text that the language does not have.
    #[error("there are no words for {0:?}")]
    Missing(String),
}

/// The words of a script: its `export default` is an object of JSON, with a comma after the last entry.
pub fn read(script: &str) -> Result<Words, FillError> {
    let object = script.split_once("export default {").and_then(|(_, rest)| rest.rsplit_once("};"));
    let entries = object.map(|(entries, _)| entries.trim_end().trim_end_matches(','));
    let words = entries.map(|entries| serde_json::from_str(&format!("{{{entries}}}")));
    words.and_then(Result::ok).ok_or(FillError::NotACatalogue)
}

/// The page in a language.
pub fn fill(template: &str, language: &Language, words: &Words) -> Result<String, FillError> {
    let said = |key: &str| words.get(key).ok_or_else(|| FillError::Missing(key.to_owned())).map(|text| escaped(text));
    let mut page = String::with_capacity(template.len() * 2);
    // A tag ends at the first `>`: no attribute of the page has one in its value.
    for piece in template.split_inclusive('>') {
        let label =
            piece.split_once("data-t-label=\"").and_then(|(before, after)| Some((before, after.split_once('"')?.0)));
        match label {
            Some((before, key)) => {
                let (label, rest) = (said(key)?, &piece[before.len()..]);
                page.extend([before, "aria-label=\"", &label, "\" ", rest]);
            }
            None => page.push_str(piece),
        }
        if let Some((_, after)) = piece.split_once("data-t=\"") {
            page.push_str(&said(after.split('"').next().unwrap_or_default())?);
        }
    }
    let pressed = |tag: &str, is: bool| format!("data-language=\"{tag}\" aria-pressed=\"{is}\"");
    let page = page.replacen("<html>", &format!("<html lang=\"{}\">", language.locale), 1);
    Ok(page.replace(&pressed(language.tag, false), &pressed(language.tag, true)))
}

/// The text as HTML, also for the value of an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_as_its_words() {
        let script = "// Words.\n\nexport default {\n  \"a.b\": \"é “c”: {x}\",\n  \"long\":\n    \"on a line, \\\"of\\\" its own\",\n};\n";
        let words = read(script).unwrap();
        assert_eq!((words.len(), words["a.b"].as_str()), (2, "é “c”: {x}"));
        assert_eq!(words["long"], "on a line, \"of\" its own");
        for wrong in ["", "export default {", "export default { a: 1 };", "export default {\"a\": 1};"] {
            assert!(matches!(read(wrong), Err(FillError::NotACatalogue)), "{wrong}");
        }
    }

    #[test]
    fn texts_and_labels_are_filled_in_and_the_language_is_named() {
        let [_, english] = &LANGUAGES;
        let words = Words::from([("a".into(), "R&D <x>".into()), ("b".into(), "\"b\"".into())]);
        let template = "<html><p data-t=\"a\"></p><b data-t=\"a\" data-t-label=\"b\" id=\"i\"></b><p>x</p><i data-language=\"pt\" aria-pressed=\"false\"></i><i data-language=\"en\" aria-pressed=\"false\"></i>";
        let filled = "<html lang=\"en-GB\"><p data-t=\"a\">R&amp;D &lt;x&gt;</p><b data-t=\"a\" aria-label=\"&quot;b&quot;\" data-t-label=\"b\" id=\"i\">R&amp;D &lt;x&gt;</b><p>x</p><i data-language=\"pt\" aria-pressed=\"false\"></i><i data-language=\"en\" aria-pressed=\"true\"></i>";
        assert_eq!(fill(template, english, &words).unwrap(), filled);
        let missing = fill("<p data-t=\"c\"></p>", english, &words).unwrap_err();
        assert_eq!(missing.to_string(), "there are no words for \"c\"");
    }
}
