//! Presence: which clients of a user are available, and what others see of them (RFC 6121 §4). In memory only: after a
//! restart clients come again, or their sessions are [restored](Presence::restored).
//!
//! A user all of whose clients sleep is seen as away on their behalf (`behaviour.md` 4), and as they had said as soon as
//! one is back. A sleep that lasts less than [`Limits::away_after`] is seen by nobody.

use crate::{Now, Timestamp};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// How much a user may have.
#[derive(Copy, Clone, Debug)]
pub struct Limits {
    /// Clients that are available at once; for one more the one that spoke longest ago goes.
    pub resources: usize,
    /// Octets of a client's name; one of a longer name is not seen.
    pub name: usize,
    /// Octets of what the role needs to say it again; of more only the rest is said.
    pub payload: usize,
    /// How long all clients of a user sleep before others see it.
    pub away_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            resources: 20,
            name: 1_023,
            payload: 16_384,
            away_after: Duration::from_secs(2),
        }
    }
}

/// What somebody who is available wants others to know (RFC 6121 §4.7.2.1).
#[derive(Copy, Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum Show {
    /// Would like to talk.
    Chat,
    /// There.
    #[default]
    Available,
    /// Away for a while.
    Away,
    /// Away for long.
    ExtendedAway,
    /// Busy.
    DoNotDisturb,
}

impl Show {
    /// What others see while all clients sleep: nobody who said less than that is made to say more.
    #[must_use]
    pub fn asleep(self) -> Self {
        match self {
            Self::Chat | Self::Available => Self::Away,
            said => said,
        }
    }
}

/// A client that is available.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resource {
    /// Names it among those of its user.
    pub name: Box<str>,
    /// Which of them messages are for (RFC 6121 §4.7.2.3).
    pub priority: i8,
    /// What it said.
    pub show: Show,
    /// What the role needs to say it again.
    pub payload: Bytes,
    /// When it said so.
    pub since: Timestamp,
    /// It sleeps.
    pub suspended: bool,
}

/// The name under which a user's telephones are seen together: none of them says by itself what it does (`behaviour.md` 16.1).
/// A client that calls itself so as well confuses nobody but those who look at its user.
pub const TELEPHONE: &str = "telephone";

/// What others see of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    /// It is available.
    Here {
        /// Its priority.
        priority: i8,
        /// What others see.
        show: Show,
        /// It did not say so itself: all its user's clients sleep.
        on_behalf: bool,
        /// What it said, for the role.
        payload: Bytes,
        /// Since when.
        since: Timestamp,
    },
    /// It is not, and what it said when it went.
    Gone {
        /// For the role; empty if it went without a word.
        payload: Bytes,
        /// When that was, if that is known.
        at: Option<Timestamp>,
    },
}

/// Something about a client that others see from now on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct News {
    /// Which client; empty for the user as such.
    pub resource: Box<str>,
    /// What is seen of it.
    pub seen: Seen,
}

impl News {
    /// A client is gone.
    pub fn gone(resource: Box<str>, payload: Bytes, at: Option<Timestamp>) -> Self {
        let seen = Seen::Gone { payload, at };
        Self { resource, seen }
    }
}

/// The clients of one user.
#[derive(Clone, Debug, Default)]
pub struct Presence {
    /// In the order in which they spoke last.
    resources: Vec<Resource>,
    /// The user's telephones.
    telephone: Option<Box<Resource>>,
    /// Since when all of them sleep.
    asleep: Option<Instant>,
    is_away: bool,
}

impl Presence {
    /// A client says what it does, for the first time or again (RFC 6121 §4.2, §4.4).
    pub fn available(&mut self, now: Now, mut resource: Resource, limits: &Limits) -> Vec<News> {
        if resource.name.len() > limits.name {
            return Vec::new();
        }
        if resource.payload.len() > limits.payload {
            resource.payload.clear();
        }
        let name = resource.name.clone();
        let mut news = Vec::new();
        self.take(&name);
        if self.resources.len() >= limits.resources.max(1) {
            let oldest = self.resources.remove(0);
            news.push(News::gone(oldest.name, Bytes::new(), Some(now.wall)));
        }
        self.resources.push(resource);
        // What it said is news in any case, and is told last.
        let others = self.settle(now).into_iter();
        news.extend(others.filter(|it| it.resource != name));
        news.extend(self.seen().into_iter().filter(|it| it.resource == name));
        news
    }

    /// A client was available before a restart, and sleeps; `is_seen`: others have seen that all sleep. What others see of it they
    /// have seen, so nothing is news.
    pub fn restored(&mut self, now: Now, resource: Resource, is_seen: bool) {
        let is_first = self.is_empty();
        self.take(&resource.name.clone());
        self.resources.push(resource);
        self.settle(now);
        self.is_away = self.asleep.is_some() && is_seen && (is_first || self.is_away);
    }

    /// A client is not available any more (RFC 6121 §4.5).
    pub fn unavailable(&mut self, now: Now, name: &str, payload: Bytes) -> Vec<News> {
        let Some(gone) = self.take(name) else {
            return Vec::new();
        };
        let mut news = vec![News::gone(gone.name, payload, Some(now.wall))];
        news.extend(self.settle(now));
        news
    }

    /// A client falls asleep or is back.
    pub fn suspended(&mut self, now: Now, name: &str, suspended: bool) -> Vec<News> {
        if let Some(resource) = self.resources.iter_mut().find(|it| &*it.name == name) {
            resource.suspended = suspended;
        }
        self.settle(now)
    }

    /// What the user's telephones do, all together; `None`: there are none. What is asleep when it is looked at for the first time
    /// has slept for long.
    pub fn telephone(&mut self, now: Now, mut telephone: Option<Resource>) -> Vec<News> {
        let rest = |it: &Resource| (it.show, it.priority, it.payload.clone(), it.suspended);
        let known = self.telephone.as_deref();
        if known.map(rest) == telephone.as_ref().map(rest) {
            return Vec::new();
        }
        if let (Some(known), Some(telephone)) = (known, &mut telephone) {
            // Whoever falls asleep or wakes says nothing by that.
            if (known.show, &known.payload) == (telephone.show, &telephone.payload) {
                telephone.since = known.since;
            }
        }
        let before = self.seen();
        let mut news = Vec::new();
        if known.is_some() && telephone.is_none() {
            let gone = News::gone(TELEPHONE.into(), Bytes::new(), Some(now.wall));
            news.push(gone);
        }
        let was_nobody = self.is_empty();
        self.telephone = telephone.map(Box::new);
        self.settle(now);
        self.is_away |= was_nobody && self.asleep.is_some();
        news.extend(self.since(&before));
        news
    }

    /// Nobody is there: neither a client nor a telephone.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// All have slept for long enough that others see it.
    pub fn timeout(&mut self, now: Instant, limits: &Limits) -> Vec<News> {
        if self.next_timeout(limits).is_none_or(|at| at > now) {
            return Vec::new();
        }
        let before = self.seen();
        self.is_away = true;
        self.since(&before)
    }

    /// When [`timeout`](Self::timeout) wants to be called.
    pub fn next_timeout(&self, limits: &Limits) -> Option<Instant> {
        let asleep = self.asleep.filter(|_| !self.is_away)?;
        Some(asleep + limits.away_after)
    }

    /// What others see, of each client.
    pub fn seen(&self) -> Vec<News> {
        let seen = |it: &Resource| {
            let show = if self.is_away {
                it.show.asleep()
            } else {
                it.show
            };
            Seen::Here {
                priority: it.priority,
                show,
                on_behalf: show != it.show,
                payload: it.payload.clone(),
                since: it.since,
            }
        };
        let news = |it: &Resource| News {
            resource: it.name.clone(),
            seen: seen(it),
        };
        self.all().map(news).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Resource> {
        self.telephone.as_deref().into_iter().chain(&self.resources)
    }

    /// The clients themselves, in the order in which they spoke last.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// A client of this name.
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|it| &*it.name == name)
    }

    /// What the user as a whole does: what the client (or the telephones) of the highest priority says, among equals the one that spoke last.
    pub fn show(&self) -> Option<Show> {
        let best = self.all().max_by_key(|it| it.priority)?;
        Some(if self.is_away {
            best.show.asleep()
        } else {
            best.show
        })
    }

    fn take(&mut self, name: &str) -> Option<Resource> {
        let place = self.resources.iter().position(|it| &*it.name == name)?;
        Some(self.resources.remove(place))
    }

    /// Whether all sleep now; who is back is seen at once.
    fn settle(&mut self, now: Now) -> Vec<News> {
        let all_sleep = !self.is_empty() && self.all().all(|it| it.suspended);
        if all_sleep {
            self.asleep.get_or_insert(now.instant);
            return Vec::new();
        }
        let before = self.seen();
        (self.asleep, self.is_away) = (None, false);
        self.since(&before)
    }

    /// What is seen otherwise than before.
    fn since(&self, before: &[News]) -> Vec<News> {
        let mut seen = self.seen();
        seen.retain(|it| !before.contains(it));
        seen
    }
}

#[cfg(test)]
mod tests;
