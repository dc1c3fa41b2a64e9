//! The services of one kind of request, and one turn of them or of the floor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::common::{Server, Services, coordinator_command, scheduler_command, storage};
use crate::measure::database::server_cpu_us;
use crate::measure::rows::{Asking, Row};
use crate::measure::turns::{Done, turn};
use crate::measure::{Outcome, resident_kib};

/// A coordinator and a scheduler that are ready for one kind of request.
pub struct Side {
    row: Row,
    services: Services,
    asking: Arc<Asking>,
    /// Bookings that were answered with 201.
    booked: AtomicU64,
    memory_at_first: [f64; 2],
}

/// One turn.
pub struct Turn {
    pub done: Done,
    /// The bytes of the logs and of the audit trail for each request.
    pub log_bytes: f64,
    /// The processor time of the database's server for each request, in microseconds; 0 if the scheduler has the agenda in its own process.
    pub database_cpu_us: f64,
}

impl Side {
    pub fn start(row: Row) -> Outcome<Self> {
        // Their lines also go to their console. Nobody reads that: this process would spend its time on it.
        let folder = tempfile::tempdir()?;
        let unread = |command: &mut _, log| Server::spawn_unread(command, &folder.path().join(log));
        let coordinator = unread(&mut coordinator_command(folder.path(), "127.0.0.1:0"), "coordenador.log");
        let mut scheduler = scheduler_command(folder.path(), &coordinator.url());
        let scheduler = unread(scheduler.args(row.scheduler_args()), "app.log");
        let services = Services::of(scheduler, coordinator, folder);
        let asking = Arc::new(row.begin(&services)?);
        let memory_at_first = memory_kib(&services);
        Ok(Self { row, services, asking, booked: AtomicU64::new(0), memory_at_first })
    }

    pub const fn row(&self) -> Row {
        self.row
    }

    pub fn services(&self) -> &Services {
        &self.services
    }

    /// What makes this side's requests.
    pub fn asking(&self) -> Arc<Asking> {
        Arc::clone(&self.asking)
    }

    /// Counts a booking that was made besides those of the turns.
    pub fn booked_one_more(&self) {
        self.booked.fetch_add(1, Ordering::Relaxed);
    }

    /// The services are asked for so long.
    pub fn turn(&self, runtime: &Runtime, connections: usize, time: Duration) -> Outcome<Turn> {
        let url = if self.row == Row::Lock { self.services.coordinator.url() } else { self.services.scheduler.url() };
        let (before, cpu_before) = (self.log_bytes()?, database_cpu_us());
        let done = self.asked(runtime, &url, connections, time, self.row.status(), &pids(&self.services))?;
        let count = done.latencies.len();
        let database_cpu_us = (database_cpu_us() - cpu_before) / count as f64;
        if self.row.status() == 201 {
            self.booked.fetch_add(count as u64, Ordering::Relaxed);
        }
        let log_bytes = (self.log_bytes()? - before) / count as f64;
        Ok(Turn { done, log_bytes, database_cpu_us })
    }

    /// The floor is asked for the same.
    pub fn floors_turn(&self, runtime: &Runtime, floor: &Server, connections: usize, time: Duration) -> Outcome<Turn> {
        let done = self.asked(runtime, &floor.url(), connections, time, 200, &[floor.pid()])?;
        Ok(Turn { done, log_bytes: 0.0, database_cpu_us: 0.0 })
    }

    fn asked(
        &self,
        runtime: &Runtime,
        url: &str,
        connections: usize,
        time: Duration,
        status: u16,
        pids: &[u32],
    ) -> Outcome<Done> {
        let addresses = vec![url.trim_start_matches("http://").to_owned(); connections];
        let asking = self.asking();
        // What is locked is unlocked too.
        let multiple = if self.row == Row::Lock { 2 } else { 1 };
        let request = move |connection, nth| asking.request(connection, nth);
        let done = runtime.block_on(turn(&addresses, pids, time, (status, multiple), request));
        done.map_err(|error| format!("{}: {error}", self.row.name()).into())
    }

    /// The memory of the scheduler and of the coordinator now.
    pub fn memory_kib(&self) -> [f64; 2] {
        memory_kib(&self.services)
    }

    /// The same before the first turn.
    pub const fn memory_at_first(&self) -> [f64; 2] {
        self.memory_at_first
    }

    /// The bytes of all logs, and of the trail, closed files too.
    fn log_bytes(&self) -> Outcome<f64> {
        let mut bytes = 0;
        for entry in std::fs::read_dir(self.services.data_dir())? {
            let entry = entry?;
            let name = entry.file_name();
            let is_log = |of: &&str| name.to_str().is_some_and(|name| name.starts_with(*of));
            if ["app.log", "coordenador.log", "audit"].iter().any(is_log) {
                bytes += entry.metadata()?.len();
            }
        }
        Ok(bytes as f64)
    }

    /// Every booking that was acknowledged is there once, with its record.
    pub fn check(&self) -> Outcome<()> {
        let count = |sql| self.services.count(sql) as u64;
        let bookings = count("SELECT count(*) FROM agendamentos");
        let slots = count("SELECT count(*) FROM (SELECT DISTINCT telescopio_id, inicio_us FROM agendamentos) AS d");
        let records = count("SELECT count(*) FROM auditoria WHERE linha LIKE '%\"AGENDAMENTO_CRIADO\"%'");
        let acknowledged = self.booked.load(Ordering::Relaxed) + u64::from(self.row == Row::Refusal);
        if [slots, records, acknowledged] == [bookings; 3] {
            return Ok(());
        }
        let name = self.row.name();
        Err(format!("{name}: {bookings} bookings of {slots} slots, {records} records, {acknowledged} acknowledged")
            .into())
    }
}

fn pids(services: &Services) -> [u32; 2] {
    [services.scheduler.pid(), services.coordinator.pid()]
}

fn database_cpu_us() -> f64 {
    if storage::is_postgres() { server_cpu_us() } else { 0.0 }
}

fn memory_kib(services: &Services) -> [f64; 2] {
    pids(services).map(resident_kib)
}
