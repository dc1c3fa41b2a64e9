//! Listeners of the agenda's events, all on one thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::Outcome;

/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// A booking was made, or cancelled.
const CHANGED: [&[u8]; 2] = [b"\nevent: criado\n", b"\nevent: cancelado\n"];

/// What the listeners tell.
#[derive(Default)]
pub struct Heard {
    /// When each that has heard of the current booking, or of its cancellation, had read of it.
    pub at: RefCell<Vec<Instant>>,
    /// How many have been told that they hear the agenda.
    pub linked: Cell<usize>,
    progress: Notify,
}

impl Heard {
    /// Waits until it is so.
    pub async fn wait(&self, what: &str, reached: impl Fn(&Self) -> bool) -> Outcome<()> {
        let reached = async {
            while !reached(self) {
                self.progress.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.map_err(|_| format!("in vain: {what}").into())
    }
}

/// One more listener, from now until the end.
pub async fn listen(address: &str, heard: &Rc<Heard>) -> Outcome<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET /eventos HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await?;
    let heard = Rc::clone(heard);
    tokio::task::spawn_local(async move {
        let (mut bytes, mut linked) = (Vec::new(), false);
        loop {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                // The service has ended; if it should not have, somebody waits in vain and says so.
                return;
            }
            if !linked && memmem::find(&bytes, b"{\"ligado\":true}").is_some() {
                linked = true;
                heard.linked.set(heard.linked.get() + 1);
                heard.progress.notify_one();
            }
            let read = memmem::rfind(&bytes, b"\n\n").map_or(0, |end| end + 1);
            let events: usize = CHANGED.iter().map(|name| memmem::find_iter(&bytes[..read], name).count()).sum();
            if events > 0 {
                heard.at.borrow_mut().extend(std::iter::repeat_n(Instant::now(), events));
                heard.progress.notify_one();
            }
            bytes.drain(..read);
        }
    });
    Ok(())
}
