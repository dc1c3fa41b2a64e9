//! Which service listens at which address, as the executables under test have told; and the check of an answer by that.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use super::{Seen, Service};

static LISTENING: LazyLock<Mutex<HashMap<String, Service>>> = LazyLock::new(Mutex::default);

/// Notes what a line of a service's output tells, if it tells where the service listens.
pub fn listens(line: &str) {
    if let Some((address, service)) = told(line) {
        LISTENING.lock().unwrap().insert(address.to_owned(), service);
    }
}

/// Forgets the address that such a line tells: its service has ended, and another one may get the port.
pub fn ended(line: &str) {
    if let Some((address, _)) = told(line) {
        LISTENING.lock().unwrap().remove(address);
    }
}

/// The address and the service of a line that tells where one listens.
fn told(line: &str) -> Option<(&str, Service)> {
    let (_, address) = line.split_once("escutando em ").and_then(|(_, url)| url.split_once("://"))?;
    let end = address.find(|c: char| !matches!(c, '0'..='9' | '.' | ':')).unwrap_or(address.len());
    let service =
        [Service::Scheduler, Service::Coordinator].into_iter().find(|service| line.contains(service.name()))?;
    Some((&address[..end], service))
}

/// Holds an answer from `url` to the contract of the service that gave it.
///
/// An answer of other programs is left alone: only our services give `X-Request-Id`. One that came through a proxy, or from a
/// container, has to fit one of the two.
///
/// # Panics
/// When it does not fit.
pub fn held(url: &str, seen: &Seen<'_>) {
    if seen.header("x-request-id").is_none() {
        return;
    }
    let address = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    let known = LISTENING.lock().unwrap().get(address).copied();
    let checked = if let Some(service) = known {
        service.contract().check(seen)
    } else {
        let seen = Seen { direct: false, ..*seen };
        let both = [Service::Scheduler, Service::Coordinator].map(|service| service.contract().check(&seen));
        if both.iter().any(Result::is_ok) { Ok(()) } else { both.into_iter().collect() }
    };
    if let Err(wrong) = checked {
        panic!(
            "{} {url} was answered {} in a way that is not in the contract.\n{wrong}\n{}",
            seen.method, seen.status, seen.body
        );
    }
}
