//! A service's own address: how a process of this machine reaches it, and that a scheduler is not its own coordinator.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::bail;
use hyper::Uri;
use rust_i18n::t;

/// Where a process of this machine reaches the listener of `bound`: `0.0.0.0` is all addresses, and no name of a service.
pub fn reached_at(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

/// Refuses a coordinator whose address is that of this scheduler, bound to `own`: it would ask itself for its locks.
///
/// # Errors
/// When one of them is.
pub fn refuse_itself(coordinators: &[String], own: SocketAddr) -> anyhow::Result<()> {
    let leads_here = |url: &&String| {
        let Ok(uri) = url.parse::<Uri>() else { return false };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_here = match host.parse::<IpAddr>() {
            Ok(ip) => ip == own.ip() || ip.is_unspecified() || (ip.is_loopback() && reached_at(own).ip().is_loopback()),
            Err(_) => host.eq_ignore_ascii_case("localhost") && reached_at(own).ip().is_loopback(),
        };
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        is_here && uri.port_u16().unwrap_or(default) == own.port()
    };
    match coordinators.iter().find(leads_here) {
        None => Ok(()),
        Some(url) => bail!(
            "{}",
            t!(
                "%{url} is the address of this scheduler itself; give the coordinator's with --coordinator (its default port is 3000)",
                url = url
            )
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_all_addresses_is_reached_on_loopback() {
        for (bound, reached) in [
            ("0.0.0.0:3000", "127.0.0.1:3000"),
            ("[::]:3000", "[::1]:3000"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("10.0.0.7:1", "10.0.0.7:1"),
        ] {
            assert_eq!(reached_at(bound.parse().unwrap()), reached.parse().unwrap(), "{bound}");
        }
    }

    #[test]
    fn a_scheduler_is_not_its_own_coordinator() {
        let leads = |url: &str, own: &str| refuse_itself(&[url.to_owned()], own.parse().unwrap()).is_err();
        for url in ["http://127.0.0.1:5000", "http://localhost:5000/", "http://[::1]:5000", "http://0.0.0.0:5000"] {
            for own in ["127.0.0.1:5000", "0.0.0.0:5000", "[::]:5000"] {
                assert!(leads(url, own), "{url} {own}");
            }
            assert!(!leads(url, "127.0.0.1:5001"), "{url}");
        }
        assert!(leads("http://10.0.0.7:5000", "10.0.0.7:5000"));
        for url in
            ["http://127.0.0.1:5000", "http://localhost:5000", "http://10.0.0.8:5000", "http://sctec.example:5000"]
        {
            assert!(!leads(url, "10.0.0.7:5000"), "{url}");
        }
        assert!(leads("http://localhost", "127.0.0.1:80") && leads("https://localhost", "127.0.0.1:443"));
    }
}
