//! Peers come from Debian's packages: installed when they are missing, and the services that they start are stopped.

use crate::{load::At, process::Server};
use anyhow::{Context, Result, bail};
use std::{net::SocketAddr, process::Command, sync::Arc};
use tempfile::TempDir;

/// A running peer that serves XMPP.
pub(crate) struct Peer {
    pub(crate) server: Server,
    pub(crate) at: SocketAddr,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    /// What it keeps: gone with it.
    pub(crate) _folder: TempDir,
}

impl Peer {
    /// Where it listens for XMPP over TLS, how to trust it, and its process.
    pub(crate) fn reach(&self) -> At {
        (self.at, self.tls.clone(), self.server.pid())
    }

    /// What it said: nothing, if all went well.
    pub(crate) fn words(&self) -> String {
        self.server.words()
    }
}

/// Packages, and how to see that they are there.
pub(crate) struct Packages {
    /// As people call what is in them.
    pub(crate) program: &'static str,
    /// What to install.
    pub(crate) names: &'static [&'static str],
    /// A command of the shell that succeeds once they are installed.
    pub(crate) sign: &'static str,
    /// The service that they start; empty: none.
    pub(crate) service: &'static str,
}

impl Packages {
    /// Installs them if they are missing, and stops the service that they start.
    pub(crate) fn install(&self) -> Result<()> {
        if self.are_there() {
            return Ok(());
        }
        eprintln!(
            "{} is missing: installing {}",
            self.program,
            self.names.join(" ")
        );
        run(Command::new("apt-get").args(["-q", "update"]))?;
        run(Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-q", "-y", "install", "--no-install-recommends"])
            .args(self.names))
        .context("installing needs root: or do it yourself, then try again")?;
        if !self.service.is_empty() {
            self.stop();
        }
        if !self.are_there() {
            bail!(
                "{} is still missing after the installation of its packages",
                self.program
            );
        }
        Ok(())
    }

    fn stop(&self) {
        // Where services are not started there is none to stop, and this fails.
        let stopped = Command::new("service")
            .args([self.service, "stop"])
            .output();
        if !stopped.is_ok_and(|stopped| stopped.status.success()) {
            eprintln!("no service of the package was stopped: look for one if the figures are odd");
        }
    }

    fn are_there(&self) -> bool {
        let found = Command::new("sh").arg("-c").arg(self.sign).output();
        found.is_ok_and(|found| found.status.success())
    }

    /// The version of the first package.
    pub(crate) fn version(&self) -> String {
        let asked = Command::new("dpkg-query")
            .args(["-W", "-f", "${Version}", self.names[0]])
            .output();
        match asked {
            Ok(said) if said.status.success() => {
                format!("{} {}", self.program, String::from_utf8_lossy(&said.stdout))
            }
            _ => format!("{} not installed", self.program),
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    // Its own progress is no part of our output.
    let output = command.output().context("apt-get")?;
    anyhow::ensure!(
        output.status.success(),
        "{} failed: {}",
        command.get_program().display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
