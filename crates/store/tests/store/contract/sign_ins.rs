//! Tokens that clients sign in with.

use crate::world::*;
use domain::{Change, SignInTokens, Timestamp};
use store::{StoreError, limits};

contract! {
    tokens_come_back_as_they_were_and_go_when_there_are_none,
    tokens_go_with_their_user_and_need_one,
    the_installation_that_was_kept_longest_ago_makes_room,
}

fn tokens(user: &str, client: &str, at: u64, data: &str) -> SignInTokens {
    SignInTokens {
        user: address(user),
        client: client.to_owned(),
        at: Timestamp(at),
        data: data.to_owned().into(),
    }
}

fn put(tokens: &SignInTokens) -> Change {
    Change::PutSignInTokens(Box::new(tokens.clone()))
}

async fn kept(store: &TheStore, user: &str, client: &str) -> Option<SignInTokens> {
    store.sign_in_tokens(&address(user), client).await.unwrap()
}

async fn tokens_come_back_as_they_were_and_go_when_there_are_none(store: TheStore) {
    let first = tokens("alice", "phone", 1, "one");
    save(&store, [put_user("alice"), put_user("bob"), put(&first)]).await;
    assert_eq!(kept(&store, "alice", "phone").await, Some(first));
    assert_eq!(kept(&store, "alice", "desk").await, None);
    assert_eq!(kept(&store, "bob", "phone").await, None);
    let second = tokens("alice", "phone", 2, "two");
    save(&store, [put(&second)]).await;
    assert_eq!(kept(&store, "alice", "phone").await, Some(second));
    for _ in 0..2 {
        save(&store, [put(&tokens("alice", "phone", 3, ""))]).await;
        assert_eq!(kept(&store, "alice", "phone").await, None);
    }
}

async fn tokens_go_with_their_user_and_need_one(store: TheStore) {
    let some = tokens("alice", "phone", 1, "one");
    let other = tokens("bob", "phone", 1, "one");
    let found = attempt(&store, vec![put(&some)]).await;
    assert!(
        matches!(found, Err(StoreError::Missing { kind: "user", .. })),
        "{found:?}"
    );
    save(
        &store,
        [put_user("alice"), put_user("bob"), put(&some), put(&other)],
    )
    .await;
    save(
        &store,
        [Change::RemoveUser(address("alice")), put_user("alice")],
    )
    .await;
    assert_eq!(kept(&store, "alice", "phone").await, None);
    assert_eq!(kept(&store, "bob", "phone").await, Some(other));
}

async fn the_installation_that_was_kept_longest_ago_makes_room(store: TheStore) {
    let other = tokens("bob", "phone", 0, "one");
    save(&store, [put_user("alice"), put_user("bob"), put(&other)]).await;
    let name = |number: usize| format!("client-{number}");
    for number in 0..limits::SIGN_IN_TOKENS {
        let at = u64::try_from(number).unwrap();
        save(&store, [put(&tokens("alice", &name(number), 10 + at, "x"))]).await;
    }
    // The first one is used again, so the second one is the oldest.
    save(&store, [put(&tokens("alice", &name(0), 100, "x"))]).await;
    save(&store, [put(&tokens("alice", "new", 101, "x"))]).await;
    assert_eq!(kept(&store, "alice", &name(1)).await, None);
    for client in [name(0), name(2), "new".to_owned()] {
        assert!(kept(&store, "alice", &client).await.is_some(), "{client}");
    }
    assert_eq!(kept(&store, "bob", "phone").await, Some(other));
}
