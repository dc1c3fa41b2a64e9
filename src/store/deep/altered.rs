//! Bookings that were changed: each record of a change begins where the one before it ended, and the last one ends as the booking is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rust_i18n::t;
use serde_json::value::RawValue;

use crate::audit::fields::{Details, number, text};

/// The fields of a booking that its records must repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub id: i64,
    pub scientist: Option<i64>,
    pub telescope: String,
    pub start: String,
    pub end: String,
}

impl Known {
    /// What a record says of booking `id`.
    pub fn by(id: i64, details: &Details<'_>) -> Self {
        Self {
            id,
            scientist: number(details.cientista_id),
            telescope: text(details.telescopio).into_owned(),
            start: text(details.horario_inicio_utc).into_owned(),
            end: text(details.horario_fim_utc).into_owned(),
        }
    }

    /// Whether a state inside a record (`antes`, `depois`) is this.
    fn is(&self, state: Option<&RawValue>) -> bool {
        let state = state.and_then(|state| serde_json::from_str::<Details<'_>>(state.get()).ok());
        state.is_some_and(|state| {
            let said = Self { scientist: self.scientist, ..Self::by(self.id, &state) };
            said == *self
        })
    }
}

/// The bookings that were changed, each as it is in the database and as its records so far say.
#[derive(Default)]
pub struct Altered(BTreeMap<i64, (Known, Known)>);

impl Altered {
    /// Takes a booking that was changed, as it is and as the record of its creation says.
    pub fn add(&mut self, is: Known, recorded: Known) {
        self.0.insert(is.id, (is, recorded));
    }

    /// Follows the record of a change. Gives what is wrong with it.
    pub fn follow(&mut self, id: i64, details: &Details<'_>, seq: i64) -> Option<Cow<'static, str>> {
        let Some((_, recorded)) = self.0.get_mut(&id) else {
            return Some(t!(
                "record %{seq} changes booking %{booking}, which is not there or was not changed",
                seq = seq,
                booking = id
            ));
        };
        let follows = recorded.is(details.antes);
        *recorded = Known::by(id, details);
        let agrees = follows && recorded.is(details.depois);
        (!agrees).then(|| {
            t!(
                "record %{seq} changes booking %{booking} from what the records before do not say",
                seq = seq,
                booking = id
            )
        })
    }

    /// What is wrong with the bookings after the last record.
    pub fn rest(&self) -> impl Iterator<Item = Cow<'static, str>> {
        self.0.values().filter(|(is, recorded)| is != recorded).map(|(is, _)| {
            t!("booking %{booking} is not what its records say: scientist, telescope or time differ", booking = is.id)
        })
    }
}
