//! `PATCH /agendamentos/{id}`: a merge patch ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)) of a booking is read, and carried out
//! as long as its place is the one that was locked.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use slog::Logger;

use super::app::App;
use super::handlers::{BODY_MAX, catalogue, conflict, not_yours, quota, recent, render, stored, wrong_draft};
use super::origin::Origin;
use super::problems::{refused, unknown_booking};
use super::refusal::{Refusal, is_of_catalogue};
use super::to_its_end::to_its_end;
use super::{book, links, requests};
use crate::agenda::alteration::{Alteration, BookingPatch, Destination, Texts};
use crate::agenda::{Booking, Catalogue, NOTES_MAX_CHARS, Status, TARGET_MAX_CHARS};
use crate::http::Response;
use crate::http::fields::{Fields, TextRule};
use crate::http::identity::read_json;
use crate::http::precondition::IfMatch;
use crate::http::problem::{FieldError, Problem};
use crate::http::server::Request;

/// The fields of a booking that can be changed.
const FIELDS: &str = "alvo, observacoes, horario_inicio_utc, horario_fim_utc, duracao_min, telescopio";

/// `PATCH /agendamentos/{id}`.
pub async fn alter(app: &Arc<App>, id: &str, request: &mut Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let expected = IfMatch::read(&request.head.headers)?.and_then(IfMatch::numbers);
    let bytes = read_json(request, BODY_MAX).await?;
    let fields = Fields::parse(&bytes)?;
    let Some(number) = requests::id(id) else {
        return Err(unknown_booking(id));
    };
    let mut known = stored(app, id, number, &request.log).await?;
    // A booking never changes its scientist, so this is still true when it is changed.
    request.who.check_scientist(known.scientist_id).map_err(|denied| not_yours(denied, request))?;
    let (patch, wrong_fields) = read(fields, &known);
    for tried in 1.. {
        if !known.is_expected(expected.as_deref()) {
            return Err(refused(Refusal::Differs { id: number, version: known.version }));
        }
        let destination = find(app, &patch, &known, &wrong_fields, &request.log).await?;
        let place = match &destination {
            Destination::Elsewhere(new) => new.place(),
            Destination::Here | Destination::Shorter(_) => known.place(),
        };
        let (from, expected) = (known.place(), expected.clone());
        let asked = Alteration { texts: patch.texts.clone(), destination, from, expected, lead: Duration::ZERO };
        // The lock is given back, also when the client goes away now.
        let to_booking = || links::to_booking(number);
        match to_its_end(&app.tasks, book::alter(Arc::clone(app), number, asked, origin.clone())).await {
            Ok(altered) => return Ok(render(app, StatusCode::OK, &altered.booking, &request.who)),
            Err(Refusal::Moved { .. }) if tried < book::MOVED_TRIES => {}
            Err(refusal) => {
                let problem = conflict(app, refusal, &place.telescope, place.slots, &request.log).await;
                return Err(problem.with_links_if_none(to_booking));
            }
        }
        known = stored(app, id, number, &request.log).await?;
    }
    Err(Problem::internal("mais tentativas do que há números"))
}

/// Reads a change of `booking`, as far as it can be read, and what is wrong with the other fields. A text that is null is taken away, and
/// what is left out stays.
fn read(mut fields: Fields<'_>, booking: &Booking) -> (BookingPatch, Vec<FieldError>) {
    for name in ["horario_inicio_utc", "horario_fim_utc", "duracao_min", "telescopio", "cientista_id", "status"] {
        if fields.take_null(name) {
            fields.reject(name, "um agendamento tem sempre este campo; mande outro valor, ou deixe o campo fora");
        }
    }
    let mut text = |name: &str, max_chars, multiline| {
        if fields.take_null(name) { Some(None) } else { fields.text(name, TextRule { max_chars, multiline }).map(Some) }
    };
    let texts =
        Texts { target: text("alvo", TARGET_MAX_CHARS, false), notes: text("observacoes", NOTES_MAX_CHARS, true) };
    let patch = BookingPatch {
        texts,
        start: fields.exact_instant("horario_inicio_utc"),
        end: fields.exact_instant("horario_fim_utc"),
        duration_min: requests::duration(&mut fields),
        telescope: fields.text("telescopio", TextRule { max_chars: 200, multiline: false }),
    };
    for answered in requests::ANSWERED_FIELDS.into_iter().chain(["instante_clique_utc"]) {
        fields.pass_over(answered);
    }
    // A client that sends back what it read may leave these in.
    let own = booking.scientist_id;
    let words = format!("um agendamento não muda de cientista, e este é do cientista {own}; deixe este campo fora");
    fields.integer_as("cientista_id", own..=own, &words);
    keep_proposal(&mut fields, booking.proposal_id);
    if fields
        .text("status", TextRule { max_chars: 200, multiline: false })
        .is_some_and(|status| status != Status::Active.name())
    {
        fields.reject("status", "o status não muda assim: para cancelar, use DELETE; deixe este campo fora");
    }
    (patch, fields.finish(FIELDS).err().unwrap_or_default())
}

/// A booking stays charged to the proposal that it names, or to none.
fn keep_proposal(fields: &mut Fields<'_>, own: Option<i64>) {
    let Some(own) = own else {
        if !fields.take_null("proposta_id") && fields.take("proposta_id").is_some() {
            let words = "um agendamento não muda de proposta, e este não tem nenhuma; deixe este campo fora";
            fields.reject("proposta_id", words);
        }
        return;
    };
    let words = format!("um agendamento não muda de proposta, e este é da proposta {own}; deixe este campo fora");
    if fields.take_null("proposta_id") {
        fields.reject("proposta_id", words);
    } else {
        fields.integer_as("proposta_id", own..=own, &words);
    }
}

/// Where a booking goes by a change. The catalogue is that of a moment ago; it is read again before a change is refused for what stands
/// in it, and where what the scientist has booked counts.
async fn find(
    app: &App,
    patch: &BookingPatch,
    known: &Booking,
    wrong_fields: &[FieldError],
    log: &Logger,
) -> Result<Destination, Problem> {
    let now = app.clock.now();
    let mut seen = recent(app, log).await?;
    let alterable = |seen: &Catalogue| known.alterable(seen.telescope(&known.telescope), now);
    if alterable(&seen).is_err() {
        seen = catalogue(app, log).await?;
    }
    alterable(&seen).map_err(|not| refused(Refusal::NotAlterable(known.id, not)))?;
    let mut found = patch.destination(known, &seen, now);
    let looks_again = match &found {
        Ok(Destination::Elsewhere(new)) => new.telescope.rules.count_bookings(),
        Ok(_) => false,
        Err(broken) => broken.iter().any(is_of_catalogue),
    };
    if looks_again {
        found = patch.destination(known, &*catalogue(app, log).await?, now);
    }
    let mut broken = Vec::new();
    match found {
        Ok(destination) => {
            if let Destination::Elsewhere(new) = &destination {
                broken.extend(quota(app, new, Some(known.id), log).await?);
            }
            if broken.is_empty() && wrong_fields.is_empty() {
                return Ok(destination);
            }
        }
        Err(wrong) => broken = wrong,
    }
    Err(wrong_draft(wrong_fields.to_vec(), &broken))
}
