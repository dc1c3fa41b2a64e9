//! The options of a command that calls a service: whose certificate it believes, and the token by which it says who calls.
//!
//! A token is never an argument: the list of processes shows arguments to everybody on the machine. clap does not know of the variable
//! `SCTEC_TOKEN` either, so no help text can show its value.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueHint};
use rust_i18n::t;
use rustix::process::geteuid;

use super::output::tell;
use crate::access;
use crate::http::client::{Security, Token, Url, WrongToken};
use crate::http::tls::Trust;

/// The variable with the token itself.
const TOKEN: &str = "SCTEC_TOKEN";
/// The most bytes of a token's file.
const FILE_MAX: u64 = 64 * 1024;
/// The permission to read, of everyone but the owner.
const OTHERS_READ: u32 = 0o044;

/// Options of a command that calls a service.
#[derive(Clone, Debug, Args)]
pub struct CallerArgs {
    /// At https://, believe only certificates of the authority in this file (PEM) [default: the system's authorities]
    #[arg(long, env = "SCTEC_CA", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca: Option<OsString>,
    // clippy wants a code mark around the variable, which the help would show.
    #[arg(
        long,
        env = "SCTEC_TOKEN_FILE",
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        help = "Read the token that says who calls from this file. Without it, the token is in the variable SCTEC_TOKEN, if there is one"
    )]
    pub token_file: Option<OsString>,
}

impl CallerArgs {
    /// What a call of the services at `urls` needs. The token is read once.
    ///
    /// # Errors
    /// When a file cannot be read, or has no token or certificate.
    pub fn security(&self, urls: &[String]) -> anyhow::Result<Security> {
        self.security_of(trust(self.ca.as_ref())?, urls)
    }

    /// The same with other certificates than those of `--ca`.
    ///
    /// # Errors
    /// When the file of the token cannot be read, or has no token.
    pub fn security_of(&self, trust: Trust, urls: &[String]) -> anyhow::Result<Security> {
        let token = match given(self.token_file.as_ref()) {
            Some(file) => Some(token_in(Path::new(file))?),
            None => token_of_environment()?,
        };
        security(trust, token.as_ref(), urls)
    }
}

/// The value of an option. An empty one is none: a composition may pass on a variable that is not set.
pub fn given(value: Option<&OsString>) -> Option<&OsStr> {
    value.map(OsString::as_os_str).filter(|value| !value.is_empty())
}

/// Whose certificates are believed with the option `--ca`.
///
/// # Errors
/// When there is no certificate in the file.
pub fn trust(ca: Option<&OsString>) -> anyhow::Result<Trust> {
    given(ca).map_or_else(|| Ok(Trust::default()), |file| Trust::in_file(Path::new(file)).context("--ca"))
}

/// Sends `token` to the services at `urls`, and warns where others could read it on the way.
///
/// # Errors
/// When a URL has a user of its own.
pub fn security(trust: Trust, token: Option<&Token>, urls: &[String]) -> anyhow::Result<Security> {
    // The command itself says what is wrong with the others.
    let urls: Vec<Url> = urls.iter().filter_map(|url| Url::parse(url.trim()).ok()).collect();
    if token.is_some() {
        if let Some(url) = urls.iter().find(|url| url.has_credentials()) {
            bail!(
                "{}",
                t!(
                    "%{url} has a user, and a token is given too: a request can carry only one of them; leave one out",
                    url = url
                )
            );
        }
        for url in urls.iter().filter(|url| !url.is_secure() && !url.is_loopback()) {
            tell(t!(
                "warning: the token goes to %{url} unencrypted, and everybody on the way can read it: use https://",
                url = url
            ));
        }
    }
    Ok(Security::new(trust, token, &urls))
}

/// The token in a file.
///
/// # Errors
/// When the file cannot be read, or has no token.
pub fn token_in(path: &Path) -> anyhow::Result<Token> {
    let name = path.display();
    let unreadable =
        || t!("cannot read the token in %{path}; check the name of the file and its permissions", path = name);
    let file = File::open(path).with_context(unreadable)?;
    let metadata = file.metadata().with_context(unreadable)?;
    let mut text = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut text).with_context(unreadable)?;
    let token = parsed(&text, &name.to_string())?;
    // The secrets of a container engine belong to root, and their reader cannot change that.
    if metadata.uid() == geteuid().as_raw() && metadata.is_file() && metadata.mode() & OTHERS_READ != 0 {
        tell(t!("warning: other users can read the token in %{path}: chmod 600 %{path}", path = name));
    }
    Ok(token)
}

/// The token in the variable, if there is one.
fn token_of_environment() -> anyhow::Result<Option<Token>> {
    let Some(text) = std::env::var_os(TOKEN).filter(|text| !text.is_empty()) else { return Ok(None) };
    parsed(text.as_encoded_bytes(), TOKEN).map(Some)
}

/// The token in a text that stands in `place`. A token of a service of ours has a checksum, by which a copy with an error is told from
/// a token that the service does not know. Other tokens, as those of a proxy, have none.
fn parsed(text: &[u8], place: &str) -> anyhow::Result<Token> {
    let text = std::str::from_utf8(text).map_err(|_| WrongToken::Characters);
    let token = text.and_then(str::parse).map_err(|wrong| anyhow!("{}", wrong_token(place, wrong)))?;
    if text.is_ok_and(|text| access::token::Token::parse(text.trim()) == Err(access::token::WrongToken::Checksum)) {
        bail!(
            "{}",
            t!(
                "the token in %{path} was copied with an error: its checksum, the last six digits, is that of another token; copy it again, as a whole",
                path = place
            )
        );
    }
    Ok(token)
}

/// What is wrong, without the text: it may be most of a token.
fn wrong_token(place: &str, wrong: WrongToken) -> String {
    let said = match wrong {
        WrongToken::Empty => t!("%{place} has no token: it is empty", place = place),
        WrongToken::TooLong => t!("%{place} has no token: it is longer than any token", place = place),
        WrongToken::Characters => {
            t!("%{place} has no token: a token is one word of ASCII letters and digits, as sctec_…", place = place)
        }
    };
    said.into_owned()
}
