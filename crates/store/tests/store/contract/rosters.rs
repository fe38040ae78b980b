//! Rosters: whom users know.

use crate::world::*;
use domain::{Change, roster::Contact};
use store::StoreError;

contract! {
    a_contact_comes_back_as_it_was,
    a_roster_is_read_by_user_in_the_order_of_addresses,
    a_contact_that_is_removed_is_gone_and_may_come_again,
    a_roster_goes_with_its_user,
    a_roster_needs_its_user_and_not_the_contact,
}

async fn roster(store: &TheStore, user: &str) -> Vec<Contact> {
    store.roster(&address(user)).await.unwrap()
}

async fn a_contact_comes_back_as_it_was(store: TheStore) {
    let all =
        [0, 1, 2].map(|how| contact("alice", ["bob", "carol", "dave"][usize::from(how)], how));
    let puts = all
        .clone()
        .map(|contact| Change::PutContact(contact.into()));
    save(&store, [put_user("alice")].into_iter().chain(puts)).await;
    assert_eq!(roster(&store, "alice").await, all);

    let again = Contact {
        name: "Bobby".to_owned(),
        groups: Vec::new(),
        ..all[0].clone()
    };
    save(&store, [Change::PutContact(again.clone().into())]).await;
    assert_eq!(roster(&store, "alice").await[0], again);
}

async fn a_roster_is_read_by_user_in_the_order_of_addresses(store: TheStore) {
    let changes = [
        put_user("alice"),
        put_user("bob"),
        put_contact("alice", "dave", 0),
        put_contact("bob", "alice", 1),
        put_contact("alice", "carol", 2),
    ];
    save(&store, changes).await;
    let whom = |roster: Vec<Contact>| roster.into_iter().map(|it| it.peer).collect::<Vec<_>>();
    assert_eq!(
        whom(roster(&store, "alice").await),
        ["carol", "dave"].map(address)
    );
    assert_eq!(whom(roster(&store, "bob").await), [address("alice")]);
    assert_eq!(roster(&store, "carol").await, []);
}

async fn a_contact_that_is_removed_is_gone_and_may_come_again(store: TheStore) {
    let put = put_contact("alice", "bob", 0);
    save(
        &store,
        [
            put_user("alice"),
            put.clone(),
            remove_contact("alice", "bob"),
        ],
    )
    .await;
    assert_eq!(roster(&store, "alice").await, []);
    // Twice is no failure.
    save(&store, [remove_contact("alice", "bob"), put]).await;
    assert_eq!(roster(&store, "alice").await, [contact("alice", "bob", 0)]);
}

async fn a_roster_goes_with_its_user(store: TheStore) {
    let changes = [
        put_user("alice"),
        put_user("bob"),
        put_contact("alice", "bob", 2),
        put_contact("bob", "alice", 2),
    ];
    save(&store, changes).await;
    save(
        &store,
        [Change::RemoveUser(address("alice")), put_user("alice")],
    )
    .await;
    assert_eq!(roster(&store, "alice").await, []);
    assert_eq!(roster(&store, "bob").await, [contact("bob", "alice", 2)]);
}

async fn a_roster_needs_its_user_and_not_the_contact(store: TheStore) {
    save(
        &store,
        [put_user("alice"), put_contact("alice", "nobody", 0)],
    )
    .await;
    let refused = store
        .commit(vec![vec![put_contact("nobody", "alice", 0)]])
        .await
        .unwrap();
    assert!(
        matches!(refused[..], [Err(StoreError::Missing { kind: "user", .. })]),
        "{refused:?}"
    );
}
