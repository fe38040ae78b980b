//! What the loop of an edge and the tasks of its clients share.

use super::gate::Refused;
use crate::{doorkeeper::Doorkeeper, metrics::Metrics};
use hub::Guards;
use net::{Net, Standing, Visitor};
use sip::{Flow, Message, endpoint::Transmit};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::task::TaskTracker;

/// Connections of one source that have something of theirs at the inside and have not signed in: as many as a household's phones that
/// come back at the same moment, fewer than who guesses wants.
const SIGNING_IN: usize = 16;

/// The same of all sources from which nobody has signed in yet: who has very many addresses leaves room for those that are known.
const STRANGERS: usize = 2_000;

/// See above.
pub(crate) struct Shared {
    pub(crate) net: Net,
    pub(crate) tunnel: tunnel::Edge,
    pub(crate) tasks: TaskTracker,
    /// What a message may be made of.
    pub(super) limits: sip::Limits,
    pub(super) passwords: bool,
    pub(super) metrics: Arc<Metrics>,
    /// From where somebody has signed in.
    pub(super) guards: Guards,
    /// Who is at an address.
    keeper: Doorkeeper,
    signing_in: Arc<SigningIn>,
}

/// Connections that are signing in.
#[derive(Default)]
struct SigningIn(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    by_source: HashMap<IpAddr, usize>,
    strangers: usize,
}

/// Counts as one of them until it is dropped.
pub(super) struct Place {
    of: Arc<SigningIn>,
    visitor: Visitor,
}

impl Shared {
    pub(crate) fn new(
        (net, tunnel): (Net, tunnel::Edge),
        limits: sip::Limits,
        passwords: bool,
        (metrics, guards, keeper): (Arc<Metrics>, Guards, Doorkeeper),
    ) -> Self {
        Self {
            net,
            tunnel,
            tasks: TaskTracker::new(),
            limits,
            passwords,
            metrics,
            guards,
            keeper,
            signing_in: Arc::default(),
        }
    }

    /// A message does not go on: it is answered, if it is a request, and its sender is sent away.
    pub(super) fn refuse(&self, flow: Flow, message: &Message, why: Refused) {
        self.metrics.edge_refused(why.name(), 1);
        // A response and an ACK are answered by nobody.
        if message.is_request() && message.method() != Some(sip::Method::Ack) {
            self.net.send(Transmit {
                flow,
                bytes: why.response(message).bytes().clone(),
            });
        }
        self.net.close(flow);
    }

    /// A place for who signs in from there, if there is one.
    pub(super) fn place(&self, from: IpAddr) -> Option<Place> {
        self.signing_in.place(self.keeper.visitor(from))
    }
}

impl SigningIn {
    fn place(self: &Arc<Self>, visitor: Visitor) -> Option<Place> {
        let mut counts = self.counts();
        let counts = &mut *counts;
        let is_stranger = visitor.standing != Standing::Known;
        let of_source = counts.by_source.get(&visitor.source).copied();
        let of_source = of_source.unwrap_or_default();
        if of_source >= SIGNING_IN || is_stranger && counts.strangers >= STRANGERS {
            return None;
        }
        counts.by_source.insert(visitor.source, of_source + 1);
        counts.strangers += usize::from(is_stranger);
        Some(Place {
            of: self.clone(),
            visitor,
        })
    }

    /// Held for a look-up only.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.of.counts();
        if self.visitor.standing != Standing::Known {
            counts.strangers -= 1;
        }
        if let Some(count) = counts.by_source.get_mut(&self.visitor.source) {
            *count -= 1;
            if *count == 0 {
                counts.by_source.remove(&self.visitor.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(source: u32, standing: Standing) -> Visitor {
        Visitor {
            source: IpAddr::from(source.to_be_bytes()),
            standing,
        }
    }

    #[test]
    fn a_source_has_so_many_places_and_strangers_leave_room_for_the_known() {
        let signing_in = Arc::new(SigningIn::default());
        let place = |source, standing| signing_in.place(visitor(source, standing));
        let mut taken: Vec<_> = (0..SIGNING_IN)
            .map(|_| place(1, Standing::Stranger).unwrap())
            .collect();
        assert!(place(1, Standing::Stranger).is_none());
        let others = 0..u32::try_from(STRANGERS - SIGNING_IN).unwrap();
        taken.extend(others.map(|source| place(2 + source, Standing::Stranger).unwrap()));
        assert!(place(9_999, Standing::Stranger).is_none());
        assert!(place(9_999, Standing::Known).is_some());
        drop(taken);
        assert!(signing_in.counts().by_source.is_empty());
        assert_eq!(signing_in.counts().strangers, 0);
    }
}
