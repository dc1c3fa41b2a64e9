//! Where records come from: files that were named, standard input, or the trail of a data folder, which may be growing and
//! be closed under another name while it is read.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::audit::files::{self, leads_to};
use crate::audit::{RACE_TRAIL_FILE, TRAIL_FILE};
use crate::cli::AuditArgs;

/// One input.
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file, and its name.
    File(PathBuf),
    /// One that is open already.
    Open(OpenFile),
}

/// A file that is open, and the name it had.
pub struct OpenFile {
    /// The name.
    pub path: PathBuf,
    /// The file.
    pub file: File,
}

/// What the reader of a growing trail does next.
pub enum Next {
    /// The file is still the one that is written.
    Same,
    /// It was closed and has been read to its end: the chain goes on here.
    Closed(OpenFile),
    /// It was closed, but the next one is not there yet.
    NotYet,
    /// Another file stands in its place.
    Replaced(OpenFile),
}

/// What is to be read, in order.
///
/// # Errors
/// When there is nothing, with what to do.
pub fn inputs(args: &AuditArgs) -> anyhow::Result<Vec<Input>> {
    if args.files.is_empty() {
        return trail_of(&args.data_dir);
    }
    let input = |path: &PathBuf| if path.as_os_str() == "-" { Input::Stdin } else { Input::File(path.clone()) };
    Ok(args.files.iter().map(input).collect())
}

/// The files of a data folder's trail. The one that is written is opened first: if it is closed meanwhile, it is among the
/// closed ones, or was listed before it was; so every record up to now is read once.
fn trail_of(data_dir: &Path) -> anyhow::Result<Vec<Input>> {
    let path = data_dir.join(TRAIL_FILE);
    let current = match File::open(&path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| cannot_read(&path)),
    };
    let closed = files::closed(&path).unwrap_or_default();
    let was_closed = current.as_ref().is_some_and(|file| closed.iter().any(|closed| leads_to(&closed.path, file)));
    let mut inputs: Vec<Input> = closed.into_iter().map(|closed| Input::File(closed.path)).collect();
    if let Some(file) = current.filter(|_| !was_closed) {
        inputs.push(Input::Open(OpenFile { path: path.clone(), file }));
    }
    if !inputs.is_empty() {
        return Ok(inputs);
    }
    let race = data_dir.join(RACE_TRAIL_FILE);
    let race = match race.try_exists() {
        Ok(true) => format!("; the race demonstration's records are in {}", race.display()),
        _ => String::new(),
    };
    bail!("there is no {}; name a file, or the data folder with --data-dir{race}", path.display())
}

impl Input {
    /// Its name, for people.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) | Self::Open(OpenFile { path, .. }) => path.display().to_string(),
        }
    }

    /// The file, opened if it was not; `None` is standard input.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(self) -> anyhow::Result<Option<OpenFile>> {
        match self {
            Self::Stdin => Ok(None),
            Self::Open(open) => Ok(Some(open)),
            Self::File(path) => {
                let file = File::open(&path).with_context(|| cannot_read(&path))?;
                Ok(Some(OpenFile { path, file }))
            }
        }
    }
}

impl OpenFile {
    /// Looks where the trail goes on that is written at `trail`, and of which this is a file. Ask when this one was read to
    /// its end, and read it to its end once more if the answer is not [`Next::Same`]: it may have grown before it was closed.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn next(&self, trail: &Path) -> io::Result<Next> {
        if leads_to(trail, &self.file) {
            return Ok(Next::Same);
        }
        let position = |closed: &[files::Closed]| closed.iter().position(|closed| leads_to(&closed.path, &self.file));
        let mut closed = files::closed(trail)?;
        let Some(mut at) = position(&closed) else {
            return Ok(match open_if_there(trail)? {
                // It may have been closed between the two looks.
                Some(_) if position(&files::closed(trail)?).is_some() => Next::NotYet,
                Some(open) => Next::Replaced(open),
                None => Next::NotYet,
            });
        };
        if at + 1 == closed.len() {
            let Some(open) = open_if_there(trail)? else { return Ok(Next::NotYet) };
            closed = files::closed(trail)?;
            let Some(again) = position(&closed) else { return Ok(Next::NotYet) };
            if again + 1 == closed.len() {
                return Ok(Next::Closed(open));
            }
            // Closed as well before it was opened here: the one in between comes first.
            at = again;
        }
        let path = closed.swap_remove(at + 1).path;
        Ok(Next::Closed(OpenFile { file: File::open(&path)?, path }))
    }
}

fn open_if_there(path: &Path) -> io::Result<Option<OpenFile>> {
    match File::open(path) {
        Ok(file) => Ok(Some(OpenFile { path: path.to_owned(), file })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn cannot_read(path: &Path) -> String {
    super::cannot_read(&path.display().to_string())
}
