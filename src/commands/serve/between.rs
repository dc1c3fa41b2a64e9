//! The secret between a coordinator and its schedulers: from a file, or made for this process alone.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use anyhow::{Context, anyhow};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueHint};
use rust_i18n::t;

use crate::access::secret::Secret;
use crate::access::token_file;
use crate::commands::output::tell;

/// The option of what a coordinator and its schedulers share.
#[derive(Clone, Debug, Args)]
pub struct SecretArgs {
    /// The file with the secret that the coordinator and its schedulers share; 'sctec token secret FILE' makes one
    ///
    /// A scheduler sends nothing to a coordinator that does not prove to have the same secret. A coordinator keeps for those who have
    /// it the channel agenda, the names of telescopes' slots, lifting the fencing tokens, and taking
    /// locks away.
    #[arg(long, env = "SCTEC_COORDINATOR_TOKEN_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    coordinator_token_file: Option<OsString>,
    /// Make the secret's file if it does not exist
    ///
    /// Of several services that start at once with the same file, one makes it and the others read it. The folder must exist.
    #[arg(long, env = "SCTEC_CREATE_COORDINATOR_TOKEN", value_parser = BoolishValueParser::new(), requires = "coordinator_token_file")]
    create_coordinator_token: bool,
}

impl SecretArgs {
    /// The secret, if a file is given. An empty name is none: a composition may pass on a variable that is not set.
    ///
    /// # Errors
    /// When the file has no secret.
    pub fn read(&self) -> anyhow::Result<Option<Secret>> {
        let Some(path) = self.coordinator_token_file.as_deref().filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let path = Path::new(path);
        if self.create_coordinator_token {
            match token_file::create(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| t!("cannot write %{path}", path = path.display()));
                }
                Ok(()) => tell(t!("%{path} has a new secret", path = path.display())),
                Err(_) => {}
            }
        }
        let found = token_file::read(path)?;
        if let Some(mode) = found.readable_as {
            let mode = format!("{mode:04o}");
            tell(t!(
                "others may read the secret in %{path} (mode %{mode}); chmod 600 %{path}",
                path = path.display(),
                mode = mode
            ));
        }
        Ok(Some(Secret::new(found.token)))
    }
}

/// A secret that only this process knows, for the two services in it.
///
/// # Errors
/// When the system has no random bytes to give.
pub fn own_secret() -> anyhow::Result<Secret> {
    Secret::random().map_err(|error| anyhow!("{}", t!("the system gives no random numbers: %{reason}", reason = error)))
}
