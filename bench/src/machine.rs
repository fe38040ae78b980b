//! Where and with what it was measured: without it a figure says nothing.

use anyhow::Result;
use serde::Serialize;
use std::{fs, path::Path, process::Command};

/// A machine that does other work besides measures that.
const BUSY: f64 = 0.5;

/// The machine, the day and the versions.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Of the measurement.
    pub(crate) date: String,
    /// Model and number.
    pub(crate) processor: String,
    /// Distribution and kernel.
    pub(crate) system: String,
    /// File system of the temporary directory, where databases are.
    pub(crate) disk: String,
    /// Processes that wanted to run in the minute before.
    pub(crate) load: f64,
    /// Ours, and the commit it is built from.
    pub(crate) reveille: String,
    /// Those of the peers, if they are there.
    pub(crate) peers: String,
    /// What was typed.
    pub(crate) command: String,
}

impl Machine {
    /// All of it for below a table.
    pub(crate) fn line(&self) -> String {
        let Self {
            date,
            processor,
            system,
            load,
            reveille,
            command,
            ..
        } = self;
        format!("{date}, `{command}`: {reveille}; {processor}; {system}; load before it {load:.2}.")
    }

    /// This one, now, with these versions of peers.
    pub(crate) fn look(binary: &Path, peers: String) -> Result<Self> {
        let cpu = fs::read_to_string("/proc/cpuinfo")?;
        let models: Vec<_> = cpu
            .lines()
            .filter_map(|line| line.strip_prefix("model name")?.split(": ").nth(1))
            .collect();
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let release = release
            .lines()
            .find_map(|line| line.strip_prefix("PRETTY_NAME="))
            .unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let load = fs::read_to_string("/proc/loadavg")?;
        let commit = said("git", &["rev-parse", "--short", "HEAD"]);
        let typed = without_binary(std::env::args().skip(1));
        Ok(Self {
            date: said("date", &["-u", "+%F"]),
            processor: format!(
                "{} × {}",
                models.len(),
                models.first().copied().unwrap_or("unknown")
            ),
            system: format!("{}, Linux {}", release.trim_matches('"'), kernel.trim()),
            disk: file_system(&std::env::temp_dir()),
            load: load
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or_default(),
            reveille: format!(
                "{} ({commit})",
                said(&binary.to_string_lossy(), &["--version"])
            ),
            peers,
            command: format!(
                "cargo run --release -p reveille-bench -- {}",
                typed.join(" ")
            ),
        })
    }

    /// What is wrong with measuring here and now.
    pub(crate) fn warning(&self) -> Option<String> {
        (self.load > BUSY).then(|| {
            format!(
                "this machine is busy with other work (load {:.2}): these figures mean little",
                self.load
            )
        })
    }
}

/// What was typed, but for where the server lay on this machine: its version stands beside it.
fn without_binary(typed: impl Iterator<Item = String>) -> Vec<String> {
    let mut left = Vec::new();
    let mut typed = typed;
    while let Some(argument) = typed.next() {
        if argument == "--binary" {
            typed.next();
        } else if !argument.starts_with("--binary=") {
            left.push(argument);
        }
    }
    left
}

fn file_system(folder: &Path) -> String {
    let table = said("df", &["--output=fstype", &folder.to_string_lossy()]);
    table.lines().last().unwrap_or("unknown").to_owned()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
