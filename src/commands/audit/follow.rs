//! `--follow`: goes on as the trail grows, from one file to the next.
//!
//! A line is read when it has its line break, so one that is being written, or that a crash tore and the service writes
//! again, is read once and whole.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::inputs::{Next, OpenFile};
use super::lines::Lines;
use super::{CANNOT_WRITE, Search, cannot_read};

/// How often the end of the file is looked at: a person does not notice, nor does the machine.
const POLL: Duration = Duration::from_millis(100);

/// Reads `open` and what comes after it, for as long as the output is read. `trail` is the name of the file that is
/// written.
pub fn follow<W: Write>(search: &mut Search<W>, mut open: OpenFile, trail: &Path) -> anyhow::Result<()> {
    let mut at = 0;
    loop {
        let name = open.path.display();
        let length = open.file.metadata().with_context(|| cannot_read(&open.path))?.len();
        if length < at {
            eprintln!("sctec: {name} is shorter than it was; reading it from its beginning");
            at = 0;
        }
        read_whole_lines(search, &open, &mut at)?;
        search.printer.flush().context(CANNOT_WRITE)?;
        let next = match open.next(trail).with_context(|| cannot_read(&open.path))? {
            Next::Same | Next::NotYet => {
                std::thread::sleep(POLL);
                continue;
            }
            Next::Closed(next) => next,
            Next::Replaced(next) => {
                eprintln!("sctec: {} is another file now; reading it from its beginning", trail.display());
                next
            }
        };
        // What was written between the last reading and the change.
        read_whole_lines(search, &open, &mut at)?;
        (open, at) = (next, 0);
    }
}

/// Reads on from `at`, up to the last line break.
fn read_whole_lines<W: Write>(search: &mut Search<W>, open: &OpenFile, at: &mut u64) -> anyhow::Result<()> {
    let name = || cannot_read(&open.path);
    let begin = *at;
    let mut file = &open.file;
    file.seek(SeekFrom::Start(begin)).with_context(name)?;
    let mut lines = Lines::new(file);
    // Nothing is read past a line that is still being written.
    while lines.next_is_whole().with_context(name)? {
        search.judge(&lines.line())?;
        *at = begin + lines.taken();
    }
    Ok(())
}
