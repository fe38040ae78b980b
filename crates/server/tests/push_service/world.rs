//! A publisher's host: clouds, files, and the service, which is asked as its tenants ask it.

use lab::cloud::{Ca, CloudConfig, Clouds, DevCredentials};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs::Permissions,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

pub(crate) const APP: &str = "com.example.phone";
pub(crate) const DROID: &str = "com.example.droid";
const PROJECT: &str = "example-droid";
/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// See the module.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) keys: DevCredentials,
    pub(crate) clouds: CloudConfig,
}

impl World {
    /// No cloud answers yet.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ca, keys) = (Ca::new().unwrap(), DevCredentials::new());
        let mut clouds = CloudConfig::dev(&ca, &keys).on_free_ports();
        clouds.apns = free();
        clouds.fcm = free();
        let world = Self {
            folder,
            keys,
            clouds,
        };
        world.write("ca.pem", ca.ca_pem());
        world.write("key.p8", world.keys.apns_key_pem());
        world.write("credentials.key", &"5a".repeat(32));
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file for our eyes alone.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    /// The clouds begin to answer.
    pub(crate) async fn clouds(&self) -> Clouds {
        Clouds::start(self.clouds.clone()).await.unwrap()
    }

    /// Where APNs is, as the configuration and the command line have it.
    pub(crate) fn endpoint(&self) -> String {
        format!("localhost:{}", self.clouds.apns.port())
    }

    /// The configuration, with this in its section `push` and behind it.
    pub(crate) fn configure(&self, push: &str) {
        let at = self.path().display();
        let text = format!(
            "[server]\nroles = [\"push\"]\ndata_dir = \"{at}\"\n\
             [listen]\nadmin = []\nadmin_socket = \"{at}/admin.sock\"\nhealth = [\"127.0.0.1:0\"]\npush = [\"127.0.0.1:0\"]\n\
             [push]\nca = \"{at}/ca.pem\"\n{push}"
        );
        self.write("reveille.toml", &text);
    }

    /// The same, with the app.
    pub(crate) fn configure_app(&self) {
        self.configure(&self.app());
    }

    /// The app as the configuration has it.
    pub(crate) fn app(&self) -> String {
        let (team, key) = (self.keys.apns_team(), self.keys.apns_key_id());
        let (at, endpoint) = (self.path().display(), self.endpoint());
        format!(
            "[[push.app]]\napp = \"{APP}\"\nteam_id = \"{team}\"\nkey_id = \"{key}\"\n\
             key_file = \"{at}/key.p8\"\nendpoint = \"{endpoint}\"\n"
        )
    }

    /// An Android app of the same clouds.
    pub(crate) fn droid(&self) -> String {
        let (at, endpoint) = (
            self.path().display(),
            format!("localhost:{}", self.clouds.fcm.port()),
        );
        let account = self
            .keys
            .fcm_service_account(PROJECT, &format!("https://{endpoint}/token"));
        self.write("account.json", &account);
        format!(
            "[[push.app]]\napp = \"{DROID}\"\nprovider = \"fcm\"\nservice_account = \"{at}/account.json\"\n\
             endpoint = \"{endpoint}\"\n"
        )
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reveille"));
        let file = self.path().join("reveille.toml");
        command.args(words).arg("--config").arg(file);
        command
    }

    /// What a command says, and how it ends.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// What a command that succeeds says.
    pub(crate) fn said(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command that fails says.
    pub(crate) fn complaint(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(!output.status.success(), "{words:?}");
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8(said).unwrap()
    }

    /// A new tenant's secret.
    pub(crate) fn tenant(&self, name: &str) -> String {
        let added = self.said(&["tenant", "add", name, "--app", APP]);
        added.split_whitespace().nth(3).unwrap().to_owned()
    }

    /// The service, ready.
    pub(crate) fn serve(&self) -> Service {
        let mut process = self
            .command(&["serve"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = |what: &str| {
            let (_, rest) = line.split_once(what).expect("a service that is ready");
            let end = rest.find([';', '\n']).unwrap();
            rest[..end].parse().unwrap()
        };
        Service {
            rest: address("push http "),
            health: address("health http "),
            process,
        }
    }

    /// The alarms that stand, by name and subject.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let output = self.run(&["alarms", "--json"]);
        let standing: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let named = |it: &Value| {
            let text = |key: &str| it[key].as_str().unwrap().to_owned();
            format!("{} {}", text("name"), text("subject"))
        };
        standing.iter().map(named).collect()
    }
}

/// A running service. It ends with its test.
pub(crate) struct Service {
    pub(crate) rest: SocketAddr,
    health: SocketAddr,
    process: Child,
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Service {
    /// By a signal that can be caught; ends with how it ended.
    pub(crate) fn stop(mut self) -> bool {
        self.signal("-TERM");
        self.process.wait().unwrap().success()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let process = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &process]).status();
        assert!(sent.unwrap().success());
    }

    /// An access token of a tenant.
    pub(crate) fn token(&self, tenant: &str, secret: &str) -> String {
        let form =
            format!("grant_type=client_credentials&client_id={tenant}&client_secret={secret}");
        let (_, granted) = ask(self.rest, "POST /oauth/token HTTP/1.1", &form);
        granted["access_token"].as_str().unwrap().to_owned()
    }

    /// What is said of a push whose outcome is waited for.
    pub(crate) fn push(&self, token: &str, id: &str) -> Value {
        self.submit(token, &notification(id, 0))
    }

    /// The same of any.
    pub(crate) fn submit(&self, token: &str, push: &Value) -> Value {
        let head = format!("POST /v1/notifications HTTP/1.1\r\nAuthorization: Bearer {token}");
        ask(self.rest, &head, &push.to_string()).1
    }

    /// What is known of a push.
    pub(crate) fn known(&self, token: &str, id: &str) -> Value {
        let head = format!("GET /v1/notifications/{id} HTTP/1.1\r\nAuthorization: Bearer {token}");
        ask(self.rest, &head, "").1
    }

    /// Hands in a batch for devices of their own, to be kept until it is delivered.
    pub(crate) fn promise(&self, token: &str, numbers: std::ops::Range<usize>) -> Vec<Value> {
        let batch: Vec<_> = numbers
            .map(|number| notification(&number.to_string(), number))
            .collect();
        let head = format!(
            "POST /v1/notifications/batch HTTP/1.1\r\nAuthorization: Bearer {token}\r\nPrefer: respond-async"
        );
        let (_, said) = ask(self.rest, &head, &Value::from(batch).to_string());
        said.as_array().unwrap().clone()
    }

    /// The ids of what was queued and has been accepted.
    pub(crate) fn accepted(&self, token: &str) -> BTreeSet<String> {
        let (mut accepted, mut after) = (BTreeSet::new(), 0);
        loop {
            let head = format!(
                "GET /v1/feedback?limit=1000&after={after} HTTP/1.1\r\nAuthorization: Bearer {token}"
            );
            let (_, said) = ask(self.rest, &head, "");
            let ends = said["ends"].as_array().unwrap();
            if ends.is_empty() {
                return accepted;
            }
            after = said["next"].as_u64().unwrap();
            let good = ends.iter().filter(|it| it["outcome"] == "accepted");
            accepted.extend(good.map(|it| it["id"].as_str().unwrap().to_owned()));
        }
    }

    pub(crate) fn metrics(&self) -> String {
        raw(self.health, "GET /metrics HTTP/1.1", "")
    }

    /// The value of a metric, by its name with its labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let page = self.metrics();
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }
}

/// A push for the device of this number.
pub(crate) fn notification(id: &str, device: usize) -> Value {
    json!({
        "id": id, "app": APP, "token": format!("{device:064x}"), "channel": "message",
        "kind": "message", "ttl": 3600,
    })
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An address where nobody listens.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Status and body of an answer.
pub(crate) fn ask(to: SocketAddr, head: &str, body: &str) -> (u16, Value) {
    let answer = raw(to, head, body);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    let said = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    (status, said)
}

fn raw(to: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    let length = body.len();
    let request =
        format!("{head}\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
