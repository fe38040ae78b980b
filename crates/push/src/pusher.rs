//! The front of the crate: one [`Pusher`] for all apps, made from what the operator says of them.

use crate::{
    App, ConfigError, Limits, Problem, Route,
    builder::Builder,
    chance::{about, entropy},
    client::Client,
    observe::{Event, Observer, Served},
    outcome::unavailable,
    pool::Pool,
    rules::{self, redact},
};
use domain::{AppId, AppProfile, Notification, Outcome};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Pushes to every configured app. Cheap to clone; all clones share connections and tokens. When the last is dropped
/// the connections close; [`Pusher::shutdown`] lets what is under way finish first.
#[derive(Clone)]
pub struct Pusher {
    inner: Arc<Inner>,
}

struct Inner {
    apps: HashMap<AppId, Arc<Target>>,
    /// Those that carry pushes; and those that only get access tokens.
    pools: Vec<Arc<Pool>>,
    token_pools: Vec<Arc<Pool>>,
    limits: Limits,
    observer: Arc<dyn Observer>,
    /// Nothing is got ahead of need any more.
    closing: CancellationToken,
    /// Somebody looks after the access tokens.
    is_kept_ready: AtomicBool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

impl Inner {
    /// Sees to it that every app has what its pushes need beside a connection.
    async fn ready(&self) {
        let mut all = JoinSet::new();
        for target in self.apps.values() {
            let (target, observer) = (Arc::clone(target), Arc::clone(&self.observer));
            let deadline = self.limits.deadline;
            all.spawn(async move { target.ready(deadline, observer.as_ref()).await });
        }
        all.join_all().await;
    }
}

/// Renews access tokens while nobody waits for them, so that it is known before the next call that there are none.
async fn keep_ready(pusher: Weak<Inner>, period: Duration) {
    loop {
        sleep(about(period)).await;
        let Some(pusher) = pusher.upgrade() else {
            return;
        };
        pusher.ready().await;
    }
}

struct Target {
    profile: AppProfile,
    client: Client,
    served: Served,
    /// What was said last of what it needs beside a connection: nothing yet, `ready`, or the name of what a push would come to.
    ready: Mutex<&'static str>,
}

impl Target {
    /// Sees to it that it has what a push needs beside a connection, and tells if that has changed.
    async fn ready(&self, deadline: Duration, observer: &dyn Observer) {
        let got = timeout(deadline, self.client.warm()).await;
        let ready = got.unwrap_or_else(|_| {
            let reason = format!("no access token within {deadline:?}");
            Err(unavailable(reason, entropy()))
        });
        let now = ready.as_ref().err().map_or("ready", Outcome::name);
        let mut before = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *before, now) != now {
            observer.on(&Event::Ready {
                app: &self.served,
                ready: ready.as_ref().copied(),
            });
        }
    }
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pusher")
            .field("apps", &self.inner.apps.keys())
            .finish_non_exhaustive()
    }
}

impl Pusher {
    /// Checks everything that can be checked without the network. `route` is how the providers are
    /// reached; roots alone: directly. Connects to nobody yet; see [`Pusher::warm`].
    pub fn new(
        apps: Vec<App>,
        route: impl Into<Route>,
        limits: Limits,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, ConfigError> {
        let mut builder = Builder::new(route.into(), &limits, &observer);
        let mut targets = HashMap::new();
        for app in apps {
            let id = app.profile.app.clone();
            if targets.contains_key(&id) {
                let problem = Problem::Duplicate;
                return Err(ConfigError { app: id, problem });
            }
            let target = match builder.client(&app) {
                Ok(client) => Target {
                    served: app.served(),
                    ready: Mutex::default(),
                    profile: app.profile,
                    client,
                },
                Err(problem) => return Err(ConfigError { app: id, problem }),
            };
            targets.insert(id, Arc::new(target));
        }
        let (pools, token_pools) = builder.pools();
        let inner = Inner {
            apps: targets,
            pools,
            token_pools,
            limits,
            observer,
            closing: CancellationToken::new(),
            is_kept_ready: AtomicBool::new(false),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Pushes, and says what became of it; within [`Limits::deadline`], always. A call's push is tried once, with one
    /// immediate retry on another connection for a transport fault before any response byte (`behaviour.md` 5.6); so is
    /// any other: retrying later is the caller's affair, by the times that the [`Outcome`] gives.
    ///
    /// Must run in a Tokio runtime with time and I/O enabled.
    pub async fn push(&self, push: Notification) -> Outcome {
        let started = Instant::now();
        let Inner {
            apps,
            limits,
            observer,
            ..
        } = &*self.inner;
        let Some(target) = apps.get(&push.app) else {
            return Outcome::Refused {
                reason: format!(
                    "no app profile for {}; add one to the configuration",
                    push.app
                ),
            };
        };
        let outcome = match rules::check(&target.profile, &push) {
            Err(outcome) => outcome,
            Ok(()) => timeout(limits.deadline, target.client.push(&push))
                .await
                .unwrap_or_else(|_| {
                    unavailable(format!("no answer within {:?}", limits.deadline), entropy())
                }),
        };
        let took = started.elapsed();
        tracing::debug!(
            id = %push.id, tracking = %push.tracking, app = %push.app, token = redact(&push.token),
            channel = push.channel.name(), purpose = push.purpose.name(),
            outcome = outcome.name(), reason = outcome.reason(), ?took, "pushed"
        );
        observer.on(&Event::Pushed {
            app: &push.app,
            provider: target.profile.provider,
            channel: push.channel,
            purpose: push.purpose.name(),
            outcome: &outcome,
            took,
        });
        outcome
    }

    /// The profile of an app that can be pushed to.
    pub fn profile(&self, app: &AppId) -> Option<&AppProfile> {
        self.inner.apps.get(app).map(|target| &target.profile)
    }

    /// Whether an app's provider takes our credentials, asked without pushing to anybody. What is wrong with them is
    /// `Unauthorized`; `Unavailable` says that nobody could be asked. That the token is nobody's is as it should be.
    pub async fn probe(&self, app: &AppId) -> Option<Outcome> {
        let target = self.inner.apps.get(app)?;
        let deadline = self.inner.limits.deadline;
        let outcome = timeout(deadline, target.client.probe(app)).await;
        Some(
            outcome.unwrap_or_else(|_| {
                unavailable(format!("no answer within {deadline:?}"), entropy())
            }),
        )
    }

    /// Opens connections ahead, fetches access tokens, and from now on keeps `Limits::warm_connections` open to every
    /// provider, and their tokens good. Returns when all is warm, or has failed once; failures are told to the observer, and
    /// tried again in the background.
    pub async fn warm(&self) {
        let mut all = JoinSet::new();
        for pool in &self.inner.pools {
            let pool = Arc::clone(pool);
            all.spawn(async move { pool.warm().await });
        }
        let inner = Arc::clone(&self.inner);
        all.spawn(async move { inner.ready().await });
        if !self.inner.is_kept_ready.swap(true, Ordering::Relaxed) {
            let keeping = keep_ready(Arc::downgrade(&self.inner), self.inner.limits.keep_alive);
            let closing = self.inner.closing.clone();
            tokio::spawn(async move { closing.run_until_cancelled(keeping).await });
        }
        all.join_all().await;
    }

    /// Takes no more pushes (they are [`Unavailable`](Outcome::Unavailable)), lets those under way finish, closes the
    /// connections. Takes no longer than [`Limits::deadline`].
    pub async fn shutdown(&self) {
        self.inner.closing.cancel();
        let mut all = JoinSet::new();
        for pool in self.inner.pools.iter().chain(&self.inner.token_pools) {
            let pool = Arc::clone(pool);
            all.spawn(async move { pool.shutdown().await });
        }
        for target in self.inner.apps.values() {
            let target = Arc::clone(target);
            all.spawn(async move { target.client.shutdown().await });
        }
        all.join_all().await;
    }
}
