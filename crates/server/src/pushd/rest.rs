//! What senders ask over REST, one function a request. Which there are is in [`super::routes`].

use super::{
    answer::{self, Problem, ended, verdict},
    desk::Desk,
    nodes::Node,
    tenants::{ACCESS, Tenants, Tokens},
    through::Through,
};
use crate::{
    clock,
    metrics::{Door, Metrics},
};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequestParts, Path, Query, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{AppId, Feedback, NotificationId, Tenant, TenantId, Timestamp};
use push::rest::wire::{NAME_BYTES, Submitted, TEXT_BYTES, TOKEN_BYTES, Verdict, visible};
use pushd::{Mode, Reply, Submission};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use store::Store;
use tokio::sync::oneshot::Receiver;

/// Notifications in one batch.
pub(super) const BATCH: usize = 500;
/// Ends that are read at once.
pub(super) const ENDS: usize = 1_000;

/// What the requests share.
pub(super) type Rest = Arc<Shared>;

/// See [`Rest`].
pub(super) struct Shared {
    desk: Desk,
    tenants: Tenants,
    tokens: Tokens,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    through: Arc<Through>,
}

impl Shared {
    pub(super) fn new(
        desk: Desk,
        tenants: Tenants,
        store: Arc<dyn Store>,
        (secret, metrics): (&[u8], Arc<Metrics>),
        through: Arc<Through>,
    ) -> Rest {
        let tokens = Tokens::new(secret);
        Arc::new(Self {
            desk,
            tenants,
            tokens,
            store,
            metrics,
            through,
        })
    }

    /// Hands it in.
    async fn hand_in(
        &self,
        tenant: &TenantId,
        submitted: Submitted,
        mode: Mode,
    ) -> Result<Handed, Problem> {
        let push = submitted
            .notification()
            .map_err(|wrong| Problem::refused(StatusCode::UNPROCESSABLE_ENTITY, wrong))?;
        let submission = Submission {
            tenant: tenant.clone(),
            push,
            mode,
        };
        Ok(Handed(self.desk.hand_in(submission).await))
    }
}

/// A notification that was handed in.
struct Handed(Receiver<Reply>);

impl Handed {
    /// What became of it.
    async fn said(self) -> Result<Verdict, Problem> {
        verdict(self.0.await.map_err(|_| Problem::stopping())?)
    }
}

/// The tenant whose access token a request came with.
pub(super) struct By(Arc<Tenant>);

impl FromRequestParts<Rest> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rest: &Rest) -> Result<Self, Problem> {
        let token = credentials(&parts.headers, "bearer").ok_or_else(Problem::token)?;
        let tenant = rest.tokens.tenant(token, &rest.tenants, clock::now());
        tenant.map(Self).ok_or_else(Problem::token)
    }
}

fn credentials<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let (scheme, shown) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(wanted).then_some(shown.trim())
}

/// A body that came whole and was not too long.
type Body = Result<Bytes, BytesRejection>;

fn whole(body: Body) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body is longer than any notification",
        ),
        status => Problem::refused(status, rejection.body_text()),
    })
}

fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let status = if error.is_data() {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::BAD_REQUEST
        };
        Problem::refused(status, error.to_string())
    })
}

/// A request for a token (RFC 6749 §4.4.2).
#[derive(Default, Deserialize)]
struct Grant {
    #[serde(default, rename = "grant_type")]
    kind: String,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// An error of OAuth 2.0 (RFC 6749 §5.2).
fn oauth_error(status: StatusCode, error: &str, description: &str) -> Response {
    let document =
        json!({ "error": error, "error_description": description, "detail": description });
    let mut response = (status, Json(document)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let how = axum::http::HeaderValue::from_static("Basic realm=\"push\"");
        response
            .headers_mut()
            .insert(axum::http::header::WWW_AUTHENTICATE, how);
    }
    response
}

/// Client credentials become an access token (RFC 6749 §4.4): by HTTP Basic, or in the form.
pub(super) async fn token(State(rest): State<Rest>, headers: HeaderMap, body: Body) -> Response {
    let Ok(body) = whole(body) else {
        return oauth_error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request",
            "the form is too long",
        );
    };
    let grant: Grant = match serde_urlencoded(&body) {
        Some(grant) => grant,
        None => {
            return oauth_error(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "this is no form",
            );
        }
    };
    if grant.kind != "client_credentials" {
        let how = "grant_type must be client_credentials";
        return oauth_error(StatusCode::BAD_REQUEST, "unsupported_grant_type", how);
    }
    let basic = credentials(&headers, "basic").and_then(basic);
    let shown = basic.or(grant.client_id.zip(grant.client_secret));
    let now = clock::now();
    let issued = shown.and_then(|(id, secret)| {
        let tenant = rest.tenants.get(&id)?;
        rest.tokens.issue(&tenant, &secret, now)
    });
    let Some(token) = issued else {
        rest.metrics.auth_failed(Door::Push);
        let what = "no such tenant, or another secret: `reveille tenant rotate` makes a new one";
        return oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", what);
    };
    let granted =
        json!({ "access_token": token, "token_type": "Bearer", "expires_in": ACCESS.as_secs() });
    // RFC 6749 §5.1.
    ([("cache-control", "no-store")], Json(granted)).into_response()
}

fn basic(shown: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(shown).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// A form. Of its few fields none is written but with letters, digits and what names may have.
fn serde_urlencoded(body: &[u8]) -> Option<Grant> {
    let uri = format!("/?{}", std::str::from_utf8(body).ok()?);
    let uri: axum::http::Uri = uri.parse().ok()?;
    Query::<Grant>::try_from_uri(&uri)
        .ok()
        .map(|Query(grant)| grant)
}

/// RFC 7240 §4.1: who tries again.
fn mode(headers: &HeaderMap) -> Mode {
    let wants = |value: &str| {
        let mut wishes = value.split([',', ';']).map(str::trim);
        wishes.any(|it| it.eq_ignore_ascii_case("respond-async"))
    };
    let prefers = headers.get_all("prefer").iter();
    let is_async = prefers.filter_map(|it| it.to_str().ok()).any(wants);
    if is_async { Mode::Queue } else { Mode::Wait }
}

/// One notification.
pub(super) async fn submit(
    State(rest): State<Rest>,
    By(tenant): By,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let submitted = json::<Submitted>(&whole(body)?)?;
    let handed = rest.hand_in(&tenant.id, submitted, mode(&headers)).await?;
    let said = handed.said().await?;
    Ok((answer::status(&said.outcome), Json(said)).into_response())
}

/// One of a batch.
#[derive(Serialize)]
struct One {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(flatten)]
    verdict: Verdict,
}

/// Several, which stand or fall alone; each that cannot be read as well.
pub(super) async fn batch(
    State(rest): State<Rest>,
    By(tenant): By,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let all = several(&whole(body)?)?;
    if all.len() > BATCH {
        let detail = format!("at most {BATCH} notifications at once");
        return Err(Problem::refused(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let mode = mode(&headers);
    let mut under_way = Vec::with_capacity(all.len());
    for (id, submitted) in all {
        let handed = match submitted {
            Ok(submitted) => rest.hand_in(&tenant.id, submitted, mode).await,
            Err(problem) => Err(problem),
        };
        under_way.push((id, handed));
    }
    let mut verdicts = Vec::with_capacity(under_way.len());
    for (id, handed) in under_way {
        let said = match handed {
            Ok(handed) => handed.said().await,
            Err(problem) => Err(problem),
        };
        let verdict = said.unwrap_or_else(Problem::into_verdict);
        verdicts.push(One { id, verdict });
    }
    Ok(Json(verdicts).into_response())
}

/// One of a batch with its id, if it has one.
type OneOf = (Option<String>, Result<Submitted, Problem>);

/// What is in a batch.
fn several(body: &[u8]) -> Result<Vec<OneOf>, Problem> {
    // Nearly always all can be read.
    if let Ok(all) = serde_json::from_slice::<Vec<Submitted>>(body) {
        let good = |it: Submitted| (Some(it.id.clone()), Ok(it));
        return Ok(all.into_iter().map(good).collect());
    }
    let all: Vec<Value> = json(body)?;
    let read = |value: Value| {
        let id = value.get("id").and_then(Value::as_str).map(str::to_owned);
        let submitted = serde_json::from_value(value)
            .map_err(|error| Problem::refused(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()));
        (id, submitted)
    };
    Ok(all.into_iter().map(read).collect())
}

/// A device whose pushes come over XMPP.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enabled {
    app: String,
    token: String,
}

/// What a client enables (XEP-0357 §5): the node that stands for its device, and its secret.
pub(super) async fn enable(
    State(rest): State<Rest>,
    By(tenant): By,
    body: Body,
) -> Result<Response, Problem> {
    let Enabled { app, token } = json(&whole(body)?)?;
    for (name, value, most) in [("app", &app, TEXT_BYTES), ("token", &token, TOKEN_BYTES)] {
        visible(name, value, most)
            .map_err(|wrong| Problem::refused(StatusCode::UNPROCESSABLE_ENTITY, wrong))?;
    }
    let (nodes, services) = rest.through.enabling();
    if services.is_empty() {
        let detail = "no XMPP server pushes through this service: it has no [[push.component]]";
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown", detail));
    }
    let app = AppId::from(app);
    if !tenant.may_push_to(&app) {
        return Err(Problem::not_let());
    }
    let node = nodes.seal(&Node {
        tenant: tenant.id.clone(),
        app,
        token,
    });
    let secret = nodes.secret(&node);
    let made = json!({ "node": node, "secret": secret, "services": services });
    Ok(([("cache-control", "no-store")], Json(made)).into_response())
}

/// What is known of a push.
pub(super) async fn show(
    State(rest): State<Rest>,
    By(tenant): By,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let missing = || {
        let detail = "no push of this id within the day";
        Problem::new(StatusCode::NOT_FOUND, "unknown", detail)
    };
    if id.len() > NAME_BYTES {
        return Err(missing());
    }
    let id = NotificationId::from(id);
    let known = rest.desk.status(tenant.id.clone(), id.clone()).await;
    let verdict = if let Some(reply) = known {
        verdict(reply).unwrap_or_else(Problem::into_verdict)
    } else {
        let kept = rest.store.push_end(&tenant.id, &id).await;
        let kept = kept.map_err(|_| Problem::stopping())?.ok_or_else(missing)?;
        ended(&kept.settled.end)
    };
    let id = Some(id.to_string());
    Ok(Json(One { id, verdict }).into_response())
}

#[derive(Deserialize)]
pub(super) struct Behind {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct End {
    number: u64,
    id: String,
    at: Timestamp,
    #[serde(flatten)]
    verdict: Verdict,
}

/// What became of the pushes that were queued, behind a number.
pub(super) async fn feedback(
    State(rest): State<Rest>,
    By(tenant): By,
    behind: Result<Query<Behind>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Behind { after, limit }) =
        behind.map_err(|wrong| Problem::refused(StatusCode::BAD_REQUEST, wrong.body_text()))?;
    let limit = limit.unwrap_or(100);
    if !(1..=ENDS).contains(&limit) {
        let detail = format!("limit is 1 to {ENDS}");
        return Err(Problem::refused(StatusCode::BAD_REQUEST, detail));
    }
    let ends = rest.store.push_ends(&tenant.id, after, limit).await;
    let ends = ends.map_err(|_| Problem::stopping())?;
    Ok(Json(feedback_document(ends, after)).into_response())
}

/// What became of pushes, and behind which number there may be more.
pub(super) fn feedback_document(ends: Vec<Feedback>, after: u64) -> Value {
    let next = ends.last().map_or(after, |it| it.number);
    let ends: Vec<_> = ends
        .into_iter()
        .map(|it| End {
            number: it.number,
            id: it.settled.id.to_string(),
            at: it.settled.at,
            verdict: ended(&it.settled.end),
        })
        .collect();
    json!({ "ends": ends, "next": next })
}
