//! clap's errors in the language of the process. clap's own texts are fixed, so the same facts are said here in words of ours.

use std::borrow::Cow;
use std::error::Error as _;

use clap::builder::{StyledStr, Styles};
use clap::error::{ContextKind, ContextValue, Error, ErrorFormatter, ErrorKind};
use rust_i18n::t;

use super::help;
use crate::language::{counted, translation};

/// Words of ours for an error.
pub struct Translated;

impl ErrorFormatter for Translated {
    fn format_error(error: &Error<Self>) -> StyledStr {
        let styles = Styles::styled();
        let (bad, good) = (styles.get_error(), styles.get_valid());
        let mut parts = vec![format!("{bad}{}{bad:#} {}", t!("error:"), message(error))];
        let tips = tips(error);
        if !tips.is_empty() {
            parts.push("\n".to_owned());
        }
        parts.extend(tips.iter().map(|tip| format!("\n  {good}{}{good:#} {tip}", t!("tip:"))));
        if let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) {
            parts.push(format!("\n\n{}", help::usage(&usage.ansi().to_string())));
        }
        let try_help = t!("For more information, try '%{flag}'.", flag = Word(styles.get_literal(), "--help"));
        parts.push(format!("\n\n{try_help}\n"));
        StyledStr::from(parts.concat())
    }
}

/// A word in a style.
struct Word<'a>(&'a clap::builder::styling::Style, &'a str);

impl std::fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(style, text) = self;
        write!(f, "{style}{text}{style:#}")
    }
}

fn text(error: &Error<Translated>, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

fn texts(error: &Error<Translated>, kind: ContextKind) -> &[String] {
    match error.get(kind) {
        Some(ContextValue::Strings(texts)) => texts,
        Some(ContextValue::String(text)) => std::slice::from_ref(text),
        _ => &[],
    }
}

fn number(error: &Error<Translated>, kind: ContextKind) -> isize {
    match error.get(kind) {
        Some(ContextValue::Number(number)) => *number,
        _ => 0,
    }
}

/// What is wrong.
fn message(error: &Error<Translated>) -> String {
    let styles = Styles::styled();
    let invalid = |text| Word(styles.get_invalid(), text);
    let literal = |text| Word(styles.get_literal(), text);
    let argument = text(error, ContextKind::InvalidArg).unwrap_or_default();
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    let said = match error.kind() {
        ErrorKind::ArgumentConflict => return conflict(error),
        ErrorKind::NoEquals => {
            t!("equal sign is needed when assigning values to '%{argument}'", argument = invalid(argument))
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            t!("a value is required for '%{argument}' but none was supplied", argument = invalid(argument))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            t!("invalid value '%{value}' for '%{argument}'", value = invalid(value), argument = literal(argument))
        }
        ErrorKind::InvalidSubcommand => {
            let name = text(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            t!("unrecognized subcommand '%{name}'", name = invalid(name))
        }
        ErrorKind::MissingRequiredArgument => t!("the following required arguments were not provided:"),
        ErrorKind::MissingSubcommand => {
            let name = text(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            t!("'%{name}' requires a subcommand but one was not provided", name = invalid(name))
        }
        ErrorKind::TooManyValues => t!(
            "unexpected value '%{value}' for '%{argument}' found; no more were expected",
            value = invalid(value),
            argument = literal(argument)
        ),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            let least = number(error, ContextKind::MinValues).max(number(error, ContextKind::ExpectedNumValues));
            t!(
                "'%{argument}' needs %{least} values; it has %{actual}",
                argument = literal(argument),
                least = least,
                actual = number(error, ContextKind::ActualNumValues)
            )
        }
        ErrorKind::UnknownArgument => t!("unexpected argument '%{argument}' found", argument = invalid(argument)),
        // Those of the other kinds that can be met have no facts (an argument that is not UTF-8), or are no errors (help).
        kind => return kind.as_str().map_or_else(|| t!("unknown cause").into_owned(), reason),
    };
    said.into_owned() + &details(error)
}

/// What follows the first sentence: a list, or the reason.
fn details(error: &Error<Translated>) -> String {
    let styles = Styles::styled();
    let valid = styles.get_valid();
    let list = |kind| {
        let words = texts(error, kind).iter().map(|word| Word(valid, word).to_string());
        words.collect::<Vec<_>>().join(", ")
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            let names = texts(error, ContextKind::InvalidArg).iter().map(|name| format!("\n  {}", Word(valid, name)));
            names.collect::<Vec<_>>().concat()
        }
        ErrorKind::MissingSubcommand if !texts(error, ContextKind::ValidSubcommand).is_empty() => {
            format!("\n  {}", t!("[subcommands: %{names}]", names = list(ContextKind::ValidSubcommand)))
        }
        ErrorKind::InvalidValue if !texts(error, ContextKind::ValidValue).is_empty() => {
            format!("\n  {}", t!("[possible values: %{values}]", values = list(ContextKind::ValidValue)))
        }
        ErrorKind::ValueValidation => {
            error.source().map(|source| format!(": {}", reason(&source.to_string()))).unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn conflict(error: &Error<Translated>) -> String {
    let styles = Styles::styled();
    let invalid = |text| Word(styles.get_invalid(), text);
    let argument = text(error, ContextKind::InvalidArg).unwrap_or_default();
    match texts(error, ContextKind::PriorArg) {
        [prior] if prior == argument => {
            t!("the argument '%{argument}' cannot be used multiple times", argument = invalid(argument)).into_owned()
        }
        [prior] => t!(
            "the argument '%{argument}' cannot be used with '%{other}'",
            argument = invalid(argument),
            other = invalid(prior)
        )
        .into_owned(),
        priors => {
            let others = priors.iter().map(|prior| format!("\n  {}", invalid(prior))).collect::<Vec<_>>();
            let said = t!("the argument '%{argument}' cannot be used with:", argument = invalid(argument));
            said.into_owned() + &others.concat()
        }
    }
}

/// Why a value is invalid. The parsers of ours speak the process's language; those of clap and of the standard library speak English.
fn reason(text: &str) -> String {
    if let Some((value, range)) = text.split_once(" is not in ") {
        return t!("%{value} is not in %{range}", value = value, range = range).into_owned();
    }
    translation(text).unwrap_or(Cow::Borrowed(text)).into_owned()
}

/// What was probably meant.
fn tips(error: &Error<Translated>) -> Vec<String> {
    let styles = Styles::styled();
    let named = |kind| {
        let words = texts(error, kind).iter().map(|word| format!("'{}'", Word(styles.get_valid(), word)));
        words.collect::<Vec<_>>().join(", ")
    };
    let similar = |kind| {
        let (number, names) = (texts(error, kind).len(), named(kind));
        let said = match kind {
            ContextKind::SuggestedSubcommand => counted(
                number,
                t!("a similar subcommand exists: %{names}", names = names),
                t!("some similar subcommands exist: %{names}", names = names),
            ),
            ContextKind::SuggestedArg => counted(
                number,
                t!("a similar argument exists: %{names}", names = names),
                t!("some similar arguments exist: %{names}", names = names),
            ),
            _ => counted(
                number,
                t!("a similar value exists: %{names}", names = names),
                t!("some similar values exist: %{names}", names = names),
            ),
        };
        (number > 0).then(|| said.into_owned())
    };
    let kinds = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let mut tips: Vec<String> = kinds.into_iter().filter_map(similar).collect();
    if let Some(ContextValue::StyledStrs(suggestions)) = error.get(ContextKind::Suggested) {
        tips.extend(suggestions.iter().map(|suggestion| tip(&suggestion.to_string())));
    }
    tips
}

/// clap's own suggestions: sentences with the words of the command line in quotes.
fn tip(text: &str) -> String {
    let parts: Vec<_> = text.split('\'').collect();
    match parts[..] {
        ["to pass ", value, " as a value, use ", usage, ""] => {
            t!("to pass '%{value}' as a value, use '%{usage}'", value = value, usage = usage).into_owned()
        }
        ["subcommand ", name, " exists; to use it, remove the ", dashes, " before it"] => {
            t!("subcommand '%{name}' exists; to use it, remove the '%{dashes}' before it", name = name, dashes = dashes)
                .into_owned()
        }
        ["", usage, " exists"] => t!("'%{usage}' exists", usage = usage).into_owned(),
        _ => text.to_owned(),
    }
}
