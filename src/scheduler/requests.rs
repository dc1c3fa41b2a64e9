//! Reading what clients ask for: a request becomes a value, with every wrong field named at once.

use std::net::IpAddr;

use crate::agenda::timetable::{Period, PeriodError, SlotState};
use crate::agenda::{
    Draft, NOTES_MAX_CHARS, REASON_MAX_CHARS, SLOT_MIN, SlotRangeError, Status, TARGET_MAX_CHARS, WaitStatus,
    check_duration,
};
use crate::audit::filter::Wanted;
use crate::audit::record::EVENT_TYPES;
use crate::clock::token;
use crate::http::fields::{Fields, TextRule, whole_number};
use crate::http::parameters::Parameters;
use crate::http::problem::{FieldError, Problem};
use crate::http::wrong::FieldCode;
use crate::store::{Filter, WaitFilter};
use crate::time::Timestamp;

/// The largest identifier: the largest integer that every JSON reader keeps exactly.
pub const ID_MAX: i64 = (1 << 53) - 1;
/// What a scientist's identifier is.
pub const SCIENTIST_ID: &str =
    "deve ser o número de um cientista, um inteiro a partir de 1; a lista está em GET /cientistas";
/// What a proposal's identifier is.
const PROPOSAL_ID: &str = "deve ser o número de uma proposta, um inteiro a partir de 1; a lista está em GET /propostas";
/// What a booking's identifier is.
const BOOKING_ID: &str = "deve ser o número de um agendamento, um inteiro a partir de 1";
/// Bookings on a page where no number is asked for.
const LIMIT_DEFAULT: u16 = 50;
/// The most bookings on a page.
const LIMIT_MAX: i64 = 500;

/// The most characters of a time token.
const TOKEN_CHARS_MAX: usize = token::BYTES_MAX;
/// Free slots where no number is asked for.
const FREE_DEFAULT: u16 = 5;
/// The most free slots of one search.
const FREE_MAX: i64 = 50;

const BOOKING_FIELDS: &str = "cientista_id, horario_inicio_utc, telescopio, proposta_id, duracao_min, horario_fim_utc, instante_clique_utc, token_hora, alvo, observacoes";
/// Members of a booking's answer that only the server decides. A client that sends back what it read may leave them in.
/// So may a client that sends back a slot of the agenda.
pub const ANSWERED_FIELDS: [&str; 14] = [
    "id",
    "carimbo_utc",
    "recibo",
    "abre_em_utc",
    "criado_em_utc",
    "alterado_em_utc",
    "versao",
    "cancelado_em_utc",
    "motivo_cancelamento",
    "_links",
    "agendamento_id",
    "vezes_agendado",
    "a_partir_de_utc",
    "motivo",
];
const AUDIT_PARAMETERS: &str =
    "evento, cientista_id, agendamento_id, horario_utc, telescopio, req, autor, ip, de, ate, limite, cursor";
const LIST_PARAMETERS: &str = "telescopio, cientista_id, status, de, ate, limite, cursor";

/// Reads a booking's fields, as far as they can be read, and what is wrong with the others.
pub fn booking(mut fields: Fields<'_>) -> (Draft, Vec<FieldError>) {
    let single_line = |max_chars| TextRule { max_chars, multiline: false };
    let draft = Draft {
        scientist_id: fields.required_integer_as("cientista_id", 1..=ID_MAX, SCIENTIST_ID),
        proposal_id: fields.integer_as("proposta_id", 1..=ID_MAX, PROPOSAL_ID),
        start: fields.required_exact_instant("horario_inicio_utc"),
        // The catalogue decides whether there is such a telescope.
        telescope: fields.text("telescopio", single_line(200)),
        duration_min: duration(&mut fields),
        end: fields.exact_instant("horario_fim_utc"),
        clicked_at: fields.instant("instante_clique_utc"),
        time_token: fields.text("token_hora", single_line(TOKEN_CHARS_MAX)),
        target: fields.text("alvo", single_line(TARGET_MAX_CHARS)),
        notes: fields.text("observacoes", TextRule { max_chars: NOTES_MAX_CHARS, multiline: true }),
    };
    for answered in ANSWERED_FIELDS {
        fields.pass_over(answered);
    }
    // A new booking is always active, so another status is a mistake of the client.
    if fields.text("status", single_line(200)).is_some_and(|status| status != Status::Active.name()) {
        fields.reject("status", "um agendamento novo tem sempre o status AGENDADO; tire este campo");
    }
    // So is a slot that was not free when it was read.
    if fields.text("estado", single_line(200)).is_some_and(|state| state != SlotState::Free.name()) {
        fields
            .reject("estado", "só um horário com o estado livre pode ser agendado; escolha outro, ou tire este campo");
    }
    (draft, fields.finish(BOOKING_FIELDS).err().unwrap_or_default())
}

/// A duration, as far as it can be read. The rules of the draft judge a number of minutes.
pub fn duration(fields: &mut Fields<'_>) -> Option<i64> {
    let words = SlotRangeError::Duration;
    fields.number("duracao_min", words, |digits| {
        if digits.contains(['.', 'e', 'E']) {
            return Err(FieldCode::Number.says(format!("{words}, sem ponto nem expoente")));
        }
        digits.parse().map_err(|_| FieldCode::Duration.says(words.to_string()))
    })
}

/// A search for the first free start.
#[derive(Debug, Default)]
pub struct NextRequest {
    /// Who would book, so that what they have already is counted.
    pub scientist_id: Option<i64>,
    /// The proposal that would pay, so that its period and its minutes count.
    pub proposal_id: Option<i64>,
    /// The telescope; absent means the first one.
    pub telescope: Option<String>,
    /// The duration in minutes; absent means one slot.
    pub duration_min: Option<i64>,
    /// The search begins there; absent means now.
    pub from: Option<Timestamp>,
}

/// Reads a search for the first free start, as far as it can be read, and what is wrong with the other fields. A client that sends back
/// the answer may leave its other members in.
pub fn next(mut fields: Fields<'_>) -> (NextRequest, Vec<FieldError>) {
    let request = NextRequest {
        scientist_id: fields.integer_as("cientista_id", 1..=ID_MAX, SCIENTIST_ID),
        proposal_id: fields.integer_as("proposta_id", 1..=ID_MAX, PROPOSAL_ID),
        telescope: fields.text("telescopio", TextRule { max_chars: 200, multiline: false }),
        duration_min: duration(&mut fields),
        from: fields.instant("a_partir_de_utc"),
    };
    for answered in ["horario_inicio_utc", "horario_fim_utc", "_links"] {
        fields.pass_over(answered);
    }
    (
        request,
        fields.finish("cientista_id, proposta_id, telescopio, duracao_min, a_partir_de_utc").err().unwrap_or_default(),
    )
}

/// Reads who is to wait for a start at a telescope, and what for, as far as that can be read, and what is wrong with the other fields. A
/// client that could not book may send the same fields again, as far as they agree with the path.
pub fn waiting(mut fields: Fields<'_>, telescope: &str, start: &str) -> (Draft, Vec<FieldError>) {
    let single_line = |max_chars| TextRule { max_chars, multiline: false };
    let mut draft = Draft {
        scientist_id: fields.required_integer_as("cientista_id", 1..=ID_MAX, SCIENTIST_ID),
        proposal_id: fields.integer_as("proposta_id", 1..=ID_MAX, PROPOSAL_ID),
        start: None,
        telescope: Some(telescope.to_owned()),
        duration_min: duration(&mut fields),
        end: fields.exact_instant("horario_fim_utc"),
        clicked_at: None,
        time_token: None,
        target: fields.text("alvo", single_line(TARGET_MAX_CHARS)),
        notes: fields.text("observacoes", TextRule { max_chars: NOTES_MAX_CHARS, multiline: true }),
    };
    match Timestamp::parse_exact(start) {
        Ok(start) => {
            draft.start = Some(start);
            if fields.exact_instant("horario_inicio_utc").is_some_and(|given| given != start) {
                let words = format!("não concorda com o endereço, que diz {}", start.seconds());
                fields.reject("horario_inicio_utc", FieldCode::Contradiction.says(words));
            }
        }
        Err(error) => {
            fields.pass_over("horario_inicio_utc");
            fields.reject("horario_inicio_utc", FieldCode::Instant.says(format!("no endereço, {error}")));
        }
    }
    if fields.text("telescopio", single_line(200)).is_some_and(|given| given != telescope) {
        let words = format!("não concorda com o endereço, que diz {telescope}");
        fields.reject("telescopio", FieldCode::Contradiction.says(words));
    }
    for answered in ANSWERED_FIELDS.into_iter().chain(["instante_clique_utc", "token_hora", "status", "estado"]) {
        fields.pass_over(answered);
    }
    (
        draft,
        fields
            .finish("cientista_id, proposta_id, duracao_min, horario_fim_utc, alvo, observacoes")
            .err()
            .unwrap_or_default(),
    )
}

/// A request for entries of waiting lists.
#[derive(Clone, Debug)]
pub struct WaitsRequest {
    /// The filter.
    pub filter: WaitFilter,
    /// The list goes on after this entry.
    pub after: i64,
    /// The most items.
    pub limit: u16,
    /// Whether no number of items was asked for.
    pub is_whole: bool,
}

/// Reads the parameters for entries of waiting lists.
///
/// # Errors
/// 422 with every wrong one.
pub fn waits(query: Option<&str>, now: Timestamp) -> Result<WaitsRequest, Problem> {
    let mut parameters = Parameters::parse(query);
    let filter = WaitFilter {
        telescope: parameters.text("telescopio"),
        scientist_id: parameters.integer_as("cientista_id", 1..=ID_MAX, SCIENTIST_ID),
        status: parameters.parsed("status", |name| {
            WaitStatus::from_name(name).ok_or_else(|| "deve ser AGUARDANDO, ATENDIDA, RETIRADA ou EXPIRADA".to_owned())
        }),
        now,
    };
    let limit = parameters.integer("limite", 1..=LIMIT_MAX).and_then(|limit| u16::try_from(limit).ok());
    let after = parameters
        .parsed("cursor", |text| id(text).ok_or_else(|| "não é um cursor; use o link proxima sem mudá-lo".to_owned()));
    parameters.finish("telescopio, cientista_id, status, limite, cursor")?;
    let is_whole = limit.is_none();
    Ok(WaitsRequest { filter, after: after.unwrap_or(0), limit: limit.unwrap_or(LIMIT_DEFAULT), is_whole })
}

/// Reads a cancellation's reason. It may be absent, and so may the body.
///
/// # Errors
/// The problem to answer with.
pub fn cancellation(body: &[u8]) -> Result<Option<String>, Problem> {
    let mut fields = if body.is_empty() { Fields::none() } else { Fields::parse(body)? };
    let reason = fields.text("motivo", TextRule { max_chars: REASON_MAX_CHARS, multiline: false });
    fields.finish("motivo").map_err(Problem::invalid_fields)?;
    Ok(reason)
}

/// A request for a list of bookings.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// The filter.
    pub filter: Filter,
    /// The list goes on after this booking.
    pub after: Option<(Timestamp, i64)>,
    /// The most items.
    pub limit: u16,
    /// Whether no number of items was asked for.
    pub is_whole: bool,
}

/// Reads a list's parameters.
///
/// # Errors
/// 422 with every wrong one.
pub fn list(query: Option<&str>) -> Result<ListRequest, Problem> {
    let mut parameters = Parameters::parse(query);
    let filter = Filter {
        telescope: parameters.text("telescopio"),
        scientist_id: parameters.integer_as("cientista_id", 1..=ID_MAX, SCIENTIST_ID),
        status: parameters.parsed("status", |name| {
            Status::from_name(name).ok_or_else(|| "deve ser AGENDADO ou CANCELADO".to_owned())
        }),
        from: parameters.instant("de"),
        until: parameters.instant("ate"),
    };
    if let (Some(from), Some(until)) = (filter.from, filter.until)
        && from >= until
    {
        parameters.reject("ate", FieldCode::Contradiction.says("deve ser posterior a de"));
    }
    let limit = parameters.integer("limite", 1..=LIMIT_MAX).and_then(|limit| u16::try_from(limit).ok());
    let after = parameters.parsed("cursor", |text| {
        read_cursor(text).ok_or_else(|| "não é um cursor; use o link proxima sem mudá-lo".to_owned())
    });
    parameters.finish(LIST_PARAMETERS)?;
    Ok(ListRequest { filter, after, limit: limit.unwrap_or(LIMIT_DEFAULT), is_whole: limit.is_none() })
}

/// Reads the period of an agenda.
///
/// # Errors
/// 422 with every wrong parameter.
pub fn timetable(query: Option<&str>, now: Timestamp) -> Result<Period, Problem> {
    let mut parameters = Parameters::parse(query);
    let asked = (parameters.instant("de"), parameters.instant("ate"));
    let mut period = None;
    // A period can only be checked when both of its ends were read.
    if !parameters.has_errors() {
        match Period::new(asked.0, asked.1, now) {
            Ok(whole) => period = Some(whole),
            Err(error @ (PeriodError::Order | PeriodError::TooLong)) => {
                parameters.reject(error.field(), FieldCode::Contradiction.says(error.to_string()));
            }
            Err(error @ PeriodError::TooLate) => {
                parameters.reject(error.field(), FieldCode::Instant.says(error.to_string()));
            }
        }
    }
    parameters.finish("de, ate")?;
    period.ok_or_else(|| Problem::internal("um período sem erro e sem valor"))
}

/// A search for free slots.
#[derive(Clone, Copy, Debug)]
pub struct FreeRequest {
    /// The instant to be near to.
    pub near: Timestamp,
    /// The duration, in minutes.
    pub duration_min: i64,
    /// The most items.
    pub limit: u16,
}

/// Reads a search for free slots.
///
/// # Errors
/// 422 with every wrong parameter.
pub fn free(query: Option<&str>, now: Timestamp) -> Result<FreeRequest, Problem> {
    let mut parameters = Parameters::parse(query);
    let near = parameters.instant("perto_de");
    let duration_min = parameters.parsed("duracao_min", |text| {
        let duration = whole_number(text).ok_or(SlotRangeError::Duration);
        let checked = duration.and_then(|minutes| check_duration(minutes).map(|_| minutes));
        checked.map_err(|error| FieldCode::Duration.says(error.to_string()))
    });
    let limit = parameters.integer("limite", 1..=FREE_MAX).and_then(|limit| u16::try_from(limit).ok());
    parameters.finish("perto_de, duracao_min, limite")?;
    Ok(FreeRequest {
        near: near.unwrap_or(now),
        duration_min: duration_min.unwrap_or(SLOT_MIN),
        limit: limit.unwrap_or(FREE_DEFAULT),
    })
}

/// A request for audit records.
#[derive(Clone, Debug)]
pub struct AuditRequest {
    /// The filter.
    pub wanted: Wanted,
    /// The page goes on after this record.
    pub after: u64,
    /// The most items.
    pub limit: u16,
    /// Whether no number of items was asked for.
    pub is_whole: bool,
}

/// Reads the parameters for audit records.
///
/// # Errors
/// 422 with every wrong one.
pub fn audit(query: Option<&str>) -> Result<AuditRequest, Problem> {
    let mut parameters = Parameters::parse(query);
    let wanted = Wanted {
        event: parameters.parsed("evento", |name| {
            let known = EVENT_TYPES.contains(&name).then(|| name.to_owned());
            known.ok_or_else(|| format!("deve ser um de {}", EVENT_TYPES.join(", ")))
        }),
        scientist: parameters.integer_as("cientista_id", 1..=ID_MAX, SCIENTIST_ID),
        booking: parameters.integer_as("agendamento_id", 1..=ID_MAX, BOOKING_ID),
        slot: parameters.instant("horario_utc"),
        telescope: parameters.text("telescopio"),
        request: parameters.text("req"),
        author: parameters.text("autor"),
        ip: parameters.parsed("ip", |text| {
            let ip = text.parse::<IpAddr>().ok();
            ip.map(|ip| ip.to_canonical()).ok_or_else(|| "deve ser um endereço IP, sem porta".to_owned())
        }),
        since: parameters.instant("de"),
        until: parameters.instant("ate"),
    };
    if let (Some(since), Some(until)) = (wanted.since, wanted.until)
        && since >= until
    {
        parameters.reject("ate", FieldCode::Contradiction.says("deve ser posterior a de"));
    }
    let limit = parameters.integer("limite", 1..=LIMIT_MAX).and_then(|limit| u16::try_from(limit).ok());
    let after = parameters.parsed("cursor", |text| {
        let seq = whole_number(text).and_then(|seq| u64::try_from(seq).ok());
        seq.ok_or_else(|| "não é um cursor; use o link proxima sem mudá-lo".to_owned())
    });
    parameters.finish(AUDIT_PARAMETERS)?;
    let is_whole = limit.is_none();
    Ok(AuditRequest { wanted, after: after.unwrap_or(0), limit: limit.unwrap_or(LIMIT_DEFAULT), is_whole })
}

/// The cursor after a booking.
pub fn cursor(start: Timestamp, id: i64) -> String {
    format!("{}.{id}", start.as_micros())
}

fn read_cursor(text: &str) -> Option<(Timestamp, i64)> {
    let (start, id) = text.split_once('.')?;
    Some((Timestamp::from_micros(start.parse().ok()?)?, id.parse().ok()?))
}

/// The number in a path, if it is one.
pub fn id(text: &str) -> Option<i64> {
    whole_number(text).filter(|id| (1..=ID_MAX).contains(id))
}
