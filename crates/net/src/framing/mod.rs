//! What a protocol makes of the octets of a stream. A new one is a file here and an event.

pub(crate) mod sip;

use bytes::Bytes;

use crate::event::Event;

/// Cuts one stream into what the role is told. It holds no more than one message within its limits, and one read.
pub(crate) trait Framing: Send {
    /// Adds octets that were received.
    fn push(&mut self, octets: &[u8]);

    /// What stands at the start of the octets; `None` if more are needed.
    fn next(&mut self) -> Option<Framed>;

    /// Has a message begun that is not whole?
    fn is_midway(&self) -> bool;
}

/// What came out of a stream, or of a datagram.
pub(crate) enum Framed {
    /// For the role.
    Whole(Event),
    /// A keep-alive that is answered so.
    KeepAlive(Bytes),
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
