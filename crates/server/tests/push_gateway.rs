//! The push gateway of Matrix, over its sockets and with the simulated clouds behind it.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{Behaviour, Provider};
use lab::cloud::{Fate, Fault, FaultKind, Filter};
use reveille::{
    config::{Matrix, Words},
    dev::{self, Dev},
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const IOS: &str = "com.example.phone.ios";
const ANDROID: &str = "com.example.droid";

/// An app that is switched on, for those homeservers.
fn on(app_id: &str, app: &str, homeservers: &[&str]) -> Matrix {
    Matrix {
        app_id: app_id.to_owned(),
        app: app.to_owned(),
        tenant: dev::TENANT.to_owned(),
        homeservers: Words::of(homeservers),
        payload_keys: Words::of(&["cs"]),
    }
}

async fn started(change: impl FnOnce(&mut reveille::config::Config)) -> Dev {
    let mut config = dev::on_free_ports();
    config.server.roles = Words::of(&["call", "push"]);
    config.push.matrix = vec![
        on(IOS, "com.example.phone", &["127.0.0.1"]),
        on(ANDROID, "", &["*"]),
    ];
    change(&mut config);
    Dev::start(config, Behaviour::default()).await.unwrap()
}

async fn raw(to: SocketAddr, method: &str, more: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} /_matrix/push/v1/notify HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

async fn notify(dev: &Dev, notification: Value) -> (u16, Value) {
    let body = json!({ "notification": notification }).to_string();
    raw(dev.server.bound().push[0], "POST", "", &body).await
}

/// A token of 32 octets as APNs has it, and as an app of Matrix writes it.
fn token(octet: u8) -> (String, String) {
    (
        format!("{octet:02x}").repeat(32),
        STANDARD.encode([octet; 32]),
    )
}

fn device(app_id: &str, pushkey: &str) -> Value {
    json!({ "app_id": app_id, "pushkey": pushkey, "pushkey_ts": 12_345_678,
        "data": { "default_payload": { "cs": "a1", "aps": { "alert": "planted" } } } })
}

fn event(id: &str, devices: &[Value]) -> Value {
    json!({ "event_id": id, "room_id": "!r:example.org", "type": "m.room.message", "sender": "@planted:example.org",
        "sender_display_name": "planted", "room_name": "planted", "prio": "high", "content": { "body": "planted" },
        "counts": { "unread": 2, "missed_calls": 1 }, "devices": devices })
}

fn dead() -> Fate {
    Fate {
        status: 410,
        reason: Some("Unregistered".to_owned()),
        count: None,
        timestamp: None,
    }
}

#[tokio::test]
async fn an_event_reaches_each_device_by_its_ids_alone() {
    let dev = started(|_| ()).await;
    let (apns, key) = token(0xa1);
    let devices = [device(IOS, &key), device(ANDROID, "droid-token")];
    let said = notify(&dev, event("$1", &devices)).await;
    assert_eq!(said, (200, json!({ "rejected": [] })));
    let phone = dev.clouds.notifications(&Filter::token(&apns));
    assert_eq!(phone.len(), 1);
    let payload = &phone[0].payload;
    assert_eq!(payload["event_id"], "$1", "{payload}");
    assert_eq!(payload["room_id"], "!r:example.org");
    assert_eq!(payload["unread_count"], 2);
    assert_eq!(payload["cs"], "a1");
    assert_eq!(payload["aps"]["badge"], 2);
    assert_eq!(payload["aps"]["mutable-content"], 1);
    let droid = dev.clouds.notifications(&Filter::token("droid-token"));
    let payload = &droid[0].payload;
    assert!(
        payload.to_string().contains("\"event_id\":\"$1\""),
        "{payload}"
    );
    for seen in phone.iter().chain(&droid) {
        assert!(!format!("{seen:?}").contains("planted"), "{seen:?}");
    }
    // The homeserver has not heard the answer, and asks again.
    let said = notify(&dev, event("$1", &devices)).await;
    assert_eq!(said, (200, json!({ "rejected": [] })));
    assert_eq!(dev.clouds.notifications(&Filter::token(&apns)).len(), 1);
    dev.shutdown().await;
}

#[tokio::test]
async fn counts_alone_are_told_each_time_and_wake_nobody() {
    let dev = started(|_| ()).await;
    let (apns, key) = token(0xa2);
    for unread in [3, 0, 3] {
        let counts = json!({ "id": "", "type": null, "sender": "", "counts": { "unread": unread }, "devices": [device(IOS, &key)] });
        assert_eq!(notify(&dev, counts).await.0, 200);
    }
    let seen = dev.clouds.notifications(&Filter::token(&apns));
    let badges: Vec<_> = seen.iter().map(|it| it.payload["aps"].clone()).collect();
    assert_eq!(badges, [3, 0, 3].map(|it| json!({ "badge": it })));
    assert!(
        seen.iter()
            .all(|it| it.answer.as_ref().is_some_and(|it| it.status == 200)),
        "{seen:?}"
    );
    dev.shutdown().await;
}

#[tokio::test]
async fn dead_keys_are_rejected_and_trouble_is_for_later() {
    let dev = started(|_| ()).await;
    let ((_, alive), (apns, key)) = (token(0xa3), token(0xa4));
    dev.clouds.handle().set_fate(&apns, dead()).unwrap();
    let devices = [
        device(IOS, &alive),
        device(IOS, &key),
        device("nobody", "k"),
        device(IOS, "!"),
    ];
    let said = notify(&dev, event("$2", &devices)).await;
    assert_eq!(said.0, 200, "{said:?}");
    let mut rejected: Vec<_> = said.1["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    rejected.sort_unstable();
    let mut expected = ["!", "k", &key];
    expected.sort_unstable();
    assert_eq!(rejected, expected);
    for (kind, status) in [(FaultKind::Http503, 502), (FaultKind::Http429, 429)] {
        let fault = Fault::new(Provider::Apns, kind).times(1);
        dev.clouds.handle().order(fault).unwrap();
        let id = format!("${status}");
        let said = notify(&dev, event(&id, &[device(IOS, &alive)])).await;
        assert_eq!(said.0, status, "{said:?}");
        assert!(said.1["errcode"].is_string(), "{said:?}");
        let said = notify(&dev, event(&id, &[device(IOS, &alive)])).await;
        assert_eq!(said, (200, json!({ "rejected": [] })), "later");
    }
    dev.shutdown().await;
}

#[tokio::test]
async fn who_is_not_named_or_asks_too_much_is_turned_away() {
    let dev = started(|config| {
        config.push.matrix[0].homeservers = Words::of(&["192.0.2.7"]);
        config.limits.gateway_dead_minute = 2;
    })
    .await;
    let at = dev.server.bound().push[0];
    let (apns, key) = token(0xa5);
    let body = |devices: &[Value]| json!({ "notification": event("$3", devices) }).to_string();
    let said = raw(at, "POST", "", &body(&[device(IOS, &key)])).await;
    assert_eq!(
        (said.0, &said.1["errcode"]),
        (403, &json!("M_FORBIDDEN")),
        "{said:?}"
    );
    // A proxy on this host says for whom it asks; what the homeserver itself says before that counts for nothing.
    for (forwarded, status) in [("192.0.2.7", 200), ("192.0.2.7, 198.51.100.1", 403)] {
        let more = format!("X-Forwarded-For: {forwarded}\r\n");
        let said = raw(at, "POST", &more, &body(&[device(IOS, &key)])).await;
        assert_eq!(said.0, status, "{said:?}");
    }
    assert_eq!(dev.clouds.notifications(&Filter::token(&apns)).len(), 1);
    for (method, body, status) in [
        ("GET", "", 405),
        ("POST", "{", 400),
        ("POST", r#"{"notification": {"devices": []}}"#, 400),
        ("POST", &body(&vec![device(ANDROID, "t"); 51]), 413),
        ("POST", &format!("\"{}\"", "x".repeat(200_000)), 413),
    ] {
        let said = raw(at, method, "", body).await;
        assert_eq!(said.0, status, "{said:?}");
        assert!(said.1["errcode"].is_string(), "{said:?}");
    }
    let guesses = [device("nobody", "a"), device("nobody", "b")];
    assert_eq!(raw(at, "POST", "", &body(&guesses)).await.0, 200);
    let said = raw(at, "POST", "", &body(&[device(ANDROID, "droid")])).await;
    assert_eq!(
        (said.0, &said.1["errcode"]),
        (429, &json!("M_LIMIT_EXCEEDED")),
        "{said:?}"
    );
    let more = "X-Forwarded-For: 192.0.2.7\r\n";
    let said = raw(at, "POST", more, &body(&[device(ANDROID, "droid")])).await;
    assert_eq!(said.0, 200, "another source has its own: {said:?}");
    dev.shutdown().await;
}
