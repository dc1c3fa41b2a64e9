//! The path below which clients see a service: `--base-path`, or what a proxy that is trusted says. Every link begins with it.
//!
//! Links are made in many places, and none of them knows of proxies. So the prefix goes with the task that answers a request, and a
//! link takes it when it is written.

use std::borrow::Cow;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use hyper::Uri;
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use tokio::task::futures::TaskLocalFuture;

use super::forwarded::Proxies;

/// The longest prefix.
const MAX_BYTES: usize = 200;
/// The header in which a proxy says what it has taken from the path. `Forwarded` (RFC 7239) has no parameter for it.
const HEADER: &str = "x-forwarded-prefix";

tokio::task_local! {
    /// That of the request which the task answers.
    static PREFIX: Prefix;
}

/// A prefix: empty, or a path with no slash at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix(Option<Arc<str>>);

/// What is wrong with a text that should be a [`Prefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongPrefix;

impl FromStr for Prefix {
    type Err = WrongPrefix;

    /// Segments of letters, digits, `.`, `_`, `~` and `-`, each after a slash. One more slash may follow.
    fn from_str(text: &str) -> Result<Self, WrongPrefix> {
        let path = text.strip_suffix('/').unwrap_or(text);
        if path.is_empty() {
            return Ok(Self(None));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-');
        let is_segment =
            |segment: &str| !segment.is_empty() && !matches!(segment, "." | "..") && segment.bytes().all(is_plain);
        let mut segments = path.split('/');
        let begins = segments.next() == Some("");
        let fits = begins && path.len() <= MAX_BYTES && segments.all(is_segment);
        if fits { Ok(Self(Some(path.into()))) } else { Err(WrongPrefix) }
    }
}

impl Prefix {
    /// Its text, which is empty if there is none.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The prefix of the request that the present task answers.
    pub fn current() -> Self {
        PREFIX.try_with(Self::clone).unwrap_or_default()
    }

    /// Runs `work` as a part of answering a request that has this prefix: for a thread that works for a task.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.0.is_some() { PREFIX.sync_scope(self.clone(), work) } else { work() }
    }

    /// Runs `work` as a part of no request, so that its links have no prefix.
    pub fn without<T>(work: impl FnOnce() -> T) -> T {
        PREFIX.sync_scope(Self::default(), work)
    }

    /// Answers a request that has this prefix. It is no function with a future of its own: that would be twice as large as the answer's.
    pub fn around<F: Future>(self, answer: F) -> TaskLocalFuture<Self, F> {
        PREFIX.scope(self, answer)
    }

    /// Whether the present task answers a request whose links have a prefix.
    pub fn is_there() -> bool {
        PREFIX.try_with(|prefix| prefix.0.is_some()).unwrap_or(false)
    }

    /// A path of this service, as clients see it.
    pub fn before<'a>(&self, path: &'a str) -> Cow<'a, str> {
        match &self.0 {
            Some(prefix) if path.starts_with('/') => Cow::Owned(format!("{prefix}{path}")),
            _ => Cow::Borrowed(path),
        }
    }
}

/// A path of this service, as the client of the present request sees it.
pub fn seen(path: &str) -> Cow<'_, str> {
    PREFIX.try_with(|prefix| prefix.before(path)).unwrap_or(Cow::Borrowed(path))
}

/// Whose word on the prefix counts.
#[derive(Clone, Debug, Default)]
pub struct Prefixes {
    /// The prefix where no proxy names another.
    pub base: Prefix,
    /// The proxies.
    pub proxies: Proxies,
}

impl Prefixes {
    /// The prefix of a request from `peer`. The base path is taken from the request's own, which may have it or not.
    pub fn take_from(&self, head: &mut Parts, peer: IpAddr) -> Prefix {
        if let Some(rest) = self.without_base(head.uri.path()) {
            let rest = match head.uri.query() {
                Some(query) => format!("{rest}?{query}"),
                None => rest.to_owned(),
            };
            if let Ok(rest) = PathAndQuery::try_from(rest) {
                let mut parts = std::mem::take(&mut head.uri).into_parts();
                parts.path_and_query = Some(rest);
                // The parts are those of a URI, but for a path that begins with a slash too.
                head.uri = Uri::from_parts(parts).unwrap_or_default();
            }
        }
        if !self.proxies.trust(peer) {
            return self.base.clone();
        }
        let mut values = head.headers.get_all(HEADER).iter();
        // Of two, neither is known to be the proxy's.
        let said = values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok());
        said.and_then(|said| said.parse().ok()).unwrap_or_else(|| self.base.clone())
    }

    /// The path after the base path, if it is there.
    fn without_base<'a>(&self, path: &'a str) -> Option<&'a str> {
        let base = self.base.0.as_deref()?;
        match path.strip_prefix(base)? {
            "" => Some("/"),
            rest => rest.starts_with('/').then_some(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn taken(prefixes: &Prefixes, uri: &str, said: &[&str], peer: &str) -> (String, String) {
        let mut request = Request::builder().uri(uri);
        for said in said {
            request = request.header(HEADER, *said);
        }
        let mut head = request.body(()).unwrap().into_parts().0;
        let prefix = prefixes.take_from(&mut head, peer.parse().unwrap());
        (prefix.as_str().to_owned(), head.uri.to_string())
    }

    #[test]
    fn a_prefix_is_a_plain_path() {
        for (text, prefix) in [("", ""), ("/", ""), ("/sctec", "/sctec"), ("/a/b-1/", "/a/b-1"), ("/~x.y_z", "/~x.y_z")]
        {
            assert_eq!(text.parse::<Prefix>().unwrap().as_str(), prefix, "{text}");
        }
        for text in
            ["sctec", "//", "/a//b", "/..", "/a/.", "/é", "/a b", "/<x>", "http://a/b", "/a\"", &"/x".repeat(101)]
        {
            assert_eq!(text.parse::<Prefix>(), Err(WrongPrefix), "{text}");
        }
    }

    #[test]
    fn the_base_path_is_taken_from_a_request_that_has_it() {
        let prefixes = Prefixes { base: "/sctec".parse().unwrap(), proxies: Proxies::default() };
        for (uri, rest) in [
            ("/sctec", "/"),
            ("/sctec/", "/"),
            ("/sctec/time?n=1", "/time?n=1"),
            ("/sctec?n=1", "/?n=1"),
            ("/time", "/time"),
            ("/sctecx", "/sctecx"),
            ("http://h/sctec/time", "http://h/time"),
        ] {
            assert_eq!(taken(&prefixes, uri, &["/evil"], "127.0.0.1"), ("/sctec".to_owned(), rest.to_owned()), "{uri}");
        }
        assert_eq!(taken(&Prefixes::default(), "/sctec", &[], "::1"), (String::new(), "/sctec".to_owned()));
    }

    #[test]
    fn only_a_trusted_proxy_names_another_prefix() {
        let proxies = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let prefixes = Prefixes { base: "/sctec".parse().unwrap(), proxies: proxies.into() };
        let said = |said: &[&str], peer: &str| taken(&prefixes, "/time", said, peer).0;
        assert_eq!(said(&["/fora"], "10.1.2.3"), "/fora");
        assert_eq!(said(&["/fora"], "::ffff:10.1.2.3"), "/fora");
        assert_eq!(said(&["/"], "::1"), "");
        assert_eq!(said(&["/fora"], "11.1.2.3"), "/sctec");
        assert_eq!(said(&["/a", "/b"], "10.1.2.3"), "/sctec", "of two, neither is known to be the proxy's");
        assert_eq!(said(&["/a b"], "10.1.2.3"), "/sctec");
    }

    #[tokio::test]
    async fn a_link_takes_the_prefix_of_the_request_that_is_answered() {
        let prefix: Prefix = "/sctec".parse().unwrap();
        assert_eq!(seen("/a"), "/a");
        let both = prefix.clone().around(async { (seen("/a").into_owned(), seen("https://x/").into_owned()) }).await;
        assert_eq!(both, ("/sctec/a".to_owned(), "https://x/".to_owned()));
        assert_eq!(prefix.within(|| seen("/a").into_owned()), "/sctec/a");
        assert_eq!(prefix.within(|| Prefix::without(|| seen("/a").into_owned())), "/a");
    }
}
