//! The catalogues of the command line, and what has to stand in them: the texts of every `t!` and of every help text.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::CommandFactory;
use sctec::commands::{Cli, translated};

use super::literals::{Found, read};
use crate::common::sources;

/// Files of the lower layers whose texts end a message of the command line, and stand nowhere else.
const LOWER: &[&str] = &[
    "access/register/error.rs",
    "access/token_file.rs",
    "clock/client.rs",
    "coordinator/client/transport.rs",
    "data_dir/error.rs",
    "http/unreachable.rs",
    "scheduler/config.rs",
    "store/postgres/location.rs",
    "store/postgres/open_error.rs",
    "store/sqlite/open_error.rs",
];

/// Texts that look as if people read them, and why they are no text of ours: file, text, reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("commands/manual.rs", ".SH {heading}\n", "a line of roff"),
    ("commands/observing/documents.rs", "not an instant", "the reason of a document that is told as a whole"),
    ("commands/output.rs", "sctec: {}", "the program's name"),
    ("commands/translate/wrong.rs", " is not in ", "clap's sentence, which is taken apart"),
    ("commands/translate/wrong.rs", "to pass ", "clap's sentence, which is taken apart"),
    ("commands/translate/wrong.rs", " as a value, use ", "clap's sentence, which is taken apart"),
    ("commands/translate/wrong.rs", " exists; to use it, remove the ", "clap's sentence, which is taken apart"),
    ("commands/translate/wrong.rs", " before it", "clap's sentence, which is taken apart"),
    ("commands/health.rs", "the service", "a name that the advice translates"),
    ("commands/locks/client/error.rs", "the coordinator", "a name that the advice translates"),
    ("clock/client.rs", "the scheduler", "a name that the advice translates"),
    ("clock/client.rs", "it is not JSON with times in it", "a reason that the message translates"),
    ("clock/client.rs", "`timestamp_utc` is missing", "a reason that the message translates"),
    ("clock/client.rs", "the times are not RFC 3339 instants", "a reason that the message translates"),
    ("scheduler/config.rs", "não usado", "a state in an answer of the API"),
    ("coordinator/client/transport.rs", "{scheme}://{host} não respondeu em {} ms", "a reason for the log and the API"),
    ("coordinator/client/transport.rs", "{uri} não pôde ser consultado: {}", "a reason for the log and the API"),
    ("coordinator/client/transport.rs", "{uri} não respondeu: {}", "a reason for the log and the API"),
    ("coordinator/client/transport.rs", "{uri} respondeu {status}", "a reason for the log and the API"),
    (
        "coordinator/client/transport.rs",
        "{uri} não é do coordenador eleito, que é {eleito}",
        "a reason for the log and the API",
    ),
    (
        "coordinator/client/transport.rs",
        "{uri} não é do coordenador eleito, e não sabe qual é",
        "a reason for the log and the API",
    ),
    ("coordinator/client/transport.rs", "Bearer {}", "a header"),
    ("coordinator/client/transport.rs", "{uri} respondeu {status}", "a reason for the log and the API"),
    ("http/unreachable.rs", "failed to lookup address information", "the standard library's words"),
    ("http/unreachable.rs", "nada escuta nesse endereço", "a reason for the log and the API"),
    ("scheduler/config.rs", "the lock's TTL", "a name that the message translates"),
    ("scheduler/config.rs", "the lock's retention", "a name that the message translates"),
    ("commands/locks/view.rs", "{} min {:02} s", "units, which are the same in each language"),
    ("stress/outcome.rs", "error: no answer within {seconds} s", "the JSON report"),
    ("stress/outcome.rs", "error: not sent: the one before it got no answer", "the JSON report"),
    ("stress/outcome.rs", "error: {text}", "the JSON report"),
    ("stress/stats.rs", "{} without an answer", "the JSON report"),
    ("stress/stats.rs", "1 booking listed", "the JSON report"),
    ("stress/stats.rs", "{count} bookings listed", "the JSON report"),
    ("stress/stats.rs", "not the ones that were answered with 201", "the JSON report"),
    ("stress/workers.rs", "no codigo", "the JSON report"),
];

/// The catalogue of the system's own messages.
const SYSTEM: &str = "system.pt.yml";
/// The catalogue of what clap and the standard library say about a value.
const VALUES: &str = "values.pt.yml";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Each text with its translation and the file that has it.
struct Catalogue(BTreeMap<String, (String, String)>);

impl Catalogue {
    /// Reads the files. They are YAML, of strings in double quotes alone.
    fn read() -> Self {
        let mut texts = BTreeMap::new();
        let folder = root().join("assets/cli");
        for entry in std::fs::read_dir(&folder).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            assert!(file.ends_with(".pt.yml"), "{file}: a catalogue is named AREA.pt.yml");
            for (text, translation) in pairs(&file, &std::fs::read_to_string(folder.join(&file)).unwrap()) {
                let before = texts.insert(text.clone(), (translation, file.clone()));
                if let Some((_, other)) = before {
                    panic!("{text:?} stands in {other} and in {file}: if two areas use it, move it to common.pt.yml");
                }
            }
        }
        Self(texts)
    }
}

/// The texts and translations of a catalogue's file.
fn pairs(file: &str, yaml: &str) -> Vec<(String, String)> {
    let yaml: String = yaml.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    let mut rest = yaml.as_str();
    let mut string = || {
        let mut strings = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        let string = strings
            .next()?
            .unwrap_or_else(|error| panic!("{file}: not a string in double quotes: {error}\n{rest:.80}"));
        rest = rest[strings.byte_offset()..].trim_start_matches(':');
        Some(string)
    };
    let mut pairs = Vec::new();
    while let Some(text) = string() {
        let translation = string().unwrap_or_else(|| panic!("{file}: {text:?} has no translation"));
        pairs.push((text, translation));
    }
    pairs
}

/// The names of a text's placeholders.
fn placeholders(text: &str) -> Vec<&str> {
    let mut names: Vec<_> = text.split("%{").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Every `t!` of the source, and the texts that look as if they needed one.
fn found() -> BTreeMap<String, Found> {
    let folder = root().join("src");
    let files = sources(&folder).into_iter().map(|path| path.to_str().unwrap().to_owned());
    files.map(|file| (file.clone(), read(&std::fs::read_to_string(folder.join(&file)).unwrap()))).collect()
}

/// Every line of the help texts, as the catalogues are asked for it.
fn help_texts() -> Vec<String> {
    let asked = RefCell::new(Vec::new());
    translated(Cli::command(), &|text| {
        asked.borrow_mut().push(text.to_owned());
        None
    });
    asked.into_inner()
}

#[track_caller]
fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn every_text_has_a_translation_with_the_same_placeholders() {
    let catalogue = Catalogue::read();
    let mut told = Vec::new();
    for (file, found) in found() {
        for (text, arguments) in found.translated {
            match catalogue.0.get(&text) {
                None => told.push(format!("src/{file}: {text:?} is in no catalogue")),
                Some((translation, catalogue)) if placeholders(&text) != placeholders(translation) => {
                    told.push(format!("{catalogue}: {translation:?} has other placeholders than {text:?}"));
                }
                Some(_) => {}
            }
            let mut arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            arguments.sort_unstable();
            if arguments != placeholders(&text) {
                told.push(format!("src/{file}: {text:?} is given {arguments:?}"));
            }
        }
    }
    for text in help_texts().into_iter().filter(|text| !catalogue.0.contains_key(text)) {
        told.push(format!("help: {text:?} is in no catalogue"));
    }
    told.sort();
    told.dedup();
    assert_none("Add the Portuguese text to a file of assets/cli", &told);
}

#[test]
fn every_translation_is_used() {
    let found = found();
    let in_code = found.values().flat_map(|found| found.translated.iter().map(|(text, _)| text.clone()));
    let used: std::collections::BTreeSet<String> = in_code.chain(help_texts()).collect();
    let system: Vec<String> = (1..200)
        .map(|code| {
            let text = std::io::Error::from_raw_os_error(code).to_string();
            text.split(" (os error").next().unwrap().to_owned()
        })
        .collect();
    let catalogue = Catalogue::read();
    let unused = catalogue.0.iter().filter(|(text, (_, file))| match file.as_str() {
        // Asked for by the text that comes from elsewhere: black-box tests show that it does.
        VALUES => false,
        SYSTEM => !system.contains(text),
        _ => !used.contains(*text),
    });
    let told: Vec<_> = unused.map(|(text, (_, file))| format!("{file}: {text:?}")).collect();
    assert_none("No code uses these texts: remove them, or mend the spelling", &told);
}

#[test]
fn every_text_for_people_goes_through_the_catalogues() {
    let found = found();
    let people = |file: &str| {
        let is_tool = file.starts_with("commands/") || file.starts_with("stress/");
        (is_tool && !file.ends_with("/tests.rs")) || LOWER.contains(&file)
    };
    for file in LOWER {
        assert!(found.contains_key(*file), "LOWER names src/{file}, which is not there");
    }
    let mut told = Vec::new();
    for (file, found) in found.iter().filter(|(file, _)| people(file)) {
        let excepted = |text: &str| EXCEPTIONS.iter().any(|(of, exception, _)| of == file && *exception == text);
        let forgotten: Vec<_> = found.plain.iter().filter(|text| !excepted(text)).collect();
        told.extend(forgotten.iter().map(|text| format!("src/{file}: {text:?}")));
    }
    for (file, text, _) in EXCEPTIONS {
        if !found.get(*file).is_some_and(|found| found.plain.iter().any(|plain| plain == text)) {
            told.push(format!("src/{file} has no {text:?} any more: remove it from EXCEPTIONS in this test"));
        }
    }
    assert_none("Write t!(\"…\") around what a person reads, and its Portuguese in assets/cli", &told);
}
