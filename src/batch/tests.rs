//! Tests of the queue that makes batches.

use super::*;

#[test]
fn all_waiting_items_are_one_batch_in_order() {
    let (sender, mut batches) = queue(usize::MAX);
    for item in 0..5 {
        sender.send(item).unwrap();
    }
    let mut batch = Vec::new();
    assert_eq!(batches.next(&mut batch), Some(()));
    assert_eq!(batch, [0, 1, 2, 3, 4]);
    sender.send(5).unwrap();
    drop(sender);
    assert_eq!(batches.next(&mut batch), Some(()));
    assert_eq!(batch, [5]);
    assert_eq!(batches.next(&mut batch), None);
}

#[test]
fn items_that_wait_join_a_batch_in_order_as_far_as_there_is_room() {
    let (sender, mut batches) = queue(usize::MAX);
    let mut batch = vec![0];
    batches.add_waiting(&mut batch, 3);
    assert_eq!(batch, [0]);
    for item in 1..5 {
        sender.send(item).unwrap();
    }
    batches.add_waiting(&mut batch, 3);
    assert_eq!(batch, [0, 1, 2]);
    batches.add_waiting(&mut batch, 3);
    assert_eq!(batch, [0, 1, 2]);
    assert_eq!(batches.next(&mut batch), Some(()));
    assert_eq!(batch, [3, 4]);
}

#[test]
fn a_producer_that_waits_for_room_goes_on_when_items_join_a_batch() {
    let (sender, mut batches) = queue(1);
    let producer = std::thread::spawn(move || (0..100).for_each(|item| sender.send(item).unwrap()));
    let mut batch = Vec::new();
    while batch.len() < 100 {
        batches.add_waiting(&mut batch, 100);
        std::thread::yield_now();
    }
    producer.join().unwrap();
    assert!(batch.iter().copied().eq(0..100));
}

#[test]
fn after_a_time_without_items_the_batch_is_empty_and_the_queue_goes_on() {
    let (sender, mut batches) = queue(usize::MAX);
    let mut batch = vec![0];
    assert_eq!(batches.next_within(&mut batch, Duration::from_millis(1)), Some(()));
    assert!(batch.is_empty());
    sender.send(1).unwrap();
    assert_eq!(batches.next_within(&mut batch, Duration::ZERO), Some(()));
    assert_eq!(batch, [1]);
    drop(sender);
    assert_eq!(batches.next_within(&mut batch, Duration::from_secs(60)), None);
}

#[test]
fn a_nudge_wakes_the_consumer_without_an_item_and_does_not_keep_the_queue() {
    let (sender, mut batches) = queue(usize::MAX);
    let nudge = batches.nudge();
    let mut batch = vec![0];
    assert!(nudge.wake());
    assert_eq!(batches.next_within(&mut batch, Duration::from_secs(3600)), Some(()));
    assert!(batch.is_empty());
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(nudge.wake()));
        assert_eq!(batches.next_within(&mut batch, Duration::from_secs(3600)), Some(()));
    });
    sender.send(1).unwrap();
    drop(sender);
    assert_eq!((batches.next(&mut batch), batch.as_slice()), (Some(()), &[1][..]));
    assert_eq!(batches.next(&mut batch), None);
    assert!(nudge.wake());
    drop(batches);
    assert!(!nudge.wake());
}

#[test]
fn a_full_queue_refuses_or_waits_and_loses_nothing() {
    const ITEMS: usize = 10_000;
    let (sender, mut batches) = queue(4);
    for item in 0..4 {
        sender.try_send(item).unwrap();
    }
    assert_eq!(sender.try_send(4), Err(4));
    let producer = std::thread::spawn(move || {
        for item in 4..ITEMS {
            sender.send(item).unwrap();
        }
    });
    let (mut batch, mut seen) = (Vec::new(), Vec::new());
    while batches.next(&mut batch).is_some() {
        assert!(batch.len() <= 4);
        seen.append(&mut batch);
    }
    producer.join().unwrap();
    assert!(seen.iter().copied().eq(0..ITEMS));
}

#[test]
fn items_stand_in_the_order_in_which_they_were_made() {
    let made = std::sync::atomic::AtomicUsize::new(0);
    let make = || made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let (sender, mut batches) = queue(usize::MAX);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (sender, make) = (sender.clone(), &make);
            scope.spawn(move || (0..1000).for_each(|_| sender.send_with(make).unwrap()));
        }
    });
    batches.add_with(make);
    drop(sender);
    let mut batch = Vec::new();
    assert_eq!(batches.next(&mut batch), Some(()));
    assert!(batch.iter().copied().eq(0..4001));
    assert_eq!(batches.next(&mut batch), None);
}

#[test]
fn without_a_consumer_the_item_is_given_back() {
    let (sender, batches) = queue(1);
    sender.send(1).unwrap();
    drop(batches);
    assert_eq!(sender.send(2), Err(2));
}

#[tokio::test]
async fn a_task_is_woken_by_items_and_by_the_end() {
    let (sender, mut batches) = queue(usize::MAX);
    let consumer = tokio::spawn(async move {
        let (mut batch, mut seen) = (Vec::new(), Vec::new());
        while batches.next_async(&mut batch).await.is_some() {
            seen.append(&mut batch);
        }
        seen
    });
    for item in 0..100 {
        sender.send(item).unwrap();
        tokio::task::yield_now().await;
    }
    drop(sender);
    assert!(consumer.await.unwrap().into_iter().eq(0..100));
}
