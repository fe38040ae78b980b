//! What a running server does now and then: removes what is too old, follows changes of its accounts and its
//! certificate.

use crate::{
    alarms::Alarm,
    bans::BanFile,
    clock,
    config::{self, Config},
    kernel_drops,
    metrics::Metrics,
    refusals::{self, Judge},
    shards::Shards,
    token_keys::Kept,
};
use anyhow::{Context, Result, ensure};
use domain::{Address, Change, Refusal, Timestamp};
use hub::{Accounts, Guards, Question};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use store::{Store, StoreError};
use tokio::{sync::watch, time::Interval};

/// How often what is too old is removed.
const PRUNING: Duration = Duration::from_hours(1);
/// How often the file with the keys of tokens is looked at.
const TOKEN_KEYS_LOOK: Duration = Duration::from_secs(5);
/// So many grants are removed at once, so that commits of others get in between.
const GRANTS: usize = 200;
/// How often we look whether the command line has changed accounts behind our back.
const STORE_LOOK: Duration = Duration::from_secs(5);
/// How often bans are kept.
const BAN_LOOK: Duration = Duration::from_secs(5);
/// How often the certificate files are looked at.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(30);

/// Resolves when the server is to stop, or is gone.
pub(crate) async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the server is gone.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Comes now, and then every so often until the server stops.
pub(crate) struct Ticks {
    interval: Interval,
    stopped: watch::Receiver<bool>,
}

impl Ticks {
    pub(crate) fn every(period: Duration, stopped: watch::Receiver<bool>) -> Self {
        Self {
            interval: tokio::time::interval(period),
            stopped,
        }
    }

    /// Whether there is something to do, once it is time; false when the server stops.
    pub(crate) async fn next(&mut self) -> bool {
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

/// Looks after the keys of tokens.
pub(crate) async fn keep_token_keys(
    keys: Arc<Kept>,
    metrics: Arc<Metrics>,
    stopped: watch::Receiver<bool>,
) {
    let mut ticks = Ticks::every(TOKEN_KEYS_LOOK, stopped);
    let mut is_well = true;
    while ticks.next().await {
        let (now, looked) = (clock::now(), keys.clone());
        let looked = tokio::task::spawn_blocking(move || looked.look(now)).await;
        let looked = looked.map_err(anyhow::Error::from).flatten();
        match &looked {
            Ok(true) => tracing::info!("other keys of tokens count from now on"),
            Err(error) if is_well => tracing::error!(
                error = format!("{error:#}"),
                "the keys of tokens cannot be looked at: they stay as they are"
            ),
            _ => {}
        }
        is_well = looked.is_ok();
        metrics.token_key_age(keys.age(now));
    }
}

/// Removes grants whose last token has ended, so that nobody can use them any more.
pub(crate) async fn prune_grants(
    store: Arc<dyn Store>,
    keys: Arc<Kept>,
    stopped: watch::Receiver<bool>,
) {
    let mut ticks = Ticks::every(PRUNING, stopped);
    while ticks.next().await {
        let now = Duration::from_millis(clock::now().0);
        let before = now.saturating_sub(keys.keys().longest());
        match remove_grants(store.as_ref(), Timestamp::default().plus(before)).await {
            Ok(removed) => tracing::debug!(removed, "removed grants that are too old"),
            Err(error) => tracing::error!(%error, "grants that are too old could not be removed"),
        }
    }
}

/// Says how many.
async fn remove_grants(store: &dyn Store, before: Timestamp) -> Result<usize, StoreError> {
    let mut removed = 0;
    loop {
        let old = store.old_grants(before, GRANTS).await?;
        let (found, remove) = (old.len(), |it: domain::Grant| {
            Change::RemoveGrant(it.user, it.id)
        });
        let steps = old.into_iter().map(|it| vec![remove(it)]).collect();
        store
            .commit(steps)
            .await?
            .into_iter()
            .collect::<Result<(), _>>()?;
        removed += found;
        if found < GRANTS {
            return Ok(removed);
        }
    }
}

/// Raises alarms for what is refused: by `net`, and `elsewhere`, which says how many that have been since the start.
pub(crate) async fn watch_refusals(
    metrics: Arc<Metrics>,
    net: net::Net,
    elsewhere: impl Fn() -> Vec<(Refusal, u64)>,
    stopped: watch::Receiver<bool>,
) {
    let mut ticks = Ticks::every(refusals::LOOK, stopped);
    let mut judge = Judge::default();
    let mut before: HashMap<Refusal, u64> = HashMap::new();
    while ticks.next().await {
        let (stats, refusals) = (net.stats(), metrics.refusals());
        let here = [
            (Refusal::Connections, stats.refused),
            (Refusal::Banned, stats.banned),
            (Refusal::Silent, stats.silent),
            (Refusal::Shed, stats.shed),
            (Refusal::Unread, kernel_drops::dropped(&net.addresses().udp)),
        ];
        let mut totals: HashMap<Refusal, u64> = HashMap::new();
        for (why, times) in here.into_iter().chain(elsewhere()) {
            *totals.entry(why).or_default() += times;
        }
        for (&why, &total) in &totals {
            let counted = before.get(&why).copied().unwrap_or_default();
            refusals.count(why, total.saturating_sub(counted));
        }
        before = totals;
        for (protocol, transport, open) in stats.open_by.all() {
            metrics.connections_are(protocol, transport, open);
        }
        judge.look(refusals, metrics.alarms());
    }
}

/// Keeps bans that came by guessing, so that they outlive us, and counts all. Those of an operator are kept before that is
/// answered.
pub(crate) async fn keep_bans(
    (file, guards): (Arc<BanFile>, Guards),
    metrics: Arc<Metrics>,
    stopped: watch::Receiver<bool>,
) {
    let mut ticks = Ticks::every(BAN_LOOK, stopped);
    let mut is_well = true;
    while ticks.next().await {
        let bans = guards.bans(clock::now());
        let by_operator = bans.iter().filter(|ban| ban.by_operator).count();
        metrics.bans_are(by_operator, bans.len() - by_operator);
        let (file, guards) = (file.clone(), guards.clone());
        let kept = tokio::task::spawn_blocking(move || file.keep(&guards)).await;
        let kept = kept.map_err(anyhow::Error::from).flatten();
        if let Err(error) = &kept
            && is_well
        {
            tracing::error!(
                error = format!("{error:#}"),
                "bans are not kept: they end with the server"
            );
        }
        is_well = kept.is_ok();
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
            Ok([gone, others]) => {
                tracing::info!("another process changed the store: accounts are taken over");
                shards.ask(Question::UsersGone(gone)).await;
                shards.ask(Question::SignOut(others)).await;
            }
            Err(error) => tracing::error!(%error, "accounts could not be read again"),
        }
    }
}

/// Takes the accounts as the store has them; those that we change meanwhile are read again. Says who has none any more, and who
/// signs in by something else.
async fn read_accounts(
    store: &dyn Store,
    accounts: &Accounts,
) -> Result<[Vec<Address>; 2], StoreError> {
    loop {
        let version = accounts.version();
        let users = store.users().await?;
        if let Some(changed) = accounts.replace(version, users) {
            return Ok(changed);
        }
    }
}

/// A certificate that was read from files, which may change.
pub(crate) struct CertificateFiles {
    source: net::TlsSource,
    files: Mutex<[PathBuf; 2]>,
    /// From when and until when the one is good that is shown, since the Unix epoch.
    good: Mutex<Option<(Duration, Duration)>>,
}

impl CertificateFiles {
    /// The certificate of the configuration, if it is one from files.
    pub(crate) fn of(config: &Config, source: Option<&net::TlsSource>) -> Option<Self> {
        let files = [config.tls.certificate.clone(), config.tls.key.clone()];
        let named = files.iter().all(|file| !file.as_os_str().is_empty());
        let source = source.cloned().filter(|_| named)?;
        let shown = std::fs::read(&files[0]).ok();
        let shown = shown.and_then(|chain| net::Certificate::from_pem(&chain).ok());
        Some(Self {
            source,
            good: Mutex::new(shown.map(|it| (it.not_before, it.not_after))),
            files: Mutex::new(files),
        })
    }

    /// Takes up a new certificate once both files are good; until then the old one stays. What is wrong is said once.
    pub(crate) async fn follow(
        self: Arc<Self>,
        metrics: Arc<Metrics>,
        stopped: watch::Receiver<bool>,
    ) {
        let is_refused = |why: &str| {
            let alarms = metrics.alarms();
            alarms.set(Alarm::CertificateRefused, !why.is_empty(), why);
        };
        let mut known = self.changed_at();
        let mut complaint = String::new();
        let mut ticks = Ticks::every(CERTIFICATE_LOOK, stopped);
        while ticks.next().await {
            let now = self.changed_at();
            if now == known {
                // The one before is there again.
                is_refused("");
                continue;
            }
            let files = self.files();
            let certificate = files[0].display();
            match self.read(&files) {
                Ok(()) => {
                    tracing::info!(%certificate, "new certificate");
                    complaint.clear();
                    is_refused("");
                    known = now;
                }
                // Not yet, perhaps: the key comes after the chain, and what is good from tomorrow on is good tomorrow.
                Err(error) if error.to_string() != complaint => {
                    tracing::error!(%error, %certificate, "the changed certificate cannot be used: the old one stays");
                    complaint = error.to_string();
                    is_refused(&complaint);
                }
                Err(_) => {}
            }
        }
    }

    /// Reads these files, and follows them from now on. If they cannot be used, everything stays.
    pub(crate) fn take(&self, tls: &config::Tls) -> Result<()> {
        let files = [tls.certificate.clone(), tls.key.clone()];
        self.read(&files)?;
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
        Ok(())
    }

    /// A certificate that is not good now never takes the place of another one.
    fn read(&self, [chain_file, key_file]: &[PathBuf; 2]) -> Result<()> {
        let read = |file: &PathBuf| {
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
        };
        let (chain, key) = (read(chain_file)?, read(key_file)?);
        let certificate = net::Certificate::from_pem(&chain)?;
        ensure!(
            certificate.is_good_at(Duration::from_millis(clock::now().0)),
            "{}: it has expired, or is not good yet",
            chain_file.display()
        );
        self.source.swap_pem(&chain, &key)?;
        let good = (certificate.not_before, certificate.not_after);
        *self.good.lock().unwrap_or_else(PoisonError::into_inner) = Some(good);
        Ok(())
    }

    /// From when and until when the certificate is good that is shown, since the Unix epoch.
    pub(crate) fn good(&self) -> Option<(Duration, Duration)> {
        *self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> [PathBuf; 2] {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.clone()
    }

    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        let modified = |file: &PathBuf| std::fs::metadata(file).and_then(|file| file.modified());
        let files = self.files();
        [0, 1].map(|at| modified(&files[at]).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain and its key that are good until this year.
    fn made(until: i32) -> (String, String) {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2010, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let chain = params.self_signed(&key).unwrap().pem();
        (chain, key.serialize_pem())
    }

    #[tokio::test]
    async fn grants_that_nobody_can_use_any_more_are_removed_however_many_there_are() {
        let store = store::open("memory:").unwrap();
        let count = GRANTS / store::limits::GRANTS + 2;
        let users = (0..count).map(|it| Address::new(&format!("user{it}"), "localhost").unwrap());
        let grant = |user: &Address, id: usize, at: u64| domain::Grant {
            user: user.clone(),
            id: id.to_string(),
            turn: 0,
            at: Timestamp(at),
        };
        for address in users.clone() {
            let user = crate::accounts::user(address.clone(), "x", crate::accounts::Ways::Digest);
            let old = (1..store::limits::GRANTS).map(|id| grant(&address, id, 9));
            let put = old.chain([grant(&address, 0, 10)]);
            let put = put.map(|it| Change::PutGrant(Box::new(it)));
            let step = std::iter::once(Change::PutUser(Box::new(user))).chain(put);
            let saved = store.commit(vec![step.collect()]).await.unwrap();
            assert_eq!(saved, [Ok(())]);
        }
        let old = count * (store::limits::GRANTS - 1);
        assert!(old > GRANTS);
        let before = Timestamp(10);
        assert_eq!(remove_grants(store.as_ref(), before).await, Ok(old));
        assert_eq!(remove_grants(store.as_ref(), before).await, Ok(0));
        for user in users {
            assert!(store.grant(&user, "0").await.unwrap().is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewed_certificate_is_taken_by_itself_and_an_expired_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.tls.certificate = folder.path().join("chain.pem");
        config.tls.key = folder.path().join("key.pem");
        let mut written = 0;
        let mut write = |(chain, key): &(String, String)| {
            std::fs::write(&config.tls.certificate, chain).unwrap();
            std::fs::write(&config.tls.key, key).unwrap();
            // As if time had passed: what is followed is when the files were changed.
            written += 10;
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + written);
            for file in [&config.tls.certificate, &config.tls.key] {
                let file = std::fs::File::options().write(true).open(file).unwrap();
                file.set_modified(at).unwrap();
            }
        };
        let (first, expired, renewed) = (made(2090), made(2020), made(2091));
        write(&first);
        let source = net::TlsSource::from_pem(first.0.as_bytes(), first.1.as_bytes()).unwrap();
        let files = CertificateFiles::of(&config, Some(&source)).unwrap();
        let (stop, stopped) = watch::channel(false);
        let certificate = Arc::new(files);
        let metrics: Arc<Metrics> = Arc::default();
        let following = certificate.clone().follow(metrics.clone(), stopped);
        let following = tokio::spawn(following);
        let is_refused = || !metrics.alarms().standing().is_empty();
        tokio::time::sleep(CERTIFICATE_LOOK * 2).await;
        let shown = || Arc::as_ptr(&source.current());
        let before = shown();
        write(&expired);
        tokio::time::sleep(CERTIFICATE_LOOK * 2).await;
        assert_eq!(shown(), before, "an expired one");
        let standing = metrics.alarms().standing();
        assert_eq!(standing[0].name, "certificate_refused");
        assert!(standing[0].detail.contains("chain.pem: it has expired"));
        write(&(renewed.0.clone(), first.1.clone()));
        tokio::time::sleep(CERTIFICATE_LOOK * 2).await;
        assert_eq!(shown(), before, "with the key of another");
        assert!(is_refused());
        write(&renewed);
        tokio::time::sleep(CERTIFICATE_LOOK * 2).await;
        assert_ne!(shown(), before, "the new one");
        assert!(!is_refused());
        let (_, until) = certificate.good().unwrap();
        // 2091-01-01.
        assert_eq!(until, Duration::from_hours(24 * 44_195));
        stop.send(true).unwrap();
        following.await.unwrap();
    }
}
