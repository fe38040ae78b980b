//! The handle to all sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use sip::endpoint::{Flow, Transmit, Transport};
use tokio::net::TcpListener;

use crate::local::{Routes, unspecified};
use crate::shards::{Shards, Steer};
use crate::shared::Shared;
use crate::udp::Udp;
use crate::{BindError, Config, Events, Stats, bind, connect, datagrams, listen};

/// The sockets of one process, or of one simulated phone. A cheap handle: clones speak of the same sockets, which stay
/// open until [`Net::shutdown`], or until [`Events`] is dropped.
#[derive(Clone)]
pub struct Net {
    shared: Arc<Shared>,
    addresses: Arc<Addresses>,
    routes: Arc<Routes>,
    /// Whose UDP sockets datagrams leave from.
    shard: usize,
}

/// The bound addresses, in the order of the configuration, with the ports that the system chose where it asked for 0.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// SIP over UDP.
    pub udp: Vec<SocketAddr>,
    /// SIP over TCP.
    pub tcp: Vec<SocketAddr>,
    /// SIP over TLS.
    pub tls: Vec<SocketAddr>,
}

impl Net {
    /// Opens every address of `config`, or none, for one shard.
    ///
    /// # Errors
    /// An address cannot be listened on.
    pub async fn bind(config: Config) -> Result<(Self, Events), BindError> {
        let (net, mut events) = Self::bind_sharded(config, 1, Arc::new(|_, _| 0)).await?;
        Ok((net, events.remove(0)))
    }

    /// Opens every address of `config`, or none, for so many shards (at least one): `steer` says whose each message
    /// is, and each shard has its own events and its own socket for every UDP address. The handle is that of the first
    /// one; [`Net::for_shard`] makes those of the others.
    ///
    /// # Errors
    /// An address cannot be listened on.
    #[expect(
        clippy::unused_async,
        reason = "needs a runtime, and says so; binding may yet resolve names"
    )]
    pub async fn bind_sharded(
        config: Config,
        shards: usize,
        steer: Steer,
    ) -> Result<(Self, Vec<Events>), BindError> {
        let Config {
            udp,
            tcp,
            tls,
            server_tls,
            client_tls,
            limits,
        } = config;
        if let (Some(&address), None) = (tls.first(), &server_tls) {
            return Err(BindError::NoCertificate { address });
        }
        let (shards, receivers) = Shards::new(shards, limits.events, steer);
        let udp = bind_udp(&udp, receivers.len())?;
        let tcp = bind_tcp(Transport::Tcp, &tcp)?;
        let tls = bind_tcp(Transport::Tls, &tls)?;
        let addresses = Addresses {
            udp: udp[0].iter().map(|udp| udp.local).collect(),
            tcp: tcp.iter().map(|(local, _)| *local).collect(),
            tls: tls.iter().map(|(local, _)| *local).collect(),
        };
        let shared = Arc::new(Shared::new(limits, client_tls, udp, shards));
        spawn_udp(&shared);
        let listeners = tcp.into_iter().map(|(_, listener)| (listener, None));
        let secure = tls
            .into_iter()
            .map(|(_, listener)| (listener, server_tls.clone()));
        for (listener, tls) in listeners.chain(secure) {
            shared
                .tasks
                .spawn(listen::run(shared.clone(), listener, tls));
        }
        let events = receivers
            .into_iter()
            .enumerate()
            .map(|(shard, receiver)| Events::new(receiver, shard, shared.clone()))
            .collect();
        let net = Self {
            shared,
            addresses: Arc::new(addresses),
            routes: Arc::default(),
            shard: 0,
        };
        Ok((net, events))
    }

    /// The handle of a shard: its datagrams leave from its own sockets, in its own batches.
    #[must_use]
    pub fn for_shard(&self, shard: usize) -> Self {
        Self {
            shard: shard % self.shared.udp.len(),
            ..self.clone()
        }
    }

    /// Where we listen.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Sends over a flow and never blocks. A datagram waits for [`Net::flush`]; a connection's bytes are queued for it.
    /// A connection whose queue is full is closed, and a flow that is gone says [`crate::Event::Closed`].
    pub fn send(&self, transmit: Transmit) {
        self.shared.send(self.shard, transmit.flow, transmit.bytes);
    }

    /// Sends the datagrams queued in this turn. [`Events::recv`] does so too, before it waits.
    pub fn flush(&self) {
        self.shared.flush(self.shard);
    }

    /// Is this an address of this machine? It is answered from a list that is read now and then.
    pub fn is_local_ip(&self, ip: std::net::IpAddr) -> bool {
        self.shared.local_ips.contains(ip)
    }

    /// The list behind [`Net::is_local_ip`], to be kept.
    pub fn local_ips(&self) -> crate::LocalIps {
        self.shared.local_ips.clone()
    }

    /// A flow to `remote`. Over TCP and TLS it is the outgoing connection that there is, or a new one: it opens in the
    /// background, what is sent meanwhile is queued, and if it cannot be opened, [`crate::Event::Closed`] says so. A TLS
    /// peer must have a certificate for its IP address; [`Net::connect_named`] verifies a name.
    pub fn connect(&self, transport: Transport, remote: SocketAddr) -> Flow {
        self.open(transport, remote, None)
    }

    /// Like [`Net::connect`], with the host name that a TLS peer's certificate must have (RFC 5922 §4).
    pub fn connect_named(&self, transport: Transport, remote: SocketAddr, name: &str) -> Flow {
        self.open(transport, remote, Some(name))
    }

    fn open(&self, transport: Transport, remote: SocketAddr, name: Option<&str>) -> Flow {
        if transport.is_reliable() {
            return connect::connect(&self.shared, transport, remote, name);
        }
        Flow {
            transport,
            local: self.source_for(remote),
            remote,
            id: 0,
        }
    }

    /// The UDP socket that a datagram to `remote` should leave from: the one bound to the address that the system would
    /// use, else any of the family. With none of the family, sending will fail.
    fn source_for(&self, remote: SocketAddr) -> SocketAddr {
        let family = self
            .addresses
            .udp
            .iter()
            .filter(|local| local.is_ipv4() == remote.is_ipv4());
        let mut candidates: Vec<_> = family.copied().collect();
        if candidates.len() > 1
            && let Some(route) = self.routes.source(remote)
        {
            candidates.sort_by_key(|local| match local.ip() {
                ip if ip == route => 0,
                ip if ip.is_unspecified() => 1,
                _ => 2,
            });
        }
        candidates.first().copied().unwrap_or(unspecified(remote))
    }

    /// Closes a connection after what is queued for it. [`crate::Event::Closed`] follows. Nothing to do for UDP.
    pub fn close(&self, flow: Flow) {
        self.shared.table().remove(flow);
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        let open = self.shared.table().open();
        self.shared.counters.snapshot(open)
    }

    /// Sends what is queued, closes every socket, and returns when no task is left.
    pub async fn shutdown(&self) {
        for shard in 0..self.shared.udp.len() {
            self.shared.flush(shard);
        }
        self.shared.stop.cancel();
        self.shared.table().shut();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

/// The sockets of each shard, in the order of the addresses. Every shard's sockets have the same addresses.
fn bind_udp(addresses: &[SocketAddr], shards: usize) -> Result<Vec<Vec<Udp>>, BindError> {
    let mut sockets: Vec<Vec<Udp>> = (0..shards).map(|_| Vec::new()).collect();
    for &address in addresses {
        for (socket, shard) in bind::udp(address, shards)?.into_iter().zip(&mut sockets) {
            let udp = Udp::new(socket).map_err(|source| BindError::Other {
                transport: Transport::Udp,
                address,
                source,
            })?;
            shard.push(udp);
        }
    }
    Ok(sockets)
}

fn bind_tcp(
    transport: Transport,
    addresses: &[SocketAddr],
) -> Result<Vec<(SocketAddr, TcpListener)>, BindError> {
    let open = |&address: &SocketAddr| {
        let listener = bind::tcp(transport, address)?;
        Ok((listener.local_addr().unwrap_or(address), listener))
    };
    addresses.iter().map(open).collect()
}

fn spawn_udp(shared: &Arc<Shared>) {
    for shard in 0..shared.udp.len() {
        for place in 0..shared.udp[shard].len() {
            let shared = shared.clone();
            shared
                .clone()
                .tasks
                .spawn(async move { datagrams::read(&shared.udp[shard][place], &shared).await });
        }
    }
}
