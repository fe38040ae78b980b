//! What one read of a socket brought, on its way to the shards.

use bytes::Bytes;

use crate::Visitor;
use crate::event::Event;
use crate::framing::Framed;
use crate::gate::Place;
use crate::shared::Shared;

/// Events that are handed over together, each with its shard.
pub(crate) struct Delivery<'s> {
    shared: &'s Shared,
    events: Vec<(usize, Event)>,
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
                self.add(event);
                Taken::Whole
            }
            Framed::For(shard, event) => {
                self.shared.counters.received.add(1);
                self.events.push((shard, event));
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
                self.add(event);
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

    fn add(&mut self, event: Event) {
        let shard = self.shared.shards.shard_of(&event);
        self.events.push((shard, event));
    }

    /// Hands over what a connection brought, and waits until it is taken.
    pub(crate) async fn hand_over(&mut self, who: impl FnOnce() -> Visitor) {
        if !self.events.is_empty() {
            let events = std::mem::take(&mut self.events);
            self.shared.hand_over(who(), events).await;
        }
    }

    /// Hands over what a datagram of somebody known brought, if there is room.
    pub(crate) fn offer(&mut self) {
        for (shard, event) in self.events.drain(..) {
            if !self.shared.shards.offer(shard, event) {
                self.shared.counters.shed.add(1);
            }
        }
    }

    /// Hands over the one thing that a datagram of a stranger is, in this place.
    pub(crate) fn hand_over_strange(&mut self, place: Place) {
        if let Some((shard, event)) = self.events.pop() {
            self.shared.shards.hand_over_strange(shard, event, place);
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
