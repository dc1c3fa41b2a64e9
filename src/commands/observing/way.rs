//! The way from a scheduler's entry point to its resources. It follows links, and builds no path.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use anyhow::{Context, bail};
use hyper::Method;
use iri_string::spec::UriSpec;
use iri_string::template::UriTemplateStr;
use iri_string::template::simple_context::SimpleContext;
use rust_i18n::t;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{Answer, Verdict, not_understood};
use super::documents::{Booking, Document};
use crate::clock::cristian::Sample;
use crate::http::client::{Security, Url};
use crate::http::links::ReadLink;
use crate::stress::target::choose_telescope;
use crate::stress::wire::{Browser, no_answer};
use crate::text::escaped;
use crate::time::{Clock, Timestamp, micros};

/// The most pages of a list that are read: more mean that the links `proxima` go in circles.
pub const PAGES_MAX: usize = 100_000;
/// The role that may cancel everybody's bookings.
const OPERATOR: &str = "operador";
/// Of so many scientists the names are asked for, one by one. The others are called by their numbers.
const NAMES_MAX: usize = 24;

/// The difference between the scheduler's clock, which is the official one, and this machine's.
#[derive(Clone, Copy, Debug)]
pub struct OfficialTime {
    offset_us: i64,
}

impl OfficialTime {
    /// The official time of an instant of this machine's clock.
    pub fn of(self, local: Timestamp) -> Timestamp {
        Timestamp::from_micros(local.as_micros().saturating_add(self.offset_us)).unwrap_or(local)
    }
}

/// The entry point that was read, and the links from it.
pub struct Way {
    browser: Browser,
    base: Url,
    entry: Document,
}

impl Way {
    /// Reads the entry point.
    ///
    /// # Errors
    /// When it does not answer, or is no scheduler's.
    pub async fn enter(url: &str, security: &Security) -> anyhow::Result<Self> {
        let base = Url::parse(url).context("--url")?;
        let mut browser = Browser::new(security);
        let entry = Document(browser.get(&base).await?);
        Ok(Self { browser, base, entry })
    }

    /// A link of the entry point.
    ///
    /// # Errors
    /// When the scheduler does not offer it to this client, or is none.
    pub async fn link(&mut self, relation: &str) -> anyhow::Result<ReadLink> {
        if let Some(link) = self.entry.link(relation) {
            return Ok(link);
        }
        self.check_allowed().await?;
        bail!(
            "{}",
            t!(
                "%{url} has no link \"%{relation}\"; is --url the entry point of a scheduler?",
                url = self.base,
                relation = relation
            )
        )
    }

    /// Fails if the reason for a missing link is who asks: where identity is on, an action that one may not do has no link.
    async fn check_allowed(&mut self) -> anyhow::Result<()> {
        if let Some(session) = self.session().await?
            && session.identificacao != "aberta"
        {
            if session.identificacao == "nenhuma" {
                bail!(
                    "{}",
                    t!(
                        "%{url} has to know who asks: give a token with --token-file FILE, or in SCTEC_TOKEN; one that was given may be mistyped, expired or revoked",
                        url = self.base
                    )
                );
            }
            let roles = session.papeis.iter().map(|role| escaped(role)).collect::<Vec<_>>().join(", ");
            bail!(
                "{}",
                t!(
                    "%{url} does not allow this with your roles (%{roles}): ask an operator for another role",
                    url = self.base,
                    roles = roles
                )
            );
        }
        Ok(())
    }

    /// The document that a link leads to; `values` fill its template.
    ///
    /// # Errors
    /// When there is no answer, it is a refusal, or the template has no place for a value.
    pub async fn get(&mut self, link: &ReadLink, values: &[(&str, &str)]) -> anyhow::Result<Document> {
        self.ask(link, values).await?.document()
    }

    /// What is answered where a link leads, a refusal too.
    ///
    /// # Errors
    /// When there is no answer, or the template has no place for a value.
    pub async fn ask(&mut self, link: &ReadLink, values: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let url = self.base.join(&expanded(link, values)?)?;
        let (status, body) = self.browser.look(&url).await?;
        Ok(Answer::new(url, status, body))
    }

    /// Sends the request of a link that changes something, once. With a key it may be sent again.
    ///
    /// # Errors
    /// When nothing was changed, and no other request would have been better.
    pub async fn act(&mut self, link: &ReadLink, body: Option<&Value>, key: Option<&str>) -> anyhow::Result<Verdict> {
        let url = self.base.join(&expanded(link, &[])?)?;
        let method = link.method.as_deref().unwrap_or("GET");
        let method: Method = method.parse().with_context(|| {
            t!("the link to %{url} has a wrong method, %{method}", url = url, method = format!("{method:?}"))
        })?;
        match self.browser.send(method, &url, body, key).await {
            Ok((status, body)) => Verdict::of(&Answer::new(url, status, body)),
            Err(error) if error.is_unsent() => Err(no_answer(&url, error)),
            Err(error) => Ok(Verdict::Unknown(no_answer(&url, error))),
        }
    }

    /// The page after this one, if there is one.
    ///
    /// # Errors
    /// As [`Way::get`].
    pub async fn next_page(&mut self, page: &Document) -> anyhow::Result<Option<Document>> {
        match page.link("proxima") {
            Some(link) => self.get(&link, &[]).await.map(Some),
            None => Ok(None),
        }
    }

    /// The telescope of that identifier; `None` is the first one.
    ///
    /// # Errors
    /// When there is no such telescope.
    pub async fn telescope(&mut self, wanted: Option<&str>) -> anyhow::Result<Document> {
        #[derive(Deserialize)]
        struct Page {
            telescopios: Vec<Value>,
        }
        let link = self.link("telescopios").await?;
        let mut page = self.get(&link, &[]).await?;
        let mut telescopes = Vec::new();
        for _ in 0..PAGES_MAX {
            telescopes.extend(self.understood::<Page>(&page)?.telescopios);
            match self.next_page(&page).await? {
                Some(next) if wanted.is_some() => page = next,
                _ => break,
            }
        }
        let ids: Vec<_> = telescopes.iter().map(|it| it["id"].as_str().unwrap_or_default().to_owned()).collect();
        let index = choose_telescope(&ids, wanted)?;
        Ok(Document(telescopes.swap_remove(index)))
    }

    /// A link of a document.
    ///
    /// # Errors
    /// When the scheduler does not offer it.
    pub fn link_of(&self, document: &Document, relation: &str) -> anyhow::Result<ReadLink> {
        document.link(relation).with_context(|| {
            t!(
                "the scheduler at %{url} does not offer the link \"%{relation}\" now",
                url = self.base,
                relation = relation
            )
        })
    }

    /// The scientist who asks: the one that is given, or else the one of the token.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn scientist(&mut self, given: Option<u32>) -> anyhow::Result<Option<i64>> {
        match given {
            Some(id) => Ok(Some(id.into())),
            None => Ok(self.session().await?.and_then(|session| session.cientista_id)),
        }
    }

    /// The same where the command needs to know.
    ///
    /// # Errors
    /// When there is no answer, or nobody says who asks.
    pub async fn myself(&mut self, given: Option<u32>) -> anyhow::Result<i64> {
        self.scientist(given).await?.with_context(|| {
            t!("say which scientist you are: with SCTEC_SCIENTIST=N, or by a scientist's token (--token-file FILE)")
        })
    }

    /// Fails if one may not cancel this booking because of who one is.
    ///
    /// # Errors
    /// What would be right; or there is no answer.
    pub async fn check_own(&mut self, booking: &Booking) -> anyhow::Result<()> {
        let session = self.session().await?.filter(|session| session.identificacao != "aberta");
        let Some(session) = session else { return Ok(()) };
        if session.papeis.iter().any(|role| role == OPERATOR) || session.cientista_id == Some(booking.cientista_id) {
            return Ok(());
        }
        if session.cientista_id.is_none() {
            return self.check_allowed().await;
        }
        bail!(
            "{}",
            t!(
                "booking %{id} is of scientist %{scientist}: only they or an operator may cancel it",
                id = booking.id,
                scientist = booking.cientista_id
            )
        )
    }

    async fn session(&mut self) -> anyhow::Result<Option<Session>> {
        let Some(link) = self.entry.link("sessao") else { return Ok(None) };
        let document = self.get(&link, &[]).await?;
        self.understood(&document).map(Some)
    }

    /// How the official time differs from this machine's, from one sample.
    ///
    /// # Errors
    /// When the scheduler does not tell its time.
    pub async fn official_time(&mut self) -> anyhow::Result<OfficialTime> {
        #[derive(Deserialize)]
        struct Time {
            recebido_utc: String,
            enviado_utc: String,
        }
        let link = self.link("hora").await?;
        let (begun, t1) = (Instant::now(), Clock::system().now().as_micros());
        let document = self.get(&link, &[]).await?;
        let t4 = t1.saturating_add_unsigned(micros(begun.elapsed()));
        let time: Time = self.understood(&document)?;
        let at = |text: &str| Timestamp::parse_rfc3339(text).map(Timestamp::as_micros);
        let (Ok(t2), Ok(t3)) = (at(&time.recebido_utc), at(&time.enviado_utc)) else {
            return Err(self.is_no_scheduler());
        };
        Ok(OfficialTime { offset_us: Sample { t1, t2, t3, t4 }.offset_us() })
    }

    /// The names of the scientists of these bookings, by their links. A name that the scheduler does not tell is left out.
    pub async fn names(&mut self, bookings: &[Value]) -> HashMap<i64, String> {
        let mut names = HashMap::new();
        let mut asked = BTreeSet::new();
        for booking in bookings {
            let link = ReadLink::deserialize(&booking["_links"]["cientista"]);
            let (Some(id), Ok(link)) = (booking["cientista_id"].as_i64(), link) else { continue };
            if asked.len() >= NAMES_MAX || !asked.insert(id) {
                continue;
            }
            if let Ok(scientist) = self.get(&link, &[]).await
                && let Some(name) = scientist.0["nome"].as_str()
            {
                names.insert(id, escaped(name));
            }
        }
        names
    }

    /// The document as one of a scheduler's.
    ///
    /// # Errors
    /// When it is another one.
    pub fn understood<T: DeserializeOwned>(&self, document: &Document) -> anyhow::Result<T> {
        document.read().map_err(|_| self.is_no_scheduler())
    }

    fn is_no_scheduler(&self) -> anyhow::Error {
        not_understood(&self.base)
    }
}

/// The link's URL with its values. A value that the template has no place for would be lost, and the answer would be to another
/// question.
fn expanded(link: &ReadLink, values: &[(&str, &str)]) -> anyhow::Result<String> {
    if !link.templated && values.is_empty() {
        return Ok(link.href.clone());
    }
    let wrong = || t!("%{link} is not a URI template", link = format!("{:?}", link.href));
    let template = UriTemplateStr::new(&link.href).with_context(wrong)?;
    let mut context = SimpleContext::new();
    for (name, value) in values {
        if !link.templated || template.variables().all(|variable| variable.as_str() != *name) {
            bail!(
                "{}",
                t!(
                    "the scheduler's link %{link} has no parameter \"%{name}\"",
                    link = format!("{:?}", link.href),
                    name = name
                )
            );
        }
        context.insert(*name, *value);
    }
    Ok(template.expand::<UriSpec, _>(&context)?.to_string())
}

/// Who the scheduler takes the caller for.
#[derive(Deserialize)]
struct Session {
    identificacao: String,
    #[serde(default)]
    papeis: Vec<String>,
    cientista_id: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_without_a_place_in_the_template_is_refused() {
        let link = |href: &str, templated| ReadLink { href: href.to_owned(), method: None, templated };
        let list = link("/l{?de,limite}", true);
        assert_eq!(expanded(&list, &[("de", "a b")]).unwrap(), "/l?de=a%20b");
        assert_eq!(expanded(&list, &[]).unwrap(), "/l");
        assert_eq!(expanded(&link("/l", false), &[]).unwrap(), "/l");
        assert!(expanded(&list, &[("ate", "x")]).unwrap_err().to_string().contains("\"ate\""));
        assert!(expanded(&link("/l{?de}", false), &[("de", "x")]).is_err());
        assert!(expanded(&link("/l{?", true), &[]).is_err());
    }
}
