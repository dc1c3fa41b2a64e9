//! The client against a real coordinator, in the same process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::ask::Ask;
use super::transport::{EXCHANGE_TIMEOUT, Expected, Transport};
use super::waiting::Waiting;
use super::{Client, Lease, LockError, LockRequest, Unlocked};
use crate::batch;
use crate::coordinator::protocol::Operation;
use crate::coordinator::table::{Acquire, Release};
use crate::coordinator::{self, Config};
use crate::http::client::{Limits, Security, Session, Url};
use crate::http::request_id::RequestId;
use crate::logging;

const TTL: Duration = Duration::from_secs(20);
const WAIT: Duration = Duration::from_secs(2);

/// A coordinator that stops when this is dropped.
struct Coordinator {
    url: String,
    _folder: TempDir,
    _stop: oneshot::Sender<()>,
}

impl Coordinator {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = Config { logging: logging::Config::quiet(), ..Config::new(folder.path()) };
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(coordinator::serve(listener, config, async { drop(stopped.await) }));
        Self { url, _folder: folder, _stop: stop }
    }

    fn client(&self) -> Arc<Client> {
        Arc::new(Client::start(std::slice::from_ref(&self.url), Expected::default(), 0).unwrap())
    }

    /// How many requests wait for `resource`.
    async fn queue(&self, resource: &str) -> u64 {
        let second = Duration::from_secs(1);
        let limits = Limits { connect: second, exchange: second, answer_bytes: 1 << 20 };
        let url = Url::parse(&format!("{}/locks/{resource}", self.url)).unwrap();
        let (_, body) = Session::new(limits, &Security::default()).get(&url).await.unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()["fila"].as_u64().unwrap_or_default()
    }

    async fn wait_for_queue(&self, resource: &str, length: u64) {
        let begun = Instant::now();
        while self.queue(resource).await != length {
            assert!(begun.elapsed() < Duration::from_secs(20), "{length} in the queue of {resource}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn lock(client: &Client, resource: &str, wait: Duration) -> Result<Lease, LockError> {
    let resources = vec![resource.to_owned()];
    client
        .lock(LockRequest {
            request_id: &RequestId::of_test("r-1"),
            resources,
            ttl: TTL,
            wait,
            despite_retention: false,
            contest: None,
        })
        .await
}

/// Room for waiting exchanges, and the unlocks that they cause.
fn waiting(coordinator: &Coordinator, places: usize) -> (Waiting, batch::Batches<Ask>) {
    let transport = Arc::new(Transport::new(std::slice::from_ref(&coordinator.url), Expected::default()).unwrap());
    let (unlocks, batches) = batch::queue(usize::MAX);
    (Waiting::new(transport, places, Arc::new(unlocks)), batches)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_waits_two_seconds_delays_no_other_lock_and_no_unlock() {
    let coordinator = Coordinator::start().await;
    let client = coordinator.client();
    let held = lock(&client, "held", Duration::ZERO).await.unwrap();
    let waiter = Arc::clone(&client);
    let begun = Instant::now();
    let waiting = tokio::spawn(async move { lock(&waiter, "held", WAIT).await });
    coordinator.wait_for_queue("held", 1).await;
    let mut longest = Duration::ZERO;
    for number in 0..20 {
        let asked = Instant::now();
        let lease = lock(&client, &format!("other-{number}"), Duration::ZERO).await.unwrap();
        assert_eq!(client.unlock(&RequestId::of_test("r-1"), &lease, Duration::ZERO).await, Ok(Unlocked::Freed));
        longest = longest.max(asked.elapsed());
    }
    assert!(!waiting.is_finished() && begun.elapsed() < WAIT, "all of them while the other one waited");
    assert!(longest < WAIT / 2, "{longest:?}");
    // It waits until its time is up, and is told who has the resource.
    let refused = waiting.await.unwrap();
    assert!(matches!(&refused, Err(LockError::Busy { resource }) if resource == "held"), "{refused:?}");
    assert!((WAIT..WAIT + EXCHANGE_TIMEOUT).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(client.unlock(&RequestId::of_test("r-1"), &held, Duration::ZERO).await, Ok(Unlocked::Freed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_lives_its_whole_ttl_after_a_wait() {
    let coordinator = Coordinator::start().await;
    let client = coordinator.client();
    let held = lock(&client, "X", Duration::ZERO).await.unwrap();
    let (waiter, pause) = (Arc::clone(&client), Duration::from_secs(1));
    let waiting = tokio::spawn(async move { (lock(&waiter, "X", 10 * WAIT).await, Instant::now()) });
    coordinator.wait_for_queue("X", 1).await;
    tokio::time::sleep(pause).await;
    let freed = Instant::now();
    client.unlock(&RequestId::of_test("r-1"), &held, Duration::ZERO).await.unwrap();
    let (lease, heard) = waiting.await.unwrap();
    let lease = lease.unwrap();
    assert!(lease.token > held.token);
    // The TTL counts from the grant, after the unlock was sent; the client loses a few milliseconds of it to the network.
    assert!(lease.deadline + pause > freed + TTL, "{:?} too early", (freed + TTL).duration_since(lease.deadline));
    assert!(lease.deadline <= heard + TTL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_gives_up_frees_its_place_and_gets_no_lease() {
    let coordinator = Coordinator::start().await;
    let client = coordinator.client();
    let held = lock(&client, "X", Duration::ZERO).await.unwrap();
    let waiter = Arc::clone(&client);
    let waiting = tokio::spawn(async move { lock(&waiter, "X", 20 * WAIT).await });
    coordinator.wait_for_queue("X", 1).await;
    waiting.abort();
    coordinator.wait_for_queue("X", 0).await;
    client.unlock(&RequestId::of_test("r-1"), &held, Duration::ZERO).await.unwrap();
    lock(&client, "X", Duration::ZERO).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_arrived_for_a_caller_that_gave_up_is_given_back() {
    let coordinator = Coordinator::start().await;
    let (waiting, mut unlocks) = waiting(&coordinator, 1);
    let place = waiting.place(WAIT).await.unwrap();
    let acquire = Acquire {
        resources: ["X"].map(Arc::from).into(),
        owner: None,
        request_id: None,
        ttl: TTL,
        wait: place.left,
        min_token: 0,
        despite_retention: false,
        contest: None,
    };
    let (reply, answer) = oneshot::channel();
    place.run(RequestId::of_test("r-1"), acquire, reply).await;
    assert!(lock(&coordinator.client(), "X", Duration::ZERO).await.is_err(), "it was granted");
    drop(answer);
    let mut batch = Vec::new();
    unlocks.next_async(&mut batch).await.unwrap();
    assert!(matches!(batch[..], [Ask { operation: Operation::Unlock(Release::ById { .. }), reply: None, .. }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_places_are_bounded_and_a_lock_without_one_is_asked_for_without_waiting() {
    let coordinator = Coordinator::start().await;
    let (waiting, _unlocks) = waiting(&coordinator, 1);
    assert!(waiting.place(Duration::ZERO).await.is_none());
    let first = waiting.place(WAIT).await.unwrap();
    let begun = Instant::now();
    assert!(waiting.place(WAIT / 10).await.is_none());
    assert!(begun.elapsed() >= WAIT / 10);
    let (second, ()) = tokio::join!(waiting.place(WAIT), async {
        tokio::time::sleep(WAIT / 10).await;
        drop(first);
    });
    // The time before the place is part of the wait.
    assert!(second.unwrap().left + WAIT / 10 <= WAIT);
}

#[tokio::test]
async fn a_coordinator_that_hangs_is_noticed_long_before_the_wait_ends() {
    // It takes connections, and nobody reads from them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::start(&[format!("http://{}", silent.local_addr().unwrap())], Expected::default(), 0).unwrap();
    let begun = Instant::now();
    let error = lock(&client, "X", 20 * WAIT).await.unwrap_err();
    assert!(
        matches!(&error, LockError::Unavailable(reason) if reason.ends_with("não respondeu em 2000 ms")),
        "{error:?}"
    );
    assert!(begun.elapsed() < 2 * EXCHANGE_TIMEOUT, "{:?}", begun.elapsed());
}
