//! A few places for work that is not to occupy what others need, given in turn: the known go first, and each source has its
//! turn, however many it has that wait. Strangers have a pace as well: what is left of a processor is not theirs alone, however
//! quickly a place is free again.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::config::processors;
use crate::fair::Fair;
use crate::unproven::site;
use crate::{Standing, Visitor};

/// As long as strangers wait, they are looked after so often. Timers are no finer.
const TICK: Duration = Duration::from_millis(1);
/// What strangers may do at once when nothing came from them for a while, as the part of a second of their pace.
const BURST: u32 = 50;

/// Clones have the same places.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Mutex<State>>);

/// A place. Whoever is next has it when it is dropped.
pub(crate) struct Place(Option<Gate>);

/// Somebody's turn, which comes. Dropped, it is passed over.
pub(crate) type Turn = oneshot::Receiver<Place>;

struct State {
    free: usize,
    known: Fair<IpAddr, oneshot::Sender<Place>>,
    strangers: Fair<IpAddr, oneshot::Sender<Place>>,
    pace: Pace,
    /// Somebody looks after strangers who wait.
    is_looked_after: bool,
}

/// So many a second, and some at once after a pause.
struct Pace {
    /// From one to the next.
    every: Duration,
    /// Those that there were would take until then.
    used: Instant,
    /// How far that may lie ahead.
    burst: Duration,
}

impl Pace {
    fn new(per_second: u32) -> Self {
        Self {
            every: Duration::from_secs(1) / per_second.max(1),
            used: Instant::now(),
            burst: Duration::from_secs(1) / BURST,
        }
    }

    /// Takes one, if that may be now.
    fn take(&mut self) -> bool {
        let now = Instant::now();
        let used = self.used.max(now);
        let may_be = used - now <= self.burst;
        if may_be {
            self.used = used + self.every;
        }
        may_be
    }

    /// Gives it back.
    fn give_back(&mut self) {
        self.used -= self.every;
    }
}

impl State {
    /// Takes a place for such a one, if there is one now.
    fn take(&mut self, standing: Standing) -> bool {
        let is_theirs = self.free > 0 && (standing == Standing::Known || self.pace.take());
        self.free -= usize::from(is_theirs);
        is_theirs
    }

    fn give_back(&mut self, standing: Standing) {
        self.free += 1;
        if standing != Standing::Known {
            self.pace.give_back();
        }
    }

    /// Whose turn it is, for whom a place is taken. Whoever waits no more, as after a handshake that took too long, has none.
    fn next(&mut self) -> Option<(Standing, oneshot::Sender<Place>)> {
        for standing in [Standing::Known, Standing::Stranger] {
            if self.line(standing).is_empty() || !self.take(standing) {
                continue;
            }
            if let Some((_, next)) = self.line(standing).pop_wanted(waits) {
                return Some((standing, next));
            }
            self.give_back(standing);
        }
        None
    }

    fn line(&mut self, standing: Standing) -> &mut Fair<IpAddr, oneshot::Sender<Place>> {
        match standing {
            Standing::Known => &mut self.known,
            Standing::Stranger | Standing::Banned => &mut self.strangers,
        }
    }
}

impl Gate {
    /// So many places, of which strangers have so many a second for each processor.
    pub(crate) fn new(places: usize, per_second: u32) -> Self {
        Self::with_pace(places, Pace::new(of_all(per_second)))
    }

    /// Strangers have so many a second for each processor from now on.
    pub(crate) fn set_pace(&self, per_second: u32) {
        self.state().pace = Pace::new(of_all(per_second));
    }

    fn with_pace(places: usize, pace: Pace) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: places.max(1),
            known: Fair::default(),
            strangers: Fair::default(),
            pace,
            is_looked_after: false,
        })))
    }

    /// A stranger's place, if there is one now and nobody waits for it.
    pub(crate) fn try_enter(&self) -> Option<Place> {
        let mut state = self.state();
        let is_theirs = state.strangers.is_empty() && state.take(Standing::Stranger);
        is_theirs.then(|| Place(Some(self.clone())))
    }

    /// The turn of such a visitor. Who asks waits for one turn at a time, so the connections and sockets that there are limit how
    /// many do. Called in a runtime, which looks after strangers who wait.
    pub(crate) fn turn(&self, who: Visitor) -> Turn {
        let (sender, turn) = oneshot::channel();
        let mut state = self.state();
        let line = state.line(who.standing);
        // One customer's many networks have one turn among all, as long as nobody has signed in from there.
        let whose = match who.standing {
            Standing::Known => who.source,
            Standing::Stranger | Standing::Banned => site(who.source),
        };
        line.push_among(whose, sender, waits);
        drop(state);
        self.give();
        let mut state = self.state();
        if !state.strangers.is_empty() && !state.is_looked_after {
            state.is_looked_after = true;
            tokio::spawn(self.clone().look_after());
        }
        turn
    }

    /// Gives the strangers who wait their places when it is time, until none of them waits.
    async fn look_after(self) {
        loop {
            sleep(TICK).await;
            self.give();
            let mut state = self.state();
            if state.strangers.is_empty() {
                state.is_looked_after = false;
                return;
            }
        }
    }

    /// Gives the places that are free to those whose turn it is.
    fn give(&self) {
        let mut state = self.state();
        while let Some((standing, next)) = state.next() {
            drop(state);
            let given = next.send(Place(Some(self.clone())));
            state = self.state();
            // Whoever waited does so no more.
            if let Err(mut back) = given {
                back.0 = None;
                state.give_back(standing);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn waits(turn: &oneshot::Sender<Place>) -> bool {
    !turn.is_closed()
}

/// What there is a second, if there is so much for each processor.
pub(crate) fn of_all(per_second: u32) -> u32 {
    per_second.saturating_mul(u32::try_from(processors()).unwrap_or(1))
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            gate.state().free += 1;
            gate.give();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than anybody waits for.
    const AT_ONCE: u32 = 1_000_000;

    fn who(source: u32, standing: Standing) -> Visitor {
        Visitor {
            source: IpAddr::from(source.to_be_bytes()),
            standing,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_known_go_first_and_each_source_has_its_turn() {
        let gate = Gate::new(1, AT_ONCE);
        let inside = gate.try_enter().unwrap();
        let turn = |source, standing| gate.turn(who(source, standing));
        let mut turns = [
            turn(1, Standing::Stranger),
            turn(1, Standing::Stranger),
            turn(2, Standing::Stranger),
            turn(3, Standing::Known),
        ];
        drop(inside);
        for expected in [3, 0, 2, 1] {
            let entered: Vec<_> = turns.iter_mut().map(|turn| turn.try_recv().ok()).collect();
            let who = entered.iter().position(Option::is_some);
            assert_eq!(who, Some(expected));
        }
        assert!(gate.try_enter().is_some(), "it is free again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_customer_of_many_networks_has_one_turn_among_all() {
        let gate = Gate::new(1, AT_ONCE);
        let inside = gate.try_enter().unwrap();
        let of_network = |number: u32| Visitor {
            source: format!("2001:db8:0:{number:x}::").parse().unwrap(),
            standing: Standing::Stranger,
        };
        let mut many: Vec<_> = (0..1_000)
            .map(|number| gate.turn(of_network(number)))
            .collect();
        let mut other = gate.turn(who(1, Standing::Stranger));
        drop(inside);
        drop(many[0].try_recv().unwrap());
        drop(other.try_recv().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_no_more_is_passed_over_and_no_place_is_lost() {
        let gate = Gate::new(2, AT_ONCE);
        let inside = [gate.try_enter().unwrap(), gate.try_enter().unwrap()];
        let gone: Vec<_> = (0..10_000)
            .map(|source| gate.turn(who(source, Standing::Stranger)))
            .collect();
        let mut last = gate.turn(who(0, Standing::Stranger));
        drop(gone);
        drop(inside);
        let place = last.try_recv().unwrap();
        // Given, and not taken.
        let given = gate.turn(who(1, Standing::Known));
        assert!(gate.try_enter().is_none());
        drop((given, place));
        assert!(
            (0..2)
                .map(|_| gate.try_enter())
                .collect::<Vec<_>>()
                .iter()
                .all(Option::is_some)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_have_their_pace_and_the_known_have_not() {
        let gate = Gate::with_pace(1, Pace::new(1_000));
        let at_once = std::iter::from_fn(|| gate.try_enter().map(drop)).count();
        assert_eq!(at_once, 21, "a fiftieth of a second, and one");
        let begun = Instant::now();
        for source in 0..100 {
            gate.turn(who(source, Standing::Known)).await.unwrap();
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let turns: Vec<_> = (0..100)
            .map(|source| gate.turn(who(source, Standing::Stranger)))
            .collect();
        assert!(gate.try_enter().is_none(), "others were there before");
        for turn in turns {
            turn.await.unwrap();
        }
        let took = begun.elapsed().as_millis();
        assert!((98..=110).contains(&took), "{took} ms");
        gate.set_pace(1_000_000);
        let at_once = std::iter::from_fn(|| gate.try_enter().map(drop)).take(1_000);
        assert_eq!(at_once.count(), 1_000, "another pace");
        gate.state().pace = Pace::new(1_000);
        // A crowd that has gone holds nobody up.
        let gone: Vec<_> = (0..10_000)
            .map(|_| gate.turn(who(1, Standing::Stranger)))
            .collect();
        drop(gone);
        let begun = Instant::now();
        gate.turn(who(1, Standing::Stranger)).await.unwrap();
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(100), "{took:?}");
        sleep(Duration::from_mins(1)).await;
        let at_once = std::iter::from_fn(|| gate.try_enter().map(drop)).count();
        assert_eq!(at_once, 21, "no more is saved up");
    }
}
