//! By what the caller of a request was identified, for an answer that goes on: a stream of events ends with its caller's token or
//! session.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::access::principal::Who;
use crate::access::register::{Found, Key, Register, Unidentified};
use crate::access::role::Need;
use crate::access::token::Digest;
use crate::time::Timestamp;

/// The pause between two looks whether a long answer's client is still identified. Its looks are uses of its session too.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The shortest of these pauses.
const SOON: Duration = Duration::from_millis(100);

/// Asks the register. What it does not know may have been made just now, and after a pause of the process it has to look at its file
/// first.
pub async fn find(register: &Register, key: Key, from: IpAddr) -> Result<Found, Unidentified> {
    match register.find(key, Some(from)) {
        Err(Unidentified::Unknown | Unidentified::Unavailable) => {
            register.look().await;
            register.find(key, Some(from))
        }
        found => found,
    }
}

/// By what the caller of a request was identified. An answer that goes on, as a stream of events does, ends with it.
#[derive(Clone, Default)]
pub struct Pass(Option<Shown>);

#[derive(Clone)]
struct Shown {
    register: Arc<Register>,
    key: Key,
    need: Need,
    by: IpAddr,
}

impl Pass {
    /// What was shown to `register` for an endpoint with a `need`, from the address `by`.
    pub fn new(register: Arc<Register>, key: Key, need: Need, by: IpAddr) -> Self {
        Self(Some(Shown { register, key, need, by }))
    }

    /// The session, if it is one.
    pub fn session(&self) -> Option<Digest> {
        match self.0.as_ref()?.key {
            Key::Session(session) => Some(session),
            Key::Token(_) | Key::Calendar(_) => None,
        }
    }

    /// The secret of a calendar's address, if it is one.
    pub fn calendar(&self) -> Option<Digest> {
        match self.0.as_ref()?.key {
            Key::Calendar(secret) => Some(secret),
            Key::Token(_) | Key::Session(_) => None,
        }
    }

    /// When it stops to identify the caller, if nothing ends it before.
    pub fn until(&self) -> Option<Timestamp> {
        let shown = self.0.as_ref()?;
        shown.register.find(shown.key, Some(shown.by)).ok()?.until
    }

    /// Whether it still identifies somebody who may do this. A body may take seconds to arrive.
    pub async fn holds(&self) -> bool {
        let Some(shown) = &self.0 else { return true };
        find(&shown.register, shown.key, shown.by).await.is_ok_and(|found| shown.allows(&found))
    }

    /// Completes once it identifies nobody any more, or somebody who may not do this any more. Never, if the service asks nobody.
    pub async fn ended(&self) {
        let Some(shown) = &self.0 else { return std::future::pending().await };
        let mut changes = shown.register.changes();
        loop {
            let pause = match find(&shown.register, shown.key, shown.by).await {
                Ok(found) if shown.allows(&found) => shown.pause(found.until),
                _ => return,
            };
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

impl Shown {
    /// Whether the principal that was found may still do what the endpoint does.
    fn allows(&self, found: &Found) -> bool {
        Who::Known(Arc::clone(&found.principal)).check(self.need).is_ok()
    }

    /// How long nothing has to be asked, if nothing is told.
    fn pause(&self, until: Option<Timestamp>) -> Duration {
        let Some(until) = until else { return LOOK_AGAIN };
        let left = until.as_micros().saturating_sub(self.register.now().as_micros());
        Duration::from_micros(u64::try_from(left).unwrap_or_default()).clamp(SOON, LOOK_AGAIN)
    }
}
