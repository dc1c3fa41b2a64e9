//! Signing in at an identity provider: who comes in as whom, and what is refused.

mod attempts;
mod forged;

use serde_json::{Value, json};

use crate::common::access::{Given, give, revoke};
use crate::common::identity_provider::{
    CLIENT, CLIENT_SECRET, Provider, Visitor, all_files, consent, parameter, provider_args, services, tie, verified,
    with_parameter,
};
use crate::common::{Asked, Server, http, http_with, run, scheduler_command, sctec, wait_until};

const SLOT: &str = "2031-05-06T03:00:00Z";

#[test]
#[ignore = "needs oidc-provider-mock"]
fn a_tied_person_comes_in_acts_as_the_scientist_goes_out_and_ends_with_the_tie() {
    let provider = Provider::start(&[("s-17", verified("ana@obs.example"))]);
    let services = services(&provider.url, &[]);
    let mut ana = Visitor::default();
    let entry = http("GET", &services.agenda("/"), None).json();
    assert_eq!(entry["_links"]["entrar_com_provedor"]["href"], "/entrar", "{entry}");
    let address = ana.leave(&services);
    assert!(address.starts_with(&format!("{}/oauth2/authorize?", provider.url)), "{address}");
    assert_eq!(parameter(&address, "client_id"), CLIENT);
    assert_eq!(parameter(&address, "code_challenge_method"), "S256");
    assert_eq!(parameter(&address, "redirect_uri"), services.agenda("/entrar/retorno"));
    // Nobody has said who this is.
    let refused = ana.come_back(&consent(&address, "s-17"));
    let problem = refused.json();
    assert_eq!((refused.status, &problem["codigo"]), (403, &json!("entrada_recusada")));
    assert_eq!((&problem["emissor"], &problem["sujeito"]), (&json!(provider.url), &json!("s-17")));
    let page = ana.leave(&services);
    let page = ana.get(&consent(&page, "s-17"), "text/html");
    assert!(page.status == 403 && page.body.contains("<code>s-17</code>"), "{}", page.body);

    tie(&services, &["ana", "--issuer", &provider.url, "--subject", "s-17", "--role", "cientista", "--scientist", "7"]);
    let address = ana.leave(&services);
    let back = consent(&address, "s-17");
    let entered = ana.come_back(&back);
    assert_eq!(entered.status, 200, "{}", entered.body);
    assert!(entered.body.contains("content=\"0; url=/\""), "{}", entered.body);
    let session = entered.cookies.iter().find(|cookie| cookie.starts_with("sctec_sessao=")).unwrap();
    assert!(session.contains("HttpOnly; SameSite=Strict"), "{session}");
    assert!(entered.cookies.iter().any(|cookie| cookie.starts_with("sctec_entrada=;")), "{:?}", entered.cookies);
    let who = ana.who(&services);
    assert_eq!((&who["nome"], &who["cientista_id"]), (&json!("ana"), &json!(7)), "{who}");
    assert_eq!(ana.act("POST", &services.agenda("/agendamentos"), &Asked::by(7, SLOT).text()).status, 201);
    assert_eq!(ana.act("POST", &services.agenda("/agendamentos"), &Asked::by(8, SLOT).text()).status, 403);

    // Signing out ends this session alone.
    let mut elsewhere = Visitor::default();
    assert_eq!(elsewhere.enter(&services, "s-17").status, 200);
    assert_eq!(ana.act("DELETE", &services.agenda("/sessao"), "").status, 204);
    assert_eq!(ana.act("GET", &services.agenda("/telescopios"), "").status, 401);
    assert_eq!(elsewhere.act("GET", &services.agenda("/telescopios"), "").status, 200);
    // Revoking the tie ends all, and no sign-in begins another.
    let listed = run(&["token", "list", "--json", "--data-dir", services.data_dir().to_str().unwrap()]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&listed["sujeito"], &listed["emissor"]), (&json!("s-17"), &json!(provider.url)));
    revoke(services.data_dir(), &Given { token: String::new(), id: listed["id"].as_i64().unwrap() });
    wait_until("the session has ended", || elsewhere.act("GET", &services.agenda("/telescopios"), "").status == 401);
    assert_eq!(elsewhere.enter(&services, "s-17").json()["codigo"], "entrada_recusada");

    let kept = all_files(services.data_dir()) + &services.scheduler.lines().join("\n");
    for secret in [&parameter(&back, "code"), &parameter(&back, "state"), &parameter(&address, "nonce"), CLIENT_SECRET]
    {
        assert!(!kept.contains(secret), "{secret} is in a file or a log");
    }
    assert!(!kept.contains(&session["sctec_sessao=".len()..][..43]));
}

#[test]
#[ignore = "needs oidc-provider-mock"]
fn a_rule_lets_in_verified_addresses_of_its_domain_as_readers() {
    let provider = Provider::start(&[
        ("s-1", verified("Ana@obs.example")),
        ("s-2", json!({"email": "bia@obs.example", "email_verified": false})),
        ("s-3", json!({"email": "caio@obs.example"})),
        ("s-4", verified("davi@outro.example")),
    ]);
    let services = services(&provider.url, &["--oidc-email-domain", "obs.example"]);
    let mut ana = Visitor::default();
    assert_eq!(ana.enter(&services, "s-1").status, 200);
    let who = ana.who(&services);
    assert_eq!((&who["nome"], &who["papeis"]), (&json!("ana@obs.example"), &json!(["leitor"])), "{who}");
    assert_eq!(ana.act("GET", &services.agenda("/telescopios"), "").status, 200);
    assert_eq!(ana.act("POST", &services.agenda("/agendamentos"), &Asked::by(7, SLOT).text()).status, 403);
    for subject in ["s-2", "s-3", "s-4"] {
        let refused = Visitor::default().enter(&services, subject);
        assert_eq!((refused.status, &refused.json()["sujeito"]), (403, &json!(subject)));
    }
    // An operator says over the API that she is a scientist: what the rule gave ends.
    let chief = give(services.data_dir(), &["chefe", "--role", "operador"]);
    let bearer = format!("Bearer {}", chief.token);
    let post = |body: Value| {
        let body = body.to_string();
        http_with("POST", &services.agenda("/tokens"), Some(("application/json", &body)), &[("Authorization", &bearer)])
    };
    let fields =
        json!({"nome": "ana@obs.example", "papeis": ["cientista"], "cientista_id": 7, "email": "ana@obs.example"});
    let mut tied = post(fields.clone());
    wait_until("the operator's token is known", || {
        tied = post(fields.clone());
        tied.status != 401
    });
    assert_eq!(tied.status, 201, "{}", tied.body);
    let tied = tied.json();
    assert_eq!(
        (&tied["emissor"], &tied["email"], &tied["token"]),
        (&json!(provider.url), &json!("ana@obs.example"), &Value::Null)
    );
    assert_eq!(tied["expira_em_utc"], Value::Null);
    wait_until("the reader's session has ended", || ana.act("GET", &services.agenda("/telescopios"), "").status == 401);
    assert_eq!(ana.enter(&services, "s-1").status, 200);
    assert_eq!(ana.who(&services)["cientista_id"], 7);
    for (wrong, field) in [
        (json!({"nome": "x", "papeis": ["leitor"], "sujeito": "s", "email": "x@y"}), "email"),
        (json!({"nome": "x", "papeis": ["leitor"], "emissor": "https://id.example"}), "emissor"),
        (json!({"nome": "x", "papeis": ["leitor"], "sujeito": "s", "emissor": "http://id.example"}), "emissor"),
        (json!({"nome": "x", "papeis": ["leitor"], "email": "x"}), "email"),
        (json!({"nome": "x", "papeis": ["servico"], "prefixos": ["*"], "sujeito": "s"}), "papeis"),
    ] {
        let refused = post(wrong);
        assert_eq!((refused.status, &refused.json()["erros"][0]["campo"]), (422, &json!(field)), "{}", refused.body);
    }
}

#[test]
#[ignore = "needs oidc-provider-mock"]
fn a_return_counts_once_and_for_the_browser_that_began() {
    let provider = Provider::start(&[("s-1", verified("ana@obs.example"))]);
    let services = services(&provider.url, &["--oidc-email-domain", "obs.example"]);
    let refused = |visitor: &mut Visitor, back: &str| {
        let seen = visitor.come_back(back);
        assert_eq!((seen.status, seen.json()["codigo"].as_str()), (400, Some("entrada_invalida")), "{}", seen.body);
        assert!(!visitor.cookies.contains_key("sctec_sessao"), "{:?}", visitor.cookies);
    };
    // The return of another browser: its cookie is missing, or is that of another attempt.
    let mut attacker = Visitor::default();
    let back = consent(&attacker.leave(&services), "s-1");
    refused(&mut Visitor::default(), &back);
    let mut victim = Visitor::default();
    victim.leave(&services);
    refused(&mut victim, &back);
    // Another state, and none.
    let mut ana = Visitor::default();
    let back = consent(&ana.leave(&services), "s-1");
    refused(&mut ana.clone(), &with_parameter(&back, "state", "outro"));
    refused(&mut ana.clone(), &with_parameter(&back, "code", ""));
    refused(&mut ana.clone(), &format!("{back}&state=outro"));
    refused(&mut ana.clone(), &format!("{back}&iss=https%3A%2F%2Foutro.example"));
    refused(&mut ana.clone(), &services.agenda("/entrar/retorno"));
    // Once.
    let kept = ana.clone();
    assert_eq!(ana.come_back(&back).status, 200);
    refused(&mut ana.clone().without_session(), &back);
    refused(&mut kept.clone(), &back);
    // The nonce of the request is another one than this browser's.
    let address = with_parameter(&Visitor::leave(&mut ana, &services), "nonce", "outro");
    refused(&mut ana.clone().without_session(), &consent(&address, "s-1"));
    // The person says no.
    let address = ana.leave(&services);
    let denied =
        format!("{}?error=access_denied&state={}", services.agenda("/entrar/retorno"), parameter(&address, "state"));
    let seen = ana.come_back(&denied);
    assert_eq!((seen.status, seen.json()["codigo"].as_str()), (403, Some("entrada_recusada")), "{}", seen.body);
}

#[test]
#[ignore = "needs oidc-provider-mock"]
fn without_its_provider_the_service_goes_on_and_new_keys_are_read() {
    let people = [("s-1", verified("ana@obs.example"))];
    let mut provider = Provider::start(&people);
    let url = provider.url.clone();
    provider.stop();
    let services = services(&url, &["--oidc-email-domain", "obs.example"]);
    let seen = Visitor::default().get(&services.agenda("/entrar"), "*/*");
    assert_eq!((seen.status, seen.json()["codigo"].as_str()), (503, Some("provedor_indisponivel")), "{}", seen.body);
    let given = give(services.data_dir(), &["marie", "--role", "cientista", "--scientist", "7"]);
    let bearer = format!("Bearer {}", given.token);
    let book = || {
        let body = Asked::by(7, SLOT).text();
        http_with(
            "POST",
            &services.agenda("/agendamentos"),
            Some(("application/json", &body)),
            &[("Authorization", &bearer)],
        )
    };
    let mut booked = book();
    wait_until("the token is known", || {
        booked = if booked.status == 401 { book() } else { return true };
        booked.status != 401
    });
    assert_eq!(booked.status, 201, "{}", booked.body);
    // It comes back, and is asked again.
    provider = Provider::start_at(url.clone(), &people, &[]);
    let mut ana = Visitor::default();
    wait_until("the provider is asked again", || ana.get(&services.agenda("/entrar"), "*/*").status == 303);
    assert_eq!(ana.enter(&services, "s-1").status, 200);
    // A new start makes a new key.
    provider.stop();
    provider = Provider::start_at(url.clone(), &people, &[]);
    wait_until("the new key is read", || Visitor::default().enter(&services, "s-1").status == 200);
    // It goes away between the two steps.
    let address = ana.leave(&services);
    let back = consent(&address, "s-1");
    provider.stop();
    let seen = ana.come_back(&back);
    assert_eq!((seen.status, seen.json()["codigo"].as_str()), (503, Some("provedor_indisponivel")), "{}", seen.body);
}

#[test]
#[ignore = "needs oidc-provider-mock"]
fn a_sign_in_that_begins_at_one_scheduler_ends_at_another_and_a_revocation_ends_it_at_both() {
    let provider = Provider::start(&[("s-1", verified("ana@obs.example"))]);
    // As behind a proxy with TLS, which gives each request to either of them.
    let outside = "https://sctec.obs.example";
    let args = ["--oidc-email-domain", "obs.example", "--oidc-redirect-base", outside];
    let services = services(&provider.url, &args);
    let mut command = scheduler_command(services.data_dir(), &services.coordinator.url());
    command.args(provider_args(&provider.url)).arg("--oidc-client-secret-file");
    let other = Server::spawn(command.arg(services.data_dir().join("cliente.segredo")).args(args), 1);
    let mut ana = Visitor::default();
    let address = ana.leave(&services);
    assert_eq!(parameter(&address, "redirect_uri"), format!("{outside}/entrar/retorno"));
    let back = consent(&address, "s-1").replace(outside, &other.url());
    let entered = ana.come_back(&back);
    assert_eq!(entered.status, 200, "{}", entered.body);
    let session = entered.cookies.iter().find(|cookie| cookie.starts_with("__Host-sctec_sessao=")).unwrap();
    assert!(session.ends_with("; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict; Secure"), "{session}");
    let both = [services.agenda("/telescopios"), format!("{}/telescopios", other.url())];
    let seen = |url: &String| ana.act("GET", url, "").status;
    wait_until("both know the session", || both.iter().all(|url| seen(url) == 200));
    let chief = give(services.data_dir(), &["chefe", "--role", "operador"]);
    let bearer = format!("Bearer {}", chief.token);
    let revoke = || http_with("DELETE", &services.agenda("/tokens/1"), None, &[("Authorization", &bearer)]).status;
    wait_until("the operator's token is known", || revoke() == 200);
    // The scheduler that has revoked it knows at once.
    assert_eq!(seen(&both[0]), 401);
    wait_until("the other one knows it too", || seen(&both[1]) == 401);
}

#[test]
fn a_provider_is_configured_as_a_whole_or_not_at_all() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let secret = secret.path().to_str().unwrap();
    let issuer = ["--oidc-issuer", "https://id.obs.example"];
    for (args, said) in [
        (vec!["--oidc-client-id", "x"], "--oidc-issuer URL"),
        (vec!["--oidc-email-domain", "obs.example"], "--oidc-issuer URL"),
        ([&issuer[..], &["--oidc-client-id", "x"]].concat(), "--access token"),
        ([&issuer[..], &["--access", "token"]].concat(), "--oidc-client-id ID"),
        (vec!["--access", "token", "--oidc-client-id", "x", "--oidc-issuer", "http://id.obs.example"], "https://"),
        (vec!["--access", "token", "--oidc-client-id", "x", "--oidc-issuer", "id.obs.example"], "is not a URL"),
        (
            [&issuer[..], &["--access", "token", "--oidc-client-id", "x", "--oidc-redirect-base", "https://x/y"]]
                .concat(),
            "the scheme and the host alone",
        ),
        (
            [
                &issuer[..],
                &["--access", "token", "--oidc-client-id", "x", "--oidc-redirect-base", "http://sctec.obs.example"],
            ]
            .concat(),
            "must begin with https://",
        ),
        (
            [&issuer[..], &["--access", "token", "--oidc-client-id", "x", "--oidc-email-domain", "@obs.example"]]
                .concat(),
            "obs.example",
        ),
        (
            [&issuer[..], &["--access", "token", "--oidc-client-id", "x", "--oidc-client-secret-file", secret]]
                .concat(),
            "in one line",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let ended = sctec()
            .arg("serve-scheduler")
            .args(&args)
            .args(["--listen", "0", "--data-dir"])
            .arg(folder.path())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.code() == Some(2) && words.contains(said), "{args:?}: {words}");
    }
}

#[test]
fn without_a_provider_there_is_no_way_to_one() {
    // What a composition passes on where nothing is set.
    let nothing = ["issuer", "client-id", "client-secret-file", "redirect-base", "email-domain", "ca"]
        .map(|name| format!("--oidc-{name}= "));
    let args: Vec<&str> = ["--access", "token"].into_iter().chain(nothing.iter().map(String::as_str)).collect();
    let services = crate::common::Services::start(&args);
    assert!(http("GET", &services.agenda("/"), None).json()["_links"]["entrar_com_provedor"].is_null());
    for path in ["/entrar", "/entrar/retorno?code=x&state=y"] {
        assert_eq!(http("GET", &services.agenda(path), None).status, 404);
    }
}
