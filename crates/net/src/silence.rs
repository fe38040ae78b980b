//! Strangers who have connected and said nothing yet. When it is crowded and one more comes, the source that has most of them loses its oldest,
//! or the one that comes if that is from there. So who opens thousands takes nobody's place but its own, and what they cost has an end. A
//! phone speaks at once.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::{Standing, Visitor};

/// Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Silence(Arc<Mutex<State>>);

/// One of them, until it is dropped; nothing is counted of the known, who have places of their own.
pub(crate) struct Silent(Option<Counted>);

struct Counted {
    of: Silence,
    source: IpAddr,
    number: u64,
    place: oneshot::Receiver<Infallible>,
}

#[derive(Default)]
struct State {
    /// By source, the oldest first.
    of: HashMap<IpAddr, VecDeque<One>>,
    /// Who loses one next is last: who has most, and of those the one whose oldest is the oldest of all.
    ranks: BTreeSet<Rank>,
    /// All of them.
    count: usize,
    next: u64,
}

type Rank = (usize, Reverse<u64>, IpAddr);

struct One {
    number: u64,
    /// Dropped, it has lost its place.
    _place: oneshot::Sender<Infallible>,
}

impl Silence {
    /// A connection is open over which nothing has come, if it may be: when it is crowded, in the place of another one, if there is one.
    pub(crate) fn begins(&self, who: Visitor, is_crowded: bool) -> Option<Silent> {
        if who.standing == Standing::Known {
            return Some(Silent(None));
        }
        let (source, mut state) = (who.source, self.state());
        if is_crowded && let Some((most, _, whose)) = state.ranks.last().copied() {
            let its = state.of.get(&source).map_or(0, VecDeque::len);
            // Whoever has nothing always has room, and nobody goes back and forth for one more.
            if its > 0 && its + 1 >= most {
                return None;
            }
            state.changes(whose, |its| drop(its.pop_front()));
        }
        let number = state.next;
        state.next += 1;
        let (kept, place) = oneshot::channel();
        state.changes(source, |its| {
            its.push_back(One {
                number,
                _place: kept,
            });
        });
        Some(Silent(Some(Counted {
            of: self.clone(),
            source,
            number,
            place,
        })))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.state().count
    }

    /// Held for a look-up only.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What a source has changes.
    fn changes(&mut self, source: IpAddr, change: impl FnOnce(&mut VecDeque<One>)) {
        let its = self.of.entry(source).or_default();
        if let Some(rank) = rank(source, its) {
            self.ranks.remove(&rank);
        }
        self.count -= its.len();
        change(its);
        self.count += its.len();
        match rank(source, its) {
            Some(rank) => drop(self.ranks.insert(rank)),
            None => drop(self.of.remove(&source)),
        }
    }
}

fn rank(source: IpAddr, its: &VecDeque<One>) -> Option<Rank> {
    let oldest = its.front()?;
    Some((its.len(), Reverse(oldest.number), source))
}

impl Silent {
    /// Waits for what this one says; nothing, if that does not come before others need the place.
    pub(crate) async fn until<T>(mut self, speaks: impl Future<Output = T>) -> Option<T> {
        let Some(counted) = &mut self.0 else {
            return Some(speaks.await);
        };
        tokio::select! {
            said = speaks => Some(said),
            // Nobody says anything by it.
            _ = &mut counted.place => None,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let number = self.number;
        let mut state = self.of.state();
        state.changes(self.source, |its| its.retain(|it| it.number != number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};
    use tokio::sync::oneshot::error::TryRecvError;

    fn who(source: u32, standing: Standing) -> Visitor {
        Visitor {
            source: IpAddr::from(source.to_be_bytes()),
            standing,
        }
    }

    /// Which have a place.
    fn there(all: &mut [Silent]) -> Vec<bool> {
        let has_place = |it: &mut Silent| {
            let place = &mut it.0.as_mut().unwrap().place;
            place.try_recv() == Err(TryRecvError::Empty)
        };
        all.iter_mut().map(has_place).collect()
    }

    #[test]
    fn who_has_most_loses_the_oldest_and_who_has_none_has_room() {
        let silence = Silence::default();
        let begins = |source| {
            let is_crowded = silence.count() >= 4;
            silence.begins(who(source, Standing::Stranger), is_crowded)
        };
        let mut all: Vec<_> = [1, 2, 2, 2].map(|it| begins(it).unwrap()).into();
        assert!(begins(2).is_none(), "its own place would be the next to go");
        all.push(begins(3).unwrap());
        assert_eq!(there(&mut all), [true, false, true, true, true]);
        assert!(
            begins(3).is_none(),
            "it would have as many as the first then"
        );
        all.push(begins(4).unwrap());
        assert_eq!(there(&mut all), [true, false, false, true, true, true]);
        // One each: whoever is there longest makes room.
        all.push(begins(5).unwrap());
        assert_eq!(
            there(&mut all),
            [false, false, false, true, true, true, true]
        );
        drop(all);
        let state = silence.state();
        assert!(state.of.is_empty() && state.ranks.is_empty());
        drop(state);
        assert!(
            silence.begins(who(1, Standing::Stranger), true).is_some(),
            "there is nobody whose place it could have"
        );
    }

    #[test]
    fn who_speaks_is_heard_and_the_known_may_be_silent() {
        let silence = Silence::default();
        let waits = |source, standing| {
            let silent = silence.begins(who(source, standing), true).unwrap();
            Box::pin(silent.until(std::future::pending::<()>()))
        };
        let mut known = waits(1, Standing::Known);
        let mut first = waits(1, Standing::Stranger);
        assert_eq!((now(&mut known), now(&mut first)), (None, None));
        let second = silence.begins(who(2, Standing::Stranger), true).unwrap();
        let mut second = Box::pin(second.until(std::future::ready(7)));
        assert_eq!(now(&mut second), Some(Some(7)));
        assert_eq!(now(&mut first), Some(None), "its place was needed");
        assert_eq!(now(&mut known), None);
    }

    /// What it has come to, if it has.
    fn now<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> Option<T> {
        let polled = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }
}
