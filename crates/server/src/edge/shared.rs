//! What the loop of an edge and the tasks of its clients share.

use super::gate::Refused;
use crate::{
    api::tokens::{Kind, vouched},
    clock::now,
    doorkeeper::Doorkeeper,
    metrics::Metrics,
};
use domain::{
    Address,
    quota::{Allowance, Quota},
};
use hub::Guards;
use net::{Net, Standing, Visitor};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio_util::task::TaskTracker;

/// Connections of one source that have something of theirs at the inside and have not signed in: as many as a household's phones that
/// come back at the same moment, fewer than who guesses wants.
const SIGNING_IN: u32 = 16;

/// Connections of one source that begin to sign in a minute, as long as nobody has signed in from there.
const A_MINUTE: u32 = 120;

/// Those that are signing in, of all sources from which nobody has signed in yet: who has very many addresses leaves room for those
/// that are known.
const STRANGERS: usize = 2_000;

/// See above.
pub(crate) struct Shared {
    pub(crate) net: Net,
    pub(crate) tunnel: tunnel::Edge,
    pub(crate) tasks: TaskTracker,
    /// What a message may be made of.
    pub(super) limits: sip::Limits,
    pub(super) passwords: bool,
    /// Of whoever names none.
    pub(super) domain: Box<str>,
    pub(super) metrics: Arc<Metrics>,
    /// From where somebody has signed in.
    pub(super) guards: Guards,
    /// Who is at an address.
    keeper: Doorkeeper,
    signing_in: Arc<SigningIn>,
}

/// Connections that are signing in.
struct SigningIn(Mutex<Counts>);

struct Counts {
    of_known: Quota<IpAddr>,
    of_strangers: Quota<IpAddr>,
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
        (passwords, domain): (bool, &str),
        (metrics, guards, keeper): (Arc<Metrics>, Guards, Doorkeeper),
    ) -> Self {
        Self {
            net,
            tunnel,
            tasks: TaskTracker::new(),
            limits,
            passwords,
            domain: domain.into(),
            metrics,
            guards,
            keeper,
            signing_in: Arc::default(),
        }
    }

    /// Whose token of this kind it is.
    ///
    /// # Errors
    /// No inside that is there has made it, or none is there.
    pub(super) fn vouched(&self, token: &str, kind: Kind) -> Result<Address, Refused> {
        let keys = self.tunnel.told();
        if keys.is_empty() {
            return Err(Refused::NoInside);
        }
        vouched(token, kind, &keys, now()).ok_or(Refused::BadToken)
    }

    /// A place for who signs in from there, if there is one.
    pub(super) fn place(&self, from: IpAddr) -> Option<Place> {
        let visitor = self.keeper.visitor(from);
        self.signing_in.place(visitor, Instant::now())
    }
}

impl Default for SigningIn {
    fn default() -> Self {
        let quota = |a_minute| {
            Quota::new(Allowance {
                at_once: SIGNING_IN,
                a_minute,
            })
        };
        Self(Mutex::new(Counts {
            of_known: quota(u32::MAX),
            of_strangers: quota(A_MINUTE),
            strangers: 0,
        }))
    }
}

impl SigningIn {
    fn place(self: &Arc<Self>, visitor: Visitor, now: Instant) -> Option<Place> {
        let mut counts = self.counts();
        if visitor.standing == Standing::Known {
            counts.of_known.take(now, visitor.source).ok()?;
        } else {
            if counts.strangers >= STRANGERS {
                return None;
            }
            counts.of_strangers.take(now, visitor.source).ok()?;
            counts.strangers += 1;
        }
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
        if self.visitor.standing == Standing::Known {
            counts.of_known.give_back(&self.visitor.source);
        } else {
            counts.of_strangers.give_back(&self.visitor.source);
            counts.strangers -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn visitor(source: u32, standing: Standing) -> Visitor {
        Visitor {
            source: IpAddr::from(source.to_be_bytes()),
            standing,
        }
    }

    #[test]
    fn a_source_has_so_many_places_and_strangers_leave_room_for_the_known() {
        let (signing_in, now) = (Arc::new(SigningIn::default()), Instant::now());
        let place = |source, standing| signing_in.place(visitor(source, standing), now);
        let mut taken: Vec<_> = (0..SIGNING_IN)
            .map(|_| place(1, Standing::Stranger).unwrap())
            .collect();
        assert!(place(1, Standing::Stranger).is_none());
        let others = 0..u32::try_from(STRANGERS).unwrap() - SIGNING_IN;
        taken.extend(others.map(|source| place(2 + source, Standing::Stranger).unwrap()));
        assert!(place(9_999, Standing::Stranger).is_none());
        assert!(place(9_999, Standing::Known).is_some());
        drop(taken);
        assert!(place(1, Standing::Stranger).is_some());
        let later = now + Duration::from_mins(2);
        let counts = signing_in.counts();
        assert!(counts.of_strangers.is_idle(later) && counts.of_known.is_idle(later));
        assert_eq!(counts.strangers, 0);
    }

    #[test]
    fn a_source_of_nobody_s_begins_so_often_a_minute() {
        let (signing_in, now) = (Arc::new(SigningIn::default()), Instant::now());
        let begins = |standing, now| signing_in.place(visitor(1, standing), now).is_some();
        for _ in 0..A_MINUTE {
            assert!(begins(Standing::Stranger, now));
            assert!(begins(Standing::Known, now));
        }
        assert!(!begins(Standing::Stranger, now));
        assert!(begins(Standing::Known, now));
        assert!(begins(Standing::Stranger, now + Duration::from_secs(1)));
    }
}
