//! What a protocol makes of the octets of a stream. A new one is a file here and an event.

pub(crate) mod sip;
pub(crate) mod websocket;
pub(crate) mod xmpp;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::event::Event;
use crate::{Doorman, Visitor};

/// Cuts one stream into what the role is told. It holds no more than one message within its limits, and one read.
pub(crate) trait Framing: Send {
    /// Adds octets that were received.
    fn push(&mut self, octets: &[u8]);

    /// What stands at the start of the octets; `None` if more are needed.
    fn next(&mut self) -> Option<Framed>;

    /// Has a message begun that is not whole?
    fn is_midway(&self) -> bool;

    /// Has the peer begun a stream? That is less than a message.
    fn has_begun(&self) -> bool {
        false
    }

    /// How long the peer may take from now on.
    fn patience(&self) -> Patience;

    /// Is nothing to be read before a shard has answered?
    fn waits(&self) -> bool {
        false
    }

    /// Waits for that.
    fn answered(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Who is there, whose address the doorman knows best unless more is known here.
    fn visitor(&self, doorman: &Doorman, remote: IpAddr) -> Visitor {
        doorman(remote)
    }

    /// What a peer is asked that was silent for as long as it may be; nothing: the connection is closed.
    fn asks(&mut self) -> Option<Bytes> {
        None
    }

    /// What the shard is told that has the connection for itself, now that it is gone.
    fn gone(&self) -> Option<(usize, Event)> {
        None
    }

    /// After what we said last, is what the peer still sends read until it closes?
    const LINGERS: bool = false;
}

/// How long a peer may take. When the time is over, the connection is closed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// When its first message must be whole, if it owes one.
    pub(crate) first: Option<Instant>,
    /// For a message that has begun.
    pub(crate) whole: Duration,
    /// For anything, when no message is owed; `None` for ever.
    pub(crate) idle: Option<Duration>,
    /// For all that it has to do.
    pub(crate) by: Option<Instant>,
}

/// What came out of a stream, or of a datagram.
pub(crate) enum Framed {
    /// For the role.
    Whole(Event),
    /// For the role at this shard, whatever is in it.
    For(usize, Event),
    /// What is answered so, and is of no use for the role.
    Reply(Bytes),
    /// What is answered so, and something else begins behind the answer: TLS, or a WebSocket.
    Upgrade(Bytes),
    /// What is answered so, and is the last that is read.
    Last(Bytes),
    /// The same for what cannot be borne.
    Refused(Bytes),
    /// A message that cannot be read.
    Malformed {
        /// What to answer.
        reply: Option<Bytes>,
        /// For the role.
        event: Event,
        /// Nobody knows where the next one starts.
        broken: bool,
    },
}
