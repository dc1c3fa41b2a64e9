//! Receipts of contests: what the service received of a request, and when, signed for who has won and for who has lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::common::trail::{gzip, texts};
use crate::common::{Services, http, http_with, sctec};
use crate::contests::{Client, decide_by, rfc3339};

/// A request of a contest, and its answer.
struct Asked {
    body: Value,
    key: String,
    status: u16,
    answer: Value,
}

impl Asked {
    fn receipt(&self) -> &str {
        self.answer["recibo"].as_str().unwrap_or_else(|| panic!("no receipt: {}", self.answer))
    }

    /// What its receipt says.
    fn said(&self) -> Value {
        let claims = self.receipt().split('.').nth(1).unwrap();
        serde_json::from_slice(&BASE64.decode(claims).unwrap()).unwrap()
    }
}

fn send(url: &str, key: &str, body: &Value) -> (u16, Value) {
    let content = Some(("application/json", &*body.to_string()));
    let answer = http_with("POST", &format!("{url}/agendamentos"), content, &[("Idempotency-Key", key)]);
    (answer.status, answer.json())
}

/// A contest of two, the winner first. On a busy machine the second request may come after the window: then it is another slot's turn.
fn contest(services: &Services) -> [Asked; 2] {
    let url = services.agenda("");
    let clients = [250, 280].map(|ms| Client::at(&url, Duration::from_millis(ms)));
    for slot in 0..40 {
        let barrier = Barrier::new(2);
        let ask = |(scientist, client): (i64, &Client)| {
            let start = format!("2025-12-{:02}T03:00:00Z", 1 + slot % 28);
            let minutes = 5 + 5 * (slot / 28);
            barrier.wait();
            let body = json!({
                "cientista_id": scientist, "horario_inicio_utc": start, "duracao_min": minutes, "token_hora": client.token,
                "instante_clique_utc": rfc3339(SystemTime::now())
            });
            let key = format!("{scientist}-{slot}");
            let (status, answer) = send(&url, &key, &body);
            Asked { body, key, status, answer }
        };
        let ask = &ask;
        let mut asked: Vec<Asked> = thread::scope(|scope| {
            let threads: Vec<_> = (1..).zip(&clients).map(|client| scope.spawn(move || ask(client))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        asked.sort_unstable_by_key(|asked| asked.status);
        if asked[0].status == 201 && asked[0].answer["recibo"].is_string() {
            return asked.try_into().unwrap_or_else(|_| unreachable!("there are two"));
        }
    }
    panic!("two requests never came within one window");
}

fn verify(receipt: &Path, arguments: &[&str]) -> Output {
    sctec().args(["receipt", "verify", receipt.to_str().unwrap()]).args(arguments).output().unwrap()
}

#[track_caller]
fn says(output: &Output, status: i32, words: &str) {
    let (printed, said) = texts(output);
    assert!(output.status.code() == Some(status) && (printed.clone() + &said).contains(words), "{output:?}");
}

#[test]
fn winner_and_loser_have_receipts_and_the_trail_says_the_same() {
    let services = Services::start(&[]);
    let both = contest(&services);
    let [won, lost] = &both;
    assert_eq!((won.status, lost.status, &lost.answer["codigo"]), (201, 409, &json!("recurso_ocupado")));
    let decided = services.follow(&won.answer, "disputa").json();
    for (asked, entry) in both.iter().zip(decided["entradas"].as_array().unwrap()) {
        let said = asked.said();
        for field in
            ["req", "cientista_id", "chegada_utc", "instante_clique_utc", "token_utc", "ida_volta_us", "ida_volta_de"]
        {
            assert_eq!(said[field], entry[field], "{field}: {said} {entry}");
        }
        assert_eq!(
            [&said["carimbo_utc"], &said["motivo"], &said["entrada"]],
            [&entry["carimbo_utc"], &entry["motivo"], &entry["entrada"]]
        );
        let token = asked.body["token_hora"].as_str().unwrap();
        assert_eq!(said["token_sha256"], base16ct::lower::encode_string(&Sha256::digest(token)));
        assert_eq!([&said["politica"], &said["horario_inicio_utc"]], [&json!("ordem"), &decided["horario_inicio_utc"]]);
    }
    // It is given once: the agenda does not show it, and a repetition of the request gets the same answer.
    let path = services.agenda(&format!("/agendamentos/{}", won.answer["id"]));
    assert_eq!(http("GET", &path, None).json()["recibo"], Value::Null);
    assert_eq!(send(&services.agenda(""), &won.key, &won.body), (201, won.answer.clone()));
    let folder = tempfile::tempdir().unwrap();
    for asked in &both {
        let receipt = written(&folder, "receipt.txt", asked.receipt());
        says(&verify(&receipt, &["--url", &services.agenda("")]), 0, "valid: signed with the key");
    }
}

fn written(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_receipt_is_checked_without_the_service_and_a_trail_or_a_receipt_that_was_changed_is_found() {
    let services = Services::start(&[]);
    let [won, lost] = contest(&services);
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, text: &str| written(&folder, name, text);
    let (winner, loser) = (written("won.txt", won.receipt()), written("lost.json", &lost.answer.to_string()));
    let url = services.agenda("");
    let decided = services.follow(&won.answer, "disputa").json();
    let keys = written("keys.json", &services.follow(&decided, "chaves").body);
    let keys = ["--key", keys.to_str().unwrap()];
    // Who came after the contest has a receipt too, and is in no contest of the trail.
    let (status, late) = send(&url, "late", &lost.body);
    let stopped = services.stop();
    let trail = stopped.path().join("audit.jsonl");
    let with_trail = [&keys[..], &["--file", trail.to_str().unwrap()]].concat();
    says(&verify(&winner, &with_trail), 0, "it has won the contest");
    says(&verify(&loser, &with_trail), 0, "it has lost the contest");
    assert_eq!((status, &late["codigo"].is_string()), (409, &true), "{late}");
    if let Some(late) = late["recibo"].as_str() {
        says(
            &verify(&written("late.txt", late), &with_trail),
            3,
            "unknown: the trail has no contest with this request",
        );
    }
    let packed = stopped.path().join("audit-000000000001.jsonl.gz");
    fs::write(&packed, gzip(&fs::read(&trail).unwrap())).unwrap();
    says(&verify(&loser, &[&keys[..], &["--file", packed.to_str().unwrap()]].concat()), 0, "it has lost the contest");
    let empty = written("empty.jsonl", "");
    says(&verify(&loser, &[&keys[..], &["--file", empty.to_str().unwrap()]].concat()), 3, "unknown");

    // A trail that says that the loser came later.
    let text = fs::read_to_string(&trail).unwrap();
    let words = lost.said()["entrada"].as_str().unwrap().to_owned();
    let other =
        written("other.jsonl", &text.replace(&words, &words.replacen(" 2 ", " 3 ", 1).replacen(" 1 ", " 3 ", 1)));
    says(&verify(&loser, &[&keys[..], &["--file", other.to_str().unwrap()]].concat()), 1, "contradicts the receipt");
    // A receipt that was changed: of the same form, and signed by nobody.
    let [head, claims, signature] = won.receipt().split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let earlier = String::from_utf8(BASE64.decode(claims).unwrap()).unwrap().replacen("\"ordem\"", "\"sorteio\"", 1);
    let changed = written("changed.txt", &format!("{head}.{}.{signature}", BASE64.encode(earlier)));
    says(&verify(&changed, &keys), 1, "it was changed after it was signed");
    says(&verify(&written("token.txt", won.body["token_hora"].as_str().unwrap()), &keys), 1, "has no receipt");
    says(&verify(&winner, &["--key", empty.to_str().unwrap()]), 2, "has no keys");
    let none = written("none.json", r#"{"keys": []}"#);
    says(&verify(&winner, &["--key", none.to_str().unwrap()]), 1, "the scheduler has no key");
}

#[test]
fn who_is_in_no_contest_has_no_receipt() {
    let services = Services::start(&[]);
    // Without tokens.
    let (first, second) = (services.book(1, "2025-12-01T03:00:00Z"), services.book(2, "2025-12-01T03:00:00Z"));
    assert_eq!((first.0, second.0), (201, 409));
    // Alone.
    let client = Client::at(&services.agenda(""), Duration::ZERO);
    let alone = client.book(1, "2025-12-01T04:00:00Z", SystemTime::now());
    decide_by(&services, "chegada");
    let (third, fourth) = (services.book(1, "2025-12-01T05:00:00Z"), services.book(2, "2025-12-01T05:00:00Z"));
    for (_, answer) in [first, second, alone, third, fourth] {
        assert_eq!(answer["recibo"], Value::Null, "{answer}");
    }
}

#[test]
fn the_keys_are_public_and_are_those_that_sign() {
    let services = Services::start(&["--access", "token"]);
    let answer = http("GET", &services.agenda("/chaves"), None);
    let keys = answer.json();
    assert_eq!((answer.status, keys["keys"].as_array().unwrap().len()), (200, 1), "{keys}");
    let token = http("GET", &services.agenda("/time?nonce=a"), None).json()["token_hora"].as_str().unwrap().to_owned();
    let header: Value = serde_json::from_slice(&BASE64.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    assert_eq!((&header["kid"], &keys["keys"][0]["kty"]), (&keys["keys"][0]["kid"], &json!("OKP")));
    let public = BASE64.decode(keys["keys"][0]["x"].as_str().unwrap()).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public);
    key.verify(message.as_bytes(), &BASE64.decode(signature).unwrap()).unwrap();
}
