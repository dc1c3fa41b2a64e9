//! Operations that the coordinator decides at once share their exchanges: what arrives during one exchange is the next
//! batch. Alone, an operation waits for no other.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::ask::{Answered, Ask, Reply, Unlocks};
use super::exchange::exchange;
use super::transport::{EXCHANGE_TIMEOUT, NotServed, Transport};
use crate::batch;
use crate::coordinator::protocol::Operation;
use crate::coordinator::protocol::batch::BatchWriter;
use crate::http::request_id::RequestId;

/// Has `operation` sent with the next batch, and waits for its answer, [`EXCHANGE_TIMEOUT`] at the most.
pub async fn ask(asks: &batch::Sender<Ask>, req: &RequestId, operation: Operation) -> Reply {
    let (reply, mut answer) = oneshot::channel();
    let gone = || NotServed::from("a tarefa do coordenador terminou".to_owned());
    let until = Instant::now() + EXCHANGE_TIMEOUT;
    asks.send(Ask { req: req.clone(), operation, until, reply: Some(reply) }).map_err(|_| gone())?;
    if let Ok(answered) = tokio::time::timeout_at(until.into(), &mut answer).await {
        return answered.map_err(|_| gone())?;
    }
    // The channel is closed first, and then read once more: an answer that comes after this finds it closed.
    answer.close();
    let late = || Err(format!("o coordenador não respondeu em {} ms", EXCHANGE_TIMEOUT.as_millis()).into());
    answer.try_recv().unwrap_or_else(|_| late())
}

/// The task that sends the batches, one after the other, until every sender of `batches` is gone. Leases whose callers have
/// given up go back through `unlocks`; the unlocks themselves have no leases.
pub async fn send_all(transport: Arc<Transport>, mut batches: batch::Batches<Ask>, unlocks: Option<Unlocks>) {
    let mut batch = Vec::new();
    while batches.next_async(&mut batch).await.is_some() {
        // Looked at only when its turn comes: the batches before may have taken all its time.
        let mut waiting = batch.drain(..).filter(Ask::is_wanted).peekable();
        while waiting.peek().is_some() {
            let mut body = BatchWriter::default();
            let mut asks = Vec::new();
            while let Some(ask) = waiting.next_if(|_| body.has_room()) {
                body.add(&ask.req, &ask.operation);
                asks.push(ask);
            }
            send(&transport, body, asks, unlocks.as_ref()).await;
        }
    }
}

/// One exchange: sends the body of `asks` and hands each its answer.
async fn send(transport: &Transport, body: BatchWriter, asks: Vec<Ask>, unlocks: Option<&Unlocks>) {
    let sent_at = Instant::now();
    // Until the last caller gives up.
    let until = asks.iter().map(|ask| ask.until).max().unwrap_or(sent_at);
    let operations: Vec<&Operation> = asks.iter().map(|ask| &ask.operation).collect();
    match exchange(transport, &body.finish(), &operations, until.saturating_duration_since(sent_at)).await {
        Ok(answers) => {
            for (Ask { req, reply, .. }, answer) in asks.into_iter().zip(answers) {
                if let Some(reply) = reply {
                    // A caller that has given up drops the answer, and so gives its lease back.
                    let _ = reply.send(Ok(Answered::new(answer, sent_at, req, unlocks.cloned())));
                }
            }
        }
        Err(reason) => {
            for reply in asks.into_iter().filter_map(|ask| ask.reply) {
                let _ = reply.send(Err(reason.clone()));
            }
        }
    }
}
