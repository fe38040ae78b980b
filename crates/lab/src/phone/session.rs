//! The connection of a phone whose app runs: real sockets, and the transaction layer over them. Suspending the app
//! drops it, transactions and all, as the platforms do.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use net::{BindError, Config, Event, Events, Limits, Net};
use sip::endpoint::{self, ClientTxn, Endpoint, Flow, Input, Overload};
use sip::{Message, RequestBuilder};

use super::{PhoneConfig, entropy};

/// How long a phone that closes its connection waits for its last bytes to leave.
const FAREWELL: Duration = Duration::from_millis(300);

pub(super) struct Session {
    net: Net,
    events: Events,
    endpoint: Endpoint,
    flow: Flow,
}

impl Session {
    /// Opens the app's connection. Nothing is known of the server yet: it opens in the background.
    pub(super) async fn open(phone: &PhoneConfig) -> Result<Self, BindError> {
        let (transport, address) = phone.server;
        let config = Config {
            udp: if transport.is_reliable() {
                Vec::new()
            } else {
                vec![source_for(address)]
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
        let flow = connect(&net, phone);
        Ok(Self {
            net,
            events,
            endpoint: Endpoint::new(endpoint::Config::new(entropy::seed())),
            flow,
        })
    }

    /// Opens the connection anew, after it broke.
    pub(super) fn reconnect(&mut self, phone: &PhoneConfig) {
        self.flow = connect(&self.net, phone);
    }

    /// What the sockets have to say. Cancel safe.
    pub(super) async fn recv(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// What they have said already.
    pub(super) fn try_recv(&mut self) -> Option<Event> {
        self.events.try_recv()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.endpoint.next_timeout()
    }

    /// Takes in what the sockets said. True if it was the end of the connection.
    pub(super) fn handle(&mut self, event: Event) -> bool {
        let now = Instant::now();
        match event {
            Event::Message { flow, message } => {
                self.endpoint.handle(now, Input::Received { flow, message });
            }
            Event::Closed { flow } => {
                self.endpoint.handle(now, Input::FlowFailed { flow });
                return flow == self.flow && flow.transport.is_reliable();
            }
            Event::Malformed { reason, .. } => {
                tracing::warn!(reason, "the phone got a malformed message");
            }
        }
        false
    }

    pub(super) fn handle_timeout(&mut self) {
        self.endpoint.handle_timeout(Instant::now());
    }

    /// Sends what is due; says what the app must know.
    pub(super) fn poll(&mut self) -> Option<endpoint::Event> {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.net.send(transmit);
        }
        self.net.flush();
        self.endpoint.poll_event()
    }

    pub(super) fn request(&mut self, request: &Message) -> Result<ClientTxn, Overload> {
        self.endpoint.request(Instant::now(), self.flow, request)
    }

    pub(super) fn ack(&mut self, ack: RequestBuilder) {
        self.endpoint.send_ack(self.flow, &ack.build());
    }

    pub(super) fn cancel(&mut self, txn: ClientTxn) {
        self.endpoint.cancel(Instant::now(), txn, None);
    }

    /// The machine, for answering.
    pub(super) fn endpoint(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// Where the server reaches us: `user@host:port;transport=…`, for a Contact URI.
    pub(super) fn contact(&self, user: &str) -> String {
        let transport = self.flow.transport.param();
        format!("sip:{user}@{};transport={transport}", self.flow.local)
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.flow.local
    }

    /// Closes the connection, after what is queued for it.
    pub(super) async fn close(mut self) {
        while self.poll().is_some() {}
        self.net.shutdown().await;
    }
}

fn connect(net: &Net, phone: &PhoneConfig) -> Flow {
    let (transport, address) = phone.server;
    if transport.is_secure() {
        net.connect_named(transport, address, &phone.domain)
    } else {
        net.connect(transport, address)
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
