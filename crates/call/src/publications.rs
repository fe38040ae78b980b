//! What phones publish of their users (RFC 3903): for as long as each said, and in memory only. After a restart a phone is told
//! at its next refresh that nothing is known of it, and publishes anew.

use domain::{Address, IdMap};
use hub::Stated;
use sip::{HeaderName, Message};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// Of one user; one more is refused.
const OF_USER: usize = 16;
/// How long a publication lasts that says nothing of it, and at most.
const LONGEST: u32 = 3_600;
/// A shorter one is refused (RFC 3903 §6).
pub(crate) const SHORTEST: u32 = 60;

/// A publication.
#[derive(Debug)]
struct Publication {
    tag: String,
    stated: Stated,
    until: Instant,
    /// Counts what was said: who spoke last counts.
    said: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Publications {
    of_user: IdMap<Address, Vec<Publication>>,
    alarms: BTreeSet<(Instant, Address)>,
    said: u64,
    len: usize,
}

/// What a PUBLISH asks for.
#[derive(Debug)]
pub(crate) struct Publish {
    /// Which publication it is about; `None`: a new one.
    pub(crate) known: Option<String>,
    /// What it says; `None`: what was said stands.
    pub(crate) stated: Option<Stated>,
    /// For how many seconds; none: it is taken back.
    pub(crate) seconds: u32,
}

/// Why it is refused.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// 412: there is no such publication.
    Unknown,
    /// 503: there are too many.
    TooMany,
}

/// For how many seconds somebody publishes; `Err`: too short a time.
pub(crate) fn seconds(request: &Message) -> Result<u32, ()> {
    match request.expires().ok().flatten() {
        Some(1..SHORTEST) => Err(()),
        wanted => Ok(wanted.unwrap_or(LONGEST).min(LONGEST)),
    }
}

/// The publication that a request is about (RFC 3903 §6 item 3); `Err`: it names several.
pub(crate) fn known(request: &Message) -> Result<Option<String>, ()> {
    let mut tags = request.headers(HeaderName::SipIfMatch);
    let first = tags
        .next()
        .map(|it| String::from_utf8_lossy(it).into_owned());
    match tags.next() {
        Some(_) => Err(()),
        None => Ok(first),
    }
}

impl Publications {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Takes one in, changes it, lets it last or takes it back; under this tag from now on (RFC 3903 §6 item 8).
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        user: &Address,
        publish: Publish,
        tag: &str,
    ) -> Result<(), Refused> {
        self.said += 1;
        let mut result = Ok(());
        let said = self.said;
        self.change(user, |all| {
            let place = publish
                .known
                .as_ref()
                .map(|known| all.iter().position(|it| it.tag == *known));
            let before = match place {
                None if all.len() >= OF_USER => return result = Err(Refused::TooMany),
                None => None,
                Some(None) => return result = Err(Refused::Unknown),
                Some(Some(place)) => Some(all.remove(place)),
            };
            let spoke = publish.stated.is_some();
            let order = before.as_ref().map(|it| it.said).filter(|_| !spoke);
            let stated = publish.stated.or(before.map(|it| it.stated));
            if let Some(stated) = stated.filter(|_| publish.seconds > 0) {
                all.push(Publication {
                    tag: tag.to_owned(),
                    stated,
                    until: now + Duration::from_secs(publish.seconds.into()),
                    said: order.unwrap_or(said),
                });
            }
        });
        result
    }

    /// This user has none any more: whether there was one.
    pub(crate) fn end_all(&mut self, user: &Address) -> bool {
        let mut any = false;
        self.change(user, |all| any = all.drain(..).next().is_some());
        any
    }

    /// Whose are over.
    pub(crate) fn timeout(&mut self, now: Instant) -> Vec<Address> {
        let mut users = Vec::new();
        while let Some((_, user)) = self.alarms.first().filter(|it| it.0 <= now).cloned() {
            self.change(&user, |all| all.retain(|it| it.until > now));
            users.push(user);
        }
        users
    }

    /// When [`timeout`](Self::timeout) wants to be called next.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// What all of a user's say together (RFC 3856 §6.11.1): what was said last of those that say that the user is there; if none
    /// does, that they are not.
    pub(crate) fn of(&self, user: &Address) -> Option<Stated> {
        let all = self.of_user.get(user)?;
        let best = all.iter().max_by_key(|it| (it.stated.is_here, it.said))?;
        Some(best.stated.clone())
    }

    fn change(&mut self, user: &Address, change: impl FnOnce(&mut Vec<Publication>)) {
        let mut all = self.of_user.remove(user).unwrap_or_default();
        let first = |all: &[Publication]| all.iter().map(|it| it.until).min();
        let (before, many) = (first(&all), all.len());
        change(&mut all);
        self.len = self.len + all.len() - many;
        let after = first(&all);
        if before != after {
            before.map(|at| self.alarms.remove(&(at, user.clone())));
            after.map(|at| self.alarms.insert((at, user.clone())));
        }
        if !all.is_empty() {
            self.of_user.insert(user.clone(), all);
        }
    }
}
