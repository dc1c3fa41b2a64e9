//! A provider that lies: ID tokens that it has not signed, or that are not for this service, for this attempt or for now.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData, SigningKey};
use serde_json::{Value, json};

use crate::common::identity_provider::{CLIENT, Seen, Visitor, parameter, services};
use crate::common::{Services, peer, wait_until};

/// A key of 2048 bits; nobody has its factors.
fn foreign_key() -> Value {
    let mut modulus = [0xa5; 256];
    modulus[255] = 1;
    json!({"kty": "RSA", "kid": "1", "use": "sig", "alg": "RS256", "n": BASE64.encode(modulus), "e": "AQAB"})
}

/// A provider at its own address with one key, whose ID token is what `token` makes of its URL.
pub(super) fn liar(
    key: Value,
    token: impl Fn(&str) -> String + Send + Sync + 'static,
    document: impl Fn(&str) -> Value + Send + Sync + 'static,
) -> String {
    let own: Arc<OnceLock<String>> = Arc::default();
    let known = Arc::clone(&own);
    let url = peer::start(move |_, path, _| {
        let url = known.get().cloned().unwrap_or_default();
        match path {
            "/.well-known/openid-configuration" => (200, document(&url)),
            "/jwks" => (200, json!({ "keys": [key] })),
            "/token" => {
                (200, json!({"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": token(&url)}))
            }
            _ => (404, json!({})),
        }
    });
    own.set(url.clone()).unwrap();
    url
}

pub(super) fn document(url: &str) -> Value {
    json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
    })
}

pub(super) fn jwt(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    format!("{signed}.{}", BASE64.encode(sign(signed.as_bytes())))
}

/// The claims of somebody at the provider `url`, with a nonce.
pub(super) fn claims(url: &str, nonce: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({"iss": url, "aud": CLIENT, "sub": "s-1", "iat": now, "exp": now + 300,
        "email": "chefe@obs.example", "email_verified": true, "nonce": nonce})
}

/// Comes back with a code: this provider takes any.
pub(super) fn come_back(services: &Services, visitor: &mut Visitor, address: &str) -> Seen {
    let back = format!("{}?code=c&state={}", services.agenda("/entrar/retorno"), parameter(address, "state"));
    visitor.come_back(&back)
}

#[test]
fn an_id_token_counts_for_this_service_this_attempt_and_its_time_alone() {
    let (own, foreign) = (KeyPair::generate_for(&PKCS_ED25519).unwrap(), KeyPair::generate_for(&PKCS_ED25519).unwrap());
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "1", "use": "sig", "alg": "EdDSA", "x": BASE64.encode(own.der_bytes())});
    let nonce = Arc::new(Mutex::new(String::new()));
    // What is changed in the claims; and whether another key signs them.
    let change = Arc::new(Mutex::new((json!({}), false)));
    let (said_nonce, said) = (Arc::clone(&nonce), Arc::clone(&change));
    let token = move |url: &str| {
        let (changed, is_foreign) = said.lock().unwrap().clone();
        let mut claims = claims(url, &said_nonce.lock().unwrap());
        claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        let key = if is_foreign { &foreign } else { &own };
        jwt(&json!({"alg": "EdDSA", "kid": "1"}), &claims, |text| key.sign(text).unwrap())
    };
    let services = services(&liar(jwk, token, document), &["--oidc-email-domain", "obs.example"]);
    let enter = |changed: Value, is_foreign: bool| {
        *change.lock().unwrap() = (changed, is_foreign);
        let mut visitor = Visitor::default();
        let address = visitor.leave(&services);
        *nonce.lock().unwrap() = parameter(&address, "nonce");
        let seen = come_back(&services, &mut visitor, &address);
        assert_eq!(visitor.cookies.contains_key("sctec_sessao"), seen.status == 200, "{}", seen.body);
        seen
    };
    // Without a change, and with one that means the same.
    for same in [json!({}), json!({"email_verified": "true"}), json!({"aud": [CLIENT]})] {
        let seen = enter(same.clone(), false);
        assert_eq!(seen.status, 200, "{same}: {}", seen.body);
    }
    let untrusted = (503, "provedor_indisponivel");
    for (changed, is_foreign, (status, code), logged) in [
        (json!({}), true, untrusted, "não tem uma assinatura do provedor"),
        (json!({"exp": 1_600_000_000}), false, untrusted, "venceu"),
        (json!({"aud": "outro"}), false, untrusted, "(aud)"),
        (json!({"aud": [CLIENT, "outro"]}), false, untrusted, "(aud)"),
        (json!({"iss": "https://outro.example"}), false, untrusted, "(iss)"),
        (json!({"sub": ""}), false, untrusted, "o sujeito está vazio"),
        (json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}), false, untrusted, "o access token não é o do ID token"),
        (json!({"nonce": "outro"}), false, (400, "entrada_invalida"), "(nonce)"),
        (json!({"nonce": null}), false, (400, "entrada_invalida"), "(nonce)"),
        (json!({"email_verified": false}), false, (403, "entrada_recusada"), "sujeito"),
        (json!({"email": "chefe@outro.example"}), false, (403, "entrada_recusada"), "sujeito"),
    ] {
        let seen = enter(changed.clone(), is_foreign);
        assert_eq!(seen.status, status, "{changed}: {}", seen.body);
        assert_eq!((seen.status, seen.json()["codigo"].as_str()), (status, Some(code)), "{changed}: {}", seen.body);
        wait_until(&format!("the log says {logged}"), || {
            services.scheduler.lines().last().is_some_and(|line| line.contains(logged))
        });
    }
}

#[test]
fn an_id_token_that_the_provider_has_not_signed_lets_nobody_in() {
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "RS256", "kid": "1"}),
        json!({"alg": "RS256", "kid": "2"}),
        json!({"alg": "HS256"}),
    ] {
        let signature: &'static [u8] = if header["alg"] == "none" { b"" } else { &[7; 256] };
        let shown = header.clone();
        let token = move |url: &str| jwt(&header, &claims(url, "x"), |_| signature.to_vec());
        let url = liar(foreign_key(), token, document);
        let services = services(&url, &["--oidc-email-domain", "obs.example"]);
        let mut visitor = Visitor::default();
        let address = visitor.leave(&services);
        let seen = come_back(&services, &mut visitor, &address);
        assert_eq!((seen.status, seen.json()["codigo"].as_str()), (503, Some("provedor_indisponivel")), "{shown}");
        assert!(!visitor.cookies.contains_key("sctec_sessao"), "{shown}");
    }
}

#[test]
fn a_provider_that_says_to_be_another_or_names_other_machines_is_not_believed() {
    let other = |url: &str| json!({"issuer": "https://outro.example", "authorization_endpoint": url});
    let elsewhere = |url: &str| {
        let mut all = document(url);
        all["token_endpoint"] = json!("http://outro.example/token");
        all
    };
    for document in [Box::new(other) as Box<dyn Fn(&str) -> Value + Send + Sync>, Box::new(elsewhere)] {
        let url = liar(foreign_key(), |_| String::new(), document);
        let services = services(&url, &[]);
        let seen = Visitor::default().get(&services.agenda("/entrar"), "*/*");
        assert_eq!(
            (seen.status, seen.json()["codigo"].as_str()),
            (503, Some("provedor_indisponivel")),
            "{}",
            seen.body
        );
    }
}
