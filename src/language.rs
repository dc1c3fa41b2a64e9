//! The language of the command line: English, or Portuguese from the catalogues in `assets/cli`.
//!
//! The English text is the key of its translation, so the code stays readable: `t!("… %{name}", name = …)`. Only the executable
//! chooses a language ([`speak`]); a program that uses this library stays English. What machines read (JSON, logs, the wire, the
//! database, exit statuses) does not depend on it, so `t!` stands only in texts that a person reads.

use std::borrow::Cow;
use std::error::Error;
use std::ffi::OsString;
use std::io;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use rust_i18n::t;

rust_i18n::i18n!("assets/cli");

/// A language of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The language of the code.
    English,
    /// The language of the catalogues.
    Portuguese,
}

// Not derived: the names need no explanation in the help.
impl ValueEnum for Language {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::English, Self::Portuguese]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.code()))
    }
}

impl Language {
    /// The language that the arguments ask for, or else the environment. It is chosen before clap reads the arguments, because
    /// clap's help and errors are in that language too. clap refuses a wrong `--lang` later.
    pub fn chosen(arguments: impl IntoIterator<Item = OsString>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let variable =
            |name: &str| variable(name).and_then(|value| value.into_string().ok()).filter(|text| !text.is_empty());
        let asked = of_arguments(arguments).or_else(|| variable("SCTEC_LANG"));
        let named = asked.and_then(|name| Self::from_str(&name, false).ok());
        named.unwrap_or_else(|| Self::of_locale(variable))
    }

    /// The language of the locale, by the order of POSIX. As in gettext, `LANGUAGE` has a list of languages, which counts unless
    /// the locale is `C`.
    fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(&variable).unwrap_or_default();
        if matches!(locale.split('.').next(), Some("" | "C" | "POSIX")) {
            return Self::English;
        }
        let list = variable("LANGUAGE").unwrap_or_default();
        list.split(':').chain([locale.as_str()]).find_map(Self::of_name).unwrap_or(Self::English)
    }

    /// The language of a locale's name, as `pt_BR.UTF-8`, if it is one of ours.
    fn of_name(locale: &str) -> Option<Self> {
        let language = locale.split(['_', '-', '.', '@']).next()?;
        Self::from_str(language, true).ok()
    }

    fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Portuguese => "pt",
        }
    }
}

/// The value of the last `--lang` among the program's arguments.
fn of_arguments(arguments: impl IntoIterator<Item = OsString>) -> Option<String> {
    let mut arguments = arguments.into_iter().skip(1).take_while(|argument| argument != "--");
    let mut found = None;
    while let Some(argument) = arguments.next() {
        let Some(argument) = argument.to_str() else { continue };
        if argument == "--lang" {
            found = arguments.next().and_then(|value| value.into_string().ok());
        } else if let Some(value) = argument.strip_prefix("--lang=") {
            found = Some(value.to_owned());
        }
    }
    found
}

/// Chooses the language of the whole process.
pub fn speak(language: Language) {
    rust_i18n::set_locale(language.code());
}

/// Whether the process speaks another language than that of the code.
pub fn is_translated() -> bool {
    *rust_i18n::locale() != *Language::English.code()
}

/// The translation of a text that no `t!` names, such as a line of clap's help, if the catalogues have it.
pub fn translation(text: &str) -> Option<Cow<'_, str>> {
    _rust_i18n_try_translate(&rust_i18n::locale(), text)
}

/// An error and its causes in one line, as `anyhow`'s `{:#}` has them. The system's messages are translated too.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(cause).collect::<Vec<_>>().join(": ")
}

fn cause(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref::<io::Error>() {
        Some(error) => io_message(error),
        None => error.to_string(),
    }
}

/// What the system says about a failure.
pub fn io_message(error: &io::Error) -> String {
    system_message(&error.to_string())
}

/// The same of a failure whose text alone was kept.
pub fn system_message(text: &str) -> String {
    let parts = text.strip_suffix(')').and_then(|text| text.split_once(" (os error "));
    match parts.and_then(|(message, code)| Some((translation(message)?, code))) {
        Some((message, code)) => t!("%{message} (os error %{code})", message = message, code = code).into_owned(),
        None => text.to_owned(),
    }
}

/// The text that fits a number, as `counted(n, t!("1 record"), t!("%{n} records", n = n))`. Portuguese divides the numbers as
/// English does, but for 0, which is rare here: "0 registros" is right in both.
pub fn counted<'a>(n: impl TryInto<u64>, one: Cow<'a, str>, several: Cow<'a, str>) -> Cow<'a, str> {
    if n.try_into().is_ok_and(|n: u64| n == 1) { one } else { several }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(arguments: &[&str], environment: &[(&str, &str)]) -> Language {
        let arguments = ["sctec"].iter().chain(arguments).map(OsString::from);
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Language::chosen(arguments, variable)
    }

    #[test]
    fn the_locale_decides_in_the_order_of_posix() {
        use Language::{English, Portuguese};
        for (environment, expected) in [
            (&[][..], English),
            (&[("LANG", "pt_BR.UTF-8")], Portuguese),
            (&[("LANG", "pt_PT")], Portuguese),
            (&[("LANG", "pt")], Portuguese),
            (&[("LANG", "PT-br@latin")], Portuguese),
            (&[("LANG", "de_DE.UTF-8")], English),
            (&[("LANG", "ptx")], English),
            (&[("LANG", "pt_BR"), ("LC_MESSAGES", "en_GB.UTF-8")], English),
            (&[("LANG", "en_US"), ("LC_MESSAGES", "pt_BR")], Portuguese),
            (&[("LANG", "pt_BR"), ("LC_MESSAGES", "pt_BR"), ("LC_ALL", "C")], English),
            (&[("LANG", "pt_BR"), ("LC_ALL", "POSIX")], English),
            (&[("LANG", "pt_BR"), ("LC_ALL", "C.UTF-8")], English),
            (&[("LANG", "pt_BR"), ("LC_ALL", "")], Portuguese),
            (&[("LANG", "pt_BR"), ("LANGUAGE", "en:pt")], English),
            (&[("LANG", "de_DE"), ("LANGUAGE", "fr:pt_BR:en")], Portuguese),
            (&[("LANG", "pt_BR"), ("LANGUAGE", "fr")], Portuguese),
            (&[("LANG", "C"), ("LANGUAGE", "pt")], English),
        ] {
            assert_eq!(chosen(&[], environment), expected, "{environment:?}");
        }
    }

    #[test]
    fn an_argument_overrules_the_variable_and_that_the_locale() {
        use Language::{English, Portuguese};
        let portuguese = [("LANG", "pt_BR")];
        for (arguments, expected) in [
            (&["--lang", "en"][..], English),
            (&["audit", "--lang=en", "--count"], English),
            (&["--lang=en", "--lang", "pt"], Portuguese),
            // clap refuses these, in the locale's language.
            (&["--lang", "xx"], Portuguese),
            (&["--lang", "EN"], Portuguese),
            (&["--lang"], Portuguese),
            // These are the words of another program.
            (&["lock", "X", "--", "ls", "--lang", "en"], Portuguese),
        ] {
            assert_eq!(chosen(arguments, &portuguese), expected, "{arguments:?}");
        }
        assert_eq!(chosen(&[], &[("LANG", "pt_BR"), ("SCTEC_LANG", "en")]), English);
        assert_eq!(chosen(&["--lang", "pt"], &[("SCTEC_LANG", "en")]), Portuguese);
        assert_eq!(chosen(&[], &[("LANG", "pt_BR"), ("SCTEC_LANG", "")]), Portuguese);
    }
}
