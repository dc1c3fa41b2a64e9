//! The files that may have lines of a request: the trail and both services' logs of each data folder, with those that rotation
//! closed, and the files that were named.

use std::io;
use std::path::{Path, PathBuf};

use crate::audit::RACE_TRAIL_FILE;
use crate::audit::files::closed_and_unread;
use crate::commands::audit::args::AuditArgs;
use crate::commands::audit::inputs::{self, Input, OpenFile};
use crate::commands::audit::reading::cannot_read;
use crate::commands::output::tell;
use crate::data_dir::{COORDINATOR_LOG, SCHEDULER_LOG};
use crate::files::FileId;
use crate::language::io_message;

/// What a sequence of files has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Audit records.
    Trail,
    /// The scheduler's log.
    Scheduler,
    /// The coordinator's log.
    Coordinator,
    /// A file that was named: lines of any kind.
    Named,
}

/// Files that follow each other, the oldest first.
pub struct Series {
    /// What they have.
    pub kind: Kind,
    /// The files.
    pub inputs: Vec<Input>,
    /// Whether a file or the folder could not be read. A message was printed.
    pub incomplete: bool,
}

/// All of them. A log has the trail's echo, so the trail comes first.
///
/// # Errors
/// When a folder or a trail cannot be read.
pub fn all(args: &AuditArgs) -> anyhow::Result<Vec<Series>> {
    let mut all = Vec::new();
    for folder in &args.data_dir {
        all.push(trail(&args.trail_in(folder))?);
        for (kind, name) in [(Kind::Scheduler, SCHEDULER_LOG), (Kind::Coordinator, COORDINATOR_LOG)] {
            all.push(log(kind, &folder.join(name)));
        }
    }
    for path in &args.log {
        let input = if path.as_os_str() == "-" { Input::Stdin } else { Input::File(path.clone()) };
        all.push(Series { kind: Kind::Named, inputs: vec![input], incomplete: false });
    }
    all.retain(|series| !series.inputs.is_empty() || series.incomplete);
    Ok(all)
}

/// A trail of the race demonstration in one of the folders, if it was not asked for.
pub fn trail_of_race(args: &AuditArgs) -> Option<PathBuf> {
    let trails = args.data_dir.iter().filter(|_| !args.race).map(|folder| folder.join(RACE_TRAIL_FILE));
    trails.into_iter().find(|trail| trail.is_file())
}

/// A trail, with a word about its closed files that sctec cannot read.
fn trail(path: &Path) -> anyhow::Result<Series> {
    let inputs = inputs::trail_of(path)?;
    let incomplete = match closed_and_unread(path) {
        Ok(unread) => {
            for closed in &unread {
                tell(inputs::unread(closed));
            }
            !unread.is_empty()
        }
        // There is no data folder, so it has no trail.
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            tell(format_args!("{}: {}", cannot_read(folder_of(path)), io_message(&error)));
            true
        }
    };
    Ok(Series { kind: Kind::Trail, inputs, incomplete })
}

/// A log and the files that rotation closed, the oldest first.
///
/// The current file is opened before the others are listed: if it is closed in between, it is not read twice.
fn log(kind: Kind, path: &Path) -> Series {
    let mut incomplete = false;
    let mut seen = Vec::new();
    let mut opened = Vec::new();
    let mut open = |path: &Path| match inputs::open_if_there(path) {
        Ok(Some(open)) => {
            let id = FileId::of(&open.file).ok();
            if id.is_none_or(|id| !seen.contains(&id)) {
                seen.extend(id);
                opened.push(open);
            }
        }
        Ok(None) => {}
        Err(error) => {
            tell(format_args!("{}: {}", cannot_read(path), io_message(&error)));
            incomplete = true;
        }
    };
    open(path);
    let closed = closed(path);
    closed.iter().flatten().for_each(|path| open(path));
    // The folder is the trail's too, and was told there.
    incomplete |= closed.is_err_and(|error| error.kind() != io::ErrorKind::NotFound);
    let inputs = opened.into_iter().rev().map(|open: OpenFile| Input::Open(open)).collect();
    Series { kind, inputs, incomplete }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The files that rotation closed, the newest first: `app.log.1`, `app.log.2.gz` and so on.
fn closed(path: &Path) -> io::Result<Vec<PathBuf>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder_of(path))? {
        let entry = entry?.file_name();
        let number = entry.to_str().and_then(|entry| entry.strip_prefix(name)?.strip_prefix('.'));
        let number =
            number.map(|number| number.strip_suffix(".gz").unwrap_or(number)).and_then(|number| number.parse().ok());
        if let Some(number) = number {
            found.push((number, path.with_file_name(entry)));
        }
    }
    // While gzip is writing, both forms exist: the plain one comes first, and the other is passed over.
    found.sort();
    found.dedup_by_key(|(number, _)| *number);
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_log_are_read_from_the_oldest_on() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "app.log",
            "app.log.1",
            "app.log.2",
            "app.log.2.gz",
            "app.log.10.gz",
            "app.log.old",
            "app.logs",
            "xapp.log.3",
        ] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let names = |path: &str| {
            let inputs = log(Kind::Scheduler, &folder.path().join(path)).inputs;
            let name = |input: &Input| input.path().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
            inputs.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names("app.log"), ["app.log.10.gz", "app.log.2", "app.log.1", "app.log"]);
        assert_eq!(names("coordenador.log"), [""; 0]);
    }
}
