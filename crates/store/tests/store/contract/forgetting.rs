//! What is left of users who have no account any more.

use crate::world::*;
use domain::{
    Change, Message, Note,
    trace::{Named, Step},
};
use store::{Forgotten, limits};

contract! {
    what_is_in_nobodys_archive_goes_with_its_story,
    stories_go_that_name_them_and_their_devices,
    more_than_one_bite_is_forgotten,
    stories_of_somebody_are_told_in_pages,
}

fn named(name: &str, devices: &[&str]) -> Named {
    Named {
        user: address(name),
        devices: devices.iter().map(|id| device_id(id)).collect(),
    }
}

async fn left(store: &TheStore, ids: &[&'static str]) -> Vec<&'static str> {
    let mut left = Vec::new();
    for id in ids {
        if store.message(&message_id(id)).await.unwrap().is_some() {
            left.push(*id);
        }
    }
    left
}

async fn what_is_in_nobodys_archive_goes_with_its_story(store: TheStore) {
    let users = ["alice", "bob", "carol"].map(put_user);
    let messages = [
        archive("to bob", "alice", "bob"),
        archive("from bob", "bob", "alice"),
        archive("to herself", "alice", "alice"),
        archive("to carol", "alice", "carol"),
        archive("of others", "bob", "bob"),
        archive("from outside", "stranger", "alice"),
        archive("waits", "alice", "stranger"),
        put_device("d1", "bob"),
        enqueue("d1", "waits"),
    ];
    save(&store, users.into_iter().chain(messages)).await;
    let all = [
        "to bob",
        "from bob",
        "to herself",
        "to carol",
        "of others",
        "from outside",
        "waits",
    ];
    let stories = all.map(|id| event(&format!("t-{id}"), 1, Step::MessageStored));
    note(&store, stories.map(Note::Story)).await;
    let nothing = store.forget(&named("nobody", &[])).await.unwrap();
    assert_eq!(nothing, Forgotten::default());

    let gone = ["alice", "carol"].map(|it| Change::RemoveUser(address(it)));
    save(&store, gone).await;
    let forgotten = store.forget(&named("alice", &[])).await.unwrap();
    assert_eq!((forgotten.messages, forgotten.stories), (3, 0));
    assert_eq!(
        left(&store, &all).await,
        ["to bob", "from bob", "of others", "waits"]
    );
    assert_eq!(store.trace("t-to herself").await.unwrap(), []);
    assert_eq!(store.trace("t-to bob").await.unwrap().len(), 1);
    // Again there is nothing to do.
    let again = store.forget(&named("alice", &[])).await.unwrap();
    assert_eq!(again, Forgotten::default());
}

async fn stories_go_that_name_them_and_their_devices(store: TheStore) {
    let mut by_device = event("by device", 2, Step::Ringing);
    by_device.device = Some(device_id("d1"));
    let mut by_address = event("by address", 1, Step::CallReceived);
    "from alice@example.org to bob@example.org".clone_into(&mut by_address.detail);
    let mut of_other = event("of other", 1, Step::CallReceived);
    "from malice@example.org to bob@example.org".clone_into(&mut of_other.detail);
    let mut later = event("by address", 2, Step::Ringing);
    later.device = Some(device_id("bobs"));
    let stories = [
        by_address,
        event("by device", 1, Step::CallReceived),
        by_device,
        of_other,
        later,
    ];
    note(&store, stories.map(Note::Story)).await;
    let forgotten = store.forget(&named("alice", &["d1"])).await.unwrap();
    assert_eq!((forgotten.messages, forgotten.stories), (0, 2));
    let recent = store.recent_traces(9).await.unwrap();
    let tracking: Vec<_> = recent.iter().map(|it| it.tracking.as_str()).collect();
    assert_eq!(tracking, ["of other"]);
}

async fn more_than_one_bite_is_forgotten(store: TheStore) {
    let many = limits::LOOK + 3;
    let name = |number| format!("m{number}");
    let archive = |number: usize| {
        let message = message(&name(number), "alice", "alice");
        Change::Archive(Message { ..message }.into())
    };
    save(
        &store,
        [put_user("alice")]
            .into_iter()
            .chain((0..many).map(archive)),
    )
    .await;
    let story = |number: usize| {
        let mut event = event(&format!("s{number}"), 1, Step::CallReceived);
        "to alice@example.org".clone_into(&mut event.detail);
        Note::Story(event)
    };
    note(&store, (0..many).map(story)).await;
    save(&store, [Change::RemoveUser(address("alice"))]).await;
    let forgotten = store.forget(&named("alice", &[])).await.unwrap();
    let many = many as u64;
    assert_eq!((forgotten.messages, forgotten.stories), (many, many));
}

async fn stories_of_somebody_are_told_in_pages(store: TheStore) {
    let story = |number: usize| {
        let mut event = event(&format!("s{number}"), 1, Step::CallReceived);
        if number.is_multiple_of(100) {
            "to alice@example.org".clone_into(&mut event.detail);
        }
        Note::Story(event)
    };
    note(&store, (0..=limits::LOOK).map(story)).await;
    let who = named("alice", &[]);
    let mut told = Vec::new();
    let mut after = 0;
    while let Some(next) = {
        let page = store.stories_of(&who, after).await.unwrap();
        told.extend(
            page.stories
                .into_iter()
                .map(|it| it[0].tracking.to_string()),
        );
        page.next
    } {
        after = next;
    }
    assert_eq!(told, ["s0", "s100", "s200", "s300", "s400", "s500"]);
}
