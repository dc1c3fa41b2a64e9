//! One exchange with the coordinator: a `POST /lote`, and its answers.

use std::time::Duration;

use bytes::Bytes;

use super::transport::{NotServed, Transport, not_served, read_whole};
use crate::coordinator::protocol::Operation;
use crate::coordinator::protocol::answers::{self, Answer};

/// Tries of one exchange at one address: a kept-alive connection may have been closed just then, and the same request
/// again gets the same lease again.
pub const TRIES: usize = 2;

/// Sends a batch to the first address that answers within its share of `time`. The answers are in the order of
/// `operations`, which are those of `body`.
///
/// # Errors
/// When no address answers.
pub async fn exchange(
    transport: &Transport,
    body: &Bytes,
    operations: &[&Operation],
    time: Duration,
) -> Result<Vec<Answer>, NotServed> {
    let once = async |uri| {
        let (status, bytes) = read_whole(transport.post(uri, body).await?).await?;
        if !status.is_success() {
            return Err(not_served(uri, status, &bytes));
        }
        answers::read(&bytes, operations).map_err(|why| format!("{uri} respondeu {why}").into())
    };
    transport.first_that(time, |address| tried(|| once(&address.batch))).await
}

/// Tries an exchange [`TRIES`] times, unless its answer is one that the same request would get again.
///
/// # Errors
/// The last try's.
pub async fn tried<T, F: Future<Output = Result<T, NotServed>>>(once: impl Fn() -> F) -> Result<T, NotServed> {
    let mut result = once().await;
    for _ in 1..TRIES {
        match &result {
            Err(refused) if !refused.is_definite() => {}
            _ => break,
        }
        result = once().await;
    }
    result
}

/// Reads the answer to the one operation of an exchange.
///
/// # Errors
/// What the body is instead.
pub fn read_one(body: &[u8], operation: &Operation) -> Result<Answer, String> {
    let mut answers = answers::read(body, &[operation]).map_err(|why| format!("o coordenador respondeu {why}"))?;
    // `read` gives as many answers as operations.
    Ok(answers.remove(0))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn only_an_exchange_without_a_definite_answer_is_tried_again() {
        let silence = NotServed::from("silêncio".to_owned());
        let cases = [
            (silence.clone(), TRIES),
            (NotServed { elsewhere: true, ..silence.clone() }, 1),
            (NotServed { too_fast: true, ..silence }, 1),
        ];
        for (refused, tries) in cases {
            let tried_so_far = Cell::new(0);
            let once = || {
                tried_so_far.set(tried_so_far.get() + 1);
                std::future::ready(Err::<(), _>(refused.clone()))
            };
            tried(once).await.unwrap_err();
            assert_eq!(tried_so_far.get(), tries, "{refused:?}");
        }
    }
}
