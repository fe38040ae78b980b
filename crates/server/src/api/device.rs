//! The device API: an app signs in with its user's password and hands over its tokens, its key and its mode.

use super::{
    Api, Me,
    guarded::may_try,
    oauth,
    problem::Problem,
    tokens::{Claims, Kind, Turn, kind},
};
use crate::{accounts, clock::now, form, metrics::Door};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{ConnectInfo, Path, State},
    http::{
        HeaderMap, StatusCode,
        header::{CACHE_CONTROL, PRAGMA},
    },
    response::IntoResponse,
    routing::{get, post},
};
use domain::{Address, DeviceId, Mode, Platform, Refusal, User, device::SealingKey};
use hub::{DeviceUpdate, DeviceView, Question};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};

/// Longest id of a device that a client may choose, in bytes.
const ID_BYTES: usize = 128;
/// Longest token that is taken, in bytes.
const TOKEN_BYTES: usize = 4096;

/// A device of the client's user.
pub(crate) const DEVICE: &str = "/api/v1/me/devices/{id}";
/// How it is looked at.
pub(crate) const MODE: &str = "/api/v1/me/devices/{id}/mode";

/// What its client shows at a relay for audio and video.
pub(crate) const TURN: &str = "/api/v1/me/turn";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route(oauth::TOKEN, post(token))
        .route(oauth::REVOKE, post(revoke))
        .route(oauth::JWKS, get(jwks))
        .route(DEVICE, get(show).put(put).delete(forget))
        .route(MODE, post(mode))
        .route(TURN, get(turn))
}

/// A request for tokens (RFC 6749 §4.1.3, §4.3, §6).
#[derive(Deserialize)]
#[serde(tag = "grant_type", rename_all = "snake_case")]
pub(crate) enum Grant {
    Password { username: String, password: String },
    RefreshToken { refresh_token: String },
    AuthorizationCode(Redemption),
}

/// What somebody who has a code shows with it (RFC 6749 §4.1.3, RFC 7636).
#[derive(Deserialize)]
pub(crate) struct Redemption {
    pub(crate) code: String,
    client_id: String,
    redirect_uri: String,
    code_verifier: String,
}

async fn token(
    State(api): State<Api>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<impl IntoResponse, Problem> {
    let grant = form::said(&headers, &body).ok_or_else(invalid_request)?;
    let (user, turn) = match grant {
        Grant::Password { username, password } => {
            let user = by_password(&api, from.ip(), &username, &password).await?;
            let turn = api.grants(&user.address).await?;
            (user, turn)
        }
        Grant::RefreshToken { refresh_token } => {
            let (user, shown) = by_token(&api, &refresh_token).await?;
            let turn = match shown {
                Some(shown) => api.renews(&user.address, shown).await?,
                None => Some(api.grants(&user.address).await?),
            };
            (user, turn.ok_or_else(invalid_grant)?)
        }
        Grant::AuthorizationCode(shown) => by_code(&api, &shown).await?,
    };
    let tokens = Json(json!({
        "access_token": api.tokens.access(&user, now()),
        "refresh_token": api.tokens.refresh(&user, turn, now()),
        "token_type": "Bearer",
        "expires_in": api.tokens.lives.access.as_secs(),
    }));
    // RFC 6749 §5.1.
    Ok(([(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], tokens))
}

/// Whoever asks for tokens has shown nothing that is good for them (RFC 6749 §5.2).
pub(crate) fn invalid_grant() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "invalid_grant: wrong user or password, or the token has expired",
    )
    .named("invalid_grant")
}

/// Access tokens are in no list that one could be struck from (RFC 7009 §2.2.1).
pub(crate) fn unsupported_token_type() -> Problem {
    let detail =
        "unsupported_token_type: an access token ends by itself; give the refresh token back";
    Problem::new(StatusCode::BAD_REQUEST, detail).named("unsupported_token_type")
}

/// Nobody gets tokens by a password here (RFC 6749 §5.2).
pub(crate) fn unsupported_grant_type() -> Problem {
    let detail = "unsupported_grant_type: no password is taken here; sign in by a code or a token";
    Problem::new(StatusCode::BAD_REQUEST, detail).named("unsupported_grant_type")
}

/// What was said makes no sense (RFC 6749 §5.2).
pub(crate) fn invalid_request() -> Problem {
    let detail = "invalid_request: say it as a form or as JSON, with all that the grant needs";
    Problem::new(StatusCode::BAD_REQUEST, detail).named("invalid_request")
}

/// Whom a client names: without a domain, somebody at this one.
pub(crate) fn address(username: &str, domain: &str) -> Result<Address, Problem> {
    let address = if username.contains('@') {
        username.parse()
    } else {
        Address::given(username, domain)
    };
    address.map_err(|_| invalid_grant())
}

pub(super) async fn by_password(
    api: &Api,
    from: IpAddr,
    username: &str,
    password: &str,
) -> Result<User, Problem> {
    let address = address(username, &api.domain)?;
    may_try((&api.guards, &api.metrics), from, address.as_str())?;
    let user = api.store.user(&address).await?;
    let right = |user: &User| accounts::is_password_of(user, password);
    let Some(user) = user.filter(right) else {
        api.metrics.refused_at(Door::Device, Refusal::Password);
        api.guards.wrong(now(), from, address.as_str());
        return Err(invalid_grant());
    };
    api.guards.right(from, address.as_str());
    Ok(user)
}

/// Whose token to get new ones by it is, and which of a grant, unless it was made before there were grants.
async fn by_token(api: &Api, token: &str) -> Result<(User, Option<Turn>), Problem> {
    let (user, made) = of_user(api, token, Kind::Refresh).await?;
    Ok((user, made.turn))
}

/// Whose token of this kind it is, and what it says, if it is good still.
async fn of_user(api: &Api, token: &str, kind: Kind) -> Result<(User, Claims), Problem> {
    let made = api.tokens.made(token, kind, now());
    let made = made.ok_or_else(invalid_grant)?;
    let user = api.store.user(&made.sub).await?.ok_or_else(invalid_grant)?;
    if !api.tokens.is_of(&made.pw, &user) {
        return Err(invalid_grant());
    }
    Ok((user, made))
}

/// Whose code it is, and what follows on it, if its own client shows it, for the first time.
async fn by_code(api: &Api, shown: &Redemption) -> Result<(User, Turn), Problem> {
    let (user, made) = of_user(api, &shown.code, Kind::Code).await?;
    let (turn, bound) = made.turn.zip(made.bound).ok_or_else(invalid_grant)?;
    if !bound.is_of(&shown.client_id, &shown.redirect_uri, &shown.code_verifier) {
        return Err(invalid_grant());
    }
    let turn = api.redeems(&user.address, turn).await?;
    Ok((user, turn.ok_or_else(invalid_grant)?))
}

/// A token that is not to be good any more (RFC 7009).
#[derive(Deserialize)]
pub(crate) struct Revocation {
    pub(crate) token: String,
}

/// By one that is no good nothing has to end, and nobody is told; an access token ends by itself, and whoever gives one back is.
async fn revoke(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let said = form::said(&headers, &body);
    let Revocation { token } = said.ok_or_else(invalid_request)?;
    let is_other = |kind: Kind| kind != Kind::Refresh;
    if kind(&token, &api.tokens.publics()).is_some_and(is_other) {
        return Err(unsupported_token_type());
    }
    if let Ok((user, Some(turn))) = by_token(&api, &token).await {
        api.ends(&user.address, turn).await?;
    }
    Ok(StatusCode::OK)
}

/// By which keys our tokens are told.
async fn jwks(State(api): State<Api>) -> Json<Value> {
    Json(oauth::keys(&api.tokens.publics()))
}

/// What a client says of its device.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    app: Option<String>,
    #[serde(rename = "platform")]
    _platform: Option<Platform>,
    #[serde(rename = "os")]
    _os: Option<String>,
    #[serde(default)]
    tokens: Tokens,
    encryption: Option<SealingKey>,
    mode: Option<Mode>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    voip: Option<String>,
    message: Option<String>,
}

/// The device that a client calls so: by its instance (RFC 5626 §4.1, XEP-0388), or as `xmpp:` and the resource of its stream.
fn named(user: &Address, id: &str) -> DeviceId {
    match id.strip_prefix("xmpp:") {
        Some(resource) => im::device_id(user, resource),
        None => DeviceId::of(user, &domain::device::instance_key(id)),
    }
}

async fn put(
    State(api): State<Api>,
    Me(user): Me,
    Path(id): Path<String>,
    Json(description): Json<Description>,
) -> Result<StatusCode, Problem> {
    let wrong = |detail: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let Description {
        app,
        tokens,
        encryption,
        mode,
        ..
    } = description;
    if id.len() > ID_BYTES {
        return Err(wrong("the device's id is too long"));
    }
    if let Some(app) = app.as_ref().filter(|app| !api.apps.has(app)) {
        return Err(wrong(&format!(
            "no app {app:?} is configured: see [[push.app]]"
        )));
    }
    if [&tokens.voip, &tokens.message]
        .into_iter()
        .flatten()
        .any(|token| token.is_empty() || token.len() > TOKEN_BYTES)
    {
        return Err(wrong("a token is empty or too long"));
    }
    if let Some(key) = &encryption {
        push::seal::check_key(key).map_err(|error| wrong(&format!("encryption: {error}")))?;
    }
    let update = DeviceUpdate {
        of: None,
        app: app.map(Into::into),
        voip: tokens.voip,
        message: tokens.message,
        key: encryption,
        mode: mode.map(known_mode).transpose()?,
    };
    let device = named(&user, &id);
    api.ask(Question::PutDevice(user, device, Box::new(update)))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct ModeWord {
    mode: Mode,
}

async fn mode(
    State(api): State<Api>,
    Me(user): Me,
    Path(id): Path<String>,
    Json(ModeWord { mode }): Json<ModeWord>,
) -> Result<StatusCode, Problem> {
    let device = named(&user, &id);
    let mode = known_mode(mode)?;
    api.ask(Question::SetMode(user, device, mode)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn known_mode(mode: Mode) -> Result<Mode, Problem> {
    match mode {
        Mode::Foreground | Mode::Suspended => Ok(mode),
        _ => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "mode is \"foreground\" or \"suspended\"",
        )),
    }
}

async fn show(
    State(api): State<Api>,
    Me(user): Me,
    Path(id): Path<String>,
) -> Result<Json<DeviceView>, Problem> {
    let device = named(&user, &id);
    let views = api.devices(Question::Device(user, device)).await?;
    let view = views.into_iter().next();
    view.map(Json)
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "you have no such device"))
}

async fn turn(State(api): State<Api>, Me(user): Me) -> Result<Json<Value>, Problem> {
    let none = || Problem::new(StatusCode::NOT_FOUND, "there is no TURN server: see [turn]");
    let turn = api.turn.ok_or_else(none)?;
    let now = now();
    let shown = (turn.credentials)(&user, now);
    let uris: Vec<_> = turn.services.iter().map(|it| &it.uri).collect();
    Ok(Json(json!({
        "username": shown.username,
        "password": shown.password,
        "ttl": (shown.expires.0 - now.0) / 1000,
        "uris": uris,
    })))
}

async fn forget(
    State(api): State<Api>,
    Me(user): Me,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let device = named(&user, &id);
    api.ask(Question::ForgetDevice(Some(user), device)).await?;
    Ok(StatusCode::NO_CONTENT)
}
