//! The two forms of the answer to an operation: at length, or short, for a client that asks for `return=minimal`.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::answers::refusal;
use crate::coordinator::kinds;
use crate::coordinator::protocol::batch::WrittenAnswer;
use crate::coordinator::protocol::names;
use crate::coordinator::protocol::replies::{
    BriefBusy, ContenderReply, DrawReply, LeaseReply, ReleasedReply, ShownLease,
};
use crate::coordinator::service::Service;
use crate::coordinator::service::outcome::LockRefused;
use crate::coordinator::table::{Contender, Draw, Granted, NotGranted, Released};
use crate::http::links::{FixedLinks, Link, Links};
use crate::http::problem::Problem;
use crate::time::millis;

/// The links of a lease.
static NEXT_STEPS: LazyLock<FixedLinks> = LazyLock::new(|| {
    let renew = Link::action("POST", "/renew", "Renovar esta trava");
    FixedLinks::new(
        Links::new().with("renovar", renew).with("liberar", Link::action("POST", "/unlock", "Liberar esta trava")),
    )
});

/// How much an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// All that is known, and the next steps.
    Full,
    /// What a program needs that has made the request itself: `Prefer: return=minimal`.
    Brief,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// How much it says.
    pub length: Length,
    /// The status, if the answer itself says it: in a batch.
    pub status: Option<u16>,
}

impl Form {
    /// The answer to a request of its own.
    pub const ALONE: Self = Self { length: Length::Full, status: None };
}

/// A granted lease, with `left` of its life now.
pub fn granted(service: &Service, granted: &Granted, left: Duration, form: Form) -> WrittenAnswer {
    lease(service, granted, left, form, ("concedido", Some(millis(granted.waited))))
}

/// A renewed lease, with `left` of its life now.
pub fn renewed(service: &Service, granted: &Granted, left: Duration, form: Form) -> WrittenAnswer {
    lease(service, granted, left, form, ("renovado", None))
}

fn drawn(Draw { resource, seed }: &Draw) -> DrawReply {
    DrawReply { recurso: Arc::clone(resource), semente: Arc::clone(seed) }
}

fn contender(Contender { stamp_us, entry, is_drawn }: &Contender) -> ContenderReply {
    ContenderReply { carimbo_us: *stamp_us, entrada: entry.clone(), sorteada: *is_drawn }
}

fn lease(
    service: &Service,
    granted: &Granted,
    left: Duration,
    form: Form,
    (situacao, esperou_ms): (&'static str, Option<u64>),
) -> WrittenAnswer {
    let lease = LeaseReply {
        status: form.status,
        situacao,
        trava_id: granted.lease,
        token: granted.token,
        ttl_ms: millis(granted.ttl),
        resta_ms: Some(millis(left)),
        esperou_ms,
        disputa: granted.contenders.as_ref().map(|all| all.entries.iter().map(contender).collect()),
        sorteio: granted.contenders.as_ref().and_then(|all| all.draw.as_ref()).map(drawn),
    };
    if form.length == Length::Brief {
        return WrittenAnswer::BriefLease(lease);
    }
    WrittenAnswer::Lease(ShownLease {
        lease,
        recursos: Arc::clone(&granted.resources),
        dono: granted.owner.clone(),
        expira_em_utc: service.in_the_future(left).micros(),
        links: &NEXT_STEPS,
    })
}

/// Why there is no lease, in the form that was asked for.
///
/// # Errors
/// The problem, where the short form has no answer of its own.
pub fn refused(refused: LockRefused, form: Form) -> Result<WrittenAnswer, Problem> {
    match (refused, form) {
        (LockRefused::Table(NotGranted::Busy(busy)), Form { length: Length::Brief, status: Some(_) }) => {
            let (status, codigo) = (kinds::BUSY.status().as_u16(), kinds::BUSY.code());
            Ok(WrittenAnswer::BriefBusy(BriefBusy { status, codigo, recurso: busy.resource }))
        }
        (refused, _) => Err(refusal(refused)),
    }
}

/// The answer to an unlock.
///
/// # Errors
/// 409 where the name alone is not enough.
pub fn released(released: Released, form: Form) -> Result<WrittenAnswer, Problem> {
    let status = form.status;
    let reply = |liberado, motivo| Ok(WrittenAnswer::Released(ReleasedReply { status, liberado, motivo }));
    match released {
        Released::Freed(_) => reply(true, None),
        Released::Nothing(why) => reply(false, Some(names::not_live(why).into())),
        Released::NotOwner { resource } => {
            let detail = format!("A trava de {resource} tem dono: libere-a pelo seu trava_id.");
            Err(Problem::new(kinds::NOT_OWNER, detail).already_logged())
        }
    }
}
