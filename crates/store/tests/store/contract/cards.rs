//! What users say of themselves.

use crate::world::*;
use domain::{Change, Record};
use store::StoreError;

contract! {
    a_card_comes_back_as_it_was_and_a_new_one_takes_its_place,
    images_are_loaded_of_those_who_have_one,
    a_card_goes_with_its_user,
    a_card_needs_its_user,
}

async fn a_card_comes_back_as_it_was_and_a_new_one_takes_its_place(store: TheStore) {
    save(&store, [put_user("alice"), put_card("alice", 1)]).await;
    assert_eq!(store.card(&address("alice")).await.unwrap(), Some(card(1)));
    save(&store, [put_card("alice", 0)]).await;
    assert_eq!(store.card(&address("alice")).await.unwrap(), Some(card(0)));
    assert_eq!(store.card(&address("bob")).await.unwrap(), None);
}

async fn images_are_loaded_of_those_who_have_one(store: TheStore) {
    let changes = [
        put_user("alice"),
        put_user("bob"),
        put_card("alice", 0),
        put_card("bob", 7),
    ];
    save(&store, changes).await;
    let loaded = records(&store).await.split_off(2);
    assert_eq!(loaded, [Record::Avatar(address("bob"), [7; 20])]);
}

async fn a_card_goes_with_its_user(store: TheStore) {
    save(&store, [put_user("alice"), put_card("alice", 1)]).await;
    let again = [Change::RemoveUser(address("alice")), put_user("alice")];
    save(&store, again).await;
    assert_eq!(store.card(&address("alice")).await.unwrap(), None);
}

async fn a_card_needs_its_user(store: TheStore) {
    let refused = attempt(&store, vec![put_card("nobody", 1)]).await;
    assert!(
        matches!(refused, Err(StoreError::Missing { kind: "user", .. })),
        "{refused:?}"
    );
}
