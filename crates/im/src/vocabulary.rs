//! What the role is told and what it says.

use bytes::Bytes;
use domain::{
    Address, AppId, ArchivePage, ArchiveQuery, Card, Channel, Class, DeviceId, DoorId, Message,
    MessageId, Note, Outcome, Timestamp, TrackingId, presence::Resource,
};
use hub::{NotDone, PushOrder, PushRef, Pushed, Ticket};
use std::{net::SocketAddr, sync::Arc};
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
    /// The edge by which it comes, if it is outside.
    pub edge: Option<SocketAddr>,
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
    /// A component of this domain has connected: this shard has it.
    Component(StreamId, Box<str>),
    /// The role at another user's shard says something for this user of ours.
    Posted(Address, Post),
    /// The same for this component of ours.
    ForComponent(Box<str>, Post),
    /// What was read of an archive ([`Output::Read`]); [`NotDone::Missing`]: a message that the query names is not in it.
    Page(Ticket, Result<ArchivePage, NotDone>),
    /// A user's card ([`Output::ReadCard`]), if there is one.
    Card(Ticket, Result<Option<Card>, NotDone>),
    /// What an installation of a user's client signs in with, as it was read ([`Output::ReadTokens`]).
    Tokens(Ticket, Result<Option<Bytes>, NotDone>),
    /// What became of an [`Output::Account`]; [`NotDone::Missing`]: there is no such invitation, or it is not good for that address.
    Account(Ticket, Result<(), NotDone>),
    /// Push this to an app's own server, which is a component: [`Settings::component`](crate::Settings::component).
    Push(Box<PushOrder>),
    /// A message goes by another door of the device of which this one is.
    GoesElsewhere(DoorId, MessageId),
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
    /// Count somebody who was refused to protect us or a user.
    Refused(domain::Refusal),
    /// For those who look later.
    Note(Note),
    /// Tell the role at this user's shard.
    Post(Address, Post),
    /// Tell the role at the shard that has this component.
    Component(Box<str>, Post),
    /// Read a page of this user's archive, all that is saved by now included, and say so by [`Input::Page`].
    Read(Ticket, Address, Box<ArchiveQuery>),
    /// Read this user's card, and say so by [`Input::Card`].
    ReadCard(Ticket, Address),
    /// Read what this installation of this user's client signs in with, all that is saved by now included, and say so by
    /// [`Input::Tokens`].
    ReadTokens(Ticket, Address, String),
    /// Do this about an account, and say so by [`Input::Account`].
    Account(Ticket, Box<AccountOrder>),
    /// Count a push to an app's own server, and what became of it.
    Published(AppId, Channel, Outcome),
    /// Tell the hub.
    Hub(hub::Input),
}

/// What is to be done about an account. A password is made into what is kept of it, which takes a while.
#[derive(Clone, Eq, PartialEq)]
pub enum AccountOrder {
    /// This is the user's password from now on.
    Password(Address, String),
    /// Is there an invitation of this word?
    IsInvited(String),
    /// Make an account of this address and password, by the invitation of this word, which is used up.
    Register(Address, String, String),
}

impl std::fmt::Debug for AccountOrder {
    /// Without what is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password(..) => "Password",
            Self::IsInvited(_) => "IsInvited",
            Self::Register(..) => "Register",
        })
    }
}

/// What others are to see of a session that was kept over a restart.
#[derive(Debug)]
pub struct Seen {
    /// Whose.
    pub user: Address,
    /// Its device.
    pub device: DeviceId,
    /// When its user did something on it last, if that is known.
    pub used_at: Option<Timestamp>,
    /// What it said, if it is available.
    pub said: Option<Resource>,
    /// Others have seen that it sleeps.
    pub is_seen: bool,
}

/// What goes from the role of one user or component to that of another, as between two servers.
#[derive(Debug)]
pub enum Post {
    /// A message for the user.
    Letter(Box<Letter>),
    /// A phone of the user's has sent this.
    Sent(Arc<Message>),
    /// What became of a letter of the user's, by the ticket that it had.
    Settled(Ticket, Result<(), StanzaCondition>),
    /// A stanza for a client of the user's, or about one: an IQ, its answer, a presence for one client alone. For a component any.
    Stanza(Box<Element>),
    /// A push for a component to carry.
    Publish(Box<Publish>),
    /// What became of one.
    Published(Box<Pushed>),
    /// A component takes no more pushes for a node of the user's.
    Revoked(Box<Revoked>),
}

/// A push on its way to an app's own server.
#[derive(Debug)]
pub struct Publish {
    /// For whom.
    pub user: Address,
    /// The app.
    pub app: AppId,
    /// What it is counted as.
    pub channel: Channel,
    /// What it belongs to.
    pub push: PushRef,
    /// To which device.
    pub device: DeviceId,
    /// By which of its tokens.
    pub token: Box<str>,
    /// What is said, but for its id.
    pub iq: Element,
}

/// A node at a push service for which no more is taken (XEP-0357 §8).
#[derive(Debug)]
pub struct Revoked {
    /// The service.
    pub service: Jid,
    /// The node.
    pub node: String,
}

/// A message on its way to its reader's shard.
#[derive(Debug)]
pub struct Letter {
    /// By which the writer's role knows it.
    pub ticket: Ticket,
    /// Who wrote it: an account of ours, with the client; or somebody of a component's.
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
