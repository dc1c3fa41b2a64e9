//! Attacks on the coordinator: its table, its queues, its channels, its bodies and its places.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::common::{Locks, Server, coordinator_command, deaf};
use crate::honest::ask;
use crate::measure::Outcome;
use crate::sockets::{ATTACKER, connect_from, kept, silent};
use crate::{Attack, Kept, Target};

const SILENT: &str = "240 silent sockets at 128 places";

pub const ATTACKS: &[Attack] = &[
    Attack { name: "61,440 leases with long names", begin: |target| leases(target).boxed() },
    Attack { name: "60 batches that wait with long names", begin: |target| waits(target).boxed() },
    Attack { name: "200 unfinished bodies", begin: |target| async move { unfinished(&target) }.boxed() },
    Attack { name: "63 channels of large events", begin: |target| channels(target).boxed() },
    Attack { name: "4000 listeners that do not read", begin: |target| listeners(target).boxed() },
    Attack { name: SILENT, begin: |target| async move { many_silent(&target) }.boxed() },
    Attack { name: "five requests for a year of slots", begin: |target| year(target).boxed() },
    Attack { name: "one request for 99,936 places", begin: |target| places(target).boxed() },
    Attack { name: "list of locks, 250 slow readers", begin: |target| lists(target).boxed() },
];

/// A coordinator for an attack.
pub fn locks(attack: &Attack) -> Locks {
    if attack.name != SILENT {
        return Locks::start();
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let coordinator = coordinator_command(folder.path(), "127.0.0.1:0");
    // So few descriptors leave 128 connections.
    let mut limited = Command::new("sh");
    deaf(&mut limited).args(["-c", "ulimit -n 256; exec \"$@\"", "sh"]).arg(coordinator.get_program());
    Locks::of(Server::spawn(limited.args(coordinator.get_args()), 1), folder)
}

pub fn target(locks: &Locks) -> Target {
    Target {
        address: locks.server.url()["http://".len()..].to_owned(),
        pid: locks.server.pid(),
        name: "coordinator",
        requests: |number| match number % 4 {
            0 => ("GET", "/".to_owned(), String::new()),
            1 => ("GET", "/saude".to_owned(), String::new()),
            _ => {
                ("POST", "/lock".to_owned(), json!({"recurso": format!("honesto-{number}"), "ttl_ms": 500}).to_string())
            }
        },
    }
}

fn long(what: &str, number: usize) -> String {
    format!("{what}{number:0>199}")
}

/// Posts as an attacker. Refusals are answers too.
async fn post(target: &Target, path: &str, body: &Value) -> Outcome<(u16, Bytes)> {
    ask(&mut None, ATTACKER, &target.address, ("POST", path, &body.to_string())).await
}

fn granted(answer: &[u8]) -> usize {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    answer["respostas"].as_array().map_or(0, |all| all.iter().filter(|one| one["status"] == 200).count())
}

/// An attacker's posts that wait for their answers.
fn waiting(target: &Target, bodies: impl IntoIterator<Item = Value>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for body in bodies {
        let target = target.clone();
        tasks.spawn(async move {
            let _ = post(&target, "/lote", &body).await;
        });
    }
    tasks
}

async fn leases(target: Target) -> Outcome<Kept> {
    let (mut asked, mut held) = (0, 0);
    for _ in 0..60 {
        let lock = |number| {
            let (owner, request) = (long("d", number), long("p", number));
            json!({"op": "lock", "recurso": long("r", number), "dono": owner, "pedido_id": request, "ttl_ms": 300_000})
        };
        let operations: Vec<Value> = (asked..asked + 1024).map(lock).collect();
        let (_, answer) = post(&target, "/lote", &json!({"operacoes": operations})).await?;
        held += granted(&answer);
        asked += 1024;
    }
    Ok(Kept { held: Vec::new(), reached: format!("{held} of {asked} granted") })
}

async fn waits(target: Target) -> Outcome<Kept> {
    post(&target, "/lock", &json!({"recurso": "x", "ttl_ms": 300_000})).await?;
    let batch = |batch: usize| {
        let lock = |number: usize| {
            let resources = json!(["x", long("r", batch * 1024 + number)]);
            let (owner, request) = (long("d", number), long("p", batch));
            json!({"op": "lock", "recursos": resources, "dono": owner, "pedido_id": request, "espera_ms": 60_000})
        };
        json!({"operacoes": (0..1024).map(lock).collect::<Vec<_>>()})
    };
    let tasks = waiting(&target, (0..60).map(batch));
    Ok(Kept { held: vec![Box::new(tasks)], reached: "61,440 requests for two locks each".to_owned() })
}

#[expect(clippy::unnecessary_wraps, reason = "an attack may fail")]
fn unfinished(target: &Target) -> Outcome<Kept> {
    const PIECE: usize = 900 * 1024;
    let mut said =
        format!("POST /lote HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", PIECE + 1).into_bytes();
    said.resize(said.len() + PIECE, b'x');
    let mut tasks = JoinSet::new();
    for _ in 0..200 {
        let (address, said) = (target.address.clone(), said.clone());
        tasks.spawn(async move {
            // One that is let go comes again.
            while let Ok(mut stream) = connect_from(ATTACKER, &address).await {
                let _ = stream.write_all(&said).await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }
    Ok(Kept { held: vec![Box::new(tasks)], reached: "each of 900 KiB, and again when it was let go".to_owned() })
}

async fn channels(target: Target) -> Outcome<Kept> {
    let event = json!({"evento": "e", "dados": "x".repeat(16_000)});
    let mut streams = Vec::new();
    let mut taken = 0;
    for channel in 0..63 {
        let asked = format!("GET /eventos?canal={channel}&desde=x HTTP/1.1\r\nHost: localhost\r\n\r\n");
        for _ in 0..6 {
            let (status, _) =
                post(&target, "/eventos", &json!({"canal": channel.to_string(), "eventos": vec![&event; 60]})).await?;
            taken += usize::from(status == 200) * 60;
        }
        streams.extend(silent(1, &target.address, asked.as_bytes()).await);
    }
    Ok(kept(streams, format!("{taken} events of 16 kB, and a listener of each channel that does not read")))
}

async fn listeners(target: Target) -> Outcome<Kept> {
    let streams = silent(4000, &target.address, b"GET /eventos?canal=c HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let event = json!({"evento": "e", "dados": "x".repeat(16_000)});
    for _ in 0..50 {
        post(&target, "/eventos", &json!({"canal": "c", "eventos": vec![&event; 8]})).await?;
    }
    let reached = format!("{} of one channel, and 400 events of 16 kB", streams.len());
    Ok(kept(streams, reached))
}

#[expect(clippy::unnecessary_wraps, reason = "an attack may fail")]
fn many_silent(target: &Target) -> Outcome<Kept> {
    let address = target.address.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // All again and again, as fast as they are let go.
        loop {
            let streams = silent(240, &address, b"").await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            drop(streams);
        }
    });
    Ok(Kept { held: vec![Box::new(tasks)], reached: "again and again".to_owned() })
}

async fn year(target: Target) -> Outcome<Kept> {
    let mut held = 0;
    for part in 0..5 {
        let lock = |day: usize| {
            let slots: Vec<String> = (0..288).map(|slot| format!("Hubble-Acad_{day:03}_{slot:03}")).collect();
            json!({"op": "lock", "recursos": slots, "ttl_ms": 300_000})
        };
        let operations: Vec<Value> = (part * 73..(part + 1) * 73).map(lock).collect();
        let (_, answer) = post(&target, "/lote", &json!({"operacoes": operations})).await?;
        held += granted(&answer);
    }
    Ok(Kept { held: Vec::new(), reached: format!("{held} of 365 days granted") })
}

async fn places(target: Target) -> Outcome<Kept> {
    let names: Vec<String> = (0..288).map(|number| format!("{number:x}")).collect();
    post(&target, "/lock", &json!({"recursos": names, "ttl_ms": 300_000})).await?;
    let operations: Vec<Value> =
        (0..347).map(|_| json!({"op": "lock", "recursos": names, "espera_ms": 60_000})).collect();
    let tasks = waiting(&target, [json!({"operacoes": operations})]);
    Ok(Kept { held: vec![Box::new(tasks)], reached: "347 requests for 288 locks each".to_owned() })
}

async fn lists(target: Target) -> Outcome<Kept> {
    leases(target.clone()).await?;
    let pause = Some(Duration::from_millis(50));
    let readers = crate::sockets::readers(250, &target.address, "/locks?limite=1000", "", pause);
    Ok(Kept { held: vec![Box::new(readers)], reached: "of the longest names".to_owned() })
}
