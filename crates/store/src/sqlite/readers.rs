//! The threads that read, each over its own connection, so that no read waits for a write.

use super::{
    database::Database,
    failure::store_error,
    job_queue::{Alive, JobQueue},
};
use crate::{Answer, OpenError, StoreError, limits};
use rusqlite::Connection;
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{mpsc, oneshot};

type Read = Box<dyn FnOnce(&mut Database<'_>) + Send>;

/// The queue that all threads take from.
type Queue = Arc<Mutex<mpsc::Receiver<Read>>>;

/// Where reads are handed in. Dropped, the threads end.
pub(super) struct Readers {
    job_queue: JobQueue<Read>,
    unreadable: Arc<Mutex<Unreadable>>,
}

/// How often what was read was damaged, and what was said of the last.
type Unreadable = (u64, Option<StoreError>);

impl Readers {
    pub(super) fn start(connections: Vec<Connection>, path: &Path) -> Result<Self, OpenError> {
        let (job_queue, queue, alive) = JobQueue::new(limits::READ_QUEUE);
        let queue: Queue = Arc::new(Mutex::new(queue));
        for connection in connections {
            let (queue, alive) = (Arc::clone(&queue), alive.clone());
            std::thread::Builder::new()
                .name("store-reader".to_owned())
                .spawn(move || read(connection, &queue, alive))
                .map_err(|error| OpenError::Failed {
                    path: path.to_owned(),
                    detail: error.to_string(),
                })?;
        }
        Ok(Self {
            job_queue,
            unreadable: Arc::default(),
        })
    }

    /// Since the start.
    pub(super) fn unreadable(&self) -> Unreadable {
        let unreadable = self.unreadable.lock();
        unreadable.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the database. A statement sees the state of one moment; several do in a transaction.
    pub(super) fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Database<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<T> {
        self.ask(move |database| query(database).map_err(store_error))
    }

    /// The same for a query that sorts its errors itself.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Database<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        let unreadable = Arc::clone(&self.unreadable);
        let read = Box::new(move |database: &mut Database<'_>| {
            let answer = query(database);
            if let Err(error @ StoreError::Damaged(_)) = &answer {
                let mut unreadable = unreadable.lock().unwrap_or_else(PoisonError::into_inner);
                *unreadable = (unreadable.0 + 1, Some(error.clone()));
            }
            // Whoever asked may have gone.
            let _ = sender.send(answer);
        });
        let submitted = self.job_queue.submit(read);
        Box::pin(async move {
            submitted?;
            receiver.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    /// Takes no more, and waits until everything is answered.
    pub(super) fn close(&self) -> impl Future<Output = ()> + Send + 'static {
        self.job_queue.close()
    }
}

fn read(connection: Connection, queue: &Queue, alive: Alive) {
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.blocking_recv()
    };
    let mut database = Database::new(&connection);
    while let Some(read) = next() {
        read(&mut database);
    }
    drop(database);
    drop(connection);
    drop(alive);
}
