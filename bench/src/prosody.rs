//! A peer: Prosody from its Debian package.

use crate::{
    certificate,
    debian::{Packages, Peer},
    load::{DOMAIN, PASSWORD},
    process::{Cores, Server},
    reveille::free_tcp,
};
use anyhow::{Context, Result};
use std::{path::Path, process::Command, time::Duration};
use tempfile::TempDir;

/// What to install.
pub(crate) const PACKAGES: Packages = Packages {
    program: "prosody",
    names: &["prosody", "prosody-modules"],
    sign: "command -v prosody && ls /usr/lib/prosody/modules/mod_cloud_notify",
    service: "prosody",
};
/// Far more than it takes.
const START: Duration = Duration::from_secs(30);

/// Starts one with the users `u0` and up, and waits until it listens.
pub(crate) fn start(users: u32, cores: Cores) -> Result<Peer> {
    let folder = TempDir::with_prefix("reveille-bench-")?;
    let at = free_tcp()?;
    let tls = certificate::put_into(folder.path())?;
    let config = include_str!("../prosody/prosody.cfg.lua")
        .replace("@FOLDER@", &folder.path().to_string_lossy())
        .replace("@PORT@", &at.port().to_string());
    let file = folder.path().join("prosody.cfg.lua");
    std::fs::write(&file, config)?;
    add_users(folder.path(), &file, users)?;
    let mut command = Command::new("prosody");
    command.arg("-F").arg("--config").arg(&file);
    let mut server = Server::start(&command, cores, &folder.path().join("prosody.log"))?;
    server.wait_until(START, || std::net::TcpStream::connect(at).is_ok())?;
    Ok(Peer {
        server,
        at,
        tls,
        _folder: folder,
    })
}

/// One is added by Prosody's own tool, which takes a process each; the file that it writes names nobody, and does for all.
fn add_users(folder: &Path, config: &Path, users: u32) -> Result<()> {
    let output = Command::new("prosodyctl")
        .arg("--config")
        .arg(config)
        .args(["register", "u0", DOMAIN, PASSWORD])
        .output()
        .context("prosodyctl")?;
    let accounts = folder.join("data").join(DOMAIN).join("accounts");
    let first = accounts.join("u0.dat");
    anyhow::ensure!(
        output.status.success() && first.exists(),
        "prosodyctl register failed: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    for user in 1..users {
        std::fs::copy(&first, accounts.join(format!("u{user}.dat")))?;
    }
    Ok(())
}
