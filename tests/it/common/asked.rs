//! A request for a booking.

use serde_json::{Value, json};

use super::requests::{Answer, try_http};

/// What a client asks for: by itself the assignment's two fields.
#[derive(Clone)]
pub struct Asked(Value);

impl Asked {
    /// One slot of the default telescope, for a scientist.
    pub fn by(scientist: i64, start: &str) -> Self {
        Self(json!({ "cientista_id": scientist, "horario_inicio_utc": start }))
    }

    pub fn on(self, telescope: &str) -> Self {
        self.with("telescopio", telescope)
    }

    pub fn minutes(self, minutes: u32) -> Self {
        self.with("duracao_min", minutes)
    }

    /// With one more field.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0[name] = value.into();
        self
    }

    pub fn body(&self) -> &Value {
        &self.0
    }

    /// The body as it is sent.
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// Asks the scheduler at `url`, which may not answer.
    pub fn try_at(&self, url: &str) -> Result<Answer, String> {
        try_http("POST", &format!("{url}/agendamentos"), Some(&self.text()))
    }

    /// Asks the scheduler at `url`.
    #[track_caller]
    pub fn at(&self, url: &str) -> Answer {
        self.try_at(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }
}
