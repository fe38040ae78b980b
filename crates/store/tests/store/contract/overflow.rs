//! Queues that are full, and go over into the archive.

use crate::world::*;
use domain::{Change, Record, Timestamp};
use store::StoreError;

contract! {
    what_went_over_waits_again_in_the_order_of_the_archive,
    only_what_its_user_got_comes_back,
    what_went_over_is_not_pruned,
    nothing_goes_over_for_what_is_not_there,
    what_went_over_goes_with_its_device,
}

async fn queued(store: &TheStore, device: &str) -> Vec<String> {
    let queued = store.queued(&device_id(device), 100).await.unwrap();
    queued.iter().map(|it| it.id.to_string()).collect()
}

async fn over(store: &TheStore) -> Vec<u64> {
    let records = records(store).await.into_iter();
    let over = records.filter_map(|it| match it {
        Record::Over(_, messages) => Some(messages),
        _ => None,
    });
    over.collect()
}

fn archive(id: &str, from: &str, to: &str) -> Change {
    Change::Archive(message(id, from, to).into())
}

/// Bob has a device, in whose queue the first message is; the others went over.
async fn with_three(store: &TheStore) {
    let step = [put_user("alice"), put_user("bob"), put_device("d1", "bob")];
    save(store, step).await;
    save(store, [archive("1", "alice", "bob"), enqueue("d1", "1")]).await;
    for id in ["2", "3", "4"] {
        save(store, [archive(id, "alice", "bob"), go_over("d1", id)]).await;
    }
}

async fn what_went_over_waits_again_in_the_order_of_the_archive(store: TheStore) {
    with_three(&store).await;
    assert_eq!(queued(&store, "d1").await, ["1"]);
    assert_eq!(over(&store).await, [3]);
    save(&store, [delivered("d1", "1"), refill("d1", 2)]).await;
    assert_eq!(queued(&store, "d1").await, ["2", "3"]);
    assert_eq!(over(&store).await, [1]);
    save(&store, [archive("5", "alice", "bob"), go_over("d1", "5")]).await;
    save(&store, [refill("d1", 9)]).await;
    assert_eq!(queued(&store, "d1").await, ["2", "3", "4", "5"]);
    assert!(over(&store).await.is_empty());
    save(&store, [refill("d1", 9)]).await;
    assert_eq!(queued(&store, "d1").await, ["2", "3", "4", "5"]);
}

async fn only_what_its_user_got_comes_back(store: TheStore) {
    with_three(&store).await;
    let others = [
        archive("5", "bob", "alice"),
        archive("6", "alice", "alice"),
        archive("7", "alice", "bob"),
        go_over("d1", "7"),
    ];
    save(&store, others).await;
    save(&store, [refill("d1", 9)]).await;
    assert_eq!(queued(&store, "d1").await, ["1", "2", "3", "4", "7"]);
}

async fn what_went_over_is_not_pruned(store: TheStore) {
    with_three(&store).await;
    save(&store, [archive("5", "bob", "alice")]).await;
    let pruned = store.prune(Timestamp(u64::MAX >> 1)).await.unwrap();
    assert_eq!(pruned.messages, 1, "what nobody waits for");
    save(&store, [refill("d1", 9)]).await;
    assert_eq!(queued(&store, "d1").await, ["1", "2", "3", "4"]);
}

async fn nothing_goes_over_for_what_is_not_there(store: TheStore) {
    with_three(&store).await;
    for (change, wanted) in [
        (go_over("d1", "none"), "message"),
        (go_over("none", "1"), "device"),
    ] {
        let found = attempt(&store, vec![change]).await;
        assert!(
            matches!(&found, Err(StoreError::Missing { kind, .. }) if *kind == wanted),
            "{found:?}"
        );
    }
    save(&store, [refill("none", 1)]).await;
}

async fn what_went_over_goes_with_its_device(store: TheStore) {
    with_three(&store).await;
    save(&store, [Change::RemoveDevice(device_id("d1"))]).await;
    save(&store, [put_device("d1", "bob"), refill("d1", 9)]).await;
    assert_eq!(queued(&store, "d1").await, [] as [String; 0]);
    assert!(over(&store).await.is_empty());
}
