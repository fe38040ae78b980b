//! Nothing of who is removed is left in the file, also not where nothing reads.

use crate::world::*;
use bytes::Bytes;
use domain::{
    Card, Change, Note, User,
    roster::Contact,
    trace::{Named, Step},
};

/// Stands in everything that is theirs.
const MARK: &str = "Zebrafinch";

/// Whether it stands anywhere in the files of a database.
fn is_left(directory: &std::path::Path) -> bool {
    let files = directory.read_dir().unwrap();
    files.into_iter().any(|file| {
        let octets = std::fs::read(file.unwrap().path()).unwrap();
        octets
            .windows(MARK.len())
            .any(|it| it.eq_ignore_ascii_case(MARK.as_bytes()))
    })
}

/// So much that whole pages are filled, and larger values have pages of their own.
fn plant() -> Vec<Change> {
    let text = |kind: &str, number: usize| format!("{kind} {MARK} {number} {}", "x".repeat(300));
    let mut alice = full_device("d1", "alice");
    alice.app = Some(MARK.into());
    let mut changes = vec![
        Change::PutUser(Box::new(User {
            display_name: MARK.to_owned(),
            ..user("alice")
        })),
        Change::PutDevice(Box::new(alice)),
        put_door("d1", 1),
        Change::PutCard {
            user: address("alice"),
            card: Box::new(Card {
                octets: Bytes::from(text("card", 0).repeat(100)),
                avatar: None,
            }),
        },
    ];
    for number in 0..200 {
        changes.push(block("alice", &text("blocked", number)));
        changes.push(Change::PutContact(Box::new(Contact {
            name: text("contact", number),
            groups: vec![MARK.to_owned()],
            is_listed: true,
            ..Contact::new(address("alice"), address(&format!("peer{number}")))
        })));
        let mut note = message(&format!("m{number}"), "alice", "alice");
        note.body = Bytes::from(text("note", number).repeat(1 + number % 30));
        MARK.clone_into(&mut note.from_name);
        changes.push(Change::Archive(note.into()));
        changes.push(enqueue("d1", &format!("m{number}")));
    }
    changes
}

#[tokio::test]
async fn nothing_of_who_is_removed_is_left_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(&directory.path().join("db"));
    save(&store, [put_user("bob"), put_contact("bob", "alice", 2)]).await;
    save(&store, plant()).await;
    let mut story = event("t1", 1, Step::CallReceived);
    story.detail = format!("from alice@example.org, {MARK}");
    let history = line("d1", 1, MARK);
    note(&store, [Note::Story(story), Note::History(history)]).await;
    store.close().await.unwrap();
    drop(store);
    assert!(is_left(directory.path()), "it was there");

    let store = sqlite(&directory.path().join("db"));
    save(&store, [Change::RemoveUser(address("alice"))]).await;
    let who = Named {
        user: address("alice"),
        devices: vec![device_id("d1")],
    };
    let forgotten = store.forget(&who).await.unwrap();
    assert_eq!((forgotten.stories, forgotten.messages), (1, 200));
    store.close().await.unwrap();
    drop(store);
    assert!(!is_left(directory.path()));
    // Others have what is theirs.
    let store = sqlite(&directory.path().join("db"));
    assert_eq!(store.roster(&address("bob")).await.unwrap().len(), 1);
}
