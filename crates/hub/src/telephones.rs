//! What is known of users' telephones beside their doors: what they say of the user, and whether the user talks. In memory
//! only. What others see of it is made of this and of the directory when somebody looks, and kept up to date from then on
//! only: of a user at whom nobody looks nothing is kept here.

use crate::{
    People,
    people::{Stated, Talk},
};
use domain::{
    Address, IdMap, Mode, Timestamp,
    presence::{Resource, Show, TELEPHONE},
};
use smallvec::SmallVec;
use std::{
    collections::{BTreeSet, HashSet},
    time::{Duration, Instant},
};

/// Where telephones stand among a user's clients (RFC 6121 §4.7.2.3): with those that say nothing of it; before all, while
/// the user talks.
const PRIORITY: (i8, i8) = (0, i8::MAX);

/// See above.
#[derive(Debug)]
pub(crate) struct Telephones {
    /// At whom somebody has looked: at most all users of the shard.
    looked_at: HashSet<Address>,
    stated: IdMap<Address, Box<Stated>>,
    talks: IdMap<Address, SmallVec<[(Talk, Instant); 1]>>,
    /// When it is believed no more that they talk.
    due: BTreeSet<(Instant, Address, Talk)>,
    most: usize,
}

impl Telephones {
    pub(crate) fn new(people: &People) -> Self {
        Self {
            looked_at: HashSet::new(),
            stated: IdMap::default(),
            talks: IdMap::default(),
            due: BTreeSet::new(),
            most: people.talks,
        }
    }

    /// Somebody looks at a user.
    pub(crate) fn look_at(&mut self, user: &Address) {
        self.looked_at.insert(user.clone());
    }

    pub(crate) fn is_looked_at(&self, user: &Address) -> bool {
        self.looked_at.contains(user)
    }

    /// What they say of their user.
    pub(crate) fn state(&mut self, user: &Address, stated: Option<Box<Stated>>) {
        match stated {
            Some(stated) => self.stated.insert(user.clone(), stated),
            None => self.stated.remove(user),
        };
    }

    /// A user talks, or not any more.
    pub(crate) fn talk(
        &mut self,
        now: Instant,
        user: &Address,
        talk: Talk,
        time: Option<Duration>,
    ) {
        let talks = self.talks.entry(user.clone()).or_default();
        if let Some(place) = talks.iter().position(|(known, _)| *known == talk) {
            let (_, until) = talks.remove(place);
            self.due.remove(&(until, user.clone(), talk));
        }
        if let Some(time) = time.filter(|_| talks.len() < self.most) {
            talks.push((talk, now + time));
            self.due.insert((now + time, user.clone(), talk));
        }
        if talks.is_empty() {
            self.talks.remove(user);
        }
    }

    /// Of whom it is believed no more that they talk: nothing was heard of it for too long.
    pub(crate) fn timeout(&mut self, now: Instant) -> Vec<Address> {
        let mut users = Vec::new();
        while let Some((_, user, talk)) = self.due.first().filter(|it| it.0 <= now).cloned() {
            self.talk(now, &user, talk, None);
            users.push(user);
        }
        users
    }

    /// When [`timeout`](Self::timeout) wants to be called next.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// A user is no more.
    pub(crate) fn remove(&mut self, user: &Address) {
        self.looked_at.remove(user);
        self.stated.remove(user);
        for (talk, until) in self.talks.remove(user).unwrap_or_default() {
            self.due.remove(&(until, user.clone(), talk));
        }
    }

    /// What is seen of them, if anything: they do this behind their doors, `None` if there are none.
    pub(crate) fn seen(
        &self,
        user: &Address,
        mode: Option<Mode>,
        since: Timestamp,
    ) -> Option<Resource> {
        let stated = self.stated.get(user);
        let is_here = stated.map_or(mode.is_some(), |it| it.is_here);
        let talks = self.talks.contains_key(user);
        if !(is_here || talks && mode.is_some()) {
            return None;
        }
        let (show, payload) = match stated.filter(|_| !talks) {
            Some(stated) => (stated.show, stated.payload.clone()),
            None if talks => (Show::DoNotDisturb, bytes::Bytes::new()),
            None => (Show::Available, bytes::Bytes::new()),
        };
        Some(Resource {
            name: TELEPHONE.into(),
            priority: if talks { PRIORITY.1 } else { PRIORITY.0 },
            show,
            payload,
            since,
            suspended: !talks && matches!(mode, Some(Mode::Suspended | Mode::Silent)),
        })
    }
}
