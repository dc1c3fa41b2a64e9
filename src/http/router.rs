//! The table of a service's endpoints, and the search for the endpoint of a request.
//!
//! The answers to `OPTIONS`, the 405 answers and the tests of the documents all use this table.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::parameters::Parameters;
use super::problem::Problem;
use super::rates::Share;
use crate::access::role::Need;

/// The description of one endpoint of a service.
#[derive(Debug)]
pub struct Endpoint {
    /// The method. An endpoint for `GET` also answers `HEAD`.
    pub method: Method,
    /// The path, in [`matchit`]'s syntax, with at most two parameters.
    pub path: &'static str,
    /// What a caller needs to be.
    pub need: Need,
    /// How the endpoint handles a query.
    pub query: Query,
    /// In which count of its client's rate a request is.
    pub share: Share,
    /// Whether the bytes of its answer stay the same as long as what it shows does, so that a client may ask whether they have changed.
    pub tagged: bool,
    /// Whether its answer is a list, which clients can have as a table ([`super::table`]).
    pub lists: bool,
    /// Whether a secret in the address identifies a caller too: calendar programs send no token.
    pub keyed: bool,
    /// A description of the endpoint in one line.
    pub about: &'static str,
}

/// How an endpoint handles the query of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// The handler reads the query and refuses unknown parameters.
    Read,
    /// Every parameter is refused. Otherwise `POST /agendamentos?telescopio=…` would ignore the parameter and could book
    /// another telescope.
    Refused,
    /// No parameter is refused: some clients add one to avoid caches, and an identity provider may add its own.
    Ignored,
}

impl Endpoint {
    /// An endpoint that has no parameters.
    pub const fn new(method: Method, path: &'static str, need: Need, about: &'static str) -> Self {
        Self {
            method,
            path,
            need,
            query: Query::Refused,
            share: Share::Ordinary,
            tagged: false,
            lists: false,
            keyed: false,
            about,
        }
    }

    /// The same endpoint with another handling of queries.
    #[must_use]
    pub const fn query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }

    /// The same endpoint, counted in another share of its client's rate.
    #[must_use]
    pub const fn share(mut self, share: Share) -> Self {
        self.share = share;
        self
    }

    /// The same endpoint, whose answers have tags.
    #[must_use]
    pub const fn tagged(mut self) -> Self {
        self.tagged = true;
        self
    }

    /// The same endpoint, for callers with a secret in the address too.
    #[must_use]
    pub const fn keyed(mut self) -> Self {
        self.keyed = true;
        self
    }

    /// The same endpoint, whose answer is a list.
    #[must_use]
    pub const fn listing(mut self) -> Self {
        self.lists = true;
        self
    }

    /// Checks the query of a request where the endpoint has no parameters.
    ///
    /// # Errors
    /// 422 with every parameter.
    pub fn check_query(&self, query: Option<&str>) -> Result<(), Problem> {
        match self.query {
            Query::Refused => Parameters::none(query),
            Query::Read | Query::Ignored => Ok(()),
        }
    }
}

/// A service's table: each endpoint, and `R`, the name by which the service dispatches to its handler.
pub type Table<R> = [(R, Endpoint)];

/// Some rows of a table, each with its place there.
type Rows<R> = Vec<(usize, &'static (R, Endpoint))>;

/// Finds the endpoint of a request in a table.
pub struct Router<R: 'static> {
    /// At each path its endpoints, with their places in the table.
    paths: matchit::Router<Rows<R>>,
    /// The value of `Allow` for the whole server.
    allow: String,
}

/// The result of the search for an endpoint.
#[derive(Debug)]
pub enum Found<R> {
    /// An endpoint.
    Endpoint {
        /// The name of the endpoint's handler.
        route: R,
        /// The endpoint's row in the table.
        endpoint: &'static Endpoint,
        /// The row's place in the table.
        place: usize,
        /// The decoded parameter of the path. It is empty if the path has no parameter.
        parameter: String,
        /// The decoded second parameter. It is empty if the path has no second one.
        second: String,
    },
    /// The request's method is `OPTIONS`. This is the value of `Allow`.
    Options(String),
}

impl<R> Found<R> {
    /// The endpoint's place in the table, if it is one.
    pub fn place(&self) -> Option<usize> {
        match self {
            Self::Endpoint { place, .. } => Some(*place),
            Self::Options(_) => None,
        }
    }

    /// The endpoint, if it is one.
    pub fn endpoint(&self) -> Option<&'static Endpoint> {
        match self {
            Self::Endpoint { endpoint, .. } => Some(endpoint),
            Self::Options(_) => None,
        }
    }
}

impl<R: Copy> Router<R> {
    /// Builds the router of a table.
    ///
    /// # Panics
    /// When two paths conflict. Any test that starts the service would find this.
    pub fn new(table: &'static Table<R>) -> Self {
        let mut grouped: Vec<(&str, Rows<R>)> = Vec::new();
        for (place, row) in table.iter().enumerate() {
            match grouped.iter_mut().find(|(known, _)| *known == row.1.path) {
                Some((_, rows)) => rows.push((place, row)),
                None => grouped.push((row.1.path, vec![(place, row)])),
            }
        }
        let mut paths = matchit::Router::new();
        for (path, rows) in grouped {
            paths.insert(path, rows).expect("the paths of a service do not contradict each other");
        }
        let mut methods: Vec<&Method> = Vec::new();
        for (_, endpoint) in table {
            if !methods.contains(&&endpoint.method) {
                methods.push(&endpoint.method);
            }
        }
        Self { paths, allow: allow(methods.into_iter()) }
    }

    /// Finds the endpoint of a request. `HEAD` is answered by `GET`.
    ///
    /// # Errors
    /// 404 or 405, as a problem.
    pub fn find(&self, method: &Method, path: &str) -> Result<Found<R>, Problem> {
        if path == "*" && method == Method::OPTIONS {
            // RFC 9110 §9.3.7: `OPTIONS *` asks about the whole server.
            return Ok(Found::Options(self.allow.clone()));
        }
        let Ok(found) = self.paths.at(path) else {
            return Err(Problem::not_found(path));
        };
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        if let Some((place, (route, endpoint))) =
            found.value.iter().find(|(_, (_, endpoint))| endpoint.method == *wanted)
        {
            let mut parameters = found.params.iter().map(|(_, value)| value);
            let mut next = || {
                let decoded = percent_decode_str(parameters.next().unwrap_or("")).decode_utf8();
                decoded.map(Cow::into_owned).map_err(|_| Problem::not_found(path))
            };
            let (parameter, second) = (next()?, next()?);
            return Ok(Found::Endpoint { route: *route, endpoint, place: *place, parameter, second });
        }
        let allow = allow(found.value.iter().map(|(_, (_, endpoint))| &endpoint.method));
        if method == Method::OPTIONS {
            return Ok(Found::Options(allow));
        }
        Err(Problem::method_not_allowed(method.as_str(), path, allow))
    }
}

/// The value of `Allow`. `HEAD` is added if `GET` is allowed, and `OPTIONS` is always added.
fn allow<'a>(methods: impl Iterator<Item = &'a Method>) -> String {
    let mut allow: Vec<&str> = Vec::new();
    for method in methods {
        allow.push(method.as_str());
        if method == Method::GET {
            allow.push("HEAD");
        }
    }
    allow.push("OPTIONS");
    allow.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: &Table<u8> = &[
        (1, Endpoint::new(Method::GET, "/a", Need::Nothing, "lists").query(Query::Read)),
        (2, Endpoint::new(Method::POST, "/a", Need::Identity, "makes")),
        (3, Endpoint::new(Method::GET, "/a/{id}", Need::Nothing, "shows").query(Query::Ignored)),
        (4, Endpoint::new(Method::DELETE, "/a/{id}", Need::Identity, "removes")),
        (5, Endpoint::new(Method::GET, "/a/{id}/b/{c}", Need::Nothing, "shows a part")),
    ];

    fn find(method: &Method, path: &str) -> Result<(u8, String), Problem> {
        match Router::new(TABLE).find(method, path)? {
            Found::Endpoint { route, parameter, second, .. } => Ok((route, parameter + &second)),
            Found::Options(allow) => Ok((0, allow)),
        }
    }

    #[test]
    fn method_and_path_lead_to_an_endpoint() {
        assert_eq!(find(&Method::POST, "/a").unwrap(), (2, String::new()));
        assert_eq!(find(&Method::HEAD, "/a").unwrap(), (1, String::new()));
        assert_eq!(find(&Method::DELETE, "/a/x%20y").unwrap(), (4, "x y".to_owned()));
        assert_eq!(find(&Method::GET, "/a/x/b/%3Ay").unwrap(), (5, "x:y".to_owned()));
    }

    #[test]
    fn a_wrong_path_is_404_and_a_wrong_method_405() {
        for path in ["/", "/b", "/a/", "/a/1/2", "/a/%ff", ""] {
            assert_eq!(find(&Method::GET, path).unwrap_err().code(), "nao_encontrado", "{path}");
        }
        assert_eq!(find(&Method::PUT, "/a").unwrap_err().code(), "metodo_nao_permitido");
        assert_eq!(find(&Method::OPTIONS, "/a").unwrap().1, "GET, HEAD, POST, OPTIONS");
        assert_eq!(find(&Method::OPTIONS, "*").unwrap().1, "GET, HEAD, POST, DELETE, OPTIONS");
        assert!(find(&Method::GET, "*").is_err());
    }

    #[test]
    fn a_query_is_read_refused_or_ignored_as_the_table_says() {
        let refuses = TABLE.iter().map(|(_, endpoint)| endpoint.check_query(Some("x=1")).is_err());
        assert_eq!(refuses.collect::<Vec<_>>(), [false, true, false, true, true]);
        assert!(TABLE.iter().all(|(_, endpoint)| endpoint.check_query(None).is_ok()));
    }
}
