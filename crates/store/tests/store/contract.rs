//! The contract: every test runs against every backend.

use crate::world::*;
use bytes::Bytes;
use domain::{
    Address, Change, DeviceId, Message, Timestamp, TrackingId, User, push::OwedPush, trace::Step,
};
use store::{Pruned, Snapshot, StoreError, Story, Unread, limits};

macro_rules! contract {
    ($($test:ident,)+) => {
        mod memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(store::open("memory:").unwrap()).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                let directory = tempfile::tempdir().unwrap();
                super::$test(crate::world::sqlite(&directory.path().join("db"))).await;
            })+
        }
    };
}

contract! {
    a_new_store_is_empty,
    a_user_is_replaced_as_a_whole,
    a_device_comes_back_as_it_was,
    a_device_put_again_keeps_its_queue_and_history,
    devices_are_listed_by_user_and_all,
    a_change_that_speaks_of_nothing_fails_by_name,
    removing_what_is_not_there_is_no_failure,
    a_step_stands_or_falls_as_a_whole,
    a_failed_step_brings_back_what_it_removed,
    a_failing_step_leaves_the_others_alone,
    an_answer_that_nobody_waits_for_takes_nothing_back,
    removing_a_device_removes_all_that_is_its,
    removing_a_user_removes_all_that_is_theirs,
    a_device_that_changes_hands_takes_nothing_along,
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
    everything_is_loaded_at_once,
    history_is_told_newest_first,
    a_story_is_found_by_its_id_and_by_the_calls_own,
    recent_stories_tell_how_they_began_and_ended,
    notes_are_saved_before_an_empty_step_is_answered,
    a_note_that_fails_is_counted,
    retention_removes_what_is_older_and_keeps_what_waits,
    retention_removes_more_than_one_bite,
    the_end_of_time_is_a_time,
    names_may_hold_any_text,
    a_closed_store_answers_so,
}

fn missing(kind: &'static str, name: &str) -> Result<(), StoreError> {
    let name = name.to_owned();
    Err(StoreError::Missing { kind, name })
}

async fn a_new_store_is_empty(store: TheStore) {
    assert_eq!(store.load().await.unwrap(), Snapshot::default());
    assert_eq!(store.users().await.unwrap(), []);
    assert_eq!(store.recent_traces(10).await.unwrap(), []);
    assert_eq!(store.queue_length(&device_id("d1")).await.unwrap(), 0);
    assert!(!store.changed_elsewhere().await.unwrap());
}

async fn a_user_is_replaced_as_a_whole(store: TheStore) {
    let first = User {
        forward: Some("sip:voicemail@example.org".to_owned()),
        ..user("alice")
    };
    save(&store, [put_user("bob"), Change::PutUser(first.clone())]).await;
    assert_eq!(
        store.user(&address("alice")).await.unwrap(),
        Some(first.clone())
    );

    let second = User {
        display_name: String::new(),
        secrets: user("carol").secrets,
        ..user("alice")
    };
    save(&store, [Change::PutUser(second.clone())]).await;
    assert_eq!(store.users().await.unwrap(), [second, user("bob")]);
    assert_eq!(store.user(&address("carol")).await.unwrap(), None);
}

async fn a_device_comes_back_as_it_was(store: TheStore) {
    let full = full_device("full", "alice");
    save(
        &store,
        [
            put_user("alice"),
            put_device("bare", "alice"),
            Change::PutDevice(Box::new(full.clone())),
        ],
    )
    .await;
    let read = async |id| store.device(&device_id(id)).await.unwrap();
    assert_eq!(read("full").await, Some(full.clone()));
    assert_eq!(read("bare").await, Some(device("bare", "alice")));
    assert_eq!(read("none").await, None);

    let bare = device("full", "alice");
    save(&store, [Change::PutDevice(Box::new(bare.clone()))]).await;
    assert_eq!(read("full").await, Some(bare));
}

async fn a_device_put_again_keeps_its_queue_and_history(store: TheStore) {
    let push = owed("p1", "d1", 5);
    save(
        &store,
        [
            put_user("alice"),
            put_device("d1", "alice"),
            archive("m1", "bob", "alice"),
            enqueue("d1", "m1"),
            Change::History(line("d1", 1, "seen")),
            Change::Owe(push.clone()),
        ],
    )
    .await;
    let again = full_device("d1", "alice");
    save(
        &store,
        [put_user("alice"), Change::PutDevice(Box::new(again))],
    )
    .await;
    assert_eq!(queue(&store, "d1").await, ["m1"]);
    assert_eq!(
        store.history(&device_id("d1"), 9).await.unwrap(),
        [line("d1", 1, "seen")]
    );
    assert_eq!(store.load().await.unwrap().owed, [push]);
}

async fn devices_are_listed_by_user_and_all(store: TheStore) {
    // Addresses of which one begins with the other.
    let (long, short) = (
        user("al"),
        User {
            address: "al@example.or".parse().unwrap(),
            ..user("al")
        },
    );
    let mut others = device("d3", "al");
    others.user = short.address.clone();
    save(
        &store,
        [
            Change::PutUser(long),
            Change::PutUser(short.clone()),
            put_device("d2", "al"),
            put_device("d1", "al"),
            Change::PutDevice(Box::new(others.clone())),
        ],
    )
    .await;
    let (d1, d2) = (device("d1", "al"), device("d2", "al"));
    let of = async |address: Address| store.devices(Some(&address)).await.unwrap();
    assert_eq!(of(address("al")).await, [d1.clone(), d2.clone()]);
    assert_eq!(of(short.address).await, std::slice::from_ref(&others));
    assert_eq!(of(address("nobody")).await, []);
    assert_eq!(store.devices(None).await.unwrap(), [d1, d2, others]);
}

async fn a_change_that_speaks_of_nothing_fails_by_name(store: TheStore) {
    save(
        &store,
        [
            put_user("alice"),
            put_device("d1", "alice"),
            archive("m1", "bob", "alice"),
            enqueue_for_user("alice", "m1"),
        ],
    )
    .await;
    let bob = address("bob").to_string();
    let cases = [
        (put_device("d2", "bob"), missing("user", &bob)),
        (
            Change::History(line("d2", 1, "seen")),
            missing("device", "d2"),
        ),
        (enqueue("d2", "m1"), missing("device", "d2")),
        (enqueue("d2", "m2"), missing("device", "d2")),
        (enqueue("d1", "m2"), missing("message", "m2")),
        (enqueue_for_user("bob", "m1"), missing("user", &bob)),
        (enqueue_for_user("alice", "m2"), missing("message", "m2")),
        (adopt("alice", "d2"), missing("device", "d2")),
        (Change::Owe(owed("p1", "d2", 5)), missing("device", "d2")),
    ];
    for (change, expected) in cases {
        assert_eq!(
            store.commit(vec![change.clone()]).await,
            expected,
            "{change:?}"
        );
    }
}

async fn removing_what_is_not_there_is_no_failure(store: TheStore) {
    save(
        &store,
        [
            Change::RemoveUser(address("alice")),
            Change::RemoveDevice(device_id("d1")),
            delivered("d1", "m1"),
            settle("p1"),
            adopt("alice", "d1"),
        ],
    )
    .await;
    assert_eq!(store.load().await.unwrap(), Snapshot::default());
}

async fn a_step_stands_or_falls_as_a_whole(store: TheStore) {
    let step = vec![
        put_user("alice"),
        put_device("d1", "alice"),
        archive("m1", "bob", "alice"),
        enqueue("d1", "m1"),
        Change::Owe(owed("p1", "d1", 5)),
        Change::Trace(event("t1", 1, Step::MessageStored)),
        enqueue("d1", "nothing"),
    ];
    assert_eq!(store.commit(step).await, missing("message", "nothing"));
    assert_eq!(store.load().await.unwrap(), Snapshot::default());
    assert_eq!(store.message(&message_id("m1")).await.unwrap(), None);
    assert_eq!(store.trace("t1").await.unwrap(), []);
    assert_eq!(store.recent_traces(9).await.unwrap(), []);
}

async fn a_failed_step_brings_back_what_it_removed(store: TheStore) {
    save(
        &store,
        [
            put_user("alice"),
            put_device("d1", "alice"),
            archive("m1", "bob", "alice"),
            archive("m2", "bob", "alice"),
            enqueue("d1", "m2"),
            enqueue("d1", "m1"),
            Change::History(line("d1", 1, "seen")),
            Change::Owe(owed("p1", "d1", 5)),
        ],
    )
    .await;
    let before = store.load().await.unwrap();
    let step = vec![
        Change::Owe(owed("p1", "d1", 99)),
        delivered("d1", "m2"),
        Change::RemoveDevice(device_id("d1")),
        Change::RemoveUser(address("alice")),
        put_user("alice"),
        put_device("d1", "nobody"),
    ];
    assert!(store.commit(step).await.is_err());
    assert_eq!(store.load().await.unwrap(), before);
    assert_eq!(queue(&store, "d1").await, ["m2", "m1"]);
    assert_eq!(store.history(&device_id("d1"), 9).await.unwrap().len(), 1);
}

async fn a_failing_step_leaves_the_others_alone(store: TheStore) {
    let answers: Vec<_> = (0..100)
        .map(|n| {
            let name = format!("user{n}");
            let good = vec![put_user(&name), put_device(&name, &name)];
            let bad = vec![put_user(&name), put_device(&name, "nobody")];
            (n, store.commit(if n % 3 == 0 { bad } else { good }))
        })
        .collect();
    for (n, answer) in answers {
        assert_eq!(answer.await.is_err(), n % 3 == 0, "{n}");
    }
    let users = store.users().await.unwrap();
    assert_eq!(users.len(), 66);
    assert_eq!(store.devices(None).await.unwrap().len(), 66);
    assert_eq!((store.stats().steps, store.stats().failed), (66, 34));
}

async fn an_answer_that_nobody_waits_for_takes_nothing_back(store: TheStore) {
    drop(store.commit(vec![put_user("alice")]));
    save(&store, []).await;
    assert_eq!(store.users().await.unwrap(), [user("alice")]);
}

/// Alice with a device that has one of everything, and the same for Bob.
async fn two_users(store: &TheStore) {
    for (name, id) in [("alice", "a1"), ("bob", "b1")] {
        let m = format!("m-{id}");
        save(
            store,
            [
                put_user(name),
                put_device(id, name),
                archive(&m, "carol", name),
                enqueue(id, &m),
                enqueue_for_user(name, &m),
                Change::History(line(id, 1, "seen")),
                Change::Owe(owed(&format!("p-{id}"), id, 5)),
            ],
        )
        .await;
    }
}

/// All of Bob's is there, and of Alice's device nothing but its story.
async fn only_bobs_is_left(store: &TheStore) -> Snapshot {
    let left = store.load().await.unwrap();
    let of_devices: Vec<&DeviceId> = left.devices.iter().map(|device| &device.id).collect();
    assert_eq!(of_devices, [&device_id("b1")]);
    assert_eq!(left.queues, [(device_id("b1"), 1)]);
    assert_eq!(left.owed, [owed("p-b1", "b1", 5)]);
    assert_eq!(queue(store, "a1").await, [""; 0]);
    assert_eq!(store.history(&device_id("a1"), 9).await.unwrap(), []);
    assert_eq!(store.history(&device_id("b1"), 9).await.unwrap().len(), 1);
    left
}

async fn removing_a_device_removes_all_that_is_its(store: TheStore) {
    two_users(&store).await;
    save(&store, [Change::RemoveDevice(device_id("a1"))]).await;
    let left = only_bobs_is_left(&store).await;
    assert_eq!(left.users, [user("alice"), user("bob")]);
    assert_eq!(left.unclaimed, [(address("alice"), 1), (address("bob"), 1)]);
    let kept = store.message(&message_id("m-a1")).await.unwrap();
    assert_eq!(kept, Some(message("m-a1", "carol", "alice")));

    save(&store, [put_device("a1", "alice")]).await;
    assert_eq!(
        queue(&store, "a1").await,
        [""; 0],
        "comes back with nothing"
    );
}

async fn removing_a_user_removes_all_that_is_theirs(store: TheStore) {
    two_users(&store).await;
    save(&store, [Change::RemoveUser(address("alice"))]).await;
    let left = only_bobs_is_left(&store).await;
    assert_eq!(left.users, [user("bob")]);
    assert_eq!(left.unclaimed, [(address("bob"), 1)]);
}

async fn a_device_that_changes_hands_takes_nothing_along(store: TheStore) {
    two_users(&store).await;
    save(&store, [put_device("a1", "bob")]).await;
    assert_eq!(queue(&store, "a1").await, [""; 0]);
    assert_eq!(store.history(&device_id("a1"), 9).await.unwrap(), []);
    assert_eq!(store.load().await.unwrap().owed, [owed("p-b1", "b1", 5)]);
    let bobs = store.devices(Some(&address("bob"))).await.unwrap();
    assert_eq!(bobs, [device("a1", "bob"), device("b1", "bob")]);
    assert_eq!(store.devices(Some(&address("alice"))).await.unwrap(), []);
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

async fn everything_is_loaded_at_once(store: TheStore) {
    save(
        &store,
        [
            put_user("bob"),
            put_user("alice"),
            put_device("d2", "bob"),
            Change::PutDevice(Box::new(full_device("d1", "alice"))),
            archive("m1", "bob", "alice"),
            archive("m2", "bob", "alice"),
            enqueue("d1", "m1"),
            enqueue("d1", "m2"),
            enqueue_for_user("bob", "m2"),
            Change::Owe(owed("p1", "d1", 5)),
        ],
    )
    .await;
    let expected = Snapshot {
        users: vec![user("alice"), user("bob")],
        devices: vec![full_device("d1", "alice"), device("d2", "bob")],
        owed: vec![owed("p1", "d1", 5)],
        queues: vec![(device_id("d1"), 2)],
        unclaimed: vec![(address("bob"), 1)],
    };
    assert_eq!(store.load().await.unwrap(), expected);
}

async fn history_is_told_newest_first(store: TheStore) {
    save(
        &store,
        [
            put_user("alice"),
            put_device("d1", "alice"),
            put_device("d2", "alice"),
        ],
    )
    .await;
    let lines = [
        line("d1", 3, "one"),
        line("d1", 1, "two"),
        line("d1", 1, "three"),
    ];
    save(&store, lines.clone().map(Change::History)).await;
    save(&store, [Change::History(line("d2", 9, "other"))]).await;
    let [one, two, three] = lines;
    let told = store.history(&device_id("d1"), 2).await.unwrap();
    assert_eq!(told, [three.clone(), two.clone()]);
    let told = store.history(&device_id("d1"), usize::MAX).await.unwrap();
    assert_eq!(told, [three, two, one]);
}

async fn a_story_is_found_by_its_id_and_by_the_calls_own(store: TheStore) {
    let mut ring = event("t1", 5, Step::Ringing);
    ring.device = Some(device_id("never seen"));
    let first = [called(event("t1", 7, Step::CallReceived), "call@1"), ring];
    let other = [event("t2", 1, Step::MessageStored)];
    let again = [called(event("t3", 9, Step::CallReceived), "call@1")];
    let [received, ringing] = first.clone();
    save(&store, [Change::Trace(received)]).await;
    save(&store, other.clone().map(Change::Trace)).await;
    save(&store, again.clone().map(Change::Trace)).await;
    save(&store, [Change::Trace(ringing)]).await;

    let trace = async |id| store.trace(id).await.unwrap();
    assert_eq!(
        trace("t1").await,
        first,
        "as they happened, not by the clock"
    );
    assert_eq!(trace("t2").await, other);
    assert_eq!(trace("call@1").await, [&first[..], &again[..]].concat());
    assert_eq!(trace("t4").await, []);
}

async fn recent_stories_tell_how_they_began_and_ended(store: TheStore) {
    let steps = [
        ("t1", Step::CallReceived),
        ("t2", Step::MessageStored),
        ("t1", Step::Ringing),
        ("t3", Step::CallReceived),
        ("t1", Step::Answered),
    ];
    for (at, (tracking, step)) in (10..).zip(steps) {
        save(&store, [Change::Trace(event(tracking, at, step))]).await;
    }
    let told = |tracking: &str, began, first: Step, last| Story {
        tracking: TrackingId(tracking.to_owned()),
        began: Timestamp(began),
        first,
        summary: format!("{tracking}: {}", first.name()),
        last,
    };
    let expected = [
        told("t3", 13, Step::CallReceived, Step::CallReceived),
        told("t2", 11, Step::MessageStored, Step::MessageStored),
        told("t1", 10, Step::CallReceived, Step::Answered),
    ];
    assert_eq!(store.recent_traces(9).await.unwrap(), expected);
    assert_eq!(store.recent_traces(1).await.unwrap(), expected[..1]);
}

async fn notes_are_saved_before_an_empty_step_is_answered(store: TheStore) {
    for at in 0..100 {
        store.note(vec![Change::Trace(event("t1", at, Step::PushSent))]);
    }
    save(&store, []).await;
    assert_eq!(store.trace("t1").await.unwrap().len(), 100);
    assert_eq!(store.stats().notes_dropped, 0);
}

async fn a_note_that_fails_is_counted(store: TheStore) {
    store.note(vec![Change::History(line("nobody's", 1, "seen"))]);
    save(&store, []).await;
    assert_eq!(store.stats().notes_dropped, 1);
}

async fn retention_removes_what_is_older_and_keeps_what_waits(store: TheStore) {
    let dated = |id: &str, at| {
        let message = message(id, "bob", "alice");
        Change::Archive(Message {
            at: Timestamp(at),
            ..message
        })
    };
    save(
        &store,
        [
            put_user("alice"),
            put_device("d1", "alice"),
            dated("old", 99),
            dated("waits", 1),
            dated("waits for user", 1),
            dated("new", 100),
            enqueue("d1", "waits"),
            enqueue_for_user("alice", "waits for user"),
            Change::History(line("d1", 99, "old")),
            Change::History(line("d1", 100, "new")),
            Change::Trace(called(event("old", 99, Step::CallReceived), "call@1")),
            Change::Trace(event("old", 200, Step::CallEnded)),
            Change::Trace(event("new", 100, Step::CallReceived)),
        ],
    )
    .await;
    let pruned = store.prune(Timestamp(100)).await.unwrap();
    let one_each = Pruned {
        stories: 1,
        messages: 1,
        history: 1,
    };
    assert_eq!(pruned, one_each);
    let left = store.archive(&address("alice"), None, 9).await.unwrap();
    assert_eq!(ids(&left), ["new", "waits for user", "waits"]);
    let told = store.history(&device_id("d1"), 9).await.unwrap();
    assert_eq!(told, [line("d1", 100, "new")]);
    assert_eq!(store.trace("old").await.unwrap(), []);
    assert_eq!(store.trace("call@1").await.unwrap(), []);
    assert_eq!(store.recent_traces(9).await.unwrap().len(), 1);

    save(&store, [delivered("d1", "waits")]).await;
    let pruned = store.prune(Timestamp(100)).await.unwrap();
    assert_eq!((pruned.stories, pruned.messages, pruned.history), (0, 1, 0));
}

async fn retention_removes_more_than_one_bite(store: TheStore) {
    let many = limits::PRUNE_ROWS as u64 * 2 + 1;
    let event = |n: u64| Change::Trace(event(&format!("t{n}"), n, Step::MessageStored));
    save(&store, (0..many).map(event)).await;
    let pruned = store.prune(Timestamp(many - 1)).await.unwrap();
    assert_eq!(pruned.stories, many - 1);
    assert_eq!(store.recent_traces(9).await.unwrap().len(), 1);
}

async fn the_end_of_time_is_a_time(store: TheStore) {
    let mut push = owed("p1", "d1", 5);
    push.until = Timestamp(u64::MAX);
    save(
        &store,
        [
            put_user("alice"),
            put_device("d1", "alice"),
            Change::Owe(push),
        ],
    )
    .await;
    let read = store.load().await.unwrap().owed;
    assert!(read[0].until >= Timestamp(i64::MAX.unsigned_abs()));
    assert_eq!(
        store.prune(Timestamp(u64::MAX)).await.unwrap(),
        Pruned::default()
    );
}

async fn names_may_hold_any_text(store: TheStore) {
    let odd = "'; DROP TABLE users; -- \u{0} % _ \u{1f4de} \"";
    let mut alice = user("alice");
    alice.display_name = odd.to_owned();
    save(
        &store,
        [
            Change::PutUser(alice.clone()),
            put_device(odd, "alice"),
            archive(odd, "bob", "alice"),
            enqueue(odd, odd),
        ],
    )
    .await;
    assert_eq!(store.users().await.unwrap(), [alice]);
    assert_eq!(queue(&store, odd).await, [odd]);
    save(&store, [delivered(odd, odd)]).await;
    assert_eq!(queue(&store, odd).await, [""; 0]);
}

async fn a_closed_store_answers_so(store: TheStore) {
    let last = store.commit(vec![put_user("alice")]);
    store.close().await.unwrap();
    assert_eq!(last.await, Ok(()), "handed in before");
    assert_eq!(store.commit(vec![]).await, Err(StoreError::Closed));
    assert_eq!(store.users().await, Err(StoreError::Closed));
    assert_eq!(store.prune(Timestamp(1)).await, Err(StoreError::Closed));
    assert_eq!(store.changed_elsewhere().await, Err(StoreError::Closed));
    store.note(vec![put_user("bob")]);
    assert_eq!(store.stats().notes_dropped, 1);
    store.close().await.unwrap();
}
