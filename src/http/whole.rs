//! A whole list as one table, of which each page is read when the pages before it are sent: no more than a page is ever in memory.
//!
//! Each page shows its own moment. What is in the list all the time is there once, as in the pages of JSON.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use slog::{Logger, error};

use super::bounds::budget::Held;
use super::bounds::{Visit, kept};
use super::no_room;
use super::pieces::Pieces;
use super::problem::Problem;
use super::response::Response;
use super::written::{Written, sent};

/// The most items of a page.
pub const PAGE: u16 = 500;

/// A list that is read page by page.
pub trait Pages: Send + 'static {
    /// Writes the items of the next page, at most [`PAGE`] of them. Whether there are more.
    fn write(&mut self, written: &mut Written) -> impl Future<Output = Result<bool, Problem>> + Send;
}

/// The answer with all pages. A list of one page is an answer like any other, with a tag and a length.
///
/// # Errors
/// When the first page cannot be read. Later the answer is cut off, so that its client notices it.
pub async fn answer<P: Pages>(
    mut pages: P,
    mut written: Written,
    visit: &Arc<Visit>,
    log: &Logger,
) -> Result<Response, Problem> {
    let (room, more) = page(&mut pages, &mut written, visit).await?;
    if !more {
        return Ok(written.into_response(room));
    }
    let (content_type, head) = written.begin();
    let mut sending = Sending {
        pages,
        written: Some(written),
        more,
        ready: VecDeque::new(),
        visit: Arc::clone(visit),
        log: log.clone(),
    };
    sending.take(room);
    let chunks = stream::unfold(Some(sending), |sending| async move {
        let mut sending = sending?;
        match sending.next().await {
            Some(Ok(chunk)) => Some((Ok(chunk), Some(sending))),
            Some(Err(error)) => Some((Err(error), None)),
            None => None,
        }
    });
    Ok(sent(Pieces::fallible(chunks), content_type, head))
}

/// Writes the next page. Returns the room that was held for it, and whether there are more.
async fn page(pages: &mut impl Pages, written: &mut Written, visit: &Visit) -> Result<(Held, bool), Problem> {
    let (room, _reading) = visit.page(PAGE).await.map_err(no_room::for_reading)?;
    let more = pages.write(written).await?;
    Ok((room, more))
}

/// A list that is being sent.
struct Sending<P> {
    pages: P,
    /// What was written last, until the end.
    written: Option<Written>,
    /// Whether there are pages that are not read yet.
    more: bool,
    /// What is written and not sent.
    ready: VecDeque<Bytes>,
    visit: Arc<Visit>,
    log: Logger,
}

impl<P: Pages> Sending<P> {
    /// The next chunk; `None` after the last one.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Some(Ok(chunk));
            }
            if !self.more {
                let last = self.written.take()?.end();
                self.ready = last.into_iter().filter(|chunk| !chunk.is_empty()).collect();
                continue;
            }
            let written = self.written.as_mut()?;
            match page(&mut self.pages, written, &self.visit).await {
                Ok((room, more)) => {
                    self.more = more;
                    self.take(room);
                }
                Err(problem) => {
                    // The status is sent already.
                    error!(self.log, "Lista interrompida: {} {}", problem.code(), problem.log_text());
                    return Some(Err(io::Error::other("a lista não pôde ser lida até o fim")));
                }
            }
        }
    }

    /// Makes what was written ready. Its bytes take the place of the room that was held for them.
    fn take(&mut self, mut room: Held) {
        let chunks = self.written.as_mut().map(Written::take).unwrap_or_default();
        room.correct(chunks.iter().map(Bytes::len).sum());
        let chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty());
        self.ready.extend(chunks.map(|chunk| {
            let held = room.split(chunk.len());
            kept(chunk, Some(held))
        }));
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use hyper::header::{ACCEPT, HeaderMap, HeaderValue};
    use slog::{Discard, o};

    use super::*;
    use crate::http::bounds::Bounds;
    use crate::http::table::Table;

    static TABLE: Table = Table { list: "itens", columns: &["n"], also: &[] };

    /// Pages of 500 numbers, of which one cannot be read.
    struct Numbers {
        written: u32,
        until: u32,
        fails_at: u32,
    }

    impl Pages for Numbers {
        async fn write(&mut self, written: &mut Written) -> Result<bool, Problem> {
            if self.written == self.fails_at {
                return Err(Problem::internal("um defeito"));
            }
            written.begin_list(TABLE.list);
            let end = self.until.min(self.written + u32::from(PAGE));
            for n in self.written..end {
                written.item(&serde_json::json!({ "n": n }));
            }
            written.end_list();
            self.written = end;
            Ok(end < self.until)
        }
    }

    async fn answered(until: u32, fails_at: u32) -> Result<String, String> {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("text/csv"))]);
        let written = Written::of_list(&headers, &TABLE).map_err(|problem| problem.log_text())?;
        let visit = Bounds::new(1).enter("10.0.0.1:1".parse().unwrap());
        let log = Logger::root(Discard, o!());
        let numbers = Numbers { written: 0, until, fails_at };
        let answer = answer(numbers, written, &visit, &log).await.map_err(|problem| problem.log_text())?;
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
        Ok(String::from_utf8(body.to_bytes().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn all_pages_are_one_table() {
        for until in [0, 1, 500, 501, 20_000] {
            let expected: String =
                ["n".to_owned()].into_iter().chain((0..until).map(|n| n.to_string())).map(|row| row + "\r\n").collect();
            assert_eq!(answered(until, u32::MAX).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_page_that_cannot_be_read_refuses_the_answer_or_cuts_it_off() {
        assert_eq!(answered(1000, 0).await.unwrap_err(), "um defeito");
        assert_eq!(answered(2000, 1000).await.unwrap_err(), "a lista não pôde ser lida até o fim");
    }
}
