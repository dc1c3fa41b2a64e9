//! Tells of each decision once: a log line, a counter, and an event on the channel `travas`.
//!
//! The journal is written under the desk's mutex, so the log has the order of the decisions.

use slog::{Logger, debug, error, info, warn};

use super::outcome::LockRefused;
use crate::coordinator::events::{Event, Hub, LockNews};
use crate::coordinator::metrics::{Metrics, Reason};
use crate::coordinator::protocol::names;
use crate::coordinator::table::{
    Acquire, Bound, Busy, Contest, Ended, ForceTarget, Granted, Measure, NotGranted, NotLive, OverQuota, Release,
    Released, Resources, State,
};
use crate::logging::Several;
use crate::text::{Word, Words};
use crate::time::{Clock, millis};

/// Where decisions are told.
pub struct Journal {
    pub clock: Clock,
    /// The service's own log: what happens without a request goes there.
    pub log: Logger,
    pub hub: Hub,
    pub metrics: Metrics,
}

impl Journal {
    pub fn requested(log: &Logger, request: &Acquire) {
        info!(log, "Recebido pedido de lock para recurso {}", first(&request.resources); several(&request.resources));
        if request.resources.len() > 1 {
            // Once for each request and not on each line: so the log grows no faster than the requests' bytes come in.
            debug!(log, "Recursos do pedido: {}", Words(&request.resources));
        }
    }

    /// A request waits in the queue; `again` if the same request waited there before.
    pub fn queued(log: &Logger, request: &Acquire, again: bool) {
        let (resource, several) = (first(&request.resources), several(&request.resources));
        if let Some(Contest { stamp_us, window, .. }) = request.contest.as_ref().filter(|_| !again) {
            info!(log, "Na disputa por recurso {}", resource;
                "carimbo_us" => stamp_us, "janela_ms" => millis(*window), several);
        } else if again {
            info!(log, "Na fila, no lugar que já tinha, por recurso {}", resource; several);
        } else {
            info!(log, "Na fila por recurso {}", resource; "espera_ms" => millis(request.wait), several);
        }
    }

    pub fn granted(&self, log: &Logger, granted: &Granted) {
        let (token, waited) = (granted.token, millis(granted.waited));
        let (resource, several) = (first(&granted.resources), several(&granted.resources));
        if granted.again {
            info!(log, "Lock já concedido a este pedido para recurso {}", resource; "token" => token, several);
            return;
        }
        if waited > 0 {
            info!(log, "Lock concedido para recurso {}", resource;
                "token" => token, "esperou_ms" => waited, several);
        } else {
            info!(log, "Lock concedido para recurso {}", resource; "token" => token, several);
        }
        self.metrics.granted.inc();
        if !granted.waited.is_zero() {
            self.metrics.waited(granted.waited.as_secs_f64());
        }
        self.publish("concedida", granted.ended(), |news| {
            news.ttl = Some(granted.ttl);
            news.waited = Some(granted.waited);
        });
    }

    pub fn refused(&self, log: &Logger, refused: &LockRefused) {
        let reason = match refused {
            LockRefused::Table(not_granted) => log_not_granted(log, not_granted),
            LockRefused::Stopping => log_stopping(log),
            LockRefused::NotElected => {
                info!(log, "Não eleito, negando lock");
                Reason::NotElected
            }
            LockRefused::Grace(left) => {
                info!(log, "Em carência, negando lock"; "falta_ms" => millis(*left));
                Reason::Grace
            }
            LockRefused::Gone => {
                info!(log, "Cliente desconectado, negando lock");
                Reason::Gone
            }
            LockRefused::NotDurable(reason) => {
                Self::not_durable(log, reason);
                Reason::NoTokens
            }
        };
        self.metrics.refuse(reason);
    }

    /// A batch has an operation that would wait, and there is no room for the answers behind it.
    pub fn no_room_for_answers(&self, log: &Logger, most: usize) {
        let bound = Bound { measure: Measure::Count, most };
        self.metrics.refuse(log_not_granted(log, &NotGranted::QueueFull(bound)));
    }

    pub fn renewed(&self, log: &Logger, granted: &Granted) {
        self.metrics.renewed.inc();
        info!(log, "Lock renovado para recurso {}", first(&granted.resources);
            "token" => granted.token, several(&granted.resources));
        self.publish("renovada", granted.ended(), |news| news.ttl = Some(granted.ttl));
    }

    pub fn not_renewed(log: &Logger, why: NotLive) {
        info!(log, "Recebido pedido de renovação sem efeito: {}", names::not_live(why));
    }

    pub fn released(&self, log: &Logger, request: &Release, released: &Released) {
        match released {
            Released::Freed(ended) => {
                self.metrics.released.inc();
                info!(log, "Recebido pedido de unlock para recurso {}. Lock liberado.", first(&ended.resources);
                    several(&ended.resources));
                let (Release::ById { retention, .. } | Release::ByName { retention, .. }) = request;
                self.publish("liberada", ended.clone(), |news| news.retention = Some(*retention));
            }
            Released::Nothing(why) => info!(log, "Recebido pedido de unlock sem efeito: {}", names::not_live(*why)),
            Released::NotOwner { resource } => {
                info!(log, "Recebido pedido de unlock sem efeito: o recurso {} tem dono", Word(resource));
            }
        }
    }

    pub fn forced(&self, log: &Logger, target: &ForceTarget) {
        self.metrics.forced.inc();
        let resources = &target.ended.resources;
        warn!(log, "Lock retirado à força do recurso {}", first(resources);
            "token" => target.ended.token, several(resources));
        self.publish("forcada", target.ended.clone(), |_| {});
    }

    pub fn expired(&self, ended: Ended) {
        self.metrics.expired.inc();
        warn!(self.log, "Lock vencido para recurso {}", first(&ended.resources);
            "token" => ended.token, several(&ended.resources));
        self.publish("vencida", ended, |_| {});
    }

    /// A waiter's client has gone.
    pub fn left(&self, log: &Logger) {
        self.metrics.left.inc();
        info!(log, "Cliente em espera desconectado");
    }

    /// A lease was taken back: its grant had not reached the client.
    pub fn undone(&self, ended: Ended) {
        info!(self.log, "Lock desfeito, cliente desconectado: recurso {}", first(&ended.resources);
            "token" => ended.token, several(&ended.resources));
        self.publish("desfeita", ended, |_| {});
    }

    /// A limit could not be made durable.
    pub fn not_durable(log: &Logger, reason: &str) {
        error!(log, "Estado sem confirmação de gravação: {}", reason);
    }

    fn publish(&self, event: &'static str, lease: Ended, add: impl FnOnce(&mut LockNews)) {
        let mut news = LockNews { at: self.clock.now(), lease, ttl: None, waited: None, retention: None };
        add(&mut news);
        self.hub.locks().publish([Event::Lock { name: event, news }]);
    }
}

fn log_not_granted(log: &Logger, not_granted: &NotGranted) -> Reason {
    match not_granted {
        NotGranted::Busy(busy) => log_busy(log, busy),
        NotGranted::Full(Bound { measure, most }) => {
            warn!(log, "Tabela de travas cheia, negando lock"; names::measure(*measure) => most);
            if *measure == Measure::Bytes { Reason::TableBytes } else { Reason::TableFull }
        }
        NotGranted::QueueFull(Bound { measure, most }) => {
            warn!(log, "Fila de espera cheia, negando lock"; names::measure(*measure) => most);
            if *measure == Measure::Bytes { Reason::QueueBytes } else { Reason::QueueFull }
        }
        NotGranted::Quota(OverQuota { client, places, used, wanted, most }) => {
            warn!(log, "Cota de {} do cliente excedida, negando lock", names::quota(*places);
                "cliente" => %client, "em_uso" => used, "pedido" => wanted, "cota" => most);
            if *places { Reason::WaitQuota } else { Reason::LockQuota }
        }
        NotGranted::Dismissed => log_stopping(log),
        NotGranted::Lapsed => {
            error!(log, "Eleição não confirmada a tempo, negando lock");
            Reason::NoTokens
        }
        NotGranted::TokenLimit(_) | NotGranted::TtlLimit => {
            error!(log, "Estado não gravado a tempo, negando lock");
            Reason::NoTokens
        }
        NotGranted::TooFar { min_token, last_token } => {
            warn!(log, "token_minimo longe demais do último token, negando lock";
                "token_minimo" => min_token, "ultimo_token" => last_token);
            Reason::TooFar
        }
    }
}

fn log_busy(log: &Logger, Busy { resource, state, waited, .. }: &Busy) -> Reason {
    let resource = Word(resource);
    if !waited.is_zero() {
        info!(log, "Recurso {} já em uso, negando lock", resource; "esperou_ms" => millis(*waited));
        return Reason::WaitedInVain;
    }
    match state {
        State::Retained { .. } => info!(log, "Recurso {} já em uso, negando lock", resource; "retido" => true),
        State::Promised => info!(log, "Recurso {} já em uso, negando lock", resource; "prometido" => true),
        State::Held { .. } => info!(log, "Recurso {} já em uso, negando lock", resource),
    }
    Reason::Busy
}

fn log_stopping(log: &Logger) -> Reason {
    info!(log, "Encerrando, negando lock");
    Reason::Stopping
}

/// The resource that a line names.
fn first(resources: &Resources) -> Word<'_> {
    // There is at least one, or it is no operation.
    Word(resources.first().map_or("", |resource| resource))
}

/// How many resources a line is about, if there are more than the one that it names.
fn several(resources: &Resources) -> Several {
    Several(resources.len())
}
