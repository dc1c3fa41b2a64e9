//! The options by which a coordinator takes part in an election.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, bail};
use clap::{Args, ValueHint};
use rust_i18n::t;

use super::own::reached_at;
use crate::commands::address::in_full;
use crate::commands::caller::{given, trust};
use crate::commands::output::tell;
use crate::coordinator::election::address::{EtcdUrl, WrongEtcdUrl};
use crate::coordinator::election::{ElectionConfig, Login};
use crate::http::client::Url;

/// The most bytes of the file with the login.
const FILE_MAX: u64 = 4096;
/// The permission to read, of everyone but the owner.
const OTHERS_READ: u32 = 0o044;

/// A URL of etcd, or an empty text. By its own name clap would take it for an option that needs no value.
type Given = Option<EtcdUrl>;

/// Options of an election.
#[derive(Clone, Debug, Args)]
pub struct ElectionArgs {
    /// Be one of several coordinators, of which etcd elects one: etcd://HOST:2379,HOST2:2379, or etcds:// over TLS. A path after the
    /// hosts is the prefix of the keys
    ///
    /// The elected coordinator gives locks; the others answer with its address. The limits that outlive a coordinator are in etcd then.
    /// Give schedulers the addresses of all coordinators.
    #[arg(long, env = "SCTEC_ELECTION", value_name = "URL", value_parser = parse_etcd)]
    election: Option<Given>,
    /// The URL by which schedulers and clients reach this coordinator [default: the address that it listens on]
    #[arg(long, env = "SCTEC_ADVERTISE", value_name = "URL", requires = "election")]
    advertise: Option<String>,
    /// The file with the user of etcd and the password, as USER:PASSWORD
    #[arg(long, env = "SCTEC_ELECTION_LOGIN_FILE", value_name = "FILE", value_hint = ValueHint::FilePath, requires = "election")]
    election_login_file: Option<OsString>,
    /// At etcds://, believe only certificates of the authority in this file (PEM) [default: the system's authorities]
    #[arg(long, env = "SCTEC_CA", value_name = "FILE", value_hint = ValueHint::FilePath)]
    ca: Option<OsString>,
}

/// An empty URL is none: a composition may pass on a variable that is not set.
fn parse_etcd(text: &str) -> Result<Given, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let url = text.parse().map_err(|wrong| match wrong {
        WrongEtcdUrl::Scheme => t!("should begin with etcd:// or etcds://"),
        WrongEtcdUrl::User => {
            t!("has a user, and everybody on the machine can read arguments: use --election-login-file")
        }
        WrongEtcdUrl::Member => t!("has a host that is not valid; separate several hosts by commas"),
        WrongEtcdUrl::Prefix => t!("has a prefix with other characters than letters, digits, '.', '_', '-' and '/'"),
    });
    url.map(Some).map_err(|wrong| t!("it %{wrong}; give it as etcd://10.0.0.7:2379", wrong = wrong).into_owned())
}

impl ElectionArgs {
    /// The election, if there is one; `listening` and `is_secure` are how this coordinator is reached.
    ///
    /// # Errors
    /// When a file cannot be used, or other machines cannot reach the coordinator by the address that it listens on.
    pub fn read(&self, listening: SocketAddr, is_secure: bool) -> anyhow::Result<Option<ElectionConfig>> {
        let Some(etcd) = self.election.clone().flatten() else { return Ok(None) };
        let scheme = if is_secure { "https" } else { "http" };
        let address = match self.advertise.as_deref().map(str::trim).filter(|url| !url.is_empty()) {
            Some(url) => {
                let url = in_full(url, scheme).trim_end_matches('/').to_owned();
                Url::parse(&url).context("--advertise")?;
                url
            }
            None if listening.ip().is_unspecified() => bail!(
                "{}",
                t!(
                    "other machines cannot reach %{address}; give the URL by which schedulers reach this coordinator with --advertise",
                    address = listening
                )
            ),
            None => format!("{scheme}://{}", reached_at(listening)),
        };
        let login = given(self.election_login_file.as_ref()).map(|file| login_in(Path::new(file))).transpose()?;
        Ok(Some(ElectionConfig { etcd, login, trust: trust(self.ca.as_ref())?, address }))
    }
}

/// The login in a file.
///
/// # Errors
/// When the file cannot be read, or has something else. No message shows what is in it.
fn login_in(path: &Path) -> anyhow::Result<Login> {
    let unreadable = || {
        t!("cannot read the login in %{path}; check the name of the file and its permissions", path = path.display())
    };
    let file = File::open(path).with_context(unreadable)?;
    let mode = file.metadata().with_context(unreadable)?.mode() & 0o777;
    let mut text = String::new();
    file.take(FILE_MAX).read_to_string(&mut text).with_context(unreadable)?;
    if mode & OTHERS_READ != 0 {
        let mode = format!("{mode:04o}");
        tell(t!(
            "others may read the login in %{path} (mode %{mode}); chmod 600 %{path}",
            path = path.display(),
            mode = mode
        ));
    }
    let Some(login) = Login::parse(&text) else {
        bail!("{}", t!("%{path} should have one line, USER:PASSWORD", path = path.display()));
    };
    Ok(login)
}
