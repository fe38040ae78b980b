//! SIP over a stream (RFC 3261 §18.3) with its keep-alives (RFC 5626 §4.4.1), and in a datagram.

use std::net::IpAddr;

use bytes::Bytes;
use sip::endpoint::Flow;
use sip::{Frame, Framer, Message, ParseError};
use tokio::time::Instant;

use super::{Framed, Framing, Patience};
use crate::event::Event;
use crate::{Doorman, Limits, Visitor};

/// RFC 5626 §4.4.1: the answer to a CRLF keep-alive.
const PONG: Bytes = Bytes::from_static(b"\r\n");

/// Fewer octets waiting in the framer may be half a keep-alive; from here on they are a message.
const MESSAGE_BEGUN: usize = 4;

/// The messages of one connection.
pub(crate) struct Sip {
    flow: Flow,
    framer: Framer,
    patience: Patience,
    /// We have connected, so we know why.
    is_opened: bool,
}

impl Sip {
    /// For a connection that was accepted then.
    pub(crate) fn accepted(flow: Flow, since: Instant, limits: &Limits) -> Self {
        let framer = Framer::new(limits.message);
        Self::new(flow, framer, Some(since + limits.first_message), limits)
    }

    /// For one that was accepted elsewhere, where it is seen whether its peer is still there.
    pub(crate) fn carried(flow: Flow, since: Instant, limits: &Limits) -> Self {
        let mut framing = Self::accepted(flow, since, limits);
        framing.patience.idle = None;
        framing
    }

    /// For a connection that was opened.
    pub(crate) fn opened(flow: Flow, limits: &Limits) -> Self {
        let framer = Framer::client(limits.message);
        Self {
            is_opened: true,
            ..Self::new(flow, framer, None, limits)
        }
    }

    fn new(flow: Flow, framer: Framer, first: Option<Instant>, limits: &Limits) -> Self {
        let patience = Patience {
            first,
            whole: limits.first_message,
            idle: Some(limits.idle),
            by: None,
        };
        Self {
            flow,
            framer,
            patience,
            is_opened: false,
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
                Ok(Some(Frame::Ping)) => Some(Framed::Reply(PONG)),
                Ok(Some(Frame::Message(message))) => Some(whole(self.flow, message)),
                Ok(Some(Frame::Malformed(octets, error))) => {
                    Some(unread(self.flow, &octets, &error))
                }
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

    fn patience(&self) -> Patience {
        self.patience
    }

    fn visitor(&self, doorman: &Doorman, remote: IpAddr) -> Visitor {
        if self.is_opened {
            return Visitor::known(remote);
        }
        doorman(remote)
    }
}

/// Reads one whole message.
pub(crate) fn message(flow: Flow, octets: &Bytes, limits: &sip::Limits) -> Framed {
    match Message::parse(octets.clone(), limits) {
        Ok(message) => whole(flow, message),
        Err(error) => unread(flow, octets, &error),
    }
}

fn whole(flow: Flow, message: Message) -> Framed {
    Framed::Whole(Event::Message { flow, message })
}

fn unread(flow: Flow, octets: &[u8], error: &ParseError) -> Framed {
    Framed::Malformed {
        reply: error.reply(octets),
        event: malformed(flow, error),
        broken: false,
    }
}

fn malformed(flow: Flow, error: &impl ToString) -> Event {
    Event::Malformed {
        flow,
        reason: error.to_string(),
    }
}
