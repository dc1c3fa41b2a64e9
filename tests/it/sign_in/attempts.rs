//! Attempts to sign in: which return ends one, what becomes of the session that the browser had, and how many wait at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData, SigningKey};
use serde_json::{Value, json};

use super::forged::{claims, come_back, document, jwt, liar};
use crate::common::identity_provider::{Visitor, parameter, services};
use crate::common::stranger::head_from_elsewhere;
use crate::common::{Services, wait_until};

/// A provider that recognises everybody as the same person, and may take its time.
struct Provider {
    url: String,
    /// What stands in its next ID tokens.
    nonce: Arc<Mutex<String>>,
    waits: Arc<AtomicBool>,
    waiting: Arc<AtomicUsize>,
}

impl Provider {
    fn start() -> Self {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "1", "use": "sig", "alg": "EdDSA", "x": BASE64.encode(key.der_bytes())});
        let nonce: Arc<Mutex<String>> = Arc::default();
        let (waits, waiting) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (said, slow, here) = (Arc::clone(&nonce), Arc::clone(&waits), Arc::clone(&waiting));
        let token = move |url: &str| {
            here.fetch_add(1, Ordering::SeqCst);
            wait_until("the provider goes on", || !slow.load(Ordering::SeqCst));
            here.fetch_sub(1, Ordering::SeqCst);
            let claims = claims(url, &said.lock().unwrap());
            jwt(&json!({"alg": "EdDSA", "kid": "1"}), &claims, |text| key.sign(text).unwrap())
        };
        Self { url: liar(jwk, token, document), nonce, waits, waiting }
    }

    fn services(&self) -> Services {
        services(&self.url, &["--oidc-email-domain", "obs.example"])
    }

    /// The visitor goes to the provider; the next ID token is for this attempt.
    fn leave(&self, services: &Services, visitor: &mut Visitor) -> String {
        let address = visitor.leave(services);
        *self.nonce.lock().unwrap() = parameter(&address, "nonce");
        address
    }
}

/// Whether this visitor's session is open.
fn is_in(services: &Services, visitor: &Visitor) -> bool {
    visitor.act("GET", &services.agenda("/telescopios"), "").status == 200
}

#[test]
fn a_return_that_belongs_to_no_attempt_ends_none() {
    let provider = Provider::start();
    let services = provider.services();
    let mut ana = Visitor::default();
    let address = provider.leave(&services, &mut ana);
    // Another page sends her browser here.
    for query in ["", "?code=c&state=outro", "?error=access_denied", "?code=c"] {
        let seen = ana.get(&services.agenda(&format!("/entrar/retorno{query}")), "text/html");
        assert!(seen.status == 400 && seen.cookies.is_empty(), "{query}: {:?}", seen.cookies);
    }
    let entered = come_back(&services, &mut ana, &address);
    assert_eq!(entered.status, 200, "{}", entered.body);
    assert!(!ana.cookies.contains_key("sctec_entrada"), "its own return has ended it");
    // So does its own return that says no.
    let address = provider.leave(&services, &mut ana);
    let denied = format!("/entrar/retorno?error=access_denied&state={}", parameter(&address, "state"));
    let seen = ana.get(&services.agenda(&denied), "text/html");
    assert!(seen.status == 403 && !ana.cookies.contains_key("sctec_entrada"), "{:?}", seen.cookies);
}

#[test]
fn signing_in_again_ends_the_session_that_the_browser_had() {
    let provider = Provider::start();
    let services = provider.services();
    let enter = |mut visitor: Visitor| {
        let address = provider.leave(&services, &mut visitor);
        // The session's cookie does not come with what another site sends.
        let mut returning = visitor.without_session();
        let seen = come_back(&services, &mut returning, &address);
        assert_eq!(seen.status, 200, "{}", seen.body);
        returning
    };
    let first = enter(Visitor::default());
    let elsewhere = enter(Visitor::default());
    assert!(is_in(&services, &first) && is_in(&services, &elsewhere));
    // Who only begins stays in.
    provider.leave(&services, &mut first.clone());
    assert!(is_in(&services, &first));
    let second = enter(first.clone());
    assert!(!is_in(&services, &first) && is_in(&services, &second));
    assert!(is_in(&services, &elsewhere), "another browser of the same person stays in");
}

#[test]
fn one_address_cannot_keep_others_from_signing_in() {
    let provider = Provider::start();
    let services = provider.services();
    let mut fifth = Visitor::default();
    let address = provider.leave(&services, &mut fifth);
    provider.waits.store(true, Ordering::SeqCst);
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let mut visitor = Visitor::default();
            let address = visitor.leave(&services);
            let back = format!("{}?code=c&state={}", services.agenda("/entrar/retorno"), parameter(&address, "state"));
            std::thread::spawn(move || visitor.come_back(&back).status)
        })
        .collect();
    wait_until("four wait for the provider", || provider.waiting.load(Ordering::SeqCst) == 4);
    let refused = come_back(&services, &mut fifth, &address);
    let problem: Value = refused.json();
    assert_eq!((refused.status, &problem["codigo"]), (429, &json!("esperas_demais")));
    assert!(problem["detail"].as_str().unwrap().starts_with("Do seu endereço já entram 4 pessoas"), "{problem}");
    assert_eq!(Visitor::default().get(&services.agenda("/entrar"), "*/*").status, 429);
    let head = head_from_elsewhere(&services.scheduler.url(), "/entrar");
    assert!(head[0].contains(" 303 "), "{head:?}");
    provider.waits.store(false, Ordering::SeqCst);
    for one in waiting {
        // The ID token is not for their attempts.
        assert_eq!(one.join().unwrap(), 400);
    }
    // The attempt of the fifth goes on.
    assert_eq!(come_back(&services, &mut fifth, &address).status, 200);
}
