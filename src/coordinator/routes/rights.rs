//! What a caller may use: names of resources, channels, and what lifts the counter of tokens.
//!
//! Who is identified may use what [`Who::check_name`] allows. A coordinator that has the schedulers' secret, and otherwise asks nobody
//! who they are, keeps for the schedulers the names of their form ([`is_reserved`]), the channel `agenda`, `token_minimo` and the orders
//! to take a lock away; everything else is everybody's.
//!
//! The identity of a lease renews and releases it only for a caller that may use the lease's names. So an identity that somebody has
//! read in a log is worth nothing to others.

use slog::{Logger, o};

use crate::access::principal::{Denied, Who};
use crate::access::role::{Need, Permission};
use crate::coordinator::protocol::Operation;
use crate::coordinator::protocol::events::SHARED_CHANNEL;
use crate::coordinator::protocol::reserved::is_reserved;
use crate::coordinator::service::Service;
use crate::coordinator::table::{Acquire, LeaseId, Release};
use crate::http::identity::denied;
use crate::http::problem::Problem;

/// What one caller may use.
pub struct Rights {
    who: Who,
    /// Whether what the schedulers use is theirs alone.
    reserved: bool,
}

impl Rights {
    /// The rights of `who`. `reserved`: whether what the schedulers use is theirs alone.
    pub fn new(who: Who, reserved: bool) -> Self {
        Self { who, reserved }
    }

    /// A log whose lines name the caller, if it is known.
    pub fn named_in(&self, log: &Logger) -> Logger {
        match &self.who {
            Who::Known(principal) => log.new(o!("autor" => principal.name.to_string())),
            Who::Anyone | Who::Stranger => log.clone(),
        }
    }

    /// Whether the caller may do what a scheduler does.
    pub fn are_a_schedulers(&self) -> bool {
        match &self.who {
            Who::Anyone => !self.reserved,
            who => who.may_use_every_name(),
        }
    }

    /// Whether the caller may do that.
    pub fn may(&self, permission: Permission) -> bool {
        self.check(permission).is_ok()
    }

    /// Whether the caller may take away the lock on `resource`, as far as its name tells.
    pub fn may_take(&self, resource: &str) -> bool {
        self.may(Permission::TakeLocks) && self.check_name(resource).is_ok()
    }

    fn check(&self, permission: Permission) -> Result<(), Denied> {
        match &self.who {
            Who::Anyone if self.reserved && permission == Permission::TakeLocks => Err(Denied::Unidentified),
            who => who.check(Need::May(permission)),
        }
    }

    fn check_name(&self, name: &str) -> Result<(), Denied> {
        match &self.who {
            Who::Anyone if self.reserved && is_reserved(name) => Err(Denied::Unidentified),
            who => who.check_name(name),
        }
    }

    /// Checks the names of an operation, and those of the lease that it is about.
    ///
    /// # Errors
    /// 401 or 403.
    pub fn check_operation(&self, service: &Service, operation: &Operation) -> Result<(), Problem> {
        if self.are_a_schedulers() {
            return Ok(());
        }
        match operation {
            Operation::Lock(Acquire { resources, min_token, .. }) => {
                if *min_token > 0 && self.reserved && self.who == Who::Anyone {
                    return Err(kept("token_minimo"));
                }
                self.check_names(resources.iter().map(AsRef::as_ref))
            }
            Operation::Unlock(Release::ByName { resource, .. }) => self.check_names([resource.as_str()]),
            Operation::Renew { lease, .. } | Operation::Unlock(Release::ById { lease, .. }) => {
                self.check_lease(service, *lease)
            }
        }
    }

    /// A lease that is not live has no names: its answer says no more than that.
    fn check_lease(&self, service: &Service, lease: LeaseId) -> Result<(), Problem> {
        match service.resources_of(lease) {
            Some(resources) => self.check_names(resources.iter().map(AsRef::as_ref)),
            None => Ok(()),
        }
    }

    /// Checks the order to take away a lock on these resources.
    ///
    /// # Errors
    /// 401 or 403.
    pub fn check_taking<'a>(&self, resources: impl IntoIterator<Item = &'a str>) -> Result<(), Problem> {
        match self.check(Permission::TakeLocks) {
            Err(Denied::Unidentified) if self.who == Who::Anyone => Err(kept("DELETE /locks")),
            checked => checked.map_err(denied),
        }?;
        self.check_names(resources)
    }

    fn check_names<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), Problem> {
        for name in names {
            self.check_name(name).map_err(|why| self.not_theirs(why, name))?;
        }
        Ok(())
    }

    /// Checks that the caller may publish to a channel.
    ///
    /// # Errors
    /// 401 or 403.
    pub fn check_channel(&self, channel: &str) -> Result<(), Problem> {
        match &self.who {
            Who::Anyone if self.reserved && channel == SHARED_CHANNEL => Err(kept("o canal agenda")),
            who => who.check_name(channel).map_err(|why| self.not_theirs(why, channel)),
        }
    }

    /// Checks that the caller may hear the agenda's channel: who may not read the agenda at a scheduler may not hear it here.
    ///
    /// # Errors
    /// 401 or 403.
    pub fn check_hearing_the_agenda(&self) -> Result<(), Problem> {
        match &self.who {
            Who::Anyone if self.reserved => Err(kept("o canal agenda")),
            _ if self.are_a_schedulers() => Ok(()),
            who => who.check(Need::May(Permission::ReadAgenda)).map_err(denied),
        }
    }

    /// The answer to a caller who may not use a name.
    fn not_theirs(&self, why: Denied, name: &str) -> Problem {
        match (&self.who, why) {
            (Who::Anyone, _) => kept(&format!("o recurso {name}, cujo nome tem a forma dos nomes deles,")),
            (Who::Known(principal), Denied::Role(_)) if self.who.may(Permission::UseLocks) => {
                let prefixes = principal.prefixes.join(", ");
                let detail = format!("Este token não pode usar o nome {name}: ele pode os que começam com {prefixes}.");
                denied(why).with_detail(detail)
            }
            _ => denied(why),
        }
    }
}

/// The refusal of what a coordinator with a secret keeps for those who have it.
fn kept(what: &str) -> Problem {
    let detail = format!(
        "Este coordenador tem um segredo, e guarda {what} para quem o tem: os agendadores. Quem o tem o envia em Authorization: \
         Bearer (num agendador, --coordinator-token-file; nas ferramentas, --token-file ou SCTEC_TOKEN)."
    );
    denied(Denied::Unidentified).with_detail(detail)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::Author;
    use crate::access::principal::{ALL_NAMES, Principal};
    use crate::access::role::Role;

    const SLOT: &str = "Hubble-Acad_2025-12-01T03:00:00Z";

    fn known(role: Role, prefixes: &[&str]) -> Who {
        Who::Known(Arc::new(Principal {
            name: Author::parse("x").unwrap(),
            roles: [role].into_iter().collect(),
            scientist: None,
            prefixes: prefixes.iter().map(ToString::to_string).collect(),
        }))
    }

    #[test]
    fn without_a_secret_everybody_may_everything() {
        let rights = Rights::new(Who::Anyone, false);
        assert!(rights.are_a_schedulers() && rights.may_take(SLOT) && rights.may_take("X"));
        assert!(rights.check_channel("agenda").is_ok() && rights.check_names([SLOT]).is_ok());
    }

    #[test]
    fn with_a_secret_what_the_schedulers_use_is_theirs_and_the_rest_is_free() {
        let rights = Rights::new(Who::Anyone, true);
        assert!(!rights.are_a_schedulers() && !rights.may_take("X") && rights.may(Permission::UseLocks));
        for refused in [
            rights.check_names([SLOT]),
            rights.check_names(["X", SLOT]),
            rights.check_channel("agenda"),
            rights.check_taking(["X"]),
        ] {
            let problem = refused.unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (401, "nao_identificado"));
        }
        assert!(rights.check_names(["X", "agenda"]).is_ok());
        assert!(rights.check_channel("outro").is_ok());
        let scheduler = Rights::new(known(Role::Service, &[ALL_NAMES]), true);
        assert!(scheduler.are_a_schedulers() && scheduler.may_take(SLOT) && scheduler.check_channel("agenda").is_ok());
    }

    #[test]
    fn a_token_is_for_its_names() {
        let rights = Rights::new(known(Role::Service, &["backup-", "a"]), true);
        assert!(rights.check_names(["backup-1"]).is_ok() && rights.check_channel("agenda").is_ok());
        assert!(rights.may_take("backup-1") && !rights.may_take(SLOT) && !rights.are_a_schedulers());
        let problem = rights.check_names(["backup-1", SLOT]).unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (403, "papel_insuficiente"));
        assert!(problem.log_text().contains("backup-, a"), "{}", problem.log_text());
        assert_eq!(rights.check_taking([SLOT]).unwrap_err().status().as_u16(), 403);
        let operator = Rights::new(known(Role::Operator, &[]), true);
        assert!(operator.are_a_schedulers() && operator.may_take(SLOT));
        let reader = Rights::new(known(Role::Reader, &[]), true);
        assert!(!reader.may_take("X") && reader.check_channel("x").is_err() && !reader.are_a_schedulers());
        assert!(!Rights::new(Who::Stranger, true).are_a_schedulers());
    }
}
