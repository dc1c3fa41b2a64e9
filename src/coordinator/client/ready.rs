//! Why the coordinator can give no lock now, as its `GET /pronto` says it.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::{StatusCode, Uri};
use serde::Deserialize;

use crate::coordinator::protocol::{RESERVE, grace};

/// The part of the answer that tells of the grace.
const GRACE_PART: &str = "carencia";
/// A part that each coordinator's answer has, and a scheduler's has not.
const TOKENS_PART: &str = "tokens";
/// A part that each scheduler's answer has.
const DATABASE_PART: &str = "banco";

/// Why a coordinator that knows its schedulers gives this one nothing.
pub const NOT_A_SCHEDULER: &str =
    "não reconhece este agendador: dê aos dois o mesmo segredo (--coordinator-token-file)";

/// Why a coordinator with a rate refuses the requests of a scheduler that it does not know.
pub const TOO_FAST: &str = "recusa este agendador, que faz mais requisições do que a taxa do coordenador (--rate) permite: dê aos dois o mesmo \
     segredo (--coordinator-token-file), e ele não terá limite";

/// Why one address does not serve.
pub trait Failure: From<String> {
    /// Whether all that it says is that another coordinator is elected, or none.
    fn is_elsewhere(&self) -> bool;
}

/// The coordinator can give no lock now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    /// In words, for people.
    pub reason: String,
    /// For how long no lock is given yet, where the coordinator was restarted.
    pub grace_left: Option<Duration>,
    /// Whether another coordinator is elected, or none.
    elsewhere: bool,
}

impl Failure for NotReady {
    fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }
}

/// The members of the coordinator's answer that are used here.
#[derive(Default, Deserialize)]
struct Answer {
    #[serde(default)]
    partes: BTreeMap<String, String>,
    #[serde(default)]
    carencia_resta_ms: Option<u64>,
    /// Whether the one who asks may do what a scheduler does.
    #[serde(default)]
    agendador: Option<bool>,
    #[serde(default)]
    eleicao: Option<Election>,
}

/// The coordinator's part in an election.
#[derive(Deserialize)]
struct Election {
    papel: String,
}

impl NotReady {
    /// The coordinator was restarted, and gives no lock for this long.
    pub fn in_grace(left: Duration) -> Self {
        let reason = format!("o coordenador recomeçou e espera que vençam as travas de antes: {}", grace::words(left));
        Self { reason, grace_left: Some(left), elsewhere: false }
    }

    /// The same, with one reason more.
    #[must_use]
    pub fn and(mut self, reason: impl AsRef<str>) -> Self {
        self.reason.push_str("; ");
        self.reason.push_str(reason.as_ref());
        self
    }

    /// What the answer of `uri` says; `None` where the coordinator is ready.
    pub fn read(uri: &Uri, status: StatusCode, body: &[u8]) -> Option<Self> {
        // What answers may be another program.
        let Answer { partes, carencia_resta_ms, agendador, eleicao } = serde_json::from_slice(body).unwrap_or_default();
        if partes.contains_key(DATABASE_PART) {
            return Some(format!("{uri} é de um agendador, e não de um coordenador").into());
        }
        if status.is_success() && agendador == Some(false) {
            return Some(format!("{uri} {NOT_A_SCHEDULER}").into());
        }
        if status.is_success() {
            let of_coordinator = partes.contains_key(TOKENS_PART);
            return (!of_coordinator).then(|| format!("{uri} respondeu {status}, mas não como um coordenador").into());
        }
        let elsewhere = eleicao.is_some_and(|election| election.papel == RESERVE);
        Some(Self { elsewhere, ..Self::of_fault(uri, status, &partes, carencia_resta_ms) })
    }

    /// What an answer says that is not a success.
    fn of_fault(
        uri: &Uri,
        status: StatusCode,
        partes: &BTreeMap<String, String>,
        carencia_resta_ms: Option<u64>,
    ) -> Self {
        let grace_left = carencia_resta_ms.map(Duration::from_millis);
        // The rest of the grace stands in words of its own.
        let told = |part: &str, state: &str| state == "ok" || (part == GRACE_PART && grace_left.is_some());
        let faults = partes.iter().filter(|(part, state)| !told(part, state));
        let faults: Vec<String> = faults.map(|(part, state)| format!("{part}: {state}")).collect();
        if let Some(left) = grace_left {
            return faults.into_iter().fold(Self::in_grace(left), Self::and);
        }
        let reason = format!("{uri} respondeu {status}");
        if faults.is_empty() { reason.into() } else { format!("{reason} ({})", faults.join("; ")).into() }
    }
}

impl From<String> for NotReady {
    fn from(reason: String) -> Self {
        Self { reason, grace_left: None, elsewhere: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_told_with_its_reason_and_with_the_rest_of_the_grace() {
        let read = |body: &str| {
            let uri = Uri::from_static("http://127.0.0.1:3000/pronto");
            NotReady::read(&uri, StatusCode::SERVICE_UNAVAILABLE, body.as_bytes()).unwrap()
        };
        let grace = r#"{"partes": {"carencia": "faltam 9 s", "tokens": "ok"}, "carencia_resta_ms": 8812}"#;
        assert_eq!(read(grace), NotReady::in_grace(Duration::from_millis(8812)));
        assert!(read(grace).reason.ends_with(": faltam 9 s"));
        let both = r#"{"partes": {"carencia": "faltam 9 s", "parada": "ok", "tokens": "perdidos"}, "carencia_resta_ms": 8812}"#;
        assert_eq!(read(both), NotReady::in_grace(Duration::from_millis(8812)).and("tokens: perdidos"));
        assert!(read(both).reason.ends_with(": faltam 9 s; tokens: perdidos"));
        let tokens = r#"{"partes": {"carencia": "ok", "tokens": "perdidos"}, "carencia_resta_ms": null}"#;
        let other = "http://127.0.0.1:3000/pronto respondeu 503 Service Unavailable";
        assert_eq!(read(tokens), NotReady::from(format!("{other} (tokens: perdidos)")));
        assert_eq!(read("<p>"), NotReady::from(other.to_owned()));
    }

    #[test]
    fn only_a_coordinators_answer_counts() {
        let uri = Uri::from_static("http://127.0.0.1:5000/pronto");
        let read = |status, body: &str| {
            NotReady::read(&uri, StatusCode::from_u16(status).unwrap(), body.as_bytes()).map(|fault| fault.reason)
        };
        assert_eq!(read(200, r#"{"partes": {"carencia": "ok", "tokens": "ok"}}"#), None);
        for status in [200, 503] {
            let scheduler =
                read(status, r#"{"partes": {"banco": "ok", "coordenador": "ok", "auditoria": "ok"}}"#).unwrap();
            assert!(scheduler.ends_with("é de um agendador, e não de um coordenador"), "{scheduler}");
        }
        for body in ["", "<html>", "{}", r#"{"partes": {}}"#, "[]"] {
            let other = read(200, body).unwrap();
            assert!(other.ends_with("respondeu 200 OK, mas não como um coordenador"), "{other}");
        }
    }
}
