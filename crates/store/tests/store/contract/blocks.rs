//! Whom users block.

use crate::world::*;
use domain::{Change, Record};
use store::StoreError;

contract! {
    whom_a_user_blocks_is_read_in_order_and_loaded_after_the_users,
    who_is_blocked_no_more_is_gone_and_may_come_again,
    blocks_go_with_their_user,
    a_block_needs_its_user_and_not_who_is_blocked,
}

async fn blocked(store: &TheStore, user: &str) -> Vec<Box<str>> {
    store.blocked(&address(user)).await.unwrap()
}

fn names(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|it| (*it).into()).collect()
}

async fn whom_a_user_blocks_is_read_in_order_and_loaded_after_the_users(store: TheStore) {
    let changes = [
        put_user("alice"),
        put_user("bob"),
        block("alice", "spam.example"),
        block("bob", "alice@example.org/desk"),
        block("alice", "bob@example.org"),
        // Twice is once.
        block("alice", "bob@example.org"),
    ];
    save(&store, changes).await;
    let of_alice = names(&["bob@example.org", "spam.example"]);
    assert_eq!(blocked(&store, "alice").await, of_alice);
    assert_eq!(
        blocked(&store, "bob").await,
        names(&["alice@example.org/desk"])
    );
    assert_eq!(blocked(&store, "carol").await, names(&[]));
    let loaded = records(&store).await.split_off(2);
    let record = |user, peer: &str| Record::Blocked(address(user), peer.into());
    assert_eq!(
        loaded,
        [
            record("alice", "bob@example.org"),
            record("alice", "spam.example"),
            record("bob", "alice@example.org/desk"),
        ]
    );
}

async fn who_is_blocked_no_more_is_gone_and_may_come_again(store: TheStore) {
    let both = [
        block("alice", "bob@example.org"),
        unblock("alice", "bob@example.org"),
    ];
    save(&store, [put_user("alice")].into_iter().chain(both.clone())).await;
    assert_eq!(blocked(&store, "alice").await, names(&[]));
    // Twice is no failure.
    save(&store, both.into_iter().rev()).await;
    assert_eq!(blocked(&store, "alice").await, names(&["bob@example.org"]));
}

async fn blocks_go_with_their_user(store: TheStore) {
    let changes = [
        put_user("alice"),
        put_user("bob"),
        block("alice", "bob@example.org"),
        block("bob", "alice@example.org"),
    ];
    save(&store, changes).await;
    let again = [Change::RemoveUser(address("alice")), put_user("alice")];
    save(&store, again).await;
    assert_eq!(blocked(&store, "alice").await, names(&[]));
    assert_eq!(blocked(&store, "bob").await, names(&["alice@example.org"]));
}

async fn a_block_needs_its_user_and_not_who_is_blocked(store: TheStore) {
    save(
        &store,
        [put_user("alice"), block("alice", "nobody@nowhere")],
    )
    .await;
    let refused = attempt(&store, vec![block("nobody", "alice@example.org")]).await;
    assert!(
        matches!(refused, Err(StoreError::Missing { kind: "user", .. })),
        "{refused:?}"
    );
}
