//! Messages: the archive, the queues, the pushes that are owed.

use crate::world::*;
use bytes::Bytes;
use domain::{Change, Message, Timestamp, push::OwedPush};
use store::{Unread, limits};

contract! {
    a_body_comes_back_byte_for_byte,
    the_same_message_again_is_ignored,
    a_queue_keeps_the_order_of_queueing,
    a_message_is_queued_once_and_delivered_once,
    messages_wait_for_a_user_without_a_device,
    adopting_skips_what_the_device_has_queued_already,
    the_oldest_leave_a_queue_that_is_full,
    unread_messages_are_counted_by_writer,
    the_archive_is_read_page_by_page,
    owed_pushes_come_back_until_they_are_settled,
}

async fn a_body_comes_back_byte_for_byte(store: TheStore) {
    let every_byte = (0..=255).collect::<Vec<u8>>();
    for (id, body) in [("all", Bytes::from(every_byte)), ("none", Bytes::new())] {
        let sent = Message {
            body,
            from_name: String::new(),
            from: "\"x\" <sip:x@elsewhere.example>".to_owned(),
            ..message(id, "bob", "alice")
        };
        save(&store, [Change::Archive(sent.clone())]).await;
        let read = store.message(&message_id(id)).await.unwrap();
        assert_eq!(read, Some(sent));
    }
}

async fn the_same_message_again_is_ignored(store: TheStore) {
    save(&store, [archive("m1", "bob", "alice")]).await;
    save(&store, [archive("m1", "mallory", "alice")]).await;
    let read = store.message(&message_id("m1")).await.unwrap();
    assert_eq!(read, Some(message("m1", "bob", "alice")));
    let page = store.archive(&address("alice"), None, 9).await.unwrap();
    assert_eq!(ids(&page), ["m1"]);
}

async fn a_queue_keeps_the_order_of_queueing(store: TheStore) {
    save(&store, [put_user("alice"), put_device("d1", "alice")]).await;
    for id in ["a", "b", "c", "d"] {
        save(&store, [archive(id, "bob", "alice")]).await;
    }
    save(&store, [enqueue("d1", "c"), enqueue("d1", "a")]).await;
    save(&store, [enqueue("d1", "d")]).await;
    save(&store, [enqueue("d1", "b")]).await;
    assert_eq!(queue(&store, "d1").await, ["c", "a", "d", "b"]);
    let first = store.queued(&device_id("d1"), 2).await.unwrap();
    assert_eq!(ids(&first), ["c", "a"]);
    assert_eq!(store.queued(&device_id("d1"), 0).await.unwrap(), []);
    assert_eq!(store.queue_length(&device_id("d1")).await.unwrap(), 4);
}

async fn a_message_is_queued_once_and_delivered_once(store: TheStore) {
    save(
        &store,
        [
            put_user("alice"),
            put_device("d1", "alice"),
            put_device("d2", "alice"),
            archive("m1", "bob", "alice"),
            archive("m2", "bob", "alice"),
            enqueue("d1", "m1"),
            enqueue("d1", "m2"),
            enqueue("d1", "m1"),
            enqueue("d2", "m1"),
        ],
    )
    .await;
    save(&store, [enqueue("d1", "m1")]).await;
    assert_eq!(queue(&store, "d1").await, ["m1", "m2"]);

    save(&store, [delivered("d1", "m1")]).await;
    save(&store, [delivered("d1", "m1")]).await;
    assert_eq!(queue(&store, "d1").await, ["m2"]);
    assert_eq!(queue(&store, "d2").await, ["m1"], "another device's");
}

async fn messages_wait_for_a_user_without_a_device(store: TheStore) {
    save(&store, [put_user("alice"), put_user("bob")]).await;
    for id in ["m1", "m2", "m3"] {
        save(
            &store,
            [
                archive(id, "carol", "alice"),
                enqueue_for_user("alice", id),
                enqueue_for_user("alice", id),
                enqueue_for_user("bob", id),
            ],
        )
        .await;
    }
    let waiting = store.load().await.unwrap().unclaimed;
    assert_eq!(waiting, [(address("alice"), 3), (address("bob"), 3)]);

    // What came for the device while it was being set up is newer than what waited.
    save(
        &store,
        [
            put_device("d1", "alice"),
            archive("m4", "carol", "alice"),
            enqueue("d1", "m4"),
            adopt("alice", "d1"),
        ],
    )
    .await;
    assert_eq!(queue(&store, "d1").await, ["m1", "m2", "m3", "m4"]);
    let waiting = store.load().await.unwrap().unclaimed;
    assert_eq!(waiting, [(address("bob"), 3)]);
}

async fn adopting_skips_what_the_device_has_queued_already(store: TheStore) {
    save(
        &store,
        [
            put_user("alice"),
            put_device("d1", "alice"),
            archive("m1", "bob", "alice"),
            archive("m2", "bob", "alice"),
            enqueue("d1", "m2"),
            enqueue_for_user("alice", "m1"),
            enqueue_for_user("alice", "m2"),
            adopt("alice", "d1"),
        ],
    )
    .await;
    assert_eq!(queue(&store, "d1").await, ["m2", "m1"]);
    assert_eq!(store.load().await.unwrap().unclaimed, []);
}

async fn the_oldest_leave_a_queue_that_is_full(store: TheStore) {
    let mut step = vec![put_user("alice"), put_device("d1", "alice")];
    for n in 0..limits::QUEUE_PER_DEVICE + 2 {
        step.push(archive(&n.to_string(), "bob", "alice"));
        step.push(enqueue("d1", &n.to_string()));
    }
    save(&store, step).await;
    let full = limits::QUEUE_PER_DEVICE as u64;
    assert_eq!(store.queue_length(&device_id("d1")).await.unwrap(), full);
    let first = store.queued(&device_id("d1"), 1).await.unwrap();
    assert_eq!(ids(&first), ["2"]);
    assert_eq!(store.stats().overflowed, 2);
    assert!(store.message(&message_id("0")).await.unwrap().is_some());

    save(
        &store,
        [enqueue_for_user("alice", "0"), adopt("alice", "d1")],
    )
    .await;
    assert_eq!(store.queue_length(&device_id("d1")).await.unwrap(), full);
    assert_eq!(store.stats().overflowed, 3);
}

async fn unread_messages_are_counted_by_writer(store: TheStore) {
    save(&store, [put_user("alice"), put_device("d1", "alice")]).await;
    for (id, from) in [("1", "carol"), ("2", "bob"), ("3", "carol"), ("4", "dave")] {
        save(&store, [archive(id, from, "alice"), enqueue("d1", id)]).await;
    }
    save(&store, [delivered("d1", "4")]).await;
    let expected = [("carol", 2), ("bob", 1)].map(|(from, messages)| Unread {
        from: address(from).to_string(),
        messages,
    });
    assert_eq!(store.unread(&device_id("d1")).await.unwrap(), expected);
    assert_eq!(store.unread(&device_id("d2")).await.unwrap(), []);
}

async fn the_archive_is_read_page_by_page(store: TheStore) {
    let sent = [
        ("1", "bob", "alice"),
        ("2", "alice", "bob"),
        ("3", "carol", "bob"),
        ("4", "alice", "alice"),
        ("5", "bob", "alice"),
        ("6", "alice", "carol"),
    ];
    for (id, from, to) in sent {
        save(&store, [archive(id, from, to)]).await;
    }
    let page = async |before: Option<&str>, limit| {
        let before = before.map(message_id);
        let page = store.archive(&address("alice"), before.as_ref(), limit);
        ids(&page.await.unwrap())
    };
    assert_eq!(page(None, 2).await, ["6", "5"]);
    assert_eq!(page(Some("5"), 2).await, ["4", "2"]);
    assert_eq!(page(Some("2"), 2).await, ["1"]);
    assert_eq!(page(Some("1"), 2).await, [""; 0]);
    assert_eq!(page(Some("unknown"), 2).await, [""; 0]);
    assert_eq!(
        page(Some("3"), 9).await,
        ["2", "1"],
        "a foreign message is a place too"
    );
}

async fn owed_pushes_come_back_until_they_are_settled(store: TheStore) {
    let late = owed("p1", "d1", 30);
    let early = owed("p2", "d1", 10);
    save(
        &store,
        [
            put_user("alice"),
            put_device("d1", "alice"),
            Change::Owe(late.clone()),
            Change::Owe(early.clone()),
            Change::Owe(owed("p3", "d1", 20)),
        ],
    )
    .await;
    let again = OwedPush {
        attempts: 1,
        due: Timestamp(40),
        message: None,
        ..early
    };
    save(&store, [Change::Owe(again.clone()), settle("p3")]).await;
    save(&store, [settle("p3")]).await;
    assert_eq!(store.load().await.unwrap().owed, [late, again]);
}
