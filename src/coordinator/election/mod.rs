//! Several coordinators, of which etcd elects one: it alone gives locks, and the others say who it is.
//!
//! [`elector`] decides, and is pure. [`run`] asks [`etcd`] what it wants to know, and begins and ends the [`Service`] of a term.
//!
//! # What is in etcd
//! Two keys below the prefix of the URL: `eleito` names the elected coordinator and belongs to its lease; `limites` has the limit of the
//! tokens and the longest TTL ([`EtcdState`]).
//!
//! [`Service`]: super::service::Service
//! [`EtcdState`]: super::state::etcd::EtcdState

pub mod address;
mod elector;
pub(super) mod etcd;
pub(super) mod run;
pub(super) mod tenure;

use std::fmt;

use self::address::EtcdUrl;
use crate::http::tls::Trust;

/// How a coordinator takes part in an election.
#[derive(Clone, Debug)]
pub struct ElectionConfig {
    /// Where etcd is.
    pub etcd: EtcdUrl,
    /// As whom it is asked, if it asks who one is.
    pub login: Option<Login>,
    /// Whose certificates are believed, where etcd speaks TLS.
    pub trust: Trust,
    /// By which URL schedulers reach this coordinator.
    pub address: String,
}

/// A user of etcd's and the password.
#[derive(Clone)]
pub struct Login {
    /// The user.
    pub name: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Login {
    /// Reads `user:password`; a line's end after it does not count.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, password) = text.trim_end_matches(['\r', '\n']).split_once(':')?;
        let fine = |part: &str| !part.is_empty() && !part.contains(char::is_control);
        (fine(name) && fine(password)).then(|| Self { name: name.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_a_user_and_a_password_and_shows_no_password() {
        let login = Login::parse("sctec:a:b c\r\n").unwrap();
        assert_eq!((login.name.as_str(), login.password.as_str()), ("sctec", "a:b c"));
        assert!(!format!("{login:?}").contains("a:b"));
        for wrong in ["", "sctec", ":", "sctec:", ":x", "a:b\nc:d", "a\tb:c"] {
            assert!(Login::parse(wrong).is_none(), "{wrong:?}");
        }
    }
}
