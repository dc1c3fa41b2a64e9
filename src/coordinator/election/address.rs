//! The URL of an etcd cluster: `etcd://host:2379,host2:2379/prefix`, or `etcds://` over TLS.

use std::str::FromStr;

use hyper::http::uri::Authority;

/// The port of a member, where the URL names none.
const PORT: u16 = 2379;
/// Where the keys are, if the URL does not say it.
const PREFIX: &str = "sctec/coordenador";

/// Where etcd is, and where in it the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdUrl {
    /// The URL of each member, `http://` or `https://`, without a path.
    pub members: Vec<String>,
    /// What stands before each key's name.
    pub prefix: String,
}

/// What is wrong with a URL of etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongEtcdUrl {
    /// It begins with neither `etcd://` nor `etcds://`.
    Scheme,
    /// It has a user: arguments are shown to everybody on the machine.
    User,
    /// A member is no host with a port.
    Member,
    /// It has a query, or a prefix with characters that need to be encoded.
    Prefix,
}

impl FromStr for EtcdUrl {
    type Err = WrongEtcdUrl;

    fn from_str(text: &str) -> Result<Self, WrongEtcdUrl> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(WrongEtcdUrl::Scheme)?;
        let scheme = match scheme {
            "etcd" => "http",
            "etcds" => "https",
            _ => return Err(WrongEtcdUrl::Scheme),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        if hosts.contains('@') {
            return Err(WrongEtcdUrl::User);
        }
        let members = hosts.split(',').map(|host| member(scheme, host.trim()).ok_or(WrongEtcdUrl::Member));
        let members = members.collect::<Result<_, _>>()?;
        let prefix = path.trim_matches('/');
        if !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte)) {
            return Err(WrongEtcdUrl::Prefix);
        }
        let prefix = if prefix.is_empty() { PREFIX } else { prefix };
        Ok(Self { members, prefix: format!("/{prefix}/") })
    }
}

/// The URL of a member.
fn member(scheme: &str, text: &str) -> Option<String> {
    let authority: Authority = text.parse().ok()?;
    // `http` takes an empty port and one that is too large for none.
    let has_port = text.rsplit_once(']').map_or(text, |(_, port)| port).contains(':');
    let port = if has_port { authority.port_u16()? } else { PORT };
    let host = authority.host();
    (!host.is_empty() && port != 0).then(|| format!("{scheme}://{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_members_and_a_prefix() {
        let read = |text: &str| text.parse::<EtcdUrl>();
        let url = read("etcd://a:2379, b ,[::1],[::1]:1").unwrap();
        assert_eq!(url.members, ["http://a:2379", "http://b:2379", "http://[::1]:2379", "http://[::1]:1"]);
        assert_eq!(url.prefix, "/sctec/coordenador/");
        let url = read("etcds://10.0.0.1/cell-a/").unwrap();
        assert_eq!((&url.members[0][..], &url.prefix[..]), ("https://10.0.0.1:2379", "/cell-a/"));
        for (text, wrong) in [
            ("", WrongEtcdUrl::Scheme),
            ("a:2379", WrongEtcdUrl::Scheme),
            ("http://a:2379", WrongEtcdUrl::Scheme),
            ("etcd://", WrongEtcdUrl::Member),
            ("etcd://a,,b", WrongEtcdUrl::Member),
            ("etcd://a:", WrongEtcdUrl::Member),
            ("etcd://a:0", WrongEtcdUrl::Member),
            ("etcd://a:99999", WrongEtcdUrl::Member),
            ("etcd://a b", WrongEtcdUrl::Member),
            ("etcd://root:secret@a", WrongEtcdUrl::User),
            ("etcd://a/x?y", WrongEtcdUrl::Prefix),
            ("etcd://a/ç", WrongEtcdUrl::Prefix),
        ] {
            assert_eq!(read(text), Err(wrong), "{text}");
        }
    }
}
