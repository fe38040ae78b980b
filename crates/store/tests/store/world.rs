//! Short names for the things that the tests put into a store.

use bytes::Bytes;
use domain::{
    Address, AppId, Binding, Change, Class, Device, DeviceId, Message, MessageId, Mode,
    NotificationId, Purpose, Timestamp, Token, TraceEvent, TrackingId, User,
    change::HistoryEntry,
    device::{DeadToken, SealingKey, Tokens},
    push::OwedPush,
    trace::Step,
    user::Secrets,
};
use std::{path::Path, sync::Arc};
use store::Store;

pub(crate) type TheStore = Arc<dyn Store>;

pub(crate) fn sqlite(path: &Path) -> TheStore {
    store::open(&format!("sqlite:{}", path.display())).expect("a database that opens")
}

/// Saves a step that must succeed.
pub(crate) async fn save(store: &TheStore, changes: impl IntoIterator<Item = Change>) {
    let step = changes.into_iter().collect();
    store.commit(step).await.expect("a step that is sound");
}

pub(crate) fn address(name: &str) -> Address {
    Address::new(name, "example.org").expect("a sound name")
}

pub(crate) fn user(name: &str) -> User {
    User {
        address: address(name),
        display_name: name.to_uppercase(),
        secrets: Secrets {
            md5: format!("md5 of {name}"),
            sha256: format!("sha256 of {name}"),
        },
        forward: None,
    }
}

pub(crate) fn put_user(name: &str) -> Change {
    Change::PutUser(user(name))
}

pub(crate) fn device_id(id: &str) -> DeviceId {
    DeviceId(id.to_owned())
}

pub(crate) fn device(id: &str, owner: &str) -> Device {
    Device::new(device_id(id), address(owner), Timestamp(1_000))
}

pub(crate) fn put_device(id: &str, owner: &str) -> Change {
    Change::PutDevice(Box::new(device(id, owner)))
}

/// A device that has everything a device can have.
pub(crate) fn full_device(id: &str, owner: &str) -> Device {
    let token = |value: &str| Token {
        value: value.to_owned(),
        given_at: Timestamp(7),
        dead: None,
        handed: domain::Handed::InRegistration,
    };
    let dead = DeadToken {
        at: Timestamp(9),
        reason: "Unregistered".to_owned(),
    };
    Device {
        app: Some(AppId("org.example.phone".to_owned())),
        tokens: Tokens {
            voip: Some(token("aa11")),
            message: Some(Token {
                dead: Some(dead),
                ..token("bb22")
            }),
        },
        key: Some(SealingKey {
            p256dh: "BKey".to_owned(),
            auth: "secret".to_owned(),
        }),
        word: Some(Mode::Foreground),
        binding: Some(Binding {
            contact: "<sip:alice@192.0.2.1:5060;transport=tcp>".to_owned(),
            source: "tcp/192.0.2.1:5060".to_owned(),
            q: 700,
            expires_at: Timestamp(u64::MAX),
            call_id: "one@192.0.2.1".to_owned(),
            cseq: u32::MAX,
            path: vec!["<sip:edge.example.org;lr>".to_owned()],
            user_agent: "Phone/1 \"quoted\" \u{1f4de}".to_owned(),
        }),
        ..device(id, owner)
    }
}

pub(crate) fn message_id(id: &str) -> MessageId {
    MessageId(id.to_owned())
}

pub(crate) fn message(id: &str, from: &str, to: &str) -> Message {
    Message {
        id: message_id(id),
        tracking: TrackingId(format!("t-{id}")),
        from: address(from).to_string(),
        from_name: from.to_uppercase(),
        to: address(to),
        at: Timestamp(2_000),
        class: Class::Notice,
        content_type: "text/plain".to_owned(),
        body: Bytes::from(format!("text of {id}")),
    }
}

pub(crate) fn archive(id: &str, from: &str, to: &str) -> Change {
    Change::Archive(message(id, from, to))
}

pub(crate) fn enqueue(device: &str, message: &str) -> Change {
    Change::Enqueue {
        device: device_id(device),
        message: message_id(message),
    }
}

pub(crate) fn enqueue_for_user(user: &str, message: &str) -> Change {
    Change::EnqueueForUser {
        user: address(user),
        message: message_id(message),
    }
}

pub(crate) fn adopt(user: &str, device: &str) -> Change {
    Change::AdoptQueue {
        user: address(user),
        device: device_id(device),
    }
}

pub(crate) fn delivered(device: &str, message: &str) -> Change {
    Change::Delivered {
        device: device_id(device),
        message: message_id(message),
    }
}

pub(crate) fn owed(id: &str, device: &str, due: u64) -> OwedPush {
    OwedPush {
        id: NotificationId(id.to_owned()),
        device: device_id(device),
        purpose: Purpose::Message {
            conversation: "c1".to_owned(),
            unread: 3,
        },
        tracking: TrackingId(format!("t-{id}")),
        message: Some(message_id("m1")),
        due: Timestamp(due),
        until: Timestamp(due + 60_000),
        attempts: 0,
    }
}

pub(crate) fn settle(id: &str) -> Change {
    Change::Settle(NotificationId(id.to_owned()))
}

pub(crate) fn line(device: &str, at: u64, what: &str) -> HistoryEntry {
    HistoryEntry {
        device: device_id(device),
        at: Timestamp(at),
        what: what.to_owned(),
    }
}

pub(crate) fn event(tracking: &str, at: u64, step: Step) -> TraceEvent {
    TraceEvent {
        tracking: TrackingId(tracking.to_owned()),
        at: Timestamp(at),
        step,
        alias: None,
        device: None,
        detail: format!("{tracking}: {}", step.name()),
    }
}

pub(crate) fn called(event: TraceEvent, alias: &str) -> TraceEvent {
    TraceEvent {
        alias: Some(alias.to_owned()),
        ..event
    }
}

/// The ids of what waits for a device, in order.
pub(crate) async fn queue(store: &TheStore, device: &str) -> Vec<String> {
    let queued = store.queued(&device_id(device), usize::MAX).await;
    ids(&queued.expect("a queue"))
}

pub(crate) fn ids(messages: &[Message]) -> Vec<String> {
    messages
        .iter()
        .map(|message| message.id.to_string())
        .collect()
}
