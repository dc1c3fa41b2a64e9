//! Why a storage must check a lock's fencing token: `cargo run --example fenced_writer [COORDINATOR_URL]`
//!
//! Two writers write one report. Writer A takes the lock, and is then paused for longer than the lock's TTL, as by a garbage
//! collection or a suspended machine. When it goes on, it still believes that it has the lock. No lock service can prevent that,
//! but a storage that checks the token refuses the write.
//!
//! Without an argument the coordinator runs inside this program, in a temporary folder.

use std::collections::HashMap;
use std::error::Error;

use sctec::http::server::bind;
use sctec::{coordinator, logging};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const A_TTL_MS: u64 = 300;
const B_WAITS_MS: u64 = 10_000;

fn main() -> Result<()> {
    if let Some(url) = std::env::args().nth(1) {
        return both_acts(url.trim_end_matches('/'));
    }
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let inside = runtime.enter();
    let listener = bind("127.0.0.1:0".parse()?)?;
    let url = format!("http://{}", listener.local_addr()?);
    let config = coordinator::Config { logging: logging::Config::quiet(), ..coordinator::Config::new(folder.path()) };
    let (stop, stopped) = oneshot::channel::<()>();
    let served = runtime.spawn(coordinator::serve(listener, config, async { drop(stopped.await) }));
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut told = runtime.spawn_blocking(move || both_acts(&url).map_err(|error| error.to_string()));
    drop(inside);
    let told = runtime.block_on(async {
        tokio::select! {
            told = &mut told => told?,
            // The coordinator stops all the same, and its folder is removed.
            _ = interrupt.recv() => Err("interrupted".to_owned()),
        }
        .map_err(Box::<dyn Error>::from)
    });
    drop(stop);
    runtime.block_on(served)??;
    // Without waiting for a request of an interrupted act.
    runtime.shutdown_background();
    told
}

fn both_acts(url: &str) -> Result<()> {
    println!("ACT ONE: the storage checks the token\n");
    let kept = act(url, &mut Storage { looks_at_token: true, objects: HashMap::new() })?;
    assert_eq!(kept, "B's report", "the storage kept the write of the one who held the lock");
    println!("\nACT TWO: the same writers, but the storage does not check the token\n");
    let kept = act(url, &mut Storage { looks_at_token: false, objects: HashMap::new() })?;
    assert_eq!(kept, "A's report", "nobody stopped the stale write");
    println!(
        "\nThe lock worked the same way both times. Only the storage that checked the token refused the late write."
    );
    Ok(())
}

/// One run: writer A pauses, writer B writes, A wakes up. Prints the report at the end.
fn act(url: &str, storage: &mut Storage) -> Result<String> {
    let locks = Locks::new(url);
    // A name that no other program uses, in case others use the coordinator too.
    let report = format!("report-{}-{}", std::process::id(), storage.looks_at_token);

    let a = locks.granted(&json!({"recurso": report, "dono": "writer-A", "ttl_ms": A_TTL_MS}))?;
    println!("A  has the lock for {A_TTL_MS} ms, token {}, and is paused: it runs no code until it wakes up", a.token);

    // The request is answered when A's lock has run out: A's pause lasts just as long.
    let wait = json!({"recurso": report, "dono": "writer-B", "espera_ms": B_WAITS_MS});
    let b = locks.granted(&wait)?;
    println!("B  waited {} ms in the queue and has the lock, token {}", b.waited_ms, b.token);
    assert!(b.token > a.token, "a later lock has a larger token");
    storage.write(&report, b.token, "B's report").map_err(|refused| format!("B's own write: {refused}"))?;
    println!("B  writes with token {}: accepted", b.token);

    println!("A  wakes up, sure of its lock, and writes with token {}", a.token);
    match storage.write(&report, a.token, "A's report") {
        Err(refused) if storage.looks_at_token => println!("   refused: {refused}"),
        Ok(()) if !storage.looks_at_token => println!("   accepted, over B's, while B holds the lock"),
        otherwise => return Err(format!("the stale write came to {otherwise:?}").into()),
    }

    let (status, lost) = locks.ask("/renew", &json!({"trava_id": a.id}))?;
    assert_eq!(json!([status, lost["codigo"], lost["motivo"]]), json!([409, "trava_perdida", "expirado"]));
    println!("A  asks to renew:   409 trava_perdida (lost)");
    let (status, late) = locks.ask("/unlock", &json!({"trava_id": a.id}))?;
    assert_eq!(json!([status, late["liberado"], late["motivo"]]), json!([200, false, "expirado"]));
    println!("A  asks to release: not released, expirado (A's lock had expired)");

    let (status, held) = locks.ask(&format!("/locks/{report}"), &Value::Null)?;
    let holder = json!([status, held["estado"], held["dono"], held["token"]]);
    assert_eq!(holder, json!([200, "travado", "writer-B", b.token]));
    println!("B  still holds its lock: A's requests did not change it");
    let (status, done) = locks.ask("/unlock", &json!({"trava_id": b.id}))?;
    assert_eq!(json!([status, done["liberado"]]), json!([200, true]));
    let kept = storage.objects.remove(&report).map(|(_, text)| text).ok_or("the report is gone")?;
    println!("The report reads: {kept:?}");
    Ok(kept)
}

/// The storage that the lock protects. To check tokens, it only remembers the largest token that it has seen for each object.
struct Storage {
    looks_at_token: bool,
    objects: HashMap<String, (u64, String)>,
}

impl Storage {
    fn write(&mut self, name: &str, token: u64, text: &str) -> std::result::Result<(), String> {
        let seen = self.objects.get(name).map_or(0, |(seen, _)| *seen);
        if self.looks_at_token && token < seen {
            return Err(format!("token {token} is older than {seen}, which has written here"));
        }
        self.objects.insert(name.to_owned(), (seen.max(token), text.to_owned()));
        Ok(())
    }
}

struct Lease {
    id: String,
    token: u64,
    waited_ms: u64,
}

/// A client of the coordinator: this is all that a program needs.
struct Locks<'a> {
    agent: ureq::Agent,
    url: &'a str,
}

impl<'a> Locks<'a> {
    fn new(url: &'a str) -> Self {
        // An answer may take as long as the wait that was asked for.
        let timeout = std::time::Duration::from_millis(B_WAITS_MS + 5_000);
        let config = ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false);
        Self { agent: config.proxy(None).build().into(), url }
    }

    fn granted(&self, request: &Value) -> Result<Lease> {
        let (status, answer) = self.ask("/lock", request)?;
        let (200, Some(lease), Some(token)) = (status, answer["trava_id"].as_str(), answer["token"].as_u64()) else {
            return Err(format!("no lock for {request}: {status} {answer}").into());
        };
        Ok(Lease { id: lease.to_owned(), token, waited_ms: answer["esperou_ms"].as_u64().unwrap_or_default() })
    }

    /// One exchange: posts `body`, or gets where there is none.
    fn ask(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let url = format!("{}{path}", self.url);
        let mut answer =
            if body.is_null() { self.agent.get(url).call()? } else { self.agent.post(url).send_json(body)? };
        Ok((answer.status().as_u16(), answer.body_mut().read_json()?))
    }
}
