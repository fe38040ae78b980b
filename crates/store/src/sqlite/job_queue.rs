//! Where reads are handed in to threads: a bounded queue that can be closed, and a way to wait until its threads are gone.

use crate::StoreError;
use std::sync::{PoisonError, RwLock};
use tokio::sync::{mpsc, watch};

/// The near side of a queue of jobs.
pub(super) struct JobQueue<J> {
    jobs: RwLock<Option<mpsc::Sender<J>>>,
    threads: watch::Receiver<()>,
}

/// Held by each thread while it lives.
pub(super) type Alive = watch::Sender<()>;

impl<J> JobQueue<J> {
    /// The queue, its far side, and what its threads hold while they live.
    pub(super) fn new(places: usize) -> (Self, mpsc::Receiver<J>, Alive) {
        let (jobs, queue) = mpsc::channel(places);
        let (alive, threads) = watch::channel(());
        let job_queue = Self {
            jobs: RwLock::new(Some(jobs)),
            threads,
        };
        (job_queue, queue, alive)
    }

    /// Puts a job into the queue, if there is room.
    pub(super) fn submit(&self, job: J) -> Result<(), StoreError> {
        let jobs = self.jobs.read().unwrap_or_else(PoisonError::into_inner);
        let jobs = jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    /// Takes no more. The threads do what waits, and end.
    pub(super) fn close(&self) -> impl Future<Output = ()> + Send + 'static {
        self.jobs
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut threads = self.threads.clone();
        // Nobody ever sends: this ends when the last thread does.
        async move { while threads.changed().await.is_ok() {} }
    }
}
