//! Which clients have a quota of locks and of places in queues: each principal, and each address whose clients have no name. The
//! schedulers, who have the coordinator's secret, have none: they ask for all of their scientists.
//!
//! An anonymous client on this machine has none by default: the assignment's script, `serve-all` and `sctec stress` all come from
//! 127.0.0.1, and are not to be counted together.

use super::table::Client;
use crate::access::{Author, Caller};
use crate::audit::record::SERVICE as SCHEDULER;

/// Which clients have a quota.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Whether anonymous clients of this machine have one too.
    pub on_loopback: bool,
}

impl Quotas {
    /// The client in whose quota a request counts, if it counts in one.
    pub fn client(self, caller: &Caller) -> Option<Client> {
        if caller.author == Caller::service(SCHEDULER).author {
            return None;
        }
        if caller.author != Author::ANONYMOUS {
            return Some(Client::Principal(caller.author.to_string().into()));
        }
        let address = caller.ip.filter(|address| self.on_loopback || !address.to_canonical().is_loopback())?;
        Some(Client::at(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anonymous_client_of_this_machine_has_a_quota_only_where_that_was_asked_for() {
        let client = |on_loopback, peer: &str| Quotas { on_loopback }.client(&Caller::anonymous(peer.parse().unwrap()));
        for local in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "127.8.8.8:1"] {
            assert_eq!(client(false, local), None, "{local}");
            assert!(client(true, local).is_some(), "{local}");
        }
        for on_loopback in [false, true] {
            assert_eq!(client(on_loopback, "192.0.2.1:1"), Some(Client::at("192.0.2.1".parse().unwrap())));
            assert_eq!(client(on_loopback, "192.0.2.1:1"), client(on_loopback, "192.0.2.1:2"));
        }
    }

    #[test]
    fn a_principal_is_one_client_at_all_its_addresses() {
        let quotas = Quotas { on_loopback: false };
        let named = Caller { author: Author::parse("backup").unwrap(), ip: None };
        let elsewhere = Caller { ip: Some("192.0.2.1".parse().unwrap()), ..named.clone() };
        assert_eq!(quotas.client(&named), Some(Client::Principal("backup".into())));
        assert_eq!(quotas.client(&named), quotas.client(&elsewhere));
        assert_eq!(quotas.client(&Caller { ip: elsewhere.ip, ..Caller::service(SCHEDULER) }), None);
    }
}
