//! What a coordinator runs with.

use std::path::PathBuf;

use super::election::ElectionConfig;
use super::table;
use crate::access::Access;
use crate::access::secret::Secret;
use crate::http::guard::AllowedHost;
use crate::http::rates::RateLimit;
use crate::http::server::Tenancy;
use crate::http::tls::Tls;
use crate::logging;

/// What a coordinator runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where `coordenador.log` and `coordenador.json` are; made if missing. A scheduler may have the same folder.
    pub data_dir: PathBuf,
    /// Where and how it logs.
    pub logging: logging::Config,
    /// Whether it gives no lock while a lease from before its start may still be live.
    pub grace: bool,
    /// Every token will be larger than this, below 2^53; for an operator to whom the count was lost. At the most
    /// [`TOKENS_ABOVE_MAX`](super::TOKENS_ABOVE_MAX).
    pub tokens_above: u64,
    /// Whether callers have to say who they are.
    pub access: Access,
    /// What it shares with its schedulers, so that they believe it. A scheduler has to have the same.
    pub secret: Option<Secret>,
    /// With a secret: whether the channel `agenda`, names of the form `TELESCOPE_INSTANT`, `token_minimo` and `DELETE /locks` are for
    /// those alone who have it. With [`Access::Token`] each caller's own rights count in any case.
    pub reserves: bool,
    /// How much the lock table takes, and how much of it each client may use.
    pub limits: table::Limits,
    /// Whether a client of this machine that does not say who it is has a quota too.
    pub quota_on_loopback: bool,
    /// How many requests each client may make. Those who have the secret may make any number; and if there is no secret, and no
    /// caller has to say who it is, only a limit that is given applies.
    pub rate: RateLimit,
    /// Whether it has the process to itself.
    pub tenancy: Tenancy,
    /// The names by which clients may call it, beside `localhost` and the addresses of this machine.
    pub allowed_hosts: Vec<AllowedHost>,
    /// Its certificate, if it speaks TLS.
    pub tls: Option<Tls>,
    /// The election of one of several coordinators, if it takes part in one.
    pub election: Option<ElectionConfig>,
}

impl Config {
    /// As the executable runs by default, with its data in `data_dir`.
    ///
    /// ```
    /// use sctec::{coordinator, logging};
    ///
    /// let config = coordinator::Config::new("sctec-data");
    /// assert!(config.grace);
    /// // Log lines go to the file alone: standard output stays the program's own.
    /// let config = coordinator::Config { logging: logging::Config::quiet(), ..config };
    /// # assert!(!config.logging.console);
    /// ```
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            logging: logging::Config::default(),
            grace: true,
            tokens_above: 0,
            access: Access::Open,
            secret: None,
            reserves: false,
            limits: table::Limits::default(),
            quota_on_loopback: false,
            rate: RateLimit::default(),
            tenancy: Tenancy::Shared,
            allowed_hosts: Vec::new(),
            tls: None,
            election: None,
        }
    }
}
