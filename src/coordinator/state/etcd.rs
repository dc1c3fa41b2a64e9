//! The durable limits in etcd, for the elected coordinator: each write is a transaction that etcd does only if the term is still this one
//! and nothing else has changed the limits since they were read.
//!
//! The second condition is for this coordinator's own writes. One whose answer was lost may still be on its way, and would undo a later
//! one when it arrives.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{DurableState, Hold, Limits, StateError, text};
use crate::coordinator::election::etcd::{Etcd, EtcdError, Seen, Stored, Written};
use crate::coordinator::election::tenure::Tenure;

/// How often a write is tried whose limits were changed since they were read.
const TRIES: u32 = 3;

/// The limits in etcd, held by the elected coordinator alone. Its methods block, so they are called off the async threads.
pub struct EtcdState {
    etcd: Arc<Etcd>,
    runtime: Handle,
    tenure: Arc<Tenure>,
    limits: Limits,
    /// The change that wrote the limits last, as far as is known.
    revision: u64,
    /// Whether the last write had no answer.
    unsure: bool,
}

impl EtcdState {
    /// Reads the limits for a term that has begun. `before` are those of a coordinator that was not elected and had the same schedulers:
    /// its tokens are never given again, and where etcd has no limits yet, its longest TTL counts too.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(etcd: Arc<Etcd>, runtime: Handle, tenure: Arc<Tenure>, before: Limits) -> Result<Self, StateError> {
        let mut state = Self { etcd, runtime, tenure, limits: Limits::default(), revision: 0, unsure: false };
        let Stored { revision, text } = state.read()?;
        state.revision = revision;
        state.limits = match text {
            None if revision == 0 => before,
            None => return Err(StateError::NotWritten("limites no etcd: não é texto".to_owned())),
            Some(text) => {
                let damaged = |why| StateError::NotWritten(format!("limites no etcd: {why}"));
                let read = text::read(text.as_bytes()).map_err(damaged)?;
                Limits { token_limit: read.token_limit.max(before.token_limit), ..read }
            }
        };
        Ok(state)
    }

    fn read(&self) -> Result<Stored, StateError> {
        let seen = self.runtime.block_on(self.etcd.look()).map_err(|error| not_written(&error))?;
        self.still_elected(seen)
    }

    /// The limits, if the term is still this one.
    fn still_elected(&self, seen: Seen) -> Result<Stored, StateError> {
        if seen.seat.is_some_and(|seat| seat.term == self.tenure.term()) {
            return Ok(seen.limits);
        }
        self.tenure.end();
        Err(StateError::NotHeld("outro coordenador foi eleito: nada foi gravado".to_owned()))
    }
}

fn not_written(error: &EtcdError) -> StateError {
    StateError::NotWritten(format!("o etcd não fez o que lhe foi pedido: {error}"))
}

impl DurableState for EtcdState {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn write(&mut self, limits: Limits) -> Result<(), StateError> {
        if self.tenure.is_over() {
            return Err(StateError::NotHeld("este coordenador deixou de ser o eleito".to_owned()));
        }
        let text = text::written(limits);
        for _ in 0..TRIES {
            if self.unsure {
                self.revision = self.read()?.revision;
            }
            let write = self.etcd.write_limits(self.tenure.term(), self.revision, &text);
            match self.runtime.block_on(write) {
                Ok(Written::Done(revision)) => {
                    (self.limits, self.revision, self.unsure) = (limits, revision, false);
                    return Ok(());
                }
                Ok(Written::Not(seen)) => self.revision = self.still_elected(seen)?.revision,
                Err(error) => {
                    // Either may be there now: only what both allow may be given.
                    self.limits.longest_ttl = self.limits.longest_ttl.min(limits.longest_ttl);
                    self.unsure = true;
                    return Err(not_written(&error));
                }
            }
        }
        Err(StateError::NotWritten("os limites no etcd mudam por outra mão".to_owned()))
    }

    fn is_recorded(&self) -> bool {
        !self.unsure
    }

    fn hold(&self) -> Arc<dyn Hold> {
        Arc::clone(&self.tenure) as Arc<dyn Hold>
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::coordinator::election::etcd::fake::{FakeEtcd, Fault};
    use crate::coordinator::state::BLOCK;
    use crate::time::since_boot;

    const S: Duration = Duration::from_secs(1);

    /// A runtime for the client; the state blocks on this thread.
    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    fn tenure(etcd: &FakeEtcd) -> Arc<Tenure> {
        Arc::new(Tenure::new(etcd.make("eleito", "{}"), since_boot() + 60 * S))
    }

    #[test]
    fn limits_are_written_under_the_term_and_go_on_in_the_next() {
        let (etcd, runtime) = (FakeEtcd::start(), runtime());
        let open = |tenure: &Arc<Tenure>, before| {
            EtcdState::open(etcd.client(), runtime.handle().clone(), Arc::clone(tenure), before)
        };
        let first = tenure(&etcd);
        let before = Limits { token_limit: 500, longest_ttl: 20 * S };
        let mut state = open(&first, before).unwrap();
        assert_eq!(state.limits(), before, "those of the file, as long as etcd has none");
        assert_eq!(state.reserve_tokens(501).unwrap(), 501 + BLOCK);
        assert_eq!(state.reserve_ttl(25 * S).unwrap(), 30 * S);
        let second = tenure(&etcd);
        let mut next = open(&second, before).unwrap();
        assert_eq!(next.limits(), Limits { token_limit: 501 + BLOCK, longest_ttl: 30 * S });
        // The deposed one cannot write, and knows it then.
        assert!(matches!(state.reserve_tokens(2 * BLOCK), Err(StateError::NotHeld(_))));
        assert!(first.is_over() && !second.is_over());
        next.lower_ttl(Duration::ZERO).unwrap();
        assert_eq!(open(&second, Limits::default()).unwrap().limits().longest_ttl, Duration::ZERO);
        etcd.make("limites", "{\"formato\":2}");
        assert!(matches!(open(&second, before), Err(StateError::NotWritten(_))));
    }

    #[test]
    fn a_write_that_arrives_late_undoes_no_later_one() {
        let (etcd, runtime) = (FakeEtcd::start(), runtime());
        let tenure = tenure(&etcd);
        let handle = runtime.handle().clone();
        let mut state = EtcdState::open(etcd.client(), handle, tenure, Limits::default()).unwrap();
        state.reserve_tokens(1).unwrap();
        etcd.contents().fault = Some(Fault::IsLate);
        assert!(matches!(state.reserve_ttl(10 * S), Err(StateError::NotWritten(_))));
        etcd.contents().fault = None;
        let limit = state.reserve_tokens(2 * BLOCK).unwrap();
        assert_eq!(state.reserve_ttl(60 * S).unwrap(), 60 * S);
        let written = etcd.value("limites");
        etcd.deliver();
        assert_eq!(etcd.value("limites"), written);
        assert_eq!(state.limits(), Limits { token_limit: limit, longest_ttl: 60 * S });
    }

    #[test]
    fn after_a_write_without_an_answer_only_what_both_states_allow_is_given() {
        let (etcd, runtime) = (FakeEtcd::start(), runtime());
        let tenure = tenure(&etcd);
        let handle = runtime.handle().clone();
        let mut state = EtcdState::open(etcd.client(), handle, tenure, Limits::default()).unwrap();
        let limit = state.reserve_tokens(1).unwrap();
        state.reserve_ttl(60 * S).unwrap();
        etcd.contents().fault = Some(Fault::LosesAnswer);
        state.lower_ttl(5 * S).unwrap_err();
        assert_eq!(state.limits().longest_ttl, 5 * S, "it may be the shorter one by now");
        state.reserve_tokens(3 * BLOCK).unwrap_err();
        assert_eq!(state.limits().token_limit, limit, "it may be the smaller one still");
        etcd.contents().fault = None;
        assert_eq!(state.reserve_ttl(60 * S).unwrap(), 60 * S);
        assert!(etcd.value("limites").unwrap().contains("60000"));
        assert!(state.reserve_tokens(3 * BLOCK).unwrap() > 3 * BLOCK);
    }
}
