//! Keeping the answer to a request with what the request makes.

use super::view::View;
use super::write::Write;
use crate::agenda::keeping::Made;
use crate::audit::record::Cause;

/// What keeps the answer to the request that has made this, if it is kept.
pub(super) fn keep(cause: &Cause, made: Made<'_>, view: &View) -> Option<Write> {
    let keeping = cause.keeping.as_ref()?;
    let kept = keeping.keep(made, &cause.request_id, view.now);
    Some(Write::KeepAnswer { kept: Box::new(kept), at: view.now })
}
