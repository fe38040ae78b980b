//! A peer: ejabberd from its Debian package.

use crate::{
    certificate,
    debian::{Packages, Peer},
    http::Client,
    load::{DOMAIN, PASSWORD},
    process::{Cores, Server},
    reveille::free_tcp,
};
use anyhow::{Context, Result};
use std::{net::SocketAddr, path::Path, process::Command, time::Duration};
use tempfile::TempDir;

/// What to install.
pub(crate) const PACKAGES: Packages = Packages {
    program: "ejabberd",
    names: &["ejabberd"],
    sign: "command -v ejabberdctl",
    service: "ejabberd",
};
/// Far more than it takes.
const START: Duration = Duration::from_mins(1);
/// One scheduler, since it has one core, and none that waits by turning in circles, which would be counted.
const MACHINE: [&str; 9] = [
    "+K", "true", "+S", "1:1", "+P", "250000", "+sbwt", "none", "-noinput",
];

/// Starts one, waits until it listens, and adds the users `u0` and up by its API.
pub(crate) fn start(users: u32, cores: Cores) -> Result<Peer> {
    let folder = TempDir::with_prefix("reveille-bench-")?;
    let (at, api) = (free_tcp()?, free_tcp()?);
    let tls = certificate::put_into(folder.path())?;
    let config = include_str!("../ejabberd/ejabberd.yml")
        .replace("@FOLDER@", &folder.path().to_string_lossy())
        .replace("@PORT@", &at.port().to_string())
        .replace("@API@", &api.port().to_string());
    std::fs::write(folder.path().join("ejabberd.yml"), config)?;
    let words = folder.path().join("ejabberd.out");
    let mut server = Server::start(&command(folder.path()), cores, &words)?;
    server
        .wait_until(START, || {
            [at, api]
                .iter()
                .all(|at| std::net::TcpStream::connect(at).is_ok())
        })
        .with_context(|| log(folder.path()))?;
    add_users(api, users)?;
    Ok(Peer {
        server,
        at,
        tls,
        _folder: folder,
    })
}

/// Erlang with ejabberd in it, as `ejabberdctl foreground` starts it, but without a name: a node of one needs none.
fn command(folder: &Path) -> Command {
    let named = |name: &str, file: &str| format!("{name}={}", folder.join(file).display());
    let mut command = Command::new("env");
    command
        .arg(named("EJABBERD_CONFIG_PATH", "ejabberd.yml"))
        .arg(named("EJABBERD_LOG_PATH", "ejabberd.log"))
        .arg(named("ERL_CRASH_DUMP", "crash.dump"))
        .arg("ERL_LIBS=/usr/lib/x86_64-linux-gnu")
        .arg("erl")
        .args(MACHINE)
        .args(["-mnesia", "dir"])
        .arg(format!("\"{}\"", folder.join("mnesia").display()))
        .args(["-s", "ejabberd"]);
    command
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("ejabberd.log")).unwrap_or_default()
}

fn add_users(api: SocketAddr, users: u32) -> Result<()> {
    let mut client = Client::connect(api)?;
    for user in 0..users {
        let body =
            format!("{{\"user\":\"u{user}\",\"host\":\"{DOMAIN}\",\"password\":\"{PASSWORD}\"}}");
        let answer = client.ask("POST", "/api/register", "", &body)?;
        anyhow::ensure!(
            answer.status == 200,
            "adding u{user} was answered {}: {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
    }
    Ok(())
}
