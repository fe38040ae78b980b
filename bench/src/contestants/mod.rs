//! Push clients that push to the same cloud, one after the other on the same core: ours, those of others as their registries have them, and
//! `h2load`, which is no push client and shows what the cloud and HTTP/2 allow. Each is a program that is told what to do by an [`Order`], and
//! says what came of it.

mod a2;
mod h2load;
mod ours;

pub(crate) use h2load::PACKAGES as H2LOAD;
pub(crate) use ours::push as push_as_ordered;

use crate::{
    process::{self, ONE_CORE},
    usage,
};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

/// The app that is pushed to.
const APP: &str = "com.example.phone";
const AIOAPNS: &str = "4.0";
const NODE_APN: &str = "8.1.0";
/// Seconds after which a contestant that has not ended is ended.
const PATIENCE: &str = "60";

/// What is to be pushed, and where.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Order {
    /// Where the cloud is.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// The file with who vouches for it.
    pub(crate) ca: PathBuf,
    /// The file with the key that signs provider tokens.
    pub(crate) key: PathBuf,
    /// Whose key.
    pub(crate) team: String,
    /// Its name.
    pub(crate) key_id: String,
    /// Pushes under way at once.
    pub(crate) in_flight: u32,
    /// For so long; connecting and the first pushes do not count.
    pub(crate) seconds: f64,
    /// Not zero: so many at once over a connection that is not there yet, instead of all that.
    pub(crate) burst: u32,
    /// Whether Nagle's algorithm is off, where that is not settled.
    pub(crate) nodelay: bool,
}

impl Order {
    /// For a cloud that takes any key, whose files are in a folder.
    pub(crate) fn to(cloud: SocketAddr, folder: &Path) -> Self {
        Self {
            host: "localhost".to_owned(),
            port: cloud.port(),
            ca: folder.join(crate::sink::CA_FILE),
            key: folder.join(crate::sink::KEY_FILE),
            team: "TEAM123456".to_owned(),
            key_id: "BENCHKEY01".to_owned(),
            in_flight: 1,
            seconds: 0.0,
            burst: 0,
            nodelay: true,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Said {
    /// Pushes that the cloud took.
    pub(crate) taken: u32,
    /// All others.
    pub(crate) failed: u32,
    /// From the first that counts to the last.
    pub(crate) seconds: f64,
    /// Why the last of them failed.
    pub(crate) reason: String,
    /// Processor time of all of it, in seconds: its start, and the pushes that do not count, as well.
    #[serde(default)]
    pub(crate) cpu: f64,
}

/// Who takes part.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Contestant {
    H2load,
    Ours,
    A2,
    A2Nodelay,
    NodeApn,
    Aioapns,
}

impl Contestant {
    /// All of them, the limit first.
    pub(crate) const ALL: [Self; 6] = [
        Self::H2load,
        Self::Ours,
        Self::A2,
        Self::A2Nodelay,
        Self::NodeApn,
        Self::Aioapns,
    ];

    /// As rows call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::H2load => "h2load",
            Self::Ours => "Reveille",
            Self::A2 => "a2",
            Self::A2Nodelay => "a2, nodelay",
            Self::NodeApn => "node-apn",
            Self::Aioapns => "aioapns",
        }
    }

    /// Has it do what is ordered, on the server's core.
    pub(crate) fn run(self, order: &Order) -> Result<Said> {
        let before = usage::of_children()?;
        let said = self.says(order)?;
        let cpu = usage::of_children()?.saturating_sub(before).as_secs_f64();
        Ok(Said { cpu, ..said })
    }

    fn says(self, order: &Order) -> Result<Said> {
        let folder = folder()?;
        let mut command = match self {
            Self::H2load => return h2load::run(order),
            Self::Ours => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("push-as-ordered");
                command
            }
            Self::A2 | Self::A2Nodelay => Command::new(a2::program(&folder)),
            Self::NodeApn => {
                let mut command = Command::new("node");
                command.env("NODE_MODULES", folder.join("node_modules"));
                command.arg(folder.join("node_apn.mjs"));
                command
            }
            Self::Aioapns => {
                let mut command = Command::new(folder.join("venv/bin/python"));
                command.arg(folder.join("aioapns_client.py"));
                command
            }
        };
        let order = Order {
            nodelay: self != Self::A2,
            ..order.clone()
        };
        command.arg(serde_json::to_string(&order)?);
        serde_json::from_str(&said(&command)?).with_context(|| format!("what {} says", self.name()))
    }
}

/// What a program says that runs on the server's core and must end in time.
fn said(command: &Command) -> Result<String> {
    let mut limited = Command::new("timeout");
    limited.arg(PATIENCE).arg(command.get_program());
    limited.args(command.get_args());
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
    let output = process::on_cores(&limited, ONE_CORE).output()?;
    let (said, wrong) = (output.stdout, String::from_utf8_lossy(&output.stderr));
    let program = command.get_program().display();
    ensure!(
        output.status.success(),
        "{program} ended with {}: {wrong}",
        output.status
    );
    Ok(String::from_utf8(said)?)
}

/// Where contestants are made: beside what cargo makes.
fn folder() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).context("a target directory")?;
    Ok(target.join("bench-clients"))
}

/// Gets all that is missing, each from its registry.
pub(crate) fn install() -> Result<()> {
    H2LOAD.install()?;
    let folder = folder()?;
    std::fs::create_dir_all(&folder)?;
    for (name, text) in [
        ("node_apn.mjs", include_str!("../../clients/node_apn.mjs")),
        (
            "aioapns_client.py",
            include_str!("../../clients/aioapns_client.py"),
        ),
    ] {
        std::fs::write(folder.join(name), text)?;
    }
    if !folder.join("node_modules/@parse/node-apn").exists() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-fund", "--no-audit", "--prefix"]);
        done(npm.arg(&folder).arg(format!("@parse/node-apn@{NODE_APN}")))?;
    }
    let venv = folder.join("venv");
    if !venv.join("bin/pip").exists() {
        done(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    let mut pip = Command::new(venv.join("bin/pip"));
    done(pip.args(["install", "--quiet", &format!("aioapns=={AIOAPNS}")]))?;
    a2::build(&folder)
}

/// Their versions.
pub(crate) fn versions() -> String {
    let [h2load, a2] = [H2LOAD.version(), a2::VERSION.to_owned()];
    format!("{h2load}, a2 {a2}, node-apn {NODE_APN}, aioapns {AIOAPNS}")
}

/// Runs something to its end.
fn done(command: &mut Command) -> Result<Vec<u8>> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| program.clone())?;
    let wrong = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {wrong}");
    Ok(output.stdout)
}
