//! How decisions and listings are written as answers.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::rights::Rights;
use crate::coordinator::kinds;
use crate::coordinator::protocol::replies::BusyReply;
use crate::coordinator::protocol::{grace, names};
use crate::coordinator::service::outcome::{LockRefused, RenewRefused};
use crate::coordinator::service::{ANSWERS_MAX, Service};
use crate::coordinator::table::{
    Bound, Busy, ForceTarget, Listed, Measure, NotGranted, NotLive, OverQuota, Resources, Shown, State, TOKEN_JUMP_MAX,
};
use crate::http::kind::{self, Kind};
use crate::http::links::{Link, Links, path_segment};
use crate::http::problem::{FieldError, Problem};
use crate::http::wrong::FieldCode;
use crate::time::millis;

/// Why there is no lease.
pub fn refusal(refused: LockRefused) -> Problem {
    match refused {
        LockRefused::Table(NotGranted::Busy(busy)) => occupied(busy),
        LockRefused::Table(NotGranted::Full(bound)) => {
            full(kinds::TABLE_FULL, bound, "travados, em retenção ou à espera")
        }
        LockRefused::Table(NotGranted::QueueFull(bound)) => full(kinds::QUEUE_FULL, bound, "à espera"),
        LockRefused::Table(NotGranted::Quota(quota)) => over_quota(quota),
        LockRefused::Table(NotGranted::Dismissed) | LockRefused::Stopping => stopping(),
        LockRefused::Table(NotGranted::TokenLimit(_) | NotGranted::TtlLimit | NotGranted::Lapsed)
        | LockRefused::NotDurable(_) => not_durable(),
        LockRefused::Table(NotGranted::TooFar { min_token, last_token }) => too_far(min_token, last_token),
        LockRefused::Grace(left) => {
            let words = grace::words(left);
            let detail = format!("O coordenador recomeçou e espera que vençam as travas de antes: {words}.");
            later(kinds::GRACE, detail).with(grace::LEFT, millis(left)).retry_after_s(grace::seconds(left))
        }
        LockRefused::NotElected => not_elected(None),
        LockRefused::Gone => gone(),
    }
}

/// The table or its queues have no room for the request. The state of the resources does not matter.
fn full(kind: Kind, Bound { measure, most }: Bound, state: &str) -> Problem {
    let detail = match measure {
        Measure::Count => format!("Já há recursos demais {state}: o limite é {most}. Tente de novo em instantes."),
        Measure::Bytes => format!(
            "Os recursos {state} já ocupam quase toda a memória que podem ocupar: {most} bytes. Tente de novo em instantes, ou use \
             nomes mais curtos."
        ),
    };
    later(kind, detail).with(names::measure(measure), most)
}

/// The batches with operations that wait have too many operations.
pub fn too_many_answers() -> Problem {
    let detail = format!(
        "Os lotes que têm operações em espera já têm quase {ANSWERS_MAX} operações, e este lote passaria disso. Tente de novo em \
         instantes, ou mande as operações que esperam num lote menor."
    );
    later(kinds::QUEUE_FULL, detail).with(names::measure(Measure::Count), ANSWERS_MAX)
}

/// The client would have more than its quota.
fn over_quota(OverQuota { places, used, wanted, most, .. }: OverQuota) -> Problem {
    let (what, option) = if places {
        ("lugares nas filas de espera", "--client-waits")
    } else {
        ("recursos travados, em retenção ou à espera", "--client-locks")
    };
    let fits = wanted <= most;
    let next = if fits {
        "Libere o que já não usa e tente de novo".to_owned()
    } else {
        format!("Peça {most} de cada vez, no máximo")
    };
    let detail = format!(
        "Este cliente tem {used} {what} e pede mais {wanted}; um cliente pode ter {most}. {next}. O operador muda o limite com {option}."
    );
    let problem = Problem::new(kinds::QUOTA, detail)
        .with("cota", names::quota(places))
        .with("em_uso", used)
        .with("pedido", wanted)
        .with("limite", most)
        .already_logged();
    // A wait does not help a request that is larger than the quota itself.
    if fits { problem.retry_after_s(1) } else { problem }
}

fn too_far(min_token: u64, last_token: u64) -> Problem {
    let most = last_token.saturating_add(TOKEN_JUMP_MAX);
    let mensagem = format!("pode ser até {most}, {TOKEN_JUMP_MAX} além do último token concedido ({last_token})");
    let detail = format!(
        "O cliente diz que já viu o token {min_token}, mas o último token concedido foi {last_token}. Um pedido pode avançar o \
         contador no máximo {TOKEN_JUMP_MAX}. Se o estado do coordenador (coordenador.json ou, com --election, o etcd) se perdeu ou veio \
         de uma cópia antiga, o operador deve reiniciar o coordenador com --tokens-above {min_token}."
    );
    Problem::new(kinds::TOKEN_TOO_FAR, detail)
        .with_fields(vec![FieldError::new("token_minimo", FieldCode::Number.says(mensagem))])
        .with("ultimo_token", last_token)
        .already_logged()
}

fn occupied(busy: Busy) -> Problem {
    let Busy { resource, state, queue, waited } = busy;
    let detail = match &state {
        State::Retained { .. } => format!("O recurso {resource} acabou de ser liberado e ainda está retido."),
        State::Held { owner: Some(owner), .. } => format!("O recurso {resource} está em uso (dono: {owner})."),
        State::Held { owner: None, .. } => format!("O recurso {resource} está em uso."),
        State::Promised => format!("O recurso {resource} está prometido ao primeiro pedido da fila de espera."),
    };
    let Seen { owner, token, free_in, .. } = Seen::new(state.clone());
    let expira_em_ms = free_in.map(millis);
    let reply = BusyReply {
        recurso: resource,
        dono: owner,
        token,
        expira_em_ms,
        retido: matches!(state, State::Retained { .. }),
        fila: queue,
        esperou_ms: millis(waited),
    };
    Problem::new(kinds::BUSY, detail)
        .with_members(&reply)
        .retry_after_s(expira_em_ms.unwrap_or_default().div_ceil(1000).max(1))
        .already_logged()
}

/// The service is stopping.
pub fn stopping() -> Problem {
    later(kind::STOPPING, "O coordenador está parando; tente de novo em instantes.")
}

fn not_durable() -> Problem {
    let detail = "O coordenador não conseguiu gravar o seu estado (no disco ou, com --election, no etcd), e não concede travas sem essa \
                  gravação.";
    later(kinds::NOT_DURABLE, detail)
}

/// Another coordinator is elected: at `address`, if that is known.
pub fn not_elected(address: Option<&str>) -> Problem {
    let detail = match address {
        Some(address) => format!("Este coordenador não é o eleito: peça as travas a {address}."),
        None => "Este coordenador não é o eleito, e não sabe qual é agora. Tente de novo em instantes, ou noutro."
            .to_owned(),
    };
    later(kinds::NOT_ELECTED, detail).with("eleito", address)
}

/// This coordinator is elected, and its term has no locks yet.
pub fn just_elected() -> Problem {
    let detail =
        "Este coordenador acaba de ser eleito e ainda não leu no etcd os seus limites. Tente de novo em instantes.";
    later(kinds::NOT_ELECTED, detail).with("eleito", None::<&str>)
}

/// The client has closed its side of the connection: it reads this only if it closed no more than that.
pub fn gone() -> Problem {
    let detail = "O cliente fechou a conexão antes da resposta, e por isso o coordenador não concedeu a trava. Mantenha a \
                  conexão aberta até a resposta.";
    Problem::new(kinds::CLIENT_GONE, detail).already_logged()
}

fn later(kind: Kind, detail: impl Into<String>) -> Problem {
    Problem::new(kind, detail).retry_after_s(1).already_logged()
}

/// Why a lease was not renewed.
pub fn not_renewed(refused: RenewRefused) -> Problem {
    match refused {
        RenewRefused::NotDurable => not_durable(),
        RenewRefused::Stopping => stopping(),
        RenewRefused::NotLive(why) => lost(why),
    }
}

/// The lease is not live: it ended before the renewal, or before its grant could be answered.
pub fn lost(why: NotLive) -> Problem {
    let detail = match why {
        NotLive::Expired => "A trava venceu; peça outra, e não grave mais nada sob esta.",
        NotLive::AlreadyReleased => "A trava já foi liberada; peça outra.",
        NotLive::Forced => "Um operador tirou a trava; não grave mais nada sob ela.",
        NotLive::Unknown => "O coordenador não conhece esta trava; peça outra, e não grave mais nada sob esta.",
    };
    Problem::new(kinds::LOST, detail).with("motivo", names::not_live(why)).already_logged()
}

/// A state's parts.
struct Seen {
    word: &'static str,
    owner: Option<Arc<str>>,
    token: Option<u64>,
    free_in: Option<Duration>,
}

impl Seen {
    fn new(state: State) -> Self {
        let (word, owner, token, free_in) = match state {
            State::Held { owner, token, free_in } => ("travado", owner, Some(token), Some(free_in)),
            State::Retained { owner, token, free_in } => ("retido", owner, Some(token), Some(free_in)),
            State::Promised => ("prometido", None, None, None),
        };
        Self { word, owner, token, free_in }
    }
}

/// A resource in a list.
#[derive(Serialize)]
pub struct ListedAnswer {
    #[serde(flatten)]
    seen: SeenAnswer,
    _links: Links,
}

#[derive(Serialize)]
struct SeenAnswer {
    recurso: Arc<str>,
    estado: &'static str,
    dono: Option<Arc<str>>,
    token: Option<u64>,
    expira_em_ms: Option<u64>,
    resta_ms: Option<u64>,
    expira_em_utc: Option<String>,
    fila: usize,
}

impl SeenAnswer {
    fn new(service: &Service, listed: Listed) -> Self {
        let Seen { word, owner, token, free_in } = Seen::new(listed.state);
        Self {
            recurso: listed.resource,
            estado: word,
            dono: owner,
            token,
            expira_em_ms: free_in.map(millis),
            resta_ms: free_in.map(millis),
            expira_em_utc: free_in.map(|span| service.in_the_future(span).micros().to_string()),
            fila: listed.queue,
        }
    }

    fn links(&self, rights: &Rights) -> Links {
        let href = format!("/locks/{}", path_segment(&self.recurso));
        let can_take = self.estado != "prometido" && rights.may_take(&self.recurso);
        Links::new()
            .with("self", Link::get(href.clone()))
            .with_if(can_take, "forcar", || Link::action("DELETE", href, "Liberar à força"))
    }
}

impl ListedAnswer {
    /// As of now, with the links for a caller with `rights`.
    pub fn new(service: &Service, listed: Listed, rights: &Rights) -> Self {
        let seen = SeenAnswer::new(service, listed);
        let links = seen.links(rights);
        Self { seen, _links: links }
    }
}

/// One resource closely.
#[derive(Serialize)]
pub struct ShownAnswer {
    #[serde(flatten)]
    seen: SeenAnswer,
    recursos: Option<Resources>,
    ttl_ms: Option<u64>,
    esperando: Vec<WaitingAnswer>,
    _links: Links,
}

#[derive(Serialize)]
struct WaitingAnswer {
    dono: Option<Arc<str>>,
    espera_ha_ms: u64,
    desiste_em_ms: u64,
    recursos: Resources,
}

impl ShownAnswer {
    /// As of now, with the links for a caller with `rights`.
    pub fn new(service: &Service, shown: Shown, rights: &Rights) -> Self {
        let seen = SeenAnswer::new(service, shown.listed);
        let (recursos, ttl) = shown.lease.unzip();
        let esperando = shown.waiting.into_iter().map(|waiting| WaitingAnswer {
            dono: waiting.owner,
            espera_ha_ms: millis(waiting.waited),
            desiste_em_ms: millis(waiting.gives_up_in),
            recursos: waiting.resources,
        });
        let links = seen.links(rights);
        Self { seen, recursos, ttl_ms: ttl.map(millis), esperando: esperando.collect(), _links: links }
    }
}

/// The answer to an operator's order.
#[derive(Serialize)]
pub struct ForcedAnswer {
    recurso: String,
    estado_anterior: &'static str,
    recursos: Resources,
    dono: Option<Arc<str>>,
    token: u64,
    _links: Links,
}

impl ForcedAnswer {
    /// `taken` was taken away.
    pub fn new(resource: &str, taken: ForceTarget) -> Self {
        Self {
            recurso: resource.to_owned(),
            estado_anterior: if taken.retained { "retido" } else { "travado" },
            recursos: taken.ended.resources,
            dono: taken.ended.owner,
            token: taken.ended.token,
            _links: Links::new().with("travas", Link::get("/locks")),
        }
    }
}

/// The answer about a resource without a lease, a retention and waiters.
pub fn free(resource: &str) -> Problem {
    no_lock(format!("O recurso {resource} está livre: nenhuma trava o ocupa, e nenhum pedido espera por ele."))
}

/// The problem of a resource without a lease, a retention and a waiter.
pub fn no_lock(detail: String) -> Problem {
    Problem::new(kinds::FREE, detail).with_links(Links::new().with("travas", Link::get("/locks")))
}
