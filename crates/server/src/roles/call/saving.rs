//! Durable before acknowledged: what a step changes goes to the store, and what it promised is done once the store has
//! answered, in the order of the steps.

use domain::{Address, DeviceId, push::OwedPush};
use sip::{Message, endpoint::ServerTxn};
use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
    time::Instant,
};
use store::{Answer, StoreError};
use tokio::sync::oneshot;

/// What to do once the changes of a step are durable.
#[derive(Debug, Default)]
pub(super) struct AfterCommit {
    /// When the request came in that it is about.
    pub(super) since: Option<Instant>,
    /// Answer a request; if the store fails, it is answered 503 or 500 instead.
    pub(super) answer: Option<(ServerTxn, Message)>,
    /// Tell these devices' calls and queues that they are back; `true` if over another way than before.
    pub(super) returned: Vec<(DeviceId, bool)>,
    /// Deliver.
    pub(super) deliver: Vec<domain::delivery::Effect>,
    /// Push.
    pub(super) owed: Vec<OwedPush>,
    /// By how much the queues of these devices are longer; if the store fails, that is taken back.
    pub(super) queued: Vec<(DeviceId, i64)>,
    /// What waited for this user now waits for a device; if the store fails, it does not.
    pub(super) adopted: Option<(Address, u64)>,
    /// Tell whoever asked.
    pub(super) reply: Option<oneshot::Sender<Result<(), StoreError>>>,
}

/// Steps that wait for the store, oldest first.
#[derive(Default)]
pub(super) struct Commits(VecDeque<(Answer<()>, AfterCommit)>);

impl Commits {
    /// One more.
    pub(super) fn push(&mut self, answer: Answer<()>, after: AfterCommit) {
        self.0.push_back((answer, after));
    }

    /// Whether all are saved.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The store's word on the oldest step, if it has spoken.
    pub(super) fn try_next(&mut self) -> Option<(Result<(), StoreError>, AfterCommit)> {
        let (answer, _) = self.0.front_mut()?;
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(result) = answer.as_mut().poll(&mut context) else {
            return None;
        };
        let (_, after) = self.0.pop_front()?;
        Some((result, after))
    }

    /// The store's word on the oldest step; waits for ever while there is none. Cancel safe.
    pub(super) async fn next(&mut self) -> (Result<(), StoreError>, AfterCommit) {
        let Some((answer, _)) = self.0.front_mut() else {
            return std::future::pending().await;
        };
        let result = answer.await;
        let after = self
            .0
            .pop_front()
            .map(|(_, after)| after)
            .unwrap_or_default();
        (result, after)
    }
}
