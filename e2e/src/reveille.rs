//! The server itself, as a user starts it: `reveille serve --dev`, moved to free ports by its environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::{LabApi, Process, SOON, Tls, Transport, free_port, http, poll};

/// How long a start may take, store and certificates included.
const START: Duration = Duration::from_secs(20);

/// The listeners of `serve --dev`, by the name of their key under `[listen]`.
const LISTENERS: [&str; 14] = [
    "sip_udp",
    "sip_tcp",
    "sip_tls",
    "xmpp_tcp",
    "xmpp_tls",
    "component",
    "admin",
    "health",
    "apns",
    "fcm",
    "webpush",
    "lab",
    "xmpp_ws",
    "xmpp_wss",
];

/// A server on ports of its own, with a data directory that outlives a restart.
pub struct Reveille {
    ports: [u16; LISTENERS.len()],
    settings: Vec<(String, String)>,
    /// How many MiB the disk of its store has, if it is one of its own.
    disk: Option<u32>,
    // Ended before its data go, or it would write into what is being removed.
    process: Option<Process>,
    data: TempDir,
}

impl Reveille {
    /// A server that has not been started yet.
    pub fn new() -> Self {
        let mut ports = [0; LISTENERS.len()];
        for port in &mut ports {
            *port = free_port();
        }
        // As with 5060 in the contract: one number for SIP over UDP and TCP.
        ports[1] = ports[0];
        let data = TempDir::with_prefix("reveille-e2e-").expect("a temporary directory");
        Self {
            ports,
            settings: Vec::new(),
            disk: None,
            data,
            process: None,
        }
    }

    /// A server that is up and ready.
    pub fn started() -> Self {
        let mut server = Self::new();
        server.start();
        server
    }

    /// Changes one setting for the next start: `("call", "wake_seconds", 3)` and the like.
    #[must_use]
    pub fn with(mut self, section: &str, key: &str, value: &str) -> Self {
        let name = format!(
            "REVEILLE_{}__{}",
            section.to_uppercase(),
            key.to_uppercase()
        );
        self.settings.push((name, value.to_owned()));
        self
    }

    /// Its store lies on a disk of its own, of so many MiB, which nobody else sees and which goes with it. Only root can make one.
    #[must_use]
    pub fn on_a_disk_of(mut self, mib: u32) -> Self {
        let disk = self.disk();
        std::fs::create_dir(&disk).expect("a folder for the disk");
        self.disk = Some(mib);
        let url = format!("sqlite:{}", disk.join("reveille.db").display());
        self.with("store", "url", &url)
    }

    fn disk(&self) -> PathBuf {
        self.data.path().join("disk")
    }

    /// From now on that disk has so many MiB.
    pub fn resize_disk(&mut self, mib: u32) {
        let (disk, server) = (self.disk(), self.process().id().to_string());
        let mut resize = Command::new("nsenter");
        resize.args(["--target", &server, "--mount", "mount", "-o"]);
        resize.arg(format!("remount,size={mib}m")).arg(disk);
        assert!(resize.status().expect("nsenter").success(), "{resize:?}");
    }

    /// The binary, or what makes its disk and becomes it.
    fn serving(&self) -> Command {
        let served = self.command();
        let Some(mib) = self.disk else {
            return served;
        };
        let mut command = Command::new("unshare");
        let line = format!("mount -t tmpfs -o size={mib}m tmpfs \"$0\" && exec \"$@\"");
        command.args(["--mount", "sh", "-c", &line]);
        command.arg(self.disk()).arg(served.get_program());
        command.envs(
            served
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        command
    }

    /// Starts it and waits until it says that it is ready.
    pub fn start(&mut self) {
        let mut process = Process::spawn("reveille serve", self.serving().args(["serve", "--dev"]));
        let ready = poll(START, || {
            match http(self.health(), "GET", "/readyz", None) {
                Ok(answer) if answer.status == 200 => Some(true),
                _ => (!process.is_running()).then_some(false),
            }
        });
        assert_eq!(
            ready,
            Some(true),
            "the server did not become ready. It said:\n{}",
            process.tail()
        );
        self.process = Some(process);
    }

    /// The binary with this server's environment, for any of its commands.
    pub fn command(&self) -> Command {
        let mut command = Command::new(reveille_binary());
        command.env("REVEILLE_SERVER__DATA_DIR", self.data.path());
        for (name, port) in LISTENERS.iter().zip(self.ports) {
            command.env(
                format!("REVEILLE_LISTEN__{}", name.to_uppercase()),
                format!("127.0.0.1:{port}"),
            );
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs one of its commands to the end: `["trace", id]`.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command()
            .args(arguments)
            .output()
            .expect("the reveille binary")
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub fn ask(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "reveille {arguments:?} failed with {}:\n{said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    /// The names of a user's devices.
    pub fn devices(&self, user: &str) -> Vec<String> {
        let name = |view: &Value| view["device"]["id"].as_str().expect("its name").to_owned();
        self.device_views(user).iter().map(name).collect()
    }

    /// Waits until no message waits for a device of this user: each has been acknowledged to the server.
    pub fn wait_delivered(&self, user: &str) {
        let waiting = || {
            let queued = |view: &Value| view["queued"].as_u64().expect("how many wait");
            self.device_views(user).iter().map(queued).sum::<u64>()
        };
        let delivered = poll(SOON, || (waiting() == 0).then_some(()));
        assert!(delivered.is_some(), "{} still wait for {user}", waiting());
    }

    /// The latest stories, as they are told.
    pub fn stories(&self) -> Vec<String> {
        let latest = self.ask(&["trace", "--json"]);
        let latest: Vec<Value> = serde_json::from_str(&latest).expect("a list in JSON");
        let tracking = |story: &Value| story["tracking"].as_str().expect("an id").to_owned();
        let ids = latest.iter().map(tracking);
        ids.map(|id| self.ask(&["trace", &id])).collect()
    }

    fn device_views(&self, user: &str) -> Vec<Value> {
        let address = format!("{user}@localhost");
        let devices = self.ask(&["device", "list", "--json", "--user", &address]);
        serde_json::from_str(&devices).expect("a list in JSON")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process().kill();
    }

    /// SIGTERM; fails if it does not end cleanly.
    pub fn stop(&mut self) {
        let status = self.process().terminate(START);
        assert!(
            status.success(),
            "serve ended with {status}:\n{}",
            self.process().tail()
        );
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("started")
    }

    /// Fails if it has ended, or does not call itself healthy.
    pub fn assert_healthy(&mut self) {
        assert!(
            self.process().is_running(),
            "the server has ended:\n{}",
            self.process().tail()
        );
        let answer = http(self.health(), "GET", "/healthz", None).expect("/healthz answers");
        assert_eq!(answer.status, 200, "/healthz: {}", answer.body);
    }

    /// Its data directory.
    pub fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    /// Where it listens for SIP.
    pub fn sip(&self, transport: Transport) -> SocketAddr {
        self.address(match transport {
            Transport::Udp => "sip_udp",
            Transport::Tcp => "sip_tcp",
            Transport::Tls => "sip_tls",
        })
    }

    /// Where it listens for XMPP.
    pub fn xmpp(&self, start: Tls) -> SocketAddr {
        self.address(match start {
            Tls::Starttls => "xmpp_tcp",
            Tls::Direct => "xmpp_tls",
            Tls::WebSocket => "xmpp_wss",
        })
    }

    /// Health and metrics.
    pub fn health(&self) -> SocketAddr {
        self.address("health")
    }

    /// Its metrics, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        let answer = http(self.health(), "GET", "/metrics", None).expect("/metrics answers");
        answer.body
    }

    /// The certificate of its CA, in a file for peers that want one.
    pub fn ca_file(&self) -> PathBuf {
        let file = self.data.path().join("e2e-ca.pem");
        std::fs::write(&file, self.lab().ca()).expect("a directory of our own");
        file
    }

    /// The address of one listener.
    pub fn address(&self, listener: &str) -> SocketAddr {
        let index = LISTENERS
            .iter()
            .position(|name| *name == listener)
            .expect("a listener's name");
        SocketAddr::from(([127, 0, 0, 1], self.ports[index]))
    }

    /// The control API of its simulated clouds.
    pub fn lab(&self) -> LabApi {
        LabApi::new(self.address("lab"))
    }
}

impl Default for Reveille {
    fn default() -> Self {
        Self::new()
    }
}

/// The binary under test: `REVEILLE_BIN`, or else the release build of this workspace.
pub fn reveille_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("REVEILLE_BIN") {
        return path.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
        PathBuf::from,
    );
    let binary = target.join("release/reveille");
    assert!(
        binary.exists(),
        "{} is missing: run `cargo build --release`, or set REVEILLE_BIN",
        binary.display()
    );
    binary
}
