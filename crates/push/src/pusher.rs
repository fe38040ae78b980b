//! The front of the crate: one [`Pusher`] for all apps, made from what the operator says of them.

use crate::{
    App, ConfigError, Limits, Problem, Route,
    builder::Builder,
    client::Client,
    exchange::entropy,
    observe::{Event, Observer},
    outcome::unavailable,
    pool::Pool,
    rules::{self, redact},
};
use domain::{AppId, AppProfile, Notification, Outcome};
use std::{collections::HashMap, fmt, sync::Arc};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

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
}

struct Target {
    profile: AppProfile,
    client: Client,
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
    /// provider. Returns when all is warm, or has failed once; failures are told to the observer and the log, and
    /// tried again in the background.
    pub async fn warm(&self) {
        let mut all = JoinSet::new();
        for pool in &self.inner.pools {
            let pool = Arc::clone(pool);
            all.spawn(async move { pool.warm().await });
        }
        let deadline = self.inner.limits.deadline;
        for target in self.inner.apps.values() {
            let target = Arc::clone(target);
            all.spawn(async move {
                if let Ok(Err(outcome)) = timeout(deadline, target.client.warm()).await {
                    let (app, reason) = (&target.profile.app, outcome.reason());
                    tracing::warn!(%app, reason, "cannot get an access token");
                }
            });
        }
        all.join_all().await;
    }

    /// Takes no more pushes (they are [`Unavailable`](Outcome::Unavailable)), lets those under way finish, closes the
    /// connections. Takes no longer than [`Limits::deadline`].
    pub async fn shutdown(&self) {
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
