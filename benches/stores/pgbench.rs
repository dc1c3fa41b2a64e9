//! What PostgreSQL does by itself: pgbench writes the rows of bookings in transactions as a scheduler has them.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use super::common::postgres::{Database, program};
use super::measure::Outcome;
use super::measure::turns::TURN;

/// The lock on the trail's head, a booking's three rows for each of a batch, the new head and the summary. Every connection has numbers
/// of its own.
const SCRIPT: &str = "
\\set first :first + :batch
\\set id :first + :client_id * 10000000000
\\set last :id + :batch
BEGIN;
SELECT seq, hash FROM sctec.trilha WHERE id = 1 FOR UPDATE;
INSERT INTO sctec.agendamentos (id, telescopio_id, cientista_id, inicio_us, fim_us, status, criado_us, token, req)
    SELECT :id + n, 1, 1, (:id + n) * 300000000, (:id + n + 1) * 300000000, 'AGENDADO', 1700000000000000, :id + n, '6b1f-2a'
    FROM generate_series(1::bigint, :batch) AS n;
INSERT INTO sctec.horarios (telescopio_id, inicio_us, agendamento_id, token)
    SELECT 1, (:id + n) * 300000000, :id + n, :id + n FROM generate_series(1::bigint, :batch) AS n;
INSERT INTO sctec.auditoria (seq, linha, agendamento_id)
    SELECT :id + n, repeat('x', :line), :id + n FROM generate_series(1::bigint, :batch) AS n;
UPDATE sctec.trilha SET seq = :last WHERE id = 1;
UPDATE sctec.resumo SET maior_token = greatest(maior_token, :last) WHERE id = 1;
COMMIT;
";

/// One turn over so many connections. Returns bookings a second.
pub fn turn(database: &Database, connections: usize, batch: usize, line_bytes: usize) -> Outcome<f64> {
    /// No turn gets so far.
    const NUMBERS_OF_A_TURN: u64 = 1_000_000;
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let first = NEXT.fetch_add(1, Ordering::Relaxed) * NUMBERS_OF_A_TURN;
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("bookings.sql");
    std::fs::write(&script, SCRIPT)?;
    let mut command = Command::new(program("pgbench"));
    command.args(["--no-vacuum", "--protocol=prepared", &format!("--time={}", TURN.as_secs())]);
    command.args([format!("--client={connections}"), format!("--jobs={connections}")]);
    command.args(
        [("first", first), ("batch", batch as u64), ("line", line_bytes as u64)]
            .map(|(k, v)| format!("--define={k}={v}")),
    );
    let ran = command.arg("--file").arg(&script).arg(database.url()).output()?;
    let said = String::from_utf8_lossy(&ran.stdout);
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse::<f64>().ok());
    match rate.filter(|_| ran.status.success() && said.contains("number of failed transactions: 0 ")) {
        Some(rate) => Ok(rate * batch as f64),
        None => Err(format!("pgbench: {said}{}", String::from_utf8_lossy(&ran.stderr)).into()),
    }
}
