//! The push gateway of Matrix (Push Gateway API): homeservers push through it to apps of ours, as through Sygnal. It asks for no credentials,
//! for homeservers have none; so an app must be switched on, for those homeservers that are named, and nobody may have much of it.
//! What is read of a request is in [`push::matrix`], and nothing else of it is held.

use super::desk::Desk;
use crate::{
    config::{self, Config, ConfigError},
    entropy::fresh,
    mutex::locked,
    networks::networks,
};
use anyhow::{Context, Result, ensure};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::post,
};
use call::Network;
use domain::{
    AppId, Channel, DeviceId, Notification, NotificationId, Outcome, Provider, Purpose, TenantId,
    guard::Source,
    quota::{Allowance, Quota},
};
use push::matrix::{BODY_BYTES, Device, Notify, Wrong};
use pushd::{Mode, Reply, Submission};
use serde_json::json;
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

/// Where homeservers call. Synapse takes no other path.
const PATH: &str = "/_matrix/push/v1/notify";
/// A homeserver gives an event up after a day (`synapse/push/httppusher.py`): nobody wants it later.
const LIFETIME: Duration = Duration::from_hours(24);
/// Requests of one source that are answered at once.
const AT_ONCE: u32 = 256;
/// Stands for any homeserver.
const ANYBODY: &str = "*";

/// An app that is switched on.
#[derive(Debug)]
struct Served {
    app: AppId,
    provider: Provider,
    tenant: TenantId,
    /// `None`: anybody may.
    homeservers: Option<Vec<Network>>,
    /// Keys of the app's own that are let through.
    keys: Vec<String>,
}

/// The apps that are switched on, by what they call themselves.
#[derive(Debug, Default)]
pub(crate) struct Gateway {
    apps: HashMap<String, Served>,
}

/// The gateway as it is now: a reload makes it another one.
#[derive(Debug, Default)]
pub(super) struct Current(RwLock<Arc<Gateway>>);

impl Current {
    fn get(&self) -> Arc<Gateway> {
        let gateway = self.0.read().unwrap_or_else(PoisonError::into_inner);
        gateway.clone()
    }

    /// From now on it is this one.
    pub(super) fn becomes(&self, gateway: Gateway) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(gateway);
    }
}

/// What a source may have.
pub(crate) struct Allowances {
    requests: Allowance,
    dead: Allowance,
}

impl Allowances {
    /// As the limits have it.
    pub(super) fn of(limits: &config::Limits) -> Self {
        let a_minute = |a_minute, at_once| Allowance { at_once, a_minute };
        Self {
            requests: a_minute(limits.gateway_requests_minute, AT_ONCE),
            dead: a_minute(limits.gateway_dead_minute, u32::MAX),
        }
    }
}

/// All of [[push.matrix]], read and checked.
pub(crate) fn read(config: &Config, apps: &[push::App]) -> Result<Gateway> {
    let mut served = HashMap::new();
    for (at, entry) in config.push.matrix.iter().enumerate() {
        let what = || format!("[[push.matrix]] number {} ({:?})", at + 1, entry.app_id);
        let one = one(entry, apps).with_context(what)?;
        let is_first = served.insert(entry.app_id.clone(), one).is_none();
        ensure!(is_first, "{}: app_id stands there twice", what());
    }
    Ok(Gateway { apps: served })
}

fn one(entry: &config::Matrix, apps: &[push::App]) -> Result<Served> {
    ensure!(
        !entry.app_id.is_empty(),
        "app_id is needed: what the app says when it registers a pusher"
    );
    let name = if entry.app.is_empty() {
        &entry.app_id
    } else {
        &entry.app
    };
    let app = apps.iter().find(|it| it.profile.app.as_str() == name);
    let app = app.with_context(|| format!("there is no [[push.app]] {name:?}: add it"))?;
    ensure!(
        domain::Tenant::is_name(&entry.tenant),
        "tenant is needed, for whom it counts: `reveille tenant add matrix --app {name}` makes one"
    );
    let wrong = entry
        .payload_keys
        .0
        .iter()
        .find(|it| !push::rest::wire::is_key(it));
    ensure!(
        wrong.is_none() && entry.payload_keys.0.len() <= push::rest::wire::KEYS,
        "payload_keys are at most {} names of letters, digits and underscores, and none that a push has already",
        push::rest::wire::KEYS
    );
    ensure!(
        !entry.homeservers.0.is_empty(),
        "homeservers is needed: name the addresses that may call, or \"{ANYBODY}\" for any"
    );
    let is_for_all = entry.homeservers.0.iter().any(|it| it == ANYBODY);
    let named = (!is_for_all).then(|| networks(&entry.homeservers, "homeservers"));
    Ok(Served {
        app: app.profile.app.clone(),
        provider: app.profile.provider,
        tenant: entry.tenant.as_str().into(),
        homeservers: named.transpose().map_err(|error: ConfigError| error)?,
        keys: entry.payload_keys.0.clone(),
    })
}

impl Gateway {
    /// What the apps call themselves, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.apps.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Tenants for which it counts, with the apps that they must be let push to.
    pub(super) fn tenants(&self) -> impl Iterator<Item = (&TenantId, &AppId)> {
        self.apps.values().map(|it| (&it.tenant, &it.app))
    }
}

/// What the requests share.
struct Shared {
    gateway: Arc<Current>,
    requests: Mutex<Quota<Source>>,
    /// Tokens that are none any more.
    dead: Mutex<Quota<Source>>,
    desk: Desk,
}

/// The gateway, at its one address.
pub(super) fn router(gateway: Arc<Current>, allowances: &Allowances, desk: Desk) -> Router {
    let shared = Shared {
        requests: Mutex::new(Quota::new(allowances.requests)),
        dead: Mutex::new(Quota::new(allowances.dead)),
        gateway,
        desk,
    };
    let route = post(notify)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .fallback(async || Error::new(StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED", "POST it"));
    Router::new()
        .route(PATH, route)
        .with_state(Arc::new(shared))
}

/// Why a request is not done (Matrix, Client-Server API, "Standard error response").
#[derive(Debug)]
struct Error {
    status: StatusCode,
    code: &'static str,
    says: String,
    wait: Option<Duration>,
}

impl Error {
    fn new(status: StatusCode, code: &'static str, says: impl Into<String>) -> Self {
        let says = says.into();
        Self {
            status,
            code,
            says,
            wait: None,
        }
    }

    fn busy(wait: Duration, says: impl Into<String>) -> Self {
        Self {
            wait: Some(wait),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED", says)
        }
    }

    /// The homeserver is to try again (as of Sygnal, which says the same of all that went wrong behind it).
    fn later(says: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "M_UNKNOWN", says)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        tracing::debug!(
            status = self.status.as_u16(),
            says = self.says,
            "push gateway"
        );
        let mut document = json!({ "errcode": self.code, "error": self.says });
        if let Some(wait) = self.wait {
            document["retry_after_ms"] = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).into();
        }
        let mut response = (self.status, Json(document)).into_response();
        if let Some(wait) = self.wait {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<Wrong> for Error {
    fn from(wrong: Wrong) -> Self {
        let (status, code) = match wrong {
            Wrong::NotJson(_) => (StatusCode::BAD_REQUEST, "M_NOT_JSON"),
            Wrong::BadJson(_) => (StatusCode::BAD_REQUEST, "M_BAD_JSON"),
            Wrong::TooMany => (StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE"),
        };
        Self::new(status, code, wrong.to_string())
    }
}

/// Who calls. A proxy on this host says for whom.
fn source(from: IpAddr, headers: &HeaderMap) -> IpAddr {
    let forwarded = headers.get_all("x-forwarded-for").iter();
    let forwarded: Vec<&str> = forwarded.filter_map(|it| it.to_str().ok()).collect();
    net::behind_proxy(from, &forwarded, |ip| ip.is_loopback())
}

async fn notify(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Error> {
    let gateway = shared.gateway.get();
    if gateway.apps.is_empty() {
        let says = "no app is served here: name it in [[push.matrix]]";
        return Err(Error::new(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", says));
    }
    let address = source(from.ip(), &headers);
    let source = Source::of(address);
    let _place = shared.place(source)?;
    let body = body.map_err(|wrong| {
        let code = match wrong.status() {
            StatusCode::PAYLOAD_TOO_LARGE => "M_TOO_LARGE",
            _ => "M_UNKNOWN",
        };
        Error::new(wrong.status(), code, wrong.body_text())
    })?;
    let notify = push::matrix::read(&body)?;
    let rejected = shared.pushed(&gateway, &notify, address).await?;
    tracing::debug!(
        devices = notify.devices.len(),
        rejected = rejected.len(),
        "push gateway"
    );
    let now = now();
    let mut dead = locked(&shared.dead);
    for _ in &rejected {
        // What is too much is said at the next request.
        let _ = dead.take(now, source);
    }
    Ok(Json(json!({ "rejected": rejected })).into_response())
}

/// What became of a push for one device.
enum End {
    /// The provider has it, or nothing can be done about it.
    Done,
    /// The token is none any more: the homeserver forgets it.
    Rejected,
}

impl Shared {
    /// A place among the requests of this source.
    fn place(&self, source: Source) -> Result<Place<'_>, Error> {
        let now = now();
        if let Some(wait) = locked(&self.dead).wait(now, &source) {
            return Err(Error::busy(
                wait,
                "too many pushkeys that are none any more",
            ));
        }
        let taken = locked(&self.requests).take(now, source);
        taken.map_err(|over| Error::busy(over.wait, "too many requests"))?;
        Ok(Place(&self.requests, source))
    }

    /// Pushes to all devices at once, each of which counts once however often it is asked for; the keys that are none any more.
    async fn pushed(
        &self,
        gateway: &Gateway,
        notify: &Notify,
        from: IpAddr,
    ) -> Result<Vec<String>, Error> {
        let mut rejected = Vec::new();
        let mut under_way = Vec::with_capacity(notify.devices.len());
        for device in &notify.devices {
            let served = gateway.apps.get(&device.app_id);
            let Some(served) = served else {
                // Of an app that is not served no key ever will be good.
                rejected.push(device.pushkey.clone());
                continue;
            };
            let named = served.homeservers.as_ref();
            if named.is_some_and(|all| !all.iter().any(|it| it.contains(from))) {
                let says = "this homeserver may not push to this app";
                return Err(Error::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", says));
            }
            match submission(notify, device, served) {
                Some(submission) => {
                    let desk = self.desk.clone();
                    let pushed = tokio::spawn(async move { desk.submit(submission).await });
                    under_way.push((device, pushed));
                }
                None => rejected.push(device.pushkey.clone()),
            }
        }
        let mut failed = None;
        for (device, pushed) in under_way {
            let reply = pushed.await.ok().flatten();
            match reply.map_or_else(|| Err(stopping()), |reply| end(reply, device)) {
                Ok(End::Rejected) => rejected.push(device.pushkey.clone()),
                Ok(End::Done) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(rejected), Err)
    }
}

fn stopping() -> Error {
    Error::later("the push gateway is shutting down")
}

/// What is handed in for a device; `None`: its key is no token.
fn submission(notify: &Notify, device: &Device, served: &Served) -> Option<Submission> {
    let token = device.token(served.provider)?;
    let event = notify.push(device, &served.keys);
    // The same event again is the same push; counts alone are told each time.
    let id = match notify.event() {
        Some(event) => {
            let about = format!("{}\0{event}", device.app_id);
            NotificationId::of("matrix", &about, &DeviceId::from(device.pushkey.as_str()))
        }
        None => NotificationId::from(fresh()),
    };
    let collapse = event.id.is_none().then(|| "unread".to_owned());
    let push = Notification {
        tracking: id.as_str().into(),
        id,
        app: served.app.clone(),
        token,
        channel: Channel::Message,
        purpose: Purpose::Event(event),
        ttl: LIFETIME,
        collapse,
        badge: notify.unread(),
        sealed: None,
    };
    Some(Submission {
        tenant: served.tenant.clone(),
        push,
        mode: Mode::Wait,
    })
}

/// What the homeserver is to do.
fn end(reply: Reply, device: &Device) -> Result<End, Error> {
    let outcome = match reply {
        Reply::Told(outcome) => outcome,
        Reply::Busy { wait, of } => return Err(Error::busy(wait, format!("too many {of}"))),
        Reply::NotLet => {
            let says = "the gateway's tenant may not push to this app: `reveille tenant allow`";
            return Err(Error::later(says));
        }
        Reply::NotSaved | Reply::Queued | Reply::Ended(_) => {
            return Err(Error::later("it was not pushed"));
        }
    };
    match outcome {
        Outcome::TokenDead { since, .. } => {
            let is_newer = since.is_some_and(|since| device.was_given_after(since));
            Ok(if is_newer { End::Done } else { End::Rejected })
        }
        // The same again would be refused again, and hold up what comes behind it.
        Outcome::Accepted { .. } | Outcome::Refused { .. } | Outcome::TooLarge => Ok(End::Done),
        Outcome::Throttled {
            retry_after,
            reason,
        } => Err(Error::busy(retry_after, reason)),
        Outcome::Unavailable { reason, .. } => Err(Error::later(reason)),
        Outcome::Unauthorized { .. } => Err(Error::later(
            "the provider refuses the credentials of this app",
        )),
    }
}

/// A request that is being answered.
struct Place<'a>(&'a Mutex<Quota<Source>>, Source);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        locked(self.0).give_back(&self.1);
    }
}

fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut config::Matrix);

    fn config(change: impl FnOnce(&mut config::Matrix)) -> Config {
        let mut entry = config::Matrix {
            app_id: "com.example.ios".to_owned(),
            app: "com.example.phone".to_owned(),
            tenant: "matrix".to_owned(),
            homeservers: config::Words::of(&["192.0.2.0/24"]),
            ..config::Matrix::default()
        };
        change(&mut entry);
        let mut config = Config::default();
        config.push.matrix = vec![entry];
        config
    }

    fn apps() -> Vec<push::App> {
        vec![push::App {
            profile: domain::AppProfile {
                app: "com.example.phone".into(),
                platform: domain::Platform::Ios,
                provider: Provider::Apns,
                generation: domain::Generation::DualChannel,
            },
            credentials: push::Credentials::Apns {
                team_id: String::new(),
                key_id: String::new(),
                key_pem: String::new(),
            },
            environment: push::Environment::Production,
            endpoint: None,
        }]
    }

    #[test]
    fn an_app_is_switched_on_for_somebody() {
        let gateway = read(&config(|_| ()), &apps()).unwrap();
        assert_eq!(gateway.names(), ["com.example.ios"]);
        assert!(read(&Config::default(), &apps()).unwrap().apps.is_empty());
        let wrong: [(Change, &str); 6] = [
            (|it| it.app_id.clear(), "app_id is needed"),
            (|it| it.app.clear(), "no [[push.app]]"),
            (|it| it.tenant.clear(), "tenant is needed"),
            (|it| it.homeservers.0.clear(), "homeservers is needed"),
            (|it| it.homeservers.0.push("hs".to_owned()), "hs"),
            (
                |it| it.payload_keys.0.push("aps".to_owned()),
                "payload_keys",
            ),
        ];
        for (change, says) in wrong {
            let error = format!("{:#}", read(&config(change), &apps()).unwrap_err());
            assert!(
                error.contains(says) && error.contains("number 1"),
                "{error}"
            );
        }
    }

    #[test]
    fn only_what_is_for_good_is_not_tried_again() {
        let device: Device =
            serde_json::from_str(r#"{"app_id": "a", "pushkey": "k", "pushkey_ts": 10}"#).unwrap();
        let reason = || "why".to_owned();
        let dead = |since: Option<u64>| Outcome::TokenDead {
            since: since.map(domain::Timestamp),
            reason: reason(),
        };
        let wait = Duration::from_millis(1500);
        for (outcome, expected) in [
            (dead(None), Ok(true)),
            (dead(Some(11_000)), Ok(true)),
            (dead(Some(9_000)), Ok(false)),
            (Outcome::TooLarge, Ok(false)),
            (Outcome::Refused { reason: reason() }, Ok(false)),
            (Outcome::Unauthorized { reason: reason() }, Err(502)),
            (
                Outcome::Unavailable {
                    reason: reason(),
                    retry_after: wait,
                },
                Err(502),
            ),
            (
                Outcome::Throttled {
                    reason: reason(),
                    retry_after: wait,
                },
                Err(429),
            ),
        ] {
            let said = end(Reply::Told(outcome.clone()), &device);
            let is_rejected = said.map(|it| matches!(it, End::Rejected));
            let is_rejected = is_rejected.map_err(|it| it.status.as_u16());
            assert_eq!(is_rejected, expected, "{outcome:?}");
        }
        let busy = Error::busy(wait, "why").into_response();
        assert_eq!(busy.headers()[RETRY_AFTER], "2");
    }
}
