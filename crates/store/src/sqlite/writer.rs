//! The one thread that writes. It takes all steps that arrived while the last transaction ran, saves them in one, and
//! answers them when the disk has it (group commit). A step that fails is undone alone, by its savepoint.

use super::{
    desk::Desk,
    failure::{open_error, store_error},
};
use crate::{Answer, OpenError, Stats, StoreError, limits};
use rusqlite::{Connection, TransactionBehavior};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// Where steps are handed in. Dropped, the thread saves what waits and ends.
pub(super) struct Writer {
    desk: Arc<Desk<Box<dyn Job>>>,
    counters: Arc<Counters>,
    /// SQLite's data version when we looked last. It changes when another connection writes, and not when this one does.
    seen: Arc<AtomicI64>,
}

/// See [`Stats`].
#[derive(Default)]
pub(super) struct Counters {
    steps: AtomicU64,
    groups: AtomicU64,
    failed: AtomicU64,
    notes_dropped: AtomicU64,
    pub(super) overflowed: AtomicU64,
    last_commit_micros: AtomicU64,
}

impl Writer {
    pub(super) fn start(connection: Connection, path: &Path) -> Result<Self, OpenError> {
        let version = data_version(&connection).map_err(|error| open_error(path, &error))?;
        let (desk, queue, alive) = Desk::new(limits::WRITE_QUEUE);
        let counters = Arc::new(Counters::default());
        let counted = Arc::clone(&counters);
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                write(connection, queue, &counted);
                drop(alive);
            })
            .map_err(|error| OpenError::Failed {
                path: path.to_owned(),
                detail: error.to_string(),
            })?;
        Ok(Self {
            desk: Arc::new(desk),
            counters,
            seen: Arc::new(AtomicI64::new(version)),
        })
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Does `work` in the next transaction; answered when it is saved.
    pub(super) fn save<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        let step = Step {
            work: Some(work),
            result: Err(StoreError::Closed),
            reply: move |result| {
                // Whoever asked may have gone.
                let _ = sender.send(result);
            },
        };
        let handed_in = self.desk.hand_in(Box::new(step), limits::WRITE_QUEUE);
        Box::pin(async move {
            handed_in?;
            receiver.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    /// Does `work` in the next transaction if there is not much to do.
    pub(super) fn note(
        &self,
        work: impl FnOnce(&Connection) -> Result<(), StoreError> + Send + 'static,
    ) {
        let counters = Arc::clone(&self.counters);
        let step = Step {
            work: Some(work),
            result: Err(StoreError::Closed),
            reply: move |result: Result<(), StoreError>| {
                if let Err(error) = result {
                    tracing::debug!(%error, "a note was dropped");
                    counters.notes_dropped.fetch_add(1, Relaxed);
                }
            },
        };
        if self
            .desk
            .hand_in(Box::new(step), limits::NOTE_QUEUE)
            .is_err()
        {
            self.counters.notes_dropped.fetch_add(1, Relaxed);
        }
    }

    /// Whether another process wrote since this was asked last.
    pub(super) fn changed_elsewhere(&self) -> Answer<bool> {
        let seen = Arc::clone(&self.seen);
        self.save(move |connection| {
            let version = data_version(connection).map_err(store_error)?;
            Ok(seen.swap(version, Relaxed) != version)
        })
    }

    pub(super) fn stats(&self) -> Stats {
        let counters = &self.counters;
        Stats {
            waiting: self.desk.waiting(),
            steps: counters.steps.load(Relaxed),
            groups: counters.groups.load(Relaxed),
            failed: counters.failed.load(Relaxed),
            notes_dropped: counters.notes_dropped.load(Relaxed),
            overflowed: counters.overflowed.load(Relaxed),
            last_commit: Duration::from_micros(counters.last_commit_micros.load(Relaxed)),
        }
    }

    /// Waits until the readers are gone, then takes no more, and waits until everything is saved. Whoever closes SQLite
    /// last puts the log into the database, and a reader may not.
    pub(super) fn close(
        &self,
        readers: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let desk = Arc::clone(&self.desk);
        async move {
            readers.await;
            desk.close().await;
        }
    }
}

/// A step on its way: run in the transaction, answered after it.
trait Job: Send {
    /// Says whether it went well.
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError>;
    /// `saved`: what became of the transaction.
    fn answer(self: Box<Self>, saved: Result<(), StoreError>);
}

struct Step<W, T, R> {
    work: Option<W>,
    result: Result<T, StoreError>,
    reply: R,
}

impl<W, T, R> Job for Step<W, T, R>
where
    W: FnOnce(&Connection) -> Result<T, StoreError> + Send,
    T: Send,
    R: FnOnce(Result<T, StoreError>) + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if let Some(work) = self.work.take() {
            self.result = work(connection);
        }
        match &self.result {
            Ok(_) => Ok(()),
            Err(error) => Err(error.clone()),
        }
    }

    fn answer(self: Box<Self>, saved: Result<(), StoreError>) {
        (self.reply)(saved.and(self.result));
    }
}

fn write(mut connection: Connection, mut queue: mpsc::Receiver<Box<dyn Job>>, counters: &Counters) {
    let mut group = Vec::with_capacity(limits::GROUP);
    let mut failing = false;
    while queue.blocking_recv_many(&mut group, limits::GROUP) > 0 {
        let started = Instant::now();
        let saved = save_group(&mut connection, &mut group, counters);
        if let Err(error) = &saved {
            counters.failed.fetch_add(group.len() as u64, Relaxed);
            // Whoever waits for the answer hears it each time; the log, on a full disk of all places, does not.
            if !failing {
                tracing::error!(%error, "transactions fail");
            }
        }
        failing = saved.is_err();
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        counters.last_commit_micros.store(micros, Relaxed);
        counters.groups.fetch_add(1, Relaxed);
        for job in group.drain(..) {
            job.answer(saved.clone());
        }
    }
}

/// One transaction for all. An error is everybody's; that of one step is its own and no error here.
fn save_group(
    connection: &mut Connection,
    group: &mut [Box<dyn Job>],
    counters: &Counters,
) -> Result<(), StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(store_error)?;
    let mut failed = 0;
    let steps = group.len() as u64;
    for job in group {
        execute(&transaction, "SAVEPOINT step")?;
        match job.run(&transaction) {
            Ok(()) => {}
            // SQLite gave up the whole transaction (disk full, I/O error): going on would save steps one by one.
            Err(error) if transaction.is_autocommit() => return Err(error),
            Err(_) => {
                execute(&transaction, "ROLLBACK TO step")?;
                failed += 1;
            }
        }
        execute(&transaction, "RELEASE step")?;
    }
    transaction.commit().map_err(store_error)?;
    counters.steps.fetch_add(steps - failed, Relaxed);
    counters.failed.fetch_add(failed, Relaxed);
    Ok(())
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA data_version", [], |row| row.get(0))
}

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute([]))
        .map_err(store_error)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::open;

    fn insert(connection: &Connection, address: &str, bytes: usize) -> Result<(), StoreError> {
        let user = "INSERT INTO users VALUES (?1, ?2, '', '', NULL)";
        connection
            .execute(user, (address, "x".repeat(bytes)))
            .map_err(store_error)
            .map(drop)
    }

    #[tokio::test]
    async fn a_full_disk_fails_the_whole_group_and_not_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let connection = open::for_writing(&path).unwrap();
        let pages: i64 = connection
            .query_row("PRAGMA page_count", [], |row| row.get(0))
            .unwrap();
        connection
            .pragma_update(None, "max_page_count", pages + 4)
            .unwrap();
        let writer = Writer::start(connection, &path).unwrap();

        // Kept busy, so that what follows is one group.
        let (running, runs) = oneshot::channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let first = writer.save(move |_| {
            running.send(()).unwrap();
            wait.recv().map_err(|_| StoreError::Closed)
        });
        runs.await.unwrap();
        let small = writer.save(|connection| insert(connection, "small", 1));
        let large = writer.save(|connection| insert(connection, "large", 1_000_000));
        let after = writer.save(|connection| insert(connection, "after", 1));
        go.send(()).unwrap();
        first.await.unwrap();
        let answers = [small.await, large.await, after.await];
        let next = writer
            .save(|connection| insert(connection, "next", 1))
            .await;
        writer.close(async {}).await;

        let saved: String = open::for_reading(&path)
            .unwrap()
            .query_row("SELECT group_concat(address) FROM users", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(answers[1], Err(StoreError::DiskFull));
        for (name, answer) in ["small", "large", "after"].iter().zip(&answers) {
            assert_eq!(saved.contains(name), answer.is_ok(), "{name}: {saved}");
        }
        assert_eq!(next, Ok(()));
        assert!(saved.contains("next"));
    }
}
