//! `--head`: the chain heads that were noted elsewhere.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use rust_i18n::t;
use serde::Deserialize;

use super::args::AuditArgs;
use super::reading::cannot_read;
use crate::audit::chain;
use crate::audit::filter::without_mark;
use crate::audit::verify::Anchor;

/// A head as `GET /auditoria/cabeca` gives it; a record's own line has these fields too.
#[derive(Deserialize)]
struct Head {
    seq: u64,
    hash: String,
}

/// The heads in the file of `--head`.
///
/// # Errors
/// When the file cannot be read, or has something else than heads.
pub fn noted(args: &AuditArgs, path: &Path) -> anyhow::Result<Vec<Anchor>> {
    let from_stdin = path.as_os_str() == "-";
    if from_stdin && args.files.iter().any(|file| file == path) {
        bail!(t!("standard input cannot be both a file of the trail and --head; give a file for one of them"));
    }
    let name = if from_stdin { t!("standard input").into_owned() } else { path.display().to_string() };
    let mut text = Vec::new();
    let read = if from_stdin {
        io::stdin().lock().read_to_end(&mut text)
    } else {
        File::open(path).and_then(|mut file| file.read_to_end(&mut text))
    };
    read.with_context(|| cannot_read(&name))?;
    let heads = r#"{"seq": 1, "hash": "…"}"#;
    let mut anchors = Vec::new();
    // Some editors write a byte order mark at the beginning of a file.
    for head in serde_json::Deserializer::from_slice(without_mark(&text)).into_iter::<Head>() {
        let Head { seq, hash } = head.map_err(|error| {
            anyhow!(t!(
                "%{name}, line %{line}, column %{column}: this is not a chain head; give heads as GET /auditoria/cabeca answers \
                 them, %{heads}",
                name = name,
                line = error.line(),
                column = error.column(),
                heads = heads
            ))
        })?;
        if !chain::is_hash(hash.as_bytes()) {
            bail!(t!(
                "%{name}: %{hash} is not a hash, which has 64 lower-case hexadecimal digits; give heads as GET /auditoria/cabeca \
                 answers them, %{heads}",
                name = name,
                hash = format!("{hash:?}"),
                heads = heads
            ));
        }
        anchors.push(Anchor { seq, hash, from: name.clone() });
    }
    if anchors.is_empty() {
        bail!(t!(
            "%{name} is empty; give heads as GET /auditoria/cabeca answers them, %{heads}",
            name = name,
            heads = heads
        ));
    }
    Ok(anchors)
}
