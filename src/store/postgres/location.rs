//! Where a database is: the URL of `--store`, the password that stands elsewhere, and whose certificate is believed.
//!
//! # The password
//!
//! Every program of a machine can read the arguments of all others, so a URL with a password is refused. It comes from a file, from the
//! environment, or from PostgreSQL's own file of passwords (`~/.pgpass`).
//!
//! # TLS
//!
//! Without `sslmode` in the URL a server on another machine has to speak TLS with a certificate that is believed, and one on this machine
//! is spoken to without.

use std::net::IpAddr;
use std::time::Duration;

use rust_i18n::t;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::http::tls::Trust;

/// How long a connection may take to each address of each host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long what was sent may stay without an acknowledgement of the network, and when a silent peer is probed.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 3;
/// The port of a URL without one.
const PORT: u16 = 5432;

/// Where a database is, and how it is reached.
#[derive(Clone, Debug)]
pub struct Location {
    /// With all hosts, in the order of the URL.
    whole: Config,
    /// With each of them alone.
    configs: Vec<Config>,
    trust: Trust,
}

/// Why a URL names no database. A person reads it at the command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// It is something else.
    #[error("{}", t!("it must begin with postgres://, as in postgres://sctec@db1.example,db2.example/sctec"))]
    NotPostgres,
    /// It has a password in it.
    #[error("{}", t!("it has a password in it, which every program of this machine could read; leave it out, and give --store-password-file FILE, the variable PGPASSWORD, or a line in ~/.pgpass"))]
    Password,
    /// It names no host.
    #[error("{}", t!("it names no host"))]
    NoHost,
    /// It names no user.
    #[error("{}", t!("it names no user, as in postgres://sctec@db1.example/sctec"))]
    NoUser,
    /// It has a part that is not understood.
    #[error("{0}")]
    Unreadable(String),
}

impl Location {
    /// The database that a URL names.
    ///
    /// # Errors
    /// [`LocationError`].
    pub fn parse(url: &str) -> Result<Self, LocationError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(LocationError::NotPostgres);
        }
        // Certificates are always verified, and names too, so these two are what `require` is here.
        let url = url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
        let configs = each_alone(&url).iter().map(|url| config_of(url)).collect::<Result<_, _>>()?;
        Ok(Self { whole: config_of(&url)?, configs, trust: Trust::default() })
    }

    /// The same, reached with this password.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        for config in self.configs.iter_mut().chain([&mut self.whole]) {
            config.password(password);
        }
        self
    }

    /// The same, of whose servers these certificates are believed.
    #[must_use]
    pub fn with_trust(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// The password of the first of its hosts for which the text of a `.pgpass` has one: lines `host:port:database:user:password`, in
    /// which `*` fits everything and `\` takes the meaning from the character after it.
    pub fn password_in(&self, passfile: &str) -> Option<String> {
        let user = self.config().get_user().unwrap_or_default();
        let database = self.config().get_dbname().unwrap_or(user);
        let lines: Vec<Vec<String>> =
            passfile.lines().filter(|line| !line.starts_with('#')).map(fields).filter(|f| f.len() == 5).collect();
        self.hosts().iter().find_map(|(host, port)| {
            let port = port.to_string();
            let wanted = [host.as_str(), &port, database, user];
            let fits =
                |line: &&Vec<String>| line.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
            lines.iter().find(fits).map(|line| line[4].clone())
        })
    }

    /// How it is shown: without a password.
    pub fn shown(&self) -> String {
        let hosts: Vec<String> = self.hosts().iter().map(|(host, port)| format!("{host}:{port}")).collect();
        let user = self.config().get_user().unwrap_or_default();
        format!("postgres://{user}@{}/{}", hosts.join(","), self.config().get_dbname().unwrap_or(user))
    }

    /// For the library, with all hosts.
    pub(super) fn config(&self) -> &Config {
        &self.whole
    }

    /// The same, with each of the hosts alone, in the order of the URL.
    pub(super) fn configs(&self) -> &[Config] {
        &self.configs
    }

    /// Whose certificates are believed.
    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The hosts with their ports, as the file of passwords names them: sockets of this machine are `localhost`.
    fn hosts(&self) -> Vec<(String, u16)> {
        let ports = self.config().get_ports();
        let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(PORT);
        let name = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(_) => "localhost".to_owned(),
        };
        self.config().get_hosts().iter().enumerate().map(|(index, host)| (name(host), port(index))).collect()
    }
}

/// A URL with each of its hosts alone.
fn each_alone(url: &str) -> Vec<String> {
    let begin = url.find("://").map_or(0, |scheme| scheme + 3);
    let begin = url[begin..].find('@').map_or(begin, |at| begin + at + 1);
    let end = url[begin..].find(['/', '?']).map_or(url.len(), |end| begin + end);
    url[begin..end].split(',').map(|host| format!("{}{host}{}", &url[..begin], &url[end..])).collect()
}

/// What a URL says, with what it does not say.
fn config_of(url: &str) -> Result<Config, LocationError> {
    let mut config: Config = url.parse().map_err(|error| LocationError::Unreadable(reason(&error)))?;
    if config.get_password().is_some() {
        return Err(LocationError::Password);
    }
    if config.get_hosts().is_empty() {
        return Err(LocationError::NoHost);
    }
    if config.get_user().is_none_or(str::is_empty) {
        return Err(LocationError::NoUser);
    }
    if !url.contains("sslmode=") {
        let local = config.get_hosts().iter().all(is_local);
        config.ssl_mode(if local { SslMode::Disable } else { SslMode::Require });
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    config.tcp_user_timeout(UNACKNOWLEDGED);
    config.keepalives_idle(KEEPALIVE_IDLE).keepalives_interval(KEEPALIVE_INTERVAL);
    config.keepalives_retries(KEEPALIVE_RETRIES);
    if config.get_application_name().is_none() {
        config.application_name("sctec");
    }
    Ok(config)
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    }
}

/// What the library says, without its own introduction.
fn reason(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// The fields of a line of a file of passwords.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let last = fields.len() - 1;
        match character {
            '\\' => fields[last].extend(characters.next()),
            // The last field is the password, which may have colons.
            ':' if fields.len() < 5 => fields.push(String::new()),
            other => fields[last].push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(url: &str) -> Location {
        Location::parse(url).unwrap()
    }

    #[test]
    fn a_url_with_a_password_is_refused_and_never_shown() {
        for url in ["postgres://ana:segredo@db/x", "postgres://ana@db/x?password=segredo"] {
            let error = Location::parse(url).unwrap_err();
            assert_eq!(error, LocationError::Password);
            assert!(!error.to_string().contains("segredo"));
        }
        let with = location("postgres://ana@db/x").with_password("segredo");
        assert!(!format!("{with:?}{}", with.shown()).contains("segredo"));
    }

    #[test]
    fn what_is_no_database_is_said_to_be_none() {
        assert_eq!(Location::parse("mysql://db").unwrap_err(), LocationError::NotPostgres);
        assert_eq!(Location::parse("postgres:///x?user=ana").unwrap_err(), LocationError::NoHost);
        assert_eq!(Location::parse("postgres://db/x").unwrap_err(), LocationError::NoUser);
        assert!(matches!(Location::parse("postgres://a@db/x?colour=red"), Err(LocationError::Unreadable(_))));
    }

    #[test]
    fn several_hosts_are_shown_with_their_ports() {
        let several = location("postgresql://ana@db1,db2:6000/agenda");
        assert_eq!(several.shown(), "postgres://ana@db1:5432,db2:6000/agenda");
        assert_eq!(several.config().get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    }

    #[test]
    fn each_host_is_there_alone() {
        let hosts = |config: &Config| format!("{:?}{:?}", config.get_hosts(), config.get_ports());
        let several = location("postgres://ana@db1,db2:6000,db3/agenda?sslmode=require");
        let alone: Vec<String> = several.configs().iter().map(hosts).collect();
        assert_eq!(alone, ["[Tcp(\"db1\")][5432]", "[Tcp(\"db2\")][6000]", "[Tcp(\"db3\")][5432]"]);
        assert_eq!(location("postgres://ana@/x?host=/run/postgresql").configs().len(), 1);
    }

    #[test]
    fn another_machine_has_to_speak_tls_unless_the_url_says_otherwise() {
        let mode = |url: &str| location(url).config().get_ssl_mode();
        assert_eq!(mode("postgres://a@db/x"), SslMode::Require);
        assert_eq!(mode("postgres://a@127.0.0.1,db/x"), SslMode::Require);
        assert_eq!(mode("postgres://a@db/x?sslmode=verify-full"), SslMode::Require);
        assert_eq!(mode("postgres://a@127.0.0.1,localhost/x"), SslMode::Disable);
        assert_eq!(mode("postgres://a@db/x?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://a@localhost/x?sslmode=require"), SslMode::Require);
    }

    #[test]
    fn a_file_of_passwords_is_read_as_postgresql_reads_it() {
        let passfile = "# ours\ndb1:5432:agenda:rui:one\nbroken\ndb2:*:*:ana:with\\:colon:and more\n*:*:*:*:last\n";
        let of = |url: &str| location(url).password_in(passfile);
        assert_eq!(of("postgres://rui@db1/agenda").as_deref(), Some("one"));
        assert_eq!(of("postgres://ana@db2:7000/x").as_deref(), Some("with:colon:and more"));
        assert_eq!(of("postgres://eva@elsewhere/x").as_deref(), Some("last"));
        assert_eq!(location("postgres://eva@db1/agenda").password_in("db1:5432:agenda:rui:one"), None);
    }
}
