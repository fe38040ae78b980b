//! Our edge, as an operator makes it (`reveille edge init`, `pair`), with the inside that dials it.

use crate::{
    certificate,
    http::{Client, is_ok},
    process::{Cores, Server},
    reveille::{Reveille, Setup, Straight, free_tcp, free_udp},
};
use anyhow::{Context, Result, ensure};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Far more than it takes.
const START: Duration = Duration::from_secs(10);
/// How often to look whether the tunnel is up.
const LOOK: Duration = Duration::from_millis(20);

/// Both of them.
pub(crate) struct Edge {
    server: Server,
    outside: Straight,
    tunnel: SocketAddr,
    health: SocketAddr,
    folder: TempDir,
    /// The server that dials it.
    pub(crate) inside: Reveille,
}

impl Edge {
    /// Starts an edge on these cores, and this inside; waits until the tunnel is up.
    pub(crate) fn start(inside: Setup<'_>, cores: Cores) -> Result<Self> {
        let folder = TempDir::with_prefix("reveille-bench-edge-")?;
        let maker = Maker {
            binary: inside.binary.to_owned(),
            folder: folder.path().to_owned(),
            listeners: [
                ("SIP_TLS", free_tcp()?),
                ("TUNNEL", free_udp()?.into()),
                ("ADMIN", free_tcp()?),
                ("HEALTH", free_tcp()?),
            ],
        };
        let [(_, at), (_, tunnel), _, (_, health)] = maker.listeners;
        let line = maker.paired_with(inside.folder.path())?;
        let tls = certificate::put_into(folder.path())?;
        let mut command = maker.command();
        command.args(["serve", "--config"]).arg(maker.config());
        let words = folder.path().join("reveille.log");
        let mut server = Server::start(&command, cores, &words)?;
        server.wait_until(START, || is_ok(health, "/readyz"))?;
        let inside = Reveille::start(Setup {
            edge: Some(line),
            ..inside
        })?;
        let edge = Self {
            server,
            outside: (at, tls),
            tunnel,
            health,
            folder,
            inside,
        };
        edge.wait_until_up()?;
        Ok(edge)
    }

    fn wait_until_up(&self) -> Result<()> {
        let began = Instant::now();
        while !self.metrics()?.lines().any(is_up) {
            ensure!(
                began.elapsed() < START,
                "no tunnel is up; the edge said: {}",
                self.words()
            );
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Its metrics.
    pub(crate) fn metrics(&self) -> Result<String> {
        let answer = Client::connect(self.health)?.ask("GET", "/metrics", "", "")?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Where phones find it.
    pub(crate) fn outside(&self) -> Straight {
        self.outside.clone()
    }

    /// Where insides dial it.
    pub(crate) fn tunnel(&self) -> SocketAddr {
        self.tunnel
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// What both said last.
    pub(crate) fn words(&self) -> String {
        let (edge, inside) = (self.server.words(), self.inside.words());
        format!(
            "{edge}\nand inside: {inside}\nin {}",
            self.folder.path().display()
        )
    }
}

fn is_up(line: &str) -> bool {
    line.starts_with("reveille_edge_tunnel_up{") && line.ends_with(" 1")
}

/// What makes an edge by the command line.
struct Maker {
    binary: PathBuf,
    folder: PathBuf,
    /// Where it listens, by the key under `[listen]`.
    listeners: [(&'static str, SocketAddr); 4],
}

impl Maker {
    fn config(&self) -> PathBuf {
        self.folder.join("reveille.toml")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, at) in self.listeners {
            command.env(format!("REVEILLE_LISTEN__{name}"), at.to_string());
        }
        command.env("REVEILLE_OBSERVE__LOG", "warn");
        command
    }

    /// Makes its files for an inside whose data are there, and says what the inside is to know of it.
    fn paired_with(&self, inside: &Path) -> Result<String> {
        let file = self.folder.join("inside.toml");
        std::fs::write(
            &file,
            format!("[server]\ndata_dir = \"{}\"\n", inside.display()),
        )?;
        let key = self.quoted(&["edge", "pair", "--config", &file.to_string_lossy()])?;
        let folder = self.folder.to_string_lossy();
        let init = [
            "edge",
            "init",
            &folder,
            "--name",
            "localhost",
            "--inside",
            &key,
        ];
        self.said(&init)?;
        let line = self.quoted(&["edge", "pair", "--config", &self.config().to_string_lossy()])?;
        Ok(line.replace("localhost", "127.0.0.1"))
    }

    /// What a command says between quotation marks.
    fn quoted(&self, arguments: &[&str]) -> Result<String> {
        let said = self.said(arguments)?;
        let quoted = said.split('"').nth(1);
        Ok(quoted
            .with_context(|| format!("nothing is quoted in {said}"))?
            .to_owned())
    }

    fn said(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command().args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {said}{errors}");
        Ok(said)
    }
}
