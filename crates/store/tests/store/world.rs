//! Short names for the things that the tests put into a store.

use bytes::Bytes;
use domain::{
    Address, Avatar, Card, Change, Class, Device, DeviceId, Door, DoorId, Handed, KeptSession,
    Message, MessageId, Note, NotificationId, Purpose, Record, SignInTokens, Timestamp, Token,
    TraceEvent, User,
    change::HistoryEntry,
    device::{DeadToken, SealingKey, Tokens},
    push::OwedPush,
    roster::{Contact, Direction},
    trace::Step,
    user::Secrets,
};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};
use store::{Store, StoreError};

pub(crate) type TheStore = Arc<dyn Store>;

pub(crate) fn sqlite(path: &Path) -> TheStore {
    store::open(&url(path)).expect("a database that opens")
}

pub(crate) fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// How many accounts there are in the database in this file.
pub(crate) async fn users(path: &Path) -> u32 {
    let store = sqlite(path);
    let users = store.users().await.unwrap().len();
    store.close().await.unwrap();
    u32::try_from(users).unwrap()
}

/// Saves a step that must succeed.
pub(crate) async fn save(store: &TheStore, changes: impl IntoIterator<Item = Change>) {
    let step = changes.into_iter().collect();
    attempt(store, step).await.expect("a step that is sound");
}

/// The store's word on one step.
pub(crate) async fn attempt(store: &TheStore, step: Vec<Change>) -> Result<(), StoreError> {
    let words = store.commit(vec![step]).await?;
    assert_eq!(words.len(), 1);
    words.into_iter().collect()
}

/// Hands in notes, and waits until they are written.
pub(crate) async fn note(store: &TheStore, notes: impl IntoIterator<Item = Note>) {
    store.note(notes.into_iter().collect());
    store.flush().await.expect("notes that can be written");
}

/// What a store loads, in its order.
pub(crate) async fn records(store: &TheStore) -> Vec<Record> {
    let records = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&records);
    let loaded = store.load(Box::new(move |record| sink.lock().unwrap().push(record)));
    loaded.await.expect("a store that can be read");
    let mut records = records.lock().unwrap();
    std::mem::take(&mut *records)
}

/// What a store loads, sorted by kind.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Loaded {
    pub(crate) users: Vec<User>,
    pub(crate) blocked: Vec<(Address, Box<str>)>,
    pub(crate) avatars: Vec<(Address, Avatar)>,
    pub(crate) sessions: Vec<KeptSession>,
    pub(crate) devices: Vec<Device>,
    pub(crate) doors: Vec<Door>,
    pub(crate) queued: Vec<(DeviceId, u64)>,
    pub(crate) over: Vec<(DeviceId, u64)>,
    pub(crate) owed: Vec<OwedPush>,
    pub(crate) unclaimed: Vec<(Address, u64)>,
}

/// Everything, in an order that does not depend on the backend.
pub(crate) async fn loaded(store: &TheStore) -> Loaded {
    let mut loaded = Loaded::default();
    for record in records(store).await {
        match record {
            Record::User(user) => loaded.users.push(user),
            Record::Blocked(user, peer) => loaded.blocked.push((user, peer)),
            Record::Avatar(user, avatar) => loaded.avatars.push((user, avatar)),
            Record::Session(session) => loaded.sessions.push(session),
            Record::Device(device) => loaded.devices.push(device),
            Record::Door(door) => loaded.doors.push(door),
            Record::Queued(device, length) => loaded.queued.push((device, length)),
            Record::Over(device, messages) => loaded.over.push((device, messages)),
            Record::Owed(push) => loaded.owed.push(push),
            Record::Unclaimed(user, length) => loaded.unclaimed.push((user, length)),
        }
    }
    loaded.avatars.sort();
    loaded.devices.sort_by(|a, b| a.id.cmp(&b.id));
    loaded.doors.sort_by(|a, b| a.id.cmp(&b.id));
    loaded.queued.sort();
    loaded.over.sort();
    loaded.owed.sort_by(|a, b| a.id.cmp(&b.id));
    loaded
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
            scram: None,
            mark: 0,
        },
        forward: None,
    }
}

pub(crate) fn put_user(name: &str) -> Change {
    Change::PutUser(Box::new(user(name)))
}

pub(crate) fn go_over(id: &str, message: &str) -> Change {
    Change::GoOver {
        device: device_id(id),
        message: message.into(),
    }
}

pub(crate) fn refill(id: &str, most: u64) -> Change {
    Change::Refill {
        device: device_id(id),
        most,
    }
}

pub(crate) fn session(user: &str, name: &str, until: u64, data: &str) -> KeptSession {
    KeptSession {
        user: address(user),
        name: name.to_owned(),
        until: Timestamp(until),
        data: data.to_owned().into(),
    }
}

pub(crate) fn put_session(session: KeptSession) -> Change {
    Change::PutSession(Box::new(session))
}

pub(crate) fn put_sign_in_tokens(user: &str, client: &str, at: u64, data: &str) -> Change {
    Change::PutSignInTokens(Box::new(SignInTokens {
        user: address(user),
        client: client.to_owned(),
        at: Timestamp(at),
        data: data.to_owned().into(),
    }))
}

/// Somebody in a roster: of three kinds.
pub(crate) fn contact(name: &str, peer: &str, kind: u8) -> Contact {
    let bare = Contact::new(address(name), address(peer));
    match kind {
        0 => bare,
        1 => Contact {
            from: Direction::Pending,
            asked: Bytes::from_static(b"<status>It is me</status>\0\xff"),
            ..bare
        },
        _ => Contact {
            name: "B. \u{1f600}".to_owned(),
            groups: vec!["Friends".to_owned(), "Work, and more".to_owned()],
            to: Direction::Subscribed,
            from: Direction::Pending,
            approved: true,
            is_listed: true,
            ..bare
        },
    }
}

pub(crate) fn put_contact(name: &str, peer: &str, kind: u8) -> Change {
    Change::PutContact(Box::new(contact(name, peer, kind)))
}

pub(crate) fn remove_contact(name: &str, peer: &str) -> Change {
    Change::RemoveContact {
        user: address(name),
        peer: address(peer),
    }
}

pub(crate) fn block(name: &str, peer: &str) -> Change {
    Change::Block {
        user: address(name),
        peer: peer.into(),
    }
}

pub(crate) fn unblock(name: &str, peer: &str) -> Change {
    Change::Unblock {
        user: address(name),
        peer: peer.into(),
    }
}

/// A card, with an image or with none.
pub(crate) fn card(kind: u8) -> Card {
    Card {
        octets: Bytes::from(vec![kind, 0, 0xff]),
        avatar: (kind > 0).then_some([kind; 20]),
    }
}

pub(crate) fn put_card(name: &str, kind: u8) -> Change {
    Change::PutCard {
        user: address(name),
        card: Box::new(card(kind)),
    }
}

pub(crate) fn device_id(id: &str) -> DeviceId {
    DeviceId::from(id)
}

pub(crate) fn device(id: &str, owner: &str) -> Device {
    Device::new(device_id(id), address(owner), Timestamp(1_000))
}

pub(crate) fn put_device(id: &str, owner: &str) -> Change {
    Change::PutDevice(Box::new(device(id, owner)))
}

/// A device that has everything a device can have.
pub(crate) fn full_device(id: &str, owner: &str) -> Device {
    let dead = DeadToken {
        since: Timestamp(9),
        reason: "Unregistered".into(),
    };
    Device {
        app: Some("org.example.phone".into()),
        tokens: Tokens {
            voip: Some(Token {
                value: "aa11".into(),
                given_at: Timestamp(7),
                dead: None,
                on_probation: true,
                handed: Handed::Both(u32::MAX, domain::CallKind(u8::MAX)),
            }),
            message: Some(Token {
                value: "bb22".into(),
                given_at: Timestamp(8),
                dead: Some(Box::new(dead)),
                on_probation: false,
                handed: Handed::For(domain::CallKind(1)),
            }),
        },
        key: Some(Box::new(SealingKey {
            p256dh: "BKey".to_owned(),
            auth: "secret".to_owned(),
        })),
        ..device(id, owner)
    }
}

pub(crate) fn door_id(device: &str, number: u32) -> DoorId {
    DoorId {
        device: device_id(device),
        number,
    }
}

pub(crate) fn door(device: &str, number: u32) -> Door {
    Door {
        id: door_id(device, number),
        opened_at: Timestamp(3),
        expires_at: Timestamp(4),
        q: 700,
        data: Bytes::from_static(b"tcp/192.0.2.1:5060 \x00\xff"),
    }
}

pub(crate) fn put_door(device: &str, number: u32) -> Change {
    Change::PutDoor(Box::new(door(device, number)))
}

pub(crate) fn message_id(id: &str) -> MessageId {
    MessageId::from(id)
}

pub(crate) fn message(id: &str, from: &str, to: &str) -> Message {
    Message {
        id: message_id(id),
        tracking: format!("t-{id}").into(),
        from: address(from).to_string(),
        from_name: from.to_uppercase(),
        to: address(to),
        at: Timestamp(2_000),
        class: Class::Notice,
        content_type: "text/plain".to_owned(),
        body: Bytes::from(format!("text of {id}")),
        about: None,
    }
}

pub(crate) fn archive(id: &str, from: &str, to: &str) -> Change {
    Change::Archive(message(id, from, to).into())
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
        id: NotificationId::from(id),
        device: device_id(device),
        purpose: Purpose::Message {
            conversation: "c1".to_owned(),
            unread: 3,
        },
        tracking: format!("t-{id}").into(),
        message: Some(message_id("m1")),
        due: Timestamp(due),
        until: Timestamp(due + 60_000),
        attempts: 0,
    }
}

pub(crate) fn settle(id: &str) -> Change {
    Change::Settle(NotificationId::from(id))
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
        tracking: tracking.into(),
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

pub(crate) fn owe(push: OwedPush) -> Change {
    Change::Owe(Box::new(push))
}

/// The ids of what waits for a device, in order.
pub(crate) async fn queue(store: &TheStore, device: &str) -> Vec<String> {
    let queued = store.queued(&device_id(device), usize::MAX).await;
    let queued = queued.expect("a queue");
    queued
        .iter()
        .map(|message| message.id.to_string())
        .collect()
}
