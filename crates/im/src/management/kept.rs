//! What is kept of the two counters and of what waits, so that another run of the server goes on with them.

use super::{Counters, Held, Management, Written};
use std::time::{Duration, Instant};
use xmpp::management::{Answering, OutboundParts, Policy, Resumption, ResumptionParts};

/// See above. It is right only if all that the client sent was settled when it was taken.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The name by which it can be resumed.
    pub(crate) id: String,
    /// For so long at most.
    pub(crate) cap: Duration,
    /// So much of what the client sent was handled.
    pub(crate) handled: u32,
    /// So much has it acknowledged.
    pub(crate) acknowledged: u32,
    /// What it was sent, or is sent when it is back, and has not acknowledged.
    pub(crate) sent: Vec<Written>,
    /// So many of those it was sent.
    pub(crate) reached: usize,
    /// What is held back.
    pub(crate) held: Vec<Written>,
}

impl Management {
    /// What is to be kept of it; `None`: it cannot be resumed.
    pub(crate) fn kept(&self) -> Option<Kept> {
        let counters = self.counters.as_ref()?;
        let (id, cap) = counters.resumable.clone()?;
        let parts = counters.both.parts();
        let sent = parts.outbound.items.into_iter();
        Some(Kept {
            id,
            cap,
            handled: parts.handled,
            acknowledged: parts.outbound.acknowledged,
            sent: sent.map(|(written, _)| written).collect(),
            reached: self.reached,
            held: self.held.all().cloned().collect(),
        })
    }

    /// As it was when it was kept, without a connection.
    pub(crate) fn restored(
        now: Instant,
        (policy, answering): (Policy, Answering),
        kept: Kept,
    ) -> Self {
        let sent = kept.sent.into_iter().map(|it| {
            let octets = it.octets.len();
            (it, octets)
        });
        let parts = ResumptionParts {
            outbound: OutboundParts {
                acknowledged: kept.acknowledged,
                items: sent.collect(),
            },
            handled: kept.handled,
        };
        let mut held = Held::default();
        for written in kept.held {
            held.put(written, false);
        }
        Self {
            counters: Some(Counters {
                both: Resumption::from_parts(now, policy, answering, parts),
                resumable: Some((kept.id, kept.cap)),
            }),
            held,
            is_down: true,
            reached: kept.reached,
            is_inactive: false,
            is_full: false,
        }
    }
}
