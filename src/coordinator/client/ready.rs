//! Why the coordinator can give no lock now, as its `GET /pronto` says it.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::{StatusCode, Uri};
use serde::Deserialize;

use crate::coordinator::protocol::grace;

/// The coordinator can give no lock now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    /// In words, for people.
    pub reason: String,
    /// For how long no lock is given yet, where the coordinator was restarted.
    pub grace_left: Option<Duration>,
}

/// The members of the coordinator's answer that are used here.
#[derive(Default, Deserialize)]
struct Answer {
    #[serde(default)]
    partes: BTreeMap<String, String>,
    #[serde(default)]
    carencia_resta_ms: Option<u64>,
}

impl NotReady {
    /// The coordinator was restarted, and gives no lock for this long.
    pub fn in_grace(left: Duration) -> Self {
        let reason = format!("o coordenador recomeçou e espera que vençam as travas de antes: {}", grace::words(left));
        Self { reason, grace_left: Some(left) }
    }

    /// What the answer of `uri` says.
    pub fn read(uri: &Uri, status: StatusCode, body: &[u8]) -> Self {
        // What answers may be another program.
        let Answer { partes, carencia_resta_ms } = serde_json::from_slice(body).unwrap_or_default();
        if let Some(left_ms) = carencia_resta_ms {
            return Self::in_grace(Duration::from_millis(left_ms));
        }
        let faults = partes.iter().filter(|(_, state)| *state != "ok");
        let faults: Vec<String> = faults.map(|(part, state)| format!("{part}: {state}")).collect();
        let reason = format!("{uri} respondeu {status}");
        if faults.is_empty() { reason.into() } else { format!("{reason} ({})", faults.join("; ")).into() }
    }
}

impl From<String> for NotReady {
    fn from(reason: String) -> Self {
        Self { reason, grace_left: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_told_with_its_reason_and_with_the_rest_of_the_grace() {
        let read = |body: &str| {
            let uri = Uri::from_static("http://127.0.0.1:3000/pronto");
            NotReady::read(&uri, StatusCode::SERVICE_UNAVAILABLE, body.as_bytes())
        };
        let grace = r#"{"partes": {"carencia": "faltam 9 s", "tokens": "ok"}, "carencia_resta_ms": 8812}"#;
        assert_eq!(read(grace), NotReady::in_grace(Duration::from_millis(8812)));
        assert!(read(grace).reason.ends_with(": faltam 9 s"));
        let tokens = r#"{"partes": {"carencia": "ok", "tokens": "perdidos"}, "carencia_resta_ms": null}"#;
        let other = "http://127.0.0.1:3000/pronto respondeu 503 Service Unavailable";
        assert_eq!(read(tokens), NotReady::from(format!("{other} (tokens: perdidos)")));
        assert_eq!(read("<p>"), NotReady::from(other.to_owned()));
    }
}
