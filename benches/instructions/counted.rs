//! Both services under callgrind, and a client that asks them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::CONNECTIONS;
use crate::common::{Server, Services, coordinator_command, deaf, scheduler_command};
use crate::measure::rows::{Asking, Row};
use crate::measure::{Outcome, one_connection};
use crate::profile::Profile;

/// Callgrind counts each byte that `rep movsb` copies as an instruction. So the C library copies and fills by loops, at any length.
const COPIES_AS_LOOPS: &str =
    "glibc.cpu.x86_rep_movsb_threshold=0x7fffffff:glibc.cpu.x86_rep_stosb_threshold=0x7fffffff";

/// The services of one row.
pub struct Counted {
    services: Services,
    row: Row,
    asking: Arc<Asking>,
    profiles: PathBuf,
}

impl Counted {
    /// Starts both, and makes ready what the row needs. Their profiles go to a folder.
    pub fn start(row: Row, profiles: &Path) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let under =
            |command: &Command, service| Server::spawn(&mut under_callgrind(command, profiles, row, service), 1);
        let coordinator = under(&coordinator_command(folder.path(), "127.0.0.1:0"), "coordinator");
        let mut scheduler = scheduler_command(folder.path(), &coordinator.url());
        let scheduler = under(scheduler.args(row.scheduler_args()), "scheduler");
        let services = Services::of(scheduler, coordinator, folder);
        let asking = Arc::new(row.begin(&services)?);
        Ok(Self { services, row, asking, profiles: profiles.to_owned() })
    }

    /// Asks so many times over each connection.
    pub fn ask(&self, each: u64) -> Outcome<()> {
        let url = if self.row == Row::Lock { self.services.coordinator.url() } else { self.services.scheduler.url() };
        let address = url.trim_start_matches("http://").to_owned();
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let mut connections = JoinSet::new();
            for connection in 0..CONNECTIONS {
                let (mut asked, mut next, asking) = (0..each, 0, Arc::clone(&self.asking));
                let request = move || {
                    next += 1;
                    asking.request(connection, next - 1)
                };
                let goes_on = move || asked.next().is_some();
                connections.spawn(one_connection(address.clone(), goes_on, self.row.status(), request));
            }
            connections.join_all().await.into_iter().try_for_each(|done| done.map(drop))
        })
    }

    /// Forgets what was counted so far.
    pub fn forget(&self) -> Outcome<()> {
        self.concerned().into_iter().try_for_each(|(_, server)| tell(server, "zero"))
    }

    /// What each service that the row concerns has done since then.
    pub fn profiles(&self) -> Outcome<Vec<(&'static str, Profile)>> {
        let profile = |(service, server): (&'static str, &Server)| {
            tell(server, "dump")?;
            // The first dump; the end of the process writes the last one, without a number.
            let path = output(&self.profiles, self.row, service).with_extension("out.1");
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok((service, Profile::parse(&text).ok_or("callgrind's output has another form")?))
        };
        self.concerned().into_iter().map(profile).collect()
    }

    fn concerned(&self) -> Vec<(&'static str, &Server)> {
        let servers = [("scheduler", &self.services.scheduler), ("coordinator", &self.services.coordinator)];
        let concerned = servers.into_iter().zip(self.row.concerns());
        concerned.filter_map(|(server, concerned)| concerned.then_some(server)).collect()
    }
}

/// Where a service writes its profile.
fn output(profiles: &Path, row: Row, service: &str) -> PathBuf {
    profiles.join(format!("{}-{service}.out", row.name()))
}

fn under_callgrind(command: &Command, profiles: &Path, row: Row, service: &str) -> Command {
    let mut callgrind = Command::new("valgrind");
    deaf(&mut callgrind);
    callgrind.env("GLIBC_TUNABLES", COPIES_AS_LOOPS).arg("--tool=callgrind").arg("-q");
    callgrind.arg(format!("--callgrind-out-file={}", output(profiles, row, service).display()));
    callgrind.arg(command.get_program()).args(command.get_args());
    callgrind
}

/// Has callgrind do something in a running service.
fn tell(server: &Server, what: &str) -> Outcome<()> {
    let told = Command::new("vgdb").args([&format!("--pid={}", server.pid()), what]).output()?;
    if told.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&told.stderr).into()) }
}
