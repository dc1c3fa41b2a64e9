//! Shared by search and verification: the text of a read error, and the report of skipped lines.

use std::io::{self, Write};
use std::path::Path;

use rust_i18n::t;

use super::lines::LINE_MAX_MIB;
use crate::language::counted;

/// The context of a read error.
pub fn cannot_read(name: impl AsRef<Path>) -> String {
    t!("cannot read %{name}", name = name.as_ref().display()).into_owned()
}

/// Reports skipped lines. A closed standard error is not a failure.
pub fn tell_passed_over(broken: u64, too_long: u64, unread: u64) {
    let (mib, mut stderr) = (LINE_MAX_MIB, io::stderr().lock());
    for (count, text) in [
        (
            broken,
            counted(
                broken,
                t!("1 line looks like an audit record but is not whole; sctec skipped it"),
                t!("%{n} lines look like audit records but are not whole; sctec skipped them", n = broken),
            ),
        ),
        (
            too_long,
            counted(
                too_long,
                t!("1 line is longer than %{mib} MiB; sctec skipped it", mib = mib),
                t!("%{n} lines are longer than %{mib} MiB; sctec skipped them", n = too_long, mib = mib),
            ),
        ),
        (
            unread,
            counted(
                unread,
                t!("1 record has details that cannot be read; sctec shows its other fields"),
                t!("%{n} records have details that cannot be read; sctec shows their other fields", n = unread),
            ),
        ),
    ] {
        if count > 0 {
            let _ = writeln!(stderr, "{text}");
        }
    }
}
