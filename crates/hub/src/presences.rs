//! Who is available, of the users of this shard, and when others were seen last. In memory only.

use crate::{People, Said};
use bytes::Bytes;
use domain::{
    Address, IdMap, Now, Timestamp,
    presence::{Limits, News, Presence, Resource, Show, TELEPHONE},
};
use std::{collections::BTreeSet, time::Instant};

/// What others are to see.
#[derive(Debug)]
pub(crate) struct Broadcast {
    pub(crate) news: Vec<News>,
    /// The client that spoke: what it said is shown to the user's clients as well.
    pub(crate) spoke: Option<Box<str>>,
    /// It is new: it is shown what it has missed.
    pub(crate) is_new: bool,
}

/// See above.
#[derive(Debug)]
pub(crate) struct Presences {
    people: IdMap<Address, Presence>,
    /// Who is to be looked at, and when.
    due: BTreeSet<(Instant, Address)>,
    gone: LastSeen,
    /// Who looks at others without a word of being there themselves, by so many clients.
    looking: IdMap<Address, usize>,
    limits: Limits,
}

impl Presences {
    pub(crate) fn new(people: &People) -> Self {
        Self {
            people: IdMap::default(),
            due: BTreeSet::new(),
            looking: IdMap::default(),
            gone: LastSeen {
                most: people.last_seen,
                ..LastSeen::default()
            },
            limits: people.presence,
        }
    }

    /// What a client says of itself is so at once: nothing of it is kept. What others are to see of it, if anything.
    pub(crate) fn said(&mut self, now: Now, user: &Address, said: Said) -> Option<Broadcast> {
        let limits = self.limits;
        let (spoke, is_new, news) = match said {
            Said::Available(resource) => {
                let name = resource.name.clone();
                let is_new = self.resource_is_new(user, &name);
                let news = self.change(user, |it| it.available(now, *resource, &limits));
                (Some(name), is_new, news)
            }
            Said::Unavailable { resource, payload } => {
                let news = self.change(user, |it| it.unavailable(now, &resource, payload));
                (Some(resource), false, news)
            }
            Said::Suspended(resource, suspended) => {
                let news = self.change(user, |it| it.suspended(now, &resource, suspended));
                (None, false, news)
            }
            _ => return None,
        };
        self.note_absence(now, user, &news);
        Some(Broadcast {
            news,
            spoke,
            is_new,
        })
        .filter(|it| !it.news.is_empty())
    }

    /// A client was available before a restart; see [`Presence::restored`].
    pub(crate) fn restore(&mut self, now: Now, user: &Address, resource: Resource, is_seen: bool) {
        self.change(user, |it| {
            it.restored(now, resource, is_seen);
            Vec::new()
        });
    }

    /// A client of a user begins to look at others, without a word of being there itself.
    pub(crate) fn begins_to_look(&mut self, user: &Address) {
        *self.looking.entry(user.clone()).or_default() += 1;
    }

    /// One of those does not any more.
    pub(crate) fn looks_away(&mut self, user: &Address) {
        if let Some(clients) = self.looking.get_mut(user) {
            *clients -= 1;
            if *clients == 0 {
                self.looking.remove(user);
            }
        }
    }

    /// What a user's telephones do, all together. What others are to see of it, if anything.
    pub(crate) fn telephone(
        &mut self,
        now: Now,
        user: &Address,
        telephone: Option<Resource>,
    ) -> Option<Broadcast> {
        let news = self.change(user, |it| it.telephone(now, telephone));
        self.note_absence(now, user, &news);
        let broadcast = Broadcast {
            news,
            spoke: Some(TELEPHONE.into()),
            is_new: false,
        };
        Some(broadcast).filter(|it| !it.news.is_empty())
    }

    fn note_absence(&mut self, now: Now, user: &Address, news: &[News]) {
        if !self.is_available(user) && !news.is_empty() {
            self.gone.insert(user, now.wall);
        }
    }

    /// Whose clients have slept for long enough, and what others see of that.
    pub(crate) fn timeout(&mut self, now: Instant) -> Vec<(Address, Broadcast)> {
        let mut all = Vec::new();
        while let Some((at, user)) = self.due.first().cloned().filter(|(at, _)| *at <= now) {
            let limits = self.limits;
            let news = self.change(&user, |it| it.timeout(now, &limits));
            self.due.remove(&(at, user.clone()));
            let broadcast = Broadcast {
                news,
                spoke: None,
                is_new: false,
            };
            all.push((user, broadcast));
        }
        all.retain(|(_, it)| !it.news.is_empty());
        all
    }

    /// When [`timeout`](Self::timeout) wants to be called next.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// What is seen of a user's clients.
    pub(crate) fn seen(&self, user: &Address) -> Vec<News> {
        self.people.get(user).map_or_else(Vec::new, Presence::seen)
    }

    /// What a user as a whole does, if they are available.
    pub(crate) fn of(&self, user: &Address) -> Option<Show> {
        self.people.get(user).and_then(Presence::show)
    }

    pub(crate) fn is_available(&self, user: &Address) -> bool {
        self.people.contains_key(user)
    }

    /// Whether a user has a client that is shown what others do.
    pub(crate) fn looks(&self, user: &Address) -> bool {
        let person = self.people.get(user);
        person.is_some_and(|it| !it.resources().is_empty()) || self.looking.contains_key(user)
    }

    /// That a user is not available, and since when, if that is known.
    pub(crate) fn absence(&self, user: &Address) -> News {
        News::gone("".into(), Bytes::new(), self.last_seen(user))
    }

    /// When a user who is not available was, if that is known.
    pub(crate) fn last_seen(&self, user: &Address) -> Option<Timestamp> {
        self.gone.times.get(user).copied()
    }

    /// A user is no more. What was seen of them.
    pub(crate) fn remove(&mut self, user: &Address) -> Vec<News> {
        let seen = self.seen(user);
        self.change(user, |it| {
            *it = Presence::default();
            Vec::new()
        });
        self.gone.remove(user);
        seen
    }

    /// Users who are available.
    pub(crate) fn len(&self) -> usize {
        self.people.len()
    }

    fn resource_is_new(&self, user: &Address, name: &str) -> bool {
        let person = self.people.get(user);
        person.is_none_or(|it| it.resource(name).is_none())
    }

    fn change(
        &mut self,
        user: &Address,
        act: impl FnOnce(&mut Presence) -> Vec<News>,
    ) -> Vec<News> {
        let mut presence = self.people.remove(user).unwrap_or_default();
        let before = presence.next_timeout(&self.limits);
        let news = act(&mut presence);
        let after = presence.next_timeout(&self.limits);
        if before != after {
            before.map(|at| self.due.remove(&(at, user.clone())));
            after.map(|at| self.due.insert((at, user.clone())));
        }
        if !presence.is_empty() {
            self.gone.remove(user);
            self.people.insert(user.clone(), presence);
        }
        news
    }
}

/// When users who are not available were: so many who went last.
#[derive(Debug, Default)]
struct LastSeen {
    times: IdMap<Address, Timestamp>,
    order: BTreeSet<(Timestamp, Address)>,
    most: usize,
}

impl LastSeen {
    fn insert(&mut self, user: &Address, at: Timestamp) {
        self.remove(user);
        self.times.insert(user.clone(), at);
        self.order.insert((at, user.clone()));
        if self.times.len() > self.most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.times.remove(&oldest);
        }
    }

    fn remove(&mut self, user: &Address) {
        if let Some(at) = self.times.remove(user) {
            self.order.remove(&(at, user.clone()));
        }
    }
}
