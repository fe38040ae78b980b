//! The backends against each other: random steps in a small world must be answered and end alike.

use crate::world::*;
use domain::{
    ArchiveQuery, Change, Class, DeviceId, Door, MessageId, Note, Timestamp,
    trace::{Named, Step},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use store::{Forgotten, Pruned, StoreError};

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const DEVICES: [&str; 3] = ["d1", "d2", "d3"];
const NAMES: [&str; 4] = ["1", "2", "3", "4"];

fn change() -> impl Strategy<Value = Change> {
    let user = || select(&USERS[..]);
    let device = || select(&DEVICES[..]);
    let name = || select(&NAMES[..]);
    prop_oneof![
        4 => user().prop_map(put_user),
        1 => user().prop_map(|user| Change::RemoveUser(address(user))),
        3 => (user(), user(), 0..3u8).prop_map(|(user, peer, how)| put_contact(user, peer, how)),
        1 => (user(), user()).prop_map(|(user, peer)| remove_contact(user, peer)),
        2 => (user(), user()).prop_map(|(user, peer)| block(user, peer)),
        1 => (user(), user()).prop_map(|(user, peer)| unblock(user, peer)),
        2 => (user(), 0..3u8).prop_map(|(user, kind)| put_card(user, kind)),
        2 => (user(), name(), 0..9u64).prop_map(|(user, client, at)| {
            let data = if at == 0 { "" } else { "tokens" };
            put_sign_in_tokens(user, client, at, data)
        }),
        2 => (user(), name(), 0..9u64).prop_map(|(user, name, until)| {
            let data = if until == 0 { "" } else { "session" };
            put_session(session(user, name, until, data))
        }),
        4 => (device(), user()).prop_map(|(id, user)| put_device(id, user)),
        2 => (device(), user()).prop_map(|(id, user)| Change::PutDevice(Box::new(full_device(id, user)))),
        1 => device().prop_map(|id| Change::RemoveDevice(device_id(id))),
        4 => (device(), 0..3u32, 0..9u64).prop_map(|(id, number, at)| {
            let door = Door { expires_at: Timestamp(at), ..door(id, number) };
            Change::PutDoor(Box::new(door))
        }),
        1 => (device(), 0..3u32).prop_map(|(id, number)| Change::RemoveDoor(door_id(id, number))),
        6 => (name(), user(), user(), 0..9u64).prop_map(|(id, from, to, at)| {
            let mut message = message(id, from, to);
            message.at = Timestamp(at);
            message.class = match at {
                0 => Class::Transient,
                1..=3 => Class::Chat,
                _ => message.class,
            };
            Change::Archive(message.into())
        }),
        4 => (device(), name()).prop_map(|(id, message)| enqueue(id, message)),
        3 => (device(), name()).prop_map(|(id, message)| go_over(id, message)),
        2 => (device(), 1..4u64).prop_map(|(id, most)| refill(id, most)),
        2 => (user(), name()).prop_map(|(user, message)| enqueue_for_user(user, message)),
        2 => (user(), device()).prop_map(|(user, device)| adopt(user, device)),
        1 => device().prop_map(|id| Change::ReturnQueue(device_id(id))),
        2 => (device(), name()).prop_map(|(id, message)| delivered(id, message)),
        2 => (user(), user(), name()).prop_map(|(user, writer, up_to)| Change::Read {
            user: address(user),
            writer: address(writer).to_string().into(),
            up_to: message_id(up_to),
        }),
        2 => (name(), device(), 0..9u64).prop_map(|(id, device, due)| owe(owed(id, device, due))),
        1 => name().prop_map(settle),
    ]
}

fn a_note() -> impl Strategy<Value = Note> {
    let name = || select(&NAMES[..]);
    prop_oneof![
        (select(&DEVICES[..]), 0..9u64).prop_map(|(id, at)| Note::History(line(id, at, "seen"))),
        (name(), 0..9u64, select(Step::ALL), name()).prop_map(|(story, at, step, alias)| {
            Note::Story(called(event(story, at, step), alias))
        }),
    ]
}

/// What one caller hands in.
#[derive(Clone, Debug)]
enum Turn {
    Commit(Vec<Vec<Change>>),
    Note(Vec<Note>),
}

fn a_query() -> impl Strategy<Value = ArchiveQuery> {
    let names = || vec(select(&NAMES[..]).prop_map(MessageId::from), 0..2);
    let time = || option::weighted(0.2, (0..9u64).prop_map(Timestamp));
    let with = select(&USERS[..]).prop_map(|user| address(user).to_string());
    let names = (names(), names(), option::weighted(0.2, names()));
    let rest = (option::of(with), time(), time());
    (names, rest, any::<bool>(), 0..5usize).prop_map(|(names, rest, from_end, limit)| {
        ArchiveQuery {
            with: rest.0,
            start: rest.1,
            end: rest.2,
            after: names.0,
            before: names.1,
            ids: names.2.unwrap_or_default(),
            from_end,
            limit,
        }
    })
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        3 => vec(vec(change(), 1..6), 1..5).prop_map(Turn::Commit),
        1 => vec(a_note(), 1..6).prop_map(Turn::Note),
    ]
}

/// What a run has to show: the answers, and everything that can be read in the end.
#[derive(Debug, PartialEq)]
struct Outcome {
    answers: Vec<Result<Vec<Result<(), StoreError>>, StoreError>>,
    forgotten: Forgotten,
    pruned: Pruned,
    told: Vec<String>,
}

async fn run(
    store: &TheStore,
    turns: &[Turn],
    queries: &[ArchiveQuery],
    before: Timestamp,
) -> Outcome {
    let mut answers = Vec::new();
    for turn in turns.iter().cloned() {
        match turn {
            Turn::Commit(steps) => answers.push(store.commit(steps).await),
            Turn::Note(notes) => note(store, notes).await,
        }
    }
    let mut told = everything(store).await;
    told.extend(archives(store, queries).await);
    let who = Named {
        user: address(USERS[0]),
        devices: vec![device_id(DEVICES[0])],
    };
    let forgotten = store.forget(&who).await.unwrap();
    told.extend(everything(store).await);
    let pruned = store.prune(before).await.unwrap();
    told.extend(everything(store).await);
    told.extend(archives(store, queries).await);
    Outcome {
        answers,
        forgotten,
        pruned,
        told,
    }
}

async fn archives(store: &TheStore, queries: &[ArchiveQuery]) -> Vec<String> {
    let mut told = Vec::new();
    for query in queries {
        for user in USERS.map(address) {
            told.push(format!("{user}: {:?}", store.archive(&user, query).await));
        }
    }
    told
}

async fn everything(store: &TheStore) -> Vec<String> {
    let mut told = vec![
        format!("{:?}", loaded(store).await),
        format!("{:?}", store.recent_traces(99).await),
    ];
    for id in DEVICES.map(DeviceId::from) {
        told.push(format!("{id}: {:?}", store.queued(&id, 99).await));
        for name in NAMES.map(message_id) {
            told.push(format!("{id}: {:?}", store.unread(&id, Some(&name)).await));
        }
        told.push(format!("{id}: {:?}", store.doors(&id).await));
        told.push(format!("{id}: {:?}", store.owed(&id).await));
        told.push(format!("{id}: {:?}", store.history(&id, 99).await));
    }
    for name in NAMES {
        told.push(format!("{name}: {:?}", store.trace(name).await));
        let message = store.message(&message_id(name)).await;
        told.push(format!("{name}: {message:?}"));
    }
    for user in USERS.map(address) {
        told.push(format!("{user}: {:?}", store.devices(Some(&user)).await));
        told.push(format!("{user}: {:?}", store.roster(&user).await));
        told.push(format!("{user}: {:?}", store.blocked(&user).await));
        told.push(format!("{user}: {:?}", store.card(&user).await));
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_backends_answer_and_end_alike(
        turns in vec(turn(), 1..25),
        queries in vec(a_query(), 1..9),
        before in (0..9u64).prop_map(Timestamp),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let memory = store::open("memory:").unwrap();
            let sqlite = sqlite(&directory.path().join("db"));
            let expected = run(&memory, &turns, &queries, before).await;
            let found = run(&sqlite, &turns, &queries, before).await;
            prop_assert_eq!(expected, found);
            Ok(())
        })?;
    }
}
