//! What waits for the writer: commits and other work in the order in which they came, and notes, which wait until there are
//! enough of them, or for long enough, or somebody wants to read them.

use super::database::Database;
use crate::{StoreError, limits};
use domain::{Change, Note};
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the answer to a commit is made of: one word for each step.
pub(super) type Words = Vec<Result<(), StoreError>>;

/// The steps of one caller.
pub(super) struct Commit {
    pub(super) steps: Vec<Vec<Change>>,
    pub(super) reply: Reply<Words>,
}

/// Work for the writer.
pub(super) enum Job {
    Commit(Commit),
    /// Anything else that needs its connection; sees to its own transaction and answer.
    Work(Box<dyn FnOnce(&mut Database<'_>) + Send>),
}

impl Job {
    fn weight(&self) -> usize {
        match self {
            Self::Commit(commit) => commit.steps.len().max(1),
            Self::Work(_) => 1,
        }
    }
}

/// What the writer does next.
pub(super) enum Turn {
    Jobs(Vec<Job>),
    /// Notes to write, and who wants to hear when they are.
    Notes(Vec<Note>, Vec<Reply<()>>),
    End,
}

/// See the module.
#[derive(Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// How much all jobs weigh.
    weight: usize,
    notes: VecDeque<Note>,
    /// Since when the oldest note waits, about.
    since: Option<Instant>,
    /// Who waits for so many notes more to be written.
    flushes: VecDeque<(usize, Reply<()>)>,
    /// The last turn was the notes': now it is the jobs'.
    notes_had_their_turn: bool,
    closed: bool,
}

impl Inbox {
    /// Nothing here panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn submit(&self, job: Job) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(StoreError::Closed);
        }
        let weight = waiting.weight + job.weight();
        // A commit that is larger than all of the room is taken when it is alone.
        if weight > limits::WRITE_QUEUE && waiting.weight > 0 {
            return Err(StoreError::Overloaded);
        }
        waiting.weight = weight;
        waiting.jobs.push_back(job);
        self.arrived.notify_one();
        Ok(())
    }

    /// Says how many notes it did not take.
    pub(super) fn note(&self, mut notes: Vec<Note>) -> usize {
        let mut waiting = self.lock();
        let room = limits::NOTES - waiting.notes.len();
        let taken = if waiting.closed {
            0
        } else {
            room.min(notes.len())
        };
        let dropped = notes.len() - taken;
        let few = waiting.notes.len() < limits::NOTE_BATCH;
        waiting.notes.extend(notes.drain(..taken));
        let first = waiting.since.is_none() && taken > 0;
        if first {
            waiting.since = Some(Instant::now());
        }
        // Once so that the clock runs, and once when there are enough of them.
        if first || (few && waiting.notes.len() >= limits::NOTE_BATCH) {
            self.arrived.notify_one();
        }
        dropped
    }

    /// Answers when the notes that wait now are written.
    pub(super) fn flush(&self, reply: Reply<()>) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(StoreError::Closed);
        }
        let notes = waiting.notes.len();
        waiting.flushes.push_back((notes, reply));
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes no more; what waits is done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// How many steps and how many notes wait.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.weight, waiting.notes.len())
    }

    /// Waits for something to do. Commits and notes take turns when both are due.
    pub(super) fn next(&self) -> Turn {
        let mut waiting = self.lock();
        loop {
            let notes_due = waiting.notes_due();
            if notes_due && (waiting.jobs.is_empty() || !waiting.notes_had_their_turn) {
                return waiting.take_notes();
            }
            if !waiting.jobs.is_empty() {
                return waiting.take_jobs();
            }
            if waiting.closed {
                return Turn::End;
            }
            let patience = waiting.since.map(|since| left_of(since.elapsed()));
            waiting = match patience {
                None => self
                    .arrived
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    self.arrived
                        .wait_timeout(waiting, patience)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }
}

fn left_of(age: Duration) -> Duration {
    limits::NOTE_AGE.saturating_sub(age)
}

impl Waiting {
    fn notes_due(&self) -> bool {
        let old = |since: Instant| since.elapsed() >= limits::NOTE_AGE;
        !self.flushes.is_empty()
            || self.notes.len() >= limits::NOTE_BATCH
            || self.since.is_some_and(old)
            || (self.closed && !self.notes.is_empty())
    }

    fn take_notes(&mut self) -> Turn {
        let taken = self.notes.len().min(limits::NOTE_BATCH);
        let notes = self.notes.drain(..taken).collect();
        let mut written = Vec::new();
        for (left, _) in &mut self.flushes {
            *left = left.saturating_sub(taken);
        }
        while let Some((_, reply)) = self.flushes.pop_front_if(|(left, _)| *left == 0) {
            written.push(reply);
        }
        // The age of those that are left is not known: as if they were new.
        self.since = (!self.notes.is_empty()).then(Instant::now);
        self.notes_had_their_turn = true;
        Turn::Notes(notes, written)
    }

    fn take_jobs(&mut self) -> Turn {
        let mut jobs = Vec::new();
        let mut weight = 0;
        while weight < limits::GROUP
            && let Some(job) = self.jobs.pop_front()
        {
            weight += job.weight();
            jobs.push(job);
        }
        self.weight -= weight;
        self.notes_had_their_turn = false;
        Turn::Jobs(jobs)
    }
}
