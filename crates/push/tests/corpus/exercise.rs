//! What must hold of whatever a sender or a provider sends: shared by the tests here and the fuzz targets `push_bodies` and
//! `push_answers`.

use domain::{Channel, Generation, Notification, Outcome, Provider, Purpose};
use reveille_push::{
    matrix,
    outcome::{Answer, Verdict, classify},
    payload,
    rest::{self, wire::Submitted},
    token::{self, Refused},
};
use std::time::Duration;

/// What may stand in a payload, and the keys of an app's own, which are not among them.
const NAMES: [&str; 13] = [
    "aps",
    "kind",
    "tracking",
    "call",
    "register_at",
    "conversation",
    "read",
    "unread",
    "badge",
    "sealed",
    "event_id",
    "room_id",
    "unread_count",
];

/// The body of a request: a notification of the REST, a batch of them, or what a homeserver says. Says whether it was any.
pub(crate) fn body(octets: &[u8]) -> bool {
    if let Ok(batch) = serde_json::from_slice::<Vec<serde_json::Value>>(octets) {
        // Each stands or falls alone.
        let are_good = batch.iter().map(|one| body(one.to_string().as_bytes()));
        return are_good.fold(false, |any, is_good| any | is_good);
    }
    let submitted = serde_json::from_slice::<Submitted>(octets);
    let pushed = submitted.ok().and_then(|it| it.notification().ok());
    if let Some(push) = &pushed {
        notification(push);
    }
    let notify = matrix::read(octets);
    if let Ok(notify) = &notify {
        for device in &notify.devices {
            homeserver(notify, device);
        }
    }
    pushed.is_some() || notify.is_ok()
}

/// What is taken is the same at another service, and says nothing to a cloud that is not on the list.
fn notification(push: &Notification) {
    let there = |push: &Notification| {
        let json = serde_json::to_vec(&Submitted::from(push)).expect("JSON");
        let read: Submitted = serde_json::from_slice(&json).expect("what is written is read");
        read.notification().expect("what was taken is taken again")
    };
    let once = there(push);
    assert_eq!(there(&once), once);
    let own = match &push.purpose {
        Purpose::Event(event) => event.keys.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let apns = [Generation::DualChannel, Generation::SingleChannel]
        .map(|generation| payload::apns(push, generation));
    for payload in apns.into_iter().chain([payload::web(push)]).flatten() {
        let payload: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
        for name in payload.as_object().expect("an object").keys() {
            assert!(NAMES.contains(&&**name) || own.contains(name), "{name}");
        }
    }
    if let Ok(message) = payload::fcm(push) {
        let message: serde_json::Value = serde_json::from_slice(&message).expect("JSON");
        let data = message["message"]["data"].as_object().expect("an object");
        assert!(data.values().all(serde_json::Value::is_string));
    }
}

/// What a homeserver pushes could be pushed over the REST as well.
fn homeserver(notify: &matrix::Notify, device: &matrix::Device) {
    let keys = ["cs", "aps", "sealed", "event_id"].map(str::to_owned);
    let event = notify.push(device, &keys);
    assert!(event.id.is_some() || (event.room.is_none() && !event.is_urgent));
    for provider in [Provider::Apns, Provider::Fcm, Provider::WebPush] {
        let Some(token) = device.token(provider) else {
            continue;
        };
        let push = Notification {
            id: "id".into(),
            app: "app".into(),
            token,
            channel: Channel::Message,
            purpose: Purpose::Event(event.clone()),
            tracking: "id".into(),
            ttl: Duration::from_mins(1),
            collapse: None,
            badge: notify.unread(),
            sealed: None,
        };
        notification(&push);
    }
}

/// A provider's answer: its status in two octets, then the seconds of `retry-after` up to a line's end, then its body. Says how many
/// providers' words it was.
pub(crate) fn answer(octets: &[u8]) -> usize {
    let Some((status, rest)) = octets.split_first_chunk::<2>() else {
        return 0;
    };
    let mut parts = rest.splitn(2, |octet| *octet == b'\n');
    let retry_after = parts.next().and_then(|it| std::str::from_utf8(it).ok());
    let body = parts.next().unwrap_or_default();
    service(u16::from_be_bytes(*status), retry_after, body);
    let providers = [Provider::Apns, Provider::Fcm, Provider::WebPush];
    let said = providers.map(|provider| {
        let answer = Answer {
            provider,
            status: u16::from_be_bytes(*status),
            retry_after,
            id: Some("id"),
            body,
        };
        let verdict = classify(&answer, 7);
        assert_eq!(verdict, classify(&answer, 7));
        is_meant(&verdict)
    });
    said.into_iter().filter(|it| *it).count()
}

/// The same as the answer of a push service to a push, and of whoever grants tokens to a request for one.
fn service(status: u16, retry_after: Option<&str>, body: &[u8]) {
    is_meant(&Verdict::Final(rest::said(status, retry_after, body)));
    match token::granted(status, body) {
        Ok(granted) => assert!(granted.lasts() <= Duration::from_hours(24)),
        Err(Refused::Credentials(reason) | Refused::Trouble(reason)) => {
            assert!(reason.len() <= 2_000, "{reason}");
        }
    }
}

/// Nobody is kept waiting for longer than a day, and a reason is none to fill a log with.
fn is_meant(verdict: &Verdict) -> bool {
    let outcome = match verdict {
        Verdict::Final(outcome) => outcome,
        Verdict::RenewToken(_) => return true,
    };
    assert!(outcome.reason().len() <= 1_000, "{outcome:?}");
    if let Outcome::Throttled { retry_after, .. } | Outcome::Unavailable { retry_after, .. } =
        outcome
    {
        assert!(*retry_after <= Duration::from_hours(24), "{outcome:?}");
        return false;
    }
    true
}
