//! SIP over a stream (RFC 3261 §18.3) with its keep-alives (RFC 5626 §4.4.1), and in a datagram.

use bytes::Bytes;
use sip::endpoint::Flow;
use sip::{Frame, Framer, Limits, Message};

use super::{Framed, Framing};
use crate::event::Event;

/// RFC 5626 §4.4.1: the answer to a CRLF keep-alive.
const PONG: Bytes = Bytes::from_static(b"\r\n");

/// Fewer octets waiting in the framer may be half a keep-alive; from here on they are a message.
const MESSAGE_BEGUN: usize = 4;

/// The messages of one connection.
pub(crate) struct Sip {
    flow: Flow,
    limits: Limits,
    framer: Framer,
}

impl Sip {
    /// For a connection that was accepted.
    pub(crate) fn accepted(flow: Flow, limits: Limits) -> Self {
        let framer = Framer::new(limits);
        Self {
            flow,
            limits,
            framer,
        }
    }

    /// For a connection that was opened.
    pub(crate) fn opened(flow: Flow, limits: Limits) -> Self {
        let framer = Framer::client(limits);
        Self {
            flow,
            limits,
            framer,
        }
    }
}

impl Framing for Sip {
    fn push(&mut self, octets: &[u8]) {
        self.framer.push(octets);
    }

    fn next(&mut self) -> Option<Framed> {
        loop {
            return match self.framer.next() {
                Ok(None) => None,
                Ok(Some(Frame::Pong)) => continue,
                Ok(Some(Frame::Ping)) => Some(Framed::KeepAlive(PONG)),
                Ok(Some(Frame::Message(octets))) => Some(message(self.flow, &octets, &self.limits)),
                Err(error) => Some(Framed::Malformed {
                    reply: error.reply(),
                    event: malformed(self.flow, &error),
                    broken: true,
                }),
            };
        }
    }

    fn is_midway(&self) -> bool {
        self.framer.pending() >= MESSAGE_BEGUN
    }
}

/// Reads one whole message.
pub(crate) fn message(flow: Flow, octets: &Bytes, limits: &Limits) -> Framed {
    match Message::parse(octets.clone(), limits) {
        Ok(message) => Framed::Whole(Event::Message { flow, message }),
        Err(error) => Framed::Malformed {
            reply: error.reply(octets),
            event: malformed(flow, &error),
            broken: false,
        },
    }
}

fn malformed(flow: Flow, error: &impl ToString) -> Event {
    Event::Malformed {
        flow,
        reason: error.to_string(),
    }
}
