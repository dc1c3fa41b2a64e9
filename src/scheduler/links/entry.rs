//! From the entry point and the caller's session: everything starts here.

use std::borrow::Cow;

use super::calendar::CALENDARS_PATH;
use super::{AUDIT_TEMPLATE, TOKENS_PATH, book, may_book};
use crate::access::principal::Who;
use crate::access::role::Permission;
use crate::http::description;
use crate::http::links::{Link, Links};
use crate::http::problem::TYPES_PATH;

/// The template of the list of bookings.
const BOOKINGS_TEMPLATE: &str = "/agendamentos{?telescopio,cientista_id,status,de,ate,limite}";

/// The path at which the first free start is looked for.
pub const NEXT_PATH: &str = "/agendamentos/proximo";

/// The path at which a booking is looked at without making it.
pub const VALIDATE_PATH: &str = "/agendamentos/validar";

/// The path of the caller's session.
pub const SESSION_PATH: &str = "/sessao";

/// The path at which signing in at an identity provider begins.
pub const SIGN_IN_PATH: &str = "/entrar";

/// The path of the public keys.
pub const KEYS_PATH: &str = "/chaves";

/// How the entry point and `GET /sessao` see their caller.
#[derive(Clone, Copy)]
pub struct Signed {
    /// Whether the service asks who its callers are.
    pub asked: bool,
    /// Whether the caller is signed in by a session.
    pub in_session: bool,
    /// Whether the service has an identity provider.
    pub has_provider: bool,
}

impl Signed {
    /// Adds `entrar` or `sair`: what the caller can do.
    fn add_to(self, links: Links) -> Links {
        links
            .with_if(self.asked && !self.in_session, "entrar", || {
                Link::action("POST", SESSION_PATH, "Entrar com um token")
            })
            .with_if(self.has_provider && !self.in_session, "entrar_com_provedor", || {
                Link::titled(SIGN_IN_PATH, "Entrar com a conta da instituição")
            })
            .with_if(self.in_session, "sair", || Link::action("DELETE", SESSION_PATH, "Sair"))
    }
}

/// From the caller's session.
pub fn of_session(signed: Signed) -> Links {
    signed.add_to(Links::new().with("self", Link::get(SESSION_PATH))).with("inicio", Link::get("/"))
}

/// The entry point's links: everything starts here.
pub fn entry(who: &Who, signed: Signed) -> Links {
    let links = entry_for(who, signed);
    signed.add_to(links.with_if(signed.asked, "sessao", || Link::get(SESSION_PATH)))
}

fn entry_for(who: &Who, signed: Signed) -> Links {
    let reads = who.may(Permission::ReadAgenda);
    Links::new()
        .with("self", Link::get("/"))
        .with("hora", Link::get("/time"))
        .with("hora_assinada", Link::template("/time{?nonce,anterior}").with_title("A hora com um token de hora"))
        .with("chaves", Link::titled(KEYS_PATH, "As chaves públicas que conferem tokens de hora e recibos"))
        .with_if(reads, "telescopios", || Link::get("/telescopios"))
        .with_if(reads, "cientistas", || Link::get("/cientistas"))
        .with_if(reads, "propostas", || Link::get("/propostas"))
        .with_if(reads, "agendamentos", || Link::template(BOOKINGS_TEMPLATE))
        .with_if(reads, "agendamento", || Link::template("/agendamentos/{id}"))
        .with_if(may_book(who), "agendar", book)
        .with_if(reads, "proximo", || Link::action("POST", NEXT_PATH, "Achar o primeiro horário livre"))
        .with_if(may_book(who), "validar", || {
            Link::action("POST", VALIDATE_PATH, "Conferir um agendamento sem fazê-lo")
        })
        .with_if(reads, "esperas", || Link::template("/esperas{?telescopio,cientista_id,status,limite}"))
        .with_if(who.may(Permission::ReadTrail), "auditoria", || Link::template(AUDIT_TEMPLATE))
        .with_if(reads, "eventos", || Link::titled("/eventos", "A agenda ao vivo (server-sent events)"))
        .with_if(signed.asked && reads, "calendarios", || {
            Link::titled(CALENDARS_PATH, "Os endereços secretos dos seus calendários")
        })
        .with_if(signed.asked && who.may(Permission::ManageAccess), "tokens", || Link::get(TOKENS_PATH))
        .with("saude", Link::get("/saude"))
        .with("pronto", Link::get("/pronto"))
        .with("problemas", Link::titled(TYPES_PATH, "Os tipos de problema, explicados"))
        .with(description::RELATION, description::link())
}

/// `self` and the way back to the entry point.
pub fn self_and_entry(href: impl Into<Cow<'static, str>>) -> Links {
    Links::new().with("self", Link::get(href)).with("inicio", Link::get("/"))
}
