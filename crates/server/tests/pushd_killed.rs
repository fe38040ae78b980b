//! What the push service has promised, it keeps: also when it is killed.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use lab::cloud::{Ca, CloudConfig, Clouds, DevCredentials, Filter};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Notifications of the one batch that is promised.
const PROMISED: usize = 500;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// An address where nobody listens.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn reveille(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reveille"));
    command
        .args(words)
        .arg("--config")
        .arg(folder.join("reveille.toml"));
    command
}

/// The service, ready, and where it is.
fn serve(folder: &Path) -> (Child, SocketAddr) {
    let mut child = reveille(folder, &["serve"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let (_, at) = line
        .split_once("push http ")
        .expect("a service that is ready");
    (child, at.trim().parse().unwrap())
}

/// The body of the answer to a request, which must succeed.
fn ask(to: SocketAddr, head: &str, body: &str) -> serde_json::Value {
    let mut stream = TcpStream::connect(to).unwrap();
    let length = body.len();
    let request = format!(
        "POST {head}\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// Hands in a batch for devices of their own, to be kept until it is delivered.
fn promise(to: SocketAddr, secret: &str) {
    let form = format!("grant_type=client_credentials&client_id=pbx&client_secret={secret}");
    let granted = ask(to, "/oauth/token HTTP/1.1", &form);
    let token = granted["access_token"].as_str().unwrap();
    let batch: Vec<_> = (0..PROMISED)
        .map(|n| {
            serde_json::json!({
                "id": n.to_string(), "app": "com.example.phone", "token": format!("{n:064x}"),
                "channel": "message", "kind": "message", "ttl": 3600,
            })
        })
        .collect();
    let head = format!(
        "/v1/notifications/batch HTTP/1.1\r\nAuthorization: Bearer {token}\r\nPrefer: respond-async"
    );
    let said = ask(to, &head, &serde_json::Value::from(batch).to_string());
    let said = said.as_array().unwrap();
    assert_eq!(said.len(), PROMISED);
    assert!(said.iter().all(|it| it["outcome"] == "queued"), "{said:?}");
}

fn configure(folder: &Path, cloud: SocketAddr, ca: &Ca, keys: &DevCredentials) {
    std::fs::write(folder.join("ca.pem"), ca.ca_pem()).unwrap();
    std::fs::write(folder.join("key.p8"), keys.apns_key_pem()).unwrap();
    let at = folder.display();
    let (team, key, port) = (keys.apns_team(), keys.apns_key_id(), cloud.port());
    let text = format!(
        "[server]\nroles = [\"push\"]\ndata_dir = \"{at}\"\n\
         [listen]\nadmin = [\"127.0.0.1:0\"]\nhealth = [\"127.0.0.1:0\"]\npush = [\"127.0.0.1:0\"]\n\
         [push]\nca = \"{at}/ca.pem\"\n\
         [[push.app]]\napp = \"com.example.phone\"\nteam_id = \"{team}\"\nkey_id = \"{key}\"\n\
         key_file = \"{at}/key.p8\"\nendpoint = \"localhost:{port}\"\n"
    );
    std::fs::write(folder.join("reveille.toml"), text).unwrap();
}

#[tokio::test]
async fn what_was_promised_before_a_kill_is_pushed_once_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, keys, cloud) = (Ca::new().unwrap(), DevCredentials::new(), free());
    configure(folder.path(), cloud, &ca, &keys);
    let add = ["tenant", "add", "pbx", "--app", "com.example.phone"];
    let added = reveille(folder.path(), &add).output().unwrap();
    let added = String::from_utf8(added.stdout).unwrap();
    let secret = added.split_whitespace().nth(3).expect("a secret");
    // Nobody answers at the cloud's address yet.
    let (mut service, to) = serve(folder.path());
    promise(to, secret);
    service.kill().unwrap();
    service.wait().unwrap();
    let mut config = CloudConfig::dev(&ca, &keys).on_free_ports();
    config.apns = cloud;
    let clouds = Clouds::start(config).await.unwrap();
    let (mut service, _) = serve(folder.path());
    let began = Instant::now();
    let mut seen = BTreeMap::new();
    while seen.len() < PROMISED && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        seen.clear();
        for push in clouds.notifications(&Filter::default()) {
            *seen.entry(push.token).or_insert(0) += 1;
        }
    }
    service.kill().unwrap();
    service.wait().unwrap();
    assert_eq!(seen.len(), PROMISED, "none is lost");
    assert!(
        seen.values().all(|times| *times == 1),
        "none goes twice: {seen:?}"
    );
    clouds.shutdown().await;
}
