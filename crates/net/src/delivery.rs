//! What one read of a socket brought, on its way to the shards.

use bytes::Bytes;

use crate::event::Event;
use crate::framing::Framed;
use crate::shared::Shared;

/// Events that are handed over together.
pub(crate) struct Delivery<'s> {
    shared: &'s Shared,
    events: Vec<Event>,
}

impl<'s> Delivery<'s> {
    pub(crate) fn new(shared: &'s Shared) -> Self {
        Self {
            shared,
            events: Vec::new(),
        }
    }

    /// Takes what came out of the octets, and answers by `reply` what is not for the role. Says whether it could be
    /// read.
    pub(crate) fn take(&mut self, framed: Framed, reply: impl FnOnce(Bytes)) -> Taken {
        match framed {
            Framed::Whole(event) => {
                self.shared.counters.received.add(1);
                self.events.push(event);
                Taken::Whole
            }
            Framed::KeepAlive(pong) => {
                reply(pong);
                Taken::KeepAlive
            }
            Framed::Malformed {
                reply: answer,
                event,
                broken,
            } => {
                self.shared.counters.malformed.add(1);
                self.events.push(event);
                if let Some(answer) = answer {
                    reply(answer);
                }
                if broken {
                    Taken::Broken
                } else {
                    Taken::Malformed
                }
            }
        }
    }

    /// Hands it all over, and waits for room.
    pub(crate) async fn hand_over(&mut self) {
        if !self.events.is_empty() {
            self.shared
                .hand_over(std::mem::take(&mut self.events))
                .await;
        }
    }
}

/// What was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Whole,
    KeepAlive,
    Malformed,
    /// Malformed, and nothing can be read after it.
    Broken,
}
