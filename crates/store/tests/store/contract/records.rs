//! What is kept for those who ask later: history, stories, and how long.

use crate::world::*;
use domain::{Change, Message, Timestamp, TrackingId, trace::Step};
use store::{Pruned, Story, limits};

contract! {
    history_is_told_newest_first,
    a_story_is_found_by_its_id_and_by_the_calls_own,
    recent_stories_tell_how_they_began_and_ended,
    retention_removes_what_is_older_and_keeps_what_waits,
    retention_removes_more_than_one_bite,
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
            Change::Trace(event("old", 200, Step::CallConnected)),
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
