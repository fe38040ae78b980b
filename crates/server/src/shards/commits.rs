//! Durable before acknowledged: the steps of a turn go to the store together, and its word on each comes back in their
//! order.

use domain::Change;
use hub::{NotDone, SaveId};
use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};
use store::{Answer, Store, StoreError};

/// What the store says of each step.
pub(super) type Verdicts = Vec<(SaveId, Result<(), NotDone>)>;

/// What the store will say of the steps of a turn.
type Promise = Answer<Vec<Result<(), StoreError>>>;

/// The steps of this turn, and the turns that wait for the store, oldest first.
#[derive(Default)]
pub(super) struct Commits {
    ids: Vec<SaveId>,
    steps: Vec<Vec<Change>>,
    waiting: VecDeque<(Promise, Vec<SaveId>)>,
}

impl Commits {
    /// One more step of this turn.
    pub(super) fn add(&mut self, id: SaveId, changes: Vec<Change>) {
        self.ids.push(id);
        self.steps.push(changes);
    }

    /// Ends a turn: its steps go to the store.
    pub(super) fn hand_in(&mut self, store: &dyn Store) {
        if self.ids.is_empty() {
            return;
        }
        let steps = std::mem::take(&mut self.steps);
        let ids = std::mem::take(&mut self.ids);
        self.waiting.push_back((store.commit(steps), ids));
    }

    /// Whether all are saved.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.ids.is_empty()
    }

    /// The store's word on the oldest turn, if it has spoken.
    pub(super) fn try_next(&mut self) -> Option<Verdicts> {
        let (answer, _) = self.waiting.front_mut()?;
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(result) = answer.as_mut().poll(&mut context) else {
            return None;
        };
        let (_, ids) = self.waiting.pop_front()?;
        Some(verdicts(ids, result))
    }

    /// The store's word on the oldest turn; waits for ever while there is none. Cancel safe.
    pub(super) async fn next(&mut self) -> Verdicts {
        let Some((answer, _)) = self.waiting.front_mut() else {
            return std::future::pending().await;
        };
        let result = answer.await;
        let ids = self.waiting.pop_front().map(|(_, ids)| ids);
        verdicts(ids.unwrap_or_default(), result)
    }
}

fn verdicts(ids: Vec<SaveId>, result: Result<Vec<Result<(), StoreError>>, StoreError>) -> Verdicts {
    match result {
        Ok(results) => {
            let of = |result: Result<(), StoreError>| result.map_err(|error| not_done(&error));
            ids.into_iter().zip(results.into_iter().map(of)).collect()
        }
        Err(error) => ids
            .into_iter()
            .map(|id| (id, Err(not_done(&error))))
            .collect(),
    }
}

/// A store's error in the hub's words.
pub(crate) fn not_done(error: &StoreError) -> NotDone {
    match error {
        StoreError::Overloaded => NotDone::Overloaded,
        StoreError::Missing { .. } => NotDone::Missing,
        other => NotDone::Failed(other.to_string()),
    }
}
