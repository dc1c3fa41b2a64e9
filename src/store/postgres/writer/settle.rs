//! Finding out what has become of a COMMIT whose answer did not come.
//!
//! The first record of the transaction tells: its line has the hash of the record before it, an instant and a request's identifier, so no
//! other transaction makes the same. It is looked for on a new connection, after the lock on the trail's head was had: as long as the old
//! transaction runs, it has that lock.
//!
//! # A commit that the standby has not
//!
//! A primary that crashed while a commit waited for the synchronous standby shows that commit after its restart, without waiting again. If
//! that machine is lost then, the commit is lost too. And a primary that was deposed, and does not know it, has no record of what was
//! committed at its successor. So either answer counts only after one more commit: that one waits until the standby has all that was written
//! before it, and a deposed primary has no standby.

use std::time::{Duration, Instant};

use super::super::connect::{Connector, Opened, Use};
use super::super::errors::Error;
use super::super::load::HEAD;
use super::super::rows::get;
use super::due::Due;

/// How long it is tried to find out. The requests wait meanwhile.
const SETTLE_FOR: Duration = Duration::from_secs(15);
/// How long one try may take.
pub const TRY_TIMEOUT: Duration = Duration::from_secs(6);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// A write that changes nothing.
pub const TOUCH: &str = "UPDATE trilha SET seq = seq WHERE id = 1";

/// Whether the record is in the trail, durably. It is looked for as long as its change may wait.
///
/// # Errors
/// The last failure, when that could not be found out in time.
pub async fn settle(connector: &Connector, due: Due, (seq, line): (u64, &str)) -> Result<bool, Error> {
    let begun = Instant::now();
    loop {
        let seen = connector.turned();
        let within = due.within(TRY_TIMEOUT, Instant::now());
        let tried = tokio::time::timeout(within, try_to_settle(connector, seq, line)).await;
        let error = match tried.unwrap_or(Err(Error::Silent(within))) {
            Ok(is_there) => return Ok(is_there),
            Err(error) => error,
        };
        if matches!(error, Error::Silent(_)) {
            connector.turn_from(seen);
        }
        if begun.elapsed() >= SETTLE_FOR || due.within(TRY_TIMEOUT, Instant::now()).is_zero() {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn try_to_settle(connector: &Connector, seq: u64, line: &str) -> Result<bool, Error> {
    let Opened { client, warnings, .. } = connector.open(Use::Writing).await?;
    client.batch_execute("BEGIN").await?;
    client.query_one(HEAD, &[]).await?;
    let found = client.query_opt("SELECT linha FROM auditoria WHERE seq = $1", &[&seq.cast_signed()]).await?;
    let is_there = match found {
        Some(row) => get::<&str>(&row, 0)? == line,
        None => false,
    };
    client.batch_execute(TOUCH).await?;
    drop(warnings.take());
    client.batch_execute("COMMIT").await?;
    match warnings.take() {
        None => Ok(is_there),
        Some(warning) => Err(Error::NoConnection(warning)),
    }
}
