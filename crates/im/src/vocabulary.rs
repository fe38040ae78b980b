//! What the role is told and what it says.

use bytes::Bytes;
use domain::{Address, ArchivePage, ArchiveQuery, Class, TrackingId};
use hub::{NotDone, Ticket};
use std::net::SocketAddr;
use xmpp::{
    StreamId,
    jid::Jid,
    stanza::{MessageType, StanzaCondition},
    stream::{Framing, Greeted},
    xml::{Element, Item},
};

/// What is known of the connection that carries a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// The peer's address.
    pub remote: SocketAddr,
    /// How the stream is framed.
    pub framing: Framing,
    /// `tls-exporter` (RFC 9266), where TLS gives it.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929): the hash of our certificate.
    pub end_point: Option<Box<[u8]>>,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A client begins to sign in, over a connection like this.
    Greeted(StreamId, Box<Greeted>, Box<Link>),
    /// A client that has begun to sign in says something.
    Read(StreamId, Item),
    /// The connection of a stream is gone.
    Gone(StreamId),
    /// The role at another user's shard says something for this user of ours.
    Posted(Address, Post),
    /// What was read of an archive ([`Output::Read`]); [`NotDone::Missing`]: a message that the query names is not in it.
    Page(Ticket, Result<ArchivePage, NotDone>),
    /// The hub speaks to its role.
    Hub(hub::Output),
}

/// What to do.
#[derive(Debug)]
pub enum Output {
    /// Write this to a stream.
    Write(StreamId, Bytes),
    /// A stream has signed in: larger limits hold from the next octet on; `true`: it begins anew (RFC 6120 §6.3.2). Comes before
    /// what tells the client so.
    SignedIn(StreamId, bool),
    /// Close a stream's connection after what is queued for it.
    End(StreamId),
    /// Tell the role at this user's shard.
    Post(Address, Post),
    /// Read a page of this user's archive, all that is saved by now included, and say so by [`Input::Page`].
    Read(Ticket, Address, Box<ArchiveQuery>),
    /// Tell the hub.
    Hub(hub::Input),
}

/// What goes from the role of one user to that of another, as between two servers.
#[derive(Debug)]
pub enum Post {
    /// A message for the user.
    Letter(Box<Letter>),
    /// What became of a letter of the user's, by the ticket that it had.
    Settled(Ticket, Result<(), StanzaCondition>),
    /// A stanza for a client of the user's, or about one: an IQ, its answer, a presence for one client alone.
    Stanza(Box<Element>),
}

/// A message on its way to its reader's shard.
#[derive(Debug)]
pub struct Letter {
    /// By which the writer's role knows it.
    pub ticket: Ticket,
    /// Who wrote it: an account of ours, with the client.
    pub from: Jid,
    /// As they call themselves.
    pub from_name: String,
    /// Who it is for, as the writer wrote it.
    pub to: Jid,
    /// Its type.
    pub kind: MessageType,
    /// What it is worth.
    pub class: Class,
    /// Follows it through every part.
    pub tracking: TrackingId,
    /// The stanza, with who it is from.
    pub stanza: Element,
}
