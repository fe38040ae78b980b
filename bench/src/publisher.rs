//! A push service that is nothing else: apps whose cloud is a sink, and a tenant for each, who pushes over HTTP/2 and TLS.

use crate::{
    certificate,
    http::{Client, is_ok},
    process::{ONE_CORE, Server},
    reveille::free_tcp,
    sink,
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    fmt::Write as _, net::SocketAddr, path::Path, process::Command, sync::Arc, time::Duration,
};
use tempfile::TempDir;

/// Until it is ready.
const START: Duration = Duration::from_secs(30);
/// What a tenant may hand in a minute: more than anybody can.
const PER_MINUTE: u32 = 100_000_000;

/// See the module. Its data go with it.
pub(crate) struct Publisher {
    server: Server,
    tls: Arc<rustls::ClientConfig>,
    rest: SocketAddr,
    /// Of each app's tenant.
    tokens: Vec<String>,
    _folder: TempDir,
}

impl Publisher {
    /// One with these apps, each at its cloud; the folder is that in which the clouds' identity is.
    pub(crate) fn start(
        binary: &Path,
        folder: TempDir,
        apps: &[(&str, SocketAddr)],
    ) -> Result<Self> {
        let tls = certificate::put_into(folder.path())?;
        let mut tls = rustls::ClientConfig::clone(&tls);
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let [admin, health, rest] = [free_tcp()?, free_tcp()?, free_tcp()?];
        let file = folder.path().join("reveille.toml");
        std::fs::write(&file, config(folder.path(), [admin, health, rest], apps)?)?;
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config").arg(file);
        let words = folder.path().join("reveille.log");
        let mut server = Server::start(&command, ONE_CORE, &words)?;
        server.wait_until(START, || is_ok(health, "/readyz"))?;
        let token = std::fs::read_to_string(folder.path().join("admin.token"))?;
        let mut admin = Client::connect(admin)?;
        let tokens = apps
            .iter()
            .map(|(app, _)| token_of(app, &mut admin, token.trim(), (rest, &tls)))
            .collect::<Result<_>>()?;
        Ok(Self {
            server,
            tls: Arc::new(tls),
            rest,
            tokens,
            _folder: folder,
        })
    }

    /// Where it is asked, and how it is trusted.
    pub(crate) fn rest(&self) -> (SocketAddr, Arc<rustls::ClientConfig>) {
        (self.rest, self.tls.clone())
    }

    /// The access token of the tenant of an app, by its place in the list.
    pub(crate) fn token(&self, app: usize) -> &str {
        &self.tokens[app]
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// What it said: nothing, if all went well.
    pub(crate) fn words(&self) -> String {
        self.server.words()
    }
}

fn config(
    folder: &Path,
    [admin, health, rest]: [SocketAddr; 3],
    apps: &[(&str, SocketAddr)],
) -> Result<String> {
    let folder = folder.display();
    let (certificate, key) = (certificate::CERTIFICATE, certificate::KEY);
    let mut config = format!(
        "[server]\nroles = [\"push\"]\ndata_dir = \"{folder}\"\n\
         [listen]\nadmin = [\"{admin}\"]\nhealth = [\"{health}\"]\npush = []\npush_tls = [\"{rest}\"]\n\
         [tls]\ncertificate = \"{folder}/{certificate}\"\nkey = \"{folder}/{key}\"\n\
         [observe]\nlog = \"warn\"\n\
         [push]\nca = \"{folder}/{}\"\n",
        sink::CA_FILE
    );
    for (app, at) in apps {
        write!(
            config,
            "[[push.app]]\napp = \"{app}\"\nprovider = \"apns\"\nteam_id = \"TEAM123456\"\nkey_id = \"BENCHKEY01\"\n\
             key_file = \"{folder}/{}\"\nendpoint = \"{at}\"\n",
            sink::KEY_FILE
        )?;
    }
    Ok(config)
}

/// Makes a tenant for an app, and has it granted a token.
fn token_of(
    app: &str,
    admin: &mut Client,
    token: &str,
    (rest, tls): (SocketAddr, &rustls::ClientConfig),
) -> Result<String> {
    let wanted = format!("{{\"allow\":[\"{app}\"],\"per_minute\":{PER_MINUTE}}}");
    let path = format!("/api/v1/tenants/{app}");
    let made = admin.ask("PUT", &path, token, &wanted)?;
    ensure!((200..300).contains(&made.status), "{path}: {}", made.status);
    let made: Value = serde_json::from_slice(&made.body)?;
    let secret = made["credentials"]["client_secret"].as_str();
    let secret = secret.context("a secret")?;
    let form = format!("grant_type=client_credentials&client_id={app}&client_secret={secret}");
    crate::load::grant(rest, tls, form)
}
