//! Messages: the archive, the queues, the pushes that are owed.

use crate::world::*;
use bytes::Bytes;
use domain::{About, Change, Class, DeviceId, Message, Purpose, Timestamp, push::OwedPush};

contract! {
    a_body_comes_back_byte_for_byte,
    the_same_message_again_is_ignored,
    a_queue_keeps_the_order_in_which_messages_came,
    a_message_is_queued_once_and_delivered_once,
    messages_wait_for_a_user_without_a_device,
    adopting_skips_what_the_device_has_queued_already,
    what_was_read_elsewhere_waits_and_does_not_count,
    a_queue_has_no_end_of_its_own,
    owed_pushes_come_back_until_they_are_settled,
    a_push_of_any_purpose_comes_back_as_it_was,
}

async fn a_body_comes_back_byte_for_byte(store: TheStore) {
    let every_byte = (0..=255).collect::<Vec<u8>>();
    for (id, body) in [("all", Bytes::from(every_byte)), ("none", Bytes::new())] {
        let sent = Message {
            body,
            from_name: String::new(),
            from: "\"x\" <sip:x@elsewhere.example>".to_owned(),
            about: About::of(Some("lunch"), Some("de").filter(|_| id == "all")),
            ..message(id, "bob", "alice")
        };
        save(&store, [Change::Archive(sent.clone().into())]).await;
        let read = store.message(&message_id(id)).await.unwrap();
        assert_eq!(read, Some(sent));
    }
}

async fn the_same_message_again_is_ignored(store: TheStore) {
    save(&store, [archive("m1", "bob", "alice")]).await;
    save(&store, [archive("m1", "mallory", "alice")]).await;
    let read = store.message(&message_id("m1")).await.unwrap();
    assert_eq!(read, Some(message("m1", "bob", "alice")));
}

async fn a_queue_keeps_the_order_in_which_messages_came(store: TheStore) {
    save(&store, [put_user("alice"), put_device("d1", "alice")]).await;
    for id in ["c", "a", "d", "b"] {
        save(&store, [archive(id, "bob", "alice")]).await;
    }
    save(&store, [enqueue("d1", "d"), enqueue("d1", "a")]).await;
    save(&store, [enqueue("d1", "b")]).await;
    save(&store, [enqueue("d1", "c")]).await;
    assert_eq!(queue(&store, "d1").await, ["c", "a", "d", "b"]);
    let first = store.queued(&device_id("d1"), 2).await.unwrap();
    assert_eq!(first.len(), 2);
    assert_eq!(first[0].id, message_id("c"));
    assert_eq!(store.queued(&device_id("d1"), 0).await.unwrap(), []);
    assert_eq!(loaded(&store).await.queued, [(device_id("d1"), 4)]);
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
    let waiting = loaded(&store).await.unclaimed;
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
    let waiting = loaded(&store).await.unclaimed;
    assert_eq!(waiting, [(address("bob"), 3)]);
}

async fn what_was_read_elsewhere_waits_and_does_not_count(store: TheStore) {
    let chat = |id: &str, from: &str| {
        let class = Class::Chat;
        let message = message(id, from, "alice");
        Change::Archive(Message { class, ..message }.into())
    };
    save(
        &store,
        [
            put_user("alice"),
            put_user("carol"),
            put_device("d1", "alice"),
            put_device("d2", "alice"),
            put_device("c1", "carol"),
            chat("m1", "bob"),
            chat("other", "dave"),
            chat("m2", "bob"),
            chat("m3", "bob"),
            archive("r1", "bob", "alice"),
        ],
    )
    .await;
    for id in ["m1", "other", "m2", "m3", "r1"] {
        save(&store, [enqueue("d1", id), enqueue("c1", id)]).await;
    }
    save(&store, [enqueue("d2", "m3")]).await;
    let unread = async |device: &str, of: Option<&str>| {
        let of = of.map(message_id);
        let unread = store.unread(&device_id(device), of.as_ref()).await.unwrap();
        (unread.all, unread.of_writer)
    };
    assert_eq!(unread("d1", Some("m1")).await, (4, 3), "but the notice");
    assert_eq!(unread("d1", Some("other")).await, (4, 1));
    assert_eq!(unread("d1", None).await, (4, 0));
    assert_eq!(unread("none", Some("m1")).await, (0, 0));

    let read = |up_to: &str| Change::Read {
        user: address("alice"),
        writer: "bob@example.org".into(),
        up_to: message_id(up_to),
    };
    save(&store, [read("m2")]).await;
    assert_eq!(unread("d1", Some("m1")).await, (2, 1), "m3 and other");
    assert_eq!(unread("d2", Some("m1")).await, (1, 1));
    assert_eq!(unread("c1", Some("m1")).await, (4, 3), "another user's");
    save(&store, [read("m1"), read("nothing"), enqueue("d1", "m2")]).await;
    assert_eq!(unread("d1", Some("m1")).await, (2, 1), "it goes on only");
    assert_eq!(queue(&store, "d1").await.len(), 5, "all of it waits");

    save(&store, [Change::ReturnQueue(device_id("d1"))]).await;
    save(&store, [put_device("d3", "alice"), adopt("alice", "d3")]).await;
    assert_eq!(unread("d3", Some("m1")).await, (2, 1), "whoever gets it");
    save(&store, [delivered("d3", "m3"), delivered("d3", "m1")]).await;
    assert_eq!(unread("d3", Some("m1")).await, (1, 0));
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
    assert_eq!(queue(&store, "d1").await, ["m1", "m2"]);
    assert_eq!(loaded(&store).await.unclaimed, []);
}

/// How many may wait is the domain's word: the store takes nothing back that was promised.
async fn a_queue_has_no_end_of_its_own(store: TheStore) {
    let mut step = vec![put_user("alice"), put_device("d1", "alice")];
    for n in 0..6_000 {
        step.push(archive(&n.to_string(), "bob", "alice"));
        step.push(enqueue("d1", &n.to_string()));
    }
    save(&store, step).await;
    assert_eq!(loaded(&store).await.queued, [(device_id("d1"), 6_000)]);
}

async fn owed_pushes_come_back_until_they_are_settled(store: TheStore) {
    let late = owed("p1", "d1", 30);
    let early = owed("p2", "d1", 10);
    save(
        &store,
        [
            put_user("alice"),
            put_device("d1", "alice"),
            owe(late.clone()),
            owe(early.clone()),
            owe(owed("p3", "d1", 20)),
        ],
    )
    .await;
    let again = OwedPush {
        attempts: 1,
        due: Timestamp(40),
        message: None,
        ..early
    };
    save(&store, [owe(again.clone()), settle("p3")]).await;
    save(&store, [settle("p3")]).await;
    assert_eq!(loaded(&store).await.owed, [late.clone(), again.clone()]);
    let to = async |id: &str| store.owed(&DeviceId::from(id)).await.unwrap();
    assert_eq!(to("d1").await, [late, again]);
    assert_eq!(to("d2").await, []);
}

async fn a_push_of_any_purpose_comes_back_as_it_was(store: TheStore) {
    save(&store, [put_user("alice"), put_device("d1", "alice")]).await;
    let call = "call@1".to_owned();
    let purposes = [
        Purpose::Call {
            call: call.clone(),
            register_at: "sip:node1.example.org".to_owned(),
        },
        Purpose::CallCancelled { call: call.clone() },
        Purpose::MissedCall { call },
        Purpose::Refresh,
        Purpose::Message {
            conversation: "c1".to_owned(),
            unread: u32::MAX,
        },
        Purpose::Read {
            conversations: vec!["c1".to_owned(), "c2".to_owned()],
            unread: 0,
        },
    ];
    let pushes: Vec<OwedPush> = (1..)
        .zip(purposes)
        .map(|(n, purpose)| OwedPush {
            purpose,
            ..owed(&format!("p{n}"), "d1", n)
        })
        .collect();
    save(&store, pushes.iter().cloned().map(owe)).await;
    assert_eq!(store.owed(&device_id("d1")).await.unwrap(), pushes);
}
