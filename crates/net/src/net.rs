//! The handle to all sockets.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use bytes::Bytes;
use sip::endpoint::{Flow, Transmit, Transport};
use tokio::sync::mpsc;

use crate::shared::Shared;
use crate::udp::Udp;
use crate::{BindError, Config, Events, Stats, bind, connect, listen};

/// The sockets of one process, or of one simulated phone. A cheap handle: clones speak of the same sockets, which stay
/// open until [`Net::shutdown`], or until [`Events`] is dropped.
#[derive(Clone)]
pub struct Net {
    shared: Arc<Shared>,
    addresses: Arc<Addresses>,
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
    /// Opens every address of `config`, or none.
    #[expect(
        clippy::unused_async,
        reason = "needs a runtime, and says so; binding may yet resolve names"
    )]
    pub async fn bind(config: Config) -> Result<(Self, Events), BindError> {
        let Config {
            udp,
            tcp,
            tls,
            server_tls,
            client_tls,
            limits,
        } = config;
        let udp = udp
            .into_iter()
            .map(bind_udp)
            .collect::<Result<Vec<_>, _>>()?;
        let tcp = tcp
            .into_iter()
            .map(|address| bind::tcp(Transport::Tcp, address))
            .collect::<Result<Vec<_>, _>>()?;
        if let (Some(&address), None) = (tls.first(), &server_tls) {
            return Err(BindError::NoCertificate { address });
        }
        let tls = tls
            .into_iter()
            .map(|address| bind::tcp(Transport::Tls, address))
            .collect::<Result<Vec<_>, _>>()?;
        let addresses = Addresses {
            udp: udp.iter().map(|udp| udp.local).collect(),
            tcp: tcp
                .iter()
                .filter_map(|listener| listener.local_addr().ok())
                .collect(),
            tls: tls
                .iter()
                .filter_map(|listener| listener.local_addr().ok())
                .collect(),
        };

        let (sender, receiver) = mpsc::channel(limits.events.max(1));
        let shared = Arc::new(Shared::new(limits, client_tls, udp, sender));
        for index in 0..shared.udp.len() {
            let shared = shared.clone();
            shared
                .clone()
                .tasks
                .spawn(async move { shared.udp[index].run(&shared).await });
        }
        for listener in tcp {
            shared
                .tasks
                .spawn(listen::run(shared.clone(), listener, None));
        }
        for listener in tls {
            shared
                .tasks
                .spawn(listen::run(shared.clone(), listener, server_tls.clone()));
        }
        let events = Events::new(receiver, shared.clone());
        Ok((
            Self {
                shared,
                addresses: Arc::new(addresses),
            },
            events,
        ))
    }

    /// Where we listen.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Sends over a flow and never blocks. A datagram waits for [`Net::flush`]; a connection's bytes are queued for it.
    /// A connection whose queue is full is closed, and a flow that is gone says [`crate::Event::Closed`].
    pub fn send(&self, transmit: Transmit) {
        self.shared.send(transmit.flow, transmit.bytes);
    }

    /// Sends the datagrams queued in this turn. [`Events::recv`] does so too, before it waits.
    pub fn flush(&self) {
        for udp in &self.shared.udp {
            udp.flush(&self.shared);
        }
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
        let any = if remote.is_ipv4() {
            SocketAddr::from(([0; 4], 0))
        } else {
            SocketAddr::from(([0; 16], 0))
        };
        let mut candidates: Vec<_> = family.copied().collect();
        if candidates.len() > 1 {
            let route = || {
                let probe = UdpSocket::bind(any)?;
                probe.connect(remote)?;
                probe.local_addr()
            };
            if let Ok(route) = route() {
                candidates.sort_by_key(|local| match local.ip() {
                    ip if ip == route.ip() => 0,
                    ip if ip.is_unspecified() => 1,
                    _ => 2,
                });
            }
        }
        candidates.first().copied().unwrap_or(any)
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
        self.flush();
        self.shared.stop.cancel();
        self.shared.table().shut();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

fn bind_udp(address: SocketAddr) -> Result<Udp, BindError> {
    let socket = bind::udp(address)?;
    Udp::new(socket).map_err(|source| BindError::Other {
        transport: Transport::Udp,
        address,
        source,
    })
}

impl Shared {
    pub(crate) fn send(&self, flow: Flow, bytes: Bytes) {
        let sent = if flow.transport.is_reliable() {
            self.table().send(flow, bytes, &self.limits)
        } else {
            let udp = self.udp.iter().find(|udp| udp.local == flow.local);
            udp.map(|udp| udp.send(self, flow.remote, bytes)).is_some()
        };
        if !sent {
            self.emit_failed(flow);
        }
    }
}
