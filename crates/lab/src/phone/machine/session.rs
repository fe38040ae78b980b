//! What a phone has while its app runs: a connection, and the transaction layer over it. Suspending the app drops it,
//! transactions and all, as the platforms do.

use std::net::IpAddr;
use std::time::Instant;

use sip::endpoint::{
    ClientTxn, Config, Endpoint, Event, Flow, Input, TableLimits, Transmit, Transport,
};
use sip::{Message, RequestBuilder};

use super::ConnectionId;

/// A phone's tables are small, and it proxies nothing.
const LIMITS: TableLimits = TableLimits {
    answered_octets: 1 << 20,
    server_transactions: 1_000,
    strangers: 0,
    client_transactions: 1_000,
    contexts: 0,
    branches: 0,
    retry_after: 5,
};

pub(super) struct Session {
    endpoint: Endpoint,
    pub(super) connection: Connection,
    /// Where answers say that we are, also while the connection is down.
    last: Option<Flow>,
}

/// The connection to the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Connection {
    /// Broken, or could not be opened.
    Down,
    /// Asked for.
    Opening(ConnectionId),
    Up(ConnectionId, Flow),
}

impl Session {
    /// A session whose connection was asked for.
    pub(super) fn new(seed: [u8; 16], connection: ConnectionId) -> Self {
        let mut config = Config::new(seed);
        config.limits = LIMITS;
        Self {
            endpoint: Endpoint::new(config),
            connection: Connection::Opening(connection),
            last: None,
        }
    }

    pub(super) fn opened(&mut self, connection: ConnectionId, flow: Flow) {
        self.connection = Connection::Up(connection, flow);
        self.last = Some(flow);
    }

    /// Where to send, while there is a connection.
    pub(super) fn flow(&self) -> Option<Flow> {
        match self.connection {
            Connection::Up(_, flow) => Some(flow),
            Connection::Down | Connection::Opening(_) => None,
        }
    }

    /// Did this come over our connection? A UDP socket hears from anywhere.
    pub(super) fn owns(&self, other: Flow) -> bool {
        self.flow().is_some_and(|flow| {
            flow == other
                || (other.transport == Transport::Udp
                    && (other.transport, other.local) == (flow.transport, flow.local))
        })
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.endpoint.next_timeout()
    }

    pub(super) fn received(&mut self, now: Instant, flow: Flow, message: Message) {
        self.endpoint.handle(now, Input::Received { flow, message });
    }

    /// What waits for an answer over the flow gets none.
    pub(super) fn flow_failed(&mut self, now: Instant, flow: Flow) {
        self.endpoint.handle(now, Input::FlowFailed { flow });
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.endpoint.poll_transmit()
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.endpoint.poll_event()
    }

    /// `None` without a connection, or when too much is under way.
    pub(super) fn request(&mut self, now: Instant, request: &Message) -> Option<ClientTxn> {
        let flow = self.flow()?;
        self.endpoint.request(now, flow, request).ok()
    }

    pub(super) fn ack(&mut self, ack: RequestBuilder) {
        if let Some(flow) = self.flow() {
            self.endpoint.send_ack(flow, &ack.build());
        }
    }

    pub(super) fn cancel(&mut self, now: Instant, txn: ClientTxn) {
        self.endpoint.cancel(now, txn, None);
    }

    /// The transaction layer, for answering.
    pub(super) fn endpoint(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// Where the server reaches us: `user@host:port;transport=…`, for a Contact URI.
    pub(super) fn contact(&self, user: &str) -> Option<String> {
        let flow = self.last?;
        let transport = flow.transport.as_str().to_ascii_lowercase();
        Some(format!("sip:{user}@{};transport={transport}", flow.local))
    }

    /// Our address on the way to the server.
    pub(super) fn address(&self) -> Option<IpAddr> {
        Some(self.last?.local.ip())
    }
}
