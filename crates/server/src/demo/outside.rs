//! The edge of the demo, for phones outside. Its listeners have the ports that the inside has, at another address of loopback: so the
//! server's name leads inside to the one and outside to the other.

use super::report::Side;
use crate::{
    app::{Bound, Options},
    config::{Addresses, Config, Words},
    dev::ADMIN_TOKEN,
    edge_role::EdgeRole,
    entropy, pairs,
};
use anyhow::{Context, Result, ensure};
use domain::Behaviour;
use lab::cloud::Ca;
use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Where the edge listens.
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Ports that systems give to nobody who asks for any. Only another demo could take one between our look and our use of it, if it looks
/// at the same one at the same moment: each begins at a place of its own.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// Ports that are looked at, one after the other, for one that is free at both addresses.
const LOOKS: u16 = 200;

/// How long the inside may take to dial the edge.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// See the module.
pub(super) struct Outside {
    edge: EdgeRole,
    _data: TempDir,
}

/// Where phones find the server on one side, in TLS; the device API at a URL. Operators find health and metrics of who serves there.
pub(super) struct Doors {
    pub(super) sip: SocketAddr,
    pub(super) xmpp: SocketAddr,
    pub(super) websocket: SocketAddr,
    pub(super) health: SocketAddr,
    pub(super) device_api: String,
}

impl Doors {
    /// Inside, the device API stands beside the admin API.
    pub(super) fn of(bound: &Bound, side: Side) -> Result<Self> {
        let first = |addresses: &[SocketAddr], key: &str| {
            let address = addresses.first().copied();
            address.with_context(|| format!("the demo needs listen.{key} {}", side.name()))
        };
        Ok(Self {
            sip: first(&bound.sip.tls, "sip_tls")?,
            xmpp: first(&bound.sip.xmpp_tls, "xmpp_tls")?,
            websocket: first(&bound.sip.xmpp_wss, "xmpp_wss")?,
            health: first(&bound.health, "health")?,
            device_api: match side {
                Side::Inside => format!("http://{}", first(&bound.admin, "admin")?),
                Side::Outside => format!("https://{}", first(&bound.device_tls, "device_tls")?),
            },
        })
    }
}

impl Outside {
    /// Starts an edge for an inside with this configuration, which is changed to dial it and to listen where it does.
    pub(super) async fn start(config: &mut Config, ca: &Ca) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("reveille-dev-").tempdir();
        let data = data.context("a temporary directory")?;
        if config.server.data_dir.as_os_str().is_empty() {
            config.server.data_dir = data.path().join("inside");
        }
        let at = data.path().join("edge");
        let [inside, outside] = [key(&config.server.data_dir)?, key(&at)?];
        let certificate = ca.issue(&["localhost", &OUTSIDE.to_string()])?;
        let (chain, secret) = (certificate.chain_pem, certificate.key_pem);
        let options = Options {
            config: of_edge(config, &at, &inside)?,
            behaviour: Behaviour::default(),
            apps: Vec::new(),
            route: ca.root_store().into(),
            tls: Some(net::TlsSource::from_pem(
                chain.as_bytes(),
                secret.as_bytes(),
            )?),
            client_tls: None,
            admin_token: ADMIN_TOKEN.to_owned(),
            origin: None,
            users: Vec::new(),
            tenants: Vec::new(),
        };
        let edge = EdgeRole::start(options).await?;
        config.edge.edges = Words::of(&[&format!("{}#{outside}", edge.tunnel())]);
        Ok(Self { edge, _data: data })
    }

    /// Returns when the inside has dialled it.
    pub(super) async fn is_reached(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.edge.is_reached() {
            ensure!(Instant::now() < deadline, "the inside reaches no edge");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    pub(super) fn doors(&self) -> Result<Doors> {
        Doors::of(self.edge.bound(), Side::Outside)
    }

    pub(super) async fn shutdown(self) {
        self.edge.shutdown().await;
    }
}

/// The key of the tunnel that is kept there; made if there is none.
fn key(at: &Path) -> Result<String> {
    std::fs::create_dir_all(at).with_context(|| format!("cannot create {}", at.display()))?;
    Ok(pairs::identity(at)?.fingerprint().to_string())
}

/// What the edge is told: the ports of the inside are its own.
fn of_edge(inside: &mut Config, at: &Path, key: &str) -> Result<Config> {
    let mut config = Config::default();
    config.server.roles = Words::of(&["edge"]);
    config.server.domains = inside.server.domains.clone();
    config.server.node.clone_from(&inside.server.node);
    at.clone_into(&mut config.server.data_dir);
    config.limits = inside.limits.clone();
    config.edge.insides = Words::of(&[key]);
    let (ours, theirs) = (&mut config.listen, &mut inside.listen);
    // All are held until the last is found, so that no two are the same.
    let mut held = Vec::new();
    for (ours, theirs) in [
        (&mut ours.sip_tls, &mut theirs.sip_tls),
        (&mut ours.xmpp_tls, &mut theirs.xmpp_tls),
        (&mut ours.xmpp_wss, &mut theirs.xmpp_wss),
    ] {
        let first = theirs.0.first_mut();
        let first = first.context("the demo needs a listener in TLS for every protocol")?;
        if first.port() == 0 {
            let free = free(first.ip())?;
            first.set_port(free[0].local_addr()?.port());
            held.extend(free);
        }
        ours.0 = vec![SocketAddr::new(OUTSIDE, first.port())];
    }
    (ours.sip_udp, ours.sip_tcp) = (Addresses::of(&[]), Addresses::of(&[]));
    for addresses in [&mut ours.device_tls, &mut ours.tunnel] {
        addresses.0 = vec![SocketAddr::new(OUTSIDE, 0)];
    }
    ours.admin = Addresses::of(&["127.0.0.1:0"]);
    ours.health = Addresses::of(&["127.0.0.1:0"]);
    Ok(config)
}

/// Holds a port at both addresses.
fn free(inside: IpAddr) -> Result<[TcpListener; 2]> {
    let any = usize::from_ne_bytes(entropy::random());
    let ports = PORTS.cycle().skip(any % PORTS.len());
    for port in ports.take(LOOKS.into()) {
        let both = [inside, OUTSIDE].map(|ip| TcpListener::bind((ip, port)));
        match both {
            [Ok(inside), Ok(outside)] => return Ok([inside, outside]),
            [_, Err(error)] if error.kind() == ErrorKind::AddrNotAvailable => {
                return Err(error).with_context(|| {
                    format!("the demo's edge needs a second address on loopback, {OUTSIDE} (macOS: sudo ifconfig lo0 alias {OUTSIDE})")
                });
            }
            _ => {}
        }
    }
    anyhow::bail!("no port of {LOOKS} is free at {inside} and {OUTSIDE}")
}
