//! What to listen on, and every limit of this crate in one place.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use xmpp::jid::Jid;
use xmpp::stream::{Components, Domains, Greeted, Offer};
use xmpp::xml;

use crate::{Doorman, Origins, StreamLink, TlsSource};

/// What [`crate::Net::bind`] opens. The default listens nowhere, which suits a client that only connects out.
#[derive(Clone, Default)]
pub struct Config {
    /// Addresses for SIP over UDP. They also serve as the source of datagrams that we send first.
    pub udp: Vec<SocketAddr>,
    /// Addresses for SIP over TCP.
    pub tcp: Vec<SocketAddr>,
    /// Addresses for SIP over TLS; they need [`Config::server_tls`].
    pub tls: Vec<SocketAddr>,
    /// XMPP, if it is served; all but [`WebSocketConfig::ws`] needs [`Config::server_tls`].
    pub xmpp: Option<XmppConfig>,
    /// Components of XMPP (XEP-0114), if any may connect.
    pub components: Option<ComponentConfig>,
    /// The certificate that TLS listeners show. It can be swapped while connections are open.
    pub server_tls: Option<TlsSource>,
    /// How outgoing TLS connections verify their peer. Without it, they fail.
    pub client_tls: Option<Arc<rustls::ClientConfig>>,
    /// Who is at an address. Without it all are known.
    pub doorman: Option<Doorman>,
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
    /// Streams over WebSocket (RFC 7395).
    pub websocket: WebSocketConfig,
    /// The domains that are served.
    pub domains: Domains,
    /// What a client may sign in with.
    pub offer: OfferTo,
    /// Whose a stream is.
    pub steer: SteerStream,
}

/// Where a WebSocket is served, and to whom.
#[derive(Clone)]
pub struct WebSocketConfig {
    /// Addresses without TLS: for proxies alone.
    pub ws: Vec<SocketAddr>,
    /// Addresses in TLS.
    pub wss: Vec<SocketAddr>,
    /// Where they begin, as `/xmpp-websocket`.
    pub path: String,
    /// Pages that may have one.
    pub origins: Origins,
    /// Who connects for others, and says for whom by `X-Forwarded-For`; whoever is on loopback does.
    pub is_proxy: IsProxy,
}

impl Default for WebSocketConfig {
    /// Nowhere, and to no page.
    fn default() -> Self {
        Self {
            ws: Vec::new(),
            wss: Vec::new(),
            path: "/".to_owned(),
            origins: Origins::default(),
            is_proxy: Arc::new(|_| false),
        }
    }
}

/// See [`WebSocketConfig::is_proxy`].
pub type IsProxy = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;
/// Where components connect, in the clear: loopback, or a network that is trusted as that is.
#[derive(Clone)]
pub struct ComponentConfig {
    /// Addresses for their streams.
    pub tcp: Vec<SocketAddr>,
    /// Which there are, and by what each is known.
    pub components: Components,
    /// A domain of ours, which speaks to whoever names no component.
    pub domain: Jid,
    /// Which shard has a component, by its domain. What is beyond the last one wraps around.
    pub steer: SteerComponent,
}

/// See [`ComponentConfig::steer`].
pub type SteerComponent = Arc<dyn Fn(&str) -> usize + Send + Sync>;

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
    /// So many of these are for known users only: a stranger's is closed right after `accept` when no more are left.
    pub reserved: usize,
    /// Accepted connections open at once from one source. One more takes the place of the oldest one from there that has proven nothing in
    /// two seconds; if there is none, it is closed right after `accept`. A peer that is a proxy's takes nobody's place.
    pub connections_per_peer: usize,
    /// With so many accepted connections open, one more of a stranger (of anybody, where each proves) takes the place of one that has proven
    /// nothing: the oldest of the site that has most of them.
    pub silent: usize,
    /// Each connection proves by itself who it is ([`crate::Net::is_proven`]), whatever its source is known for, as at an edge; else those
    /// of sources that are known have.
    pub each_proves: bool,
    /// Outgoing connections open at once. One more fails at once.
    pub outgoing: usize,
    /// A connection over which nothing was received for so long is closed. Longer than a registration lives by
    /// default, because a phone may keep quiet until it registers again; a dead peer is found sooner by TCP itself.
    pub idle: Duration,
    /// From `accept` to the first whole message, or the first header of a stream, TLS included; and every message, once begun, must be
    /// whole within it. Else the connection is closed.
    pub first_message: Duration,
    /// A TLS handshake, either side, that takes longer fails: from `accept`, where it is what a connection begins with.
    pub tls_handshake: Duration,
    /// Accepted TLS handshakes for which keys are made and signed at once; others wait for their turn, each source for its own. Fewer
    /// than there are processors leave room for other work.
    pub handshakes: usize,
    /// Handshakes of strangers for which that is done in a second, for each processor. Until then a stranger costs next to nothing; the
    /// known have no such limit.
    pub handshakes_per_second: u32,
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
    /// Events that wait for a shard: so many that connections brought, which are not read on when there is no room, and as many
    /// datagrams of known users, of which each sender has a share. Beyond it, one is dropped, as the network would.
    pub events: usize,
    /// What strangers have brought that waits for all shards together, in datagrams or over connections: nobody known ever waits for
    /// more. Where there are shards, at least one for each.
    pub strangers: usize,
    /// And so many of these are looked at in a second, for each processor: what strangers take of it is not theirs for being quick.
    pub strangers_per_second: u32,
    /// Datagrams of strangers that wait for these places, at each socket. Beyond it, and beyond the share of its source, one is
    /// dropped, as the network would.
    pub strangers_waiting: usize,
    /// What a stream of XMPP may cost.
    pub xmpp: XmppLimits,
    /// How long the peer of a WebSocket may take.
    pub websocket: WebSocketLimits,
    /// How long [`crate::Net::shutdown`] lets connections flush what is queued.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            reserved: 0,
            connections_per_peer: 2_000,
            silent: 18_000,
            each_proves: false,
            outgoing: 10_000,
            idle: Duration::from_secs(4_000),
            first_message: Duration::from_secs(10),
            tls_handshake: Duration::from_secs(10),
            handshakes: processors() / 2,
            handshakes_per_second: 250,
            connect: Duration::from_secs(5),
            send_queue_messages: 1_024,
            send_queue_bytes: 1 << 20,
            udp_send_queue: 8_192,
            message: sip::Limits::default(),
            malformed_per_connection: 16,
            events: 8_192,
            strangers: 4,
            strangers_per_second: 5_000,
            strangers_waiting: 2_048,
            xmpp: XmppLimits::default(),
            websocket: WebSocketLimits::default(),
            shutdown: Duration::from_secs(2),
        }
    }
}

/// Those that we may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// How long the peer of a WebSocket may take. What a message may be made of follows from what goes over it.
#[derive(Clone, Debug)]
pub struct WebSocketLimits {
    /// From `accept` to the end of its own handshake, that of TLS included; one that takes longer is closed.
    pub handshake: Duration,
    /// Once it may be silent, it is asked after so much silence whether it is there. Shorter than the minute after which many
    /// proxies close a connection over which nothing goes.
    pub ping_after: Duration,
    /// Who does not answer that within this time is gone.
    pub pong: Duration,
}

impl Default for WebSocketLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            ping_after: Duration::from_secs(55),
            pong: Duration::from_secs(30),
        }
    }
}

/// What a stream of XMPP may cost. A peer that has signed in may be silent for as long as it likes: TCP finds out whether it
/// is still there, and the role by asking it.
#[derive(Clone, Debug)]
pub struct XmppLimits {
    /// From `accept` to the moment when the peer has signed in, TLS included; one that takes longer is closed.
    pub sign_in: Duration,
    /// How often a peer may begin to sign in on a connection, whoever it says it is (RFC 6120 §6.4.5). Once more ends the stream.
    pub tries: usize,
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
            tries: 3,
            elements_before_sign_in: 16,
            element: Duration::from_mins(1),
            before_sign_in: xml::Limits::before_authentication(),
            signed_in: xml::Limits::default(),
        }
    }
}
