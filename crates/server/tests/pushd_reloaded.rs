//! A push service beside calls takes other apps while it runs, and its tenants are made over the admin socket.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use domain::Behaviour;
use http::{Method, StatusCode};
use lab::cloud::{Ca, CloudConfig, Clouds, DevCredentials};
use reveille::{
    app::{Options, Server},
    config::{self, Config},
    reload::Origin,
    setup,
};
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const APP: &str = "com.example.phone";

/// A configuration with these apps, as it is read.
fn configure(folder: &Path, apps: &str) -> Config {
    let at = folder.display();
    let text = format!(
        "[server]\nroles = [\"call\", \"push\"]\ndata_dir = \"{at}\"\n\
         [listen]\nsip_udp = [\"127.0.0.1:0\"]\nsip_tcp = [\"127.0.0.1:0\"]\nadmin = [\"127.0.0.1:0\"]\n\
         admin_socket = \"{at}/admin.sock\"\nhealth = [\"127.0.0.1:0\"]\npush = [\"127.0.0.1:0\"]\n\
         [push]\nca = \"{at}/ca.pem\"\n{apps}"
    );
    let file = folder.join("reveille.toml");
    std::fs::write(&file, text).unwrap();
    config::load(&Config::default(), Some(&file), std::iter::empty()).unwrap()
}

async fn started(folder: &Path) -> Server {
    let config = configure(folder, "");
    let options = Options {
        behaviour: Behaviour::default(),
        apps: setup::apps(&config.push).unwrap(),
        route: setup::route(&config.push).unwrap(),
        tls: None,
        client_tls: None,
        admin_token: "admin".to_owned(),
        origin: Some(Origin {
            file: folder.join("reveille.toml"),
            set_log: Arc::new(|_| Ok(())),
        }),
        users: Vec::new(),
        tenants: Vec::new(),
        config,
    };
    Server::start(options).await.unwrap()
}

/// The tenant's access token.
async fn token(to: SocketAddr, secret: &str) -> String {
    let form = format!("grant_type=client_credentials&client_id=pbx&client_secret={secret}");
    let length = form.len();
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{form}"
    );
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let granted: Value = serde_json::from_str(body).unwrap();
    granted["access_token"].as_str().unwrap().to_owned()
}

/// What the service says of a push.
async fn pushed(to: SocketAddr, token: &str, id: &str) -> Value {
    let push = json!({
        "id": id, "app": APP, "token": "a".repeat(64), "channel": "message", "kind": "message",
        "ttl": 60,
    });
    let url = format!("http://{to}/v1/notifications");
    let answer = net::http::request(Method::POST, &url, Some(token), Some(&push)).await;
    serde_json::from_slice(&answer.unwrap().1).unwrap()
}

#[tokio::test]
async fn an_app_that_a_reload_brings_is_pushed_to_by_the_service_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, keys) = (Ca::new().unwrap(), DevCredentials::new());
    std::fs::write(folder.path().join("ca.pem"), ca.ca_pem()).unwrap();
    std::fs::write(folder.path().join("key.p8"), keys.apns_key_pem()).unwrap();
    let config = CloudConfig::dev(&ca, &keys).on_free_ports();
    let clouds = Clouds::start(config).await.unwrap();
    let server = started(folder.path()).await;

    let tenant = "/api/v1/tenants/pbx";
    let wanted = json!({ "allow": [APP] });
    let url = format!("http://{}{tenant}", server.bound().admin[0]);
    for shown in [None, Some("guess")] {
        let answer = net::http::request(Method::PUT, &url, shown, Some(&wanted)).await;
        assert_eq!(answer.unwrap().0, StatusCode::UNAUTHORIZED);
    }
    let socket = folder.path().join("admin.sock");
    let url = format!("http://localhost{tenant}");
    let made = net::http::request_over(&socket, Method::PUT, &url, Some(&wanted)).await;
    let made: Value = serde_json::from_slice(&made.unwrap().1).unwrap();
    let secret = made["credentials"]["client_secret"].as_str().unwrap();

    let to = server.bound().push[0];
    let token = token(to, secret).await;
    let before = pushed(to, &token, "1").await;
    assert_eq!(before["outcome"], "refused", "{before}");
    let (team, key) = (keys.apns_team(), keys.apns_key_id());
    let (at, port) = (folder.path().display(), clouds.addresses().apns.port());
    let app = format!(
        "[[push.app]]\napp = \"{APP}\"\nteam_id = \"{team}\"\nkey_id = \"{key}\"\n\
         key_file = \"{at}/key.p8\"\nendpoint = \"localhost:{port}\"\n"
    );
    configure(folder.path(), &app);
    let reloaded = server.reload().await.unwrap();
    assert_eq!(reloaded.taken.len(), 1, "{reloaded:?}");
    let after = pushed(to, &token, "2").await;
    assert_eq!(after["outcome"], "accepted", "{after}");
    server.shutdown().await;
    clouds.shutdown().await;
}
