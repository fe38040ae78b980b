//! How many may want something of the inside at the same time, and how often: who signs in, by where they come from; who shows a
//! token, by whose it is.

use crate::room::{self, Room};
use domain::{
    Address,
    quota::{Allowance, Quota},
};
use net::{Standing, Visitor};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// Connections of one source that have something of theirs at the inside and have not signed in: as many as a household's phones that
/// come back at the same moment, fewer than who guesses wants.
const SIGNING_IN: u32 = 16;

/// Connections of one source that begin to sign in a minute, as long as nobody has signed in from there; and tokens of one source
/// that are none.
const A_MINUTE: u32 = 120;

/// Those that are signing in, of all sources from which nobody has signed in yet: who has very many addresses leaves room for those
/// that are known, and loses its own to others.
const STRANGERS: usize = 2_000;

/// Requests of one user that an inside is answering, sign-ins by a token among them: more than an app asks when it starts.
const OF_USER: Allowance = Allowance {
    at_once: 8,
    a_minute: 240,
};

/// Those that are taken.
pub(super) struct Places {
    counts: Mutex<Counts>,
    strangers: Arc<Room>,
}

struct Counts {
    of_known: Quota<IpAddr>,
    of_strangers: Quota<IpAddr>,
    of_users: Quota<Address>,
    bad_tokens: Quota<IpAddr>,
}

/// Counts as one of them until it is dropped.
pub(super) struct Place {
    of: Arc<Places>,
    whose: Whose,
}

enum Whose {
    Known(IpAddr),
    Stranger(IpAddr, room::Place),
    User(Address),
}

impl Default for Places {
    fn default() -> Self {
        let quota = |at_once, a_minute| Quota::new(Allowance { at_once, a_minute });
        let counts = Counts {
            of_known: quota(SIGNING_IN, u32::MAX),
            of_strangers: quota(SIGNING_IN, A_MINUTE),
            of_users: Quota::new(OF_USER),
            bad_tokens: quota(u32::MAX, A_MINUTE),
        };
        Self {
            counts: Mutex::new(counts),
            strangers: Arc::default(),
        }
    }
}

impl Places {
    /// One for who signs in from there, if there is one. When strangers have all of theirs, whoever has most of them loses one.
    pub(super) fn of_source(
        self: &Arc<Self>,
        visitor: Visitor,
        now: Instant,
        is_known: impl Fn(IpAddr) -> bool,
    ) -> Option<Place> {
        let source = visitor.source;
        if visitor.standing == Standing::Known {
            self.counts().of_known.take(now, source).ok()?;
            return Some(self.taken(Whose::Known(source)));
        }
        self.counts().of_strangers.take(now, source).ok()?;
        let room = (STRANGERS, SIGNING_IN as usize);
        let place = self.strangers.take_unproven(source, room, is_known);
        if place.is_none() {
            self.counts().of_strangers.give_back(&source);
        }
        Some(self.taken(Whose::Stranger(source, place?)))
    }

    /// One for who shows a token of this user, if there is one.
    pub(super) fn of_user(self: &Arc<Self>, user: &Address, now: Instant) -> Option<Place> {
        self.counts().of_users.take(now, user.clone()).ok()?;
        Some(self.taken(Whose::User(user.clone())))
    }

    /// Whether a token that is shown there is looked at.
    pub(super) fn may_show_token(&self, source: IpAddr, now: Instant) -> bool {
        self.counts().bad_tokens.wait(now, &source).is_none()
    }

    /// One that was shown there was none.
    pub(super) fn bad_token(&self, source: IpAddr, now: Instant) {
        // Whoever comes next hears of it.
        let _ = self.counts().bad_tokens.pass(now, &source);
    }

    fn taken(self: &Arc<Self>, whose: Whose) -> Place {
        let of = self.clone();
        Place { of, whose }
    }

    /// Held for a look-up only.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until it is somebody else's, which it may never be.
    pub(super) async fn is_lost(&mut self) {
        match &mut self.whose {
            Whose::Stranger(_, place) => place.is_lost().await,
            Whose::Known(_) | Whose::User(_) => std::future::pending().await,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.of.counts();
        match &self.whose {
            Whose::Known(source) => counts.of_known.give_back(source),
            Whose::Stranger(source, _) => counts.of_strangers.give_back(source),
            Whose::User(user) => counts.of_users.give_back(user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        pin::pin,
        task::{Context, Waker},
        time::Duration,
    };

    fn visitor(source: u32, standing: Standing) -> Visitor {
        Visitor {
            source: IpAddr::from(source.to_be_bytes()),
            standing,
        }
    }

    /// One for such a visitor, where nobody has become known.
    fn of(places: &Arc<Places>, visitor: Visitor, now: Instant) -> Option<Place> {
        places.of_source(visitor, now, |_| false)
    }

    fn is_lost(place: &mut Place) -> bool {
        let lost = pin!(place.is_lost());
        lost.poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn a_source_has_so_many_places_and_strangers_leave_room_for_the_known_and_for_each_other() {
        let (places, now) = (Arc::new(Places::default()), Instant::now());
        let place = |source, standing| of(&places, visitor(source, standing), now);
        let mut taken: Vec<_> = (0..SIGNING_IN)
            .map(|_| place(1, Standing::Stranger).unwrap())
            .collect();
        assert!(place(1, Standing::Stranger).is_none());
        let others = 0..u32::try_from(STRANGERS).unwrap() - SIGNING_IN;
        taken.extend(others.map(|source| place(2 + source, Standing::Stranger).unwrap()));
        assert!(!is_lost(&mut taken[0]));
        let newcomer = place(9_999, Standing::Stranger);
        assert!(newcomer.is_some(), "whoever has most makes room");
        assert!(is_lost(&mut taken[0]) && !is_lost(&mut taken[1]));
        assert!(place(9_999, Standing::Known).is_some());
        drop((taken, newcomer));
        assert!(place(1, Standing::Stranger).is_some());
        let later = now + Duration::from_mins(2);
        let counts = places.counts();
        assert!(counts.of_strangers.is_idle(later) && counts.of_known.is_idle(later));
    }

    #[test]
    fn a_source_of_nobody_s_begins_so_often_a_minute() {
        let (places, now) = (Arc::new(Places::default()), Instant::now());
        let begins = |standing, now| of(&places, visitor(1, standing), now).is_some();
        for _ in 0..A_MINUTE {
            assert!(begins(Standing::Stranger, now));
            assert!(begins(Standing::Known, now));
        }
        assert!(!begins(Standing::Stranger, now));
        assert!(begins(Standing::Known, now));
        assert!(begins(Standing::Stranger, now + Duration::from_secs(1)));
    }

    #[test]
    fn a_user_s_tokens_have_so_many_places_and_come_so_often() {
        let (places, now) = (Arc::new(Places::default()), Instant::now());
        let [alice, bob] = ["alice@localhost", "bob@localhost"].map(|it| it.parse().unwrap());
        let taken: Vec<_> = (0..OF_USER.at_once)
            .map(|_| places.of_user(&alice, now).unwrap())
            .collect();
        assert!(places.of_user(&alice, now).is_none());
        assert!(places.of_user(&bob, now).is_some());
        drop(taken);
        for _ in OF_USER.at_once..OF_USER.a_minute {
            assert!(places.of_user(&alice, now).is_some());
        }
        assert!(places.of_user(&alice, now).is_none());
        assert!(
            places
                .of_user(&alice, now + Duration::from_secs(1))
                .is_some()
        );
    }

    #[test]
    fn who_has_shown_many_bad_tokens_shows_no_more_for_a_while() {
        let (places, now) = (Places::default(), Instant::now());
        let [source, other] = [1, 2].map(|it| visitor(it, Standing::Stranger).source);
        for _ in 0..A_MINUTE {
            assert!(places.may_show_token(source, now));
            places.bad_token(source, now);
        }
        assert!(!places.may_show_token(source, now));
        assert!(places.may_show_token(other, now));
        assert!(places.may_show_token(source, now + Duration::from_secs(1)));
    }
}
