//! Feedback that is brought: a webhook, over sockets.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::Behaviour;
use lab::cloud::Fate;
use reveille::{
    config::Words,
    dev::{self, Dev},
};
use ring::hmac;
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(15);

async fn started(data: &Path) -> Dev {
    let mut config = dev::on_free_ports();
    data.clone_into(&mut config.server.data_dir);
    config.server.roles = Words::of(&["call", "push"]);
    Dev::start(config, Behaviour::default()).await.unwrap()
}

async fn ask(to: SocketAddr, line: &str, more: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// Sets the webhook of the tenant; its secret.
async fn set(dev: &Dev, url: &str) -> (u16, Value) {
    let admin = dev.server.bound().admin[0];
    let more = format!(
        "Authorization: Bearer {}\r\nContent-Type: application/json\r\n",
        dev::ADMIN_TOKEN
    );
    let body = json!({ "webhook": url }).to_string();
    ask(admin, "PUT /api/v1/tenants/dev", &more, &body).await
}

/// Queues a push to a token that is dead.
async fn queue(dev: &Dev, id: &str) {
    let token = "ab".repeat(32);
    let dead = Fate {
        status: 410,
        reason: Some("Unregistered".to_owned()),
        count: None,
        timestamp: None,
    };
    dev.clouds.handle().set_fate(&token, dead).unwrap();
    let rest = dev.server.bound().push[0];
    let basic = STANDARD.encode(format!("{}:{}", dev::TENANT, dev::PASSWORD));
    let form = format!("Authorization: Basic {basic}\r\n");
    let grant = "grant_type=client_credentials";
    let (_, granted) = ask(rest, "POST /oauth/token", &form, grant).await;
    let bearer = granted["access_token"].as_str().unwrap();
    let more = format!(
        "Authorization: Bearer {bearer}\r\nPrefer: respond-async\r\nContent-Type: application/json\r\n"
    );
    let push = json!({ "id": id, "app": "com.example.phone", "token": token, "channel": "message",
        "kind": "message", "ttl": 600, "collapse": id });
    let (status, said) = ask(rest, "POST /v1/notifications", &more, &push.to_string()).await;
    assert_eq!(status, 202, "{said}");
}

/// What was brought: when it was signed, by what, and what it says.
struct Brought {
    at: String,
    signature: String,
    body: String,
}

/// Takes one call, and answers it like this.
async fn take(listener: &TcpListener, status: u16) -> Brought {
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut read = String::new();
    let (head, body) = loop {
        let mut octets = vec![0; 4096];
        let length = stream.read(&mut octets).await.unwrap();
        assert!(length > 0, "{read}");
        read += std::str::from_utf8(&octets[..length]).unwrap();
        let Some((head, body)) = read.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_lowercase();
        let whole = head
            .lines()
            .find_map(|it| it.strip_prefix("content-length: "));
        if body.len() == whole.unwrap().parse::<usize>().unwrap() {
            break (head, body.to_owned());
        }
    };
    assert!(head.starts_with("post /hook?of=dev "), "{head}");
    let answer = format!("HTTP/1.1 {status} Taken\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    let signed = head
        .lines()
        .find_map(|it| it.strip_prefix("reveille-signature: t="));
    let (at, signature) = signed.unwrap().split_once(",v1=").unwrap();
    Brought {
        at: at.to_owned(),
        signature: signature.to_owned(),
        body,
    }
}

impl Brought {
    /// As the documentation has it.
    fn is_signed_by(&self, secret: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let made = hmac::sign(&key, format!("{}.{}", self.at, self.body).as_bytes());
        let digits: Vec<_> = made.as_ref().iter().map(|it| format!("{it:02x}")).collect();
        digits.concat() == self.signature
    }

    fn ids(&self) -> Vec<String> {
        let read: Value = serde_json::from_str(&self.body).unwrap();
        let ends = read["ends"].as_array().unwrap();
        assert!(
            ends.iter().all(|it| it["outcome"] == "token_dead"),
            "{read}"
        );
        ends.iter()
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[tokio::test]
async fn a_webhook_is_brought_what_became_of_pushes_until_it_has_taken_it() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?of=dev", listener.local_addr().unwrap());
    let dev = started(folder.path()).await;
    let (status, made) = set(&dev, &url).await;
    assert_eq!(status, 200, "{made}");
    let secret = made["webhook_secret"].as_str().unwrap();
    queue(&dev, "q1").await;
    let refused = take(&listener, 500).await;
    assert_eq!(refused.ids(), ["q1"]);
    let again = take(&listener, 204).await;
    assert_eq!(again.ids(), ["q1"], "what was not taken comes again");
    assert!(again.is_signed_by(secret) && !again.is_signed_by("guess"));
    // What ends while it is not there comes when it is, also behind a restart, and what it has does not.
    queue(&dev, "q2").await;
    let missed = take(&listener, 503).await;
    assert_eq!(missed.ids(), ["q2"]);
    dev.shutdown().await;
    let dev = started(folder.path()).await;
    let brought = take(&listener, 200).await;
    assert_eq!(brought.ids(), ["q2"]);
    assert!(brought.is_signed_by(secret), "the secret is the same");
    let (status, gone) = set(&dev, "").await;
    assert_eq!((status, &gone["tenant"]["webhook"]), (200, &Value::Null));
    dev.shutdown().await;
}

#[tokio::test]
async fn nobody_is_made_to_call_into_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let dev = started(folder.path()).await;
    for url in [
        "http://pbx.example/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "hook",
    ] {
        let (status, said) = set(&dev, url).await;
        assert_eq!(status, 422, "{url}: {said}");
        assert!(said.to_string().contains("webhook"), "{said}");
    }
    dev.shutdown().await;
}
