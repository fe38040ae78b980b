//! The handle to all sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use sip::endpoint::{Flow, Transmit, Transport};
use xmpp::StreamId;

use crate::listen::Listeners;
use crate::local::{Routes, unspecified};
use crate::serve::component::Component;
use crate::serve::sip::Sip;
use crate::serve::xmpp::{Begins, Xmpp};
use crate::shards::{Shards, Steer, Taker};
use crate::shared::Shared;
use crate::udp::Udp;
use crate::{
    BindError, Config, Document, Events, Handshakes, Stats, TlsSource, XmppConfig, bind, connect,
    datagrams,
};

/// The sockets of one process, or of one simulated phone. A cheap handle: clones speak of the same sockets, which stay
/// open until [`Net::shutdown`], or until [`Events`] is dropped.
#[derive(Clone)]
pub struct Net {
    pub(crate) shared: Arc<Shared>,
    /// How streams are greeted, if any are served.
    pub(crate) xmpp: Option<Arc<XmppConfig>>,
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
    /// XMPP over TCP.
    pub xmpp_tcp: Vec<SocketAddr>,
    /// XMPP over TLS from the start.
    pub xmpp_tls: Vec<SocketAddr>,
    /// XMPP over WebSocket, in the clear.
    pub xmpp_ws: Vec<SocketAddr>,
    /// XMPP over WebSocket, in TLS.
    pub xmpp_wss: Vec<SocketAddr>,
    /// Components of XMPP.
    pub components: Vec<SocketAddr>,
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
        let (shards, receivers) = Shards::new(shards, &config.limits, steer);
        let net = Self::open(config, (shards, receivers.len()))?;
        let events = receivers
            .into_iter()
            .enumerate()
            .map(|(shard, receiver)| Events::new(receiver, shard, net.shared.clone()))
            .collect();
        Ok((net, events))
    }

    /// Opens every address of `config`, or none, for whoever takes events in the tasks that bring them: nothing is read on before
    /// [`Net::take_by`] has said who does.
    ///
    /// # Errors
    /// An address cannot be listened on.
    #[expect(
        clippy::unused_async,
        reason = "needs a runtime, and says so; binding may yet resolve names"
    )]
    pub async fn bind_unqueued(config: Config) -> Result<Self, BindError> {
        let shards = Shards::unqueued(&config.limits);
        Self::open(config, (shards, 1))
    }

    /// Who takes events from now on, after [`Net::bind_unqueued`]. Said once.
    pub fn take_by(&self, taker: Taker) {
        self.shared.shards.take_by(taker);
    }

    /// Opens every address, or none, each for so many shards.
    fn open(config: Config, (shards, count): (Shards, usize)) -> Result<Self, BindError> {
        let Config {
            udp,
            tcp,
            tls,
            xmpp,
            components,
            server_tls,
            client_tls,
            doorman,
            limits,
        } = config;
        let in_xmpp = xmpp
            .iter()
            .flat_map(|xmpp| xmpp.tcp.iter().chain(&xmpp.tls).chain(&xmpp.websocket.wss));
        if let (Some(&address), None) = (tls.iter().chain(in_xmpp).next(), &server_tls) {
            return Err(BindError::NoCertificate { address });
        }
        let udp = bind_udp(&udp, count)?;
        let tcp = Listeners::bind(&tcp, &Sip(None))?;
        let tls = Listeners::bind(&tls, &Sip(server_tls.clone()))?;
        let xmpp = xmpp.map(Arc::new);
        let streams = xmpp.as_ref().map(|it| bind_xmpp(it, server_tls.as_ref()));
        let [xmpp_tcp, xmpp_tls, xmpp_ws, xmpp_wss] = streams.transpose()?.unwrap_or_default();
        let component = components.map_or_else(
            || Ok(Listeners::default()),
            |config| Listeners::bind(&config.tcp.clone(), &Component::new(config)),
        )?;
        let addresses = Addresses {
            udp: udp[0].iter().map(|udp| udp.local).collect(),
            tcp: tcp.addresses(),
            tls: tls.addresses(),
            xmpp_tcp: xmpp_tcp.addresses(),
            xmpp_tls: xmpp_tls.addresses(),
            xmpp_ws: xmpp_ws.addresses(),
            xmpp_wss: xmpp_wss.addresses(),
            components: component.addresses(),
        };
        let shared = Arc::new(Shared::new((limits, doorman), client_tls, udp, shards));
        spawn_udp(&shared);
        tcp.spawn(&shared);
        tls.spawn(&shared);
        for listeners in [xmpp_tcp, xmpp_tls, xmpp_ws, xmpp_wss] {
            listeners.spawn(&shared);
        }
        component.spawn(&shared);
        Ok(Self {
            shared,
            xmpp,
            addresses: Arc::new(addresses),
            routes: Arc::default(),
            shard: 0,
        })
    }

    /// The handle of a shard: its datagrams leave from its own sockets, in its own batches.
    #[must_use]
    pub fn for_shard(&self, shard: usize) -> Self {
        Self {
            shard: shard % self.shared.udp.len(),
            ..self.clone()
        }
    }

    /// So many messages of strangers are looked at in a second from now on, for each processor.
    pub fn set_pace(&self, strangers_per_second: u32) {
        self.shared.shards.strangers.set_pace(strangers_per_second);
    }

    /// The places for the work of TLS handshakes, for whoever listens beside us.
    pub fn handshakes(&self) -> Handshakes {
        self.shared.handshakes.clone()
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
        self.flow_to(transport, remote, None)
    }

    /// Like [`Net::connect`], with the host name that a TLS peer's certificate must have (RFC 5922 §4).
    pub fn connect_named(&self, transport: Transport, remote: SocketAddr, name: &str) -> Flow {
        self.flow_to(transport, remote, Some(name))
    }

    fn flow_to(&self, transport: Transport, remote: SocketAddr, name: Option<&str>) -> Flow {
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

    /// The name by which the peer of the connection of this number has asked for us in TLS (RFC 6066), if it did so.
    pub fn asked_for(&self, connection: u64) -> Option<Box<str>> {
        self.shared.table().name(connection)
    }

    /// Whether the connection of this number is there. If it is not, what says that it is gone may have been said before what it brought.
    pub fn is_open(&self, connection: u64) -> bool {
        self.shared.table().is_open(connection)
    }

    /// Closes a connection after what is queued for it. [`crate::Event::Closed`] follows. Nothing to do for UDP.
    pub fn close(&self, flow: Flow) {
        self.shared.table().end(flow.id, &self.shared.limits);
    }

    /// Queues octets for a stream and never blocks: whole elements, as they are to be on the wire. A stream whose queue
    /// is full is closed. What is written to a stream that is gone is lost; [`crate::XmppEvent::Gone`] says so.
    ///
    /// Before the peer has signed in, this is the answer to what it sent last, after which more is read.
    pub fn write(&self, stream: StreamId, octets: Bytes) {
        self.shared.write(stream.0, octets);
    }

    /// The peer of this connection has proven who it is: it makes room for nobody any more. Of a stream of XMPP [`Net::signed_in`] says so.
    pub fn is_proven(&self, id: u64) {
        self.shared.table().is_proven(id);
    }

    /// The peer has signed in: it may send more, and be silent for longer. With `restart`, it opens a new stream in the
    /// place of this one (RFC 6120 §6.4.6). To be said before the `<success/>` is written, so that it is so for all
    /// that the peer sends when it has read that.
    pub fn signed_in(&self, stream: StreamId, restart: bool) {
        let mut table = self.shared.table();
        table.is_proven(stream.0);
        if let Some(progress) = table.progress(stream.0) {
            progress.sign_in(restart);
        }
    }

    /// Closes a stream's connection after what is queued for it. [`crate::XmppEvent::Gone`] follows; what the peer sent
    /// before it knew may still come before that.
    pub fn end(&self, stream: StreamId) {
        self.shared.table().end(stream.0, &self.shared.limits);
    }

    /// Shows these, and no others, to anybody who asks for them where a WebSocket begins. Before that there are none.
    pub fn publish(&self, documents: Vec<Document>) {
        self.shared.publish(documents);
    }

    /// The one at this path, if it is shown.
    pub fn published(&self, path: &str) -> Option<Document> {
        let documents = self.shared.documents();
        documents.iter().find(|it| it.path == path).cloned()
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        let table = self.shared.table();
        let (open, open_by) = (table.open(), table.open_by());
        drop(table);
        self.shared.counters.snapshot(open, open_by)
    }

    /// Accepts no connection from now on: whoever comes finds nobody listening. Those that are there stay.
    pub fn let_nobody_in(&self) {
        self.shared.full.cancel();
    }

    /// Sends what is queued, closes every socket, and returns when no task is left.
    pub async fn shutdown(&self) {
        for shard in 0..self.shared.udp.len() {
            self.shared.flush(shard);
        }
        self.shared.stop.cancel();
        self.shared.table().shut(&self.shared.limits);
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

/// Streams over TCP, over TLS from the start, over WebSocket, and over that in TLS.
fn bind_xmpp(
    config: &Arc<XmppConfig>,
    tls: Option<&TlsSource>,
) -> Result<[Listeners<Xmpp>; 4], BindError> {
    let websocket = &config.websocket;
    let bind = |addresses, begins: Option<Begins>| match begins {
        Some(begins) => Listeners::bind(addresses, &Xmpp::new(config.clone(), begins)),
        None => Ok(Listeners::default()),
    };
    Ok([
        bind(&config.tcp, tls.cloned().map(Begins::Starttls))?,
        bind(&config.tls, tls.cloned().map(Begins::Tls))?,
        bind(&websocket.ws, Some(Begins::Ws))?,
        bind(&websocket.wss, tls.cloned().map(Begins::Wss))?,
    ])
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
