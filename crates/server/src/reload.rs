//! Reads the configuration again while the server runs: by `SIGHUP`, and by `reveille reload`. Everything is read, checked
//! and made before anything changes, so that a bad file changes nothing. What others were told of us (domains, addresses,
//! the store) stays until the next start.

use crate::{
    apps::Apps,
    components,
    config::{self, Config},
    doorkeeper::Doorkeeper,
    expiry::Expiry,
    kept_apps::All,
    metrics::Metrics,
    ours::Ours,
    pushd,
    reloaded::{Changed, Reloaded},
    settings::Source,
    setup,
    shards::{Decided, Shards},
    upkeep::CertificateFiles,
};
use anyhow::{Context, Result, bail, ensure};
use ring::digest;
use std::{path::PathBuf, sync::Arc};
use store::Store;
use tokio::sync::Mutex;

/// The keys that are taken while a process runs, by section. What is not here needs a restart.
pub(crate) type Taken = [(&'static str, &'static [&'static str])];

/// Those that a server takes, and a push service.
pub(crate) const TAKEN: &Taken = &[
    (
        "call",
        &[
            "ringing_after",
            "wake_timeout",
            "no_answer",
            "fallback",
            "trusted",
            "strangers",
            "min_expires",
            "default_expires",
            "max_expires",
        ],
    ),
    ("im", &["idle_after"]),
    ("tls", &["certificate", "key"]),
    (
        "push",
        &[
            "ca",
            "proxy",
            "url",
            "client_id",
            "client_secret_file",
            "credentials_key_file",
            "app",
            "matrix",
            "component",
        ],
    ),
    ("observe", &["log"]),
    (
        "limits",
        &[
            "messages_per_device",
            "held_calls",
            "calls_per_caller",
            "calls_per_caller_minute",
            "calls_per_callee",
            "calls_per_callee_minute",
            "strangers_per_second",
            "handshakes_per_second",
        ],
    ),
];

/// Those that an edge takes.
pub(crate) const TAKEN_AT_EDGE: &Taken = &[
    ("edge", &["insides", "passwords", "drain"]),
    ("tls", &["certificate", "key"]),
    ("observe", &["log"]),
    ("limits", &["strangers_per_second", "handshakes_per_second"]),
];

/// Of these, what changes nothing of how we push: who pushes through us.
const THROUGH_US: [&str; 2] = ["push.matrix", "push.component"];

/// Sets the filter of the log.
pub type SetLog = Arc<dyn Fn(&str) -> Result<()> + Send + Sync>;

/// Where the configuration comes from.
#[derive(Clone)]
pub struct Origin {
    /// The file.
    pub file: PathBuf,
    /// What a new filter of the log is told to.
    pub set_log: SetLog,
}

/// What is needed to take a configuration.
pub(crate) struct Parts {
    /// A development server has none.
    pub(crate) origin: Option<Origin>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) certificate: Option<Arc<CertificateFiles>>,
    pub(crate) keeper: Doorkeeper,
    /// The work of TLS that we accept.
    pub(crate) handshakes: net::Handshakes,
    pub(crate) expiry: Arc<Expiry>,
    pub(crate) apps: Apps,
    /// What the push service pushes by, if we are one.
    pub(crate) push_service: Option<pushd::Follower>,
    /// Who takes calls and messages, if this process has that role.
    pub(crate) call: Option<CallParts>,
}

/// What the role `call` is told anew with.
pub(crate) struct CallParts {
    pub(crate) behaviour: domain::Behaviour,
    pub(crate) net: net::Net,
    pub(crate) ours: Ours,
    pub(crate) shards: Shards,
}

/// One at a time.
pub(crate) struct Reload {
    parts: Parts,
    running: Mutex<Running>,
}

/// What counts now.
pub(crate) struct Running {
    config: Config,
    pub(crate) pusher: push::Pusher,
    /// The apps that are not the store's: those of the configuration, or of a development server.
    base: Vec<push::App>,
    route: push::Route,
    /// Of the files that the section `push` names, and of what the store has of apps.
    credentials: Vec<u8>,
}

impl Running {
    /// What counts from the start: these apps and those that the store has, all of which come with it.
    ///
    /// # Errors
    /// One of them cannot be pushed to as it is described.
    pub(crate) async fn made(
        config: &Config,
        (base, route): (Vec<push::App>, push::Route),
        store: &dyn Store,
        metrics: &Arc<Metrics>,
    ) -> Result<(Vec<push::App>, Self)> {
        let all = All::of(&base, &config.push, store).await?;
        let (limits, apps) = (push::Limits::default(), all.apps.clone());
        let running = Self {
            credentials: fingerprint(&config.push, &all),
            pusher: push::Pusher::new(apps, route.clone(), limits, metrics.clone())?,
            config: config.clone(),
            base,
            route,
        };
        Ok((all.apps, running))
    }
}

impl Reload {
    pub(crate) fn new(parts: Parts, running: Running) -> Self {
        Self {
            parts,
            running: Mutex::new(running),
        }
    }

    /// Takes what can be taken of the configuration, all of it or nothing.
    ///
    /// # Errors
    /// What is wrong with the file or with what it names, or that there is none. Nothing has changed.
    pub(crate) async fn reload(&self) -> Result<Reloaded> {
        let Some(origin) = &self.parts.origin else {
            bail!("a development server has no configuration to read again");
        };
        let mut running = self.running.lock().await;
        let (config, reloaded) = origin.read_again(&running.config, TAKEN)?;
        let (base, route) = (setup::apps(&config.push)?, setup::route(&config.push)?);
        let is_other = |key: &str| key.starts_with("push.") && !THROUGH_US.contains(&key);
        let is_other = reloaded.taken.iter().any(|it| is_other(&it.key));
        let wanted = Wanted {
            config,
            base,
            route,
            is_read_again: true,
        };
        self.take(&mut running, wanted, is_other).await?;
        tell(&reloaded);
        Ok(reloaded)
    }

    /// Takes the apps of the store as they are now.
    ///
    /// # Errors
    /// What is wrong with them. Nothing has changed.
    pub(crate) async fn take_apps(&self) -> Result<()> {
        let mut running = self.running.lock().await;
        let wanted = Wanted {
            config: running.config.clone(),
            base: running.base.clone(),
            route: running.route.clone(),
            is_read_again: false,
        };
        self.take(&mut running, wanted, false).await
    }

    /// Everything is read, checked and made before anything changes. `is_other`: how clouds are reached, or by whom.
    async fn take(&self, running: &mut Running, wanted: Wanted, is_other: bool) -> Result<()> {
        let Wanted {
            config,
            base,
            route,
            is_read_again,
        } = wanted;
        let all = All::of(&base, &config.push, self.parts.store.as_ref()).await?;
        let credentials = fingerprint(&config.push, &all);
        let is_other = is_other || credentials != running.credentials;
        let pusher = if is_other {
            let (limits, apps) = (push::Limits::default(), all.apps.clone());
            push::Pusher::new(apps, route.clone(), limits, self.parts.metrics.clone())?
        } else {
            running.pusher.clone()
        };
        let call = self.parts.call.as_ref();
        let decided = call.map(|call| call.decided(&config, &all.apps, pusher.clone()));
        let decided = decided.transpose()?;
        let trusted = crate::settings::trusted(&config)?;
        let service = self.parts.push_service.as_ref();
        let others = match service.filter(|_| is_read_again) {
            Some(service) => Some((service, pushd::Others::read(&config, &all.apps)?)),
            None => None,
        };
        // From here on nothing is refused, but for the certificate, which comes first.
        let certificate = self.parts.certificate.as_deref();
        let origin = self.parts.origin.as_ref();
        taken_by_all(&config, (certificate, origin), &self.parts.handshakes)?;
        self.parts.keeper.trust(trusted);
        if let Some((call, decided)) = call.zip(decided) {
            call.net.set_pace(config.limits.strangers_per_second);
            call.shards.reconfigure(decided).await;
        }
        if let Some(service) = service {
            service.push_by(pusher.clone()).await;
        }
        if let Some((service, others)) = others {
            service.serve(others).await;
        }
        self.parts.apps.set(&all.apps);
        self.parts.expiry.take(&config, &all.apps);
        let old = std::mem::replace(&mut running.pusher, pusher.clone());
        if is_other {
            self.forget_apps(&config, &all.apps);
            tokio::spawn(async move {
                pusher.warm().await;
                old.shutdown().await;
            });
        }
        *running = Running {
            config,
            pusher: running.pusher.clone(),
            base,
            route,
            credentials,
        };
        Ok(())
    }

    /// What is known of apps that are none any more is forgotten.
    fn forget_apps(&self, config: &Config, apps: &[push::App]) {
        let at_server = components::domains(config).map(|it| im::app_of(&it).app);
        let at_server: Vec<_> = at_server.collect();
        let is_one = |app: &domain::AppId| {
            at_server.contains(app) || apps.iter().any(|it| it.profile.app == *app)
        };
        self.parts.metrics.only_apps(is_one);
    }

    /// The clients that push now.
    pub(crate) async fn pusher(&self) -> push::Pusher {
        self.running.lock().await.pusher.clone()
    }

    /// The apps that are not the store's, and the section `push`.
    pub(crate) async fn base(&self) -> (Vec<push::App>, config::Push) {
        let running = self.running.lock().await;
        (running.base.clone(), running.config.push.clone())
    }
}

/// What is to count.
struct Wanted {
    config: Config,
    base: Vec<push::App>,
    route: push::Route,
    /// Whether it comes from the configuration, and not from the store.
    is_read_again: bool,
}

impl CallParts {
    fn decided(
        &self,
        config: &Config,
        apps: &[push::App],
        pusher: push::Pusher,
    ) -> Result<Decided> {
        let source = Source {
            config,
            behaviour: self.behaviour.clone(),
            apps,
            net: &self.net,
            ours: &self.ours,
        };
        let call = source.call()?;
        Ok(Decided {
            hub: source.hub(&call),
            call,
            pusher,
        })
    }
}

impl Origin {
    /// The running configuration with what can be taken of the one that is written now; and what is different.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read_again(&self, running: &Config, taken: &Taken) -> Result<(Config, Reloaded)> {
        let written = config::load(&Config::default(), Some(&self.file), std::env::vars())?;
        let (config, reloaded) = merged(running, &setup::on_this_host(written), taken)?;
        crate::settings::check(&config)?;
        Ok((config, reloaded))
    }
}

/// What a process of any role takes: the certificate, the filter of the log, and how many strangers may begin with TLS.
///
/// # Errors
/// The certificate cannot be used. Nothing has changed.
pub(crate) fn taken_by_all(
    config: &Config,
    (certificate, origin): (Option<&CertificateFiles>, Option<&Origin>),
    handshakes: &net::Handshakes,
) -> Result<()> {
    if let Some(certificate) = certificate {
        certificate.take(&config.tls).context("tls")?;
    }
    if let Some(origin) = origin {
        (origin.set_log)(&config.observe.log)?;
    }
    handshakes.set_pace(config.limits.handshakes_per_second);
    Ok(())
}

/// Says in the log what came of it.
pub(crate) fn tell(reloaded: &Reloaded) {
    for changed in &reloaded.taken {
        tracing::info!("reload: {changed}");
    }
    for changed in &reloaded.needs_restart {
        tracing::warn!("reload: {changed} needs a restart");
    }
    if *reloaded == Reloaded::default() {
        tracing::info!("reload: nothing has changed");
    }
}

/// The running configuration with what can be taken of another one; and what is different.
fn merged(running: &Config, written: &Config, taken: &Taken) -> Result<(Config, Reloaded)> {
    let mut table = toml::Table::try_from(running)?;
    let new = toml::Table::try_from(written)?;
    let mut reloaded = Reloaded::default();
    for (section, keys) in &new {
        let (Some(keys), Some(old)) = (
            keys.as_table(),
            table.get_mut(section).and_then(toml::Value::as_table_mut),
        ) else {
            continue;
        };
        for (key, value) in keys {
            let before = old.get(key);
            if before == Some(value) {
                continue;
            }
            let changed = Changed {
                key: format!("{section}.{key}"),
                before: shown(section, key, before),
                after: shown(section, key, Some(value)),
            };
            let known = taken.iter().find(|(known, _)| known == section);
            if known.is_some_and(|(_, keys)| keys.contains(&key.as_str())) {
                old.insert(key.clone(), value.clone());
                reloaded.taken.push(changed);
            } else {
                reloaded.needs_restart.push(changed);
            }
        }
    }
    let config: Config = table.try_into()?;
    let needed = config.listen.needs_tls();
    ensure!(
        !needed || !config.tls.certificate.as_os_str().is_empty(),
        "tls.certificate and tls.key are needed while anything listens with TLS"
    );
    Ok((config, reloaded))
}

/// A value for the log: the proxy's may hold a password, and of tables their names say enough.
fn shown(section: &str, key: &str, value: Option<&toml::Value>) -> String {
    match (section, key, value) {
        (_, _, None) => "nothing".to_owned(),
        ("push", "proxy", Some(_)) => "(not shown)".to_owned(),
        ("push", "app", Some(all)) => names(all, "app"),
        ("push", "matrix", Some(all)) => names(all, "app_id"),
        ("push", "component", Some(all)) => names(all, "domain"),
        (_, _, Some(value)) => value.to_string(),
    }
}

/// What the tables of a list are called.
fn names(all: &toml::Value, key: &str) -> String {
    let all = all.as_array().into_iter().flatten();
    let names: Vec<_> = all.filter_map(|it| it.get(key)?.as_str()).collect();
    format!("[{}]", names.join(", "))
}

/// Of what lies in the files that the section `push` names, and of what the store has: whether credentials have changed though
/// their names have not.
fn fingerprint(push: &config::Push, all: &All) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    let of_app = |app: &config::App| {
        [
            app.key_file.clone(),
            app.certificate_file.clone(),
            app.certificate_password_file.clone(),
            app.service_account.clone(),
            app.vapid_key_file.clone(),
        ]
    };
    let ours = [push.ca.clone(), push.client_secret_file.clone()];
    let files = push.app.iter().flat_map(of_app).chain(ours);
    for file in files.filter(|file| !file.as_os_str().is_empty()) {
        // One that cannot be read is an error of its own.
        let bytes = std::fs::read(file).unwrap_or_default();
        context.update(digest::digest(&digest::SHA256, &bytes).as_ref());
    }
    context.update(&all.print);
    context.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Addresses, SECTIONS, Span};
    use hub::Guards;
    use std::fs;

    #[tokio::test]
    async fn whom_the_operator_trusts_is_known_at_the_doors_as_well() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("reveille.toml");
        fs::write(&file, "[call]\ntrusted = [\"198.51.100.0/24\"]\n").unwrap();
        let (config, metrics) = (Config::default(), Arc::new(Metrics::default()));
        let keeper = Doorkeeper::new(&Guards::default(), &config, metrics.clone()).unwrap();
        let store = store::open("memory:").unwrap();
        let pushes = (Vec::new(), setup::route(&config.push).unwrap());
        let running = Running::made(&config, pushes, store.as_ref(), &metrics).await;
        let parts = Parts {
            origin: Some(Origin {
                file,
                set_log: Arc::new(|_| Ok(())),
            }),
            store,
            metrics,
            certificate: None,
            keeper: keeper.clone(),
            handshakes: net::Handshakes::new(&net::Limits::default()),
            expiry: Arc::new(Expiry::new(None)),
            apps: Apps::of(&[]),
            push_service: None,
            call: None,
        };
        let reload = Reload::new(parts, running.unwrap().1);
        let server = "198.51.100.7".parse().unwrap();
        assert!(!keeper.trusts(server));
        let reloaded = reload.reload().await.unwrap();
        assert!(reloaded.taken.iter().any(|it| it.key == "call.trusted"));
        assert!(keeper.trusts(server));
    }

    #[test]
    fn what_can_be_taken_is_and_the_rest_waits_for_a_restart() {
        let running = Config::default();
        let mut written = running.clone();
        written.call.fallback = "sip:voicemail@example.org".to_owned();
        written.call.no_answer = Span::seconds(30);
        written.server.node = "sip.example.org".to_owned();
        written.push.proxy = "user:secret@proxy.example.net:3128".to_owned();
        let (config, reloaded) = merged(&running, &written, TAKEN).unwrap();
        let keys =
            |changed: &[Changed]| changed.iter().map(|it| it.key.clone()).collect::<Vec<_>>();
        assert_eq!(
            keys(&reloaded.taken),
            ["call.fallback", "call.no_answer", "push.proxy"]
        );
        assert_eq!(keys(&reloaded.needs_restart), ["server.node"]);
        assert_eq!(
            reloaded.taken[0].to_string(),
            "call.fallback: \"\" -> \"sip:voicemail@example.org\""
        );
        assert!(!format!("{reloaded:?}").contains("secret"), "{reloaded:?}");
        assert_eq!(config.call.fallback, written.call.fallback);
        assert_eq!(config.server.node, "");
        let (_, again) = merged(&config, &written, TAKEN).unwrap();
        assert_eq!(keys(&again.needs_restart), ["server.node"], "it still does");
        assert!(again.taken.is_empty());
    }

    #[test]
    fn what_needs_a_restart_is_said_by_its_name() {
        let running = Config::default();
        let mut written = running.clone();
        written.call.media = "rtpengine".to_owned();
        written.media.rtpengine = Addresses::of(&["10.0.0.20:2223"]);
        written.turn.ttl = Span::seconds(60);
        written.edge.passwords = false;
        for (taken, at_once) in [(TAKEN, None), (TAKEN_AT_EDGE, Some("edge.passwords"))] {
            let (_, reloaded) = merged(&running, &written, taken).unwrap();
            let all = [
                "call.media",
                "edge.passwords",
                "media.rtpengine",
                "turn.ttl",
            ];
            let late = reloaded.needs_restart.iter().map(|it| &*it.key);
            let mut late: Vec<_> = late.collect();
            late.sort_unstable();
            let expected: Vec<_> = all.into_iter().filter(|it| Some(*it) != at_once).collect();
            assert_eq!(late, expected);
        }
    }

    #[test]
    fn every_key_that_is_taken_is_one() {
        for (section, keys) in TAKEN.iter().chain(TAKEN_AT_EDGE) {
            let (_, _, known) = SECTIONS.iter().find(|(name, ..)| name == section).unwrap();
            for key in *keys {
                assert!(known.iter().any(|it| it.name == *key), "{section}.{key}");
            }
        }
    }
}
