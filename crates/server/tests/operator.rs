//! What an operator sees of a running server: stories and devices by the beginning of an id, what happens as it happens, and the
//! way of one push.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use domain::Behaviour;
use http::{Method, StatusCode};
use lab::cloud::{Fate, Filter, TokenMode};
use net::http::{Lines, Opened, lines, request};
use reveille::dev::{self, Dev};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{net::UdpSocket, time::timeout};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
const TOKEN: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

struct World {
    dev: Dev,
}

impl World {
    async fn start() -> Self {
        let mut config = dev::on_free_ports();
        // Whoever is on this host says who they are.
        config.call.trusted = reveille::config::Words::of(&["127.0.0.1"]);
        let dev = Dev::start(config, Behaviour::default()).await.unwrap();
        Self { dev }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.dev.server.bound().admin[0])
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let token = Some(dev::ADMIN_TOKEN);
        let (status, bytes) = request(method, &self.url(path), token, body).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn watch(&self, query: &str) -> Lines {
        let url = self.url(&format!("/api/v1/watch?{query}"));
        match lines(None, &url, Some(dev::ADMIN_TOKEN)).await.unwrap() {
            Opened::Lines(lines) => *lines,
            Opened::Refused(status, _) => panic!("{status}"),
        }
    }

    /// One of our users asks over UDP, from this host; the status of the answer.
    async fn asks(&self, method: &str, from: &str, to: &str, call: &str) -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = self.dev.server.bound().sip.udp[0];
        socket.connect(server).await.unwrap();
        let here = socket.local_addr().unwrap();
        let request = format!(
            "{method} sip:{to}@localhost SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{call};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{from}@localhost>;tag=1\r\nTo: <sip:{to}@localhost>\r\n\
             Call-ID: {call}\r\nCSeq: 1 {method}\r\nContact: <sip:{from}@{here}>\r\nContent-Length: 0\r\n\r\n"
        );
        socket.send(request.as_bytes()).await.unwrap();
        let mut octets = [0; 2048];
        loop {
            let length = timeout(PATIENCE, socket.recv(&mut octets))
                .await
                .unwrap()
                .unwrap();
            let text = String::from_utf8_lossy(&octets[..length]);
            let status: u16 = text.split(' ').nth(1).unwrap().parse().unwrap();
            if status >= 200 {
                return status;
            }
        }
    }

    /// Bob's phone hands its tokens over; its id.
    async fn device(&self) -> String {
        let grant =
            json!({ "grant_type": "password", "username": "bob", "password": dev::PASSWORD });
        let (_, granted) = self.ask(Method::POST, "/oauth/token", Some(&grant)).await;
        let token = granted["access_token"].as_str();
        let told =
            json!({ "app": "com.example.phone", "tokens": { "voip": TOKEN, "message": TOKEN } });
        let url = self.url("/api/v1/me/devices/00000000-0000-1000-8000-000000000001");
        let (status, _) = request(Method::PUT, &url, token, Some(&told))
            .await
            .unwrap();
        assert!(status.is_success(), "{status}");
        let (_, all) = self.ask(Method::GET, "/api/v1/devices", None).await;
        all[0]["device"]["id"].as_str().unwrap().to_owned()
    }

    async fn push(&self, device: &str, order: Value) -> Value {
        let path = format!("/api/v1/devices/{device}/push-test");
        let (status, tested) = self.ask(Method::POST, &path, Some(&order)).await;
        assert_eq!(status, StatusCode::OK, "{tested}");
        tested
    }
}

async fn next(lines: &mut Lines) -> Value {
    let line = timeout(PATIENCE, lines.next()).await.unwrap().unwrap();
    serde_json::from_str(&line.expect("a line")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_has_a_story_that_the_beginning_of_its_id_finds() {
    let world = World::start().await;
    for (call, callee) in [("first@here", "nobody"), ("fir-second@here", "nobody2")] {
        assert_eq!(world.asks("INVITE", "alice", callee, call).await, 404);
    }
    let (status, story) = world.ask(Method::GET, "/api/v1/traces/firs", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(story[0]["step"], "call_refused", "{story}");
    assert_eq!(story[0]["alias"], "first@here");
    let (status, several) = world.ask(Method::GET, "/api/v1/traces/fir", None).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let detail = several["detail"].as_str().unwrap();
    assert!(
        detail.contains("first@here") && detail.contains("fir-second@here"),
        "{detail}"
    );
    let (status, _) = world.ask(Method::GET, "/api/v1/traces/nothing", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    world.dev.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_what_it_asked_for_as_it_happens_and_its_place_is_free_when_it_goes() {
    let world = World::start().await;
    let mut all = world.watch("").await;
    let mut of_bob = world.watch("user=bob%40localhost").await;
    let mut of_story = world.watch("stories=true&story=two%40here").await;
    assert_eq!(
        world.asks("INVITE", "alice", "nobody", "one@here").await,
        404
    );
    assert_eq!(world.asks("INVITE", "bob", "nobody", "two@here").await, 404);
    for call in ["one@here", "two@here"] {
        let line = next(&mut all).await;
        assert_eq!(
            (&line["kind"], &line["alias"]),
            (&json!("story"), &json!(call)),
            "{line}"
        );
    }
    assert_eq!(next(&mut of_bob).await["alias"], "two@here");
    assert_eq!(next(&mut of_story).await["alias"], "two@here");
    let device = world.device().await;
    let line = next(&mut of_bob).await;
    assert_eq!(
        (&line["kind"], &line["device"]),
        (&json!("device"), &json!(device)),
        "{line}"
    );
    assert_eq!(line["user"], "bob@localhost");
    let url = world.url("/api/v1/watch?user=nobody%40localhost");
    let refused = lines(None, &url, Some(dev::ADMIN_TOKEN)).await.unwrap();
    assert!(
        matches!(refused, Opened::Refused(StatusCode::NOT_FOUND, _)),
        "{refused:?}"
    );
    let unknown = lines(None, &world.url("/api/v1/watch"), None)
        .await
        .unwrap();
    assert!(
        matches!(unknown, Opened::Refused(StatusCode::UNAUTHORIZED, _)),
        "{unknown:?}"
    );
    world.dev.shutdown().await;
    // The server ends it, and no reader waits for ever.
    while let Ok(Some(_)) = timeout(PATIENCE, all.next()).await.unwrap() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_shown_hop_by_hop_and_what_to_do_when_it_is_refused() {
    let world = World::start().await;
    let device = world.device().await;
    let mut watched = world.watch("stories=true").await;
    let tested = world.push(&device, json!({})).await;
    assert_eq!(tested["outcome"]["outcome"], "accepted", "{tested:#}");
    let hops: Vec<_> = tested["hops"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["hop"].clone())
        .collect();
    assert_eq!(
        hops,
        ["device", "app", "token", "connection", "answer"],
        "{tested:#}"
    );
    let answer = &tested["hops"][4];
    assert_eq!(answer["status"], 200);
    assert!(
        answer["endpoint"]
            .as_str()
            .unwrap()
            .starts_with("localhost:"),
        "{answer}"
    );
    assert_eq!(tested["remedy"], Value::Null);
    let clouds = world.dev.clouds.handle();
    let sent = clouds.notifications(&Filter::default());
    assert_eq!((sent.len(), &*sent[0].token), (1, TOKEN));
    // It is no secret: its story tells of it.
    for step in ["push_sent", "push_accepted"] {
        let line = next(&mut watched).await;
        assert_eq!(
            (&line["step"], &line["tracking"]),
            (&json!(step), &tested["tracking"])
        );
    }
    let called = world.push(&device, json!({ "channel": "voip" })).await;
    assert_eq!(called["outcome"]["outcome"], "accepted", "{called:#}");
    let sent = clouds.notifications(&Filter::default());
    assert_eq!(sent[1].push_type.as_deref(), Some("voip"));

    let fate = json!({ "status": 400, "reason": "BadDeviceToken" });
    let fate: Fate = serde_json::from_value(fate).unwrap();
    clouds.set_token_mode(TokenMode::Any);
    clouds.set_fate(TOKEN, fate).unwrap();
    let refused = world.push(&device, json!({})).await;
    assert_eq!(
        refused["outcome"]["reason"], "BadDeviceToken",
        "{refused:#}"
    );
    assert!(
        refused["remedy"].as_str().unwrap().contains("environment"),
        "{refused:#}"
    );
    assert!(
        !refused.to_string().contains(TOKEN),
        "a token is nobody's to read"
    );

    let path = "/api/v1/devices/nothing/push-test";
    let (status, _) = world.ask(Method::POST, path, Some(&json!({}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    world.dev.shutdown().await;
}
