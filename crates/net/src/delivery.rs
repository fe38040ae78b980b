//! What one read of a socket brought, on its way to the shards.

use bytes::Bytes;

use crate::event::Event;
use crate::framing::Framed;
use crate::shards::Place;
use crate::shared::Shared;

/// Events that are handed over together.
pub(crate) struct Delivery<'s> {
    shared: &'s Shared,
    events: Vec<Event>,
    /// Those whose shard is known.
    addressed: Vec<(usize, Event)>,
}

impl<'s> Delivery<'s> {
    pub(crate) fn new(shared: &'s Shared) -> Self {
        Self {
            shared,
            events: Vec::new(),
            addressed: Vec::new(),
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
            Framed::For(shard, event) => {
                self.shared.counters.received.add(1);
                self.addressed.push((shard, event));
                Taken::Whole
            }
            Framed::Reply(answer) => {
                reply(answer);
                Taken::Answered
            }
            Framed::Upgrade(answer) => {
                reply(answer);
                Taken::Upgrade
            }
            Framed::Last(answer) => {
                reply(answer);
                Taken::Last
            }
            Framed::Refused(answer) => {
                self.shared.counters.malformed.add(1);
                reply(answer);
                Taken::Last
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

    /// Hands over the one thing that a datagram of a stranger is, in this place.
    pub(crate) fn hand_over_strange(&mut self, place: Place) {
        if let Some(event) = self.events.pop() {
            self.shared.hand_over_strange(event, place);
        }
    }

    /// Hands it all over, and waits for room.
    pub(crate) async fn hand_over(&mut self) {
        if !self.events.is_empty() {
            self.shared
                .hand_over(std::mem::take(&mut self.events))
                .await;
        }
        if !self.addressed.is_empty() {
            self.shared
                .hand_over_to(std::mem::take(&mut self.addressed))
                .await;
        }
    }
}

/// What was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Whole,
    /// Answered, and of no use for the role.
    Answered,
    Malformed,
    /// Malformed, and nothing can be read after it.
    Broken,
    /// TLS begins behind the answer.
    Upgrade,
    /// Nothing is to be read after it.
    Last,
}
