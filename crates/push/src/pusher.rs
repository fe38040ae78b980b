//! The front of the crate: one [`Pusher`] for all apps, made from what the operator says of them.

use crate::{
    App, ConfigError, Credentials, Limits, Problem,
    client::{Apns, Fcm, entropy},
    config::Endpoint,
    observe::{Event, Observer},
    outcome::unavailable,
    pool::{Pool, Start},
    rules::{self, redact},
    token::{ApnsSigner, FcmSigner, apns::ApnsToken, fcm::FcmToken},
};
use domain::{AppId, AppProfile, Notification, Outcome};
use http::{HeaderValue, Uri, uri::Authority};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};
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
    apps: HashMap<AppId, Target>,
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

enum Client {
    Apns(Apns),
    Fcm(Fcm),
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pusher")
            .field("apps", &self.inner.apps.keys())
            .finish_non_exhaustive()
    }
}

impl Pusher {
    /// Checks everything that can be checked without the network. `roots` are who may vouch for a provider's
    /// certificate: the system's, or a development CA. Connects to nobody yet; see [`Pusher::warm`].
    pub fn new(
        apps: Vec<App>,
        roots: RootCertStore,
        limits: Limits,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, ConfigError> {
        let mut builder = Builder {
            roots: Arc::new(roots),
            limits: &limits,
            observer: &observer,
            tls: None,
            pools: BTreeMap::new(),
            token_pools: BTreeMap::new(),
            apns_tokens: HashMap::new(),
            fcm_tokens: HashMap::new(),
        };
        let mut targets = HashMap::new();
        for app in apps {
            let id = app.profile.app.clone();
            let target = if targets.contains_key(&id) {
                Err(Problem::Duplicate)
            } else {
                builder.target(&app)
            };
            let target = target.map_err(|problem| ConfigError {
                app: id.clone(),
                problem,
            })?;
            targets.insert(id, target);
        }
        let (pools, token_pools) = (builder.pools, builder.token_pools);
        let inner = Inner {
            apps: targets,
            pools: pools.into_values().collect(),
            token_pools: token_pools.into_values().collect(),
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
            Ok(()) => timeout(limits.deadline, target.push(&push))
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

    /// Opens connections ahead, fetches access tokens, and from now on keeps `Limits::warm_connections` open to every
    /// provider. Returns when all is warm, or has failed once; failures are told to the observer and the log, and
    /// tried again in the background.
    pub async fn warm(&self) {
        let mut all = JoinSet::new();
        for pool in &self.inner.pools {
            let pool = Arc::clone(pool);
            all.spawn(async move { pool.warm().await });
        }
        for target in self.inner.apps.values() {
            if let Client::Fcm(client) = &target.client {
                let token = Arc::clone(&client.token);
                let deadline = self.inner.limits.deadline;
                all.spawn(async move {
                    if let Ok(Err(outcome)) = timeout(deadline, token.warm()).await {
                        tracing::warn!(reason = outcome.reason(), "cannot get an access token");
                    }
                });
            }
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
        all.join_all().await;
    }
}

impl Target {
    async fn push(&self, push: &Notification) -> Outcome {
        match &self.client {
            Client::Apns(client) => client.push(push).await,
            Client::Fcm(client) => client.push(push).await,
        }
    }
}

/// Makes targets; what apps have in common they share.
struct Builder<'a> {
    roots: Arc<RootCertStore>,
    limits: &'a Limits,
    observer: &'a Arc<dyn Observer>,
    tls: Option<Arc<ClientConfig>>,
    /// By address and identity: a connection to Apple serves one team only.
    pools: BTreeMap<(String, String), Arc<Pool>>,
    token_pools: BTreeMap<String, Arc<Pool>>,
    /// By team and key: Apple counts how often a team's token changes.
    apns_tokens: HashMap<(String, String), Arc<ApnsToken>>,
    fcm_tokens: HashMap<(String, String), Arc<FcmToken>>,
}

impl Builder<'_> {
    fn target(&mut self, app: &App) -> Result<Target, Problem> {
        let (profile, credentials) = (app.profile.provider, app.credentials.provider());
        if profile != credentials {
            return Err(Problem::WrongProvider {
                profile,
                credentials,
            });
        }
        let client = match &app.credentials {
            Credentials::Apns {
                team_id,
                key_id,
                key_pem,
            } => Client::Apns(self.apns(app, team_id, key_id, key_pem)?),
            Credentials::Fcm {
                project,
                client_email,
                private_key_pem,
                token_uri,
            } => Client::Fcm(self.fcm(app, project, client_email, private_key_pem, token_uri)?),
        };
        Ok(Target {
            profile: app.profile.clone(),
            client,
        })
    }

    fn apns(
        &mut self,
        app: &App,
        team: &str,
        key_id: &str,
        key_pem: &str,
    ) -> Result<Apns, Problem> {
        let key_name = (id("team_id", team)?, id("key_id", key_id)?);
        let bundle = id("app", &app.profile.app.0)?;
        let token = match self.apns_tokens.get(&key_name) {
            Some(token) => Arc::clone(token),
            None => Arc::new(ApnsToken::new(ApnsSigner::new(team, key_id, key_pem)?)),
        };
        self.apns_tokens.insert(key_name, Arc::clone(&token));
        let endpoint = app.endpoint();
        Ok(Apns {
            generation: app.profile.generation,
            authority: authority(&endpoint)?,
            topic: header("app", &bundle)?,
            voip_topic: header("app", &format!("{bundle}.voip"))?,
            token,
            pool: self.pool(&endpoint, &format!("{team}/{key_id}"), Start::OneStream)?,
        })
    }

    fn fcm(
        &mut self,
        app: &App,
        project: &str,
        email: &str,
        key_pem: &str,
        token_uri: &str,
    ) -> Result<Fcm, Problem> {
        let project = id("project", project)?;
        let endpoint = app.endpoint();
        let uri = Uri::builder()
            .scheme("https")
            .authority(authority(&endpoint)?)
            .path_and_query(format!("/v1/projects/{project}/messages:send"))
            .build()
            .map_err(|_| bad_id("project", &project))?;
        let account = (email.to_owned(), token_uri.to_owned());
        let token = match self.fcm_tokens.get(&account) {
            Some(token) => Arc::clone(token),
            None => Arc::new(self.fcm_token(email, key_pem, token_uri)?),
        };
        self.fcm_tokens.insert(account, Arc::clone(&token));
        let pool = self.pool(&endpoint, email, Start::Open)?;
        Ok(Fcm { uri, token, pool })
    }

    fn fcm_token(
        &mut self,
        email: &str,
        key_pem: &str,
        token_uri: &str,
    ) -> Result<FcmToken, Problem> {
        let bad = || Problem::TokenUri(token_uri.to_owned());
        let uri: Uri = token_uri.parse().map_err(|_| bad())?;
        if uri.scheme_str() != Some("https") {
            return Err(bad());
        }
        let endpoint: Endpoint = uri
            .authority()
            .ok_or_else(bad)?
            .as_str()
            .parse()
            .map_err(|_| bad())?;
        let signer = FcmSigner::new(email, key_pem, token_uri)?;
        let name = endpoint.to_string();
        let pool = match self.token_pools.get(&name) {
            Some(pool) => Arc::clone(pool),
            None => Arc::new(Pool::new(
                &endpoint,
                &self.tls()?,
                Start::Open,
                self.limits,
                self.observer,
            )),
        };
        self.token_pools.insert(name, Arc::clone(&pool));
        Ok(FcmToken::new(signer, uri, pool))
    }

    fn pool(
        &mut self,
        endpoint: &Endpoint,
        identity: &str,
        start: Start,
    ) -> Result<Arc<Pool>, Problem> {
        let name = (endpoint.to_string(), identity.to_owned());
        let pool = match self.pools.get(&name) {
            Some(pool) => Arc::clone(pool),
            None => Arc::new(Pool::new(
                endpoint,
                &self.tls()?,
                start,
                self.limits,
                self.observer,
            )),
        };
        self.pools.insert(name, Arc::clone(&pool));
        Ok(pool)
    }

    /// TLS 1.2 or better, HTTP/2 and nothing else.
    fn tls(&mut self) -> Result<Arc<ClientConfig>, Problem> {
        if let Some(tls) = &self.tls {
            return Ok(Arc::clone(tls));
        }
        let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::clone(self.tls.insert(Arc::new(tls))))
    }
}

/// Ids become part of paths and headers; the providers make them of nothing else.
fn id(field: &'static str, value: &str) -> Result<String, Problem> {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if value.is_empty() || !value.bytes().all(plain) {
        return Err(bad_id(field, value));
    }
    Ok(value.to_owned())
}

fn bad_id(field: &'static str, value: &str) -> Problem {
    Problem::Id {
        field,
        value: value.to_owned(),
    }
}

fn header(field: &'static str, value: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(value).map_err(|_| bad_id(field, value))
}

fn authority(endpoint: &Endpoint) -> Result<Authority, Problem> {
    let text = endpoint.to_string();
    // A provider's own port is not part of its name.
    let text = text.strip_suffix(":443").unwrap_or(&text);
    text.parse().map_err(|_| bad_id("endpoint", text))
}
