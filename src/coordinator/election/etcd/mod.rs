//! A client of etcd's JSON gateway, over hyper: only the calls that the election makes.
//!
//! Of several members one is asked until it does not answer; then the next is. An error leaves open whether etcd did what it was asked,
//! unless it says otherwise.

#[cfg(test)]
pub(crate) mod fake;
mod messages;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Request, StatusCode};
use prometheus_client::metrics::counter::Counter;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::messages::{
    Authenticated, Done, Leased, Refused, Streamed, Transacted, changed_by, first, made_by, put, range,
};
use super::elector::{EtcdLease, LEASE, Seat};
use super::{ElectionConfig, Login};
use crate::http::client::{Pool, whole_body};
use crate::http::unreachable::logged;

/// How long one member has for an answer.
const ATTEMPT: Duration = Duration::from_millis(700);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_millis(500);
/// For how long etcd is not asked again after it refused the user or the password: each login costs it a slow hash.
const LOGIN_RETRY: Duration = Duration::from_secs(2);
/// The most bytes of an answer.
const ANSWER_MAX: usize = 64 * 1024;

/// A client of one cluster.
pub struct Etcd {
    pool: Pool,
    members: Vec<String>,
    /// The index of the member that answered last.
    current: AtomicUsize,
    /// The key that names the elected coordinator.
    seat: String,
    /// The key that has the limits.
    limits: String,
    login: Option<Login>,
    /// What a login gave.
    ///
    /// A std mutex around a header's value, held to read or to replace it.
    token: Mutex<Option<HeaderValue>>,
    /// When etcd refused the login last, and its error.
    ///
    /// A std mutex, held to read or to replace it.
    login_refused: Mutex<Option<(Instant, EtcdError)>>,
    /// Calls that no member answered as it should.
    failures: Counter,
}

/// No member did what it was asked, as far as is known. In words, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct EtcdError {
    words: String,
    /// etcd says that the lease is over.
    lease_gone: bool,
    /// Another login may help.
    wants_login: bool,
    /// etcd knows no such user, or the password is another.
    login_refused: bool,
}

/// Both keys, as they were read at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who is elected.
    pub seat: Option<Seat>,
    /// The limits.
    pub limits: Stored,
}

/// A text in etcd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The number of the change that wrote it last; zero where there is none.
    pub revision: u64,
    /// The text.
    pub text: Option<String>,
}

/// What became of a write that has conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is written, by the change with this number.
    Done(u64),
    /// The conditions did not hold. This is what is there.
    Not(Seen),
}

/// The value of the key that names the elected coordinator.
#[derive(Deserialize)]
struct SeatText {
    endereco: String,
}

impl From<String> for EtcdError {
    fn from(words: String) -> Self {
        Self { words, lease_gone: false, wants_login: false, login_refused: false }
    }
}

impl Etcd {
    /// A client that has no connection yet. `failures` counts the calls that fail.
    pub fn new(config: &ElectionConfig, failures: Counter) -> Self {
        let key = |name: &str| format!("{}{name}", config.etcd.prefix);
        Self {
            pool: Pool::new(CONNECT, &config.trust),
            members: config.etcd.members.clone(),
            current: AtomicUsize::new(0),
            seat: key("eleito"),
            limits: key("limites"),
            login: config.login.clone(),
            token: Mutex::default(),
            login_refused: Mutex::default(),
            failures,
        }
    }

    /// Reads both keys, as a majority of the members has them.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn look(&self) -> Result<Seen, EtcdError> {
        let read = self.transact(&[], &[]).await?;
        Ok(self.seen(&read))
    }

    /// Takes a lease of [`LEASE`]. Gives its life too: etcd may have a larger least one.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn take_lease(&self) -> Result<(EtcdLease, Duration), EtcdError> {
        let leased: Leased = self.call("/v3/lease/grant", &json!({ "TTL": LEASE.as_secs().to_string() })).await?;
        if leased.id == 0 {
            return Err("o etcd deu um lease sem identidade".to_owned().into());
        }
        Ok((EtcdLease(leased.id), seconds(leased.ttl)))
    }

    /// Takes the key that names the elected coordinator, if it is vacant: with `address`, and for as long as the lease lives. Gives who
    /// has it then.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn campaign(&self, EtcdLease(lease): EtcdLease, address: &str) -> Result<Seen, EtcdError> {
        let value = json!({ "endereco": address }).to_string();
        let vacant = [made_by(&self.seat, 0)];
        let read = self.transact(&vacant, &[put(&self.seat, &value, Some(lease))]).await?;
        Ok(self.seen(&read))
    }

    /// Keeps a lease alive. Gives its life from now on; `None` if it is over.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn keep_alive(&self, EtcdLease(lease): EtcdLease) -> Result<Option<Duration>, EtcdError> {
        let body = json!({ "ID": lease.to_string() });
        let kept: Result<Leased, EtcdError> = self.streamed("/v3/lease/keepalive", &body).await;
        match kept {
            Ok(kept) => Ok((kept.ttl > 0).then(|| seconds(kept.ttl))),
            Err(error) if error.lease_gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends a lease. One that is over already is no error.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn give_up(&self, EtcdLease(lease): EtcdLease) -> Result<(), EtcdError> {
        let ended: Result<Done, _> = self.call("/v3/lease/revoke", &json!({ "ID": lease.to_string() })).await;
        match ended {
            Err(error) if !error.lease_gone => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes the limits, if the elected one's term is still `term` and the limits were written last by the change `revision`.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn write_limits(&self, term: u64, revision: u64, text: &str) -> Result<Written, EtcdError> {
        let conditions = [made_by(&self.seat, term), changed_by(&self.limits, revision)];
        let read = self.transact(&conditions, &[put(&self.limits, text, None)]).await?;
        Ok(if read.succeeded { Written::Done(read.revision()) } else { Written::Not(self.seen(&read)) })
    }

    /// A transaction; in either case both keys are read at its end.
    async fn transact(&self, conditions: &[Value], then: &[Value]) -> Result<Transacted, EtcdError> {
        let reads = [range(&self.seat), range(&self.limits)];
        let success = [then, &reads[..]].concat();
        let body = json!({ "compare": conditions, "success": success, "failure": reads });
        self.call("/v3/kv/txn", &body).await
    }

    fn seen(&self, read: &Transacted) -> Seen {
        let seat = read.found(&self.seat).map(|found| {
            let text = found.text().and_then(|text| serde_json::from_str::<SeatText>(&text).ok());
            Seat { term: found.made_by(), lease: EtcdLease(found.lease), address: text.map(|text| text.endereco) }
        });
        let limits = read.found(&self.limits).map(|found| Stored { revision: found.changed_by(), text: found.text() });
        Seen { seat, limits: limits.unwrap_or_default() }
    }

    async fn streamed<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, EtcdError> {
        self.at_first_that_answers(path, body, |bytes| {
            let Streamed { result, error } = first(bytes).map_err(|error| error.to_string())?;
            match (result, error) {
                (_, Some(refused)) => Err(refused_with(&refused)),
                (Some(result), None) => Ok(result),
                (None, None) => Err("uma resposta vazia".to_owned().into()),
            }
        })
        .await
    }

    async fn call<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, EtcdError> {
        self.at_first_that_answers(path, body, |bytes| first(bytes).map_err(|error| error.to_string().into())).await
    }

    /// Asks the members from the current one on, until one does what it is asked.
    async fn at_first_that_answers<T>(
        &self,
        path: &str,
        body: &Value,
        read: impl Fn(&[u8]) -> Result<T, EtcdError>,
    ) -> Result<T, EtcdError> {
        let (begin, count) = (self.current.load(Ordering::Relaxed), self.members.len());
        let body = Bytes::from(body.to_string());
        let mut fault = None;
        for place in (0..count).map(|step| (begin + step) % count) {
            let member = &self.members[place];
            let answered = tokio::time::timeout(ATTEMPT, self.ask(member, path, &body, &read)).await;
            let late = || format!("não respondeu em {} ms", ATTEMPT.as_millis());
            match answered.unwrap_or_else(|_| Err(late().into())) {
                Ok(answer) => {
                    self.current.store(place, Ordering::Relaxed);
                    return Ok(answer);
                }
                // It is the cluster's word, and no other member has another.
                Err(error) if error.lease_gone => return Err(error),
                Err(error) if error.login_refused => {
                    self.failures.inc();
                    return Err(EtcdError { words: format!("{member}: {}", error.words), ..error });
                }
                Err(error) => {
                    fault.get_or_insert(EtcdError { words: format!("{member}: {}", error.words), ..error });
                }
            }
        }
        self.failures.inc();
        // There is a member.
        Err(fault.unwrap_or_else(|| String::new().into()))
    }

    /// Asks one member. Where etcd asks for a login and the one from before does not count any more, it logs in and asks again.
    async fn ask<T>(
        &self,
        member: &str,
        path: &str,
        body: &Bytes,
        read: impl Fn(&[u8]) -> Result<T, EtcdError>,
    ) -> Result<T, EtcdError> {
        let known = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let token = match (known, &self.login) {
            (None, Some(login)) => Some(self.log_in(member, login).await?),
            (known, _) => known,
        };
        let answer = |bytes: Bytes| read(&bytes);
        match self.post(member, path, body, token).await.and_then(answer) {
            Err(EtcdError { wants_login: true, .. }) if self.login.is_some() => {}
            answered => return answered,
        }
        let Some(login) = &self.login else { return Err(String::new().into()) };
        let token = self.log_in(member, login).await?;
        self.post(member, path, body, Some(token)).await.and_then(answer)
    }

    /// Logs in, and keeps what it gives for the calls that follow.
    async fn log_in(&self, member: &str, login: &Login) -> Result<HeaderValue, EtcdError> {
        let refused = || self.login_refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, error)) = refused().as_ref().filter(|(at, _)| at.elapsed() < LOGIN_RETRY) {
            return Err(error.clone());
        }
        let body = json!({ "name": login.name, "password": login.password }).to_string().into();
        let answer = self.post(member, "/v3/auth/authenticate", &body, None).await.map_err(|error| EtcdError {
            wants_login: false,
            words: format!("o usuário {} não pôde entrar: {}", login.name, error.words),
            ..error
        });
        *refused() =
            answer.as_ref().err().filter(|error| error.login_refused).map(|error| (Instant::now(), error.clone()));
        let answer = answer?;
        let Authenticated { token } = first(&answer).map_err(|error| error.to_string())?;
        let mut token = HeaderValue::try_from(token).map_err(|error| error.to_string())?;
        token.set_sensitive(true);
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(token)
    }

    /// One request, and the body of an answer that is a success.
    async fn post(
        &self,
        member: &str,
        path: &str,
        body: &Bytes,
        token: Option<HeaderValue>,
    ) -> Result<Bytes, EtcdError> {
        let mut request = Request::post(format!("{member}{path}")).header(CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            // As etcd wants it: the token alone.
            request = request.header(AUTHORIZATION, token);
        }
        let request = request.body(Full::new(body.clone())).map_err(|error| error.to_string())?;
        let answer = self.pool.send(request).await.map_err(|error| logged(&error))?;
        let status = answer.status();
        let body = whole_body(answer.into_body(), ANSWER_MAX).await.map_err(|error| error.to_string())?;
        if status == StatusCode::OK {
            return Ok(body);
        }
        let refused: Refused = first(&body).unwrap_or_default();
        if refused.words().is_empty() { Err(format!("respondeu {status}").into()) } else { Err(refused_with(&refused)) }
    }
}

fn refused_with(refused: &Refused) -> EtcdError {
    EtcdError {
        words: refused.words().to_owned(),
        lease_gone: refused.is_lease_gone(),
        wants_login: refused.wants_login(),
        login_refused: refused.is_of_login(),
    }
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::fake::FakeEtcd;
    use super::*;

    #[tokio::test]
    async fn a_login_that_was_refused_is_not_tried_at_every_question() {
        let fake = FakeEtcd::start();
        let etcd = fake.client_as(Login::parse("sctec:outra"));
        for _ in 0..5 {
            let error = etcd.look().await.unwrap_err().to_string();
            assert!(error.contains("o usuário sctec não pôde entrar: etcdserver: authentication failed"), "{error}");
        }
        assert_eq!(fake.contents().logins, 1);
        tokio::time::sleep(LOGIN_RETRY).await;
        etcd.look().await.unwrap_err();
        assert_eq!(fake.contents().logins, 2, "the password may be another one by now");
    }
}
