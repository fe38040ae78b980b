//! An edge as an operator makes it: `reveille edge init`, paired with an inside, started.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::{Host, Process, Reveille, SOON, Tls, free_port, http, poll, reveille_binary};

/// The listeners of an edge, by the name of their key under `[listen]`.
const LISTENERS: [&str; 8] = [
    "sip_tls",
    "xmpp_tcp",
    "xmpp_tls",
    "xmpp_wss",
    "device_tls",
    "tunnel",
    "admin",
    "health",
];

/// Where `cargo xtask test` has said that the library is which changes the clock of a program (Debian's libfaketime).
const FAKETIME: &str = "REVEILLE_FAKETIME";

/// Those that are for whoever is on the same host.
const ITS_OWN: [&str; 2] = ["admin", "health"];

/// An edge, running or not.
pub struct Edge {
    ports: [u16; LISTENERS.len()],
    /// Where it runs, and at which address it can be reached from elsewhere.
    host: Host,
    ip: IpAddr,
    /// What is set in its environment.
    settings: Vec<(String, String)>,
    /// How far its clock is off, as libfaketime wants it.
    clock: Option<&'static str>,
    // Ended before its directory goes.
    process: Option<Process>,
    directory: TempDir,
}

impl Edge {
    /// Makes one that this inside may dial; nothing runs yet.
    pub fn of(inside: &Reveille) -> Self {
        Self::between(&[inside])
    }

    /// The same for several insides.
    pub fn between(insides: &[&Reveille]) -> Self {
        let ports = std::array::from_fn(|_| free_port());
        let here = (Host::default(), Ipv4Addr::LOCALHOST.into());
        Self::made(insides, ports, here)
    }

    /// Its clock is so far off, as `+2d`, from its next start on.
    #[must_use]
    pub fn off_by(mut self, clock: &'static str) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The same on a host of its own, at this address; with the ports of another one, where there is one.
    pub fn on(inside: &Reveille, host: Host, ip: Ipv4Addr, beside: Option<&Self>) -> Self {
        let ports = std::array::from_fn(|at| match beside {
            Some(other) if !ITS_OWN.contains(&LISTENERS[at]) => other.ports[at],
            _ => free_port(),
        });
        Self::made(&[inside], ports, (host, ip.into()))
    }

    fn made(
        insides: &[&Reveille],
        ports: [u16; LISTENERS.len()],
        (host, ip): (Host, IpAddr),
    ) -> Self {
        let edge = Self {
            ports,
            host,
            ip,
            settings: Vec::new(),
            clock: None,
            directory: TempDir::with_prefix("reveille-edge-").expect("a temporary directory"),
            process: None,
        };
        let directory = edge.directory.path().to_string_lossy().into_owned();
        let who = ["--name", "localhost", "--domain", "localhost"];
        let mut init = [&["edge", "init", &directory][..], &who].concat();
        let keys: Vec<_> = insides.iter().map(|inside| key_of(inside)).collect();
        for key in &keys {
            init.extend(["--inside", key]);
        }
        edge.ask(&init);
        edge
    }

    /// Changes one setting for the next start, as [`Reveille::with`] does.
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

    /// What the inside's configuration says of it: `127.0.0.1:4433#KEY`.
    pub fn line(&self) -> String {
        let config = self.config();
        let line = self.ask(&["edge", "pair", "--config", &config]);
        let line = line.trim().trim_start_matches("edges = [\"");
        let line = line.trim_end_matches("\"]");
        line.replace("localhost", &self.ip.to_string())
    }

    /// Starts it and waits until it says that it is ready.
    pub fn start(&mut self) {
        let mut command = self.command();
        command.args(["serve", "--config", &self.config()]);
        if let Some(clock) = self.clock {
            let library = std::env::var_os(FAKETIME).unwrap_or_else(|| {
                panic!("{FAKETIME} names no libfaketimeMT.so.1: `cargo xtask test --only peers` installs it")
            });
            command.env("LD_PRELOAD", library).env("FAKETIME", clock);
            // It measures time as before.
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let mut process = Process::spawn("reveille serve, an edge", &mut command);
        process.expect(" is ready: ", SOON);
        self.process = Some(process);
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("started")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.as_mut().expect("started").kill();
    }

    /// Where clients outside find it.
    pub fn sip_tls(&self) -> SocketAddr {
        self.address("sip_tls")
    }

    /// Where clients of XMPP find it.
    pub fn xmpp(&self, start: Tls) -> SocketAddr {
        self.address(match start {
            Tls::Starttls => "xmpp_tcp",
            Tls::Direct => "xmpp_tls",
            Tls::WebSocket => "xmpp_wss",
        })
    }

    /// The file with who vouches for its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Who vouches for its certificate, PEM.
    pub fn ca(&self) -> String {
        fs::read_to_string(self.ca_file()).expect("init writes it")
    }

    /// Where clients find the device API.
    pub fn device_api(&self) -> SocketAddr {
        self.address("device_tls")
    }

    /// Its metrics, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        let answer = http(self.address("health"), "GET", "/metrics", None);
        answer.expect("/metrics answers").body
    }

    /// In its configuration this line stands in the place of that one.
    pub fn rewrites(&self, from: &str, to: &str) {
        let written = fs::read_to_string(self.config()).expect("init writes it");
        assert_eq!(written.matches(from).count(), 1, "{from}");
        fs::write(self.config(), written.replace(from, to)).expect("a file of ours");
    }

    /// By its configuration no inside may dial it any more.
    pub fn knows_nobody(&self) {
        let written = fs::read_to_string(self.config()).expect("init writes it");
        let (before, rest) = written.split_once("\ninsides = [").expect("a list");
        let (_, after) = rest.split_once(']').expect("its end");
        let written = format!("{before}\ninsides = []{after}");
        fs::write(self.config(), written).expect("a file of ours");
    }

    /// Its certificate is renewed: in the place of its own lies that of another one from now on.
    pub fn renew_from(&self, other: &Self) {
        for file in ["key.pem", "certificate.pem"] {
            let [from, to] = [other, self].map(|edge| edge.directory.path().join(file));
            fs::copy(from, to).expect("init writes it");
        }
    }

    /// Its tunnels as `edge status` prints them.
    pub fn status(&self) -> String {
        self.ask(&["edge", "status", "--config", &self.config()])
    }

    fn config(&self) -> String {
        let file: PathBuf = self.directory.path().join("reveille.toml");
        file.to_string_lossy().into_owned()
    }

    fn address(&self, listener: &str) -> SocketAddr {
        let index = LISTENERS.iter().position(|name| *name == listener);
        let port = self.ports[index.expect("a listener's name")];
        let ip = if ITS_OWN.contains(&listener) {
            Ipv4Addr::LOCALHOST.into()
        } else {
            self.ip
        };
        SocketAddr::new(ip, port)
    }

    /// Where the inside dials it (UDP).
    pub fn tunnel(&self) -> SocketAddr {
        self.address("tunnel")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(reveille_binary());
        for name in LISTENERS {
            let key = format!("REVEILLE_LISTEN__{}", name.to_uppercase());
            command.env(key, self.address(name).to_string());
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        self.host.runs(command)
    }

    /// What one of its commands says, which must succeed.
    pub fn asks(&self, arguments: &[&str]) -> String {
        let config = self.config();
        self.ask(&[arguments, &["--config", &config]].concat())
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output();
        let output = output.expect("the reveille binary");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}:\n{said}{errors}");
        said
    }
}

/// Waits until the tunnels of the inside are as they should be.
pub fn wait_tunnels(inside: &Reveille, wanted: &[bool]) {
    let seen = poll(SOON, || {
        let told = inside.ask(&["edge", "status", "--json"]);
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        let up = told.as_array().expect("a list").iter();
        let mut up: Vec<_> = up.map(|it| it["up"] == true).collect();
        up.sort_unstable();
        (up == wanted).then_some(())
    });
    assert!(seen.is_some(), "{}", inside.ask(&["edge", "status"]));
}

/// An inside with one edge, whose tunnel is up.
pub fn with_edge() -> (Reveille, Edge) {
    with_edge_that(|_| ())
}

/// The same, with an edge to which this is done before it starts.
pub fn with_edge_that(prepare: impl FnOnce(&Edge)) -> (Reveille, Edge) {
    let mut inside = Reveille::new();
    let mut edge = Edge::of(&inside);
    prepare(&edge);
    edge.start();
    let line = edge.line();
    inside = inside.with("edge", "edges", &line);
    inside.start();
    wait_tunnels(&inside, &[true]);
    (inside, edge)
}

/// By which edges know this inside.
fn key_of(inside: &Reveille) -> String {
    let line = inside.ask(&["edge", "pair"]);
    let key = line.trim().trim_start_matches("insides = [\"");
    key.trim_end_matches("\"]").to_owned()
}
