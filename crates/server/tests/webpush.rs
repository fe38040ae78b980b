//! A browser, or an app with a distributor of its own, is a device like any other: its subscription is its token.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Behaviour, Provider};
use http::Method;
use lab::cloud::{Filter, NewToken, Record};
use net::http::request;
use push::seal::{KeyPair, unseal};
use reveille::{
    config::Words,
    dev::{self, Dev},
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::UdpSocket;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

async fn started() -> Dev {
    let mut config = dev::on_free_ports();
    config.call.trusted = Words::of(&["127.0.0.0/8"]);
    Dev::start(config, Behaviour::default()).await.unwrap()
}

fn subscribe(dev: &Dev) -> String {
    let new = NewToken {
        provider: Provider::WebPush,
        app: "com.example.web".to_owned(),
        token: None,
        channel: None,
        environment: None,
    };
    dev.clouds.handle().register_token(new).unwrap()
}

/// A request to the device API that must succeed.
async fn ask(dev: &Dev, method: Method, path: &str, token: Option<&str>, body: Value) -> Value {
    let url = format!("http://{}{path}", dev.server.bound().admin[0]);
    let (status, answer) = request(method, &url, token, Some(&body)).await.unwrap();
    assert!(status.is_success(), "{status}: {answer:?}");
    serde_json::from_slice(&answer).unwrap_or_default()
}

/// Bob's browser hands over its subscription.
async fn bobs_browser(dev: &Dev, subscription: &str, keys: Option<&KeyPair>) {
    let login = json!({ "grant_type": "password", "username": "bob", "password": dev::PASSWORD });
    let granted = ask(dev, Method::POST, "/oauth/token", None, login).await;
    let token = granted["access_token"].as_str().unwrap();
    let mut device = json!({
        "app": "com.example.web", "platform": "web", "mode": "suspended",
        "tokens": { "voip": subscription, "message": subscription },
    });
    if let Some(keys) = keys {
        let key = keys.public();
        device["encryption"] = json!({ "p256dh": key.p256dh, "auth": key.auth });
    }
    let path = "/api/v1/me/devices/browser";
    ask(dev, Method::PUT, path, Some(token), device).await;
}

/// Alice, whom the server trusts, writes to Bob.
async fn alice_writes(dev: &Dev, text: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(dev.server.bound().sip.udp[0]).await.unwrap();
    let (here, length) = (socket.local_addr().unwrap(), text.len());
    let message = format!(
        "MESSAGE sip:bob@localhost SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKm1;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@localhost>;tag=t1\r\nTo: <sip:bob@localhost>\r\n\
         Call-ID: m1\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{text}"
    );
    socket.send(message.as_bytes()).await.unwrap();
}

async fn pushed(dev: &Dev, subscription: &str) -> Record {
    let filter = Filter::token(subscription).only_accepted();
    let mut records = dev.clouds.handle().wait_for(&filter, PATIENCE).await;
    records.pop().expect("a push within the time")
}

#[tokio::test]
async fn a_message_is_pushed_to_a_subscription_sealed_with_the_keys_of_its_device() {
    let dev = started().await;
    let (subscription, keys) = (subscribe(&dev), KeyPair::generate());
    bobs_browser(&dev, &subscription, Some(&keys)).await;
    alice_writes(&dev, "planted secret").await;
    let record = pushed(&dev, &subscription).await;
    assert_eq!(record.priority.as_deref(), Some("normal"));
    let decode = |text: &Value| URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap();
    let open = |sealed: &[u8]| unseal(&keys, sealed).unwrap();
    let plain: Value = serde_json::from_slice(&open(&decode(&record.payload))).unwrap();
    assert_eq!(plain["kind"], "message");
    assert_eq!(plain["unread"], "1");
    let secret = String::from_utf8(open(&decode(&plain["sealed"]))).unwrap();
    assert!(secret.contains("planted secret"), "{secret}");
    let seen = serde_json::to_string(&record).unwrap();
    assert!(!seen.contains("planted"), "{seen}");
    dev.shutdown().await;
}

#[tokio::test]
async fn a_subscription_without_keys_is_pushed_to_without_a_body() {
    let dev = started().await;
    let subscription = subscribe(&dev);
    bobs_browser(&dev, &subscription, None).await;
    alice_writes(&dev, "planted secret").await;
    assert_eq!(pushed(&dev, &subscription).await.payload, Value::Null);
    dev.shutdown().await;
}
