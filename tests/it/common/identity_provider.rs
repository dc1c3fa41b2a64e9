//! A real identity provider, `oidc-provider-mock` of the Python registry, and a visitor who signs in there as a browser would.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::executable::sctec;
use super::requests::{nobody, try_http};
use super::services::Services;
use super::wait::wait_until;

/// The service's name at the provider, and its secret there.
pub const CLIENT: &str = "sctec-test";
pub const CLIENT_SECRET: &str = "segredo-do-cliente-4711";

/// A running provider.
pub struct Provider {
    child: Child,
    pub url: String,
}

impl Provider {
    /// Starts one with these people: their subject, and what it says of them.
    pub fn start(people: &[(&str, Value)]) -> Self {
        Self::start_at(nobody(), people, &[])
    }

    /// The same at an address, with options of its own.
    pub fn start_at(url: String, people: &[(&str, Value)], options: &[&str]) -> Self {
        let program = std::env::var("SCTEC_TEST_OIDC_PROVIDER").unwrap_or_else(|_| {
            format!("{}/target/oidc-provider-mock/bin/oidc-provider-mock", env!("CARGO_MANIFEST_DIR"))
        });
        let port = url.rsplit_once(':').unwrap().1;
        let mut command = Command::new(&program);
        command
            .args(["--port", port, "--require-nonce=true"])
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        for (subject, claims) in people {
            let mut claims = claims.clone();
            claims["sub"] = json!(subject);
            command.args(["--user-claims", &claims.to_string()]);
        }
        let child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        let provider = Self { child, url };
        let document = format!("{}/.well-known/openid-configuration", provider.url);
        wait_until("the provider answers", || {
            try_http("GET", &document, None).is_ok_and(|answer| answer.status == 200)
        });
        provider
    }

    /// Ends it.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Somebody whose address the provider has verified.
pub fn verified(email: &str) -> Value {
    json!({"email": email, "email_verified": true})
}

/// Services whose scheduler has the provider at `issuer`.
pub fn services(issuer: &str, more: &[&str]) -> Services {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("cliente.segredo");
    std::fs::write(&secret, format!("{CLIENT_SECRET}\n")).unwrap();
    let secret = secret.to_str().unwrap().to_owned();
    let own = provider_args(issuer);
    let args: Vec<&str> = own.iter().chain(&["--oidc-client-secret-file", &secret]).chain(more).copied().collect();
    Services::start_in(folder, &args)
}

/// The arguments of a scheduler that is known at the provider, without its secret there.
pub fn provider_args(issuer: &str) -> [&str; 6] {
    ["--access", "token", "--oidc-issuer", issuer, "--oidc-client-id", CLIENT]
}

/// Ties somebody on the command line; `args` say whom, and as what.
pub fn tie(services: &Services, args: &[&str]) {
    let tied = sctec().args(["token", "tie"]).args(args).arg("--data-dir").arg(services.data_dir()).output().unwrap();
    assert!(tied.status.success(), "{}", String::from_utf8_lossy(&tied.stderr));
}

/// An answer, and where it leads.
pub struct Seen {
    pub status: u16,
    pub location: String,
    pub body: String,
    pub cookies: Vec<String>,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }
}

/// Somebody with a browser: it keeps cookies, and follows no redirect by itself.
#[derive(Clone, Default)]
pub struct Visitor {
    pub cookies: BTreeMap<String, String>,
}

impl Visitor {
    /// Asks the service, and keeps the cookies that it sets.
    pub fn get(&mut self, url: &str, accept: &str) -> Seen {
        let seen = self.send("GET", url, accept, &[], "");
        for cookie in &seen.cookies {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        seen
    }

    /// Begins: where the service sends the browser.
    pub fn leave(&mut self, services: &Services) -> String {
        let seen = self.get(&services.agenda("/entrar"), "*/*");
        assert_eq!(seen.status, 303, "{}", seen.body);
        seen.location
    }

    /// Comes back from the provider.
    pub fn come_back(&mut self, address: &str) -> Seen {
        self.get(address, "*/*")
    }

    /// The same without its session.
    pub fn without_session(mut self) -> Self {
        self.cookies.remove("sctec_sessao");
        self
    }

    /// The whole way in, as the person `subject`.
    pub fn enter(&mut self, services: &Services, subject: &str) -> Seen {
        let address = self.leave(services);
        self.come_back(&consent(&address, subject))
    }

    /// Who this visitor is, to the service.
    pub fn who(&self, services: &Services) -> Value {
        self.act("GET", &services.agenda("/sessao"), "").json()
    }

    /// A request of the page.
    pub fn act(&self, method: &str, url: &str, body: &str) -> Seen {
        self.send(
            method,
            url,
            "application/json",
            &[("Sec-Fetch-Site", "same-origin"), ("Content-Type", "application/json")],
            body,
        )
    }

    fn send(&self, method: &str, url: &str, accept: &str, headers: &[(&str, &str)], body: &str) -> Seen {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut all = vec![("Accept", accept), ("Accept-Language", "pt-BR")];
        let cookies = cookies.join("; ");
        if !cookies.is_empty() {
            all.push(("Cookie", &cookies));
        }
        all.extend(headers);
        send(method, url, &all, body)
    }
}

/// The person says yes at the provider: the address to which the provider then leads the browser.
pub fn consent(address: &str, subject: &str) -> String {
    let form: String = form_urlencoded::Serializer::new(String::new()).append_pair("sub", subject).finish();
    let seen = send("POST", address, &[("Content-Type", "application/x-www-form-urlencoded")], &form);
    assert_eq!(seen.status, 302, "{}", seen.body);
    seen.location
}

/// One request, without following where its answer leads.
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Seen {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(0)
        .proxy(None)
        .build()
        .into();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = if body.is_empty() {
        agent.run(request.body(()).unwrap())
    } else {
        agent.run(request.body(body.to_owned()).unwrap())
    };
    let mut answer = answer.unwrap_or_else(|error| panic!("{method} {url}: {error}"));
    let all = |name: &str| {
        answer.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (locations, cookies) = (all("location"), all("set-cookie"));
    Seen {
        status: answer.status().as_u16(),
        location: locations.into_iter().next().unwrap_or_default(),
        cookies,
        body: answer.body_mut().read_to_string().unwrap(),
    }
}

/// A parameter of an address.
pub fn parameter(address: &str, name: &str) -> String {
    let query = address.split_once('?').unwrap().1;
    let found = form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no {name} in {address}")).1.into_owned()
}

/// The address with another value of a parameter.
pub fn with_parameter(address: &str, name: &str, value: &str) -> String {
    let (path, query) = address.split_once('?').unwrap();
    let mut changed = form_urlencoded::Serializer::new(String::new());
    for (known, old) in form_urlencoded::parse(query.as_bytes()) {
        changed.append_pair(&known, if known == name { value } else { &old });
    }
    format!("{path}?{}", changed.finish())
}

/// Every file of a folder, as text.
pub fn all_files(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let files = files.filter(|path| path.extension().is_none_or(|end| end != "segredo"));
    files.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()).collect()
}
