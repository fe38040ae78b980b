//! The threads that read, each over its own connection, so that no read waits for a write.

use super::{
    desk::{Alive, Desk},
    failure::store_error,
};
use crate::{Answer, OpenError, StoreError, limits};
use rusqlite::Connection;
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{mpsc, oneshot};

type Read = Box<dyn FnOnce(&mut Connection) + Send>;

/// The queue that all threads take from.
type Queue = Arc<Mutex<mpsc::Receiver<Read>>>;

/// Where reads are handed in. Dropped, the threads end.
pub(super) struct Readers {
    desk: Desk<Read>,
}

impl Readers {
    pub(super) fn start(connections: Vec<Connection>, path: &Path) -> Result<Self, OpenError> {
        let (desk, queue, alive) = Desk::new(limits::READ_QUEUE);
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
        Ok(Self { desk })
    }

    /// Asks the database, in one transaction: every statement of `query` sees the same state.
    pub(super) fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        let read = Box::new(move |connection: &mut Connection| {
            let answer = connection
                .transaction()
                .and_then(|transaction| query(&transaction));
            // Whoever asked may have gone.
            let _ = sender.send(answer.map_err(store_error));
        });
        let handed_in = self.desk.hand_in(read, limits::READ_QUEUE);
        Box::pin(async move {
            handed_in?;
            receiver.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    /// Takes no more, and waits until everything is answered.
    pub(super) fn close(&self) -> impl Future<Output = ()> + Send + 'static {
        self.desk.close()
    }
}

fn read(mut connection: Connection, queue: &Queue, alive: Alive) {
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.blocking_recv()
    };
    while let Some(read) = next() {
        read(&mut connection);
    }
    drop(connection);
    drop(alive);
}
