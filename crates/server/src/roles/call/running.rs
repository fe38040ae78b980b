//! The role's loop: it waits for whatever comes first, takes what else is ready, and lets the answers go.

use super::{CallRole, Inbox, saving::AfterCommit};
use crate::clock;
use domain::delivery::Now;
use std::time::{Duration, Instant};
use store::StoreError;
use tokio::sync::mpsc;

/// Inputs of one kind taken in one turn: enough to fill a batch of datagrams, few enough that none starves another.
const BATCH: usize = 64;
/// How long the role sleeps if nothing is to come.
const IDLE: Duration = Duration::from_hours(1);
/// How long a shutdown waits for what is being saved at that moment.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The role with its ear, ready to run.
pub struct Running {
    role: CallRole,
    inbox: mpsc::Receiver<Inbox>,
}

/// What ended the wait.
enum Woken {
    Event(net::Event),
    Saved(Result<(), StoreError>, AfterCommit),
    Word(Inbox),
    Time,
    Stop,
}

impl Running {
    pub(super) fn new(role: CallRole, inbox: mpsc::Receiver<Inbox>) -> Self {
        Self { role, inbox }
    }

    /// Runs until `stop` resolves; then finishes what is being saved.
    pub async fn run(mut self, mut events: net::Events, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            let wake_up = self.role.next_timeout();
            let wake_up = wake_up.unwrap_or(self.role.now.instant + IDLE);
            let woken = tokio::select! {
                biased;
                () = &mut stop => Woken::Stop,
                event = events.recv() => event.map_or(Woken::Stop, Woken::Event),
                (result, after) = self.role.commits.next() => Woken::Saved(result, after),
                Some(word) = self.inbox.recv() => Woken::Word(word),
                () = tokio::time::sleep_until(wake_up.into()) => Woken::Time,
            };
            self.role.now = now();
            match woken {
                Woken::Stop => break,
                Woken::Event(event) => self.role.take_event(event),
                Woken::Saved(result, after) => self.role.saved(result, after),
                Woken::Word(word) => self.role.take_word(word),
                Woken::Time => {}
            }
            self.take_what_is_ready(&mut events);
            self.role.timeouts();
            self.role.end_turn();
        }
        self.wind_down().await;
    }

    fn take_what_is_ready(&mut self, events: &mut net::Events) {
        for event in std::iter::from_fn(|| events.try_recv()).take(BATCH) {
            self.role.take_event(event);
        }
        for _ in 0..BATCH {
            let Some((result, after)) = self.role.commits.try_next() else {
                break;
            };
            self.role.saved(result, after);
        }
        for word in std::iter::from_fn(|| self.inbox.try_recv().ok()).take(BATCH) {
            self.role.take_word(word);
        }
    }

    /// Calls in progress get their answer, and what was promised is saved. Pushes that are owed are in the store.
    async fn wind_down(mut self) {
        let Self { role, inbox } = &mut self;
        role.now = now();
        role.end_all_calls();
        role.run_endpoint();
        let deadline = tokio::time::sleep(LAST_WORDS);
        tokio::pin!(deadline);
        loop {
            while let Ok(word) = inbox.try_recv() {
                role.take_word(word);
            }
            role.end_turn();
            if role.commits.is_empty() {
                break;
            }
            tokio::select! {
                (result, after) = role.commits.next() => role.saved(result, after),
                () = &mut deadline => {
                    tracing::warn!("the store did not answer in time");
                    break;
                }
            }
        }
    }
}

pub(super) fn now() -> Now {
    Now {
        instant: Instant::now(),
        wall: clock::now(),
    }
}
