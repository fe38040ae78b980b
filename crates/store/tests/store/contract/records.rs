//! What is kept for those who ask later: history, stories, and how long.

use crate::world::*;
use domain::{Change, Message, Note, Timestamp, trace::Step};
use store::{Pruned, Story, limits};

contract! {
    history_is_told_newest_first,
    a_story_is_found_by_its_id_and_by_the_calls_own,
    recent_stories_tell_how_they_began_and_ended,
    retention_removes_what_is_older_and_keeps_what_waits,
    retention_removes_more_than_one_bite,
    retention_stops_at_the_first_that_is_new,
    notes_about_a_device_that_is_gone_are_dropped,
    what_is_read_of_stories_sees_the_notes_before_it,
    more_notes_than_fit_are_dropped_and_nothing_else_suffers,
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
    note(&store, lines.clone().map(Note::History)).await;
    note(&store, [Note::History(line("d2", 9, "other"))]).await;
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
    note(&store, [Note::Story(received)]).await;
    note(&store, other.clone().map(Note::Story)).await;
    note(&store, again.clone().map(Note::Story)).await;
    note(&store, [Note::Story(ringing)]).await;

    let trace = async |id| store.trace(id).await.unwrap();
    assert_eq!(
        trace("t1").await,
        first,
        "as they happened, not by the clock"
    );
    assert_eq!(trace("t2").await, other);
    assert_eq!(trace("call@1").await, [&first[..], &again[..]].concat());
    assert_eq!(trace("t4").await, []);
    let names = store.story_names("call@", 9).await.unwrap();
    assert_eq!(names, ["call@1"], "of several stories, and once");
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
        note(&store, [Note::Story(event(tracking, at, step))]).await;
    }
    let told = |tracking: &str, began, first: Step, last| Story {
        tracking: tracking.into(),
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

    for (beginning, expected) in [
        ("t", &["t1", "t2", "t3"][..]),
        ("t2", &["t2"]),
        ("t2 and more", &[]),
        ("T", &[]),
    ] {
        let mut names = store.story_names(beginning, 9).await.unwrap();
        names.sort_unstable();
        assert_eq!(names, expected, "{beginning}");
    }
    assert_eq!(store.story_names("t", 2).await.unwrap().len(), 2);
}

async fn retention_removes_what_is_older_and_keeps_what_waits(store: TheStore) {
    let dated = |id: &str, at| {
        let message = message(id, "bob", "alice");
        let dated = Message {
            at: Timestamp(at),
            ..message
        };
        Change::Archive(dated.into())
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
        ],
    )
    .await;
    let notes = [
        Note::History(line("d1", 99, "old")),
        Note::History(line("d1", 100, "new")),
        Note::Story(called(event("old", 99, Step::CallReceived), "call@1")),
        Note::Story(event("old", 200, Step::CallConnected)),
        Note::Story(event("new", 100, Step::CallReceived)),
    ];
    note(&store, notes).await;
    let pruned = store.prune(Timestamp(100)).await.unwrap();
    let one_each = Pruned {
        stories: 1,
        messages: 1,
        history: 1,
    };
    assert_eq!(pruned, one_each);
    for (id, is_left) in [
        ("old", false),
        ("waits", true),
        ("waits for user", true),
        ("new", true),
    ] {
        let read = store.message(&message_id(id)).await.unwrap();
        assert_eq!(read.is_some(), is_left, "{id}");
    }
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
    let event = |n: u64| Note::Story(event(&format!("t{n}"), n, Step::MessageStored));
    note(&store, (0..many).map(event)).await;
    let pruned = store.prune(Timestamp(many - 1)).await.unwrap();
    assert_eq!(pruned.stories, many - 1);
    assert_eq!(store.recent_traces(9).await.unwrap().len(), 1);
}

async fn retention_stops_at_the_first_that_is_new(store: TheStore) {
    let event = |name: &str, at| Note::Story(event(name, at, Step::MessageStored));
    note(&store, [event("a", 1), event("b", 9), event("c", 1)]).await;
    let pruned = store.prune(Timestamp(5)).await.unwrap();
    assert_eq!(
        pruned.stories, 1,
        "by arrival, and not by a clock that went back"
    );
}

async fn notes_about_a_device_that_is_gone_are_dropped(store: TheStore) {
    save(&store, [put_user("alice"), put_device("d1", "alice")]).await;
    let lines = ["d1", "nobody's", "d1"].map(|device| line(device, 1, "seen"));
    note(&store, lines.map(Note::History)).await;
    let told = store.history(&device_id("d1"), 9).await.unwrap();
    assert_eq!(told.len(), 2, "the others stay");
    assert_eq!(store.stats().notes_dropped, 1);
}

async fn what_is_read_of_stories_sees_the_notes_before_it(store: TheStore) {
    save(&store, [put_user("alice"), put_device("d1", "alice")]).await;
    let many = limits::NOTE_BATCH as u64 + 3;
    let event = |at| Note::Story(event("t1", at, Step::PushSent));
    store.note((0..many).map(event).collect());
    assert_eq!(store.trace("t1").await.unwrap().len() as u64, many);
    store.note(vec![event(many)]);
    assert_eq!(store.recent_traces(9).await.unwrap().len(), 1);
    store.note(vec![Note::History(line("d1", 1, "seen"))]);
    let told = store.history(&device_id("d1"), 9).await.unwrap();
    assert_eq!(told, [line("d1", 1, "seen")]);
    assert_eq!(store.stats().notes_dropped, 0);
}

/// In memory, where nothing waits, they all fit.
async fn more_notes_than_fit_are_dropped_and_nothing_else_suffers(store: TheStore) {
    let many = limits::NOTES as u64 + 7;
    let event = |at| Note::Story(event("t1", at, Step::PushSent));
    store.note((0..many).map(event).collect());
    save(&store, [put_user("alice")]).await;
    store.flush().await.unwrap();
    assert!([0, 7].contains(&store.stats().notes_dropped));
    assert_eq!(store.stats().failed, 0);
}
