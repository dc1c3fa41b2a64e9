//! The options of a command that uses an agenda in PostgreSQL: the database, its password, and whose certificate is believed.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueHint};
use rust_i18n::t;

use super::caller::trust;
use super::output::tell;
use crate::store::postgres::Location;

/// The variable with the password, as PostgreSQL's own programs have it.
const PASSWORD: &str = "PGPASSWORD";
/// The variable that names another file of passwords than the one in the home folder.
const PASSFILE: &str = "PGPASSFILE";
/// The name of that one.
const HOME_PASSFILE: &str = ".pgpass";

/// The options of an agenda in PostgreSQL.
#[derive(Clone, Debug, Default, Args)]
pub struct StoreArgs {
    // clippy wants a mark around the URL, which the help would show.
    #[arg(
        long,
        env = "SCTEC_STORE",
        value_name = "URL",
        help = "The agenda is in this PostgreSQL database and not in the data folder: postgres://USER@HOST,HOST/DATABASE",
        long_help = "The agenda is in this PostgreSQL database and not in the data folder: postgres://USER@HOST,HOST/DATABASE

Of several hosts the one that takes writes is used. Without sslmode= in the URL a server on another machine has to speak TLS. The URL must have no password: that is in --store-password-file, in the variable PGPASSWORD, or in ~/.pgpass"
    )]
    store: Option<String>,
    #[command(flatten)]
    login: StoreLogin,
}

/// How a database is reached.
#[derive(Clone, Debug, Default, Args)]
pub struct StoreLogin {
    /// The file with the password of the database
    #[arg(long, env = "SCTEC_STORE_PASSWORD_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    store_password_file: Option<OsString>,
    /// Of the database, believe only certificates of the authority in this file (PEM) [default: the system's authorities]
    #[arg(long, env = "SCTEC_STORE_CA", value_name = "FILE", value_hint = ValueHint::FilePath)]
    store_ca: Option<OsString>,
}

impl StoreArgs {
    /// Whether the agenda is in PostgreSQL.
    pub fn is_given(&self) -> bool {
        self.store.as_deref().is_some_and(|url| !url.is_empty())
    }

    /// Where the agenda is, if it is in PostgreSQL. An empty value is none: a composition may pass on a variable that is not set.
    ///
    /// # Errors
    /// When the URL is none of PostgreSQL or has a password in it, or a file cannot be read.
    pub fn location(&self) -> anyhow::Result<Option<Location>> {
        let Some(url) = self.store.as_deref().filter(|url| !url.is_empty()) else { return Ok(None) };
        let unusable = || t!("--store (SCTEC_STORE) names no database that can be used");
        self.login.location(url).with_context(unusable).map(Some)
    }
}

impl StoreLogin {
    /// The database that a URL names, with its password.
    ///
    /// # Errors
    /// As [`StoreArgs::location`].
    pub fn location(&self, url: &str) -> anyhow::Result<Location> {
        // The URL is not repeated: it may have a password in it.
        let location = Location::parse(url)?;
        let location = location.with_trust(trust(self.store_ca.as_ref())?);
        Ok(match self.password(&location)? {
            Some(password) => location.with_password(&password),
            None => location,
        })
    }

    fn password(&self, location: &Location) -> anyhow::Result<Option<String>> {
        if let Some(path) = self.store_password_file.as_deref().filter(|path| !path.is_empty()) {
            return from_file(Path::new(path)).map(Some);
        }
        if let Some(password) = std::env::var_os(PASSWORD).filter(|password| !password.is_empty()) {
            let Ok(password) = password.into_string() else {
                bail!("{}", t!("the variable %{name} is not UTF-8", name = PASSWORD))
            };
            return Ok(Some(password));
        }
        let Some(path) = passfile() else { return Ok(None) };
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
        if is_readable_by_others(&path) {
            // PostgreSQL's own programs do the same.
            tell(t!("%{path} is not used, because others may read it; chmod 600 %{path}", path = path.display()));
            return Ok(None);
        }
        Ok(location.password_in(&text))
    }
}

/// The password in the first line of a file.
fn from_file(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| t!("cannot read %{path}", path = path.display()))?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        bail!("{}", t!("%{path} has no password in its first line", path = path.display()));
    }
    if is_readable_by_others(path) {
        tell(t!("others may read the password in %{path}; chmod 600 %{path}", path = path.display()));
    }
    Ok(password.to_owned())
}

fn passfile() -> Option<PathBuf> {
    let named = std::env::var_os(PASSFILE).filter(|path| !path.is_empty()).map(PathBuf::from);
    named.or_else(|| {
        let home = std::env::var_os("HOME").filter(|home| !OsStr::is_empty(home))?;
        Some(Path::new(&home).join(HOME_PASSFILE))
    })
}

fn is_readable_by_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}
