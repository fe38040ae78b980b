//! The push service.

use crate::world::*;
use domain::{
    Change, Channel, Notification, NotificationId, Outcome, Purpose, PushEnd, QueuedPush,
    SettledPush, Tenant, TenantId, Timestamp,
    tenant::{ClientSecret, Webhook},
};
use std::time::Duration;
use store::StoreError;

contract! {
    a_tenant_comes_back_as_it_was,
    a_queued_push_comes_back_as_it_was_and_goes_when_it_ends,
    the_queue_is_read_in_pages,
    what_became_of_pushes_is_read_behind_a_number,
    what_became_of_a_push_is_kept_for_a_day,
    a_tenant_goes_with_all_that_is_its,
    nothing_is_queued_for_nobody,
}

fn tenant(name: &str) -> Tenant {
    Tenant {
        id: name.into(),
        secrets: vec![ClientSecret {
            digest: "d1".to_owned(),
            made_at: Timestamp(5),
        }],
        apps: vec!["z".into(), "a".into()],
        per_minute: 600,
        webhook: Some(Webhook {
            url: "https://pbx.example/hook".to_owned(),
            since: Timestamp(6),
            heard: 7,
        }),
    }
}

fn put_tenant(tenant: Tenant) -> Change {
    Change::PutTenant(Box::new(tenant))
}

fn queued(tenant: &str, id: &str, purpose: Purpose) -> QueuedPush {
    QueuedPush {
        tenant: tenant.into(),
        push: Notification {
            id: id.into(),
            app: "app".into(),
            token: "token".to_owned(),
            channel: Channel::Message,
            purpose,
            tracking: "t".into(),
            ttl: Duration::from_millis(1500),
            collapse: Some("c".to_owned()),
            badge: Some(7),
            sealed: Some(vec![0, 255]),
        },
        at: Timestamp(10),
        due: Timestamp(20),
        attempts: 3,
    }
}

fn queue(queued: QueuedPush) -> Change {
    Change::QueuePush(Box::new(queued))
}

fn settled(tenant: &str, id: &str, at: u64, end: PushEnd) -> SettledPush {
    SettledPush {
        tenant: tenant.into(),
        id: id.into(),
        at: Timestamp(at),
        end,
    }
}

fn settle(settled: SettledPush) -> Change {
    Change::SettlePush(Box::new(settled))
}

async fn ids(store: &TheStore, after: Option<(&str, &str)>, limit: usize) -> Vec<String> {
    let after = after.map(|(tenant, id)| (TenantId::from(tenant), NotificationId::from(id)));
    let queue = store.push_queue(after, limit).await.unwrap();
    let id = |it: QueuedPush| format!("{}/{}", it.tenant, it.push.id);
    queue.into_iter().map(id).collect()
}

async fn a_tenant_comes_back_as_it_was(store: TheStore) {
    save(&store, [put_tenant(tenant("b")), put_tenant(tenant("a"))]).await;
    assert_eq!(store.tenants().await.unwrap(), [tenant("a"), tenant("b")]);
    let mut other = tenant("a");
    other.rotate(ClientSecret {
        digest: "d2".to_owned(),
        made_at: Timestamp(6),
    });
    other.apps.truncate(1);
    other.per_minute = 1;
    save(&store, [queue(queued("a", "1", Purpose::Refresh))]).await;
    save(&store, [put_tenant(other.clone())]).await;
    assert_eq!(store.tenants().await.unwrap(), [other, tenant("b")]);
    assert_eq!(ids(&store, None, 9).await, ["a/1"], "its queue stays");
}

async fn a_queued_push_comes_back_as_it_was_and_goes_when_it_ends(store: TheStore) {
    let purposes = [
        Purpose::Refresh,
        Purpose::MissedCall {
            call: "c@1".to_owned(),
        },
        Purpose::CallCancelled {
            call: "c@2".to_owned(),
        },
        Purpose::Call {
            call: "c@3".to_owned(),
            register_at: "here".to_owned(),
        },
        Purpose::Message {
            conversation: "x".to_owned(),
            unread: 4,
        },
    ];
    let all: Vec<_> = (0..)
        .zip(purposes)
        .map(|(n, purpose)| queued("a", &n.to_string(), purpose))
        .collect();
    save(&store, [put_tenant(tenant("a"))]).await;
    save(&store, all.iter().cloned().map(queue)).await;
    assert_eq!(store.push_queue(None, 9).await.unwrap(), all);
    let bare = QueuedPush {
        push: Notification {
            collapse: None,
            badge: None,
            sealed: None,
            ..all[0].push.clone()
        },
        attempts: 4,
        ..all[0].clone()
    };
    save(&store, [queue(bare.clone())]).await;
    assert_eq!(store.push_queue(None, 1).await.unwrap(), [bare]);
    save(&store, [settle(settled("a", "0", 30, PushEnd::Replaced))]).await;
    assert_eq!(ids(&store, None, 9).await, ["a/1", "a/2", "a/3", "a/4"]);
}

async fn the_queue_is_read_in_pages(store: TheStore) {
    save(&store, [put_tenant(tenant("a")), put_tenant(tenant("b"))]).await;
    for (tenant, id) in [("b", "1"), ("a", "2"), ("a", "1")] {
        save(&store, [queue(queued(tenant, id, Purpose::Refresh))]).await;
    }
    assert_eq!(ids(&store, None, 2).await, ["a/1", "a/2"]);
    assert_eq!(ids(&store, Some(("a", "2")), 2).await, ["b/1"]);
    assert_eq!(ids(&store, Some(("b", "1")), 2).await, [""; 0]);
}

async fn what_became_of_pushes_is_read_behind_a_number(store: TheStore) {
    save(&store, [put_tenant(tenant("a")), put_tenant(tenant("b"))]).await;
    let ends = [
        PushEnd::Told(Outcome::TokenDead {
            since: Some(Timestamp(7)),
            reason: "Unregistered".to_owned(),
        }),
        PushEnd::Told(Outcome::Accepted {
            provider_id: "p".to_owned(),
        }),
        PushEnd::Told(Outcome::TooLarge),
        PushEnd::Expired {
            reason: "down".to_owned(),
        },
    ];
    let mut kept = Vec::new();
    for (n, end) in (0..).zip(ends) {
        let one = settled("a", &n.to_string(), n, end);
        save(&store, [settle(one.clone())]).await;
        save(&store, [settle(settled("b", "1", 1, PushEnd::Replaced))]).await;
        kept.push(one);
    }
    let a = TenantId::from("a");
    let all = store.push_ends(&a, 0, 9).await.unwrap();
    let settled: Vec<_> = all.iter().map(|it| it.settled.clone()).collect();
    assert_eq!(settled, kept);
    assert!(all.is_sorted_by(|one, next| one.number < next.number));
    let rest = store.push_ends(&a, all[1].number, 1).await.unwrap();
    assert_eq!(rest, all[2..3]);
    assert_eq!(store.push_ends(&a, u64::MAX, 9).await.unwrap(), []);
    let one = store.push_end(&a, &"3".into()).await.unwrap();
    assert_eq!(one.as_ref(), all.last());
    assert_eq!(store.push_end(&a, &"4".into()).await.unwrap(), None);
}

async fn what_became_of_a_push_is_kept_for_a_day(store: TheStore) {
    save(&store, [put_tenant(tenant("a"))]).await;
    let day = store::limits::PUSH_ENDS_MILLIS;
    for (id, at) in [("old", 0), ("new", 1), ("now", day + 1)] {
        save(&store, [settle(settled("a", id, at, PushEnd::Replaced))]).await;
    }
    let left = store.push_ends(&"a".into(), 0, 9).await.unwrap();
    let left: Vec<_> = left.iter().map(|it| it.settled.id.as_str()).collect();
    assert_eq!(left, ["new", "now"]);
    let gone = store.push_end(&"a".into(), &"old".into()).await.unwrap();
    assert_eq!(gone, None);
}

async fn a_tenant_goes_with_all_that_is_its(store: TheStore) {
    for name in ["a", "b"] {
        save(&store, [put_tenant(tenant(name))]).await;
        save(&store, [queue(queued(name, "1", Purpose::Refresh))]).await;
        save(&store, [settle(settled(name, "2", 1, PushEnd::Replaced))]).await;
    }
    save(&store, [Change::RemoveTenant("a".into())]).await;
    assert_eq!(store.tenants().await.unwrap(), [tenant("b")]);
    assert_eq!(ids(&store, None, 9).await, ["b/1"]);
    let ends = async |name: &str| store.push_ends(&name.into(), 0, 9).await.unwrap().len();
    assert_eq!((ends("a").await, ends("b").await), (0, 1));
}

async fn nothing_is_queued_for_nobody(store: TheStore) {
    for change in [
        queue(queued("nobody", "1", Purpose::Refresh)),
        settle(settled("nobody", "1", 1, PushEnd::Replaced)),
    ] {
        let refused = attempt(&store, vec![change]).await;
        assert!(
            matches!(refused, Err(StoreError::Missing { kind: "tenant", .. })),
            "{refused:?}"
        );
    }
}
