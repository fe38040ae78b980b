//! The one thread that writes. It takes all commits that arrived while the last transaction ran, saves them in one, and
//! answers them when the disk has it (group commit). Steps that cannot stand are rare: only when one fails is the group
//! saved again, with a savepoint for each step.

use super::{
    database::Database,
    failure::{open_error, store_error},
    inbox::{Commit, Inbox, Job, Turn, Words},
    sql::Sql,
};
use crate::{Answer, OpenError, Stats, StoreError, limits, times::Timer};
use domain::{Change, Note};
use rusqlite::Connection;
use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};
use tokio::sync::{oneshot, watch};

/// How what is handed in is written: the writer does not know what it is.
#[derive(Clone, Copy)]
pub(super) struct Writes {
    /// All changes of a step; on an error those before it are to be undone.
    pub(super) step: fn(&mut Database<'_>, &[Change]) -> Result<(), StoreError>,
    /// Notes; says how many were about what is gone.
    pub(super) notes: fn(&mut Database<'_>, &[Note]) -> rusqlite::Result<u64>,
}

/// Where work is handed in. Dropped, the thread saves what waits and ends.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: watch::Receiver<()>,
    /// SQLite's data version when we looked last. It changes when another connection writes, and not when this one does.
    seen: Arc<AtomicI64>,
}

#[derive(Default)]
struct Shared {
    inbox: Inbox,
    counters: Counters,
}

/// See [`Stats`].
#[derive(Default)]
struct Counters {
    steps: AtomicU64,
    groups: AtomicU64,
    failed: AtomicU64,
    notes_dropped: AtomicU64,
    commits: Timer,
    failures: AtomicU64,
    last_failure: Mutex<Option<StoreError>>,
}

impl Counters {
    /// Something was not saved. If that is not the store's fault, it is none.
    fn failed(&self, error: &StoreError) {
        if !matches!(error, StoreError::Missing { .. }) {
            self.failures.fetch_add(1, Relaxed);
            let mut last = self
                .last_failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *last = Some(error.clone());
        }
    }
}

impl Writer {
    pub(super) fn start(
        writes: Writes,
        connection: Connection,
        path: &Path,
    ) -> Result<Self, OpenError> {
        let version = data_version(&connection).map_err(|error| open_error(path, &error))?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        // Ends when the thread does: nothing is ever sent.
        let (alive, thread) = watch::channel(());
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                write(writes, &connection, &theirs);
                drop(connection);
                drop(alive);
            })
            .map_err(|error| OpenError::Failed {
                path: path.to_owned(),
                detail: error.to_string(),
            })?;
        Ok(Self {
            shared,
            thread,
            seen: Arc::new(AtomicI64::new(version)),
        })
    }

    pub(super) fn commit(&self, steps: Vec<Vec<Change>>) -> Answer<Words> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Commit(Commit { steps, reply });
        heard(self.shared.inbox.submit(job), answer)
    }

    /// Does `work` on the writer's connection, in its turn and outside of any transaction.
    pub(super) fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Work(Box::new(move |database| {
            // Whoever asked may have gone.
            let _ = reply.send(work(database));
        }));
        heard(self.shared.inbox.submit(job), answer)
    }

    pub(super) fn note(&self, notes: Vec<Note>) {
        let dropped = self.shared.inbox.note(notes) as u64;
        let counter = &self.shared.counters.notes_dropped;
        counter.fetch_add(dropped, Relaxed);
    }

    pub(super) fn flush(&self) -> Answer<()> {
        let (reply, answer) = oneshot::channel();
        heard(self.shared.inbox.flush(reply), answer)
    }

    /// Whether another process wrote since this was asked last.
    pub(super) fn changed_elsewhere(&self) -> Answer<bool> {
        let seen = Arc::clone(&self.seen);
        self.work(move |database| {
            let version = data_version(database.connection()).map_err(store_error)?;
            Ok(seen.swap(version, Relaxed) != version)
        })
    }

    pub(super) fn stats(&self) -> Stats {
        let counters = &self.shared.counters;
        let (waiting, notes_waiting) = self.shared.inbox.waiting();
        let last_failure = counters.last_failure.lock();
        Stats {
            waiting,
            notes_waiting,
            steps: counters.steps.load(Relaxed),
            groups: counters.groups.load(Relaxed),
            failed: counters.failed.load(Relaxed),
            notes_dropped: counters.notes_dropped.load(Relaxed),
            commits: counters.commits.times(),
            failures: counters.failures.load(Relaxed),
            last_failure: last_failure.unwrap_or_else(PoisonError::into_inner).clone(),
            ..Stats::default()
        }
    }

    /// Waits until the readers are gone, then takes no more, and waits until everything is saved. Whoever closes SQLite
    /// last puts the log into the database, and a reader may not.
    pub(super) fn close(
        &self,
        readers: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        let mut thread = self.thread.clone();
        async move {
            readers.await;
            shared.inbox.close();
            while thread.changed().await.is_ok() {}
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.inbox.close();
    }
}

fn heard<T: Send + 'static>(
    submitted: Result<(), StoreError>,
    answer: oneshot::Receiver<Result<T, StoreError>>,
) -> Answer<T> {
    Box::pin(async move {
        submitted?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    })
}

fn write(writes: Writes, connection: &Connection, shared: &Shared) {
    let mut pen = Pen {
        writes,
        database: Database::new(connection),
        counters: &shared.counters,
        failing: false,
        checkpointed: 0,
    };
    loop {
        match shared.inbox.next() {
            Turn::Jobs(jobs) => pen.jobs(jobs),
            Turn::Notes(notes, written) => {
                let saved = pen.notes(&notes);
                for reply in written {
                    // Whoever asked may have gone.
                    let _ = reply.send(saved.clone());
                }
            }
            Turn::End => return,
        }
        pen.checkpoint();
    }
}

/// What the thread writes with.
struct Pen<'t> {
    writes: Writes,
    database: Database<'t>,
    counters: &'t Counters,
    /// The last transaction failed.
    failing: bool,
    /// How many rows had been written when the log was brought into the database last.
    checkpointed: u64,
}

impl Pen<'_> {
    fn jobs(&mut self, jobs: Vec<Job>) {
        let mut group = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job {
                Job::Commit(commit) => group.push(commit),
                Job::Work(work) => {
                    self.group(std::mem::take(&mut group));
                    work(&mut self.database);
                }
            }
        }
        self.group(group);
    }

    /// Saves commits in one transaction, and answers them.
    fn group(&mut self, group: Vec<Commit>) {
        if group.is_empty() {
            return;
        }
        let started = Instant::now();
        let saved = match self.save(&group, false) {
            // One of the steps cannot stand.
            Err(StoreError::Missing { .. } | StoreError::Failed(_)) => self.save(&group, true),
            saved => saved,
        };
        self.counters.commits.took(started.elapsed());
        self.counters.groups.fetch_add(1, Relaxed);
        match saved {
            Ok(words) => {
                self.failing = false;
                for (commit, words) in group.into_iter().zip(words) {
                    let errors = words.iter().filter_map(|word| word.as_ref().err());
                    let failed = errors.inspect(|it| self.counters.failed(it)).count() as u64;
                    let stand = words.len() as u64 - failed;
                    self.counters.steps.fetch_add(stand, Relaxed);
                    self.counters.failed.fetch_add(failed, Relaxed);
                    let _ = commit.reply.send(Ok(words));
                }
            }
            Err(error) => self.refuse(group, &error),
        }
    }

    fn refuse(&mut self, group: Vec<Commit>, error: &StoreError) {
        // Whoever waits for the answer hears it each time; the log, on a full disk of all places, does not.
        if !self.failing {
            tracing::error!(%error, "transactions fail");
        }
        self.failing = true;
        self.counters.failed(error);
        for commit in group {
            let steps = commit.steps.len() as u64;
            self.counters.failed.fetch_add(steps, Relaxed);
            let _ = commit.reply.send(Err(error.clone()));
        }
    }

    /// One transaction for all. With savepoints a step falls alone, without them all do.
    fn save(&mut self, group: &[Commit], savepoints: bool) -> Result<Vec<Words>, StoreError> {
        let write = self.writes.step;
        let save = |database: &mut Database<'_>, step: &Vec<Change>| {
            if savepoints {
                by_itself(write, database, step)
            } else {
                write(database, step).map(Ok)
            }
        };
        self.database.transaction(Sql::Begin, |database| {
            let words = |commit: &Commit| {
                commit
                    .steps
                    .iter()
                    .map(|step| save(database, step))
                    .collect()
            };
            group.iter().map(words).collect()
        })
    }

    /// Notes have a transaction of their own and do not wait for the disk: the next commit's word covers them.
    fn notes(&mut self, notes: &[Note]) -> Result<(), StoreError> {
        if notes.is_empty() {
            return Ok(());
        }
        let connection = self.database.connection();
        let sync = |how| {
            connection
                .pragma_update(None, "synchronous", how)
                .map_err(store_error)
        };
        let write = self.writes.notes;
        let saved = sync("normal").and_then(|()| {
            self.database.transaction(Sql::Begin, |database| {
                write(database, notes).map_err(store_error)
            })
        });
        sync("full")?;
        let dropped = saved.as_ref().copied().unwrap_or(notes.len() as u64);
        self.counters.notes_dropped.fetch_add(dropped, Relaxed);
        saved.map(drop).inspect_err(|it| self.counters.failed(it))
    }

    /// Brings the log into the database when there is enough of it. Those who waited have their answers by now.
    fn checkpoint(&mut self) {
        let connection = self.database.connection();
        let written = connection.total_changes();
        if written - self.checkpointed < limits::CHECKPOINT_ROWS {
            return;
        }
        self.checkpointed = written;
        let done = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = done {
            tracing::warn!(%error, "the write-ahead log stays as long as it is");
        }
    }
}

/// A step under a savepoint. An error is the whole transaction's.
fn by_itself(
    write: fn(&mut Database<'_>, &[Change]) -> Result<(), StoreError>,
    database: &mut Database<'_>,
    step: &[Change],
) -> Result<Result<(), StoreError>, StoreError> {
    let run =
        |database: &mut Database<'_>, statement| database.run(statement, []).map_err(store_error);
    run(database, Sql::SetSavepoint)?;
    let word = write(database, step);
    if let Err(error) = &word {
        // SQLite gave up the whole transaction (disk full, I/O error): going on would save steps one by one.
        if database.connection().is_autocommit() {
            return Err(error.clone());
        }
        run(database, Sql::BackToSavepoint)?;
    }
    run(database, Sql::ReleaseSavepoint)?;
    Ok(word)
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA data_version", [], |row| row.get(0))
}

#[cfg(test)]
mod tests;
