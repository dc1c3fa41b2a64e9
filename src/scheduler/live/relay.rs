//! One connection to the coordinator's channel, from which all listeners of this scheduler are served.
//!
//! The relay keeps the coordinator's own bytes and event numbers. After a lost connection it continues after the last event
//! that it received. Events that the coordinator no longer keeps, or that it lost by a restart, are a gap. Each listener is
//! told of the gap.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use slog::{Logger, info, warn};
use tokio::sync::watch;

use super::super::hour::openings::Openings;
use super::event::Event;
use super::heard::Heard;
use super::publisher::TELESCOPE;
use crate::agenda::{Place, SlotRange};
use crate::coordinator::client::{Block, Feed};
use crate::http::channel::Channel;
use crate::time::{Timestamp, minutes_in_micros};

/// The pause before a connection is tried again: the first pause and the longest one.
const RETRY: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// What the rest of the scheduler learns from the relay: whether the channel reaches it, when a telescope was changed, and which slots open in a
/// moment.
type Learned = (watch::Sender<bool>, Arc<Heard>, Arc<Openings>);

/// Listens until it is dropped.
pub async fn run(feed: Feed, channel: Arc<Channel<Event>>, learned: Learned, log: Logger) {
    let [first_pause, longest] = RETRY;
    let (mut pause, mut said) = (first_pause, false);
    loop {
        let reason = match listen(&feed, &channel, &learned, &log).await {
            Ok(reason) => {
                (pause, said) = (first_pause, false);
                reason
            }
            Err(reason) => reason,
        };
        learned.0.send_replace(false);
        if !said {
            warn!(log, "Canal da agenda interrompido: {}", reason);
            said = true;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// Listens until the stream breaks, and returns the reason; an error if no stream began.
async fn listen(feed: &Feed, channel: &Channel<Event>, learned: &Learned, log: &Logger) -> Result<String, String> {
    let mut listening = feed.listen(channel.position()).await?;
    take(channel, learned, listening.next().await?);
    learned.0.send_replace(true);
    info!(log, "Canal da agenda ligado");
    loop {
        match listening.next().await {
            Ok(block) => take(channel, learned, block),
            Err(reason) => return Ok(reason),
        }
    }
}

/// An event about slots that become free, as far as it is looked at.
#[derive(Deserialize)]
struct Freed {
    #[serde(flatten)]
    place: At,
    abre_em_utc: String,
    antes: Option<At>,
}

#[derive(Deserialize)]
struct At {
    telescopio: String,
    horario_inicio_utc: String,
    horario_fim_utc: String,
}

/// The place that has become free by an event, and when it opens; `None` where nothing is said of that.
fn opening(block: &Block) -> Option<(Place, Timestamp)> {
    // Most events have no such field, and are not read.
    memchr::memmem::find(&block.bytes, b"\"abre_em_utc\"")?;
    let data = block.bytes.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"data: "))?;
    let Freed { place, abre_em_utc, antes } = serde_json::from_slice(data).ok()?;
    let At { telescopio: telescope, horario_inicio_utc, horario_fim_utc } = antes.unwrap_or(place);
    let instant = |text: &str| Timestamp::parse_rfc3339(text).ok();
    let (start, end) = (instant(&horario_inicio_utc)?, instant(&horario_fim_utc)?);
    let minutes = (end.as_micros() - start.as_micros()) / minutes_in_micros(1);
    Some((Place { telescope, slots: SlotRange::new(start, minutes).ok()? }, instant(&abre_em_utc)?))
}

fn take(channel: &Channel<Event>, (_, heard, openings): &Learned, block: Block) {
    // First this, so that a listener who reads the agenda because of the event finds the change.
    if block.is_gap || block.is_unknown_gap || block.name == TELESCOPE {
        heard.note();
    }
    if let Some((place, opens_at)) = opening(&block) {
        openings.note(&place, opens_at);
    }
    // A comment has no event number.
    let Some(id) = block.id else { return };
    // The coordinator's own event, which says that it does not know the requested number. An event published by a scheduler
    // has a later number.
    let from_elsewhere = channel.position().is_none_or(|here| here.epoch != id.epoch || id.number < here.number);
    if block.is_event && !block.is_gap && !(block.is_unknown_gap && from_elsewhere) {
        channel.add(id, Event::Relayed(block.bytes));
    } else {
        channel.go_on_from(id);
    }
}
