//! The server that is measured: configured by a file, filled through its admin API, as an operator would.

use crate::{
    certificate,
    http::{Client, is_ok},
    load::{DOMAIN, PASSWORD},
    process::{Cores, Server},
    sink,
};
use anyhow::{Context, Result, bail};
use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Connections over which users are added: each waits for its own commit.
const ADDING: usize = 64;
/// All clients come from one address here.
const CONNECTIONS: u32 = 100_000;
/// Open files of a server that is attacked: soft and hard limit (`prlimit`). Many systems give more.
const FILES: &str = "1024:4096";
/// Start-up of a server with all of its store to read.
const START: Duration = Duration::from_mins(10);

/// Where state is kept.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Store {
    /// Nowhere.
    Memory,
    /// On disk, before anything is acknowledged.
    Sqlite,
}

impl Store {
    /// As rows call it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Memory => "Reveille, memory",
            Self::Sqlite => "Reveille, SQLite",
        }
    }
}

/// A server, its configuration and its data; both go when it is dropped.
pub(crate) struct Reveille {
    server: Option<Server>,
    folder: TempDir,
    binary: PathBuf,
    sip: SocketAddrV4,
    admin: SocketAddr,
    health: SocketAddr,
    xmpp: Option<Xmpp>,
    /// Where strangers find the doors that rows do not use, if they are open.
    doors: Option<Doors>,
    /// SIP over TLS, for phones that come by an edge elsewhere.
    straight: Option<Straight>,
    cores: Cores,
}

/// See above.
#[derive(Copy, Clone)]
pub(crate) struct Doors {
    /// SIP over TLS.
    pub(crate) sip_tls: SocketAddr,
    /// XMPP that begins in the clear.
    pub(crate) xmpp_tcp: SocketAddr,
}

/// Where clients of XMPP find it, and how they trust it.
struct Xmpp {
    at: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
}

/// Where phones find it in TLS, and how they trust it.
pub(crate) type Straight = (SocketAddr, Arc<rustls::ClientConfig>);

/// What rows set.
pub(crate) struct Setup<'s> {
    /// Where state is kept.
    pub(crate) store: Store,
    /// Where it runs.
    pub(crate) cores: Cores,
    /// `server.shards`, where the server knows it.
    pub(crate) shards: Option<u32>,
    /// Where it pushes; nowhere for rows that wake nobody.
    pub(crate) push: Option<SocketAddr>,
    /// Whether it serves XMPP, over TLS.
    pub(crate) xmpp: bool,
    /// Nobody is trusted, connections are taken, and limits are those of the product, with as few files as some systems give: for
    /// attacks. To be with XMPP, whose certificate is that of SIP as well.
    pub(crate) open: bool,
    /// The edge that it dials, as `edge.edges` names it. Then it has SIP over TLS of its own, too, and nobody is trusted.
    pub(crate) edge: Option<String>,
    /// The folder to use; its files of the sink are named by the configuration.
    pub(crate) folder: TempDir,
    /// The binary.
    pub(crate) binary: &'s Path,
}

impl Reveille {
    /// Starts a server with an empty store, and waits until it is ready.
    pub(crate) fn start(setup: Setup<'_>) -> Result<Self> {
        let (sip, admin, health) = (free_udp()?, free_tcp()?, free_tcp()?);
        let xmpp = if setup.xmpp {
            Some(Xmpp {
                at: free_tcp()?,
                tls: certificate::put_into(setup.folder.path())?,
            })
        } else {
            None
        };
        let doors = setup.open.then(|| -> Result<_> {
            Ok(Doors {
                sip_tls: free_tcp()?,
                xmpp_tcp: free_tcp()?,
            })
        });
        let doors = doors.transpose()?;
        let straight = setup.edge.as_ref().map(|_| -> Result<_> {
            Ok((free_tcp()?, certificate::put_into(setup.folder.path())?))
        });
        let straight = straight.transpose()?;
        let mut reveille = Self {
            server: None,
            straight,
            xmpp,
            doors,
            binary: setup.binary.to_owned(),
            sip,
            admin,
            health,
            cores: setup.cores,
            folder: setup.folder,
        };
        let config = reveille.config(setup.store, setup.shards, setup.push)?;
        let config = match doors {
            Some(doors) => opened(&config, reveille.sip, doors),
            None => config,
        };
        let config = match setup.edge {
            Some(edge) => reveille.inside(&config, &edge)?,
            None => config,
        };
        std::fs::write(reveille.folder.path().join("reveille.toml"), config)?;
        reveille.restart()?;
        Ok(reveille)
    }

    fn config(
        &self,
        store: Store,
        shards: Option<u32>,
        push: Option<SocketAddr>,
    ) -> Result<String> {
        let folder = self.folder.path().display();
        let url = match store {
            Store::Memory => "memory:".to_owned(),
            Store::Sqlite => format!("sqlite:{folder}/reveille.db"),
        };
        let xmpp = self.xmpp.as_ref().map_or_else(String::new, |xmpp| {
            format!(
                "xmpp_tls = [\"{}\"]\n[tls]\ncertificate = \"{folder}/{}\"\nkey = \"{folder}/{}\"\n",
                xmpp.at,
                certificate::CERTIFICATE,
                certificate::KEY
            )
        });
        let mut config = format!(
            "[server]\ndomains = [\"{DOMAIN}\"]\ndata_dir = \"{folder}\"\n\
             {}\
             [listen]\nsip_udp = [\"{}\"]\nsip_tcp = []\nadmin = [\"{}\"]\nhealth = [\"{}\"]\n\
             {xmpp}\
             [store]\nurl = \"{url}\"\n\
             [call]\ntrusted = [\"127.0.0.0/8\"]\n\
             [limits]\nconnections_per_peer = {CONNECTIONS}\ncalls_per_callee = 1000000\ncalls_per_callee_minute = 100000000\n\
             calls_per_trusted = 1000000\ncalls_per_trusted_minute = 100000000\nstanzas_per_user_minute = 100000000\n\
             [observe]\nlog = \"warn\"\n",
            shards.map_or_else(String::new, |shards| format!("shards = {shards}\n")),
            self.sip,
            self.admin,
            self.health
        );
        // Contacts name an app, so there is one, though nothing may ever be pushed.
        let (endpoint, ca) = match push {
            Some(at) => (at.to_string(), sink::CA_FILE),
            None => ("127.0.0.1:9".to_owned(), ""),
        };
        if ca.is_empty() {
            let key = rcgen::KeyPair::generate()?;
            std::fs::write(self.folder.path().join(sink::KEY_FILE), key.serialize_pem())?;
        } else {
            write!(config, "[push]\nca = \"{folder}/{ca}\"\n")?;
        }
        write!(
            config,
            "[[push.app]]\napp = \"com.example.phone\"\nprovider = \"apns\"\nteam_id = \"TEAM123456\"\n\
             key_id = \"BENCHKEY01\"\nkey_file = \"{folder}/{}\"\nendpoint = \"{endpoint}\"\n",
            sink::KEY_FILE
        )?;
        Ok(config)
    }

    /// The configuration of an inside.
    fn inside(&self, config: &str, edge: &str) -> Result<String> {
        let (at, _) = self.straight()?;
        let folder = self.folder.path().display();
        let config = config
            .replace("trusted = [\"127.0.0.0/8\"]", "trusted = []")
            .replace(
                "[limits]\n",
                "[limits]\ncalls_per_caller = 1000000\ncalls_per_caller_minute = 100000000\n",
            )
            .replace(
                "sip_tcp = []",
                &format!("sip_tcp = []\nsip_tls = [\"{at}\"]"),
            );
        Ok(format!(
            "{config}[tls]\ncertificate = \"{folder}/{}\"\nkey = \"{folder}/{}\"\n[edge]\nedges = [\"{edge}\"]\n",
            certificate::CERTIFICATE,
            certificate::KEY
        ))
    }

    /// Where phones find it that come by no edge.
    pub(crate) fn straight(&self) -> Result<Straight> {
        self.straight
            .clone()
            .context("it has SIP over TLS of its own")
    }

    /// Starts it, again if it ran; says how long it took from the start of the process until it was ready.
    pub(crate) fn restart(&mut self) -> Result<Duration> {
        if let Some(running) = self.server.take() {
            running.stop()?;
        }
        let mut command = Command::new(&self.binary);
        if self.doors.is_some() {
            command = Command::new("prlimit");
            command.arg(format!("--nofile={FILES}")).arg(&self.binary);
        }
        let config = self.folder.path().join("reveille.toml");
        command.arg("serve").arg("--config").arg(config);
        let started = Instant::now();
        let words = self.folder.path().join("reveille.log");
        let mut server = Server::start(&command, self.cores, &words)?;
        let health = self.health;
        server.wait_until(START, || is_ok(health, "/readyz"))?;
        self.server = Some(server);
        Ok(started.elapsed())
    }

    /// Where it listens for SIP.
    pub(crate) fn sip(&self) -> SocketAddrV4 {
        self.sip
    }

    /// Where its data are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where strangers find its other doors.
    pub(crate) fn doors(&self) -> Result<Doors> {
        self.doors.context("it is open to strangers")
    }

    /// Where its APIs are.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Where its metrics are.
    pub(crate) fn health(&self) -> SocketAddr {
        self.health
    }

    /// All that it said.
    pub(crate) fn log(&self) -> Result<String> {
        let log = std::fs::read(self.folder.path().join("reveille.log"))?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.server.as_ref().context("the server runs")?.pid())
    }

    /// Where it listens for XMPP over TLS, how to trust it, and its process.
    pub(crate) fn reach(&self) -> Result<(SocketAddr, Arc<rustls::ClientConfig>, u32)> {
        let xmpp = self.xmpp.as_ref().context("it serves XMPP")?;
        Ok((xmpp.at, xmpp.tls.clone(), self.pid()?))
    }

    /// What it said: nothing, if all went well.
    pub(crate) fn words(&self) -> String {
        self.server.as_ref().map(Server::words).unwrap_or_default()
    }

    /// Bytes of its database.
    pub(crate) fn database(&self) -> u64 {
        let bytes =
            |name| std::fs::metadata(self.folder.path().join(name)).map_or(0, |file| file.len());
        bytes("reveille.db") + bytes("reveille.db-wal")
    }

    /// Adds the users `u0` and up.
    pub(crate) fn add_users(&self, users: u32) -> Result<()> {
        let token = self.admin_token()?;
        let body = format!("{{\"password\":\"{PASSWORD}\",\"new\":true}}");
        self.for_each_user(users, |client, user| {
            let path = format!("/api/v1/users/u{user}@{DOMAIN}");
            expect(client, "PUT", &path, &token, &body).map(drop)
        })
    }

    /// Has the phone of each user say, by the device API, that it sleeps.
    pub(crate) fn put_to_sleep(&self, users: u32) -> Result<()> {
        self.for_each_user(users, |client, user| {
            let grant = format!(
                "{{\"grant_type\":\"password\",\"username\":\"u{user}@{DOMAIN}\",\"password\":\"{PASSWORD}\"}}"
            );
            let answer = expect(client, "POST", "/oauth/token", "", &grant)?;
            let token: serde_json::Value = serde_json::from_slice(&answer)?;
            let token = token["access_token"].as_str().context("no access token")?;
            let path =
                format!("/api/v1/me/devices/urn:uuid:00000000-0000-4000-8000-{user:012x}/mode");
            expect(client, "POST", &path, token, "{\"mode\":\"suspended\"}").map(drop)
        })
    }

    /// Asks its APIs, and wants it done.
    pub(crate) fn asked(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &str,
    ) -> Result<Vec<u8>> {
        expect(&mut Client::connect(self.admin)?, method, path, token, body)
    }

    pub(crate) fn admin_token(&self) -> Result<String> {
        let file = self.folder.path().join("admin.token");
        let token = std::fs::read_to_string(file).context("the admin token")?;
        Ok(token.trim().to_owned())
    }

    /// Does something for each user, many at once.
    fn for_each_user(
        &self,
        users: u32,
        act: impl Fn(&mut Client, u32) -> Result<()> + Sync,
    ) -> Result<()> {
        let next = AtomicU32::new(0);
        let work = || -> Result<()> {
            let mut client = Client::connect(self.admin)?;
            loop {
                let user = next.fetch_add(1, Ordering::Relaxed);
                if user >= users {
                    return Ok(());
                }
                act(&mut client, user)?;
            }
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..ADDING).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| {
                let worked = worker.join();
                worked.unwrap_or_else(|_| bail!("a worker that adds users panicked"))
            })
        })
    }
}

/// The configuration of a server that is attacked.
fn opened(config: &str, sip: SocketAddrV4, doors: Doors) -> String {
    let limits = config.find("[limits]").unwrap_or(config.len());
    let observe = config.find("[observe]").unwrap_or(config.len());
    let config = [&config[..limits], &config[observe..]].concat();
    let config = config.replace("trusted = [\"127.0.0.0/8\"]", "trusted = []");
    let Doors { sip_tls, xmpp_tcp } = doors;
    let tcp =
        format!("sip_tcp = [\"{sip}\"]\nsip_tls = [\"{sip_tls}\"]\nxmpp_tcp = [\"{xmpp_tcp}\"]");
    config.replace("sip_tcp = []", &tcp)
}

impl Drop for Reveille {
    /// Ended before its data go, or it would write into what is being removed.
    fn drop(&mut self) {
        self.server = None;
    }
}

fn expect(
    client: &mut Client,
    method: &str,
    path: &str,
    token: &str,
    body: &str,
) -> Result<Vec<u8>> {
    let answer = client.ask(method, path, token, body)?;
    if !(200..300).contains(&answer.status) {
        let said = String::from_utf8_lossy(&answer.body);
        bail!("{method} {path} was answered {}: {said}", answer.status);
    }
    Ok(answer.body)
}

/// An address of loopback whose UDP port nobody uses.
pub(crate) fn free_udp() -> Result<SocketAddrV4> {
    let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, address.port()))
}

/// An address of loopback whose port nobody uses, be it UDP's or TCP's.
pub(crate) fn free_both() -> Result<SocketAddrV4> {
    const TRIES: u32 = 100;
    for _ in 0..TRIES {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, tcp.local_addr()?.port());
        if UdpSocket::bind(at).is_ok() {
            return Ok(at);
        }
    }
    bail!("no port of loopback is free for UDP and TCP")
}

/// An address of loopback whose TCP port nobody uses.
pub(crate) fn free_tcp() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
