//! Connections of strangers, who have proven nothing yet. When it is crowded and one more comes, whoever has most of them loses the oldest, or
//! the one that comes if that is from there: of all sites the one that has most, and there the source that has most. So who opens
//! thousands takes nobody's place but their own, whatever is said over them. A phone proves at once who it is. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

/// So many sources that have become known are found at once, since others wait meanwhile.
const AT_ONCE: usize = 64;

/// All of them, each by a number that grows from one that comes to the next.
#[derive(Debug, Default)]
pub(crate) struct Unproven {
    sites: HashMap<IpAddr, Site>,
    sources: HashMap<IpAddr, Numbers>,
    /// The site that loses one next is last.
    ranks: BTreeSet<Rank>,
    /// The same of the sources of each site.
    ranks_within: BTreeSet<(IpAddr, Rank)>,
    count: usize,
}

/// Those of one source, the oldest first. Most sources have one, which stands where the list does.
#[derive(Debug, Default)]
struct Numbers(SmallVec<[u64; 2]>);

/// Who has most, and of those whoever is there longest.
type Rank = (usize, Reverse<u64>, IpAddr);

/// What one customer may have at most: an IPv4 address, or the /48 of an IPv6 address, which is what larger ones have.
#[derive(Debug, Default)]
struct Site {
    count: usize,
    /// The first that came since it had none.
    since: u64,
}

/// Who makes room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Yields {
    /// Nobody has to prove anything.
    Nobody,
    /// The one that comes: its own place would be the next to go.
    Itself,
    /// This one.
    Other(u64),
}

impl Unproven {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// One more is there, from that source.
    pub(crate) fn add(&mut self, source: IpAddr, number: u64) {
        self.changes(source, |its| its.add(number));
    }

    /// One is gone, or has proven who it is; no effect if it is not among them.
    pub(crate) fn remove(&mut self, source: IpAddr, number: u64) {
        if self.sources.contains_key(&source) {
            self.changes(source, |its| its.remove(number));
        }
    }

    /// Who makes room for one more from there. A source that is known by now has proven itself, with all that it has.
    pub(crate) fn yields(&mut self, to: IpAddr, is_known: impl Fn(IpAddr) -> bool) -> Yields {
        for _ in 0..AT_ONCE {
            let Some((whose, number)) = self.next(self.most()) else {
                return Yields::Nobody;
            };
            if is_known(whose) {
                self.changes(whose, |its| its.0.clear());
                continue;
            }
            let (own, most) = if site(to) == site(whose) {
                (self.count_of(to), self.count_of(whose))
            } else {
                (self.count_at(to), self.count_at(whose))
            };
            // Whoever has nothing always has room, and nobody goes back and forth for one more.
            if own == 0 || own + 1 < most {
                return Yields::Other(number);
            }
            // A source that has nothing has it of its own site, where others have something.
            let here = self.next(Some(site(to))).filter(|_| self.count_of(to) == 0);
            return here.map_or(Yields::Itself, |(_, number)| Yields::Other(number));
        }
        // There may be more such: whoever comes next finds them.
        Yields::Nobody
    }

    /// The one that is to go before any other, whoever comes: the oldest of who has most.
    pub(crate) fn first(&self) -> Option<u64> {
        self.next(self.most()).map(|(_, number)| number)
    }

    /// The oldest of a source.
    pub(crate) fn oldest_of(&self, source: IpAddr) -> Option<u64> {
        self.sources.get(&source)?.0.first().copied()
    }

    /// The site that loses one next.
    fn most(&self) -> Option<IpAddr> {
        self.ranks.last().map(|(.., at)| *at)
    }

    /// The source that loses one next at a site, and which.
    fn next(&self, at: Option<IpAddr>) -> Option<(IpAddr, u64)> {
        let at = at?;
        let lowest = (0, Reverse(u64::MAX), Ipv4Addr::UNSPECIFIED.into());
        let highest = (usize::MAX, Reverse(0), Ipv6Addr::from(u128::MAX).into());
        let here = self.ranks_within.range((at, lowest)..=(at, highest));
        let (_, (_, Reverse(number), source)) = here.last()?;
        Some((*source, *number))
    }

    fn count_of(&self, source: IpAddr) -> usize {
        self.sources.get(&source).map_or(0, |its| its.0.len())
    }

    /// Of the site of a source.
    fn count_at(&self, source: IpAddr) -> usize {
        self.sites.get(&site(source)).map_or(0, |site| site.count)
    }

    /// What a source has changes.
    fn changes(&mut self, source: IpAddr, change: impl FnOnce(&mut Numbers)) {
        let at = site(source);
        let its = self.sources.entry(source).or_default();
        let site = self.sites.entry(at).or_default();
        self.ranks.remove(&site.rank(at));
        if let Some(rank) = rank(source, its) {
            self.ranks_within.remove(&(at, rank));
        }
        let before = its.0.len();
        change(its);
        if site.count == 0 {
            site.since = its.0.first().copied().unwrap_or_default();
        }
        site.count = site.count - before + its.0.len();
        self.count = self.count - before + its.0.len();
        match rank(source, its) {
            Some(rank) => drop(self.ranks_within.insert((at, rank))),
            None => drop(self.sources.remove(&source)),
        }
        if site.count > 0 {
            self.ranks.insert(site.rank(at));
        } else {
            self.sites.remove(&at);
        }
    }
}

impl Numbers {
    fn add(&mut self, number: u64) {
        // Mostly it is the youngest.
        if let Err(place) = self.0.binary_search(&number) {
            self.0.insert(place, number);
        }
    }

    fn remove(&mut self, number: u64) {
        if let Ok(place) = self.0.binary_search(&number) {
            self.0.remove(place);
        }
    }
}

impl Site {
    fn rank(&self, at: IpAddr) -> Rank {
        (self.count, Reverse(self.since), at)
    }
}

fn rank(source: IpAddr, its: &Numbers) -> Option<Rank> {
    let oldest = its.0.first()?;
    Some((its.0.len(), Reverse(*oldest), source))
}

/// The site of a source.
pub(crate) fn site(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & (u128::MAX << 80)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(source: u32) -> IpAddr {
        IpAddr::from(source.to_be_bytes())
    }

    /// One more comes from there while so many at most have room.
    fn comes(all: &mut Unproven, source: IpAddr, number: u64, room: usize) -> Yields {
        if all.count() < room {
            all.add(source, number);
            return Yields::Nobody;
        }
        let yields = all.yields(source, |_| false);
        if let Yields::Other(other) = yields {
            let sources = all.sources.iter().find(|(_, its)| its.0.contains(&other));
            let whose = *sources.unwrap().0;
            all.remove(whose, other);
            all.add(source, number);
        }
        yields
    }

    #[test]
    fn who_has_most_loses_the_oldest_and_who_has_none_has_room() {
        let mut all = Unproven::default();
        for (number, source, yields) in [
            (0, 1, Yields::Nobody),
            (1, 2, Yields::Nobody),
            (2, 2, Yields::Nobody),
            (3, 2, Yields::Nobody),
            (4, 2, Yields::Itself),
            (5, 3, Yields::Other(1)),
            // It would have as many as the first then.
            (6, 3, Yields::Itself),
            (7, 4, Yields::Other(2)),
            // One each: whoever is there longest makes room.
            (8, 5, Yields::Other(0)),
        ] {
            assert_eq!(comes(&mut all, at(source), number, 4), yields, "{number}");
        }
        for (source, number) in [(2, 3), (3, 5), (4, 7), (5, 8), (5, 8), (6, 9)] {
            all.remove(at(source), number);
        }
        assert_eq!(all.yields(at(1), |_| false), Yields::Nobody);
        assert_eq!(all.count(), 0);
        assert!(all.sites.is_empty() && all.sources.is_empty());
        assert!(all.ranks.is_empty() && all.ranks_within.is_empty());
    }

    #[test]
    fn a_lonely_source_costs_no_allocation_and_of_several_the_oldest_is_first() {
        let mut its = Numbers::default();
        its.add(7);
        assert!(!its.0.spilled());
        // One that counted for another source before is older.
        for number in [9, 3, 8, 9] {
            its.add(number);
        }
        assert_eq!(its.0[..], [3, 7, 8, 9]);
        for number in [8, 3, 3, 1] {
            its.remove(number);
        }
        assert_eq!(its.0[..], [7, 9]);
    }

    #[test]
    fn a_network_of_sixty_thousand_sources_takes_its_own_places_and_no_household_s() {
        let mut all = Unproven::default();
        let of_network = |number: u64| {
            let source = (0x2001_0db8_0000_u128 << 80) | (u128::from(number % 65_536) << 64);
            IpAddr::from(Ipv6Addr::from(source))
        };
        // A household of IPv6, and one of IPv4, with two connections each.
        let households = ["2001:db8:ffff::", "192.0.2.1"].map(|it| it.parse().unwrap());
        for (number, household) in (0..).zip(households.into_iter().cycle().take(4)) {
            all.add(household, number);
        }
        for number in 4..2_000 {
            let yields = comes(&mut all, of_network(number), number, 100);
            assert!(!matches!(yields, Yields::Other(..4)), "{number}");
        }
        for household in households {
            assert_eq!(all.count_of(household), 2);
        }
        assert!(matches!(
            comes(&mut all, at(1), 2_000, 100),
            Yields::Other(4..)
        ));
    }

    #[test]
    fn who_has_nothing_has_room_of_its_own_site_where_others_there_have_something() {
        let mut all = Unproven::default();
        for number in 0..6 {
            all.add(at(u32::try_from(number / 2).unwrap()), number);
        }
        let [one, other] = ["2001:db8:0:1::", "2001:db8:0:2::"].map(|it| it.parse().unwrap());
        all.add(one, 6);
        assert_eq!(all.yields(other, |_| false), Yields::Other(6));
        assert_eq!(all.yields(one, |_| false), Yields::Itself);
    }

    #[test]
    fn so_many_that_are_known_by_now_are_found_one_part_after_the_other() {
        let mut all = Unproven::default();
        for number in 0..100 {
            all.add(at(number), number.into());
        }
        let is_known = |source| source != at(99);
        assert_eq!(all.yields(at(200), is_known), Yields::Nobody);
        assert_eq!(all.count(), 100 - AT_ONCE);
        assert_eq!(all.yields(at(200), is_known), Yields::Other(99));
    }

    #[test]
    fn a_source_that_is_known_by_now_loses_nothing() {
        let mut all = Unproven::default();
        for (number, source) in [(0, 1), (1, 1), (2, 1), (3, 2)] {
            all.add(at(source), number);
        }
        let is_known = |source| source == at(1);
        assert_eq!(all.yields(at(3), is_known), Yields::Other(3));
        assert_eq!(all.count(), 1);
    }
}
