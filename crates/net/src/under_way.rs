//! Handshakes of strangers that have begun and whose peers have yet to say something in TLS that can be read, or to begin a stream: each
//! costs what a connection in TLS does. Where more begin than get so far, whoever has most of them loses the oldest, and nobody one that
//! has just begun: thousands of phones may share an address.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::losable::{Hold, Losable};

/// As many as begin in so many seconds, when strangers begin as many as they may. So whoever has been there longest has had that time, and
/// a phone on a slow link has it at least; where fewer begin, all the time that there is.
const SECONDS: u32 = 2;

/// Clones have the same.
#[derive(Clone)]
pub(crate) struct UnderWay(Arc<Mutex<State>>);

struct State {
    most: usize,
    all: Losable,
}

/// Counts as one of them until it is dropped.
pub struct Begun {
    of: UnderWay,
    hold: Hold,
}

impl UnderWay {
    /// Of so many that may begin in a second.
    pub(crate) fn new(per_second: u32) -> Self {
        Self::with_room_for(most(per_second))
    }

    /// Of so many at once.
    pub(crate) fn with_room_for(most: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            most,
            all: Losable::default(),
        })))
    }

    /// So many may begin in a second from now on.
    pub(crate) fn set_pace(&self, per_second: u32) {
        self.state().most = most(per_second);
    }

    /// One more of a stranger from there.
    pub(crate) fn begin(&self, source: IpAddr) -> Begun {
        let mut state = self.state();
        let two_seconds_ago = Instant::now().checked_sub(Duration::from_secs(SECONDS.into()));
        while let Some(before) = two_seconds_ago
            && state.all.count() >= state.most
        {
            state.all.make_room_for_any(before);
        }
        let hold = state.all.take(source);
        drop(state);
        let of = self.clone();
        Begun { of, hold }
    }

    /// Held for a look-up only.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn most(per_second: u32) -> usize {
    let most = per_second.saturating_mul(SECONDS).max(1);
    usize::try_from(most).unwrap_or(usize::MAX)
}

impl Begun {
    /// Waits until it is to end for somebody else, which it may never be.
    pub(crate) async fn is_lost(&mut self) {
        self.hold.is_lost().await;
    }
}

/// Waits until it is to end for somebody else; for ever, if it is no stranger's.
pub(crate) async fn is_lost(begun: &mut Option<Begun>) {
    match begun {
        Some(begun) => begun.is_lost().await,
        None => std::future::pending().await,
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.of.state().all.end(&self.hold);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};

    /// Those that are lost, by their number, which are no more among them.
    fn lost(all: &mut Vec<(u32, Begun)>) -> Vec<u32> {
        let mut lost = Vec::new();
        all.retain_mut(|(number, begun)| {
            let is_lost = pin!(begun.is_lost());
            let is_kept = is_lost
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending();
            lost.extend((!is_kept).then_some(*number));
            is_kept
        });
        lost
    }

    #[tokio::test(start_paused = true)]
    async fn where_more_begin_than_end_who_has_most_loses_the_oldest_but_none_that_has_just_begun()
    {
        let under_way = UnderWay::with_room_for(3);
        let begin = |source: u8| under_way.begin(IpAddr::from([192, 0, 2, source]));
        let mut all = Vec::new();
        let expected: [(u64, u8, &[u32]); 9] = [
            (0, 1, &[]),
            // Many share this address. All have just begun, so whoever has been there longest goes.
            (1, 2, &[]),
            (0, 2, &[]),
            (0, 2, &[0]),
            (0, 1, &[1]),
            // Two of the same address have had their time, and it has most.
            (3, 3, &[2]),
            // One each, all of a while ago but the last.
            (3, 4, &[3]),
            (0, 5, &[4]),
            (0, 6, &[5]),
        ];
        for (number, (later, source, expected)) in (0..).zip(expected) {
            tokio::time::advance(Duration::from_secs(later)).await;
            all.push((number, begin(source)));
            assert_eq!(lost(&mut all), expected, "{number}");
        }
        // Whoever is done makes room.
        all.remove(0);
        all.push((9, begin(7)));
        assert!(lost(&mut all).is_empty());
        under_way.set_pace(3);
        all.extend((10..13).map(|number| (number, begin(8))));
        assert!(lost(&mut all).is_empty());
        under_way.set_pace(1);
        all.push((13, begin(9)));
        lost(&mut all);
        assert_eq!(all.len(), 2);
        drop(all);
        assert_eq!(under_way.state().all.count(), 0);
    }
}
