//! What clients get tokens by.

use crate::world::*;
use domain::{Change, Grant, Timestamp};
use store::{StoreError, limits};

contract! {
    a_grant_comes_back_as_it_was_used_last_and_goes,
    grants_go_with_their_user_and_need_one,
    the_grant_that_was_used_longest_ago_makes_room,
    the_grant_that_was_just_used_stays_when_the_clock_was_set_back,
    a_grant_of_which_nobody_has_a_token_makes_room_first,
    grants_end_when_their_user_is_signed_out,
    grants_that_nobody_has_used_for_long_are_found,
}

fn grant(user: &str, id: &str, turn: u32, at: u64) -> Grant {
    Grant {
        user: address(user),
        id: id.to_owned(),
        turn,
        at: Timestamp(at),
    }
}

fn put(grant: &Grant) -> Change {
    Change::PutGrant(Box::new(grant.clone()))
}

async fn kept(store: &TheStore, user: &str, id: &str) -> Option<Grant> {
    store.grant(&address(user), id).await.unwrap()
}

async fn a_grant_comes_back_as_it_was_used_last_and_goes(store: TheStore) {
    let first = grant("alice", "one", 0, 1);
    save(&store, [put_user("alice"), put_user("bob"), put(&first)]).await;
    assert_eq!(kept(&store, "alice", "one").await, Some(first));
    assert_eq!(kept(&store, "alice", "two").await, None);
    assert_eq!(kept(&store, "bob", "one").await, None);
    let second = grant("alice", "one", 1, 2);
    save(&store, [put(&second)]).await;
    assert_eq!(kept(&store, "alice", "one").await, Some(second));
    for _ in 0..2 {
        let gone = Change::RemoveGrant(address("alice"), "one".to_owned());
        save(&store, [gone]).await;
        assert_eq!(kept(&store, "alice", "one").await, None);
    }
}

async fn grants_go_with_their_user_and_need_one(store: TheStore) {
    let (some, other) = (grant("alice", "one", 0, 1), grant("bob", "one", 0, 1));
    let found = attempt(&store, vec![put(&some)]).await;
    assert!(
        matches!(found, Err(StoreError::Missing { kind: "user", .. })),
        "{found:?}"
    );
    let all = [put_user("alice"), put_user("bob"), put(&some), put(&other)];
    save(&store, all).await;
    let anew = [Change::RemoveUser(address("alice")), put_user("alice")];
    save(&store, anew).await;
    assert_eq!(kept(&store, "alice", "one").await, None);
    assert_eq!(kept(&store, "bob", "one").await, Some(other));
}

async fn the_grant_that_was_used_longest_ago_makes_room(store: TheStore) {
    let other = grant("bob", "one", 0, 0);
    save(&store, [put_user("alice"), put_user("bob"), put(&other)]).await;
    let name = |number: usize| format!("grant-{number}");
    for number in 0..limits::GRANTS {
        let at = u64::try_from(number).unwrap();
        save(&store, [put(&grant("alice", &name(number), 1, 10 + at))]).await;
    }
    // The first one is used again, so the second one is the oldest.
    save(&store, [put(&grant("alice", &name(0), 2, 100))]).await;
    save(&store, [put(&grant("alice", "new", 1, 101))]).await;
    assert_eq!(kept(&store, "alice", &name(1)).await, None);
    for id in [name(0), name(2), "new".to_owned()] {
        assert!(kept(&store, "alice", &id).await.is_some(), "{id}");
    }
    assert_eq!(kept(&store, "bob", "one").await, Some(other));
}

async fn the_grant_that_was_just_used_stays_when_the_clock_was_set_back(store: TheStore) {
    save(&store, [put_user("alice")]).await;
    let name = |number: usize| format!("grant-{number}");
    for number in 0..limits::GRANTS {
        let at = u64::try_from(number).unwrap();
        save(&store, [put(&grant("alice", &name(number), 1, 10 + at))]).await;
    }
    save(&store, [put(&grant("alice", "new", 1, 1))]).await;
    assert!(kept(&store, "alice", "new").await.is_some());
    assert_eq!(kept(&store, "alice", &name(0)).await, None);
    assert!(kept(&store, "alice", &name(1)).await.is_some());
}

async fn a_grant_of_which_nobody_has_a_token_makes_room_first(store: TheStore) {
    save(&store, [put_user("alice")]).await;
    let name = |number: usize| format!("grant-{number}");
    // A phone's, which are older than the codes that came after them.
    for number in 0..limits::GRANTS - 2 {
        let at = u64::try_from(number).unwrap();
        save(&store, [put(&grant("alice", &name(number), 1, at))]).await;
    }
    for number in 0..5 {
        let code = format!("code-{number}");
        save(&store, [put(&grant("alice", &code, 0, 100 + number))]).await;
    }
    for number in 0..limits::GRANTS - 2 {
        assert!(kept(&store, "alice", &name(number)).await.is_some());
    }
    for (code, is_there) in [("code-2", false), ("code-3", true), ("code-4", true)] {
        assert_eq!(
            kept(&store, "alice", code).await.is_some(),
            is_there,
            "{code}"
        );
    }
}

async fn grants_end_when_their_user_is_signed_out(store: TheStore) {
    let (some, other) = (grant("alice", "one", 0, 1), grant("bob", "one", 0, 1));
    let all = [put_user("alice"), put_user("bob"), put(&some), put(&other)];
    save(&store, all).await;
    let mut alice = user("alice");
    "Alice".clone_into(&mut alice.display_name);
    save(&store, [Change::PutUser(alice.clone().into())]).await;
    assert_eq!(kept(&store, "alice", "one").await, Some(some.clone()));
    alice.secrets.mark = 7;
    save(&store, [Change::PutUser(alice.clone().into())]).await;
    assert_eq!(kept(&store, "alice", "one").await, None);
    "another".clone_into(&mut alice.secrets.sha256);
    save(&store, [put(&some), Change::PutUser(alice.into())]).await;
    assert_eq!(kept(&store, "alice", "one").await, None);
    assert_eq!(kept(&store, "bob", "one").await, Some(other));
}

async fn grants_that_nobody_has_used_for_long_are_found(store: TheStore) {
    save(&store, [put_user("alice"), put_user("bob")]).await;
    let old = [grant("alice", "one", 0, 1), grant("bob", "one", 3, 9)];
    let used = [grant("alice", "two", 1, 10), grant("bob", "two", 0, 11)];
    save(&store, old.iter().chain(&used).map(put).collect::<Vec<_>>()).await;
    let before = Timestamp(10);
    let mut found = store.old_grants(before, 10).await.unwrap();
    found.sort_by_key(|it| it.at);
    assert_eq!(found, old);
    assert_eq!(store.old_grants(before, 1).await.unwrap().len(), 1);
    assert!(store.old_grants(Timestamp(1), 10).await.unwrap().is_empty());
}
