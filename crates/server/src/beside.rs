//! The push service as a process of its own beside a development server: our own binary, started as its publisher would, with
//! a configuration, keys and a certificate in files. The server beside it has a tenant's credentials and nothing else.

use crate::{
    accounts,
    app::open_store,
    config::{self, Addresses, Config, Words},
    pushd::{
        TenantChange,
        tenants::{Credentials, change},
    },
};
use anyhow::{Context, Result, bail};
use domain::Change;
use lab::cloud::Ca;
use serde_json::json;
use std::{
    io::Write,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// How long it may take to start, and to end: longer than what is under way in it.
const PATIENCE: Duration = Duration::from_secs(20);
/// The tenant that the server is there.
const TENANT: &str = "beside";

/// A running push service. Its process ends with this one, whatever becomes of us: it runs while its standard input is open.
pub struct Beside {
    process: Child,
    /// Its REST, over TLS.
    pub rest: SocketAddr,
    /// Its health and metrics.
    pub health: SocketAddr,
}

impl Beside {
    /// Starts `binary` as the push service of these apps, all of whose files go to `folder`. What comes with it is what a server
    /// needs in its section `push` to go through it.
    pub async fn start(
        binary: &Path,
        folder: &Path,
        apps: &[push::App],
        ca: &Ca,
    ) -> Result<(Self, config::Push)> {
        let made = std::fs::create_dir_all(folder);
        made.with_context(|| format!("cannot create {}", folder.display()))?;
        let config = configuration(folder, apps, ca)?;
        let tenant = add_tenant(&config).await?;
        let file = folder.join("reveille.toml");
        write(&file, &toml::to_string(&config)?)?;
        let service = Self::run(binary, &file).await?;
        let secret = folder.join("client.secret");
        write(&secret, &tenant.client_secret)?;
        let through = config::Push {
            url: format!("localhost:{}", service.rest.port()),
            client_id: tenant.client_id,
            client_secret_file: secret,
            app: config.push.app.iter().map(without_keys).collect(),
            ca: config.push.ca,
            ..config::Push::default()
        };
        Ok((service, through))
    }

    async fn run(binary: &Path, file: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        // What the environment says of a server is about the one beside it.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("REVEILLE_") || text == "NOTIFY_SOCKET" {
                command.env_remove(&name);
            }
        }
        command
            .args(["serve", "--while-stdin", "--config"])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for us, who end it in our turn.
            .process_group(0)
            .kill_on_drop(true);
        let mut process = command
            .spawn()
            .with_context(|| format!("cannot run {} as the push service", binary.display()))?;
        let output = process.stdout.take().context("its output")?;
        let mut line = String::new();
        let read = timeout(PATIENCE, BufReader::new(output).read_line(&mut line)).await;
        read.context("the push service's process does not become ready")??;
        let address = |what: &str| {
            let (_, rest) = line.split_once(&format!(" {what} "))?;
            let end = rest.find([';', ',', '\n']).unwrap_or(rest.len());
            rest[..end].parse().ok()
        };
        match address("https").zip(address("health http")) {
            Some((rest, health)) => Ok(Self {
                process,
                rest,
                health,
            }),
            None => bail!("the push service's process ended before it was ready; see above"),
        }
    }

    /// The id of its process, while it runs.
    pub fn process(&self) -> Option<u32> {
        self.process.id()
    }

    /// Stops it, as it stops for an operator; if it does not, at once.
    ///
    /// # Errors
    /// It had ended by itself, or did not end well.
    pub async fn shutdown(mut self) -> Result<()> {
        if let Some(ended) = self.process.try_wait()? {
            bail!("the push service's process had ended by itself: {ended}");
        }
        drop(self.process.stdin.take());
        if let Ok(ended) = timeout(PATIENCE, self.process.wait()).await {
            let ended = ended?;
            anyhow::ensure!(ended.success(), "the push service's process: {ended}");
            return Ok(());
        }
        self.process.kill().await?;
        bail!("the push service's process did not end within {PATIENCE:?}, and was killed")
    }
}

/// What `reveille init` and an operator would write, for a loopback and free ports.
fn configuration(folder: &Path, apps: &[push::App], ca: &Ca) -> Result<Config> {
    let mut config = Config::default();
    config.server.roles = Words::of(&["push"]);
    folder.join("data").clone_into(&mut config.server.data_dir);
    "off".clone_into(&mut config.observe.log);
    let free = Addresses::of(&["127.0.0.1:0"]);
    config.listen = config::Listen {
        admin_socket: folder.join("admin.sock"),
        health: free.clone(),
        push_tls: free,
        ..nowhere()
    };
    let certificate = ca.issue(&["localhost"])?;
    config.tls.certificate = folder.join("chain.pem");
    config.tls.key = folder.join("key.pem");
    config.push.ca = folder.join("ca.pem");
    write(&config.tls.certificate, &certificate.chain_pem)?;
    write(&config.tls.key, &certificate.key_pem)?;
    write(&config.push.ca, ca.ca_pem())?;
    let apps = apps.iter().map(|app| written(app, folder));
    config.push.app = apps.collect::<Result<_>>()?;
    std::fs::create_dir_all(&config.server.data_dir)?;
    Ok(config)
}

/// No listener at all.
fn nowhere() -> config::Listen {
    let none = Addresses::default;
    config::Listen {
        sip_udp: none(),
        sip_tcp: none(),
        component: none(),
        admin: none(),
        push: none(),
        apns: none(),
        fcm: none(),
        webpush: none(),
        lab: none(),
        ..config::Listen::default()
    }
}

/// As `reveille tenant add` does while nothing runs.
async fn add_tenant(config: &Config) -> Result<Credentials> {
    let apps = config.push.app.iter();
    let wanted = TenantChange {
        allow: apps.map(|app| app.app.clone()).collect(),
        ..TenantChange::default()
    };
    let (tenant, credentials) = change(TENANT, None, &wanted)?;
    let store = open_store(config, Vec::new()).await?;
    accounts::write(store.as_ref(), Change::PutTenant(Box::new(tenant))).await?;
    store.close().await?;
    credentials.context("a new tenant has a secret")
}

/// An app as a configuration has it, its keys in files.
fn written(app: &push::App, folder: &Path) -> Result<config::App> {
    let name = app.profile.app.as_str();
    let file = |ending: &str, text: &str| -> Result<PathBuf> {
        let path = folder.join(format!("{name}.{ending}"));
        write(&path, text)?;
        Ok(path)
    };
    let mut written = config::App {
        app: name.to_owned(),
        provider: app.profile.provider.name().to_owned(),
        generation: app.profile.generation.name().to_owned(),
        environment: app.environment.name().to_owned(),
        endpoint: app
            .endpoint
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
        ..config::App::default()
    };
    match &app.credentials {
        push::Credentials::Apns {
            team_id,
            key_id,
            key_pem,
        } => {
            written.team_id.clone_from(team_id);
            written.key_id.clone_from(key_id);
            written.key_file = file("p8", key_pem)?;
        }
        push::Credentials::Fcm {
            project,
            client_email,
            private_key_pem,
            token_uri,
        } => {
            let account = json!({
                "project_id": project, "client_email": client_email, "private_key": private_key_pem, "token_uri": token_uri,
            });
            written.project.clone_from(project);
            written.service_account = file("json", &account.to_string())?;
        }
        push::Credentials::WebPush {
            key_pem,
            contact,
            hosts,
        } => {
            written.vapid_key_file = file("pem", key_pem)?;
            written.vapid_contact.clone_from(contact);
            written.hosts = Words(hosts.clone());
        }
        push::Credentials::ApnsCertificate { .. } | push::Credentials::Service { .. } => {
            bail!("{name}: a development server has no such app")
        }
    }
    Ok(written)
}

/// The same app at a server that has no keys for it.
fn without_keys(app: &config::App) -> config::App {
    config::App {
        app: app.app.clone(),
        provider: app.provider.clone(),
        generation: app.generation.clone(),
        environment: app.environment.clone(),
        team_id: app.team_id.clone(),
        project: app.project.clone(),
        ..config::App::default()
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}
