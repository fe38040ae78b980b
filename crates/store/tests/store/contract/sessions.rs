//! Sessions whose clients have no connection.

use crate::world::*;
use domain::{Change, KeptSession, Record};
use store::StoreError;

contract! {
    a_session_comes_back_as_it_was_and_goes_when_there_is_nothing_of_it,
    sessions_go_with_their_user_and_need_one,
    sessions_are_loaded_behind_their_users,
    a_step_that_fails_keeps_no_session,
}

async fn kept(store: &TheStore, user: &str) -> Vec<KeptSession> {
    store.sessions(&address(user)).await.unwrap()
}

async fn a_session_comes_back_as_it_was_and_goes_when_there_is_nothing_of_it(store: TheStore) {
    let phone = session("alice", "phone", 7, "\0binary\u{ff}");
    let desk = session("alice", "desk", 8, "two");
    let step = [
        put_user("alice"),
        put_user("bob"),
        put_session(phone.clone()),
        put_session(desk.clone()),
    ];
    save(&store, step).await;
    assert_eq!(kept(&store, "alice").await, [desk.clone(), phone]);
    assert_eq!(kept(&store, "bob").await, []);
    let later = session("alice", "phone", 9, "another");
    save(&store, [put_session(later.clone())]).await;
    assert_eq!(kept(&store, "alice").await, [desk.clone(), later]);
    for _ in 0..2 {
        save(&store, [put_session(session("alice", "phone", 9, ""))]).await;
        assert_eq!(kept(&store, "alice").await, std::slice::from_ref(&desk));
    }
}

async fn sessions_go_with_their_user_and_need_one(store: TheStore) {
    let hers = session("alice", "phone", 7, "one");
    let his = session("bob", "phone", 7, "one");
    let found = attempt(&store, vec![put_session(hers.clone())]).await;
    assert!(
        matches!(found, Err(StoreError::Missing { kind: "user", .. })),
        "{found:?}"
    );
    // What is not there can be removed all the same.
    save(&store, [put_session(session("alice", "phone", 7, ""))]).await;
    let step = [
        put_user("alice"),
        put_user("bob"),
        put_session(hers),
        put_session(his.clone()),
    ];
    save(&store, step).await;
    let anew = [Change::RemoveUser(address("alice")), put_user("alice")];
    save(&store, anew).await;
    assert_eq!(kept(&store, "alice").await, []);
    assert_eq!(kept(&store, "bob").await, [his]);
}

async fn sessions_are_loaded_behind_their_users(store: TheStore) {
    let phone = session("alice", "phone", 7, "one");
    let step = [
        put_user("alice"),
        put_session(phone.clone()),
        put_user("bob"),
        put_device("d1", "alice"),
    ];
    save(&store, step).await;
    let order: Vec<_> = records(&store)
        .await
        .into_iter()
        .map(|record| match record {
            Record::User(_) => "user",
            Record::Session(session) => {
                assert_eq!(session, phone);
                "session"
            }
            _ => "rest",
        })
        .collect();
    assert_eq!(order, ["user", "user", "session", "rest"]);
}

async fn a_step_that_fails_keeps_no_session(store: TheStore) {
    save(&store, [put_user("alice")]).await;
    let step = vec![
        put_session(session("alice", "phone", 7, "one")),
        put_device("d1", "nobody"),
    ];
    attempt(&store, step).await.unwrap_err();
    assert_eq!(kept(&store, "alice").await, []);
}
