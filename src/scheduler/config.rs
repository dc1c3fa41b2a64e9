//! What a scheduler runs with, checked before any IO, and why it cannot start.

use std::path::PathBuf;
use std::time::Duration;

use super::open_id::OpenId;
pub use crate::access::Access;
pub use crate::access::register::RegisterError;
use crate::access::secret::Secret;
use crate::coordinator::client;
use crate::coordinator::protocol::{RETENTION_MS_MAX, TTL_MS_DEFAULT, TTL_MS_MAX, TTL_MS_MIN};
pub use crate::data_dir::DataDirError;
use crate::http::guard::AllowedHost;
use crate::http::guard::origins::AllowedOrigin;
use crate::http::prefix::Prefixes;
use crate::http::rates::RateLimit;
use crate::http::server::Tenancy;
use crate::http::tls::Tls;
use crate::http::tls::Trust;
use crate::language::translation;
use crate::logging;
pub use crate::store::StoreError;
pub use crate::store::postgres::{Location, OpenError as PostgresError};
pub use crate::store::sqlite::OpenError;
use rust_i18n::t;
use std::borrow::Cow;

/// The service's name in logs and answers.
pub const SERVICE: &str = "servico-agendamento";
/// What `GET /pronto` says of a part that this scheduler does without.
pub const NOT_USED: &str = "não usado";
/// The version in answers and records.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A lease's life, if nothing else is configured.
pub const TTL_DEFAULT: Duration = Duration::from_millis(TTL_MS_DEFAULT);
/// How long a booked slot stays refused, if nothing else is configured.
pub const RETENTION_DEFAULT: Duration = Duration::from_secs(1);
/// The pause between check and save of [`Mode::Race`], if nothing else is configured.
pub const RACE_DELAY: Duration = Duration::from_millis(100);

/// What a scheduler runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the database, the trail's file and the logs are; made if missing. A coordinator may have the same folder.
    pub data_dir: PathBuf,
    /// The PostgreSQL database with the agenda; without one the agenda is in the data folder.
    pub store: Option<Location>,
    /// Where and how it logs.
    pub logging: logging::Config,
    /// With the coordinator's locks, or without any.
    pub mode: Mode,
    /// A pause inside the critical section, to widen the race or to hold a lock in a test.
    pub critical_delay: Duration,
    /// Whether callers have to say who they are.
    pub access: Access,
    /// The identity provider at which people sign in, where callers have to say who they are.
    pub open_id: Option<OpenId>,
    /// How many requests each client may make.
    pub rate: RateLimit,
    /// What the audit trail records, and in how many files.
    pub audit: AuditConfig,
    /// Whether another server runs in the same process.
    pub tenancy: Tenancy,
    /// The secret that its coordinator has to prove to have before anything is sent to it, and by which the coordinator knows it.
    pub coordinator_secret: Option<Secret>,
    /// The names by which clients may call it, beside `localhost` and the addresses of this machine.
    pub allowed_hosts: Vec<AllowedHost>,
    /// The origins of other pages that may use it. They say who they are with a token.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// Below which path clients see it, and which proxies may name another.
    pub prefixes: Prefixes,
    /// Its certificate, if it speaks TLS.
    pub tls: Option<Tls>,
    /// Whose certificate it believes if the coordinator's URL is `https://`.
    pub coordinator_trust: Trust,
}

/// How the audit trail is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditConfig {
    /// Whether refused bookings are recorded too.
    pub refusals: bool,
    /// The size at which a file is closed and the next one begun, in millions of bytes; `None` is a single file.
    pub rotate_mb: Option<u64>,
}

/// How rivals for a slot are kept apart.
#[derive(Clone, Debug)]
pub enum Mode {
    /// By the coordinator's locks: the real agenda.
    Locked {
        /// The coordinator's URLs. When one does not answer, the next is tried.
        coordinators: Vec<String>,
        /// A lease's life.
        ttl: Duration,
        /// How long a slot stays refused after it was booked.
        retention: Duration,
    },
    /// Not at all: the demonstration of the race, on a database of its own.
    Race,
}

/// A scheduler cannot start. Only a person at the command line reads it, so it is in the language of the process; it says
/// what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The database in PostgreSQL cannot be used.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The database was opened but cannot be read.
    #[error("{}", t!("cannot read the database: %{reason}", reason = .0))]
    Read(#[from] StoreError),
    /// The register of tokens cannot be used.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The coordinator's client cannot be started.
    #[error(transparent)]
    Coordinator(#[from] client::StartError),
    /// A duration is out of bounds.
    #[error("{}", t!("%{name} must be between %{min} and %{max} ms, not %{found}", name = in_our_language(name), min = min, max = max, found = found))]
    OutOfBounds {
        /// The duration's name.
        name: &'static str,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
        /// Its value.
        found: u128,
    },
}

/// The name of a duration. [`Config::check`] has the English ones.
fn in_our_language(name: &str) -> Cow<'_, str> {
    translation(name).unwrap_or(name.into())
}

impl Mode {
    /// By the locks of the coordinator at any of `urls`. All must lead to the *same* coordinator: when one does not answer, the
    /// next is tried. The TTL and the retention are the executable's defaults.
    pub fn locked(urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let coordinators = urls.into_iter().map(Into::into).collect();
        Self::Locked { coordinators, ttl: TTL_DEFAULT, retention: RETENTION_DEFAULT }
    }
}

impl Config {
    /// As the executable runs by default, with its data in `data_dir`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sctec::logging;
    /// use sctec::scheduler::{Config, Mode};
    ///
    /// let config = Config::new("sctec-data", Mode::locked(["http://127.0.0.1:3000"]));
    /// assert!(config.check().is_ok());
    /// // Log lines go to the file alone: standard output stays the program's own.
    /// let config = Config { logging: logging::Config::quiet(), ..config };
    /// # assert!(!config.logging.console);
    /// // Without locks, to demonstrate the race: in a database of its own, with a pause of 100 ms between check and save.
    /// let race = Config::new("sctec-data", Mode::Race);
    /// assert_eq!(race.critical_delay, Duration::from_millis(100));
    /// ```
    pub fn new(data_dir: impl Into<PathBuf>, mode: Mode) -> Self {
        Self {
            data_dir: data_dir.into(),
            store: None,
            logging: logging::Config::default(),
            critical_delay: if matches!(mode, Mode::Race) { RACE_DELAY } else { Duration::ZERO },
            mode,
            access: Access::Open,
            open_id: None,
            rate: RateLimit::default(),
            audit: AuditConfig::default(),
            tenancy: Tenancy::Shared,
            coordinator_secret: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            prefixes: Prefixes::default(),
            tls: None,
            coordinator_trust: Trust::default(),
        }
    }

    /// Checks what can be checked before any IO.
    ///
    /// # Errors
    /// [`StartError::OutOfBounds`].
    pub fn check(&self) -> Result<(), StartError> {
        let within = |name, duration: Duration, min: u64, max: u64| {
            let found = duration.as_millis();
            if (u128::from(min)..=u128::from(max)).contains(&found) {
                Ok(())
            } else {
                Err(StartError::OutOfBounds { name, min, max, found })
            }
        };
        if let Mode::Locked { ttl, retention, .. } = &self.mode {
            within("the lock's TTL", *ttl, TTL_MS_MIN, TTL_MS_MAX)?;
            within("the lock's retention", *retention, 0, RETENTION_MS_MAX)?;
        }
        Ok(())
    }
}
