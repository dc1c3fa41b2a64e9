//! `--follow`: reads new records as the trail grows, from one file to the next.
//!
//! A line is read only after its line break was written. So a line that is being written, or that a crash tore and the service
//! wrote again, is read once and whole. The command waits for a missing file or folder.

use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use rust_i18n::t;

use super::args::AuditArgs;
use super::inputs::{self, Input, Next, OpenFile};
use super::kept::Kept;
use super::lines::Lines;
use super::not_records::At;
use super::reading::cannot_read;
use super::search::Search;
use crate::audit::form::{self, Form};
use crate::commands::output::{CANNOT_WRITE, pause, tell};
use crate::language::io_message;

/// How often the file's end is checked.
const POLL: Duration = Duration::from_millis(100);

/// Reads the trail and its new records, until the output's pipe is closed.
pub fn run<W: Write>(search: &mut Search<W>, args: &AuditArgs) -> anyhow::Result<()> {
    let Some(mut inputs) = wait_for_inputs(args)? else { return Ok(()) };
    if args.files.is_empty() {
        search.tell_unread(args);
    }
    let from_now = args.last == Some(0);
    search.keep(args.last.map(|most| Kept::new(Some(most))));
    let Some(followed) = inputs.pop() else { return Ok(()) };
    let read = if from_now { Ok(()) } else { search.read_all(inputs) };
    let followed = read.and_then(|()| follow_last(search, args, followed, from_now));
    // Records that were found before an error are printed too.
    let released = search.release_last();
    followed.and(released)
}

/// Reads the last input and what follows it.
fn follow_last<W: Write>(
    search: &mut Search<W>,
    args: &AuditArgs,
    followed: Input,
    from_now: bool,
) -> anyhow::Result<()> {
    let trail = match &followed {
        // The last input is a closed file: there was no current file.
        Input::Closed(_) => args.trail(),
        Input::File(path) | Input::Open(OpenFile { path, .. }) => path.clone(),
        Input::Stdin => return search.read(followed),
    };
    let name = followed.name();
    match followed.open()? {
        Some(open) if open.is_regular() => {
            let place = Place::of(open, from_now)?;
            // The search reads compressed files, and reports their gaps itself.
            if !from_now && place.form == Form::Lines {
                search.tell_gap(&place.open, &name)?;
            }
            follow(search, place, &trail)
        }
        Some(open) => search.read(Input::Open(open)),
        None => Ok(()),
    }
}

/// Waits until the last input exists and returns the inputs; `None` if the output's pipe was closed.
fn wait_for_inputs(args: &AuditArgs) -> anyhow::Result<Option<Vec<Input>>> {
    let missing = |path: &Path| {
        let found = std::fs::metadata(path);
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound).then(|| path.to_owned())
    };
    let mut waiting = Once::default();
    loop {
        let inputs = inputs::there(args)?;
        let missing: Option<PathBuf> = match inputs.last() {
            None => Some(args.trail()),
            Some(Input::File(path)) => missing(path),
            Some(_) => None,
        };
        let Some(missing) = missing else { return Ok(Some(inputs)) };
        waiting.tell(t!("%{name} is not there; waiting for it", name = missing.display()).into_owned());
        if !pause(POLL) {
            return Ok(None);
        }
    }
}

/// Prints a message, but not the same message twice in a row.
#[derive(Default)]
struct Once(Option<String>);

impl Once {
    fn tell(&mut self, text: String) {
        if self.0.as_ref() != Some(&text) {
            tell(&text);
            self.0 = Some(text);
        }
    }
}

/// A file, and how far it was read.
struct Place {
    open: OpenFile,
    form: Form,
    at: u64,
    /// How many lines come before that; `None` if they were not read.
    lines: Option<u64>,
}

impl Place {
    /// At the file's beginning, or after its last whole line.
    fn of(open: OpenFile, at_end: bool) -> anyhow::Result<Self> {
        let name = || cannot_read(&open.path);
        let mut begin = [0; form::LOOKED_AT];
        let read = open.file.read_at(&mut begin, 0).with_context(name)?;
        let form = Form::of(&begin[..read]);
        let at = match (at_end, form) {
            (false, _) => 0,
            (true, Form::Lines) => end_of_lines(&open).with_context(name)?,
            (true, _) => open.file.metadata().with_context(name)?.len(),
        };
        Ok(Self { open, form, at, lines: (at == 0).then_some(0) })
    }

    /// Reads the new lines, up to the last line break.
    fn read_on<W: Write>(&mut self, search: &mut Search<W>) -> anyhow::Result<()> {
        let name = || cannot_read(&self.open.path);
        let length = self.open.file.metadata().with_context(name)?.len();
        if length < self.at {
            let name = self.open.path.display();
            tell(t!("%{name} is shorter than it was; reading it from its beginning", name = name));
            (self.at, self.lines) = (0, Some(0));
        }
        match self.form {
            Form::Lines => self.read_lines(search),
            // A compressed file does not grow.
            Form::Gzip | Form::Foreign(_) if self.at > 0 => Ok(()),
            Form::Gzip => {
                self.at = length;
                let OpenFile { path, is_trail, .. } = &self.open;
                let file = self.open.file.try_clone().with_context(name)?;
                search.read(Input::Open(OpenFile { path: path.clone(), file, is_trail: *is_trail }))
            }
            Form::Foreign(foreign) => {
                self.at = length;
                search.tell_foreign(foreign, &self.open.path.display().to_string());
                Ok(())
            }
        }
    }

    fn read_lines<W: Write>(&mut self, search: &mut Search<W>) -> anyhow::Result<()> {
        let name = || cannot_read(&self.open.path);
        let begin = self.at;
        let mut file = &self.open.file;
        file.seek(SeekFrom::Start(begin)).with_context(name)?;
        let mut lines = Lines::new(file);
        search.begin(self.open.is_trail);
        // Stops before a line that is still being written.
        while lines.next_is_whole().with_context(name)? {
            self.lines = self.lines.map(|lines| lines + 1);
            search.judge(&lines.line(), At { number: self.lines, is_whole: true })?;
            self.at = begin + lines.taken();
        }
        search.tell_not_records(&self.open.path.display().to_string());
        Ok(())
    }
}

/// Where the last whole line ends.
fn end_of_lines(open: &OpenFile) -> io::Result<u64> {
    const CHUNK: u64 = 64 << 10;
    let mut end = open.file.metadata()?.len();
    let mut chunk = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(CHUNK);
        chunk.resize(usize::try_from(end - begin).unwrap_or_default(), 0);
        open.file.read_exact_at(&mut chunk, begin)?;
        if let Some(at) = memchr::memrchr(b'\n', &chunk) {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// Reads the file of `place` and the files after it. `trail` is the path of the current file.
fn follow<W: Write>(search: &mut Search<W>, mut place: Place, trail: &Path) -> anyhow::Result<()> {
    let mut away = Once::default();
    place.read_on(search)?;
    search.release_last()?;
    loop {
        place.read_on(search)?;
        search.printer.flush().context(CANNOT_WRITE)?;
        let next = match place.open.next(trail) {
            Ok(next) => {
                away = Once::default();
                next
            }
            // The folder may be missing only for a while, for example during a remount.
            Err(error) => {
                let folder = trail.parent().unwrap_or(trail).display().to_string();
                let error = io_message(&error);
                away.tell(
                    t!("cannot read %{name}: %{error}; waiting for it", name = folder, error = error).into_owned(),
                );
                Next::NotYet
            }
        };
        let (next, continues) = match next {
            Next::Same | Next::NotYet if pause(POLL) => continue,
            Next::Same | Next::NotYet => return Ok(()),
            Next::Closed(next) => (next, true),
            Next::Replaced(next) => {
                tell(t!("%{name} is another file now; reading it from its beginning", name = trail.display()));
                (next, false)
            }
        };
        // The lines that were written after the last reading and before the file was closed.
        place.read_on(search)?;
        // The search does this itself for compressed files.
        if place.form == Form::Lines {
            search.followed(&place.open, continues)?;
        }
        place = Place::of(next, false)?;
        if place.form == Form::Lines {
            let name = place.open.path.display().to_string();
            search.tell_gap(&place.open, &name)?;
        }
    }
}
