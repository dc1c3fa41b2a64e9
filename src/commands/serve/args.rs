//! The arguments of `serve-scheduler`, `serve-coordinator` and `serve-all`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::bail;
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum, ValueHint};
use rust_i18n::t;

use super::between::SecretArgs;
use super::election::ElectionArgs;
use super::front::FrontArgs;
use super::open_id::OpenIdArgs;
use crate::access::Access;
use crate::commands::address::{parse_allowed_host, parse_listen, url_parser};
use crate::commands::store::StoreArgs;
use crate::commands::values::whole_number;
use crate::coordinator::protocol::TOKENS_ABOVE_MAX;
use crate::coordinator::table::{Limits, TABLE_MIB_DEFAULT};
use crate::http::guard::AllowedHost;
use crate::http::rates::RateLimit;
use crate::http::tls::Tls;
use crate::logging::ROTATE_MB_DEFAULT;

/// Options of every server.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// Folder for data and logs; made if missing
    #[arg(long, env = "SCTEC_DATA_DIR", default_value = "sctec-data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Where log lines go: to the file (app.log or coordenador.log in the data folder), to standard output, or to both
    #[arg(long, env = "SCTEC_LOG_TO", default_value = "both", value_name = "WHERE")]
    pub log_to: LogTo,
    /// Format of the log lines
    #[arg(long, env = "SCTEC_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// The least severe level that is logged
    #[arg(long, env = "SCTEC_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: LogLevel,
    /// Rotate the log file at this many megabytes, and keep the last five (app.log.1 to .5); 0 never rotates
    #[arg(long, env = "SCTEC_LOG_ROTATE_MB", default_value_t = ROTATE_MB_DEFAULT, value_name = "MB", value_parser = whole_number::<u64>(0..=1_000_000))]
    pub log_rotate_mb: u64,
}

/// Options of who may call a server.
#[derive(Clone, Debug, Args)]
pub struct CallerArgs {
    /// Also answer requests for this host name or address, with any port. Repeat it, or comma-separate several. localhost and
    /// the addresses of this machine are always answered
    #[arg(long = "allowed-host", env = "SCTEC_ALLOWED_HOST", value_name = "HOST", value_delimiter = ',', value_parser = parse_allowed_host)]
    pub allowed_hosts: Vec<Option<AllowedHost>>,
    /// Whether clients have to say who they are: open asks nobody, token asks for one of the tokens that sctec token create makes
    #[arg(long, env = "SCTEC_ACCESS", default_value = "open", value_name = "ACCESS")]
    pub access: AccessArg,
    /// Listen beyond this machine although no client has to say who it is: everybody who reaches the port may book, cancel and take
    /// locks
    #[arg(long, env = "SCTEC_OPEN", value_parser = BoolishValueParser::new())]
    pub open: bool,
    /// Requests a second that one client may make; 0 is no limit. A client is who the token says, or else a network address (IPv6: a
    /// network, /64). Schedulers with the coordinator's secret have no limit [default: 200; with --access open, clients on
    /// this machine, and all clients of a coordinator without a secret, have no limit unless one is given]
    #[arg(long, env = "SCTEC_RATE", value_name = "N", value_parser = whole_number::<u32>(0..=1_000_000))]
    pub rate: Option<u32>,
    /// Requests that one client may make at once, after a pause [default: ten times --rate]
    #[arg(long, env = "SCTEC_BURST", value_name = "N", value_parser = whole_number::<u32>(1..=10_000_000))]
    pub burst: Option<u32>,
}

impl CallerArgs {
    /// Whether callers are asked.
    pub fn access(&self) -> Access {
        match self.access {
            AccessArg::Open => Access::Open,
            AccessArg::Token => Access::Token,
        }
    }

    /// How many requests each client may make.
    pub fn rate(&self) -> RateLimit {
        RateLimit { per_second: self.rate, burst: self.burst }
    }

    /// The hosts that are allowed. An empty one is none: a composition may pass on a variable that is not set.
    pub fn hosts(&self) -> Vec<AllowedHost> {
        self.allowed_hosts.iter().flatten().cloned().collect()
    }
}

/// Options of a server's TLS.
#[derive(Clone, Debug, Args)]
pub struct TlsArgs {
    /// Serve over TLS, with the certificate in this file: PEM, the server's certificate first and then those that lead to a root.
    /// A file that changes is read again
    #[arg(long, env = "SCTEC_TLS_CERT", value_name = "FILE", value_hint = ValueHint::FilePath)]
    tls_cert: Option<OsString>,
    /// The private key of that certificate: PEM, without a password
    #[arg(long, env = "SCTEC_TLS_KEY", value_name = "FILE", value_hint = ValueHint::FilePath)]
    tls_key: Option<OsString>,
}

impl TlsArgs {
    /// The certificate and its key, if a server is to speak TLS. An empty name is none: a composition may pass on a variable that
    /// is not set.
    ///
    /// # Errors
    /// When one is given without the other, or they cannot be used.
    pub fn read(&self) -> anyhow::Result<Option<Tls>> {
        let given = |file: &Option<OsString>| file.clone().filter(|name| !name.is_empty());
        match (given(&self.tls_cert), given(&self.tls_key)) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some(Tls::read(cert, key)?)),
            (Some(_), None) => bail!("{}", t!("--tls-cert needs the key too: give --tls-key FILE (SCTEC_TLS_KEY)")),
            (None, Some(_)) => {
                bail!("{}", t!("--tls-key needs the certificate too: give --tls-cert FILE (SCTEC_TLS_CERT)"))
            }
        }
    }
}

/// Whether clients have to say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccessArg {
    /// Everybody who reaches the port may do everything
    Open,
    /// A client sends a token, and may do what its roles allow
    Token,
}

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogTo {
    /// The file and standard output
    Both,
    /// Standard output alone, for a service manager that stores it (a container engine, journald)
    Console,
    /// The file alone
    File,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// LEVEL:INSTANT:SERVICE:MESSAGE req=ID
    Text,
    /// One JSON object per line
    Json,
}

/// The least severe level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Debug,
    Info,
    Warning,
    Error,
}

/// Options of the scheduler's locking.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_field_names, reason = "they are the flags' names, which end with their unit")]
pub struct LockArgs {
    /// Pause inside the critical section: makes the race likelier, or keeps a lock longer in a test [default: 0; 100 with
    /// --no-lock]
    #[arg(long, env = "SCTEC_CRITICAL_DELAY_MS", value_name = "MS", value_parser = whole_number::<u64>(0..=600_000))]
    pub critical_delay_ms: Option<u64>,
    /// Time to live of a lock that is not released, from 100 to 300000
    #[arg(long, env = "SCTEC_LOCK_TTL_MS", default_value_t = 10_000, value_name = "MS")]
    pub lock_ttl_ms: u64,
    /// Time after a booking during which the lock of its slot is still refused, up to 60000
    #[arg(long, env = "SCTEC_LOCK_RETENTION_MS", default_value_t = 1000, value_name = "MS")]
    pub lock_retention_ms: u64,
}

/// Options of how much the coordinator's clients may use.
#[derive(Clone, Debug, Args)]
pub struct BoundArgs {
    /// Resources that one client may have locked, retained or waited for; 0 is no limit. Clients of one network address are one
    /// client, and so is a network of IPv6 (/64) [default: 4096; clients on this machine have no limit unless one is given]
    #[arg(long, env = "SCTEC_CLIENT_LOCKS", value_name = "N", value_parser = whole_number::<usize>(0..=1_000_000))]
    pub client_locks: Option<usize>,
    /// How many of these one client may wait for; 0 is no limit [default: 1024; clients on this machine have no limit unless one
    /// is given]
    #[arg(long, env = "SCTEC_CLIENT_WAITS", value_name = "N", value_parser = whole_number::<usize>(0..=1_000_000))]
    pub client_waits: Option<usize>,
    /// Memory for all locks, retentions and waiting requests, in mebibytes. A request for which there is no room is refused
    #[arg(long, env = "SCTEC_TABLE_MIB", default_value_t = TABLE_MIB_DEFAULT, value_name = "N", value_parser = whole_number::<usize>(1..=65_536))]
    pub table_mib: usize,
}

impl BoundArgs {
    /// How much the lock table takes.
    pub fn limits(&self) -> Limits {
        let default = Limits::of_mebibytes(self.table_mib);
        let most = |given: Option<usize>, default| match given {
            Some(0) => usize::MAX,
            given => given.unwrap_or(default),
        };
        Limits {
            client_resources: most(self.client_locks, default.client_resources),
            client_places: most(self.client_waits, default.client_places),
            ..default
        }
    }

    /// Whether clients on this machine have a quota too: a quota that is given is everybody's.
    pub fn on_loopback(&self) -> bool {
        [self.client_locks, self.client_waits].into_iter().flatten().any(|most| most > 0)
    }
}

/// Options of the scheduler's audit trail.
#[derive(Clone, Debug, Args)]
pub struct TrailArgs {
    /// Rotate the audit trail's file at this many megabytes: close it and begin a new one [default: one file, never closed]
    #[arg(long, env = "SCTEC_AUDIT_ROTATE_MB", value_name = "MB", value_parser = whole_number::<u64>(1..=1_000_000))]
    pub audit_rotate_mb: Option<u64>,
    /// Record refused bookings too: the scientist, the slot and the reason
    ///
    /// Each refusal takes about 700 bytes in the database and about 700 bytes in the trail's file. Every client of the service
    /// can fill the disk with refusals, and while the trail cannot be written, all bookings are refused. --rate limits how fast one
    /// client can do so.
    #[arg(long, env = "SCTEC_AUDIT_REFUSALS", value_parser = BoolishValueParser::new())]
    pub audit_refusals: bool,
}

/// Arguments of `serve-scheduler`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec serve-scheduler
  sctec serve-scheduler --listen 127.0.0.1:0 --coordinator http://127.0.0.1:3000
  sctec serve-scheduler --no-lock        the race, in a database of its own (corrida.db)
  sctec serve-scheduler --store postgres://sctec@db1.example,db2.example/sctec --coordinator http://10.0.0.5:3000")]
pub struct SchedulerArgs {
    /// Address to listen on: 8080 is this machine alone, 0.0.0.0:8080 all networks, and port 0 any free port
    #[arg(long, alias = "port", short_alias = 'p', env = "SCTEC_LISTEN", default_value = "127.0.0.1:5000", value_name = "ADDRESS", value_parser = parse_listen)]
    pub listen: SocketAddr,
    /// The coordinator's URL. Comma-separate several addresses of it for failover
    #[arg(
        long,
        env = "SCTEC_COORDINATOR",
        default_value = "http://127.0.0.1:3000",
        value_name = "URL",
        value_delimiter = ',',
        value_parser = url_parser()
    )]
    pub coordinator: Vec<String>,
    /// At an https:// coordinator, believe only certificates of the authority in this file (PEM) [default: the system's authorities]
    #[arg(long, env = "SCTEC_CA", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca: Option<OsString>,
    /// Demonstrate the race condition: no coordinator, no slot claim, check and save in two steps. Uses its own database
    #[arg(long, env = "SCTEC_NO_LOCK", value_parser = BoolishValueParser::new())]
    pub no_lock: bool,
    /// Options of the locking.
    #[command(flatten)]
    pub lock: LockArgs,
    /// Options of the audit trail.
    #[command(flatten)]
    pub trail: TrailArgs,
    /// Options of what stands in front of it.
    #[command(flatten)]
    pub front: FrontArgs,
    /// The option of what it shares with the coordinator.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// Options of who may call it.
    #[command(flatten)]
    pub callers: CallerArgs,
    /// Options of its TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Options of an agenda in PostgreSQL.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Options of an identity provider.
    #[command(flatten)]
    pub open_id: OpenIdArgs,
    /// Options of every server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `serve-coordinator`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec serve-coordinator
  sctec serve-coordinator --election etcd://10.0.0.7,10.0.0.8,10.0.0.9 --advertise http://10.0.0.4:3000
  curl -H 'Content-Type: application/json' -d '{\"recurso\": \"X\"}' http://127.0.0.1:3000/lock")]
pub struct CoordinatorArgs {
    /// Address to listen on: 8080 is this machine alone, 0.0.0.0:8080 all networks, and port 0 any free port
    #[arg(long, alias = "port", short_alias = 'p', env = "SCTEC_LISTEN", default_value = "127.0.0.1:3000", value_name = "ADDRESS", value_parser = parse_listen)]
    pub listen: SocketAddr,
    /// After a restart, grant no lock until the earlier locks have expired (auto), or grant locks at once (0). Granting at once
    /// is safe if every write is checked against its fencing token. The scheduler does this
    #[arg(long, env = "SCTEC_GRACE", default_value = "auto", value_name = "GRACE")]
    pub grace: Grace,
    /// Grant only fencing tokens above N. Needed after coordenador.json was lost. N is the largest token that a scheduler has
    /// seen: it is in the scheduler's log and in the coordinator's refusal
    #[arg(long, env = "SCTEC_TOKENS_ABOVE", default_value_t = 0, value_name = "N", hide_default_value = true,
        value_parser = whole_number::<u64>(0..=TOKENS_ABOVE_MAX))]
    pub tokens_above: u64,
    /// The option of what it shares with its schedulers.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// Options of how much its clients may use.
    #[command(flatten)]
    pub bounds: BoundArgs,
    /// Options of who may call it.
    #[command(flatten)]
    pub callers: CallerArgs,
    /// Options of its TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Options of an election.
    #[command(flatten)]
    pub election: ElectionArgs,
    /// Options of every server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Whether a coordinator grants locks while leases from before its restart may still be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Grace {
    /// Grants no lock until all earlier locks have expired
    Auto,
    /// Grants locks at once
    #[value(name = "0")]
    None,
}

/// Arguments of `serve-all`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec serve-all
  sctec serve-all --listen 127.0.0.1:0 --listen-coordinator 127.0.0.1:0 --data-dir /tmp/sctec")]
pub struct AllArgs {
    /// Address of the scheduler: 8080 is this machine alone, 0.0.0.0:8080 all networks, and port 0 any free port
    #[arg(long, alias = "port", short_alias = 'p', env = "SCTEC_LISTEN", default_value = "127.0.0.1:5000", value_name = "ADDRESS", value_parser = parse_listen)]
    pub listen: SocketAddr,
    /// Address of the coordinator; port 0 is any free port
    #[arg(long, env = "SCTEC_LISTEN_COORDINATOR", default_value = "127.0.0.1:3000", value_name = "ADDRESS", value_parser = parse_listen)]
    pub listen_coordinator: SocketAddr,
    /// After a restart, grant no lock until the earlier locks have expired (auto), or grant locks at once (0)
    #[arg(long, env = "SCTEC_GRACE", default_value = "auto", value_name = "GRACE")]
    pub grace: Grace,
    /// Grant only fencing tokens above N. Needed after coordenador.json was lost. N is the largest token in the log
    #[arg(long, env = "SCTEC_TOKENS_ABOVE", default_value_t = 0, value_name = "N", hide_default_value = true,
        value_parser = whole_number::<u64>(0..=TOKENS_ABOVE_MAX))]
    pub tokens_above: u64,
    /// Options of how much its clients may use.
    #[command(flatten)]
    pub bounds: BoundArgs,
    /// Options of the locking.
    #[command(flatten)]
    pub lock: LockArgs,
    /// Options of the audit trail.
    #[command(flatten)]
    pub trail: TrailArgs,
    /// Options of what stands in front of it.
    #[command(flatten)]
    pub front: FrontArgs,
    /// The option of what the coordinator shares with its schedulers.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// Options of who may call it.
    #[command(flatten)]
    pub callers: CallerArgs,
    /// Options of its TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Options of an agenda in PostgreSQL.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Options of an identity provider.
    #[command(flatten)]
    pub open_id: OpenIdArgs,
    /// Options of every server.
    #[command(flatten)]
    pub server: ServerArgs,
}
