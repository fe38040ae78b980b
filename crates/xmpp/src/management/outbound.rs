//! What was sent and is not acknowledged: it is kept until the peer says that it has it, and sent again after a resumption.
//! When to ask for that, and when a peer that does not answer is taken for gone, is decided here too.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

/// When to ask, how long to wait for an answer, and how much to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Ask once so many items were sent without asking.
    pub ask_after_items: usize,
    /// Ask once the oldest item that was sent without asking is so old.
    pub ask_after: Duration,
    /// A peer is gone if a question about an item is not answered so long after the item was sent. Longer than
    /// `ask_after`, and whenever a question is late the peer has at least the difference.
    pub dead_after: Duration,
    /// Items kept at most.
    pub max_items: usize,
    /// Octets kept at most, as the caller counts them.
    pub max_octets: usize,
}

impl Default for Policy {
    /// Asks after ten items or two seconds, waits fifteen seconds from the first message, keeps a thousand items or a
    /// megabyte.
    fn default() -> Self {
        Self {
            ask_after_items: 10,
            ask_after: Duration::from_secs(2),
            dead_after: Duration::from_secs(15),
            max_items: 1000,
            max_octets: 1 << 20,
        }
    }
}

/// No room: it was not counted and must not be sent. The caller keeps it elsewhere, as for a user who is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow<T>(pub T);

/// The peer has more than it was sent: a stream error, `<handled-count-too-high/>` (XEP-0198 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("acknowledged {handled} stanzas, but only {sent} were sent")]
pub struct TooHigh {
    /// What the peer says.
    pub handled: u32,
    /// What was sent, modulo 2^32.
    pub sent: u32,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Send `<r/>`.
    Ask,
    /// Nobody is there: close the connection and [suspend](Outbound::suspend).
    Dead,
}

/// What [`Outbound`] is made of, to be kept or carried elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundParts<T> {
    /// The last count that the peer acknowledged.
    pub acknowledged: u32,
    /// What it has not, the oldest first, each with its octets.
    pub items: Vec<(T, usize)>,
}

#[derive(Debug, Clone)]
struct Kept<T> {
    item: T,
    octets: usize,
    /// When it was sent last.
    at: Instant,
}

/// The connection under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// There is none: what is sent waits.
    Down,
    /// There is one.
    Up {
        /// When a peer that was asked and has not answered is taken for gone.
        dead_at: Option<Instant>,
        /// Asked about so many of those that are kept.
        asked: usize,
        /// When the last answer came.
        answered_at: Instant,
    },
}

/// What was sent and is not acknowledged. Counts are modulo 2^32 (XEP-0198 §4).
#[derive(Debug, Clone)]
pub struct Outbound<T> {
    policy: Policy,
    acknowledged: u32,
    kept: VecDeque<Kept<T>>,
    octets: usize,
    link: Link,
}

impl<T> Outbound<T> {
    /// Nothing sent yet, over a connection on which management was enabled just now.
    pub fn new(now: Instant, policy: Policy) -> Self {
        let parts = OutboundParts {
            acknowledged: 0,
            items: Vec::new(),
        };
        let mut outbound = Self::from_parts(now, policy, parts);
        outbound.connect(now);
        outbound
    }

    /// As it was, without a connection: [`resume`](Self::resume) brings one. Older parts may be over a limit that is new;
    /// then nothing is added until they are below it.
    pub fn from_parts(now: Instant, policy: Policy, parts: OutboundParts<T>) -> Self {
        let octets = parts.items.iter().map(|(_, octets)| octets).sum();
        let kept = parts.items.into_iter().map(|(item, octets)| Kept {
            item,
            octets,
            at: now,
        });
        Self {
            policy,
            acknowledged: parts.acknowledged,
            kept: kept.collect(),
            octets,
            link: Link::Down,
        }
    }

    /// What it is made of.
    pub fn into_parts(self) -> OutboundParts<T> {
        let items = self.kept.into_iter();
        OutboundParts {
            acknowledged: self.acknowledged,
            items: items.map(|kept| (kept.item, kept.octets)).collect(),
        }
    }

    /// Counts an item that is sent now, or once there is a connection again.
    ///
    /// # Errors
    /// [`Overflow`] gives it back if there is no room.
    pub fn sent(&mut self, now: Instant, item: T, octets: usize) -> Result<(), Overflow<T>> {
        let full = self.kept.len() >= self.policy.max_items
            || octets > self.policy.max_octets.saturating_sub(self.octets);
        if full {
            return Err(Overflow(item));
        }
        self.octets += octets;
        self.kept.push_back(Kept {
            item,
            octets,
            at: now,
        });
        Ok(())
    }

    /// The peer has handled `handled` items: an `<a/>`, which is an answer whether it was asked for or not. Returns what it
    /// acknowledges, the oldest first. A count that went back tells nothing.
    ///
    /// # Errors
    /// [`TooHigh`]; nothing has changed.
    pub fn acknowledged(&mut self, now: Instant, handled: u32) -> Result<Vec<T>, TooHigh> {
        let done = match self.distance(handled) {
            Some(done) => done,
            None if self.is_behind(handled) => 0,
            None => return Err(self.too_high(handled)),
        };
        if let Link::Up {
            dead_at,
            asked,
            answered_at,
        } = &mut self.link
        {
            *dead_at = None;
            *asked = asked.saturating_sub(done);
            *answered_at = now;
        }
        Ok(self.take(done))
    }

    /// The connection is gone. What is kept stays, what is sent from now on waits behind it.
    pub fn suspend(&mut self) {
        self.link = Link::Down;
    }

    /// There is another connection, whose peer has handled `handled` items: returns what that acknowledges. All that is
    /// [kept](Self::unacknowledged) is to be sent now, in its order and before anything else (XEP-0198 §5).
    ///
    /// # Errors
    /// [`TooHigh`], also if the peer has forgotten what it had: that is not kept any more. Nothing has changed.
    pub fn resume(&mut self, now: Instant, handled: u32) -> Result<Vec<T>, TooHigh> {
        let done = self.distance(handled);
        let done = done.ok_or_else(|| self.too_high(handled))?;
        let acknowledged = self.take(done);
        for kept in &mut self.kept {
            kept.at = now;
        }
        self.connect(now);
        Ok(acknowledged)
    }

    /// What the peer has not acknowledged, the oldest first.
    pub fn unacknowledged(&self) -> impl ExactSizeIterator<Item = &T> {
        self.kept.iter().map(|kept| &kept.item)
    }

    /// The same, to be changed.
    pub fn unacknowledged_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.kept.iter_mut().map(|kept| &mut kept.item)
    }

    /// Not all of it is to be sent again: what is left out is not counted from then on. Right after a
    /// [resumption](Self::resume), before any of it is sent: only then are both ends of one mind about what was.
    /// Asked of each in order, the oldest first.
    pub fn leave_out(&mut self, mut is_left: impl FnMut(&T) -> bool) {
        self.kept.retain(|kept| !is_left(&kept.item));
        self.octets = self.kept.iter().map(|kept| kept.octets).sum();
    }

    /// Octets kept, as the caller counted them.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// Counts sent, modulo 2^32.
    pub fn count(&self) -> u32 {
        self.acknowledged.wrapping_add(self.kept_count())
    }

    /// What is to be done now; a question counts as sent. Best asked whenever something was sent, so that the question goes
    /// with it, and at [`next_timeout`](Self::next_timeout).
    pub fn poll(&mut self, now: Instant) -> Option<Due> {
        let due = self.due().filter(|(at, _)| *at <= now)?.1;
        if let Link::Up { dead_at, asked, .. } = &mut self.link
            && due == Due::Ask
        {
            let first = self.kept.get(*asked).map_or(now, |kept| kept.at);
            let at_least = self.policy.dead_after.saturating_sub(self.policy.ask_after);
            *dead_at = Some((first + self.policy.dead_after).max(now + at_least));
            *asked = self.kept.len();
        }
        Some(due)
    }

    /// When to [poll](Self::poll) next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.due().map(|(at, _)| at)
    }

    /// What comes next, and when. There are never two questions at once.
    fn due(&self) -> Option<(Instant, Due)> {
        let Link::Up {
            dead_at,
            asked,
            answered_at,
        } = self.link
        else {
            return None;
        };
        if let Some(at) = dead_at {
            return Some((at, Due::Dead));
        }
        let at = match self.kept.get(asked) {
            Some(_) if self.kept.len() - asked >= self.policy.ask_after_items => answered_at,
            Some(oldest) => oldest.at + self.policy.ask_after,
            // It was asked about all, and has answered without having handled all: it is alive, and there is time.
            None if !self.kept.is_empty() => answered_at + self.policy.dead_after,
            None => return None,
        };
        Some((at, Due::Ask))
    }

    fn connect(&mut self, now: Instant) {
        self.link = Link::Up {
            dead_at: None,
            asked: 0,
            answered_at: now,
        };
    }

    /// So many of those that are kept does a count acknowledge, if it is one that can be.
    pub fn distance(&self, handled: u32) -> Option<usize> {
        let distance = usize::try_from(handled.wrapping_sub(self.acknowledged)).ok()?;
        (distance <= self.kept.len()).then_some(distance)
    }

    fn is_behind(&self, handled: u32) -> bool {
        self.acknowledged.wrapping_sub(handled) <= u32::MAX / 2
    }

    fn too_high(&self, handled: u32) -> TooHigh {
        TooHigh {
            handled,
            sent: self.count(),
        }
    }

    fn take(&mut self, done: usize) -> Vec<T> {
        let before = self.count();
        let rest = self.kept.split_off(done);
        let done = mem::replace(&mut self.kept, rest);
        self.octets -= done.iter().map(|kept| kept.octets).sum::<usize>();
        self.acknowledged = before.wrapping_sub(self.kept_count());
        done.into_iter().map(|kept| kept.item).collect()
    }

    /// They are fewer than 2^32 by far, see [`Policy::max_items`].
    fn kept_count(&self) -> u32 {
        u32::try_from(self.kept.len()).unwrap_or(u32::MAX)
    }
}
