//! Looks after the store: an alarm stands from the first thing that could not be saved until a write of ordinary size has
//! succeeded, since on a disk that is nearly full small ones do now and then. While nothing is saved it is tried as well, so
//! that it is known before the first call.

use crate::{
    alarms::{Alarm, Alarms, Notice, StoreCause},
    metrics::Metrics,
    upkeep::until,
};
use std::{sync::Arc, time::Duration};
use store::{Stats, Store, StoreError};
use tokio::{
    sync::watch,
    time::{Instant, interval},
};

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often a write is tried while the alarm stands.
const AGAIN: Duration = Duration::from_secs(5);
/// After so long without a commit a write is tried.
const QUIET: Duration = Duration::from_mins(1);

/// See the module.
pub(crate) async fn watch_store(
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    stopped: watch::Receiver<bool>,
) {
    let mut looks = interval(LOOK);
    let mut watched = Watched::new(&store.stats());
    loop {
        tokio::select! {
            () = until(stopped.clone()) => return,
            _ = looks.tick() => {}
        }
        let stats = store.stats();
        let is_time = watched.look(&stats, metrics.alarms());
        metrics.store_is(stats);
        if is_time {
            let tried = store.probe().await;
            watched.tried(tried, metrics.alarms());
        }
    }
}

/// What was seen at the last look.
struct Watched {
    failures: u64,
    unreadable: u64,
    commits: u64,
    stands: bool,
    /// When a write is to be tried.
    probe_at: Instant,
}

impl Watched {
    fn new(stats: &Stats) -> Self {
        Self {
            // Whatever failed since the store was opened is news.
            failures: 0,
            unreadable: stats.unreadable,
            commits: stats.commits.count(),
            stands: false,
            probe_at: Instant::now() + QUIET,
        }
    }

    /// Says whether a write is to be tried now.
    fn look(&mut self, stats: &Stats, alarms: &Alarms) -> bool {
        if stats.unreadable != self.unreadable {
            self.unreadable = stats.unreadable;
            let what = stats.last_unreadable.as_ref().map(StoreError::to_string);
            alarms.set(Alarm::StoreDamaged, true, &what.unwrap_or_default());
        }
        let commits = stats.commits.count();
        let failed = stats.failures != self.failures;
        if failed {
            self.failures = stats.failures;
            if let Some(error) = &stats.last_failure {
                self.raise(error, alarms);
            }
        } else if commits != self.commits && !self.stands {
            self.probe_at = Instant::now() + QUIET;
        }
        self.commits = commits;
        Instant::now() >= self.probe_at
    }

    /// A write was tried.
    fn tried(&mut self, tried: Result<(), StoreError>, alarms: &Alarms) {
        match tried {
            Ok(()) => {
                self.probe_at = Instant::now() + QUIET;
                self.stands = false;
                alarms.set(Alarm::StoreFailed, false, "");
            }
            Err(StoreError::Closed) => {}
            // It may be well, and has no time for this.
            Err(StoreError::Overloaded) => self.probe_at = Instant::now() + AGAIN,
            Err(error) => {
                self.raise(&error, alarms);
                self.probe_at = Instant::now() + AGAIN;
            }
        }
    }

    fn raise(&mut self, error: &StoreError, alarms: &Alarms) {
        if !self.stands {
            self.stands = true;
            self.probe_at = Instant::now() + AGAIN;
        }
        let mut notice = Notice::of(Alarm::StoreFailed, error.to_string());
        if let Some(cause) = StoreCause::of(error) {
            notice.remedy = cause.remedy;
        }
        alarms.about(Alarm::StoreFailed, "", Some(&notice));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::faulty::{Fault, Faulty};

    struct World {
        faulty: Arc<Faulty>,
        metrics: Arc<Metrics>,
        _stop: watch::Sender<bool>,
    }

    fn world() -> World {
        let faulty = Arc::new(Faulty::new(store::open("memory:").unwrap()));
        let metrics: Arc<Metrics> = Arc::default();
        let (stop, stopped) = watch::channel(false);
        let watching = watch_store(faulty.clone(), metrics.clone(), stopped);
        tokio::spawn(watching);
        World {
            faulty,
            metrics,
            _stop: stop,
        }
    }

    impl World {
        /// What the alarm says to do, if it stands.
        fn remedy(&self) -> Option<String> {
            let standing = self.metrics.alarms().standing();
            let alarm = standing.into_iter().find(|it| it.name == "store_failed");
            alarm.map(|it| it.remedy)
        }

        async fn commit(&self) {
            // What is said of it is in the statistics.
            let _ = self.faulty.commit(vec![Vec::new()]).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_alarm_stands_until_a_write_of_ordinary_size_succeeds_whatever_else_does() {
        let world = world();
        tokio::time::sleep(LOOK).await;
        assert_eq!(world.remedy(), None);
        world.faulty.order(Fault::Refuse(StoreError::DiskFull));
        world.commit().await;
        tokio::time::sleep(LOOK).await;
        assert!(world.remedy().unwrap().contains("df -h"));
        // Small ones succeed now and then.
        for _ in 0..10 {
            world.faulty.order(Fault::None);
            world.commit().await;
            world.faulty.order(Fault::Refuse(StoreError::DiskFull));
            tokio::time::sleep(LOOK).await;
            assert!(world.remedy().is_some());
        }
        world.faulty.order(Fault::None);
        tokio::time::sleep(AGAIN + LOOK).await;
        assert_eq!(world.remedy(), None);
        let text = world.metrics.render();
        assert!(text.contains("reveille_store_failures_total 1"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_helps_is_what_helps_against_that_cause() {
        let world = world();
        for (error, helps) in [
            (StoreError::Busy, "fuser"),
            (StoreError::ReadOnly, "mount"),
            (StoreError::Damaged("page 7".to_owned()), "store check"),
            (StoreError::Failed("disk I/O error".to_owned()), "dmesg"),
        ] {
            world.faulty.order(Fault::Refuse(error));
            world.commit().await;
            tokio::time::sleep(LOOK).await;
            let remedy = world.remedy().unwrap();
            assert!(remedy.contains(helps), "{remedy}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_fails_while_nothing_is_saved_is_found_out() {
        let world = world();
        tokio::time::sleep(LOOK).await;
        world.faulty.order(Fault::Refuse(StoreError::ReadOnly));
        tokio::time::sleep(QUIET.saturating_sub(2 * LOOK)).await;
        assert_eq!(world.remedy(), None);
        tokio::time::sleep(3 * LOOK).await;
        assert!(world.remedy().is_some());
    }
}
