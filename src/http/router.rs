//! From a method and a path to a route, with the answers for when there is none.

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::problem::Problem;

/// The routes of a service. `R` names a route; what a route does is the service's.
pub struct Router<R> {
    paths: matchit::Router<Vec<(Method, R)>>,
    /// All that any path has.
    methods: String,
}

/// What a request leads to.
#[derive(Debug)]
pub enum Found<R> {
    /// A route, and the path's `{id}` where it has one.
    Route(R, Option<String>),
    /// `OPTIONS`: the methods that there are.
    Options(String),
}

impl<R: Copy> Router<R> {
    /// A router of `(path, method, route)`. Paths are [`matchit`]'s, with at most one parameter, `{id}` or `{*id}`.
    ///
    /// # Panics
    /// When two paths contradict each other, which a service's first start in a test shows.
    pub fn new(routes: &[(&str, Method, R)]) -> Self {
        let mut grouped: Vec<(&str, Vec<(Method, R)>)> = Vec::new();
        for (path, method, route) in routes {
            match grouped.iter_mut().find(|(known, _)| known == path) {
                Some((_, methods)) => methods.push((method.clone(), *route)),
                None => grouped.push((path, vec![(method.clone(), *route)])),
            }
        }
        let mut paths = matchit::Router::new();
        for (path, methods) in grouped {
            paths.insert(path, methods).expect("the paths of a service do not contradict each other");
        }
        let mut all: Vec<&Method> = Vec::new();
        for (_, method, _) in routes {
            if !all.contains(&method) {
                all.push(method);
            }
        }
        let methods = allow(all.into_iter());
        Self { paths, methods }
    }

    /// Finds the route. `HEAD` is where `GET` is.
    ///
    /// # Errors
    /// 404 or 405, as a problem.
    pub fn find(&self, method: &Method, path: &str) -> Result<Found<R>, Problem> {
        if path == "*" && method == Method::OPTIONS {
            // RFC 9110 §9.3.7: of the server as a whole.
            return Ok(Found::Options(self.methods.clone()));
        }
        let Ok(found) = self.paths.at(path) else {
            return Err(Problem::not_found(path));
        };
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        if let Some((_, route)) = found.value.iter().find(|(method, _)| method == wanted) {
            let id = match found.params.get("id") {
                Some(id) => match percent_decode_str(id).decode_utf8() {
                    Ok(id) => Some(id.into_owned()),
                    Err(_) => return Err(Problem::not_found(path)),
                },
                None => None,
            };
            return Ok(Found::Route(*route, id));
        }
        let allow = allow(found.value.iter().map(|(method, _)| method));
        if method == Method::OPTIONS {
            return Ok(Found::Options(allow));
        }
        Err(Problem::method_not_allowed(method.as_str(), path, allow))
    }
}

/// The value of `Allow`. `HEAD` is where `GET` is, and `OPTIONS` everywhere.
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

    fn router() -> Router<u8> {
        Router::new(&[
            ("/a", Method::GET, 1),
            ("/a", Method::POST, 2),
            ("/a/{id}", Method::GET, 3),
            ("/a/{id}", Method::DELETE, 4),
        ])
    }

    #[test]
    fn method_and_path_lead_to_a_route() {
        assert!(matches!(router().find(&Method::POST, "/a"), Ok(Found::Route(2, None))));
        assert!(matches!(router().find(&Method::HEAD, "/a"), Ok(Found::Route(1, None))));
        assert!(matches!(router().find(&Method::DELETE, "/a/x%20y"), Ok(Found::Route(4, Some(id))) if id == "x y"));
    }

    #[test]
    fn a_wrong_path_is_404_and_a_wrong_method_405() {
        for path in ["/", "/b", "/a/", "/a/1/2", "/a/%ff", ""] {
            assert_eq!(router().find(&Method::GET, path).unwrap_err().code(), "nao_encontrado", "{path}");
        }
        assert_eq!(router().find(&Method::PUT, "/a").unwrap_err().code(), "metodo_nao_permitido");
        assert!(
            matches!(router().find(&Method::OPTIONS, "/a"), Ok(Found::Options(allow)) if allow == "GET, HEAD, POST, OPTIONS")
        );
        assert!(
            matches!(router().find(&Method::OPTIONS, "*"), Ok(Found::Options(allow)) if allow == "GET, HEAD, POST, DELETE, OPTIONS")
        );
        assert!(router().find(&Method::GET, "*").is_err());
    }
}
