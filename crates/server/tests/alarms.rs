//! What an operator hears of before the first call: a dead cloud, a certificate that ends; and how the command line says so.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use domain::Behaviour;
use http::Method;
use lab::cloud::{Ca, CloudConfig, Clouds, DevCredentials};
use reveille::{
    app::{Options, Server},
    config::{self, Config},
    setup,
};
use serde_json::Value;
use std::{
    fmt::Write,
    path::Path,
    process::{Command, Output},
    time::{Duration, SystemTime},
};
use tokio::time::timeout;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(40);
const DAY: Duration = Duration::from_hours(24);

/// A configuration in this folder, with this behind it.
fn configure(folder: &Path, more: &str) -> Config {
    let at = folder.display();
    let text = format!(
        "[server]\ndata_dir = \"{at}\"\n\
         [listen]\nsip_udp = [\"127.0.0.1:0\"]\nsip_tcp = [\"127.0.0.1:0\"]\nadmin = [\"127.0.0.1:0\"]\n\
         admin_socket = \"{at}/admin.sock\"\nhealth = [\"127.0.0.1:0\"]\n{more}"
    );
    let file = folder.join("reveille.toml");
    std::fs::write(&file, text).unwrap();
    config::load(&Config::default(), Some(&file), std::iter::empty()).unwrap()
}

async fn started(config: Config) -> Server {
    let tls = (!config.tls.certificate.as_os_str().is_empty())
        .then(|| setup::certificate(&config.tls).unwrap());
    let options = Options {
        behaviour: Behaviour::default(),
        apps: setup::apps(&config.push).unwrap(),
        route: setup::route(&config.push).unwrap(),
        tls,
        client_tls: None,
        admin_token: "admin".to_owned(),
        origin: None,
        users: Vec::new(),
        tenants: Vec::new(),
        config,
    };
    Server::start(options).await.unwrap()
}

async fn alarms(folder: &Path) -> Vec<Value> {
    let url = "http://localhost/api/v1/alarms";
    let socket = folder.join("admin.sock");
    let (_, body) = net::http::request_over(&socket, Method::GET, url, None)
        .await
        .unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// Waits until the alarms that stand are so many, and gives them.
async fn until_stand(folder: &Path, count: usize) -> Vec<Value> {
    let waiting = async {
        loop {
            let standing = alarms(folder).await;
            if standing.len() == count {
                return standing;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap()
}

async fn metrics(server: &Server) -> String {
    let url = format!("http://{}/metrics", server.bound().health[0]);
    let (_, body) = net::http::request(Method::GET, &url, None, None)
        .await
        .unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// `reveille alarms`, as a script has it.
async fn command_line(folder: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reveille"));
    command.arg("alarms").args(more);
    command.arg("--config").arg(folder.join("reveille.toml"));
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_dead_cloud_and_its_return_are_known_without_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, keys) = (Ca::new().unwrap(), DevCredentials::new());
    std::fs::write(folder.path().join("ca.pem"), ca.ca_pem()).unwrap();
    std::fs::write(folder.path().join("key.p8"), keys.apns_key_pem()).unwrap();
    let mut cloud = CloudConfig::dev(&ca, &keys).on_free_ports();
    let clouds = Clouds::start(cloud.clone()).await.unwrap();
    cloud.apns = clouds.addresses().apns;
    clouds.shutdown().await;

    let (at, port) = (folder.path().display(), cloud.apns.port());
    let (team, key) = (keys.apns_team(), keys.apns_key_id());
    let mut more = format!("[push]\nca = \"{at}/ca.pem\"\n");
    for (app, environment) in [
        ("com.example.phone", "production"),
        ("com.example.phone12", "sandbox"),
    ] {
        write!(
            more,
            "[[push.app]]\napp = \"{app}\"\nteam_id = \"{team}\"\nkey_id = \"{key}\"\nenvironment = \"{environment}\"\n\
             key_file = \"{at}/key.p8\"\nendpoint = \"localhost:{port}\"\n"
        )
        .unwrap();
    }
    let server = started(configure(folder.path(), &more)).await;
    let standing = until_stand(folder.path(), 2).await;
    for (alarm, app) in standing
        .iter()
        .zip(["com.example.phone", "com.example.phone12"])
    {
        assert_eq!(alarm["name"], "push_unreachable");
        assert_eq!(alarm["subject"], app);
        let detail = alarm["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("localhost:{port}")), "{detail}");
        assert!(detail.contains("refused"), "{detail}");
    }
    let down = r#"reveille_push_reachable{provider="apns",environment="sandbox",app="com.example.phone12"} 0"#;
    assert!(metrics(&server).await.contains(down));

    let shown = command_line(folder.path(), &[]).await;
    assert_eq!(shown.status.code(), Some(1));
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(
        text.contains("critical  push_unreachable  com.example.phone12"),
        "{text}"
    );
    assert!(
        text.contains("push_unreachable: check the network"),
        "{text}"
    );
    let shown = command_line(folder.path(), &["--json"]).await;
    assert_eq!(shown.status.code(), Some(1));
    let told: Vec<Value> = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(told.len(), 2);

    let clouds = Clouds::start(cloud).await.unwrap();
    until_stand(folder.path(), 0).await;
    let up = down.replace("} 0", "} 1");
    assert!(metrics(&server).await.contains(&up));
    let shown = command_line(folder.path(), &[]).await;
    assert_eq!(shown.status.code(), Some(0));
    assert_eq!(shown.stdout, b"no alarm stands\n");
    server.shutdown().await;
    clouds.shutdown().await;

    let shown = command_line(folder.path(), &[]).await;
    assert_eq!(shown.status.code(), Some(3), "nobody is there");
    let text = String::from_utf8(shown.stderr).unwrap();
    assert!(text.contains("no server answers at"), "{text}");
    assert!(text.contains("`reveille serve`"), "{text}");
}

#[tokio::test]
async fn a_certificate_that_ends_in_a_week_is_an_alarm_and_counts_its_days() {
    let folder = tempfile::tempdir().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let now = SystemTime::now();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = (now + 6 * DAY + DAY / 2).into();
    let key = rcgen::KeyPair::generate().unwrap();
    let chain = params.self_signed(&key).unwrap().pem();
    std::fs::write(folder.path().join("chain.pem"), chain).unwrap();
    std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    let at = folder.path().display();
    let more = format!(
        "sip_tls = [\"127.0.0.1:0\"]\n[tls]\ncertificate = \"{at}/chain.pem\"\nkey = \"{at}/key.pem\"\n"
    );
    let server = started(configure(folder.path(), &more)).await;
    let standing = until_stand(folder.path(), 1).await;
    assert_eq!(standing[0]["name"], "certificate_expires");
    assert_eq!(standing[0]["severity"], "warning");
    assert_eq!(standing[0]["subject"], "tls");
    let detail = standing[0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("it expires in 6 days"), "{detail}");
    let text = metrics(&server).await;
    let days = text
        .lines()
        .find_map(|line| line.strip_prefix(r#"reveille_certificate_days{certificate="tls"} "#));
    let days: f64 = days.unwrap().parse().unwrap();
    assert!((6.4..=6.5).contains(&days), "{days}");
    server.shutdown().await;
}
