//! A phone's sockets: one connection, or one UDP socket.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use net::{BindError, Config, Event, Events, Limits, Net};
use sip::endpoint::{Flow, Transmit, Transport};

use crate::phone::PhoneConfig;

/// How long a phone that closes its connection waits for its last bytes to leave.
const FAREWELL: Duration = Duration::from_millis(300);

/// Where a phone registers.
pub(super) type Server = (Transport, SocketAddr);

pub(super) struct Link {
    net: Net,
    events: Events,
}

impl Link {
    pub(super) async fn open(
        (transport, address): Server,
        phone: &PhoneConfig,
    ) -> Result<Self, BindError> {
        let config = Config {
            udp: if transport == Transport::Udp {
                vec![source_for(address)]
            } else {
                Vec::new()
            },
            client_tls: phone
                .ca
                .as_ref()
                .and_then(|ca| net::client_config(ca.as_bytes()).ok()),
            limits: Limits {
                shutdown: FAREWELL,
                events: 256,
                ..Limits::default()
            },
            ..Config::default()
        };
        let (net, events) = Net::bind(config).await?;
        Ok(Self { net, events })
    }

    /// Opens the connection, anew if it broke. Nothing is known of the server yet: it opens in the background.
    pub(super) fn connect(&self, server: Server, phone: &PhoneConfig) -> Flow {
        match server {
            (Transport::Tls, address) => {
                self.net
                    .connect_named(Transport::Tls, address, &phone.domain)
            }
            (transport, address) => self.net.connect(transport, address),
        }
    }

    /// What the sockets have to say. Cancel safe.
    pub(super) async fn recv(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    pub(super) fn send(&self, transmit: Transmit) {
        self.net.send(transmit);
    }

    pub(super) fn flush(&self) {
        self.net.flush();
    }

    /// Closes the connection, after what is queued for it.
    pub(super) async fn close(self) {
        self.net.shutdown().await;
    }
}

/// Our own address on the way to `server`, any port.
fn source_for(server: SocketAddr) -> SocketAddr {
    let any = if server.is_ipv4() {
        SocketAddr::from(([0; 4], 0))
    } else {
        SocketAddr::from(([0; 16], 0))
    };
    let route = || {
        let probe = UdpSocket::bind(any)?;
        probe.connect(server)?;
        probe.local_addr()
    };
    route().map_or(any, |local: SocketAddr| SocketAddr::new(local.ip(), 0))
}
