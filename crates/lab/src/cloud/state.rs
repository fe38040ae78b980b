//! What all parts of the clouds share: what they know, the journal, the orders, and the end.

use super::{
    CloudConfig, Filter, Limits, Record, fault::Faults, fcm_devices::Devices, record::Journal,
    registry::Registry,
};
use domain::{Provider, Timestamp};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What the clouds share.
pub(super) struct State {
    pub(super) config: CloudConfig,
    pub(super) journal: Journal,
    registry: Mutex<Registry>,
    apns_faults: Mutex<Faults>,
    fcm_faults: Mutex<Faults>,
    webpush_faults: Mutex<Faults>,
    fcm_devices: Mutex<Devices>,
    /// Everything that runs for the clouds.
    pub(super) tasks: TaskTracker,
    /// Say goodbye.
    pub(super) stopping: CancellationToken,
    /// Go.
    pub(super) stopped: CancellationToken,
}

impl State {
    pub(super) fn new(config: CloudConfig) -> Self {
        Self {
            journal: Journal::new(&config.limits),
            registry: Mutex::default(),
            apns_faults: Mutex::new(Faults::new()),
            fcm_faults: Mutex::new(Faults::new()),
            webpush_faults: Mutex::new(Faults::new()),
            fcm_devices: Mutex::new(Devices::new(&config.limits)),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
            config,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.config.limits
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        locked(&self.registry)
    }

    pub(super) fn fcm_devices(&self) -> MutexGuard<'_, Devices> {
        locked(&self.fcm_devices)
    }

    pub(super) fn faults(&self, provider: Provider) -> MutexGuard<'_, Faults> {
        match provider {
            Provider::Apns => locked(&self.apns_faults),
            Provider::Fcm => locked(&self.fcm_faults),
            // No app's own server is simulated.
            Provider::WebPush | Provider::AppServer => locked(&self.webpush_faults),
        }
    }

    pub(super) fn read(&self, filter: &Filter) -> Vec<Record> {
        let records = self.journal.read(filter);
        self.taken(filter, &records);
        records
    }

    pub(super) async fn wait(&self, filter: &Filter, patience: Duration) -> Vec<Record> {
        let patience = patience.min(self.limits().wait);
        let records = tokio::select! {
            records = self.journal.wait(filter, patience) => records,
            () = self.stopping.cancelled() => Vec::new(),
        };
        self.taken(filter, &records);
        records
    }

    /// The time by which credentials are judged.
    pub(super) fn clock(&self) -> Timestamp {
        let ahead = self.config.ahead_seconds.saturating_mul(1_000);
        Timestamp(now().0.saturating_add_signed(ahead))
    }

    /// Whoever reads what came for one token plays its device: it has its messages now, so nothing waits for it.
    fn taken(&self, filter: &Filter, records: &[Record]) {
        if let Some(token) = &filter.token
            && !records.is_empty()
        {
            self.fcm_devices().taken(token);
        }
    }
}

/// A lock that is good even if its holder panicked: what it guards is changed in single steps.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time of records and tokens.
pub(super) fn now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
