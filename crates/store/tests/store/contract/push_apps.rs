//! Apps whose credentials are kept.

use crate::world::*;
use domain::{Change, SealedApp, Timestamp};

contract! {
    an_app_comes_back_as_it_was_and_a_new_one_takes_its_place,
    an_app_that_is_removed_is_gone_and_no_other,
}

fn app(name: &str, sealed: &[u8], at: u64) -> SealedApp {
    SealedApp {
        app: name.into(),
        sealed: sealed.to_vec(),
        made_at: Timestamp(at),
    }
}

fn put(app: SealedApp) -> Change {
    Change::PutPushApp(Box::new(app))
}

async fn an_app_comes_back_as_it_was_and_a_new_one_takes_its_place(store: TheStore) {
    let (b, a) = (app("b", b"\0\xff", 1), app("a", b"one", 2));
    save(&store, [put(b.clone()), put(a.clone())]).await;
    assert_eq!(store.push_apps().await.unwrap(), [a, b.clone()]);
    let other = app("a", b"two", 3);
    save(&store, [put(other.clone())]).await;
    assert_eq!(store.push_apps().await.unwrap(), [other, b]);
}

async fn an_app_that_is_removed_is_gone_and_no_other(store: TheStore) {
    save(&store, [put(app("a", b"x", 1)), put(app("b", b"x", 1))]).await;
    let gone = [
        Change::RemovePushApp("a".into()),
        Change::RemovePushApp("never".into()),
    ];
    save(&store, gone).await;
    assert_eq!(store.push_apps().await.unwrap(), [app("b", b"x", 1)]);
    save(&store, [put(app("a", b"y", 2))]).await;
    let left = [app("a", b"y", 2), app("b", b"x", 1)];
    assert_eq!(store.push_apps().await.unwrap(), left);
}
