//! The push service, over its sockets and with the simulated clouds behind it.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    AppId, AppProfile, Behaviour, Channel, Generation, Notification, Outcome, Platform, Provider,
    Purpose,
};
use lab::cloud::{Fate, Fault, FaultKind, Filter};
use push::seal::{Entropy, KeyPair, seal};
use reveille::{
    config::{Addresses, Words},
    dev::{self, Dev},
};
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const APP: &str = "com.example.phone";
const TOKEN: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(15);

struct World {
    dev: Dev,
    token: String,
}

async fn started() -> World {
    started_in(Path::new("")).await
}

/// With its data there; nowhere: in a directory that goes with it.
async fn started_in(data_dir: &Path) -> World {
    let mut config = dev::on_free_ports();
    data_dir.clone_into(&mut config.server.data_dir);
    config.server.roles = Words::of(&["call", "push"]);
    config.listen.push_tls = Addresses::of(&["127.0.0.1:0"]);
    let dev = Dev::start(config, Behaviour::default()).await.unwrap();
    let token = token(dev.server.bound().push[0]).await;
    World { dev, token }
}

/// An HTTP/1.1 request as it is written; the status, the head and the body that come back.
async fn raw(to: SocketAddr, request: &str) -> (u16, String, Value) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = serde_json::from_str(body).unwrap_or_default();
    (status, head.to_lowercase(), body)
}

async fn token(to: SocketAddr) -> String {
    let form = "grant_type=client_credentials";
    // dev:wakeup
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Basic ZGV2Ondha2V1cA==\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let (status, _, granted) = raw(to, &request).await;
    assert_eq!(status, 200, "{granted}");
    granted["access_token"].as_str().unwrap().to_owned()
}

fn sealed(text: &str) -> String {
    let keys = KeyPair::generate();
    let octets = seal(&keys.public(), text.as_bytes(), &Entropy::random()).unwrap();
    URL_SAFE_NO_PAD.encode(octets)
}

fn message(id: &str) -> Value {
    json!({
        "id": id, "app": APP, "token": TOKEN, "channel": "message", "kind": "message", "ttl": 3600,
        "collapse": id, "badge": 3, "tracking": "t1", "sealed": sealed("hello"),
    })
}

impl World {
    fn rest(&self) -> SocketAddr {
        self.dev.server.bound().push[0]
    }

    async fn ask(&self, method: &str, path: &str, more: &str, body: &str) -> (u16, String, Value) {
        let (token, length) = (&self.token, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\n{more}Content-Length: {length}\r\n\r\n{body}"
        );
        raw(self.rest(), &request).await
    }

    async fn submit(&self, push: &Value) -> (u16, Value) {
        let answer = self
            .ask("POST", "/v1/notifications", "", &push.to_string())
            .await;
        (answer.0, answer.2)
    }

    fn seen(&self) -> usize {
        self.dev.clouds.notifications(&Filter::token(TOKEN)).len()
    }

    /// What became of queued pushes, once there is something.
    async fn feedback(&self) -> Value {
        let until = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < until {
            let (_, _, feedback) = self.ask("GET", "/v1/feedback?after=0", "", "").await;
            if feedback["ends"].as_array().is_some_and(|it| !it.is_empty()) {
                return feedback;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nothing becomes of anything");
    }

    /// Asks for a push until it has ended.
    async fn end_of(&self, id: &str) -> Value {
        let until = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < until {
            let path = format!("/v1/notifications/{id}");
            let (status, _, said) = self.ask("GET", &path, "", "").await;
            if status == 200 && said["outcome"] != "queued" {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{id} never ends");
    }
}

#[tokio::test]
async fn a_sender_hears_what_the_cloud_says_and_the_same_id_again_the_same() {
    let world = started().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let more = format!("traceparent: {trace}\r\n");
    let push = message("m1").to_string();
    let (status, head, first) = world.ask("POST", "/v1/notifications", &more, &push).await;
    assert_eq!(
        (status, &first["outcome"]),
        (200, &json!("accepted")),
        "{first}"
    );
    assert!(head.contains(trace), "{head}");
    let (status, again) = world.submit(&message("m1")).await;
    assert_eq!((status, again), (200, first));
    assert_eq!(world.seen(), 1);
    let dead = Fate {
        status: 410,
        reason: Some("Unregistered".to_owned()),
        count: None,
        timestamp: None,
    };
    world.dev.clouds.handle().set_fate(TOKEN, dead).unwrap();
    let (status, said) = world.submit(&message("m2")).await;
    assert_eq!(
        (status, &said["outcome"]),
        (410, &json!("token_dead")),
        "{said}"
    );
    assert_eq!(said["status"], 410);
    world.dev.shutdown().await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_nothing_is_pushed() {
    let world = started().await;
    let with = |name: &str, value: Value| {
        let mut push = message("m1");
        push[name] = value;
        push
    };
    for (push, status) in [
        (with("text", "hello".into()), 422),
        (with("sealed", "aGVsbG8".into()), 422),
        (with("kind", "advert".into()), 422),
        (with("id", "a".repeat(65).into()), 422),
        (with("app", "com.example.others".into()), 403),
        (with("call", "x".repeat(20_000).into()), 413),
    ] {
        let (answered, said) = world.submit(&push).await;
        assert_eq!(answered, status, "{said}");
        assert_eq!(said["status"], status, "a problem document: {said}");
    }
    let (status, ..) = world.ask("POST", "/v1/notifications", "", "{").await;
    assert_eq!(status, 400);
    let (status, ..) = world.ask("PUT", "/v1/notifications", "", "").await;
    assert_eq!(status, 405);
    let (status, ..) = world.ask("GET", "/v1/notifications/nobody", "", "").await;
    assert_eq!(status, 404);
    let mut stranger = World {
        token: "1.64.ff".to_owned(),
        ..world
    };
    let (status, said) = stranger.submit(&message("m1")).await;
    assert_eq!(status, 401, "{said}");
    stranger.token = String::new();
    assert_eq!(stranger.submit(&message("m1")).await.0, 401);
    assert_eq!(stranger.seen(), 0);
    stranger.dev.shutdown().await;
}

#[tokio::test]
async fn a_batch_is_answered_one_by_one_in_order() {
    let world = started().await;
    let batch = json!([message("b1"), { "id": "b2" }, message("b1"), message("b3")]);
    let (status, _, said) = world
        .ask("POST", "/v1/notifications/batch", "", &batch.to_string())
        .await;
    assert_eq!(status, 200);
    let told = |at: usize| (said[at]["id"].clone(), said[at]["outcome"].clone());
    assert_eq!(told(0), (json!("b1"), json!("accepted")));
    assert_eq!(told(1), (json!("b2"), json!("refused")));
    assert_eq!(told(2), (json!("b1"), json!("accepted")));
    assert_eq!(told(3), (json!("b3"), json!("accepted")));
    assert_eq!(said.as_array().unwrap().len(), 4);
    assert_eq!(world.seen(), 2, "b1 went once");
    world.dev.shutdown().await;
}

#[tokio::test]
async fn a_queued_push_survives_an_outage_and_what_became_of_it_can_be_read() {
    let world = started().await;
    let outage = Fault::new(Provider::Apns, FaultKind::Http503).times(1);
    world.dev.clouds.handle().order(outage).unwrap();
    let more = "Prefer: respond-async\r\n";
    let push = message("q1").to_string();
    let (status, _, said) = world.ask("POST", "/v1/notifications", more, &push).await;
    assert_eq!(
        (status, &said["outcome"]),
        (202, &json!("queued")),
        "{said}"
    );
    let dead = Fate {
        status: 410,
        reason: Some("Unregistered".to_owned()),
        count: None,
        timestamp: None,
    };
    let other = TOKEN.replace('0', "a");
    world.dev.clouds.handle().set_fate(&other, dead).unwrap();
    let mut push = message("q2");
    push["token"] = other.into();
    let (status, ..) = world
        .ask("POST", "/v1/notifications", more, &push.to_string())
        .await;
    assert_eq!(status, 202);
    assert_eq!(world.end_of("q2").await["outcome"], "token_dead");
    let (_, _, waits) = world.ask("GET", "/v1/notifications/q1", "", "").await;
    assert_eq!(waits["outcome"], "queued", "its cloud had an outage");
    let feedback = world.feedback().await;
    assert_eq!(feedback["ends"][0]["id"], "q2", "{feedback}");
    let behind = format!("/v1/feedback?after={}", feedback["next"]);
    let (_, _, rest) = world.ask("GET", &behind, "", "").await;
    assert_eq!(rest["next"], feedback["next"]);
    world.dev.shutdown().await;
}

#[tokio::test]
async fn nothing_of_a_push_is_left_in_the_store_once_it_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let world = started_in(folder.path()).await;
    let planted = sealed("planted");
    let mut push = message("q1");
    push["sealed"] = planted.clone().into();
    let more = "Prefer: respond-async\r\n";
    let (status, ..) = world
        .ask("POST", "/v1/notifications", more, &push.to_string())
        .await;
    assert_eq!(status, 202);
    let taken = Filter::token(TOKEN).only_accepted();
    let taken = world.dev.clouds.handle().wait_for(&taken, PATIENCE).await;
    assert_eq!(taken[0].payload["sealed"], planted.as_str());
    world.feedback().await;
    world.dev.shutdown().await;
    let octets = URL_SAFE_NO_PAD.decode(&planted).unwrap();
    let mut files = 0;
    let paths = std::fs::read_dir(folder.path()).unwrap();
    // The keys of the clouds have a directory of their own.
    let files_of_ours = paths.map(|it| it.unwrap().path()).filter(|it| it.is_file());
    for path in files_of_ours {
        let kept = std::fs::read(&path).unwrap();
        files += usize::from(kept.windows(2).any(|two| two == b"q1"));
        // The last of it: the head of a cell may be reused for its neighbours.
        for needle in [
            &octets[octets.len() - 32..],
            TOKEN.as_bytes(),
            planted.as_bytes(),
        ] {
            let found = kept.windows(needle.len()).any(|it| it == needle);
            assert!(!found, "in {}", path.display());
        }
    }
    assert!(files > 0, "what became of it is there");
}

#[tokio::test]
async fn another_server_pushes_through_it_over_tls() {
    let world = started().await;
    let at = world.dev.server.bound().push_tls[0];
    let app = |secret: &str| push::App {
        profile: AppProfile {
            app: AppId::from(APP),
            platform: Platform::Ios,
            provider: Provider::Apns,
            generation: Generation::DualChannel,
        },
        credentials: push::Credentials::Service {
            at: format!("localhost:{}", at.port()).parse().unwrap(),
            client_id: "dev".to_owned(),
            client_secret: secret.to_owned(),
            provider: Provider::Apns,
            param: String::new(),
        },
        environment: push::Environment::Production,
        endpoint: None,
    };
    let pusher = |secret: &str| {
        let roots = world.dev.ca.root_store();
        push::Pusher::new(
            vec![app(secret)],
            roots,
            push::Limits::default(),
            Arc::new(Silent),
        )
        .unwrap()
    };
    let call = |id: &str| Notification {
        id: id.into(),
        app: AppId::from(APP),
        token: TOKEN.to_owned(),
        channel: Channel::Voip,
        purpose: Purpose::Call {
            call: "c@1".to_owned(),
            register_at: "sip:localhost".to_owned(),
        },
        tracking: "t1".into(),
        ttl: Duration::ZERO,
        collapse: None,
        badge: None,
        sealed: None,
    };
    let good = pusher(dev::PASSWORD);
    let mut pushes = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (good, call) = (good.clone(), call(&format!("c{n}")));
        pushes.spawn(async move { good.push(call).await });
    }
    for outcome in pushes.join_all().await {
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    }
    assert_eq!(world.seen(), 200);
    let bad = pusher("guess").push(call("x")).await;
    assert!(matches!(bad, Outcome::Unauthorized { .. }), "{bad:?}");
    good.shutdown().await;
    world.dev.shutdown().await;
}

/// Nobody watches.
struct Silent;

impl push::Observer for Silent {
    fn on(&self, _: &push::Event<'_>) {}
}
