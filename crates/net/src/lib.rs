//! Real sockets for the protocol cores: UDP in batches, TCP, TLS and WebSocket with framing, limits and idle timeouts.
//!
//! [`Net::bind`] opens the listeners and gives a cheap handle for sending plus one bounded stream of [`Event`]s (or one
//! for each shard, [`Net::bind_sharded`]; or none, [`Net::bind_unqueued`]), whole and parsed messages with the [`sip::endpoint::Flow`] they came over. What a message means is nobody's business here: this crate
//! answers only what cannot be parsed at all, and keep-alives, and greets streams of XMPP up to where somebody signs in. [`http`] is a small JSON client for the APIs on loopback.

mod batch;
mod bind;
mod binding;
mod by_id;
mod carried;
mod certificate;
mod config;
mod connect;
mod connection;
mod datagrams;
mod delivery;
mod doorman;
mod event;
mod events;
mod fair;
mod framing;
mod gate;
mod handshakes;
mod hello;
pub mod http;
mod listen;
mod local;
mod losable;
mod net;
mod outbox;
mod peek;
mod progress;
mod resolve;
mod serve;
mod shards;
mod shared;
mod stats;
mod table;
mod tls;
mod udp;
mod under_way;
mod unproven;
mod websocket;
mod wire;

pub use bind::{BindError, listen};
pub use by_id::ById;
pub use carried::Carried;
pub use certificate::Certificate;
pub use config::{
    ComponentConfig, Config, IsProxy, Limits, OfferTo, SteerComponent, SteerStream,
    WebSocketConfig, WebSocketLimits, XmppConfig, XmppLimits,
};
pub use doorman::{Doorman, Standing, Visitor};
pub use event::{Event, StreamLink, XmppEvent};
pub use events::Events;
pub use handshakes::{Handshakes, Turn};
pub use local::LocalIps;
pub use losable::{Hold, Losable};
pub use net::{Addresses, Net};
pub use peek::first as peek_first;
pub use resolve::resolve;
pub use shards::{Held, Steer, Taker};
pub use stats::{OpenBy, Stats};
pub use tls::{TlsError, TlsSource, client_config};
pub use under_way::Begun;
pub use websocket::client as behind_proxy;
pub use websocket::handshake::Document;
pub use websocket::{Origins, OriginsError};
