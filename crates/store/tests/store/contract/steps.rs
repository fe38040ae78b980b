//! Steps: all or nothing, each for itself; notes; the end.

use crate::world::*;
use domain::{Change, Note, Timestamp, trace::Step};
use store::{Pruned, StoreError};

contract! {
    a_new_store_is_empty,
    a_change_that_speaks_of_nothing_fails_by_name,
    removing_what_is_not_there_is_no_failure,
    a_step_stands_or_falls_as_a_whole,
    a_failed_step_brings_back_what_it_removed,
    a_failing_step_leaves_the_others_alone,
    an_answer_that_nobody_waits_for_takes_nothing_back,
    steps_of_one_commit_stand_or_fall_alone,
    names_may_hold_any_text,
    the_end_of_time_is_a_time,
    a_closed_store_answers_so,
}

async fn a_new_store_is_empty(store: TheStore) {
    assert_eq!(loaded(&store).await, Loaded::default());
    assert_eq!(store.users().await.unwrap(), []);
    assert_eq!(store.recent_traces(10).await.unwrap(), []);
    assert_eq!(store.commit(vec![]).await.unwrap(), []);
    assert!(!store.changed_elsewhere().await.unwrap());
}

fn missing(kind: &'static str, name: &str) -> Result<(), StoreError> {
    let name = name.to_owned();
    Err(StoreError::Missing { kind, name })
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
        (put_door("d2", 0), missing("device", "d2")),
        (enqueue("d2", "m1"), missing("device", "d2")),
        (enqueue("d2", "m2"), missing("message", "m2")),
        (enqueue("d1", "m2"), missing("message", "m2")),
        (enqueue_for_user("bob", "m1"), missing("user", &bob)),
        (enqueue_for_user("alice", "m2"), missing("message", "m2")),
        (adopt("alice", "d2"), missing("device", "d2")),
        (owe(owed("p1", "d2", 5)), missing("device", "d2")),
    ];
    for (change, expected) in cases {
        assert_eq!(
            attempt(&store, vec![change.clone()]).await,
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
    assert_eq!(loaded(&store).await, Loaded::default());
}

async fn a_step_stands_or_falls_as_a_whole(store: TheStore) {
    let step = vec![
        put_user("alice"),
        put_device("d1", "alice"),
        archive("m1", "bob", "alice"),
        enqueue("d1", "m1"),
        owe(owed("p1", "d1", 5)),
        put_door("d1", 0),
        enqueue("d1", "nothing"),
    ];
    assert_eq!(attempt(&store, step).await, missing("message", "nothing"));
    assert_eq!(loaded(&store).await, Loaded::default());
    assert_eq!(store.message(&message_id("m1")).await.unwrap(), None);
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
            put_door("d1", 0),
            owe(owed("p1", "d1", 5)),
        ],
    )
    .await;
    note(&store, [Note::History(line("d1", 1, "seen"))]).await;
    let before = loaded(&store).await;
    let step = vec![
        owe(owed("p1", "d1", 99)),
        delivered("d1", "m2"),
        Change::RemoveDevice(device_id("d1")),
        Change::RemoveUser(address("alice")),
        put_user("alice"),
        put_device("d1", "nobody"),
    ];
    assert!(attempt(&store, step).await.is_err());
    assert_eq!(loaded(&store).await, before);
    assert_eq!(queue(&store, "d1").await, ["m1", "m2"]);
    assert_eq!(store.history(&device_id("d1"), 9).await.unwrap().len(), 1);
}

async fn a_failing_step_leaves_the_others_alone(store: TheStore) {
    let answers: Vec<_> = (0..100)
        .map(|n| {
            let name = format!("user{n}");
            let good = vec![put_user(&name), put_device(&name, &name)];
            let bad = vec![put_user(&name), put_device(&name, "nobody")];
            (n, store.commit(vec![if n % 3 == 0 { bad } else { good }]))
        })
        .collect();
    for (n, answer) in answers {
        assert_eq!(answer.await.unwrap()[0].is_err(), n % 3 == 0, "{n}");
    }
    let users = store.users().await.unwrap();
    assert_eq!(users.len(), 66);
    assert_eq!(store.devices(None).await.unwrap().len(), 66);
    assert_eq!((store.stats().steps, store.stats().failed), (66, 34));
}

async fn an_answer_that_nobody_waits_for_takes_nothing_back(store: TheStore) {
    drop(store.commit(vec![vec![put_user("alice")]]));
    save(&store, []).await;
    assert_eq!(store.users().await.unwrap(), [user("alice")]);
}

async fn steps_of_one_commit_stand_or_fall_alone(store: TheStore) {
    let steps = vec![
        vec![put_user("alice"), put_device("d1", "alice")],
        vec![put_user("bob"), put_device("d2", "nobody")],
        vec![],
        vec![put_device("d3", "alice"), enqueue("d3", "nothing")],
        vec![put_door("d1", 0)],
    ];
    let expected = [
        Ok(()),
        missing("user", address("nobody").as_str()),
        Ok(()),
        missing("message", "nothing"),
        Ok(()),
    ];
    assert_eq!(store.commit(steps).await.unwrap(), expected);
    let left = loaded(&store).await;
    assert_eq!(left.users, [user("alice")]);
    assert_eq!(left.devices, [device("d1", "alice")]);
    assert_eq!(left.doors, [door("d1", 0)]);
    assert_eq!((store.stats().steps, store.stats().failed), (3, 2));
}

async fn names_may_hold_any_text(store: TheStore) {
    let odd = "'; DROP TABLE users; -- \u{0} % _ \u{1f4de} \"";
    let mut alice = user("alice");
    alice.display_name = odd.to_owned();
    save(
        &store,
        [
            Change::PutUser(alice.clone().into()),
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

async fn the_end_of_time_is_a_time(store: TheStore) {
    let mut push = owed("p1", "d1", 5);
    push.until = Timestamp(u64::MAX);
    save(
        &store,
        [put_user("alice"), put_device("d1", "alice"), owe(push)],
    )
    .await;
    let read = loaded(&store).await.owed;
    assert!(read[0].until >= Timestamp(i64::MAX.unsigned_abs()));
    assert_eq!(
        store.prune(Timestamp(u64::MAX)).await.unwrap(),
        Pruned::default()
    );
}

async fn a_closed_store_answers_so(store: TheStore) {
    let last = store.commit(vec![vec![put_user("alice")]]);
    store.close().await.unwrap();
    assert_eq!(last.await, Ok(vec![Ok(())]), "handed in before");
    assert_eq!(store.commit(vec![]).await, Err(StoreError::Closed));
    assert_eq!(store.users().await, Err(StoreError::Closed));
    assert_eq!(store.prune(Timestamp(1)).await, Err(StoreError::Closed));
    assert_eq!(store.changed_elsewhere().await, Err(StoreError::Closed));
    assert_eq!(store.flush().await, Err(StoreError::Closed));
    assert_eq!(store.load(Box::new(drop)).await, Err(StoreError::Closed));
    assert_eq!(store.trace("t1").await, Err(StoreError::Closed));
    store.note(vec![Note::Story(event("t1", 1, Step::PushSent))]);
    assert_eq!(store.stats().notes_dropped, 1);
    store.close().await.unwrap();
}
