//! Requests as clients and attackers send them, and the laws of hosts and origins.

use hyper::Request;
use proptest::prelude::*;

use super::*;

const HERE: &str = "10.0.0.7";

/// Checks a request that arrived at `here`. Both `sctec.example` and `192.0.2.1` are allowed.
fn check_at(here: &str, method: &str, target: &str, headers: &[(&str, &str)]) -> Result<(), Refusal> {
    check_with(false, here, method, target, headers)
}

/// Checks a request to a service with `tls` or without.
fn check_with(tls: bool, here: &str, method: &str, target: &str, headers: &[(&str, &str)]) -> Result<(), Refusal> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let allowed = ["sctec.example", "192.0.2.1", "fd00::7"].map(|host| host.parse().unwrap());
    Guard::new(allowed.to_vec(), tls).check(&request.body(()).unwrap().into_parts().0, here.parse().unwrap())
}

fn host(host: &str) -> Result<(), Refusal> {
    check_at(HERE, "GET", "/", &[("host", host)])
}

/// Checks a request for `127.0.0.1:5000`.
fn from(method: &str, headers: &[(&str, &str)]) -> Result<(), Refusal> {
    check_at(HERE, method, "/", &[&[("host", "127.0.0.1:5000")], headers].concat())
}

#[test]
fn a_service_has_exactly_its_own_names_with_any_port() {
    for name in [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1",
        "127.8.9.10",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::1%25lo]",
        "10.0.0.7",
        "[::ffff:10.0.0.7]",
        "sctec.example",
        "Sctec.Example.",
        "192.0.2.1",
        "[fd00::7]",
    ] {
        for port in ["", ":", ":80", ":5000", ":65535"] {
            assert_eq!(host(&format!("{name}{port}")), Ok(()), "{name}{port}");
        }
    }
}

#[test]
fn every_other_name_is_refused_and_shown() {
    for name in [
        "evil.example",
        "localhost.evil.example",
        "evil.localhost",
        "xlocalhost",
        "localhost..",
        "127.0.0.1.nip.io",
        "127.0.0.1.",
        "127.1",
        "0127.0.0.1",
        "0x7f000001",
        "2130706433",
        "0.0.0.0",
        "[::]",
        "10.0.0.70",
        "10.0.0.8",
        "[fe80::1]",
        "a.sctec.example",
        "sctec.example.evil",
        "%6cocalhost",
    ] {
        for port in ["", ":5000"] {
            let said = host(&format!("{name}{port}")).unwrap_err();
            assert_eq!(said, Refusal::Host(name.trim_matches(['[', ']']).to_owned()), "{name}{port}");
        }
    }
    let problem = Problem::from(host("evil.example").unwrap_err());
    assert_eq!(problem.status(), 421);
    assert!(
        problem.log_text().contains("\"evil.example\"") && problem.log_text().contains("--allowed-host evil.example")
    );
    assert!(Problem::from(host(&"x".repeat(9000)).unwrap_err()).log_text().len() < 600);
}

#[test]
fn the_address_at_which_a_connection_arrived_is_a_name_also_where_all_are_bound() {
    for (here, name) in [("fe80::1", "[fe80::1%25eth0]:80"), ("fe80::1", "[FE80::1]"), ("::ffff:10.0.0.7", "10.0.0.7")]
    {
        assert_eq!(check_at(here, "GET", "/", &[("host", name)]), Ok(()), "{here} {name}");
    }
    assert!(check_at("127.0.0.1", "GET", "/", &[("host", "10.0.0.7")]).is_err());
}

#[test]
fn a_host_that_cannot_be_read_is_malformed_and_none_is_none() {
    for wrong in [
        "a b",
        "local\thost",
        "a:99999",
        "a:-1",
        "a:+1",
        "a:x",
        "a:1:2",
        "u@localhost",
        "u:p@localhost",
        ":80",
        "a/b",
        "a?b",
        "http://localhost",
        "[::1",
        "::1",
        "[::1]x",
        "[::1]80",
        "[127.0.0.1]",
        "[::1%]",
        "[]",
        "localhost,localhost:1:2",
    ] {
        assert_eq!(host(wrong), Err(Refusal::MalformedHost), "{wrong}");
    }
    for none in [&[][..], &[("host", "")]] {
        assert_eq!(check_at(HERE, "GET", "/", none), Err(Refusal::NoHost));
        assert_eq!(check_at(HERE, "GET", "http://localhost/", none), Err(Refusal::NoHost));
    }
    assert!(Refusal::NoHost.is_malformed() && !Refusal::Origin(None).is_malformed());
}

#[test]
fn the_host_of_a_whole_uri_counts_and_the_header_does_not() {
    let get = |target, host| check_at(HERE, "GET", target, &[("host", host)]);
    assert_eq!(get("http://localhost:5000/time", "evil.example"), Ok(()));
    assert_eq!(get("http://evil.example/time", "localhost"), Err(Refusal::Host("evil.example".to_owned())));
    assert_eq!(get("http://localhost@evil.example/", "localhost"), Err(Refusal::MalformedHost));
    assert_eq!(get("http://localhost/", "a b"), Err(Refusal::MalformedHost));
    let post = |origin| check_at(HERE, "POST", "http://localhost:1/", &[("host", "localhost:2"), ("origin", origin)]);
    assert!(post("http://localhost:1").is_ok() && post("http://localhost:2").is_err());
}

#[test]
fn a_program_that_is_no_browser_goes_on() {
    for method in ["GET", "HEAD", "OPTIONS", "POST", "DELETE", "PUT"] {
        assert_eq!(from(method, &[]), Ok(()), "{method}");
    }
}

#[test]
fn the_page_of_the_service_goes_on() {
    let own = ("origin", "http://127.0.0.1:5000");
    for site in ["same-origin", "none"] {
        for headers in [&[own, ("sec-fetch-site", site)][..], &[("sec-fetch-site", site)], &[own]] {
            assert_eq!(from("POST", headers), Ok(()), "{headers:?}");
        }
    }
    // The port of the scheme may be left out.
    let post = |host, origin| check_at(HERE, "POST", "/", &[("host", host), ("origin", origin)]);
    for (host, origin) in [
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("LocalHost", "http://localhost:80"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("sctec.example", "https://sctec.example"),
        ("sctec.example:443", "https://sctec.example"),
        ("sctec.example:8443", "https://sctec.example:8443"),
        ("sctec.example", "http://sctec.example"),
    ] {
        assert_eq!(post(host, origin), Ok(()), "{host} {origin}");
    }
    for (host, origin) in [
        ("localhost", "https://localhost"),
        ("sctec.example:80", "https://sctec.example"),
        ("sctec.example", "https://sctec.example:8443"),
        ("localhost", "http://localhost."),
    ] {
        assert!(post(host, origin).is_err(), "{host} {origin}");
    }
}

#[test]
fn with_tls_the_origin_is_https_and_http_of_the_same_host_is_another() {
    let post = |host, origin| check_with(true, HERE, "POST", "/", &[("host", host), ("origin", origin)]);
    for (host, origin) in [
        ("localhost", "https://localhost"),
        ("localhost:443", "https://localhost"),
        ("127.0.0.1:5000", "https://127.0.0.1:5000"),
        ("sctec.example:5000", "https://sctec.example:5000"),
    ] {
        assert_eq!(post(host, origin), Ok(()), "{host} {origin}");
    }
    for (host, origin) in [
        ("localhost", "http://localhost"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        // A proxy in front of a name adds TLS, and takes none away.
        ("sctec.example", "http://sctec.example"),
        ("localhost:80", "https://localhost"),
        ("localhost", "https://localhost:5000"),
    ] {
        assert!(post(host, origin).is_err(), "{host} {origin}");
    }
}

#[test]
fn a_page_of_another_origin_is_refused_with_any_request() {
    for origin in [
        "null",
        "",
        "http://127.0.0.1",
        "http://127.0.0.1:5001",
        "http://localhost:5000",
        "https://127.0.0.1:5000",
        "HTTP://127.0.0.1:5000",
        "http://127.0.0.1:5000/",
        "http://127.0.0.1:5000.evil.example",
        "http://127.0.0.1:5000@evil.example",
        "http://evil.example",
        "file://",
        "127.0.0.1:5000",
        "http://127.0.0.1:5000, http://127.0.0.1:5000",
    ] {
        for method in ["POST", "DELETE", "PUT", "PATCH", "GET", "X"] {
            let said = from(method, &[("origin", origin), ("sec-fetch-site", "same-origin")]);
            assert_eq!(said, Err(Refusal::Origin(Some(origin.to_owned()))), "{method} {origin}");
        }
    }
    let own = ("origin", "http://127.0.0.1:5000");
    assert_eq!(from("POST", &[own, own]), Err(Refusal::Origin(None)));
    for site in ["cross-site", "same-site"] {
        assert!(from("POST", &[own, ("sec-fetch-site", site)]).is_err(), "{site}");
        assert!(from("GET", &[("sec-fetch-site", site), ("sec-fetch-mode", "no-cors")]).is_err(), "{site}");
        assert!(from("POST", &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", site)]).is_err(), "{site}");
        let frame = [("sec-fetch-site", site), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        assert!(from("GET", &frame).is_err(), "{site}");
        // A person follows a link. A form that a page sends is a navigation too.
        let link = [("sec-fetch-site", site), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert!(from("GET", &link).is_ok() && from("HEAD", &link).is_ok() && from("POST", &link).is_err(), "{site}");
    }
    let problem = Problem::from(from("POST", &[("origin", "http://evil.example")]).unwrap_err());
    assert_eq!((problem.status().as_u16(), problem.code()), (403, "origem_recusada"));
    assert!(problem.log_text().contains("http://evil.example"));
}

#[test]
fn the_question_for_permission_is_answered_without_one() {
    let asked = [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")];
    assert_eq!(from("OPTIONS", &asked), Ok(()));
}

proptest! {
    #[test]
    fn nothing_that_is_added_to_a_name_is_that_name(before in "[a-z0-9.-]{0,5}", after in "[a-z0-9.-]{0,9}") {
        let asked = format!("{before}localhost{after}");
        prop_assert_eq!(host(&asked).is_ok(), before.is_empty() && (after.is_empty() || after == "."));
    }

    #[test]
    fn any_bytes_are_read_or_refused(text in "\\PC{0,40}", port in any::<Option<u16>>()) {
        if let Some(read) = Authority::parse(&text) {
            // The whole text is used: only a zone is left out.
            let length = match read.host {
                Host::Name(name) => name.len(),
                Host::Address(_) => text.find(']').map_or_else(|| text.find(':').unwrap_or(text.len()), |end| end + 1),
            };
            prop_assert!(text[length..].trim_start_matches(':').parse::<u16>().ok() == read.port);
        }
        let text = format!("a{}", port.map_or_else(String::new, |port| format!(":{port}")));
        prop_assert_eq!(Authority::parse(&text).unwrap().port, port);
    }

    #[test]
    fn of_all_addresses_only_loopback_and_those_of_this_machine_are_its_own(bits in any::<u32>()) {
        let address = std::net::Ipv4Addr::from(bits);
        prop_assert_eq!(host(&address.to_string()).is_ok(), address.is_loopback() || address.to_string() == HERE || address.to_string() == "192.0.2.1");
        let loopback = std::net::Ipv4Addr::from(0x7f00_0000 | (bits >> 8));
        prop_assert_eq!(host(&format!("{loopback}:80")), Ok(()));
    }

    #[test]
    fn an_origin_is_the_one_asked_for_only_with_the_same_port(asked in any::<u16>(), other in any::<u16>()) {
        let post = |origin: u16| {
            check_at(HERE, "POST", "/", &[("host", &format!("localhost:{asked}")), ("origin", &format!("http://localhost:{origin}"))])
        };
        prop_assert!(post(asked).is_ok());
        prop_assert_eq!(post(other).is_ok(), asked == other);
    }
}
