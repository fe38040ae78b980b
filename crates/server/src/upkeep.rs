//! What a running server does now and then: removes what is too old, follows changes of its accounts and its
//! certificate.

use crate::{clock, config::Config, shards::Shards};
use anyhow::Result;
use domain::{Address, Timestamp};
use hub::{Accounts, Question};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};
use store::{Store, StoreError};
use tokio::{sync::watch, time::Interval};

/// How often what is too old is removed.
const PRUNING: Duration = Duration::from_hours(1);
/// How often we look whether the command line has changed accounts behind our back.
const STORE_LOOK: Duration = Duration::from_secs(5);
/// How often the certificate files are looked at.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(30);

/// Resolves when the server is to stop, or is gone.
pub(crate) async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the server is gone.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Comes now, and then every so often until the server stops.
struct Ticks {
    interval: Interval,
    stopped: watch::Receiver<bool>,
}

impl Ticks {
    fn every(period: Duration, stopped: watch::Receiver<bool>) -> Self {
        Self {
            interval: tokio::time::interval(period),
            stopped,
        }
    }

    /// Whether there is something to do, once it is time; false when the server stops.
    async fn next(&mut self) -> bool {
        tokio::select! {
            () = until(self.stopped.clone()) => false,
            _ = self.interval.tick() => true,
        }
    }
}

/// Removes stories, delivered messages and device history older than `retention`, and devices out of reach for longer.
pub(crate) async fn prune(
    store: Arc<dyn Store>,
    shards: Shards,
    retention: Duration,
    stopped: watch::Receiver<bool>,
) {
    let mut ticks = Ticks::every(PRUNING, stopped);
    while ticks.next().await {
        let now = Duration::from_millis(clock::now().0);
        let before = now.saturating_sub(retention);
        let before = Timestamp(u64::try_from(before.as_millis()).unwrap_or_default());
        shards.ask(Question::ForgetGone(before)).await;
        match store.prune(before).await {
            Ok(pruned) => tracing::debug!(?pruned, "removed what is too old"),
            Err(error) => tracing::error!(%error, "what is too old could not be removed"),
        }
    }
}

/// Takes over accounts that another process wrote into the store: the command line, when it could not reach us.
pub(crate) async fn follow_store(
    store: Arc<dyn Store>,
    accounts: Accounts,
    shards: Shards,
    stopped: watch::Receiver<bool>,
) {
    let mut ticks = Ticks::every(STORE_LOOK, stopped);
    while ticks.next().await {
        if !matches!(store.changed_elsewhere().await, Ok(true)) {
            continue;
        }
        match read_accounts(store.as_ref(), &accounts).await {
            Ok(gone) => {
                tracing::info!("another process changed the store: accounts are taken over");
                shards.ask(Question::UsersGone(gone)).await;
            }
            Err(error) => tracing::error!(%error, "accounts could not be read again"),
        }
    }
}

/// Takes the accounts as the store has them; those that we change meanwhile are read again. Says who has none any more.
async fn read_accounts(store: &dyn Store, accounts: &Accounts) -> Result<Vec<Address>, StoreError> {
    loop {
        let version = accounts.version();
        let users = store.users().await?;
        if let Some(gone) = accounts.replace(version, users) {
            return Ok(gone);
        }
    }
}

/// A certificate that was read from files, which may change.
pub(crate) struct CertificateFiles {
    source: net::TlsSource,
    files: [PathBuf; 2],
}

impl CertificateFiles {
    /// The certificate of the configuration, if it is one from files.
    pub(crate) fn of(config: &Config, source: Option<&net::TlsSource>) -> Option<Self> {
        let files = [config.tls.certificate.clone(), config.tls.key.clone()];
        let named = files.iter().all(|file| !file.as_os_str().is_empty());
        let source = source.cloned().filter(|_| named)?;
        Some(Self { source, files })
    }

    /// Takes up a new certificate once both files are good; until then the old one stays.
    pub(crate) async fn follow(self, stopped: watch::Receiver<bool>) {
        let mut known = self.changed_at();
        let mut ticks = Ticks::every(CERTIFICATE_LOOK, stopped);
        while ticks.next().await {
            let now = self.changed_at();
            if now == known {
                continue;
            }
            known = now;
            let certificate = self.files[0].display();
            match self.read() {
                Ok(()) => tracing::info!(%certificate, "new certificate"),
                Err(error) => {
                    tracing::error!(%error, %certificate, "the changed certificate cannot be used: the old one stays");
                }
            }
        }
    }

    fn read(&self) -> Result<()> {
        let [chain, key] = &self.files;
        let (chain, key) = (std::fs::read(chain)?, std::fs::read(key)?);
        Ok(self.source.swap_pem(&chain, &key)?)
    }

    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        let modified = |file: &PathBuf| std::fs::metadata(file).and_then(|file| file.modified());
        [0, 1].map(|at| modified(&self.files[at]).ok())
    }
}
