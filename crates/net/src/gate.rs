//! A few places for work that is not to occupy what others need, given in turn: the known go first, and each source has its
//! turn, however many it has that wait.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::fair::Fair;
use crate::{Standing, Visitor};

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
}

impl Gate {
    pub(crate) fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: places.max(1),
            known: Fair::default(),
            strangers: Fair::default(),
        })))
    }

    /// A place, if there is one now and nobody waits for it.
    pub(crate) fn try_enter(&self) -> Option<Place> {
        self.enter(&mut self.state())
    }

    /// The turn of such a visitor. Who asks has one turn at a time, so the connections and sockets that there are limit how
    /// many wait.
    pub(crate) fn turn(&self, who: Visitor) -> Turn {
        let (sender, turn) = oneshot::channel();
        let mut state = self.state();
        if let Some(place) = self.enter(&mut state) {
            // The receiver is here.
            let _ = sender.send(place);
        } else {
            let line = match who.standing {
                Standing::Known => &mut state.known,
                Standing::Stranger | Standing::Banned => &mut state.strangers,
            };
            line.push(who.source, sender);
        }
        turn
    }

    fn enter(&self, state: &mut State) -> Option<Place> {
        // As long as somebody waits, none is free.
        state.free = state.free.checked_sub(1)?;
        Some(Place(Some(self.clone())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(gate) = self.0.take() else {
            return;
        };
        let mut place = Self(Some(gate.clone()));
        loop {
            let mut state = gate.state();
            let next = state.known.pop().or_else(|| state.strangers.pop());
            let Some((_, next)) = next else {
                state.free += 1;
                place.0 = None;
                return;
            };
            drop(state);
            match next.send(place) {
                Ok(()) => return,
                // Whoever waited does so no more.
                Err(back) => place = back,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(source: u32, standing: Standing) -> Visitor {
        Visitor {
            source: IpAddr::from(source.to_be_bytes()),
            standing,
        }
    }

    #[test]
    fn the_known_go_first_and_each_source_has_its_turn() {
        let gate = Gate::new(1);
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

    #[test]
    fn who_waits_no_more_is_passed_over_and_no_place_is_lost() {
        let gate = Gate::new(2);
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
}
