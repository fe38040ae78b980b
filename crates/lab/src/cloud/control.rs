//! The lab's control API: plain HTTP on loopback, JSON. Read the journal, register tokens, order fates and faults. Every
//! refusal says what is wrong and what is allowed.

use super::{Addresses, CloudHandle, Fate, Fault, Filter, NewToken, TokenMode};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::Provider;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IntoDeserializer},
};
use serde_json::{Value, json};
use std::{fmt::Write as _, net::SocketAddr, time::Duration};
use tokio::net::TcpListener;

/// Longest body taken.
const BODY_BYTES: usize = 64 * 1024;

/// What the handlers work with.
#[derive(Clone)]
struct Lab {
    clouds: CloudHandle,
    addresses: Addresses,
}

/// Serves the control API until the clouds shut down.
pub(super) async fn run(listener: TcpListener, clouds: CloudHandle, addresses: Addresses) {
    let stopping = clouds.state.stopping.clone();
    let stopped = clouds.state.stopped.clone();
    let router = router(Lab { clouds, addresses });
    let serving = axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned());
    tokio::select! {
        // Ends with the shutdown; it has no other error.
        _ = serving => {}
        () = stopped.cancelled() => {}
    }
}

fn router(lab: Lab) -> Router {
    Router::new()
        .route("/", get(help))
        .route("/about", get(about))
        .route("/ca.pem", get(ca))
        .route("/credentials/apns.p8", get(apns_key))
        .route("/credentials/apns-certificate.pem", get(apns_certificate))
        .route("/credentials/vapid.pem", get(vapid_key))
        .route("/credentials/{file}", get(service_account))
        .route(
            "/notifications",
            get(notifications).delete(forget_notifications),
        )
        .route("/tokens", post(register_token))
        .route("/mode", post(set_mode))
        .route("/tokens/{token}/fate", post(set_fate))
        .route("/faults", post(order_fault).delete(clear_faults))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(lab)
}

/// A refusal: what is wrong, in words.
struct Refused(StatusCode, String);

impl Refused {
    fn because(error: impl std::fmt::Display) -> Self {
        Self(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.1, "help": "GET / lists the calls" });
        (self.0, axum::Json(body)).into_response()
    }
}

type Answer = Result<axum::Json<Value>, Refused>;

/// The body as JSON. serde's own errors name unknown and missing fields and what is allowed instead.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(Refused::because)
}

fn done() -> axum::Json<Value> {
    axum::Json(json!({ "ok": true }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    #[serde(default, deserialize_with = "unless_empty")]
    provider: Option<Provider>,
    #[serde(default, deserialize_with = "unless_empty")]
    token: Option<String>,
    accepted: Option<bool>,
    #[serde(default)]
    after: u64,
    #[serde(default)]
    wait: u64,
}

/// `provider=&token=` asks for all, as in the contract.
fn unless_empty<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    T::deserialize(text.into_deserializer()).map(Some)
}

async fn notifications(
    State(lab): State<Lab>,
    query: Result<axum::extract::Query<Query>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refused> {
    let axum::extract::Query(query) = query.map_err(|error| {
        Refused::because(format!(
            "{error}; allowed: provider=apns|fcm|webpush, token=TOKEN, accepted=true|false, after=SEQ, wait=SECONDS"
        ))
    })?;
    let filter = Filter {
        provider: query.provider,
        token: query.token,
        accepted: query.accepted,
        after: query.after,
    };
    let records = lab
        .clouds
        .wait_for(&filter, Duration::from_secs(query.wait))
        .await;
    Ok(axum::Json(records).into_response())
}

async fn forget_notifications(State(lab): State<Lab>) -> axum::Json<Value> {
    lab.clouds.forget_notifications();
    done()
}

async fn register_token(State(lab): State<Lab>, body: Bytes) -> Answer {
    let new: NewToken = read(&body)?;
    let token = lab.clouds.register_token(new).map_err(Refused::because)?;
    Ok(axum::Json(json!({ "token": token })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mode {
    tokens: TokenMode,
}

async fn set_mode(State(lab): State<Lab>, body: Bytes) -> Answer {
    let mode: Mode = read(&body)?;
    lab.clouds.set_token_mode(mode.tokens);
    Ok(done())
}

async fn set_fate(State(lab): State<Lab>, Path(token): Path<String>, body: Bytes) -> Answer {
    let fate: Fate = read(&body)?;
    lab.clouds
        .set_fate(&token, fate)
        .map_err(Refused::because)?;
    Ok(done())
}

async fn order_fault(State(lab): State<Lab>, body: Bytes) -> Answer {
    let fault: Fault = read(&body)?;
    lab.clouds.order(fault).map_err(Refused::because)?;
    Ok(done())
}

async fn clear_faults(State(lab): State<Lab>) -> axum::Json<Value> {
    lab.clouds.clear_faults();
    done()
}

async fn ca(State(lab): State<Lab>) -> Response {
    pem(lab.clouds.ca_pem().to_owned())
}

fn pem(text: String) -> Response {
    ([(CONTENT_TYPE, "application/x-pem-file")], text).into_response()
}

async fn apns_key(State(lab): State<Lab>) -> Result<Response, Refused> {
    let credentials = lab.clouds.state.config.credentials.as_ref();
    credentials
        .map(|credentials| pem(credentials.apns_key_pem().to_owned()))
        .ok_or_else(no_credentials)
}

async fn apns_certificate(State(lab): State<Lab>) -> Result<Response, Refused> {
    let teams = &lab.clouds.state.config.apns_teams;
    let first = teams.iter().flat_map(|team| &team.certificates).next();
    first
        .map(|certificate| pem(certificate.pem.clone()))
        .ok_or_else(no_credentials)
}

async fn vapid_key(State(lab): State<Lab>) -> Result<Response, Refused> {
    let credentials = lab.clouds.state.config.credentials.as_ref();
    credentials
        .map(|credentials| pem(credentials.vapid_key_pem().to_owned()))
        .ok_or_else(no_credentials)
}

async fn service_account(
    State(lab): State<Lab>,
    Path(file): Path<String>,
) -> Result<Response, Refused> {
    let credentials = lab.clouds.state.config.credentials.as_ref();
    let credentials = credentials.ok_or_else(no_credentials)?;
    let known: Vec<&str> = credentials.fcm_projects().collect();
    let project = known
        .iter()
        .find(|project| file.strip_suffix(".json") == Some(project));
    let Some(project) = project else {
        let files: Vec<String> = known
            .iter()
            .map(|project| format!("{project}.json"))
            .collect();
        return Err(Refused(
            StatusCode::NOT_FOUND,
            format!(
                "no {file:?}; there are apns.p8, apns-certificate.pem, vapid.pem, {}",
                files.join(", ")
            ),
        ));
    };
    let token_uri = format!("https://localhost:{}/token", lab.addresses.fcm.port());
    let account = credentials.fcm_service_account(project, &token_uri);
    Ok(([(CONTENT_TYPE, "application/json")], account).into_response())
}

fn no_credentials() -> Refused {
    Refused(
        StatusCode::NOT_FOUND,
        "this lab knows only the public keys that it was given".to_owned(),
    )
}

async fn no_such_path() -> Refused {
    Refused(StatusCode::NOT_FOUND, "no such path".to_owned())
}

async fn no_such_method() -> Refused {
    Refused(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path takes another method".to_owned(),
    )
}

/// What a push client is set up with, for scripts.
async fn about(State(lab): State<Lab>) -> axum::Json<Value> {
    let config = &lab.clouds.state.config;
    let at = |address: SocketAddr| format!("localhost:{}", address.port());
    let team = config.apns_teams.first();
    let key = team.and_then(|team| team.keys.first());
    let projects = config.fcm_projects.iter().map(|it| &it.project);
    let web = config.webpush_apps.first();
    axum::Json(json!({
        "apns": {
            "address": at(lab.addresses.apns),
            "team_id": team.map(|team| &team.team),
            "key_id": key.map(|key| &key.key_id),
        },
        "fcm": { "address": at(lab.addresses.fcm), "projects": projects.collect::<Vec<_>>() },
        "webpush": {
            "address": at(lab.addresses.webpush),
            "key": web.map(|app| URL_SAFE_NO_PAD.encode(&app.public_key)),
        },
        "control": at(lab.addresses.control),
    }))
}

async fn help(State(lab): State<Lab>) -> String {
    let Addresses {
        apns,
        fcm,
        webpush,
        control,
    } = lab.addresses;
    let config = &lab.clouds.state.config;
    let mut known = String::new();
    for team in &config.apns_teams {
        let keys: Vec<&str> = team.keys.iter().map(|key| key.key_id.as_str()).collect();
        let apps: Vec<&str> = team.apps.iter().map(|app| app.bundle.as_str()).collect();
        let (keys, apps) = (keys.join(", "), apps.join(", "));
        let _ = writeln!(known, "APNs team {}, key {keys}: {apps}", team.team);
        for certificate in &team.certificates {
            let bundle = &certificate.bundle;
            let _ = writeln!(known, "APNs certificate: {bundle}, {bundle}.voip");
        }
    }
    for project in &config.fcm_projects {
        let packages = project.packages.join(", ");
        let _ = writeln!(known, "FCM project {}: {packages}", project.project);
    }
    for app in &config.webpush_apps {
        let key = URL_SAFE_NO_PAD.encode(&app.public_key);
        let _ = writeln!(known, "Web Push applicationServerKey {key}: {}", app.app);
    }
    format!(
        "Simulated platform clouds. They keep the platforms' rules, and misbehave when told to.\n\
         \n\
         APNs     https://{apns}   HTTP/2\n\
         FCM      https://{fcm}   v1 API; access tokens from /token\n\
         Web Push https://{webpush}   subscriptions at /push/ID, from POST /tokens\n\
         control  http://{control}\n\
         \n\
         {known}\n{CALLS}"
    )
}

/// The calls, for `GET /`.
const CALLS: &str = r#"GET    /about                       addresses, team, key and projects, in JSON
GET    /ca.pem                      trust this to talk to them
GET    /credentials/apns.p8         the APNs key
GET    /credentials/apns-certificate.pem
                                    certificate and key of an app, instead of the APNs key
GET    /credentials/vapid.pem       the Web Push key
GET    /credentials/PROJECT.json    an FCM service account
GET    /notifications               ?provider=apns|fcm|webpush &token= &accepted=true|false &after=SEQ &wait=SECONDS
DELETE /notifications               forget them
POST   /tokens                      {"provider", "app", "token"?, "channel"? "voip"|"message", "environment"?}
POST   /mode                        {"tokens": "known"|"any"}
POST   /tokens/TOKEN/fate           {"status", "reason"?, "count"?, "timestamp"?}; status 200 takes it back
POST   /faults                      {"provider", "kind", "count"?, "value"?}
                                    goaway ("reason"), max_streams (number or null), latency_ms (number),
                                    http_503 and http_429 (Retry-After), reset and silent ("connection"|"stream"),
                                    expired_credentials
DELETE /faults                      take them back
"#;
