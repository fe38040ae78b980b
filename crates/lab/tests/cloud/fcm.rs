//! FCM's rules, one row each, and its token endpoint.

use crate::{
    client::{Answer, H2Client, tls, unix_seconds},
    world::{DROID, World},
};
use bytes::Bytes;
use domain::Provider;
use http::{Request, request::Builder};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use lab::cloud::{Fate, Fault, FaultKind, Filter, NewToken, TokenMode};
use serde_json::{Value, json};
use std::time::Duration;

const SEND: &str = "/v1/projects/example-droid/messages:send";
const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// A client that is let in.
struct Sender {
    client: H2Client,
    access: String,
}

impl Sender {
    async fn new(world: &World) -> Self {
        let mut client = world.fcm().await;
        let access = world.access_token(&mut client, "example-droid").await;
        Self { client, access }
    }

    fn request(&self, path: &str) -> Builder {
        self.client
            .post(path)
            .header("authorization", format!("Bearer {}", self.access))
            .header("content-type", "application/json")
    }

    async fn send(&mut self, body: &Value) -> Answer {
        let request = self.request(SEND);
        self.client.send(request, body.to_string()).await
    }
}

fn call() -> Value {
    json!({
        "message": {
            "token": DROID,
            "data": { "kind": "call", "call": "c1" },
            "android": { "priority": "HIGH", "ttl": "0s" },
        }
    })
}

/// A message with one thing changed.
fn with(path: &str, value: Value) -> Value {
    let mut body = call();
    let parent = path.rsplit_once('/').unwrap().0;
    if body.pointer(parent).is_none() {
        body.pointer_mut("/message").unwrap()[parent.rsplit_once('/').unwrap().1] = json!({});
    }
    let (parent, name) = path.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[name] = value;
    body
}

fn error_code(answer: &Answer) -> &str {
    let details = answer.body["error"]["details"].as_array();
    details
        .into_iter()
        .flatten()
        .find(|detail| detail["@type"] == FCM_ERROR)
        .and_then(|detail| detail["errorCode"].as_str())
        .unwrap_or_default()
}

fn bad_field(answer: &Answer) -> &str {
    let details = answer.body["error"]["details"].as_array();
    details
        .into_iter()
        .flatten()
        .find(|detail| detail["@type"] == BAD_REQUEST)
        .and_then(|detail| detail["fieldViolations"][0]["field"].as_str())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_good_message_is_accepted_and_written_down() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    let mut body = call();
    body["message"]["android"]["collapse_key"] = json!("one");
    let answer = sender.send(&body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let name = answer.body["name"].as_str().unwrap();
    assert!(
        name.starts_with("projects/example-droid/messages/0:"),
        "{name}"
    );

    let written = serde_json::to_value(world.last_record()).unwrap();
    assert_eq!(written["provider"], "fcm");
    assert_eq!(written["project"], "example-droid");
    assert_eq!(written["token"], DROID);
    assert_eq!(written["priority"], "high");
    assert_eq!(written["expiration"], "0s");
    assert_eq!(written["collapse_id"], "one");
    assert_eq!(written["payload"], body);
    assert_eq!(written["answer"], json!({ "status": 200, "id": name }));
    assert!(written["headers"].get("authorization").is_none());
}

#[tokio::test]
async fn messages_are_held_to_the_rules() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    let android = |name: &str, value| with(&format!("/message/android/{name}"), value);
    let data = |name: &str, value| with(&format!("/message/data/{name}"), value);
    let fits = "x".repeat(4096 - "kindcallcallc1big".len());
    let too_big = format!("{fits}x");
    let mut two_targets = call();
    two_targets["message"]["topic"] = json!("news");
    // What is sent, the status, and the field that is at fault.
    #[rustfmt::skip]
    let rows = [
        (call(), 200, ""),
        (android("priority", json!("high")), 200, ""),
        (android("priority", json!("normal")), 200, ""),
        (android("priority", json!("urgent")), 400, "message.android.priority"),
        (android("priority", json!(10)), 400, "message.android.priority"),
        (android("ttl", json!("3.5s")), 200, ""),
        (android("ttl", json!("2419200s")), 200, ""),
        (android("ttl", json!("2419201s")), 400, "message.android.ttl"),
        (android("ttl", json!("10")), 400, "message.android.ttl"),
        (android("ttl", json!(10)), 400, "message.android.ttl"),
        (android("ttl", json!("-1s")), 400, "message.android.ttl"),
        (android("ttl", json!("s")), 400, "message.android.ttl"),
        (android("collapseKey", json!("one")), 200, ""),
        (android("collapse_key", json!(1)), 400, "message.android.collapse_key"),
        (android("colour", json!("red")), 400, "message.android"),
        (android("data", json!({ "a": 1 })), 400, "message.android.data[0].value"),
        (data("number", json!(1)), 400, "message.data[2].value"),
        (data("nested", json!({ "a": "b" })), 400, "message.data[2].value"),
        (data("from", json!("me")), 400, "message.data[1].key"),
        (data("message_type", json!("x")), 400, "message.data[2].key"),
        (data("google.a", json!("x")), 400, "message.data[1].key"),
        (data("gcm.a", json!("x")), 400, "message.data[1].key"),
        (data("big", json!(fits)), 200, ""),
        (with("/message/data", json!(["a"])), 400, "message.data"),
        (with("/message/sound", json!("loud")), 400, "message"),
        (with("/message/token", json!(1)), 400, "message.token"),
        (with("/message/token", json!(null)), 400, "message"),
        (two_targets, 400, "message"),
        (json!({ "message": call()["message"], "when": "now" }), 400, ""),
        (json!({}), 400, "message"),
        (json!([]), 400, ""),
    ];
    for (body, status, field) in rows {
        let answer = sender.send(&body).await;
        assert_eq!(
            (answer.status, bad_field(&answer)),
            (status, field),
            "{body}"
        );
        if status == 400 {
            assert_eq!(answer.body["error"]["status"], "INVALID_ARGUMENT");
            assert_eq!(answer.body["error"]["code"], 400);
            assert_eq!(error_code(&answer), "", "a bad field is not a bad token");
        }
    }
    let answer = sender.send(&data("big", json!(too_big))).await;
    assert_eq!(
        (answer.status, error_code(&answer)),
        (400, "INVALID_ARGUMENT")
    );
    let request = sender.request(SEND);
    assert_eq!(sender.client.send(request, "no JSON").await.status, 400);
}

#[tokio::test]
async fn device_tokens_are_held_to_the_rules() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    let register = |app: &str| {
        let new = NewToken {
            provider: Provider::Fcm,
            app: app.into(),
            token: None,
            channel: None,
            environment: None,
        };
        world.handle().register_token(new).unwrap()
    };
    let ours = register("com.example.droid");
    let theirs = register("com.example.jabber.droid");
    let to = |token: &str| with("/message/token", json!(token));
    #[rustfmt::skip]
    let rows = [
        (to(&ours), 200, ""),
        (to(DROID), 200, ""),
        (to(&theirs), 403, "SENDER_ID_MISMATCH"),
        (to("short"), 400, "INVALID_ARGUMENT"),
        (to(&format!("{DROID}!")), 400, "INVALID_ARGUMENT"),
    ];
    for (body, status, code) in rows {
        let answer = sender.send(&body).await;
        assert_eq!(
            (answer.status, error_code(&answer)),
            (status, code),
            "{body}"
        );
    }
    let mut for_another = to(&ours);
    for_another["message"]["android"]["restricted_package_name"] = json!("com.example.other");
    assert_eq!(sender.send(&for_another).await.status, 400);

    world.handle().set_token_mode(TokenMode::Known);
    let answer = sender.send(&to(DROID)).await;
    assert_eq!(
        (answer.status, error_code(&answer)),
        (400, "INVALID_ARGUMENT")
    );
    assert_eq!(sender.send(&to(&ours)).await.status, 200);
}

#[tokio::test]
async fn a_token_meets_its_fate_in_google_s_words() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    #[rustfmt::skip]
    let rows = [
        (404, "UNREGISTERED", "NOT_FOUND"),
        (403, "SENDER_ID_MISMATCH", "PERMISSION_DENIED"),
        (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        (429, "QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL", "INTERNAL"),
        (503, "UNAVAILABLE", "UNAVAILABLE"),
    ];
    for (status, code, name) in rows {
        let fate = Fate {
            status,
            reason: None,
            count: Some(1),
            timestamp: None,
        };
        world.handle().set_fate(DROID, fate).unwrap();
        let answer = sender.send(&call()).await;
        assert_eq!((answer.status, error_code(&answer)), (status, code));
        assert_eq!(answer.body["error"]["status"], name);
        assert_eq!(world.last_record().answer.unwrap().reason.unwrap(), code);
        assert_eq!(sender.send(&call()).await.status, 200);
    }
}

#[tokio::test]
async fn the_sender_must_be_let_in() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    let access = sender.access.clone();
    let body = call().to_string();
    #[rustfmt::skip]
    let rows = [
        (Some(format!("Bearer {access}")), SEND, 200, ""),
        (None, SEND, 401, "UNAUTHENTICATED"),
        (Some(access.clone()), SEND, 401, "UNAUTHENTICATED"),
        (Some("Bearer ya29.made-up".into()), SEND, 401, "UNAUTHENTICATED"),
        (Some(format!("Bearer {access}")), "/v1/projects/jabber-droid/messages:send", 403, "PERMISSION_DENIED"),
        (Some(format!("Bearer {access}")), "/v1/projects/no-such-project/messages:send", 403, "PERMISSION_DENIED"),
        (Some(format!("Bearer {access}")), "/v1/projects/example-droid/messages", 404, "NOT_FOUND"),
        (Some(format!("Bearer {access}")), "/fcm/send", 404, "NOT_FOUND"),
    ];
    for (authorization, path, status, name) in rows {
        let mut request = sender.client.post(path);
        if let Some(authorization) = &authorization {
            request = request.header("authorization", authorization);
        }
        let answer = sender.client.send(request, body.clone()).await;
        let found = answer.body["error"]["status"].as_str().unwrap_or_default();
        assert_eq!(
            (answer.status, found),
            (status, name),
            "{authorization:?} {path}"
        );
    }
}

#[tokio::test]
async fn assertions_are_held_to_the_rules() {
    let world = World::new().await;
    let mut client = world.fcm().await;
    let now = unix_seconds();
    let good = world.assertion_claims("example-droid");
    let claims = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        world.assertion(&claims)
    };
    let mut long = good.clone();
    long["exp"] = json!(now + 3601);
    let mut old = good.clone();
    old["iat"] = json!(now - 7200);
    old["exp"] = json!(now - 3600);
    let mut early = good.clone();
    early["iat"] = json!(now + 1000);
    early["exp"] = json!(now + 2000);
    let another_s = {
        let signed_by_us = world.assertion(&good);
        let (signed, _) = signed_by_us.rsplit_once('.').unwrap();
        let (_, signature) = signed_by_us[..].rsplit_once('.').unwrap();
        format!("{signed}.{}", signature.chars().rev().collect::<String>())
    };
    #[rustfmt::skip]
    let rows = [
        ("good", world.assertion(&good), 200, ""),
        ("Google's audience", claims("aud", json!("https://oauth2.googleapis.com/token")), 200, ""),
        ("wider scope", claims("scope", json!("openid https://www.googleapis.com/auth/cloud-platform")), 200, ""),
        ("another's audience", claims("aud", json!("https://example.com/token")), 400, "invalid_grant"),
        ("wrong scope", claims("scope", json!("openid")), 400, "invalid_scope"),
        ("no scope", claims("scope", json!("")), 400, "invalid_scope"),
        ("unknown account", claims("iss", json!("who@example.com")), 400, "invalid_grant"),
        ("no exp", claims("exp", json!(null)), 400, "invalid_grant"),
        ("more than an hour", world.assertion(&long), 400, "invalid_grant"),
        ("expired", world.assertion(&old), 400, "invalid_grant"),
        ("from the future", world.assertion(&early), 400, "invalid_grant"),
        ("wrong signature", another_s, 400, "invalid_grant"),
        ("no JWT", "abc".into(), 400, "invalid_grant"),
    ];
    for (what, assertion, status, error) in rows {
        let answer = client.ask_token(&assertion).await;
        let found = answer.body["error"].as_str().unwrap_or_default();
        assert_eq!(
            (answer.status, found),
            (status, error),
            "{what}: {}",
            answer.body
        );
    }
    let answer = client.ask_token(&world.assertion(&good)).await;
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["expires_in"], 3599);
}

#[tokio::test]
async fn the_token_endpoint_refuses_other_grants_and_forms() {
    let world = World::new().await;
    let mut client = world.fcm().await;
    let form = "application/x-www-form-urlencoded";
    let jwt = "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer";
    #[rustfmt::skip]
    let rows = [
        ("POST", form, "grant_type=password", 400, "unsupported_grant_type"),
        ("POST", form, "assertion=abc", 400, "invalid_request"),
        ("POST", form, jwt, 400, "invalid_request"),
        ("POST", "application/json", "{}", 400, "invalid_request"),
        ("GET", form, "", 405, "invalid_request"),
    ];
    for (method, content_type, body, status, error) in rows {
        let request = client
            .post("/token")
            .method(method)
            .header("content-type", content_type);
        let answer = client.send(request, body).await;
        let found = answer.body["error"].as_str().unwrap_or_default();
        assert_eq!((answer.status, found), (status, error), "{method} {body}");
    }
    assert!(world.records().is_empty(), "no push, nothing written down");
}

#[tokio::test]
async fn a_device_takes_240_messages_a_minute() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    for _ in 0..240 {
        assert_eq!(sender.send(&call()).await.status, 200);
    }
    let answer = sender.send(&call()).await;
    assert_eq!(
        (answer.status, error_code(&answer)),
        (429, "QUOTA_EXCEEDED")
    );
    assert_eq!(answer.headers["retry-after"], "60");
    let to_another = with("/message/token", json!(DROID.replace('d', "e")));
    assert_eq!(sender.send(&to_another).await.status, 200);
}

#[tokio::test]
async fn a_project_has_a_quota_for_all_its_devices() {
    let world = World::with(|config| config.limits.fcm_project_rate = 2).await;
    let mut sender = Sender::new(&world).await;
    for token in [DROID.to_owned(), DROID.replace('d', "e")] {
        let message = with("/message/token", json!(token));
        assert_eq!(sender.send(&message).await.status, 200);
    }
    let answer = sender.send(&call()).await;
    assert_eq!(
        (answer.status, error_code(&answer)),
        (429, "QUOTA_EXCEEDED")
    );
    let seconds: u64 = answer.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_fifth_collapse_key_that_waits_for_a_device_is_marked() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    let message = |key: &str, ttl: &str| {
        let mut body = with("/message/android/collapse_key", json!(key));
        body["message"]["android"]["ttl"] = json!(ttl);
        body
    };
    let marked = || !world.last_record().violations.is_empty();
    for key in ["a", "b", "c", "d", "a", "d"] {
        assert_eq!(sender.send(&message(key, "60s")).await.status, 200);
        assert!(!marked(), "{key}");
    }
    sender.send(&message("now or never", "0s")).await;
    assert!(!marked());
    sender.send(&message("e", "60s")).await;
    assert!(marked());

    // The device fetches its messages: nothing waits any more.
    assert!(!world.clouds.notifications(&Filter::token(DROID)).is_empty());
    sender.send(&message("f", "60s")).await;
    assert!(!marked());
}

#[tokio::test]
async fn a_call_that_would_not_wake_the_device_is_marked() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    let mut without = call();
    without["message"]["android"] = json!({ "ttl": "0s" });
    let priority = |priority| with("/message/android/priority", json!(priority));
    let mut a_message = priority("normal");
    a_message["message"]["data"]["kind"] = json!("message");
    let rows = [
        (priority("high"), false),
        (priority("HIGH"), false),
        (priority("normal"), true),
        (without, true),
        (a_message, false),
    ];
    for (body, marked) in rows {
        assert_eq!(sender.send(&body).await.status, 200);
        let violations = world.last_record().violations;
        assert_eq!(!violations.is_empty(), marked, "{body}: {violations:?}");
    }
}

#[tokio::test]
async fn a_message_to_validate_only_is_judged_and_not_sent() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    let mut body = call();
    body["validate_only"] = json!(true);
    let answer = sender.send(&body).await;
    assert_eq!(
        answer.body["name"],
        "projects/example-droid/messages/fake_message_id"
    );
    assert!(!world.last_record().accepted(), "the device gets nothing");
}

/// A connection over HTTP/1.1.
async fn http1(world: &World) -> SendRequest<Full<Bytes>> {
    let io = tls(&world.ca, world.clouds.addresses().fcm, b"http/1.1").await;
    let (send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
        .await
        .unwrap();
    tokio::spawn(connection);
    send
}

/// Sends a call over HTTP/1.1; says the status and the body.
async fn http1_call(
    send: &mut SendRequest<Full<Bytes>>,
    access: &str,
) -> Result<(u16, Bytes), hyper::Error> {
    let request = Request::post(SEND)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {access}"))
        .body(Full::new(Bytes::from(call().to_string())))
        .unwrap();
    send.ready().await?;
    let answer = send.send_request(request).await?;
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}

#[tokio::test]
async fn http_1_1_is_spoken_too() {
    let world = World::new().await;
    let mut h2 = world.fcm().await;
    let access = world.access_token(&mut h2, "example-droid").await;
    let mut send = http1(&world).await;
    for _ in 0..2 {
        let (status, body) = http1_call(&mut send, &access).await.unwrap();
        assert_eq!(status, 200);
        assert!(body.starts_with(b"{\"name\":"));
    }
    assert_eq!(world.records().len(), 2);
}

#[tokio::test]
async fn faults_strike_over_http_1_1_too() {
    let world = World::with(|config| config.limits.silence = Duration::from_millis(50)).await;
    let mut h2 = world.fcm().await;
    let access = world.access_token(&mut h2, "example-droid").await;
    let mut send = http1(&world).await;
    world.order(Fault::new(Provider::Fcm, FaultKind::Http503));
    assert_eq!(http1_call(&mut send, &access).await.unwrap().0, 503);
    for kind in [FaultKind::Reset, FaultKind::Goaway, FaultKind::Silent] {
        world.order(Fault::new(Provider::Fcm, kind));
        // Cut, in whatever way TLS tells it.
        assert!(http1_call(&mut send, &access).await.is_err(), "{kind:?}");
        assert_eq!(world.last_record().fault, Some(kind));
        send = http1(&world).await;
        assert_eq!(http1_call(&mut send, &access).await.unwrap().0, 200);
    }
}
