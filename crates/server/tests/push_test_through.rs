//! `push test` of a server whose pushes go through somebody's push service: its way is shown, and the cloud's word comes back.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use domain::Behaviour;
use http::Method;
use lab::cloud::{Fate, Filter};
use reveille::{
    app::{Options, Server},
    config::{self, Addresses, Config, Words},
    dev::{self, Dev},
    setup,
};
use serde_json::{Value, json};
use std::path::Path;

const TOKEN: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The push service, with the simulated clouds behind it.
async fn service() -> Dev {
    let mut config = dev::on_free_ports();
    config.server.roles = Words::of(&["call", "push"]);
    config.listen.push_tls = Addresses::of(&["127.0.0.1:0"]);
    Dev::start(config, Behaviour::default()).await.unwrap()
}

/// A server that has this secret for it, and no key of any cloud.
async fn sender(folder: &Path, service: &Dev, secret: &str) -> Server {
    let at = folder.display();
    std::fs::write(folder.join("ca.pem"), service.ca.ca_pem()).unwrap();
    std::fs::write(folder.join("push.secret"), secret).unwrap();
    let port = service.server.bound().push_tls[0].port();
    let text = format!(
        "[server]\ndomains = [\"localhost\"]\ndata_dir = \"{at}\"\n\
         [listen]\nsip_udp = [\"127.0.0.1:0\"]\nsip_tcp = [\"127.0.0.1:0\"]\nadmin = [\"127.0.0.1:0\"]\n\
         health = [\"127.0.0.1:0\"]\n\
         [push]\nca = \"{at}/ca.pem\"\nurl = \"localhost:{port}\"\nclient_id = \"dev\"\n\
         client_secret_file = \"{at}/push.secret\"\n\
         [[push.app]]\napp = \"com.example.phone\"\nteam_id = \"TEAM123456\"\n"
    );
    let file = folder.join("reveille.toml");
    std::fs::write(&file, text).unwrap();
    let config = config::load(&Config::default(), Some(&file), std::iter::empty()).unwrap();
    let options = Options {
        behaviour: Behaviour::default(),
        apps: setup::apps(&config.push).unwrap(),
        route: setup::route(&config.push).unwrap(),
        tls: None,
        client_tls: None,
        admin_token: "admin".to_owned(),
        origin: None,
        users: vec![("bob".to_owned(), "wakeup".to_owned())],
        tenants: Vec::new(),
        config,
    };
    Server::start(options).await.unwrap()
}

async fn ask(server: &Server, way: (Method, &str), token: Option<&str>, body: &Value) -> Value {
    let (method, path) = way;
    let url = format!("http://{}{path}", server.bound().admin[0]);
    let answer = net::http::request(method, &url, token, Some(body)).await;
    let (status, bytes) = answer.unwrap();
    let said = String::from_utf8_lossy(&bytes).into_owned();
    assert!(status.is_success(), "{path}: {status} {said}");
    serde_json::from_str(&said).unwrap_or_default()
}

/// Bob's phone hands its tokens over, and is pushed to as often as is asked for; what is told of each.
async fn tested(server: &Server) -> impl AsyncFn() -> Value {
    let login = json!({ "grant_type": "password", "username": "bob", "password": "wakeup" });
    let granted = ask(server, (Method::POST, "/oauth/token"), None, &login).await;
    let token = granted["access_token"].as_str();
    let told = json!({ "app": "com.example.phone", "tokens": { "voip": TOKEN, "message": TOKEN } });
    let path = "/api/v1/me/devices/00000000-0000-1000-8000-000000000001";
    ask(server, (Method::PUT, path), token, &told).await;
    let url = format!("http://{}/api/v1/devices", server.bound().admin[0]);
    let listed = net::http::request(Method::GET, &url, Some("admin"), None).await;
    let listed: Value = serde_json::from_slice(&listed.unwrap().1).unwrap();
    let device = listed[0]["device"]["id"].as_str().unwrap().to_owned();
    async move || {
        let path = format!("/api/v1/devices/{device}/push-test");
        ask(server, (Method::POST, &path), Some("admin"), &json!({})).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_push_goes_through_the_push_service_and_tells_what_the_cloud_says() {
    let service = service().await;
    let folder = tempfile::tempdir().unwrap();
    let server = sender(folder.path(), &service, dev::PASSWORD).await;
    let test = tested(&server).await;
    let taken = test().await;
    assert_eq!(taken["outcome"]["outcome"], "accepted", "{taken:#}");
    let hops = taken["hops"].as_array().unwrap();
    let names: Vec<_> = hops.iter().map(|it| it["hop"].as_str().unwrap()).collect();
    assert_eq!(names[..3], ["device", "app", "token"], "{taken:#}");
    let last = hops.last().unwrap();
    let port = service.server.bound().push_tls[0].port();
    let wanted = (
        json!("answer"),
        json!(200),
        json!(format!("localhost:{port}")),
    );
    let found = (
        last["hop"].clone(),
        last["status"].clone(),
        last["endpoint"].clone(),
    );
    assert_eq!(found, wanted, "{taken:#}");
    let clouds = service.clouds.handle();
    assert_eq!(clouds.notifications(&Filter::token(TOKEN)).len(), 1);

    let fate = json!({ "status": 400, "reason": "BadDeviceToken" });
    let fate: Fate = serde_json::from_value(fate).unwrap();
    clouds.set_fate(TOKEN, fate).unwrap();
    let refused = test().await;
    assert_eq!(
        refused["outcome"]["reason"], "BadDeviceToken",
        "{refused:#}"
    );
    let remedy = refused["remedy"].as_str().unwrap();
    assert!(remedy.contains("environment"), "{refused:#}");
    assert!(
        !refused.to_string().contains(TOKEN),
        "it is nobody's to read"
    );

    drop(test);
    server.shutdown().await;
    service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_taken_by_the_push_service_or_cannot_reach_it_is_told_what_to_do() {
    let service = service().await;
    let folder = tempfile::tempdir().unwrap();
    let server = sender(folder.path(), &service, "guess").await;
    let test = tested(&server).await;
    let refused = test().await;
    assert_eq!(refused["outcome"]["outcome"], "unauthorized", "{refused:#}");
    let remedy = refused["remedy"].as_str().unwrap();
    assert!(remedy.contains("push.client_secret_file"), "{refused:#}");
    service.shutdown().await;
    let dead = test().await;
    assert_eq!(dead["outcome"]["outcome"], "unavailable", "{dead:#}");
    let (remedy, reason) = (dead["remedy"].as_str().unwrap(), &dead["outcome"]["reason"]);
    assert!(remedy.contains("push.url"), "{dead:#}");
    assert!(
        reason.as_str().unwrap().contains("push service"),
        "{dead:#}"
    );
    drop(test);
    server.shutdown().await;
}
