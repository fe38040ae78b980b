//! The backends against each other: random steps in a small world must be answered and end alike.

use crate::world::*;
use domain::{Change, DeviceId, MessageId, Timestamp, trace::Step};
use proptest::{collection::vec, prelude::*, sample::select};
use store::{Pruned, StoreError};

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const DEVICES: [&str; 3] = ["d1", "d2", "d3"];
const NAMES: [&str; 4] = ["1", "2", "3", "4"];

fn change() -> impl Strategy<Value = Change> {
    let user = || select(&USERS[..]);
    let device = || select(&DEVICES[..]);
    let name = || select(&NAMES[..]);
    let step = select(Step::ALL);
    prop_oneof![
        4 => user().prop_map(put_user),
        1 => user().prop_map(|user| Change::RemoveUser(address(user))),
        4 => (device(), user()).prop_map(|(id, user)| put_device(id, user)),
        2 => (device(), user()).prop_map(|(id, user)| Change::PutDevice(Box::new(full_device(id, user)))),
        1 => device().prop_map(|id| Change::RemoveDevice(device_id(id))),
        2 => (device(), 0..9u64).prop_map(|(id, at)| Change::History(line(id, at, "seen"))),
        6 => (name(), user(), user(), 0..9u64).prop_map(|(id, from, to, at)| {
            let mut message = message(id, from, to);
            message.at = Timestamp(at);
            Change::Archive(message)
        }),
        4 => (device(), name()).prop_map(|(id, message)| enqueue(id, message)),
        2 => (user(), name()).prop_map(|(user, message)| enqueue_for_user(user, message)),
        2 => (user(), device()).prop_map(|(user, device)| adopt(user, device)),
        2 => (device(), name()).prop_map(|(id, message)| delivered(id, message)),
        2 => (name(), device(), 0..9u64).prop_map(|(id, device, due)| Change::Owe(owed(id, device, due))),
        1 => name().prop_map(settle),
        2 => (name(), 0..9u64, step, name()).prop_map(|(story, at, step, alias)| {
            Change::Trace(called(event(story, at, step), alias))
        }),
    ]
}

/// What a run has to show: the answers, and everything that can be read in the end.
#[derive(Debug, PartialEq)]
struct Outcome {
    answers: Vec<Result<(), StoreError>>,
    pruned: Pruned,
    told: Vec<String>,
}

async fn run(store: &TheStore, steps: &[Vec<Change>], before: Timestamp) -> Outcome {
    let mut answers = Vec::new();
    for step in steps {
        answers.push(store.commit(step.clone()).await);
    }
    let mut told = everything(store).await;
    let pruned = store.prune(before).await.unwrap();
    told.extend(everything(store).await);
    Outcome {
        answers,
        pruned,
        told,
    }
}

async fn everything(store: &TheStore) -> Vec<String> {
    let mut told = vec![
        format!("{:?}", store.load().await),
        format!("{:?}", store.recent_traces(99).await),
    ];
    for id in DEVICES.map(|id| DeviceId(id.to_owned())) {
        told.push(format!("{id}: {:?}", store.queued(&id, 99).await));
        told.push(format!("{id}: {:?}", store.unread(&id).await));
        told.push(format!("{id}: {:?}", store.history(&id, 99).await));
    }
    for name in NAMES {
        told.push(format!("{name}: {:?}", store.trace(name).await));
        let id = MessageId(name.to_owned());
        for user in USERS.map(address) {
            let page = store.archive(&user, Some(&id), 99).await;
            told.push(format!("{user} before {name}: {page:?}"));
        }
    }
    for user in USERS.map(address) {
        told.push(format!("{user}: {:?}", store.devices(Some(&user)).await));
        told.push(format!(
            "{user}: {:?}",
            store.archive(&user, None, 99).await
        ));
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_backends_answer_and_end_alike(
        steps in vec(vec(change(), 1..6), 1..40),
        before in (0..9u64).prop_map(Timestamp),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let memory = store::open("memory:").unwrap();
            let sqlite = sqlite(&directory.path().join("db"));
            let expected = run(&memory, &steps, before).await;
            let found = run(&sqlite, &steps, before).await;
            prop_assert_eq!(expected, found);
            Ok(())
        })?;
    }
}
