//! A session of two counters that outlives its connection.

use std::time::Instant;

use super::inbound::{Answering, Inbound};
use super::outbound::{Outbound, OutboundParts, Policy, TooHigh};

/// Both directions of a managed stream, at one of its ends.
#[derive(Debug, Clone)]
pub struct Resumption<T> {
    /// What this end sends.
    pub outbound: Outbound<T>,
    /// What it receives.
    pub inbound: Inbound,
}

/// What it is made of: enough for another shard, or for the server after a restart. `handled` is right only if it was kept in
/// the same step as the items that it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumptionParts<T> {
    /// What was sent.
    pub outbound: OutboundParts<T>,
    /// What was handled.
    pub handled: u32,
}

/// A session that goes on. What is to be sent again is [`Outbound::unacknowledged`]: all of it, in its order, behind
/// `<resumed/>` and before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoesOn<T> {
    /// The count for `<resumed/>`.
    pub handled: u32,
    /// What the peer has got, the oldest first.
    pub acknowledged: Vec<T>,
}

/// Why a session does not go on. It is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotResume {
    /// Not yet: something that arrived is still on its way into the store. Ask again when it is
    /// [settled](Inbound::is_settled).
    #[error("what arrived is not settled yet")]
    NotYet,
    /// The peer counts otherwise than we do.
    #[error(transparent)]
    TooHigh(#[from] TooHigh),
}

impl<T> Resumption<T> {
    /// A session that begins, on a stream on which management was enabled just now (XEP-0198 §3).
    pub fn new(now: Instant, policy: Policy, answering: Answering) -> Self {
        Self {
            outbound: Outbound::new(now, policy),
            inbound: Inbound::new(answering, 0),
        }
    }

    /// A session as it was, without a connection.
    pub fn from_parts(
        now: Instant,
        policy: Policy,
        answering: Answering,
        parts: ResumptionParts<T>,
    ) -> Self {
        Self {
            outbound: Outbound::from_parts(now, policy, parts.outbound),
            inbound: Inbound::new(answering, parts.handled),
        }
    }

    /// What it is made of. What arrived and is not settled is not in it: the peer sends it again.
    pub fn into_parts(self) -> ResumptionParts<T> {
        ResumptionParts {
            outbound: self.outbound.into_parts(),
            handled: self.inbound.handled(),
        }
    }

    /// The same of one that goes on.
    pub fn parts(&self) -> ResumptionParts<T>
    where
        T: Clone,
    {
        self.clone().into_parts()
    }

    /// The connection is gone.
    pub fn suspend(&mut self) {
        self.outbound.suspend();
    }

    /// Goes on over another connection, whose peer has handled `handled` (XEP-0198 §5). The old one, if it seems to be
    /// there still, must not be read any more.
    ///
    /// # Errors
    /// Why it does not.
    pub fn resume(&mut self, now: Instant, handled: u32) -> Result<GoesOn<T>, CannotResume> {
        if !self.inbound.is_settled() {
            return Err(CannotResume::NotYet);
        }
        let acknowledged = self.outbound.resume(now, handled)?;
        Ok(GoesOn {
            handled: self.inbound.tell_anew(),
            acknowledged,
        })
    }

    /// When to poll either direction next.
    pub fn next_timeout(&self) -> Option<Instant> {
        let timeouts = [self.outbound.next_timeout(), self.inbound.next_timeout()];
        timeouts.into_iter().flatten().min()
    }
}
