//! What a file is whose form cannot be read as lines, and what the user should do with it.

use rust_i18n::t;

use crate::audit::form::Foreign;

/// What it is, and what to do, in the language of the command line.
pub fn told(foreign: Foreign) -> String {
    let what = match foreign {
        Foreign::Compressed(program) => t!("it is compressed with %{program}", program = program),
        Foreign::Archive(kind) => t!("it is a %{kind} archive", kind = kind),
        Foreign::Database => t!("it is a SQLite database"),
        Foreign::Text(encoding) => t!("it is text in %{encoding}", encoding = encoding),
        Foreign::Binary => t!("it is binary data"),
    };
    let advice = match foreign {
        Foreign::Compressed(_) | Foreign::Archive(_) => {
            t!("decompress it first; the only compression that sctec reads is gzip")
        }
        Foreign::Text(encoding) => {
            t!("convert it to UTF-8 first, as with iconv -f %{encoding} -t UTF-8", encoding = encoding)
        }
        Foreign::Database | Foreign::Binary => {
            t!("name a file of a trail (audit.jsonl), or a log with its records (app.log)")
        }
    };
    format!("{what}; {advice}")
}
