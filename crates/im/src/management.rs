//! What is written to one session, and what is read of it (XEP-0198): what is counted, what is kept until its client has it,
//! and what is held back while nobody looks (XEP-0352) or nobody is there. All that is written to a session goes through
//! here. It knows no streams: who calls it writes what it gives back.

mod held;
mod kept;
mod words;
mod written;

#[cfg(test)]
mod tests;

use domain::MessageId;
use held::Held;
pub(crate) use kept::Kept;
use std::time::{Duration, Instant};
pub(crate) use words::{failed, too_high};
pub(crate) use written::{Kind, Written, head};
use xmpp::{
    management::{
        Answering, CannotResume, Due, Overflow, Policy, Resumption, Seq, TooHigh, TooMany,
    },
    xml::Element,
};

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Management {
    counters: Option<Counters>,
    held: Held,
    /// There is no connection.
    is_down: bool,
    /// So many of what is not acknowledged were sent when there was one: more its client cannot have got.
    reached: usize,
    /// Its client says that nobody looks (XEP-0352).
    is_inactive: bool,
    /// The client has to acknowledge something before more of it is kept.
    is_full: bool,
}

/// What there is from `<enable/>` on.
#[derive(Debug)]
struct Counters {
    both: Resumption<Written>,
    /// The name by which it can be resumed, and for how long.
    resumable: Option<(String, Duration)>,
}

/// What comes of something that is to be written.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Given {
    /// Write this now, in this order.
    pub(crate) octets: Vec<bytes::Bytes>,
    /// There was no room for these, and somebody has to do something about it.
    pub(crate) lost: Vec<Kind>,
}

/// What a client has got.
#[derive(Debug, Default)]
pub(crate) struct Got {
    /// Messages of the hub's, in order.
    pub(crate) messages: Vec<Had>,
    /// It has got something, whatever it was.
    pub(crate) any: bool,
    /// What waited for that.
    pub(crate) given: Given,
}

/// A message of the hub's that a client has got.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Had {
    pub(crate) id: MessageId,
    /// It went by another door of its device since: whether it waits still is that one's to say.
    pub(crate) elsewhere: bool,
}

/// A session goes on over another connection.
#[derive(Debug)]
pub(crate) struct GoesOn {
    /// So much of what the client sent was handled.
    pub(crate) handled: u32,
    /// What the client has got.
    pub(crate) messages: Vec<Had>,
    /// What it gets now: again, and what waited.
    pub(crate) given: Given,
}

/// What is to be said now.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Say {
    /// `<r/>`
    Ask,
    /// `<a/>`
    Answer(u32),
    /// Nobody is there.
    Dead,
}

impl Management {
    /// Counts from here on (XEP-0198 §3).
    pub(crate) fn enable(
        &mut self,
        now: Instant,
        (policy, answering): (Policy, Answering),
        resumable: Option<(String, Duration)>,
    ) {
        let both = Resumption::new(now, policy, answering);
        self.counters = Some(Counters { both, resumable });
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.counters.is_some()
    }

    pub(crate) fn is_up(&self) -> bool {
        !self.is_down
    }

    /// The name by which it can be resumed, and for how long.
    pub(crate) fn resumable(&self) -> Option<(&str, Duration)> {
        let (id, time) = self.counters.as_ref()?.resumable.as_ref()?;
        Some((id, *time))
    }

    /// Something is to be written. What was held back goes before what is not held back.
    pub(crate) fn give(&mut self, now: Instant, written: Written) -> Given {
        let mut given = Given::default();
        let Some(written) = self.holds_back(written) else {
            return given;
        };
        if self.is_up() {
            self.flush(now, &mut given);
        }
        self.send(now, written, &mut given);
        given
    }

    /// Whether a chat state would be held back: only then need it be told from other messages.
    pub(crate) fn holds_states(&self) -> bool {
        self.is_inactive || self.is_down || self.is_full
    }

    /// Keeps back what can wait; gives back what cannot.
    fn holds_back(&mut self, written: Written) -> Option<Written> {
        let waits = match written.kind {
            Kind::Presence(_) => self.is_inactive || self.is_down || self.is_full,
            // Who types now is of no use to anybody who comes later.
            Kind::State(_) if self.is_down => return None,
            Kind::State(_) => self.is_inactive,
            _ => false,
        };
        if !waits {
            return Some(written);
        }
        let written = self.held.put(written, self.is_up() && !self.is_full)?;
        Some(written)
    }

    /// All that was held back goes, as far as there is room.
    fn flush(&mut self, now: Instant, given: &mut Given) {
        if self.is_full {
            return;
        }
        for written in self.held.take() {
            self.send(now, written, given);
        }
    }

    fn send(&mut self, now: Instant, written: Written, given: &mut Given) {
        let octets = written.octets.clone();
        if let Some(counters) = &mut self.counters {
            let outbound = &mut counters.both.outbound;
            if let Err(Overflow(written)) = outbound.sent(now, written, octets.len()) {
                self.is_full = true;
                return match written.kind {
                    Kind::Presence(_) => drop(self.held.put(written, false)),
                    Kind::State(_) | Kind::Passing | Kind::Withdrawn(_) => {}
                    kind @ (Kind::Kept(_) | Kind::Question(_) | Kind::Needed) => {
                        given.lost.push(kind);
                    }
                };
            }
        }
        if self.is_up() {
            given.octets.push(octets);
        }
    }

    /// Whether it was given this message of the hub's, and its client has not said that it has it.
    pub(crate) fn has(&self, message: &MessageId) -> bool {
        let mut sent = self.counters.iter().flat_map(unacknowledged);
        sent.any(|it| it.kind.message() == Some(message))
    }

    /// Whether its client has yet to say of any message of the hub's that it has it.
    pub(crate) fn has_any(&self) -> bool {
        let mut sent = self.counters.iter().flat_map(unacknowledged);
        sent.any(|it| it.kind.message().is_some())
    }

    /// A message of the hub's goes by another door: a client that goes on is not sent it again. Says whether that is news.
    pub(crate) fn withdraw(&mut self, message: &MessageId) -> bool {
        self.turns(message, Kind::Withdrawn(message.clone()))
    }

    /// A message of the hub's is off its hands though the client has not said that it has it: it is ours alone now. Says whether it was
    /// given to the client.
    pub(crate) fn takes_over(&mut self, message: &MessageId) -> bool {
        self.turns(message, Kind::Needed)
    }

    /// A message that was given to the client as one of the hub's is of this kind from now on. Says whether there is one.
    fn turns(&mut self, message: &MessageId, kind: Kind) -> bool {
        let counters = self.counters.iter_mut();
        let mut sent = counters.flat_map(|it| it.both.outbound.unacknowledged_mut());
        let kept = sent.find(|it| matches!(&it.kind, Kind::Kept(id) if id == message));
        kept.map(|it| it.kind = kind).is_some()
    }

    /// `<a/>`
    pub(crate) fn acknowledged(&mut self, now: Instant, handled: u32) -> Result<Got, TooHigh> {
        let Some(counters) = &mut self.counters else {
            return Ok(Got::default());
        };
        let done = counters.both.outbound.acknowledged(now, handled)?;
        let mut got = Got {
            any: !done.is_empty(),
            messages: messages(done),
            given: Given::default(),
        };
        if got.any {
            self.is_full = false;
            if self.is_up() && !self.is_inactive {
                self.flush(now, &mut got.given);
            }
        }
        Ok(got)
    }

    /// A stanza of the client's has arrived; `None`: nobody counts.
    pub(crate) fn arrived(&mut self) -> Result<Option<Seq>, TooMany> {
        let counters = self.counters.as_mut();
        counters.map(|it| it.both.inbound.arrived()).transpose()
    }

    /// It is settled what becomes of that.
    pub(crate) fn settled(&mut self, seq: Seq) {
        if let Some(counters) = &mut self.counters {
            counters.both.inbound.kept(seq);
        }
    }

    /// `<r/>`
    pub(crate) fn asked(&mut self, now: Instant) {
        if let Some(counters) = &mut self.counters {
            counters.both.inbound.asked(now);
        }
    }

    /// Whether it is settled what becomes of all that the client sent.
    pub(crate) fn is_settled(&self) -> bool {
        let counters = self.counters.as_ref();
        counters.is_none_or(|it| it.both.inbound.is_settled())
    }

    /// How much of what the client sent is handled.
    pub(crate) fn handled(&self) -> Option<u32> {
        Some(self.counters.as_ref()?.both.inbound.handled())
    }

    /// What is to be said now, until there is nothing any more.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Say> {
        let counters = self.counters.as_mut().filter(|_| !self.is_down)?;
        if let Some(handled) = counters.both.inbound.poll(now) {
            return Some(Say::Answer(handled));
        }
        Some(match counters.both.outbound.poll(now)? {
            Due::Ask => Say::Ask,
            Due::Dead => Say::Dead,
        })
    }

    /// When to [`poll`](Self::poll) next.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let counters = self.counters.as_ref().filter(|_| !self.is_down)?;
        counters.both.next_timeout()
    }

    /// The connection is gone.
    pub(crate) fn suspend(&mut self) {
        self.is_down = true;
        self.is_inactive = false;
        self.held.forget_states();
        if let Some(counters) = &mut self.counters {
            counters.both.suspend();
            self.reached = unacknowledged(counters).len();
        }
    }

    /// Whether its client says that it has got what it cannot have got from us.
    pub(crate) fn is_beyond(&self, handled: u32) -> bool {
        let counters = self.counters.as_ref();
        let got = counters.and_then(|it| it.both.outbound.distance(handled));
        got.is_none_or(|got| got > self.reached)
    }

    /// There is another one (XEP-0198 §5). Whoever looks does so from then on: that a client was inactive is not
    /// remembered (XEP-0352 §5.2).
    pub(crate) fn resume(&mut self, now: Instant, handled: u32) -> Result<GoesOn, CannotResume> {
        // Asked of sessions that have been enabled, and that are alone found by their names.
        let Some(counters) = &mut self.counters else {
            return Err(CannotResume::NotYet);
        };
        let goes_on = counters.both.resume(now, handled)?;
        // What the hub keeps behind that it gives again in order: here it would overtake what may come by this door after all.
        let mut is_withdrawn = false;
        counters.both.outbound.leave_out(|it| {
            is_withdrawn |= matches!(it.kind, Kind::Withdrawn(_));
            is_withdrawn && it.kind.message().is_some()
        });
        let again = unacknowledged(counters).map(|it| it.octets.clone());
        let mut given = Given {
            octets: again.collect(),
            lost: Vec::new(),
        };
        (self.is_down, self.is_inactive, self.is_full) = (false, false, false);
        self.flush(now, &mut given);
        Ok(GoesOn {
            handled: goes_on.handled,
            messages: messages(goes_on.acknowledged),
            given,
        })
    }

    /// The client says whether anybody looks (XEP-0352 §4.2). Says whether that is news, and what waited for it.
    pub(crate) fn looks(&mut self, now: Instant, somebody: bool) -> (bool, Given) {
        let is_news = std::mem::replace(&mut self.is_inactive, !somebody) == somebody;
        let mut given = Given::default();
        if somebody {
            self.flush(now, &mut given);
        }
        (is_news, given)
    }

    pub(crate) fn is_inactive(&self) -> bool {
        self.is_inactive
    }

    /// The questions that the client was sent and has perhaps never seen.
    pub(crate) fn unanswered(self) -> impl Iterator<Item = Element> {
        let counters = self.counters.into_iter();
        let sent = counters.flat_map(|it| it.both.into_parts().outbound.items);
        sent.filter_map(|(written, _)| match written.kind {
            Kind::Question(head) => Some(*head),
            _ => None,
        })
    }
}

fn unacknowledged(counters: &Counters) -> impl ExactSizeIterator<Item = &Written> {
    counters.both.outbound.unacknowledged()
}

fn messages(written: Vec<Written>) -> Vec<Had> {
    let had = |it: Written| {
        let (id, elsewhere) = match it.kind {
            Kind::Kept(id) => (id, false),
            Kind::Withdrawn(id) => (id, true),
            _ => return None,
        };
        Some(Had { id, elsewhere })
    };
    written.into_iter().filter_map(had).collect()
}
