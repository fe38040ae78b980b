//! The real Prometheus, which scrapes a server and evaluates the rules that we ship.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Process, SOON, free_port, http, poll};

/// Where `cargo xtask test` has said that its programs are; else they are looked for in the path.
const PROGRAMS: &str = "REVEILLE_PROMETHEUS";

/// One of ours, with its data in a directory of its own.
pub struct Prometheus {
    address: SocketAddr,
    // Ended before its data go.
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Scrapes this address and evaluates these rules, each second, in a configuration as the documentation has it.
    pub fn started(documented: &str, scraped: SocketAddr) -> Self {
        let folder = TempDir::with_prefix("reveille-prometheus-").expect("a temporary directory");
        let config = documented
            .replace("127.0.0.1:9090", &scraped.to_string())
            .replace(
                "/etc/prometheus/reveille.rules.yml",
                rules().to_str().expect("text"),
            );
        let file = folder.path().join("prometheus.yml");
        let often = "global: {scrape_interval: 1s, evaluation_interval: 1s}\n";
        fs::write(&file, format!("{often}{config}")).expect("ours");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(program("prometheus"));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"));
        let process = Process::spawn("prometheus", &mut command);
        let prometheus = Self {
            address,
            _process: process,
            _folder: folder,
        };
        let ready = || {
            let answer = http(address, "GET", "/-/ready", None).ok()?;
            (answer.status == 200).then_some(())
        };
        poll(SOON, ready).expect("Prometheus is ready");
        prometheus
    }

    /// What it knows under this path of its API.
    pub fn data(&self, path: &str) -> Value {
        let answer = http(self.address, "GET", path, None).expect("its API answers");
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(body["status"], "success", "{path}: {body}");
        body["data"].clone()
    }

    /// The series that this expression has now.
    pub fn query(&self, expression: &str) -> Vec<Value> {
        let mut quoted = String::new();
        for octet in expression.bytes() {
            write!(quoted, "%{octet:02X}").expect("a string takes it");
        }
        let found = self.data(&format!("/api/v1/query?query={quoted}"));
        found["result"].as_array().expect("a list").clone()
    }

    /// The rules, as it evaluates them.
    pub fn rules(&self) -> Vec<Value> {
        let groups = self.data("/api/v1/rules");
        let groups = groups["groups"].as_array().expect("a list").clone();
        let rules = groups.iter().filter_map(|group| group["rules"].as_array());
        rules.flatten().cloned().collect()
    }
}

/// The rules that we ship.
pub fn rules() -> PathBuf {
    contrib("prometheus/reveille.rules.yml")
}

/// A file that we ship beside the server.
pub fn contrib(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../contrib");
    PathBuf::from(folder).join(name)
}

/// What promtool says of our rules.
pub fn promtool_check_rules() -> Output {
    let mut command = Command::new(program("promtool"));
    command
        .args(["check", "rules", "--lint-fatal"])
        .arg(rules());
    command
        .output()
        .expect("promtool: `cargo xtask test --only peers` gets it")
}

fn program(name: &str) -> PathBuf {
    std::env::var_os(PROGRAMS)
        .map_or_else(|| name.into(), |folder| PathBuf::from(folder).join(name))
}
