//! The last word to a client that is let go before hyper could answer it: a whole answer, written by hand.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use hyper::header::DATE;
use hyper::rt::{Read, ReadBuf, Write};

use super::finish::{PROTECTION, http_date};
use crate::http::problem::Problem;
use crate::http::request_id::RequestId;
use crate::time::Timestamp;

/// How long the word may take. Usually the socket takes it at once.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most bytes of the request that are read after that.
const UNREAD_MAX: usize = 64 * 1024;

/// A problem as a whole answer, after which the connection is closed.
pub(super) fn word(problem: &Problem, id: &RequestId, at: Timestamp) -> Vec<u8> {
    let body = problem.to_value(id).to_string();
    let status = problem.status();
    let mut head = format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let mut add = |name: &str, value: &str| {
        // Writing to a `String` cannot fail.
        let _ = write!(head, "{name}: {value}\r\n");
    };
    add("content-type", "application/problem+json");
    add("content-length", &body.len().to_string());
    add("connection", "close");
    add("cache-control", "no-store");
    add("x-request-id", id);
    if let Some(seconds) = problem.wait_s() {
        add("retry-after", &seconds.to_string());
    }
    let date = http_date(at);
    for (name, value) in PROTECTION.into_iter().chain(date.map(|date| (DATE, date))) {
        add(name.as_str(), value.to_str().unwrap_or_default());
    }
    (head + "\r\n" + &body).into_bytes()
}

/// Says it and ends the sending side. What the client has sent by then is read: with unread bytes the kernel would break the
/// connection, and the client would lose the word. Of a `patient` service, the client has a second to end its side.
pub(super) async fn say(io: &mut (impl Read + Write + Unpin), word: &[u8], patient: bool) {
    let mut left = word;
    let said = poll_fn(|cx| {
        while !left.is_empty() {
            match std::task::ready!(Pin::new(&mut *io).poll_write(cx, left)) {
                Ok(written @ 1..) => left = &left[written..],
                // The client has gone.
                _ => return Poll::Ready(()),
            }
        }
        Pin::new(&mut *io).poll_shutdown(cx).map(|_| ())
    });
    if tokio::time::timeout(PATIENCE, said).await.is_err() {
        return;
    }
    let mut unread = UNREAD_MAX;
    let read = poll_fn(|cx| {
        let mut bytes = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *io).poll_read(cx, buffer.unfilled()) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && unread > buffer.filled().len() => {
                    unread -= buffer.filled().len();
                }
                Poll::Pending if patient => return Poll::Pending,
                // Nothing more is there now.
                _ => return Poll::Ready(()),
            }
        }
    });
    // After the time limit the connection ends all the same.
    let _ = tokio::time::timeout(PATIENCE, read).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::kind;

    #[test]
    fn a_word_is_a_whole_answer() {
        let problem = Problem::new(kind::NO_PLACE, "não há").retry_after_s(1);
        let id = RequestId::parse("a-1").unwrap();
        let said = String::from_utf8(word(&problem, &id, Timestamp::MIN)).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}");
        for line in ["connection: close", "retry-after: 1", "x-request-id: a-1", "x-content-type-options: nosniff"] {
            assert!(head.contains(line), "{head}");
        }
        assert!(head.contains("\r\ndate: ") && body.contains("\"conexoes_demais\""), "{said}");
    }
}
