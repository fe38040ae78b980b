//! Users and devices, and what goes with them.

use crate::world::*;
use domain::{Address, Change, DeviceId, Door, Note, Record, Timestamp, User};

contract! {
    a_user_is_replaced_as_a_whole,
    a_device_comes_back_as_it_was,
    a_device_put_again_keeps_its_queue_and_history,
    devices_are_listed_by_user_and_all,
    removing_a_device_removes_all_that_is_its,
    removing_a_user_removes_all_that_is_theirs,
    a_device_that_changes_hands_takes_nothing_along,
    doors_open_and_close_beside_their_device,
    a_device_is_loaded_with_all_that_is_its,
}

async fn a_user_is_replaced_as_a_whole(store: TheStore) {
    let first = User {
        forward: Some("sip:voicemail@example.org".to_owned()),
        ..user("alice")
    };
    save(
        &store,
        [put_user("bob"), Change::PutUser(first.clone().into())],
    )
    .await;
    assert_eq!(
        store.user(&address("alice")).await.unwrap(),
        Some(first.clone())
    );

    let second = User {
        display_name: String::new(),
        secrets: user("carol").secrets,
        ..user("alice")
    };
    save(&store, [Change::PutUser(second.clone().into())]).await;
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
            put_door("d1", 1),
            owe(push.clone()),
        ],
    )
    .await;
    note(&store, [Note::History(line("d1", 1, "seen"))]).await;
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
    let left = loaded(&store).await;
    assert_eq!((left.owed, left.doors), (vec![push], vec![door("d1", 1)]));
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
            Change::PutUser(long.into()),
            Change::PutUser(short.clone().into()),
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
                put_door(id, 0),
                put_door(id, 7),
                owe(owed(&format!("p-{id}"), id, 5)),
            ],
        )
        .await;
        note(store, [Note::History(line(id, 1, "seen"))]).await;
    }
}

/// All of Bob's is there, and of Alice's device nothing but its story.
async fn only_bobs_is_left(store: &TheStore) -> Loaded {
    let left = loaded(store).await;
    let of_devices: Vec<&DeviceId> = left.devices.iter().map(|device| &device.id).collect();
    assert_eq!(of_devices, [&device_id("b1")]);
    assert_eq!(left.queued, [(device_id("b1"), 1)]);
    assert_eq!(left.owed, [owed("p-b1", "b1", 5)]);
    assert_eq!(left.doors, [door("b1", 0), door("b1", 7)]);
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
    let left = loaded(&store).await;
    assert_eq!(left.owed, [owed("p-b1", "b1", 5)]);
    assert_eq!(left.doors, [door("b1", 0), door("b1", 7)]);
    let bobs = store.devices(Some(&address("bob"))).await.unwrap();
    assert_eq!(bobs, [device("a1", "bob"), device("b1", "bob")]);
    assert_eq!(store.devices(Some(&address("alice"))).await.unwrap(), []);
}

async fn doors_open_and_close_beside_their_device(store: TheStore) {
    let first = door("d1", 0);
    let highest = Door {
        data: bytes::Bytes::new(),
        ..door("d1", u32::MAX)
    };
    save(&store, [put_user("alice"), put_device("d1", "alice")]).await;
    let open = |door: &Door| Change::PutDoor(Box::new(door.clone()));
    save(&store, [open(&highest), open(&first)]).await;
    let doors = async |id: &str| store.doors(&device_id(id)).await.unwrap();
    assert_eq!(doors("d1").await, [first.clone(), highest.clone()]);
    assert_eq!(doors("d2").await, []);

    let again = Door {
        expires_at: Timestamp(99),
        data: "elsewhere".into(),
        ..highest
    };
    save(&store, [open(&again), Change::RemoveDoor(first.id)]).await;
    save(&store, [Change::RemoveDoor(door_id("d2", 0))]).await;
    assert_eq!(doors("d1").await, [again]);
}

async fn a_device_is_loaded_with_all_that_is_its(store: TheStore) {
    let ids: Vec<String> = (0..50).map(|n| format!("d{n}")).collect();
    save(
        &store,
        [
            put_user("bob"),
            put_user("alice"),
            archive("m1", "bob", "alice"),
            archive("m2", "bob", "alice"),
            enqueue_for_user("bob", "m2"),
        ],
    )
    .await;
    for id in &ids {
        let step = [
            Change::PutDevice(Box::new(full_device(id, "alice"))),
            put_door(id, 3),
            put_door(id, 0),
            enqueue(id, "m1"),
            enqueue(id, "m2"),
            owe(owed(&format!("p-{id}"), id, 5)),
        ];
        save(&store, step).await;
    }
    let mut read = records(&store).await.into_iter();
    assert_eq!(read.next(), Some(Record::User(user("alice"))));
    assert_eq!(read.next(), Some(Record::User(user("bob"))));
    let mut seen = Vec::new();
    for _ in &ids {
        let Some(Record::Device(device)) = read.next() else {
            panic!("a device comes first");
        };
        let id = device.id.as_str();
        let theirs = [
            Record::Door(door(id, 0)),
            Record::Door(door(id, 3)),
            Record::Queued(device.id.clone(), 2),
            Record::Owed(owed(&format!("p-{id}"), id, 5)),
        ];
        assert_eq!(read.by_ref().take(4).collect::<Vec<_>>(), theirs);
        seen.push(id.to_owned());
    }
    seen.sort();
    let mut ids = ids;
    ids.sort();
    assert_eq!(seen, ids);
    let last: Vec<Record> = read.collect();
    assert_eq!(last, [Record::Unclaimed(address("bob"), 1)]);
}
