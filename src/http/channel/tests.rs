//! Tests of the events that listeners receive, and of the notices about events that they missed.

use super::*;

#[derive(Debug)]
struct Text(&'static str, String);

impl Event for Text {
    fn encode(&self, id: Position) -> Bytes {
        encode(&id.to_string(), self.0, &self.1)
    }

    fn size(&self) -> usize {
        self.0.len() + self.1.len()
    }
}

fn text(name: &'static str, data: &impl ToString) -> Text {
    Text(name, data.to_string())
}

fn listen(channel: &Arc<Channel<Text>>, since: Option<&str>) -> Subscription<Text> {
    channel.subscribe(since, &Arc::default())
}

async fn heard(subscription: &mut Subscription<Text>) -> String {
    String::from_utf8(subscription.next().await.to_vec()).unwrap()
}

#[tokio::test]
async fn events_come_in_order_and_from_where_one_left_off() {
    let channel = Channel::new(8);
    let mut from_now = listen(&channel, None);
    assert_eq!(from_now.position().as_deref(), Some("00000008-0"));
    let first = channel.publish([text("a", &1)]).to_string();
    channel.publish([text("b", &2)]);
    assert_eq!(
        heard(&mut from_now).await,
        "id: 00000008-1\nevent: a\ndata: 1\n\nid: 00000008-2\nevent: b\ndata: 2\n\n"
    );
    let mut again = listen(&channel, Some(&first));
    assert_eq!(heard(&mut again).await, "id: 00000008-2\nevent: b\ndata: 2\n\n");
    assert_eq!(channel.listeners(), 2);
    drop((again, from_now));
    assert_eq!(channel.listeners(), 0);
}

#[tokio::test]
async fn who_falls_behind_is_told_how_much_it_lost() {
    let channel = Channel::new(8);
    let lost = Arc::default();
    let mut slow = channel.subscribe(None, &lost);
    for number in 0..RING_EVENTS + 10 {
        channel.publish([text("n", &number)]);
    }
    let said = heard(&mut slow).await;
    assert!(
        said.starts_with("id: 00000008-10\nevent: perdidos\ndata: {\"perdidos\":10}\n\nid: 00000008-11\n"),
        "{said}"
    );
    assert_eq!(lost.load(Ordering::Relaxed), 10);
    let mut events = said.matches("event: n").count();
    while events < RING_EVENTS {
        events += heard(&mut slow).await.matches("event: n").count();
    }
    assert!(slow.ready().is_none());
    // For an identifier from before a restart, or for an invalid one, the number of missed events is unknown.
    let huge = format!("00000008-{}", u64::MAX);
    let strange =
        ["x", "", "-1", "00000008--1", "00000008-+1", "00000008-01", "8-1", " 00000008-1", "00000008-1 ", "é"];
    for id in ["00000009-3", "00000008-99999", &huge, "00000008-99999999999999999999"].into_iter().chain(strange) {
        let mut stranger = listen(&channel, Some(id));
        assert_eq!(stranger.position(), None, "{id}");
        let said = heard(&mut stranger).await;
        assert!(said.contains("data: {\"perdidos\":null}\n\n"), "{id}: {said}");
    }
}

/// The memory of the events that are in the ring.
fn counted_again(channel: &Channel<Text>) -> usize {
    channel.ring().events.iter().map(|entry| entry.size()).sum()
}

#[test]
fn a_ring_is_bounded_in_bytes_too() {
    let channel = Channel::new(7);
    for _ in 0..RING_EVENTS {
        channel.publish([text("g", &"x".repeat(16 * 1024))]);
    }
    assert!(channel.bytes() <= RING_BYTES && channel.bytes() > RING_BYTES - 20 * 1024);
    assert_eq!(channel.bytes(), counted_again(&channel));
}

#[tokio::test]
async fn a_ring_that_makes_room_tells_those_who_had_not_read_it() {
    let channel = Channel::new(8);
    let mut listener = listen(&channel, None);
    for number in 1..=8 {
        channel.publish([text("n", &number)]);
    }
    assert_eq!(channel.shrink_to(channel.bytes() / 2), 4);
    let said = heard(&mut listener).await;
    assert!(said.starts_with("id: 00000008-4\nevent: perdidos\ndata: {\"perdidos\":4}\n\nid: 00000008-5\n"), "{said}");
    assert_eq!(channel.shrink_to(0), 4);
    assert_eq!(channel.bytes(), 0);
    // The numbers go on.
    channel.publish([text("n", &9)]);
    assert_eq!(heard(&mut listener).await, "id: 00000008-9\nevent: n\ndata: 9\n\n");
}

proptest::proptest! {
    #[test]
    fn the_memory_of_a_ring_is_that_of_its_events(
        steps in proptest::collection::vec((0..400_000_usize, 0..4_u8, 0..5_000_000_usize), 1..60)
    ) {
        let channel = Channel::mirror();
        let mut number = 0;
        for (length, kind, bytes) in steps {
            number += 1 + u64::from(kind == 3);
            match kind {
                0 => drop(channel.shrink_to(bytes)),
                1 => channel.go_on_from(Position { epoch: 9, number }),
                _ => channel.add(Position { epoch: 9, number }, text("n", &"x".repeat(length))),
            }
            proptest::prop_assert_eq!(channel.bytes(), counted_again(&channel));
            proptest::prop_assert!(channel.bytes() <= RING_BYTES);
        }
    }
}

#[tokio::test]
async fn a_mirror_has_the_numbers_of_what_it_mirrors() {
    let channel = Channel::mirror();
    let at = |epoch, number| Position { epoch, number };
    // A listener that came before the first event gets all events. A listener that names an event that the mirror has not
    // received yet waits for it, because the event may still arrive.
    let (mut early, mut ahead) = (listen(&channel, None), listen(&channel, Some("00000007-5")));
    assert!(early.ready().is_none() && ahead.ready().is_none());
    assert_eq!((early.position(), ahead.position().as_deref()), (None, None));
    channel.go_on_from(at(7, 3));
    channel.add(at(7, 4), text("a", &4));
    channel.add(at(7, 4), text("a", &4));
    channel.add(at(7, 5), text("a", &5));
    assert_eq!(heard(&mut early).await.matches("event: a").count(), 2);
    assert!(ahead.ready().is_none());
    channel.add(at(7, 6), text("a", &6));
    assert_eq!(heard(&mut ahead).await, "id: 00000007-6\nevent: a\ndata: 6\n\n");
    assert_eq!(heard(&mut early).await, "id: 00000007-6\nevent: a\ndata: 6\n\n");
    // The missed events of a gap are counted. After a change of epoch their number is unknown.
    channel.add(at(7, 9), text("a", &9));
    assert_eq!(
        heard(&mut early).await,
        "id: 00000007-8\nevent: perdidos\ndata: {\"perdidos\":2}\n\nid: 00000007-9\nevent: a\ndata: 9\n\n"
    );
    channel.go_on_from(at(9, 0));
    assert_eq!(heard(&mut early).await, "id: 00000009-0\nevent: perdidos\ndata: {\"perdidos\":null}\n\n");
    assert!(early.ready().is_none());
    channel.go_on_from(at(9, 0));
    assert!(early.ready().is_none());
}

#[tokio::test]
async fn a_place_that_a_mirror_never_comes_to_is_no_place() {
    let channel = Channel::mirror();
    let at = |number| Position { epoch: 7, number };
    channel.go_on_from(at(3));
    channel.add(at(4), text("a", &4));
    let (mut behind, mut ahead) = (listen(&channel, Some("00000007-6")), listen(&channel, Some("00000007-99999")));
    assert_eq!((behind.position(), ahead.position()), (None, None));
    for number in [5, 6, 7] {
        // Each event wakes the listener. It changes neither the listener's position nor its deadline.
        assert!(tokio::time::timeout(ON_ITS_WAY / 8, ahead.next()).await.is_err());
        channel.add(at(number), text("a", &number));
    }
    assert_eq!(heard(&mut behind).await, "id: 00000007-7\nevent: a\ndata: 7\n\n");
    let left = tokio::time::timeout(ON_ITS_WAY * 5, ahead.next()).await.unwrap();
    let said = String::from_utf8(left.to_vec()).unwrap();
    assert!(
        said.starts_with("id: 00000007-3\nevent: perdidos\ndata: {\"perdidos\":null}\n\nid: 00000007-4\n"),
        "{said}"
    );
    assert_eq!(said.matches("event: a").count(), 4);
}

#[test]
fn an_identifier_is_read_only_in_the_form_in_which_it_is_written() {
    for position in [Position { epoch: 0xab, number: 0 }, Position { epoch: u32::MAX, number: u64::MAX }] {
        assert_eq!(Position::parse(&position.to_string()), Some(position));
    }
    for other in [
        "",
        "-",
        "1-1",
        "000000ab",
        "000000ab-",
        "000000AB-1",
        "+00000ab-1",
        "000000ab-+1",
        "000000ab-01",
        "000000ab-1 ",
    ] {
        assert_eq!(Position::parse(other), None, "{other}");
    }
}
