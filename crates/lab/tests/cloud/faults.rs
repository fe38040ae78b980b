//! Each fault as the client meets it.

use crate::{
    client::{Answer, H2Client, go_away_reason, tls},
    world::{DEVICE, DROID, World},
};
use domain::Provider::{Apns, Fcm};
use http::request::Builder;
use lab::cloud::{Fault, FaultKind};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const BODY: &str = r#"{"aps":{"alert":"hello"}}"#;

/// A connection to APNs that was let in, so that it may open many streams.
struct Sender {
    client: H2Client,
    token: String,
}

impl Sender {
    async fn new(world: &World) -> Self {
        Self::with_token(world, world.provider_token(0)).await
    }

    async fn with_token(world: &World, token: String) -> Self {
        let mut sender = Self {
            client: world.apns().await,
            token,
        };
        assert_eq!(sender.send().await.unwrap().status, 200);
        sender.client.until_streams_allowed(1000).await;
        sender
    }

    fn request(&self) -> Builder {
        self.client
            .post(&format!("/3/device/{DEVICE}"))
            .header("authorization", format!("bearer {}", self.token))
            .header("apns-topic", "com.example.phone")
            .header("apns-push-type", "alert")
    }

    async fn send(&mut self) -> Result<Answer, h2::Error> {
        let request = self.request();
        self.client.try_send(request, BODY).await
    }

    fn start(&mut self) -> impl Future<Output = Result<Answer, h2::Error>> + use<> {
        let request = self.request();
        self.client.start(request, BODY)
    }
}

async fn fcm_push(client: &mut H2Client, access: &str) -> Answer {
    let request = client
        .post("/v1/projects/example-droid/messages:send")
        .header("authorization", format!("Bearer {access}"));
    let body = json!({ "message": { "token": DROID, "data": { "a": "b" } } });
    client.send(request, body.to_string()).await
}

#[tokio::test]
async fn go_away_refuses_the_request_that_it_strikes_and_answers_those_before() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    // The one before is still held back when the GOAWAY comes.
    world.order(Fault::new(Apns, FaultKind::LatencyMs).number(300).times(1));
    let before = sender.start();
    // A round trip, so that it is before indeed.
    assert_eq!(sender.send().await.unwrap().status, 200);

    world.order(Fault::new(Apns, FaultKind::Goaway).text("InternalServerError"));
    let struck = sender.send().await.unwrap_err();
    let retry_is_safe = struck.is_go_away() || struck.reason() == Some(h2::Reason::REFUSED_STREAM);
    assert!(retry_is_safe, "{struck}");
    assert_eq!(before.await.unwrap().status, 200);
    sender.client.end().await.unwrap();
    let after = sender.send().await.unwrap_err();
    assert!(
        go_away_reason(&after).contains("InternalServerError"),
        "{after}"
    );

    let written = world.last_record();
    assert!(
        world
            .records()
            .iter()
            .any(|record| record.fault == Some(FaultKind::Goaway) && record.answer.is_none())
    );
    assert!(written.connection == 1);
    assert_eq!(Sender::new(&world).await.send().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_push_that_go_away_refuses_in_a_burst_was_not_taken() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    world.handle().forget_notifications();
    world.order(Fault::new(Apns, FaultKind::LatencyMs).number(50));
    let before: Vec<_> = (0..30).map(|_| sender.start()).collect();
    world.order(Fault::new(Apns, FaultKind::Goaway));
    let after: Vec<_> = (0..30).map(|_| sender.start()).collect();
    let mut answered = 0;
    for answer in before.into_iter().chain(after) {
        match answer.await {
            Ok(answer) => answered += usize::from(answer.status == 200),
            Err(error) => {
                let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
                assert!(error.is_go_away() || refused, "{error}");
            }
        }
    }
    let taken = world.records().iter().filter(|one| one.accepted()).count();
    assert_eq!(answered, taken);
}

#[tokio::test]
async fn settings_go_down_to_one_stream_and_up_again_on_live_connections() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    world.order(Fault::new(Apns, FaultKind::MaxStreams).number(1));
    sender.client.until_streams_allowed(1).await;
    for _ in 0..3 {
        assert_eq!(sender.send().await.unwrap().status, 200);
    }
    // A connection made meanwhile is held to it too.
    let mut other = world.apns().await;
    let request = sender.request();
    assert_eq!(other.send(request, BODY).await.status, 200);
    assert_eq!(other.streams_allowed(), 1);

    world.order(Fault::new(Apns, FaultKind::MaxStreams).number(5));
    sender.client.until_streams_allowed(5).await;
    other.until_streams_allowed(5).await;
    world.order(Fault::new(Apns, FaultKind::MaxStreams));
    sender.client.until_streams_allowed(1000).await;
}

#[tokio::test]
async fn orders_in_quick_succession_end_with_the_last() {
    let world = World::new().await;
    let sender = Sender::new(&world).await;
    for streams in [3, 9, 1, 70, 2, 40] {
        world.order(Fault::new(Apns, FaultKind::MaxStreams).number(streams));
    }
    sender.client.until_streams_allowed(40).await;
}

#[tokio::test]
async fn answers_are_held_back() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    world.order(Fault::new(Apns, FaultKind::LatencyMs).number(200));
    for _ in 0..2 {
        let start = Instant::now();
        assert_eq!(sender.send().await.unwrap().status, 200);
        assert!(start.elapsed() >= Duration::from_millis(200));
    }
    world.order(Fault::new(Apns, FaultKind::LatencyMs).number(0));
    world.order(
        Fault::new(Apns, FaultKind::LatencyMs)
            .number(60_000)
            .times(1),
    );
    world.handle().clear_faults();
    let answer = tokio::time::timeout(Duration::from_secs(10), sender.send()).await;
    assert_eq!(answer.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn outages_are_answered_in_the_platform_s_words() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    let mut fcm = world.fcm().await;
    let access = world.access_token(&mut fcm, "example-droid").await;

    world.order(Fault::new(Apns, FaultKind::Http503).times(2));
    for _ in 0..2 {
        let answer = sender.send().await.unwrap();
        assert_eq!(
            (answer.status, answer.reason()),
            (503, "ServiceUnavailable")
        );
    }
    assert_eq!(sender.send().await.unwrap().status, 200);
    world.order(Fault::new(Apns, FaultKind::Http429).number(7));
    let answer = sender.send().await.unwrap();
    assert_eq!((answer.status, answer.reason()), (429, "TooManyRequests"));
    assert_eq!(answer.headers["retry-after"], "7");

    world.order(Fault::new(Fcm, FaultKind::Http503));
    world.order(Fault::new(Fcm, FaultKind::Http429).number(30));
    let answer = fcm_push(&mut fcm, &access).await;
    assert_eq!(
        (answer.status, &answer.body["error"]["status"]),
        (503, &json!("UNAVAILABLE"))
    );
    assert!(!answer.headers.contains_key("retry-after"));
    let answer = fcm_push(&mut fcm, &access).await;
    assert_eq!(
        (answer.status, &answer.body["error"]["status"]),
        (429, &json!("RESOURCE_EXHAUSTED"))
    );
    assert_eq!(answer.headers["retry-after"], "30");
    assert_eq!(fcm_push(&mut fcm, &access).await.status, 200);
}

#[tokio::test]
async fn a_reset_cuts_the_connection_or_the_stream() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    world.order(Fault::new(Apns, FaultKind::Reset).text("stream"));
    let struck = sender.send().await.unwrap_err();
    assert!(
        struck.is_reset() && struck.reason() == Some(h2::Reason::INTERNAL_ERROR),
        "{struck}"
    );
    assert_eq!(sender.send().await.unwrap().status, 200);

    world.order(Fault::new(Apns, FaultKind::Reset));
    let struck = sender.send().await.unwrap_err();
    assert!(struck.is_io(), "{struck}");
    let end = sender.client.end().await.unwrap_err();
    let kind = end.get_io().expect("an I/O error").kind();
    assert_eq!(kind, std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_silent_connection_answers_nothing_any_more() {
    let world = World::with(|config| config.limits.silence = Duration::from_millis(300)).await;
    let mut sender = Sender::new(&world).await;
    let start = Instant::now();
    world.order(Fault::new(Apns, FaultKind::Silent));
    let struck = sender.start();
    let also = sender.start();
    assert!(struck.await.is_err());
    assert!(also.await.is_err());
    assert!(
        start.elapsed() >= Duration::from_millis(300),
        "silent until it is closed"
    );

    let mut sender = Sender::new(&world).await;
    world.order(Fault::new(Apns, FaultKind::Silent).text("stream"));
    let struck = sender.start();
    assert_eq!(
        sender.send().await.unwrap().status,
        200,
        "the others are answered"
    );
    assert!(struck.await.is_err());
}

#[tokio::test]
async fn expired_credentials_are_refused_until_new_ones_come() {
    let world = World::new().await;
    let mut sender = Sender::with_token(&world, world.provider_token(60)).await;
    world.order(Fault::new(Apns, FaultKind::ExpiredCredentials));
    for _ in 0..2 {
        let answer = sender.send().await.unwrap();
        assert_eq!(
            (answer.status, answer.reason()),
            (403, "ExpiredProviderToken")
        );
    }
    // Sooner than 20 minutes after the last, which is allowed here.
    sender.token = world.provider_token(0);
    assert_eq!(sender.send().await.unwrap().status, 200);

    let mut fcm = world.fcm().await;
    let access = world.access_token(&mut fcm, "example-droid").await;
    assert_eq!(fcm_push(&mut fcm, &access).await.status, 200);
    world.order(Fault::new(Fcm, FaultKind::ExpiredCredentials));
    for _ in 0..2 {
        let answer = fcm_push(&mut fcm, &access).await;
        assert_eq!(
            (answer.status, &answer.body["error"]["status"]),
            (401, &json!("UNAUTHENTICATED"))
        );
    }
    let access = world.access_token(&mut fcm, "example-droid").await;
    assert_eq!(fcm_push(&mut fcm, &access).await.status, 200);
}

#[tokio::test]
async fn faults_strike_in_the_order_in_which_they_were_ordered() {
    let world = World::new().await;
    let mut sender = Sender::new(&world).await;
    world.order(Fault::new(Apns, FaultKind::Http503));
    world.order(Fault::new(Apns, FaultKind::Http429));
    let statuses = [
        sender.send().await.unwrap().status,
        sender.send().await.unwrap().status,
    ];
    assert_eq!(statuses, [503, 429]);
    assert!(
        world
            .handle()
            .order(Fault::new(Apns, FaultKind::LatencyMs))
            .is_err()
    );
    assert!(
        world
            .handle()
            .order(Fault::new(Apns, FaultKind::Reset).times(0))
            .is_err()
    );
    assert!(
        world
            .handle()
            .order(Fault::new(Apns, FaultKind::Reset).text("all"))
            .is_err()
    );
}

/// Whoever plays a dead peer must not hold a connection for ever: it reads nothing, so it never sees the GOAWAY.
#[tokio::test]
async fn a_client_that_ignores_go_away_is_cut() {
    let world = World::with(|config| {
        config.limits.idle = Duration::from_millis(50);
        config.limits.connections = 1;
    })
    .await;
    let dead = tls(&world.ca, world.clouds.addresses().apns, b"h2").await;
    let mut preface = dead;
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    preface.write_all(hello).await.unwrap();
    let mut everything = Vec::new();
    let end = preface.read_to_end(&mut everything);
    let end = tokio::time::timeout(Duration::from_secs(10), end).await;
    // Cut, with or without a TLS farewell.
    assert!(end.is_ok(), "still open");
    // Its place is free again.
    assert_eq!(world.apns().await.streams_allowed(), 100);
}

#[tokio::test]
async fn a_lenient_cloud_takes_what_it_would_refuse_and_says_what_that_was() {
    let world = World::with(|config| config.lenient = true).await;
    let device = format!("/3/device/{DEVICE}");
    let mut apple = world.apns().await;
    let answer = apple.send(apple.post(&device), "{}").await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers.contains_key("apns-id"));
    let mut google = world.fcm().await;
    let send = google.post("/v1/projects/example-droid/messages:send");
    let answer = google.send(send, "{}").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body["name"].is_string());
    let mut web = H2Client::connect(&world.ca, world.clouds.addresses().webpush).await;
    let answer = web.send(web.post("/push/abcdefghijklmnop"), "").await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let noted: Vec<String> = world
        .records()
        .into_iter()
        .flat_map(|record| record.violations)
        .collect();
    assert_eq!(
        noted,
        [
            "refused, were it not lenient: 403 MissingProviderToken",
            "refused, were it not lenient: 401 UNAUTHENTICATED",
            "refused, were it not lenient: 400 TTL is missing (RFC 8030 section 5.2)",
        ]
    );

    // What was ordered happens all the same.
    let fate = lab::cloud::Fate {
        status: 410,
        reason: None,
        count: None,
        timestamp: None,
    };
    world.handle().set_fate(DEVICE, fate).unwrap();
    let token = world.provider_token(0);
    let good = apple
        .post(&device)
        .header("authorization", format!("bearer {token}"))
        .header("apns-topic", "com.example.phone")
        .header("apns-push-type", "alert");
    let answer = apple.send(good, r#"{"aps":{"alert":"a"}}"#).await;
    assert_eq!(answer.status, 410, "{}", answer.body);
}
