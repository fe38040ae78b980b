//! The simulated push service of Web Push as anybody's client sees it, and our own push client against it.

use crate::{
    client::{Answer, H2Client, base64url, es256, unix_seconds},
    world::World,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    AppId, AppProfile, Channel, Generation, Notification, NotificationId, Outcome, Platform,
    Provider, Purpose, TrackingId,
};
use lab::cloud::{DevCredentials, Fate, Fault, FaultKind, NewToken, TokenMode};
use push::{
    App, Credentials, Environment, Limits, Pusher,
    seal::{Entropy, KeyPair, seal_message, unseal},
    webpush::with_key,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const APP: &str = "com.example.web";
const ID: &str = "abcdefghijklmnopqrstuvwxyz012345";

fn subscribe(world: &World) -> String {
    let new = NewToken {
        provider: Provider::WebPush,
        app: APP.to_owned(),
        token: None,
        channel: None,
        environment: None,
    };
    world.handle().register_token(new).unwrap()
}

fn port(world: &World) -> u16 {
    world.clouds.addresses().webpush.port()
}

fn pusher(world: &World, hosts: &[String]) -> Pusher {
    let app = App {
        profile: AppProfile {
            app: AppId::from(APP),
            platform: Platform::Web,
            provider: Provider::WebPush,
            generation: Generation::DualChannel,
        },
        credentials: Credentials::WebPush {
            key_pem: world.keys.vapid_key_pem().to_owned(),
            contact: "mailto:push@example.net".to_owned(),
            hosts: hosts.to_vec(),
        },
        environment: Environment::Production,
        endpoint: None,
    };
    let roots = world.ca.root_store();
    Pusher::new(vec![app], roots, Limits::default(), Arc::new(())).unwrap()
}

fn pusher_to_the_lab(world: &World) -> Pusher {
    pusher(world, &[format!("localhost:{}", port(world))])
}

fn message_to(token: &str) -> Notification {
    Notification {
        id: NotificationId::from("n1"),
        app: AppId::from(APP),
        token: token.to_owned(),
        channel: Channel::Message,
        purpose: Purpose::Message {
            conversation: "one".to_owned(),
            unread: 3,
        },
        tracking: TrackingId::from("t1"),
        ttl: Duration::from_mins(1),
        collapse: Some("one".to_owned()),
        badge: None,
        sealed: Some(b"sealed before".to_vec()),
    }
}

#[tokio::test]
async fn a_push_is_sealed_as_a_whole_for_its_subscription() {
    let world = World::new().await;
    let pair = KeyPair::generate();
    let address = subscribe(&world);
    let token = with_key(&address, &pair.public()).unwrap();
    let pusher = pusher_to_the_lab(&world);
    let outcome = pusher.push(message_to(&token)).await;
    let record = world.last_record();
    assert_eq!(
        Some(outcome),
        record.answer.clone().map(|answer| Outcome::Accepted {
            provider_id: answer.id.unwrap()
        })
    );
    assert_eq!(record.token, address, "keys never leave us");
    assert_eq!(record.expiration.as_deref(), Some("60"));
    assert_eq!(record.priority.as_deref(), Some("normal"));
    assert_eq!(record.collapse_id.as_deref(), Some("one"));
    let body = URL_SAFE_NO_PAD
        .decode(record.payload.as_str().unwrap())
        .unwrap();
    let plain: Value = serde_json::from_slice(&unseal(&pair, &body).unwrap()).unwrap();
    assert_eq!(
        plain,
        json!({ "kind": "message", "tracking": "t1", "conversation": "one", "unread": "3",
                "sealed": base64url("sealed before") })
    );
}

#[tokio::test]
async fn a_call_is_urgent_and_expires_at_once_and_without_keys_has_no_body() {
    let world = World::new().await;
    let call = Notification {
        channel: Channel::Voip,
        purpose: Purpose::Call {
            call: "c1".to_owned(),
            register_at: "localhost".to_owned(),
        },
        ..message_to(&subscribe(&world))
    };
    let outcome = pusher_to_the_lab(&world).push(call).await;
    assert_eq!(outcome.name(), "accepted", "{outcome:?}");
    let record = world.last_record();
    assert_eq!(record.expiration.as_deref(), Some("0"));
    assert_eq!(record.priority.as_deref(), Some("high"));
    assert_eq!(record.payload, Value::Null);
}

#[tokio::test]
async fn a_subscription_at_a_host_that_is_not_allowed_is_called_by_nobody() {
    let world = World::new().await;
    let pusher = pusher(&world, &["push.example.net".to_owned()]);
    let outcome = pusher.push(message_to(&subscribe(&world))).await;
    assert_eq!(outcome.name(), "token_dead", "{outcome:?}");
    assert!(world.records().is_empty());
}

#[tokio::test]
async fn what_a_push_service_answers_has_its_meaning() {
    let world = World::new().await;
    let pusher = pusher_to_the_lab(&world);
    for (status, meaning) in [
        (400, "refused"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (404, "token_dead"),
        (410, "token_dead"),
        (413, "too_large"),
        (429, "throttled"),
        (500, "unavailable"),
        (503, "unavailable"),
    ] {
        let token = subscribe(&world);
        let fate = Fate {
            status,
            reason: None,
            count: None,
            timestamp: None,
        };
        world.handle().set_fate(&token, fate).unwrap();
        let outcome = pusher.push(message_to(&token)).await;
        assert_eq!(outcome.name(), meaning, "{status}: {outcome:?}");
    }
    world.order(Fault::new(Provider::WebPush, FaultKind::Http429).number(7));
    let outcome = pusher.push(message_to(&subscribe(&world))).await;
    assert!(
        matches!(outcome, Outcome::Throttled { retry_after, .. } if retry_after == Duration::from_secs(7)),
        "{outcome:?}"
    );
    world.order(Fault::new(Provider::WebPush, FaultKind::ExpiredCredentials));
    let outcome = pusher.push(message_to(&subscribe(&world))).await;
    assert_eq!(outcome.name(), "unauthorized", "{outcome:?}");
}

#[tokio::test]
async fn a_subscription_is_good_for_the_key_of_its_app_alone() {
    let world = World::new().await;
    let token = subscribe(&world);
    let stranger = World {
        keys: DevCredentials::new(),
        ..world
    };
    let outcome = pusher_to_the_lab(&stranger).push(message_to(&token)).await;
    assert_eq!(outcome.name(), "unauthorized", "{outcome:?}");
}

#[tokio::test]
async fn an_unknown_subscription_is_dead_when_only_known_ones_are_good() {
    let world = World::new().await;
    world.handle().set_token_mode(TokenMode::Known);
    let token = format!("https://localhost:{}/push/{ID}", port(&world));
    let outcome = pusher_to_the_lab(&world).push(message_to(&token)).await;
    assert_eq!(outcome.name(), "token_dead", "{outcome:?}");
}

/// A push by hand: these headers, claims and body in place of good ones.
struct Hand {
    headers: Vec<(&'static str, String)>,
    claims: Value,
    body: Vec<u8>,
}

impl Hand {
    fn good(world: &World) -> Self {
        let key = KeyPair::generate().public();
        Self {
            headers: vec![
                ("ttl", "60".to_owned()),
                ("content-encoding", "aes128gcm".to_owned()),
            ],
            claims: json!({
                "aud": format!("https://localhost:{}", port(world)),
                "exp": unix_seconds() + 3600,
                "sub": "mailto:push@example.net",
            }),
            body: seal_message(&key, b"{}", &Entropy::random()).unwrap(),
        }
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(one, _)| *one != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(one, _)| *one != name);
        self
    }

    fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    fn body(mut self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        change(&mut self.body);
        self
    }

    async fn send(self, world: &World, client: &mut H2Client) -> Answer {
        let header = json!({ "typ": "JWT", "alg": "ES256" });
        let jwt = es256(world.keys.vapid_key_pem(), &header, &self.claims);
        let key = base64url(world.keys.vapid_public_key());
        let mut request = client.post(&format!("/push/{ID}"));
        if self
            .headers
            .iter()
            .all(|(name, _)| *name != "authorization")
        {
            request = request.header("authorization", format!("vapid t={jwt}, k={key}"));
        }
        for (name, value) in self.headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, value);
        }
        client.send(request, self.body).await
    }
}

#[tokio::test]
async fn every_rule_of_web_push_is_enforced() {
    let world = World::new().await;
    let mut client = H2Client::connect(&world.ca, world.clouds.addresses().webpush).await;
    let good = || Hand::good(&world);
    let now = unix_seconds();
    let rows: Vec<(Hand, u16, &str)> = vec![
        (good(), 201, ""),
        (
            good()
                .header("urgency", "very-low")
                .header("topic", "a-B_9"),
            201,
            "",
        ),
        (good().without("content-encoding").body(Vec::clear), 201, ""),
        (good().without("ttl"), 400, "TTL is missing"),
        (good().header("ttl", "soon"), 400, "TTL is a number"),
        (good().header("ttl", "-1"), 400, "TTL is a number"),
        (good().header("urgency", "urgent"), 400, "Urgency is"),
        (good().header("topic", &"t".repeat(33)), 400, "Topic is"),
        (good().header("topic", "a.b"), 400, "Topic is"),
        (good().without("content-encoding"), 400, "aes128gcm"),
        (
            good().header("content-encoding", "aesgcm"),
            400,
            "aes128gcm",
        ),
        (good().body(|body| body.resize(4097, 0)), 413, "4096"),
        (good().body(|body| body.truncate(10)), 400, "too short"),
        (
            good().body(|body| body.truncate(86 + 16)),
            400,
            "one record",
        ),
        (good().body(|body| body[16..20].fill(0)), 400, "record size"),
        (good().body(|body| body[20] = 64), 400, "key id"),
        (good().body(|body| body[21] = 2), 400, "key id"),
        (good().header("authorization", ""), 401, "no vapid token"),
        (
            good().header("authorization", "Bearer x"),
            401,
            "no vapid token",
        ),
        (
            good().header("authorization", "vapid t=x, k=AAAA"),
            403,
            "no JWT",
        ),
        (good().claim("aud", "https://push.example"), 403, "aud is"),
        (good().claim("exp", now - 1), 403, "expired"),
        (good().claim("exp", now + 25 * 3600), 403, "24 hours"),
        (good().claim("sub", "push@example.net"), 403, "sub is"),
    ];
    for (number, (hand, status, words)) in rows.into_iter().enumerate() {
        let answer = hand.send(&world, &mut client).await;
        assert_eq!(answer.status, status, "row {number}: {}", answer.body);
        let said = answer.body["error"].as_str().unwrap_or_default();
        assert!(said.contains(words), "row {number}: {said}");
        if status == 201 {
            assert!(answer.headers.contains_key("location"));
            assert_eq!(answer.headers["ttl"], "60");
        }
    }
}
