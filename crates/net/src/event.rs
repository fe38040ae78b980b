//! What the sockets tell.

use std::net::SocketAddr;
use std::sync::Arc;

use sip::Message;
use sip::endpoint::Flow;
use xmpp::StreamId;
use xmpp::xml::{Element, Header};

/// Something that happened on a flow. Events of one flow for one shard come in the order in which they happened.
#[derive(Debug)]
pub enum Event {
    /// A whole message that parses. Answer it over the same flow.
    Message {
        /// Where it came from.
        flow: Flow,
        /// The message.
        message: Message,
    },
    /// The connection is gone, or could not be opened, or a send over the flow failed. Nothing follows on a connection.
    /// Every shard is told.
    Closed {
        /// The flow that failed.
        flow: Flow,
    },
    /// A message that cannot be parsed. It has been answered if it could be; this is for counters and traces.
    Malformed {
        /// Where it came from.
        flow: Flow,
        /// What is wrong with it.
        reason: String,
    },
    /// Something that happened on a stream of XMPP.
    Xmpp(StreamId, XmppEvent),
}

/// Something that happened on a stream of XMPP. All of it comes to the shard whose the stream is, in order.
#[derive(Debug)]
pub enum XmppEvent {
    /// A peer begins to sign in. The stream is this shard's until it says [`XmppEvent::Gone`]; a second attempt says so
    /// again, and what the first one has left behind is forgotten. Nothing more is read until [`crate::Net::write`]
    /// has been called for the stream.
    Greeted(Box<xmpp::stream::Greeted>, Arc<StreamLink>),
    /// The component of this domain has shown its secret (XEP-0114 §3). Nothing more is read until [`crate::Net::write`] has been
    /// called for the stream; it goes on after [`crate::Net::signed_in`].
    Component(Box<str>),
    /// A first-level element. Before the peer has signed in, what is said of [`XmppEvent::Greeted`] is so for it as well.
    Element(Element),
    /// The header of the stream that takes the place of the one in which the peer has signed in (RFC 6120 §6.4.6). To be
    /// answered by a header and features.
    Opened(Header),
    /// The peer has closed its side of the stream (RFC 6120 §4.4). What is queued can still be read by it; to be answered
    /// by the end of our side and [`crate::Net::end`].
    Ended,
    /// The connection is gone, or the stream is another shard's now. Nothing follows.
    Gone,
}

/// What a stream runs over.
#[derive(Debug, Clone)]
pub struct StreamLink {
    /// Where it came in.
    pub local: SocketAddr,
    /// Was it accepted elsewhere, and carried here ([`Net::carry`](crate::Net::carry))?
    pub carried: bool,
    /// Where the peer is, be it behind a proxy; its port is that of whoever has connected.
    pub remote: SocketAddr,
    /// How the stream is framed.
    pub framing: xmpp::stream::Framing,
    /// Does TLS protect it, ours or that of a proxy?
    pub secure: bool,
    /// What a sign-in can be bound to as `tls-exporter` (RFC 9266); only TLS 1.3 has it.
    pub tls_exporter: Option<[u8; 32]>,
    /// What a sign-in can be bound to as `tls-server-end-point` (RFC 5929): the hash of our certificate.
    pub tls_server_end_point: Option<Arc<[u8]>>,
}
