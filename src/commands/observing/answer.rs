//! What the scheduler answered, and what its answer to a request that changes something means.

use anyhow::anyhow;
use bytes::Bytes;
use hyper::StatusCode;
use rust_i18n::t;
use serde_json::Value;

use super::documents::{Booking, Document};
use super::refusal;
use crate::http::client::{Url, refused};

/// An answer.
pub struct Answer {
    url: Url,
    /// Its status.
    pub status: StatusCode,
    body: Bytes,
}

/// What became of a request that changes a booking.
#[derive(Debug)]
pub enum Verdict {
    /// The booking was changed: this is what it is now.
    Done(Box<(Document, Booking)>),
    /// Nothing was changed, for the reason of this problem: what was asked for does not exist, is taken, or is wrong.
    Refused(Value),
    /// The booking may have been changed, or not.
    Unknown(anyhow::Error),
}

impl Answer {
    /// An answer of `url`.
    pub fn new(url: Url, status: StatusCode, body: Bytes) -> Self {
        Self { url, status, body }
    }

    /// The document that it has.
    ///
    /// # Errors
    /// When it is a refusal, or no document.
    pub fn document(&self) -> anyhow::Result<Document> {
        if !self.status.is_success() {
            return Err(self.refusal());
        }
        serde_json::from_slice(&self.body).map(Document).map_err(|_| not_understood(&self.url))
    }

    /// The document as a booking.
    ///
    /// # Errors
    /// When it is a refusal, or no booking.
    pub fn booking(&self) -> anyhow::Result<(Document, Booking)> {
        let document = self.document()?;
        let booking = document.read().map_err(|_| not_understood(&self.url))?;
        Ok((document, booking))
    }

    /// The problem that it has; `null` if it has none.
    fn problem(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The problem, if it says that what was asked for does not exist, is taken, or is wrong.
    pub fn refused(&self) -> Option<Value> {
        let is_about_the_request =
            matches!(self.status, StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY);
        // What answers may be another program.
        Some(self.problem()).filter(|problem| is_about_the_request && problem["codigo"].is_string())
    }

    /// The refusal as an error.
    fn refusal(&self) -> anyhow::Error {
        let Self { url, status, body } = self;
        let said = match refused(*status, body).or_else(|| refusal::in_words(&self.problem())) {
            Some(said) => t!("%{url} answered %{status}: %{said}", url = url, status = status.as_u16(), said = said),
            None => {
                t!("%{url} answered %{status}; is --url the entry point of a scheduler?", url = url, status = status)
            }
        };
        anyhow!("{said}")
    }
}

impl Verdict {
    /// What an answer means.
    ///
    /// # Errors
    /// When nothing was changed, and the reason is not what was asked for.
    pub fn of(answer: &Answer) -> anyhow::Result<Self> {
        if answer.status.is_success() {
            return Ok(answer.booking().map_or_else(Self::Unknown, |booking| Self::Done(Box::new(booking))));
        }
        let problem = answer.problem();
        // The first of two requests with one key is still being carried out.
        let is_under_way = problem["codigo"] == "chave_em_andamento";
        if !is_under_way && let Some(problem) = answer.refused() {
            return Ok(Self::Refused(problem));
        }
        let may_be_done = match problem["codigo"].as_str() {
            Some(code) => is_under_way || matches!(code, "resultado_incerto" | "erro_interno"),
            // A proxy that lost the service while it worked.
            None => answer.status.is_server_error(),
        };
        if may_be_done { Ok(Self::Unknown(answer.refusal())) } else { Err(answer.refusal()) }
    }
}

/// Says that `url` is no scheduler's.
pub fn not_understood(url: &Url) -> anyhow::Error {
    anyhow!("{}", t!("the answer of %{url} is not a scheduler's; is --url the entry point of a scheduler?", url = url))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(status: u16, body: &Value) -> String {
        let url = Url::parse("http://127.0.0.1:5000/agendamentos").unwrap();
        let answer = Answer::new(url, StatusCode::from_u16(status).unwrap(), body.to_string().into());
        match Verdict::of(&answer) {
            Ok(Verdict::Done(booking)) => format!("done {}", booking.1.id),
            Ok(Verdict::Refused(problem)) => format!("refused {}", problem["codigo"]),
            Ok(Verdict::Unknown(_)) => "unknown".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_answer_says_that_it_was_done_or_not_or_leaves_it_open() {
        let booking = json!({
            "id": 9, "telescopio": "T", "cientista_id": 7, "status": "AGENDADO",
            "horario_inicio_utc": "2025-12-01T03:00:00Z", "horario_fim_utc": "2025-12-01T03:05:00Z"
        });
        assert_eq!((verdict(201, &booking), verdict(200, &booking)), ("done 9".to_owned(), "done 9".to_owned()));
        for (status, code) in [(404, "telescopio_desconhecido"), (409, "horario_ocupado"), (422, "campos_invalidos")] {
            assert_eq!(verdict(status, &json!({"codigo": code})), format!("refused \"{code}\""));
        }
        for (status, body) in [
            (201, json!({})),
            (200, json!("<p>")),
            (502, json!("<p>")),
            (504, json!({})),
            (500, json!({"codigo": "erro_interno"})),
            (503, json!({"codigo": "resultado_incerto", "detail": "Talvez."})),
            (409, json!({"codigo": "chave_em_andamento", "detail": "Já."})),
        ] {
            assert_eq!(verdict(status, &body), "unknown", "{status} {body}");
        }
        for (status, code, said) in [
            (401, "sem_identificacao", "answered 401: it has to know who asks"),
            (403, "sem_papel", "answered 403: it does not allow this"),
            (429, "requisicoes_demais", "answered 429: it takes no more requests"),
            (500, "gravacao_recusada", "answered 500: the database refused to save it"),
            (503, "coordenador_indisponivel", "answered 503: bookings are paused"),
            (503, "conexoes_demais", "answered 503: the scheduler says"),
        ] {
            let said_now = verdict(status, &json!({"codigo": code, "detail": "Não."}));
            assert!(said_now.contains(said), "{status} {code}: {said_now}");
        }
        for status in [301, 404, 409] {
            assert!(verdict(status, &json!("<p>")).contains("is --url the entry point of a scheduler?"), "{status}");
        }
    }
}
