//! XMPP without sockets, clocks or randomness: streams of XML, addresses, stanzas and errors, and how a stream is
//! negotiated. What a server does with stanzas is not here.
//!
//! A connection pushes its octets into a [`Reader`](xml::Reader) and takes [`Item`](xml::Item)s out; a
//! [`Greeter`](stream::Greeter) answers them until the client signs in. An [`Element`](xml::Element) is kept as it came,
//! a [`Stanza`](stanza::Stanza) is a view of one.

pub mod jid;
pub mod management;
pub mod ns;
pub mod sasl;
pub mod sasl2;
pub mod stanza;
pub mod stream;
mod stream_id;
pub mod xml;

pub use stream_id::StreamId;
