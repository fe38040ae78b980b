//! `serve --dev` and the demo: the whole system on loopback, with known users and the simulated clouds in the same
//! process.

use crate::{
    app::{Options, Server},
    beside::Beside,
    config::{Addresses, Config, Words},
    lab_keys,
    pushd::tenants::client_secret,
    setup,
};
use anyhow::{Context, Result, ensure};
use domain::{AppId, AppProfile, Behaviour, Generation, Platform, Provider, Tenant};
use lab::cloud::{Ca, CloudConfig, Clouds, DevCredentials};
use std::{net::SocketAddr, path::PathBuf};

/// The users of the contract.
pub const USERS: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
/// Their password.
pub const PASSWORD: &str = "wakeup";
/// The push service's tenant, whose secret is that as well.
pub const TENANT: &str = "dev";
/// What the command line shows to the admin API of a development server.
pub const ADMIN_TOKEN: &str = "wakeup";

/// The configuration of `--dev`, before the environment.
pub fn defaults() -> Config {
    let mut config = Config::default();
    config.server.domains = Words::of(&["localhost"]);
    config.server.data_dir = PathBuf::new();
    // Whoever tries it out wants to see what happens.
    "info,stories=debug".clone_into(&mut config.observe.log);
    config.listen.sip_udp = Addresses::of(&["127.0.0.1:5060", "[::1]:5060"]);
    config.listen.sip_tcp = Addresses::of(&["127.0.0.1:5060", "[::1]:5060"]);
    config.listen.sip_tls = Addresses::of(&["127.0.0.1:5061", "[::1]:5061"]);
    config.listen.xmpp_tcp = Addresses::of(&["127.0.0.1:5222", "[::1]:5222"]);
    config.listen.xmpp_tls = Addresses::of(&["127.0.0.1:5223", "[::1]:5223"]);
    config.listen.xmpp_ws = Addresses::of(&["127.0.0.1:5280"]);
    config.listen.xmpp_wss = Addresses::of(&["127.0.0.1:5281"]);
    config
}

/// The same on ports that the system chooses.
pub fn on_free_ports() -> Config {
    let mut config = defaults();
    let listen = &mut config.listen;
    for addresses in [
        &mut listen.sip_udp,
        &mut listen.sip_tcp,
        &mut listen.sip_tls,
        &mut listen.xmpp_tcp,
        &mut listen.xmpp_tls,
        &mut listen.xmpp_ws,
        &mut listen.xmpp_wss,
        &mut listen.component,
        &mut listen.admin,
        &mut listen.health,
        &mut listen.push,
        &mut listen.apns,
        &mut listen.fcm,
        &mut listen.webpush,
        &mut listen.lab,
    ] {
        *addresses = Addresses::of(&["127.0.0.1:0"]);
    }
    config
}

/// A running development server.
pub struct Dev {
    /// The server.
    pub server: Server,
    /// The clouds.
    pub clouds: Clouds,
    /// Who vouches for its certificates.
    pub ca: Ca,
    /// The push service, if it is a process of its own.
    pub beside: Option<Beside>,
    data_dir: PathBuf,
    /// Its data, if they go with it.
    _data: Option<tempfile::TempDir>,
}

impl Dev {
    /// Starts the clouds and the server.
    pub async fn start(config: Config, behaviour: Behaviour) -> Result<Self> {
        // Where the data are kept, the keys are.
        let (ca, credentials) = match &config.server.data_dir {
            nowhere if nowhere.as_os_str().is_empty() => (Ca::new()?, DevCredentials::new()),
            data => lab_keys::kept(&data.join("lab"))?,
        };
        Self::start_with(
            config,
            behaviour,
            ca,
            credentials,
            USERS.map(str::to_owned).to_vec(),
            None,
        )
        .await
    }

    /// Starts with these users; with the push service as a process of its own, if this binary of ours is to be it.
    pub async fn start_with(
        mut config: Config,
        behaviour: Behaviour,
        ca: Ca,
        credentials: DevCredentials,
        users: Vec<String>,
        beside: Option<PathBuf>,
    ) -> Result<Self> {
        only_loopback(&config)?;
        let data = data_folder(&mut config)?;
        let data_dir = config.server.data_dir.clone();
        let (clouds, mut apps) = clouds(&config, &ca, &credentials).await?;
        let mut started = None;
        if let Some(binary) = beside {
            let folder = data_dir.join("push-service");
            let (service, through) = Beside::start(&binary, &folder, &apps, &ca).await?;
            apps = setup::apps(&through)?;
            (started, config.push) = (Some(service), through);
        }
        let domains: Vec<&str> = config.server.domains.0.iter().map(String::as_str).collect();
        let certificate = ca.issue(&domains)?;
        let tls = net::TlsSource::from_pem(
            certificate.chain_pem.as_bytes(),
            certificate.key_pem.as_bytes(),
        )?;
        let apps_of_tenant: Vec<AppId> = apps.iter().map(|it| it.profile.app.clone()).collect();
        let options = Options {
            behaviour,
            apps,
            route: ca.root_store().into(),
            tls: Some(tls),
            client_tls: Some(net::client_config(ca.ca_pem().as_bytes())?),
            admin_token: ADMIN_TOKEN.to_owned(),
            origin: None,
            tenants: vec![tenant(&apps_of_tenant)],
            users: users
                .into_iter()
                .map(|user| (user, PASSWORD.to_owned()))
                .collect(),
            config,
        };
        let server = Server::start(options).await?;
        Ok(Self {
            server,
            clouds,
            ca,
            beside: started,
            data_dir,
            _data: data,
        })
    }

    /// The certificate of the development CA in a file, for clients that want one.
    pub fn ca_file(&self) -> Result<PathBuf> {
        let path = self.data_dir.join("ca.pem");
        std::fs::write(&path, self.ca.ca_pem())
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Stops the server, then what it pushes by, then the clouds.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
        if let Some(service) = self.beside
            && let Err(error) = service.shutdown().await
        {
            tracing::error!(%error, "the push service beside us ended badly");
        }
        self.clouds.shutdown().await;
    }
}

/// Where the data go; made if it is not there, and for us alone if nobody names one.
fn data_folder(config: &mut Config) -> Result<Option<tempfile::TempDir>> {
    let folder = &mut config.server.data_dir;
    if folder.as_os_str().is_empty() {
        let data = tempfile::Builder::new()
            .prefix("reveille-dev-")
            .tempdir()
            .context("a temporary directory")?;
        data.path().clone_into(folder);
        return Ok(Some(data));
    }
    std::fs::create_dir_all(&*folder)
        .with_context(|| format!("server.data_dir: cannot create {}", folder.display()))?;
    Ok(None)
}

/// The simulated clouds, and the apps that they know.
async fn clouds(
    config: &Config,
    ca: &Ca,
    credentials: &DevCredentials,
) -> Result<(Clouds, Vec<push::App>)> {
    let mut cloud = CloudConfig::dev(ca, credentials);
    for (address, configured) in [
        (&mut cloud.apns, &config.listen.apns),
        (&mut cloud.fcm, &config.listen.fcm),
        (&mut cloud.webpush, &config.listen.webpush),
        (&mut cloud.control, &config.listen.lab),
    ] {
        *address = *configured
            .0
            .first()
            .context("--dev needs listen.apns, listen.fcm, listen.webpush and listen.lab")?;
    }
    let profiles = cloud.clone();
    let clouds = Clouds::start(cloud).await?;
    let apps = apps(&profiles, &clouds, credentials)?;
    Ok((clouds, apps))
}

/// The push service's tenant of the contract, which may push to all apps.
fn tenant(apps: &[AppId]) -> Tenant {
    Tenant {
        id: TENANT.into(),
        secrets: vec![client_secret(PASSWORD)],
        apps: apps.to_vec(),
        per_minute: 60_000,
        webhook: None,
    }
}

/// A development server has passwords that everybody knows.
fn only_loopback(config: &Config) -> Result<()> {
    let listen = &config.listen;
    let all = [
        ("sip_udp", &listen.sip_udp),
        ("sip_tcp", &listen.sip_tcp),
        ("sip_tls", &listen.sip_tls),
        ("xmpp_tcp", &listen.xmpp_tcp),
        ("xmpp_tls", &listen.xmpp_tls),
        ("xmpp_ws", &listen.xmpp_ws),
        ("xmpp_wss", &listen.xmpp_wss),
        ("component", &listen.component),
        ("admin", &listen.admin),
        ("health", &listen.health),
        ("device", &listen.device),
        ("device_tls", &listen.device_tls),
        ("push", &listen.push),
        ("push_tls", &listen.push_tls),
        ("apns", &listen.apns),
        ("fcm", &listen.fcm),
        ("webpush", &listen.webpush),
        ("lab", &listen.lab),
    ];
    for (key, addresses) in all {
        for address in &addresses.0 {
            ensure!(
                address.ip().is_loopback(),
                "listen.{key}: --dev has passwords that everybody knows and never listens beyond loopback, so not at {address}: use `reveille init DIR` and serve --config"
            );
        }
    }
    Ok(())
}

/// Push apps for everything that the simulated clouds know.
fn apps(
    profiles: &CloudConfig,
    clouds: &Clouds,
    credentials: &DevCredentials,
) -> Result<Vec<push::App>> {
    let addresses = clouds.addresses();
    let endpoint = |address: SocketAddr| push::Endpoint {
        host: "localhost".to_owned(),
        port: address.port(),
    };
    let mut apps = Vec::new();
    for team in &profiles.apns_teams {
        for app in &team.apps {
            apps.push(push::App {
                profile: AppProfile {
                    app: AppId::from(app.bundle.as_str()),
                    platform: Platform::Ios,
                    provider: Provider::Apns,
                    generation: app.generation,
                },
                credentials: push::Credentials::Apns {
                    team_id: team.team.clone(),
                    key_id: credentials.apns_key_id().to_owned(),
                    key_pem: credentials.apns_key_pem().to_owned(),
                },
                environment: push::Environment::Production,
                endpoint: Some(endpoint(addresses.apns)),
            });
        }
    }
    let token_uri = format!("https://localhost:{}/token", addresses.fcm.port());
    for project in &profiles.fcm_projects {
        let account = credentials.fcm_service_account(&project.project, &token_uri);
        for package in &project.packages {
            apps.push(push::App {
                profile: AppProfile {
                    app: AppId::from(package.as_str()),
                    platform: Platform::Android,
                    provider: Provider::Fcm,
                    generation: Generation::DualChannel,
                },
                credentials: push::Credentials::from_service_account(&account)?,
                environment: push::Environment::Production,
                endpoint: Some(endpoint(addresses.fcm)),
            });
        }
    }
    for app in &profiles.webpush_apps {
        apps.push(push::App {
            profile: AppProfile {
                app: AppId::from(app.app.as_str()),
                platform: Platform::Web,
                provider: Provider::WebPush,
                generation: Generation::DualChannel,
            },
            credentials: push::Credentials::WebPush {
                key_pem: credentials.vapid_key_pem().to_owned(),
                contact: "mailto:lab@localhost".to_owned(),
                hosts: vec![endpoint(addresses.webpush).to_string()],
            },
            environment: push::Environment::Production,
            endpoint: None,
        });
    }
    Ok(apps)
}
