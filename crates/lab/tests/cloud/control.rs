//! The control API over plain HTTP.

use crate::world::{DEVICE, World};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use lab::cloud::{Ca, CloudConfig, Clouds, DevCredentials, Filter, StartError};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

async fn call(world: &World, method: &str, path: &str, body: &str) -> (u16, String) {
    let tcp = TcpStream::connect(world.clouds.addresses().control)
        .await
        .unwrap();
    let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let answer = send.send_request(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(world: &World, path: &str) -> Value {
    let (status, body) = call(world, "GET", path, "").await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

async fn post(world: &World, path: &str, body: Value) -> Value {
    let (status, answer) = call(world, "POST", path, &body.to_string()).await;
    assert_eq!(status, 200, "{path}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

/// Pushes to `device` through APNs; says the status.
async fn push(world: &World, device: &str) -> u16 {
    let mut client = world.apns().await;
    let request = client
        .post(&format!("/3/device/{device}"))
        .header(
            "authorization",
            format!("bearer {}", world.provider_token(0)),
        )
        .header("apns-topic", "com.example.phone");
    client.send(request, "{\"aps\":{}}").await.status
}

#[tokio::test]
async fn notifications_are_listed_filtered_and_forgotten() {
    let world = World::new().await;
    let other = DEVICE.replace('0', "1");
    assert_eq!(push(&world, DEVICE).await, 200);
    assert_eq!(push(&world, &other).await, 200);
    assert_eq!(push(&world, "bad").await, 400);
    let seqs = async |path: &str| -> Vec<u64> {
        let list = get(&world, path).await;
        let list = list.as_array().unwrap();
        list.iter()
            .map(|one| one["seq"].as_u64().unwrap())
            .collect()
    };
    let only_one = format!("/notifications?token={other}");
    #[rustfmt::skip]
    let rows: [(&str, &[u64]); 10] = [
        ("/notifications", &[1, 2, 3]),
        ("/notifications?provider=&token=", &[1, 2, 3]),
        ("/notifications?provider=apns", &[1, 2, 3]),
        ("/notifications?provider=fcm", &[]),
        (&only_one, &[2]),
        ("/notifications?accepted=true", &[1, 2]),
        ("/notifications?accepted=false", &[3]),
        ("/notifications?after=2", &[3]),
        ("/notifications?after=3", &[]),
        ("/notifications?after=18446744073709551615", &[]),
    ];
    for (path, wanted) in rows {
        assert_eq!(seqs(path).await, wanted, "{path}");
    }
    call(&world, "DELETE", "/notifications", "").await;
    assert!(seqs("/notifications").await.is_empty());
    push(&world, DEVICE).await;
    assert_eq!(seqs("/notifications?after=3").await, [4], "numbers go on");
}

#[tokio::test]
async fn a_long_poll_comes_back_with_the_news_and_not_before() {
    let world = World::new().await;
    push(&world, DEVICE).await;
    // What is there already comes at once.
    let start = Instant::now();
    assert_eq!(
        get(&world, "/notifications?wait=30")
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // News for others do not end the wait; for this device they do.
    let path = format!("/notifications?token={DEVICE}&after=1&wait=30");
    let waiting = get(&world, &path);
    let pushing = async {
        push(&world, &DEVICE.replace('0', "1")).await;
        push(&world, DEVICE).await;
    };
    let (news, ()) = tokio::join!(waiting, pushing);
    assert_eq!(news.as_array().unwrap().len(), 1);
    assert_eq!(news[0]["seq"], 3);
    assert!(start.elapsed() < Duration::from_secs(20));
    // Nothing new: empty when the time is over.
    let start = Instant::now();
    let nothing = get(&world, "/notifications?after=3&wait=1").await;
    assert!(nothing.as_array().unwrap().is_empty());
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_long_poll_ends_when_the_clouds_shut_down() {
    let world = World::new().await;
    let lab = world.handle();
    let start = Instant::now();
    let filter = Filter::default();
    let waiting = lab.wait_for(&filter, Duration::from_mins(1));
    let (nothing, ()) = tokio::join!(waiting, world.clouds.shutdown());
    assert!(nothing.is_empty());
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn tokens_modes_fates_and_faults_are_ordered_here() {
    let world = World::new().await;
    let made_up = post(
        &world,
        "/tokens",
        json!({ "provider": "apns", "app": "com.example.phone" }),
    )
    .await;
    let device = made_up["token"].as_str().unwrap();
    post(&world, "/mode", json!({ "tokens": "known" })).await;
    assert_eq!(push(&world, DEVICE).await, 400);
    assert_eq!(push(&world, device).await, 200);
    let given = json!({ "provider": "apns", "app": "com.example.phone", "token": DEVICE });
    assert_eq!(post(&world, "/tokens", given).await["token"], DEVICE);
    assert_eq!(push(&world, DEVICE).await, 200);
    post(&world, "/mode", json!({ "tokens": "any" })).await;

    let fate = json!({ "status": 410, "reason": "Unregistered", "count": 1 });
    post(&world, &format!("/tokens/{DEVICE}/fate"), fate).await;
    assert_eq!(push(&world, DEVICE).await, 410);
    assert_eq!(push(&world, DEVICE).await, 200);

    let fault = json!({ "provider": "apns", "kind": "http_503", "count": 2 });
    post(&world, "/faults", fault).await;
    assert_eq!(push(&world, DEVICE).await, 503);
    call(&world, "DELETE", "/faults", "").await;
    assert_eq!(push(&world, DEVICE).await, 200);

    let droid = post(
        &world,
        "/tokens",
        json!({ "provider": "fcm", "app": "com.example.droid" }),
    )
    .await;
    assert!(droid["token"].as_str().unwrap().len() >= 100);
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_and_what_is_allowed() {
    let world = World::new().await;
    let fate = format!("/tokens/{DEVICE}/fate");
    #[rustfmt::skip]
    let rows = [
        ("GET", "/notifications?provider=apple", "", 400, "apns"),
        ("GET", "/notifications?since=3", "", 400, "after=SEQ"),
        ("GET", "/notifications?after=x", "", 400, "after"),
        ("POST", "/tokens", r#"{"provider":"apns","app":"com.no.app"}"#, 400, "com.example.phone12"),
        ("POST", "/tokens", r#"{"provider":"apns","app":"com.example.phone","token":"x"}"#, 400, "hexadecimal"),
        ("POST", "/tokens", r#"{"provider":"wns","app":"a"}"#, 400, "`apns`, `fcm`, `webpush`"),
        ("POST", "/tokens", r#"{"provider":"apns"}"#, 400, "missing field `app`"),
        ("POST", "/mode", r#"{"tokens":"some"}"#, 400, "`any` or `known`"),
        ("POST", "/mode", "", 400, "EOF"),
        ("POST", &fate, r#"{"status":302}"#, 400, "400 to 599"),
        ("POST", &fate, r#"{"status":410,"why":"x"}"#, 400, "`reason`"),
        ("POST", &fate, r#"{"status":410,"count":0}"#, 400, "from 1"),
        ("POST", "/faults", r#"{"provider":"apns","kind":"fire"}"#, 400, "`max_streams`"),
        ("POST", "/faults", r#"{"provider":"apns","kind":"latency_ms"}"#, 400, "latency_ms wants a number of milliseconds"),
        ("POST", "/faults", r#"{"provider":"apns","kind":"reset","value":"x"}"#, 400, "stream"),
        ("POST", "/faults", r#"{"provider":"apns","kind":"max_streams","count":1}"#, 400, "count"),
        ("GET", "/credentials/no-project.json", "", 404, "example-droid.json"),
        ("GET", "/notification", "", 404, "no such path"),
        ("PUT", "/mode", "", 405, "another method"),
    ];
    for (method, path, body, status, says) in rows {
        let (found, answer) = call(&world, method, path, body).await;
        assert_eq!(found, status, "{method} {path} {body}: {answer}");
        let error: Value = serde_json::from_str(&answer).unwrap();
        let error = error["error"].as_str().unwrap();
        assert!(error.contains(says), "{method} {path} {body}: {error}");
    }
}

#[tokio::test]
async fn anybody_s_client_finds_what_it_needs() {
    let world = World::new().await;
    let (_, help) = call(&world, "GET", "/", "").await;
    for path in [
        "/ca.pem",
        "/notifications",
        "/tokens",
        "/faults",
        "/mode",
        "expired_credentials",
        "APNs team TEAM123456, key LABKEY0001: com.example.phone, ",
        "FCM project example-droid: com.example.droid",
    ] {
        assert!(help.contains(path), "{path}");
    }
    let (_, ca) = call(&world, "GET", "/ca.pem", "").await;
    assert_eq!(ca, world.ca.ca_pem());
    let (_, key) = call(&world, "GET", "/credentials/apns.p8", "").await;
    assert_eq!(key, world.keys.apns_key_pem());
    let account = get(&world, "/credentials/example-droid.json").await;
    assert_eq!(account["token_uri"], world.token_uri());
    assert_eq!(account["project_id"], "example-droid");
}

#[tokio::test]
async fn the_journal_lets_the_oldest_go() {
    let world = World::with(|config| config.limits.records = 2).await;
    for _ in 0..3 {
        push(&world, DEVICE).await;
    }
    let seqs: Vec<u64> = world.records().iter().map(|record| record.seq).collect();
    assert_eq!(seqs, [2, 3]);

    let world = World::with(|config| config.limits.record_bytes = 1).await;
    for _ in 0..3 {
        push(&world, DEVICE).await;
    }
    let seqs: Vec<u64> = world.records().iter().map(|record| record.seq).collect();
    assert_eq!(seqs, [3]);
}

#[tokio::test]
async fn clouds_that_cannot_start_say_why() {
    let world = World::new().await;
    let (ca, keys) = (Ca::new().unwrap(), DevCredentials::new());
    let mut config = CloudConfig::dev(&ca, &keys).on_free_ports();
    config.fcm = world.clouds.addresses().fcm;
    let taken = Clouds::start(config).await.err().unwrap();
    assert!(matches!(taken, StartError::Listen { .. }));
    assert!(
        taken
            .to_string()
            .contains("the simulated FCM cannot listen on 127.0.0.1:"),
        "{taken}"
    );

    let mut config = CloudConfig::dev(&ca, &keys).on_free_ports();
    config.control = ([0, 0, 0, 0], 0).into();
    let open = Clouds::start(config).await.err().unwrap();
    assert!(matches!(open, StartError::ControlNotLoopback(_)));
}
