//! Who may try a password: one rule for every door. Wrong ones are counted by source and by account, and whoever has
//! been wrong too often waits, ever longer; a source that goes on is banned for a while. A source that has signed in to
//! an account before is asked for its own wrong passwords only, so that nobody locks an account's phones out by guessing at
//! it. Accounts that do not exist are counted like those that do: the answers do not tell.

use crate::{IdMap, Timestamp, id_map::IdHash, recent::Recent};
use std::{
    hash::BuildHasher,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

/// Wrong passwords are remembered for so long after the last one.
const MEMORY: Duration = Duration::from_mins(10);
/// So many are free: fingers slip, and phones try an old password a few times.
const FREE_BY_SOURCE: u32 = 5;
/// The same for all sources that are strangers to an account together.
const FREE_BY_ACCOUNT: u32 = 20;
/// The first pause; it doubles with each wrong password.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// A source that is wrong, or does not wait, so often is banned…
const BANNED_AFTER: u32 = 100;
/// …for so long.
const BAN: Duration = Duration::from_mins(30);
/// A line of the log a source in so long.
const TOLD: Duration = Duration::from_mins(1);
/// Lines a minute in all; the rest is summed up.
const LINES: u32 = 100;
/// Sources, accounts and pairs of both of which wrong passwords are remembered; at the limit those with fewest go.
const REMEMBERED: usize = 50_000;
/// Sources of accounts that signed in, and sources alone; at the limit those from which nobody signed in for longest go.
const KNOWN: usize = 2_000_000;
/// Bans; one more takes the place of the one that ends first.
const BANS: usize = 10_000;

/// Where somebody comes from: an IPv4 address, or the /64 of an IPv6 address, which is one customer's.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Source(IpAddr);

impl Source {
    /// That of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

impl Source {
    /// The address, or the first one of the network.
    pub fn address(self) -> IpAddr {
        self.0
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

/// Whether a password may be tried.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It may.
    Open,
    /// Not before so long, not even the right one.
    Wait(Duration),
    /// Nothing of that source is looked at.
    Banned,
}

/// Who a source is, before anything is known of what it sends: what is there for strangers is not all there is.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Somebody has signed in from there lately.
    Known,
    /// Nobody has.
    Stranger,
    /// Nothing is heard from there.
    Banned,
}

/// A line for the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// Who was wrong.
    pub from: Source,
    /// So often since the last line about them.
    pub times: u32,
    /// Banned from now on, until then.
    pub banned: Option<Timestamp>,
}

/// A source that is kept out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ban {
    /// The source.
    pub from: Source,
    /// Until then.
    pub until: Timestamp,
    /// By an operator: nobody of that source is let in, whoever they were before.
    pub by_operator: bool,
}

/// Wrong passwords of one source, account or pair.
#[derive(Copy, Clone, Debug, Default)]
struct Wrong {
    times: u32,
    last: Timestamp,
    wait_until: Timestamp,
    /// Since the last line in the log.
    untold: u32,
    told: Option<Timestamp>,
}

impl Wrong {
    fn count(&mut self, now: Timestamp, free: u32) {
        if now.since(self.last) > MEMORY {
            self.times = 0;
        }
        self.times = self.times.saturating_add(1);
        self.last = now;
        if let Some(more) = self.times.checked_sub(free) {
            let pause = FIRST_PAUSE.saturating_mul(1 << more.min(16));
            self.wait_until = now.plus(pause.min(LONGEST_PAUSE));
        }
    }

    fn wait(&self, now: Timestamp) -> Option<Duration> {
        Some(self.wait_until.since(now)).filter(|wait| !wait.is_zero())
    }
}

/// See above.
#[derive(Debug)]
pub struct Guard {
    sources: IdMap<Source, Wrong>,
    accounts: IdMap<Box<str>, Wrong>,
    /// By hashes of account and source.
    pairs: IdMap<u64, Wrong>,
    known: Recent<u64>,
    /// From which anybody has signed in.
    homes: Recent<Source>,
    hash: IdHash,
    bans: IdMap<Source, Ban>,
    /// The minute in which lines are counted, and how many there were.
    lines: (u64, u32),
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            sources: IdMap::default(),
            accounts: IdMap::default(),
            pairs: IdMap::default(),
            known: Recent::new(KNOWN),
            homes: Recent::new(KNOWN),
            hash: IdHash::default(),
            bans: IdMap::default(),
            lines: (0, 0),
        }
    }
}

impl Guard {
    /// Whether a password for this account may be tried from there.
    pub fn ask(&self, now: Timestamp, from: Source, account: &str) -> Verdict {
        let pair = self.pair(from, account);
        let known = self.known.contains(&pair);
        if let Some(ban) = self.ban_of(now, from)
            && (ban.by_operator || !known)
        {
            return Verdict::Banned;
        }
        let wrong = if known {
            [self.pairs.get(&pair), None]
        } else {
            [self.sources.get(&from), self.accounts.get(account)]
        };
        let waits = wrong.into_iter().flatten().filter_map(|it| it.wait(now));
        waits.max().map_or(Verdict::Open, Verdict::Wait)
    }

    /// Whether an operator keeps that source out.
    pub fn is_shut_out(&self, now: Timestamp, from: Source) -> bool {
        !self.bans.is_empty() && self.ban_of(now, from).is_some_and(|ban| ban.by_operator)
    }

    /// A password was wrong. Says what is to be logged.
    pub fn wrong(&mut self, now: Timestamp, from: Source, account: &str) -> Option<Report> {
        let pair = self.pair(from, account);
        if self.known.contains(&pair) {
            make_room(&mut self.pairs, now);
            self.pairs
                .entry(pair)
                .or_default()
                .count(now, FREE_BY_SOURCE);
        } else {
            make_room(&mut self.accounts, now);
            let wrong = self.accounts.entry(account.into()).or_default();
            wrong.count(now, FREE_BY_ACCOUNT);
        }
        make_room(&mut self.sources, now);
        self.sources
            .entry(from)
            .or_default()
            .count(now, FREE_BY_SOURCE);
        self.report(now, from)
    }

    /// Somebody does not wait. Says what is to be logged.
    pub fn impatient(&mut self, now: Timestamp, from: Source) -> Option<Report> {
        make_room(&mut self.sources, now);
        let wrong = self.sources.entry(from).or_default();
        wrong.times = wrong.times.saturating_add(1);
        wrong.last = now;
        self.report(now, from)
    }

    /// A password was right.
    pub fn right(&mut self, from: Source, account: &str) {
        let pair = self.pair(from, account);
        self.pairs.remove(&pair);
        self.known.saw(pair);
        self.homes.saw(from);
    }

    /// Whether it changes nothing that somebody signs in to that account from there: it was so lately.
    pub fn knows(&self, from: Source, account: &str) -> bool {
        let pair = self.pair(from, account);
        self.known.is_fresh(&pair) && self.homes.is_fresh(&from) && !self.pairs.contains_key(&pair)
    }

    /// Who a source is, whatever account it asks for. One that is banned for guessing is still heard if anybody has
    /// signed in from there: whose account that is, is found out later.
    pub fn standing(&self, now: Timestamp, from: Source) -> Standing {
        let ban = self.ban_of(now, from);
        let is_home = self.homes.contains(&from);
        match ban {
            Some(ban) if ban.by_operator || !is_home => Standing::Banned,
            _ if is_home => Standing::Known,
            _ => Standing::Stranger,
        }
    }

    /// An operator keeps a source out until then.
    pub fn ban(&mut self, from: Source, until: Timestamp) {
        self.put_ban(Ban {
            from,
            until,
            by_operator: true,
        });
    }

    /// Bans that stood before a restart stand again.
    pub fn restore(&mut self, now: Timestamp, bans: impl IntoIterator<Item = Ban>) {
        for ban in bans.into_iter().filter(|ban| ban.until > now) {
            self.put_ban(ban);
        }
    }

    /// It is let in again, with nothing held against it. Says whether it was banned.
    pub fn lift(&mut self, from: Source) -> bool {
        self.sources.remove(&from);
        self.bans.remove(&from).is_some()
    }

    /// Those that stand.
    pub fn bans(&self, now: Timestamp) -> Vec<Ban> {
        let standing = self.bans.values().filter(|ban| ban.until > now);
        let mut bans: Vec<_> = standing.cloned().collect();
        bans.sort_by_key(|ban| ban.from);
        bans
    }

    fn ban_of(&self, now: Timestamp, from: Source) -> Option<&Ban> {
        self.bans.get(&from).filter(|ban| ban.until > now)
    }

    fn put_ban(&mut self, ban: Ban) {
        if self.bans.len() >= BANS {
            let first = self.bans.values().min_by_key(|ban| ban.until);
            if let Some(from) = first.map(|ban| ban.from) {
                self.bans.remove(&from);
            }
        }
        self.bans.insert(ban.from, ban);
    }

    /// A line a source and minute, and one when it is banned.
    fn report(&mut self, now: Timestamp, from: Source) -> Option<Report> {
        let is_banned = self.ban_of(now, from).is_some();
        let wrong = self.sources.get_mut(&from)?;
        wrong.untold = wrong.untold.saturating_add(1);
        let banned = (wrong.times >= BANNED_AFTER && !is_banned).then(|| now.plus(BAN));
        let silent = wrong.told.is_some_and(|told| now.since(told) < TOLD);
        if silent && banned.is_none() {
            return None;
        }
        let minute = now.0 / 60_000;
        if self.lines.0 != minute {
            self.lines = (minute, 0);
        }
        wrong.told = Some(now);
        let times = std::mem::take(&mut wrong.untold);
        if let Some(until) = banned {
            self.put_ban(Ban {
                from,
                until,
                by_operator: false,
            });
        }
        self.lines.1 += 1;
        (self.lines.1 <= LINES).then_some(Report {
            from,
            times,
            banned,
        })
    }

    fn pair(&self, from: Source, account: &str) -> u64 {
        self.hash.hash_one((from, account))
    }
}

/// Forgets what is old; if that is not enough, all who were wrong once or twice; if that is not enough, all.
fn make_room<K: Eq + std::hash::Hash>(wrong: &mut IdMap<K, Wrong>, now: Timestamp) {
    if wrong.len() < REMEMBERED {
        return;
    }
    wrong.retain(|_, it| now.since(it.last) < MEMORY);
    if wrong.len() > REMEMBERED / 2 {
        wrong.retain(|_, it| it.times > 2);
    }
    if wrong.len() > REMEMBERED / 2 {
        wrong.clear();
    }
}

#[cfg(test)]
mod tests;
