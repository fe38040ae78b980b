//! A homeserver of Matrix: Synapse, whose pushers call the push gateway as they call Sygnal.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use ring::hmac;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::python::python;
use crate::{Answer, PASSWORD, Process, free_port, http, http_as, poll};

/// Far more than it takes.
const START: Duration = Duration::from_secs(90);
/// By which users are registered (Synapse, "Shared-Secret Registration").
const SECRET: &str = "registration-secret";

/// A running homeserver. No other server can reach it.
pub struct Synapse {
    process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Synapse {
    /// One on SQLite, without users.
    pub fn started() -> Self {
        let folder = TempDir::with_prefix("reveille-synapse-").expect("a temporary directory");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let at = |name: &str| folder.path().join(name).display().to_string();
        let config = json!({
            "server_name": "localhost",
            "pid_file": at("pid"),
            "listeners": [{"port": address.port(), "bind_addresses": ["127.0.0.1"], "type": "http", "tls": false,
                "resources": [{"names": ["client"]}]}],
            "database": {"name": "sqlite3", "args": {"database": at("homeserver.db")}},
            "media_store_path": at("media"),
            "signing_key_path": at("signing.key"),
            "registration_shared_secret": SECRET,
            "macaroon_secret_key": "macaroons",
            "form_secret": "forms",
            "report_stats": false,
            "trusted_key_servers": [],
            // The gateway is on loopback, where no pusher may call else.
            "ip_range_whitelist": ["127.0.0.1"],
            "rc_message": {"per_second": 1000, "burst_count": 1000},
            "rc_login": {"address": {"per_second": 1000, "burst_count": 1000}, "account": {"per_second": 1000, "burst_count": 1000}},
        });
        // JSON is YAML.
        fs::write(folder.path().join("homeserver.yaml"), config.to_string()).expect("ours");
        let mut command = Command::new(python());
        command
            .args(["-m", "synapse.app.homeserver", "--generate-keys", "-c"])
            .arg(at("homeserver.yaml"));
        let made = command.current_dir(folder.path()).output();
        let made = made.expect("python: `cargo xtask test --only peers` gets it");
        assert!(made.status.success(), "{made:?}");
        let mut command = Command::new(python());
        command
            .args(["-m", "synapse.app.homeserver", "-c"])
            .arg(at("homeserver.yaml"))
            .current_dir(folder.path());
        let mut process = Process::spawn("synapse", &mut command);
        let ready = poll(START, || {
            let answer = http(address, "GET", "/_matrix/client/versions", None);
            let is_up = answer.is_ok_and(|it| it.status == 200);
            (is_up || !process.is_running()).then_some(is_up)
        });
        assert_eq!(ready, Some(true), "synapse:\n{}", process.tail());
        Self {
            process,
            address,
            _folder: folder,
        }
    }

    /// A new user, and what lets it in.
    pub fn user(&self, name: &str) -> MatrixUser {
        let path = "/_synapse/admin/v1/register";
        let nonce = self.ask("GET", path, "", None)["nonce"].clone();
        let nonce = nonce.as_str().expect("a nonce");
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
        let signed = [nonce, name, PASSWORD, "notadmin"].join("\0");
        let signed = hmac::sign(&key, signed.as_bytes());
        let mac = in_digits("", signed.as_ref());
        let body = json!({"nonce": nonce, "username": name, "password": PASSWORD, "admin": false, "mac": mac});
        let made = self.ask("POST", path, "", Some(&body));
        MatrixUser {
            at: self.address,
            token: made["access_token"].as_str().expect("a token").to_owned(),
        }
    }

    fn ask(&self, method: &str, path: &str, token: &str, body: Option<&Value>) -> Value {
        ask(self.address, method, path, token, body)
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// A user of a homeserver.
pub struct MatrixUser {
    at: SocketAddr,
    token: String,
}

impl MatrixUser {
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let path = format!("/_matrix/client/v3/{path}");
        ask(self.at, method, &path, &self.token, body)
    }

    /// Registers a pusher at this gateway, as an app does (Client-Server API, `POST /pushers/set`).
    pub fn set_pusher(&self, gateway: SocketAddr, app_id: &str, pushkey: &str, more: &Value) {
        let mut data = json!({"url": format!("http://{gateway}/_matrix/push/v1/notify")});
        for (name, value) in more.as_object().expect("an object") {
            data[name] = value.clone();
        }
        let pusher = json!({"kind": "http", "app_id": app_id, "pushkey": pushkey, "app_display_name": "app",
            "device_display_name": "phone", "lang": "en", "data": data});
        self.ask("POST", "pushers/set", Some(&pusher));
    }

    /// The keys of its pushers.
    pub fn pushers(&self) -> Vec<String> {
        let answer = self.ask("GET", "pushers", None);
        let all = answer["pushers"].as_array().expect("a list").clone();
        let key = |it: &Value| it["pushkey"].as_str().expect("a key").to_owned();
        all.iter().map(key).collect()
    }

    /// A room with somebody else, who joins it; its id.
    pub fn room_with(&self, other: &MatrixUser, name: &str) -> String {
        let made = json!({"preset": "trusted_private_chat", "is_direct": true, "name": "planted-name",
            "invite": [format!("@{name}:localhost")]});
        let room = self.ask("POST", "createRoom", Some(&made));
        let room = room["room_id"].as_str().expect("an id").to_owned();
        other.ask("POST", &format!("join/{}", quoted(&room)), Some(&json!({})));
        room
    }

    /// Says something there; the id of the event.
    pub fn say(&self, room: &str, text: &str) -> String {
        let path = format!("rooms/{}/send/m.room.message/{text}", quoted(room));
        let body = json!({"msgtype": "m.text", "body": text});
        let sent = self.ask("PUT", &path, Some(&body));
        sent["event_id"].as_str().expect("an id").to_owned()
    }

    /// Has read up to an event.
    pub fn read(&self, room: &str, event: &str) {
        let path = format!("rooms/{}/receipt/m.read/{}", quoted(room), quoted(event));
        self.ask("POST", &path, Some(&json!({})));
    }
}

fn quoted(id: &str) -> String {
    in_digits("%", id.as_bytes())
}

/// Two digits an octet, with this before each.
fn in_digits(before: &str, octets: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).expect("half an octet");
    let each = octets.iter().map(|it| [digit(it >> 4), digit(it & 15)]);
    each.fold(String::new(), |text, digits| {
        text + before + &String::from_iter(digits)
    })
}

fn ask(at: SocketAddr, method: &str, path: &str, token: &str, body: Option<&Value>) -> Value {
    let Answer { status, body: said } =
        http_as(at, method, path, token, body).expect("Synapse answers");
    assert_eq!(status, 200, "{method} {path}: {said}");
    serde_json::from_str(&said).expect("JSON")
}
