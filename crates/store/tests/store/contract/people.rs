//! Users and devices, and what goes with them.

use crate::world::*;
use domain::{Address, Change, DeviceId, User};
use store::Snapshot;

contract! {
    a_user_is_replaced_as_a_whole,
    a_device_comes_back_as_it_was,
    a_device_put_again_keeps_its_queue_and_history,
    devices_are_listed_by_user_and_all,
    removing_a_device_removes_all_that_is_its,
    removing_a_user_removes_all_that_is_theirs,
    a_device_that_changes_hands_takes_nothing_along,
    everything_is_loaded_at_once,
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
