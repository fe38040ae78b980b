//! What to listen on, and every limit of this crate in one place.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use xmpp::stream::{Domains, Greeted, Offer};
use xmpp::xml;

use crate::{StreamLink, TlsSource};

/// What [`crate::Net::bind`] opens. The default listens nowhere, which suits a client that only connects out.
#[derive(Clone, Default)]
pub struct Config {
    /// Addresses for SIP over UDP. They also serve as the source of datagrams that we send first.
    pub udp: Vec<SocketAddr>,
    /// Addresses for SIP over TCP.
    pub tcp: Vec<SocketAddr>,
    /// Addresses for SIP over TLS; they need [`Config::server_tls`].
    pub tls: Vec<SocketAddr>,
    /// XMPP, if it is served; it needs [`Config::server_tls`].
    pub xmpp: Option<XmppConfig>,
    /// The certificate that TLS listeners show. It can be swapped while connections are open.
    pub server_tls: Option<TlsSource>,
    /// How outgoing TLS connections verify their peer. Without it, they fail.
    pub client_tls: Option<Arc<rustls::ClientConfig>>,
    /// See [`Limits`].
    pub limits: Limits,
}

/// Where XMPP is served, and how.
#[derive(Clone)]
pub struct XmppConfig {
    /// Addresses for streams that begin in the clear and go on with STARTTLS (RFC 6120 §5).
    pub tcp: Vec<SocketAddr>,
    /// Addresses for streams in TLS from the start (XEP-0368).
    pub tls: Vec<SocketAddr>,
    /// The domains that are served.
    pub domains: Domains,
    /// What a client may sign in with.
    pub offer: OfferTo,
    /// Whose a stream is.
    pub steer: SteerStream,
}

/// Says what a client is offered over such a link; asked once for each, in its task.
pub type OfferTo = Arc<dyn Fn(&StreamLink) -> Arc<Offer> + Send + Sync>;

/// Says which shard a stream is for, by what its peer begins to sign in with: always with who it is. Called in the task of
/// its connection, so it must be quick. What is beyond the last shard wraps around.
pub type SteerStream = Arc<dyn Fn(&Greeted) -> usize + Send + Sync>;

/// Everything that is bounded, and what happens at the bound.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Accepted connections open at once. One more is closed right after `accept`.
    pub connections: usize,
    /// Accepted connections open at once from one IP address. One more is closed right after `accept`.
    pub connections_per_peer: usize,
    /// Outgoing connections open at once. One more fails at once.
    pub outgoing: usize,
    /// A connection over which nothing was received for so long is closed. Longer than a registration lives by
    /// default, because a phone may keep quiet until it registers again; a dead peer is found sooner by TCP itself.
    pub idle: Duration,
    /// An accepted connection must bring its first whole message within this time, and every message, once begun,
    /// must be whole within it; else it is closed.
    pub first_message: Duration,
    /// A TLS handshake, either side, that takes longer fails.
    pub tls_handshake: Duration,
    /// An outgoing TCP connection that takes longer to open fails.
    pub connect: Duration,
    /// Messages waiting to be written to one connection. One more closes it: the peer does not read.
    pub send_queue_messages: usize,
    /// Bytes waiting to be written to one connection. More closes it.
    pub send_queue_bytes: usize,
    /// Datagrams waiting to be sent from one UDP socket. One more is dropped, as the network would.
    pub udp_send_queue: usize,
    /// What one message may be made of. Over a stream a longer one closes the connection, after an answer.
    pub message: sip::Limits,
    /// Messages that cannot be parsed which one connection may send. One more closes it.
    pub malformed_per_connection: u32,
    /// Events that wait for a shard. When it is full, a socket that has something for it is not read until there is
    /// room.
    pub events: usize,
    /// What a stream of XMPP may cost.
    pub xmpp: XmppLimits,
    /// How long [`crate::Net::shutdown`] lets connections flush what is queued.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_peer: 2_000,
            outgoing: 10_000,
            idle: Duration::from_secs(4_000),
            first_message: Duration::from_secs(10),
            tls_handshake: Duration::from_secs(10),
            connect: Duration::from_secs(5),
            send_queue_messages: 1_024,
            send_queue_bytes: 1 << 20,
            udp_send_queue: 8_192,
            message: sip::Limits::default(),
            malformed_per_connection: 16,
            events: 8_192,
            xmpp: XmppLimits::default(),
            shutdown: Duration::from_secs(2),
        }
    }
}

/// What a stream of XMPP may cost. A peer that has signed in may be silent for as long as it likes: TCP finds out whether it
/// is still there, and the role by asking it.
#[derive(Clone, Debug)]
pub struct XmppLimits {
    /// From `accept` to the moment when the peer has signed in, TLS included; one that takes longer is closed.
    pub sign_in: Duration,
    /// First-level elements on a connection before the peer has signed in. One more ends the stream.
    pub elements_before_sign_in: usize,
    /// An element, once begun, must be whole within this time; else the connection is closed.
    pub element: Duration,
    /// What an element may be made of before the peer has signed in.
    pub before_sign_in: xml::Limits,
    /// And after it.
    pub signed_in: xml::Limits,
}

impl Default for XmppLimits {
    fn default() -> Self {
        Self {
            sign_in: Duration::from_secs(30),
            elements_before_sign_in: 16,
            element: Duration::from_mins(1),
            before_sign_in: xml::Limits::before_authentication(),
            signed_in: xml::Limits::default(),
        }
    }
}
