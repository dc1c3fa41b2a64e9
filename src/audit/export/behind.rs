//! How far the trail's file is behind the database while another process is the exporter. Pure functions.
//!
//! An exporter that is paused keeps its locks and writes nothing, and it cannot be known whether it will go on. The database has
//! every record, durable and in order, so bookings may go on. But people read and copy the file, so the number of records that
//! are in the database alone must have a bound.

use std::path::Path;
use std::time::{Duration, Instant};

/// How long the exporter may make no progress before the file counts as behind.
const QUIET: Duration = Duration::from_secs(5);
/// How many records may be in the database alone while the exporter makes no progress.
const RECORDS_MAX: u64 = 100_000;
/// How long the exporter may make no progress before bookings are refused.
const TIME_MAX: Duration = Duration::from_secs(3600);

/// The progress of another process's exporter.
#[derive(Debug)]
pub struct Other {
    exported: u64,
    /// When the exporter was first seen without progress.
    since: Option<Instant>,
}

impl Other {
    /// An exporter that was not looked at yet.
    pub fn new() -> Self {
        Self { exported: 0, since: None }
    }

    /// Updates the progress: the exporter has noted record `exported`, and the database's last record is `head`. Returns how
    /// far the exporter is behind, or fails when it is too far behind for bookings to go on.
    pub fn look(&mut self, exported: u64, head: u64, now: Instant, trail: &Path) -> Result<Option<String>, String> {
        let behind = head.saturating_sub(exported);
        if exported != self.exported || behind == 0 {
            (self.exported, self.since) = (exported, None);
        }
        let quiet = now - *self.since.get_or_insert(now);
        if quiet < QUIET {
            return Ok(None);
        }
        let only_there =
            if behind == 1 { "1 registro está só".to_owned() } else { format!("{behind} registros estão só") };
        let (trail, quiet_s) = (trail.display(), quiet.as_secs());
        let where_it_is = format!(
            "o processo que escreve {trail} está parado no registro {exported} há {quiet_s} s, e {only_there} no banco"
        );
        if behind > RECORDS_MAX || quiet > TIME_MAX {
            return Err(format!("{where_it_is}; retome esse processo, ou encerre-o e outro assume"));
        }
        Ok(Some(format!("atrasada: {where_it_is} (até {RECORDS_MAX}, por até {} min)", TIME_MAX.as_secs() / 60)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_exporter_stops_bookings_only_past_a_bound() {
        let (begin, trail) = (Instant::now(), Path::new("audit.jsonl"));
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let mut other = Other::new();
        assert_eq!(other.look(7, 7, at(0), trail), Ok(None));
        // An exporter without records to write is not behind.
        assert_eq!(other.look(7, 7, at(9000), trail), Ok(None));
        assert_eq!(other.look(7, 8, at(9001), trail), Ok(None));
        assert_eq!(other.look(7, 10, at(9004), trail), Ok(None));
        let behind = other.look(7, 10, at(9006), trail).unwrap().unwrap();
        assert!(behind.contains("no registro 7 há") && behind.contains("3 registros"), "{behind}");
        assert!(other.look(7, 100_007, at(9100), trail).unwrap().is_some());
        assert!(other.look(7, 100_008, at(9100), trail).unwrap_err().contains("encerre-o"));
        let behind = other.look(7, 8, at(12_600), trail).unwrap().unwrap();
        assert!(behind.contains(" 1 registro está só no banco"), "{behind}");
        assert!(other.look(7, 8, at(12_700), trail).is_err());
        // The exporter makes progress again.
        assert_eq!(other.look(8, 100_008, at(12_701), trail), Ok(None));
        assert_eq!(other.look(8, 100_008, at(12_705), trail), Ok(None));
    }
}
