//! The register of tokens, sessions and calendars in PostgreSQL, which schedulers on several machines share.
//!
//! # Locking
//!
//! A change first raises the number in the table `registro`. The lock on that row orders the writers, so what a change has read stays true
//! until its COMMIT; and the others see by the number that there is something to read.

mod statements;

use deadpool_postgres::Client;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio_postgres::Row;

use self::statements::{Changed, begin, calendars, credentials, digest_of, execute, insert, one, other};
use super::ask;
use super::connect::{Connector, Use};
use super::errors::Error;
use super::location::Location;
use super::readers::Readers;
use super::rows::{get, required};
use super::schema;
use super::threads::Threads;
use crate::access::Author;
use crate::access::calendar::{Calendar, Shows};
use crate::access::entry::{EmailRule, NoEntry};
use crate::access::register::RegisterError;
use crate::access::register::credential::{Credential, NewCredential, Usage};
use crate::access::register::records::{Place, Records};
use crate::access::session::{Secret, Session};
use crate::access::subject::{Identified, Subject};
use crate::access::token::{Digest, Token};
use crate::store::kind::DatabaseKind;
use crate::time::Timestamp;

/// The register of a database.
#[derive(Clone)]
pub struct SharedRegister {
    threads: Threads,
    connector: Connector,
    runtime: Handle,
    at: String,
}

impl SharedRegister {
    /// That of the database there. Nothing is opened yet.
    ///
    /// # Errors
    /// When the process cannot have connections.
    pub fn new(location: &Location, runtime: Handle) -> Result<Self, RegisterError> {
        // The demonstration of the race has no register of its own.
        let connector = Connector::new(location, DatabaseKind::Agenda);
        let at = location.shown();
        let readers = Readers::new(location, connector.clone())
            .map_err(|error| RegisterError::Shared { at: at.clone(), reason: error.to_string() })?;
        Ok(Self { threads: Threads::new(readers, runtime.clone()), connector, runtime, at })
    }

    /// Where it is, for people.
    pub fn name(&self) -> &str {
        &self.at
    }

    /// How it has grown, by its version.
    #[cfg(test)]
    pub(super) fn growth(&self) -> &super::growth::Growth {
        self.connector.growth()
    }

    /// Whether the agenda there has that scientist.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn has_scientist(&self, id: i64) -> Result<bool, RegisterError> {
        self.read(move |client| {
            Box::pin(
                async move { Ok(ask::row(client, "SELECT 1 FROM cientistas WHERE id = $1", &[&id]).await?.is_some()) },
            )
        })
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl for<'c> FnOnce(&'c mut Client) -> BoxFuture<'c, Result<T, Error>> + Send + 'static,
    ) -> Result<T, RegisterError> {
        self.threads.wait(read).map_err(|error| self.failed(error.to_string()))
    }

    fn change<T: Send + 'static>(
        &self,
        change: impl for<'c> FnOnce(&'c mut Client) -> BoxFuture<'c, Changed<T>> + Send + 'static,
    ) -> Result<T, RegisterError> {
        self.read(change)?
    }
}

impl Place for SharedRegister {
    fn open(&self) -> Result<Box<dyn Records>, RegisterError> {
        let (connector, at) = (self.connector.clone(), self.at.clone());
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            let prepared = async {
                let mut opened = connector.open(Use::Writing).await.map_err(|error| error.to_string())?;
                schema::check(&opened.client, &at).await.map_err(|error| error.to_string())?;
                let prepared = schema::prepare(&mut opened.client, DatabaseKind::Agenda, &at).await;
                prepared.map_err(|error| error.to_string())
            };
            // A thread that has gone away waits for nothing.
            let _ = answer.send(prepared.await);
        });
        let prepared = answered.recv().unwrap_or_else(|error| Err(error.to_string()));
        prepared.map_err(|reason| self.failed(reason))?;
        Ok(Box::new(self.clone()))
    }

    fn open_again(&self) -> Result<Box<dyn Records>, RegisterError> {
        Ok(Box::new(self.clone()))
    }

    fn failed(&self, reason: String) -> RegisterError {
        RegisterError::Shared { at: self.at.clone(), reason }
    }
}

impl Records for SharedRegister {
    fn is_in_place(&self) -> bool {
        true
    }

    fn version(&self) -> Result<i64, RegisterError> {
        let version: i64 = self.read(|client| {
            Box::pin(async move {
                let row = ask::row(client, "SELECT versao FROM registro WHERE id = 1", &[]).await?;
                row.map_or_else(
                    || Err(Error::Unreadable("the table registro has no row".to_owned())),
                    |row| get(&row, 0),
                )
            })
        })?;
        // Each change raises it, as each change of the agenda makes a record.
        self.connector.growth().note(version.cast_unsigned());
        Ok(version)
    }

    fn create(&mut self, new: &NewCredential, by: &Author, now: Timestamp) -> Result<(Token, i64), RegisterError> {
        let token = Token::random().map_err(|error| RegisterError::Random { reason: error.to_string() })?;
        let (digest, new, by) = (token.digest(), new.clone(), by.clone());
        let id = self.change(move |client| {
            Box::pin(async move {
                let transaction = begin(client).await?;
                if let Some(other) = other(&transaction, &new, now).await? {
                    return Ok(Err(RegisterError::other_principal(&other)));
                }
                let id = insert(&transaction, &new, (Some(digest), None), &by, now).await?;
                transaction.commit().await?;
                Ok(Ok(id))
            })
        })?;
        Ok((token, id))
    }

    fn revoke(&mut self, id: i64, now: Timestamp) -> Result<Option<Credential>, RegisterError> {
        self.read(move |client| {
            Box::pin(async move {
                let sql = "UPDATE credencial SET revogada_em = $2 WHERE id = $1 AND revogada_em IS NULL";
                execute(client, sql, &[&id, &now.as_micros()]).await?;
                one(client, id).await
            })
        })
    }

    fn one(&self, id: i64) -> Result<Option<Credential>, RegisterError> {
        self.read(move |client| Box::pin(async move { one(client, id).await }))
    }

    fn all(&self) -> Result<Vec<Credential>, RegisterError> {
        self.read(|client| Box::pin(async move { credentials(client, "ORDER BY id", &[]).await }))
    }

    /// The others do not have to know of it.
    fn note_usages(&mut self, usages: &[(i64, Usage)]) -> Result<(), RegisterError> {
        let usages = usages.to_vec();
        self.read(move |client| {
            Box::pin(async move {
                let ids: Vec<i64> = usages.iter().map(|(id, _)| *id).collect();
                let days: Vec<&str> = usages.iter().map(|(_, usage)| &*usage.day).collect();
                let addresses: Vec<Option<String>> =
                    usages.iter().map(|(_, usage)| usage.ip.map(|ip| ip.to_string())).collect();
                let sql = "UPDATE credencial c SET usada_em = q.dia, usada_de = q.ip
                     FROM unnest($1::bigint[], $2::text[], $3::text[]) AS q (id, dia, ip) WHERE c.id = q.id";
                execute(client, sql, &[&ids, &days, &addresses]).await?;
                Ok(())
            })
        })
    }

    fn begin_session(&mut self, credential: i64, now: Timestamp) -> Result<Secret, RegisterError> {
        let secret = Secret::random().map_err(|error| RegisterError::Random { reason: error.to_string() })?;
        let session = secret.digest();
        self.read(move |client| {
            Box::pin(async move { statements::begin_session(client, &session, credential, now).await })
        })?;
        Ok(secret)
    }

    fn end_session(&mut self, session: &Digest) -> Result<bool, RegisterError> {
        let session = *session;
        self.read(move |client| {
            Box::pin(async move {
                let sql = "DELETE FROM sessao WHERE resumo = $1";
                Ok(execute(client, sql, &[&session.as_bytes().as_slice()]).await? > 0)
            })
        })
    }

    fn sessions(&self) -> Result<Vec<Session>, RegisterError> {
        self.read(|client| {
            Box::pin(async move {
                let found =
                    ask::rows(client, "SELECT resumo, credencial_id, criada_em, vista_em FROM sessao", &[]).await?;
                let session = |row: &Row| {
                    Ok(Session {
                        digest: Digest::from_bytes(digest_of(get(row, 0)?)?),
                        credential: get(row, 1)?,
                        created: required(row, 2)?,
                        seen: required(row, 3)?,
                    })
                };
                found.iter().map(session).collect()
            })
        })
    }

    fn note_visits(&mut self, visits: &[(Digest, Timestamp)]) -> Result<(), RegisterError> {
        if visits.is_empty() {
            return Ok(());
        }
        let visits = visits.to_vec();
        self.read(move |client| {
            Box::pin(async move {
                let transaction = begin(client).await?;
                let sessions: Vec<&[u8]> = visits.iter().map(|(session, _)| session.as_bytes().as_slice()).collect();
                let seen: Vec<i64> = visits.iter().map(|(_, seen)| seen.as_micros()).collect();
                let sql = "UPDATE sessao s SET vista_em = greatest(s.vista_em, q.vista)
                     FROM unnest($1::bytea[], $2::bigint[]) AS q (resumo, vista) WHERE s.resumo = q.resumo";
                transaction.execute(sql, &[&sessions, &seen]).await?;
                Ok(transaction.commit().await?)
            })
        })
    }

    fn tie(
        &mut self,
        subject: &Subject,
        new: &NewCredential,
        by: &Author,
        now: Timestamp,
    ) -> Result<i64, RegisterError> {
        let (subject, new, by) = (subject.clone(), new.clone(), by.clone());
        self.change(move |client| Box::pin(async move { statements::tie(client, &subject, &new, &by, now).await }))
    }

    fn sign_in(
        &mut self,
        identified: &Identified,
        rule: Option<&EmailRule>,
        by: &Author,
        now: Timestamp,
    ) -> Result<Result<Credential, NoEntry>, RegisterError> {
        let (identified, rule, by) = (identified.clone(), rule.cloned(), by.clone());
        self.read(move |client| {
            Box::pin(async move { statements::enter(client, &identified, rule.as_ref(), &by, now).await })
        })
    }

    fn make_calendar(
        &mut self,
        shows: &Shows,
        owner: &Author,
        now: Timestamp,
    ) -> Result<Option<(Secret, i64)>, RegisterError> {
        let secret = Secret::random().map_err(|error| RegisterError::Random { reason: error.to_string() })?;
        let (digest, shows, owner) = (secret.digest(), shows.clone(), owner.clone());
        let id = self.read(move |client| {
            Box::pin(async move { statements::make_calendar(client, &digest, &shows, &owner, now).await })
        })?;
        Ok(id.map(|id| (secret, id)))
    }

    fn revoke_calendar(&mut self, id: i64, now: Timestamp) -> Result<Option<(Calendar, bool)>, RegisterError> {
        self.read(move |client| {
            Box::pin(async move {
                let sql = "UPDATE calendario SET revogado_em = $2 WHERE id = $1 AND revogado_em IS NULL";
                let revoked = execute(client, sql, &[&id, &now.as_micros()]).await?;
                let found = calendars(client, "WHERE id = $1", &[&id]).await?.into_iter().next();
                Ok(found.map(|calendar| (calendar, revoked > 0)))
            })
        })
    }

    fn calendar(&self, id: i64) -> Result<Option<Calendar>, RegisterError> {
        let found = self.read(move |client| Box::pin(async move { calendars(client, "WHERE id = $1", &[&id]).await }));
        Ok(found?.into_iter().next())
    }

    fn calendars(&self) -> Result<Vec<Calendar>, RegisterError> {
        self.read(|client| Box::pin(async move { calendars(client, "ORDER BY id", &[]).await }))
    }
}
