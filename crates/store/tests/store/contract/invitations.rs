//! Invitations.

use crate::world::*;
use domain::{Change, Invitation, Timestamp, invitation::digest};
use store::StoreError;

contract! {
    an_invitation_comes_back_as_it_was,
    an_invitation_is_used_once_and_with_it_the_whole_step,
    an_invitation_goes_with_who_invites_and_with_retention,
}

fn invitation(word: &str, inviter: Option<&str>) -> Invitation {
    Invitation {
        token: digest(word),
        inviter: inviter.map(address),
        address: Some(address("carol")),
        expires_at: Timestamp(1_000),
    }
}

fn invite(word: &str, inviter: Option<&str>) -> Change {
    Change::Invite(Box::new(invitation(word, inviter)))
}

async fn an_invitation_comes_back_as_it_was(store: TheStore) {
    save(
        &store,
        [
            put_user("alice"),
            invite("a", Some("alice")),
            invite("b", None),
        ],
    )
    .await;
    for (word, inviter) in [("a", Some("alice")), ("b", None)] {
        let kept = store.invitation(&digest(word)).await.unwrap();
        assert_eq!(kept, Some(invitation(word, inviter)));
    }
    assert_eq!(store.invitation(&digest("c")).await.unwrap(), None);
    let refused = attempt(&store, vec![invite("d", Some("nobody"))]).await;
    assert!(
        matches!(refused, Err(StoreError::Missing { kind: "user", .. })),
        "{refused:?}"
    );
}

async fn an_invitation_is_used_once_and_with_it_the_whole_step(store: TheStore) {
    save(&store, [invite("a", None)]).await;
    let redeem = |user| vec![Change::Redeem(digest("a")), put_user(user)];
    let both = vec![redeem("carol"), redeem("dave")];
    let words = store.commit(both).await.unwrap();
    assert_eq!(words[0], Ok(()));
    assert!(
        matches!(
            words[1],
            Err(StoreError::Missing {
                kind: "invitation",
                ..
            })
        ),
        "{words:?}"
    );
    assert!(store.user(&address("carol")).await.unwrap().is_some());
    assert!(store.user(&address("dave")).await.unwrap().is_none());
}

async fn an_invitation_goes_with_who_invites_and_with_retention(store: TheStore) {
    save(
        &store,
        [
            put_user("alice"),
            invite("a", Some("alice")),
            invite("b", None),
        ],
    )
    .await;
    save(&store, [Change::RemoveUser(address("alice"))]).await;
    assert_eq!(store.invitation(&digest("a")).await.unwrap(), None);
    store.prune(Timestamp(1_000)).await.unwrap();
    assert!(store.invitation(&digest("b")).await.unwrap().is_some());
    store.prune(Timestamp(1_001)).await.unwrap();
    assert_eq!(store.invitation(&digest("b")).await.unwrap(), None);
}
