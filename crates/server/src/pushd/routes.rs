//! Every request of the REST in one table, from which the router is made and its OpenAPI description as well: what is not
//! described is not there.

use super::{
    answer::Problem,
    rest::{self, BATCH, ENDS, Rest},
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderValue, StatusCode},
    middleware::{Next, from_fn},
    response::Response,
    routing::{MethodRouter, get, post},
};
use push::rest::wire::{
    CONVERSATIONS, ID_BYTES, KEYS, LARGEST, NAME_BYTES, SEALED_BYTES, TEXT_BYTES, TOKEN_BYTES,
};
use serde_json::{Map, Value, json};
use std::time::Instant;

/// Longest body of a form, and of one notification, in bytes.
const ONE: usize = 16 * 1024;
/// The same of a batch.
const MANY: usize = 2 * 1024 * 1024;

/// A part of the description.
type Made = fn() -> Value;

/// A request.
struct Route {
    path: &'static str,
    method: &'static str,
    summary: &'static str,
    router: fn() -> MethodRouter<Rest>,
    /// Whether it needs an access token.
    by_tenant: bool,
    /// Media type and schema of its body.
    body: Option<(&'static str, Made)>,
    parameters: Made,
    /// Its good answers: status, meaning, schema.
    answers: &'static [(&'static str, &'static str, &'static str)],
    /// Problems that it may meet.
    problems: &'static [&'static str],
}

fn none() -> Value {
    json!([])
}

const ROUTES: &[Route] = &[
    Route {
        path: "/oauth/token",
        method: "post",
        summary: "Client credentials become an access token (RFC 6749 §4.4)",
        router: || post(rest::token).layer(DefaultBodyLimit::max(ONE)),
        by_tenant: false,
        body: Some(("application/x-www-form-urlencoded", grant)),
        parameters: none,
        answers: &[("200", "A token, good for an hour", "Token")],
        problems: &["400", "401", "413"],
    },
    Route {
        path: "/v1/notifications",
        method: "post",
        summary: "Push a notification, and hear what became of it",
        router: || post(rest::submit).layer(DefaultBodyLimit::max(ONE)),
        by_tenant: true,
        body: Some(("application/json", || reference("Notification"))),
        parameters: prefer,
        answers: &[
            ("200", "The provider has it", "Verdict"),
            ("202", "Saved, and tried until its time is over", "Verdict"),
        ],
        problems: &[
            "400", "401", "403", "409", "410", "413", "422", "429", "502", "503", "504",
        ],
    },
    Route {
        path: "/v1/notifications/batch",
        method: "post",
        summary: "Push several, each of which stands or falls alone; one outcome each, in order",
        router: || post(rest::batch).layer(DefaultBodyLimit::max(MANY)),
        by_tenant: true,
        body: Some(("application/json", many)),
        parameters: prefer,
        answers: &[("200", "What became of each", "Verdicts")],
        problems: &["400", "401", "413", "422"],
    },
    Route {
        path: "/v1/notifications/{id}",
        method: "get",
        summary: "What became of a push within the day",
        router: || get(rest::show),
        by_tenant: true,
        body: None,
        parameters: id,
        answers: &[("200", "Its outcome, or that it is in the queue", "Known")],
        problems: &["401", "404", "503"],
    },
    Route {
        path: "/v1/nodes",
        method: "post",
        summary: "The node and the secret that a client enables at an XMPP server that pushes through this service (XEP-0357 §5)",
        router: || post(rest::enable).layer(DefaultBodyLimit::max(ONE)),
        by_tenant: true,
        body: Some(("application/json", device)),
        parameters: none,
        answers: &[("200", "The same for a device each time", "Node")],
        problems: &["400", "401", "403", "404", "413", "422"],
    },
    Route {
        path: "/v1/feedback",
        method: "get",
        summary: "What became of queued pushes, behind a number; ask again behind `next`",
        router: || get(rest::feedback),
        by_tenant: true,
        body: None,
        parameters: behind,
        answers: &[("200", "In the order in which they ended", "Feedback")],
        problems: &["400", "401", "503"],
    },
];

/// The REST.
pub(super) fn router(rest: Rest) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.router)());
    }
    router
        .route("/openapi.json", get(async || Json(document())))
        .fallback(async || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "unknown",
                "there is nothing at this address",
            )
        })
        .method_not_allowed_fallback(async || {
            let detail = "another method is needed: see /openapi.json";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "refused", detail)
        })
        .layer(from_fn(accessed))
        .with_state(rest)
}

/// Gives back the trace that a request belongs to (W3C Trace Context), and logs it without what is in it.
async fn accessed(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let trace = request
        .headers()
        .get("traceparent")
        .filter(|it| is_trace(it))
        .cloned();
    let method = request.method().clone();
    // Ids of notifications are their senders' affair.
    let route = ROUTES.iter().find(|it| it.matches(request.uri().path()));
    let route = route.map_or("-", |it| it.path);
    let mut response = next.run(request).await;
    let status = response.status().as_u16();
    let (took, trace_text) = (
        began.elapsed(),
        trace.as_ref().and_then(|it| it.to_str().ok()),
    );
    tracing::debug!(target: "access", %method, route, status, ?took, trace = trace_text, "push service");
    if let Some(trace) = trace {
        response.headers_mut().insert("traceparent", trace);
    }
    response
}

/// `00-` trace `-` parent `-` flags, in hexadecimal digits.
fn is_trace(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else {
        return false;
    };
    let lengths = text.split('-').map(str::len);
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
    lengths.eq([2, 32, 16, 2]) && text.bytes().all(is_hex)
}

impl Route {
    fn matches(&self, path: &str) -> bool {
        match self.path.split_once('{') {
            Some((prefix, _)) => path.starts_with(prefix),
            None => path == self.path,
        }
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn text(most: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": most, "pattern": "^[!-~]+$" })
}

fn grant() -> Value {
    json!({
        "type": "object",
        "required": ["grant_type"],
        "properties": {
            "grant_type": { "type": "string", "enum": ["client_credentials"] },
            "client_id": { "type": "string" },
            "client_secret": { "type": "string" },
        },
    })
}

fn device() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["app", "token"],
        "properties": { "app": text(TEXT_BYTES), "token": text(TOKEN_BYTES) },
    })
}

fn many() -> Value {
    let what = "Each is a Notification; one that is none is refused, and the others are not";
    json!({ "type": "array", "maxItems": BATCH, "items": {}, "description": what })
}

fn prefer() -> Value {
    json!([{
        "name": "Prefer", "in": "header", "required": false, "schema": { "type": "string" },
        "description": "`respond-async` (RFC 7240 §4.1): the service tries again until `ttl` is over. A call is tried once in any case.",
    }])
}

fn id() -> Value {
    json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }])
}

fn behind() -> Value {
    json!([
        { "name": "after", "in": "query", "required": false, "schema": { "type": "integer", "minimum": 0 } },
        { "name": "limit", "in": "query", "required": false, "schema": { "type": "integer", "minimum": 1, "maximum": ENDS } },
    ])
}

/// The description, for people and generators of clients (OpenAPI 3.1).
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Reveille push service",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "tenant": { "type": "oauth2", "flows": { "clientCredentials": { "tokenUrl": "/oauth/token", "scopes": {} } } } },
            "schemas": schemas(),
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut responses = Map::new();
    for (status, meaning, schema) in route.answers {
        let content = json!({ "application/json": { "schema": reference(schema) } });
        let answer = json!({ "description": meaning, "content": content });
        responses.insert((*status).to_owned(), answer);
    }
    for status in route.problems {
        let kind = if route.by_tenant {
            "application/problem+json"
        } else {
            "application/json"
        };
        let schema = if route.by_tenant {
            "Problem"
        } else {
            "OAuthError"
        };
        let content = json!({ kind: { "schema": reference(schema) } });
        let problem = json!({ "description": "See outcome and detail", "content": content });
        responses.insert((*status).to_owned(), problem);
    }
    let mut operation = json!({
        "summary": route.summary,
        "parameters": (route.parameters)(),
        "responses": responses,
    });
    if let Some((kind, schema)) = route.body {
        operation["requestBody"] =
            json!({ "required": true, "content": { kind: { "schema": schema() } } });
    }
    if route.by_tenant {
        operation["security"] = json!([{ "tenant": [] }]);
    }
    operation
}

fn schemas() -> Value {
    json!({
        "Token": {
            "type": "object",
            "required": ["access_token", "token_type", "expires_in"],
            "properties": {
                "access_token": { "type": "string" },
                "token_type": { "type": "string", "enum": ["Bearer"] },
                "expires_in": { "type": "integer" },
            },
        },
        "OAuthError": {
            "type": "object",
            "required": ["error"],
            "properties": { "error": { "type": "string" }, "error_description": { "type": "string" }, "detail": { "type": "string" } },
        },
        "Notification": notification(),
        "Node": {
            "type": "object",
            "required": ["node", "secret", "services"],
            "properties": {
                "node": { "type": "string" },
                "secret": { "type": "string", "description": "The field `secret` of the form in <enable/>" },
                "services": { "type": "array", "items": { "type": "string" }, "description": "The services that it may be enabled at: the jid in <enable/>" },
            },
        },
        "Verdict": { "type": "object", "required": ["outcome"], "properties": verdict() },
        "Known": with(verdict(), json!({ "id": { "type": "string" } }), &["id", "outcome"]),
        "Verdicts": { "type": "array", "items": with(verdict(), json!({ "id": { "type": "string" } }), &["outcome"]) },
        "Problem": with(
            verdict(),
            json!({ "type": { "type": "string" }, "title": { "type": "string" }, "status": { "type": "integer" } }),
            &["type", "title", "status", "outcome"],
        ),
        "Feedback": {
            "type": "object",
            "required": ["ends", "next"],
            "properties": {
                "next": { "type": "integer" },
                "ends": { "type": "array", "items": with(
                    verdict(),
                    json!({ "number": { "type": "integer" }, "id": { "type": "string" }, "at": { "type": "integer", "description": "Milliseconds since the Unix epoch" } }),
                    &["number", "id", "at", "outcome"],
                ) },
            },
        },
    })
}

/// A text that may be left out, or be null.
fn maybe(most: usize) -> Value {
    let mut maybe = text(most);
    maybe["type"] = json!(["string", "null"]);
    maybe
}

fn notification() -> Value {
    let count = |most: u64| json!({ "type": "integer", "minimum": 0, "maximum": most });
    json!({
        "type": "object",
        "description": "What may be said in the clear; any other field is refused",
        "additionalProperties": false,
        "required": ["id", "app", "token", "channel", "kind"],
        "anyOf": kinds(),
        "properties": {
            "id": text(NAME_BYTES),
            "app": text(TEXT_BYTES),
            "token": text(TOKEN_BYTES),
            "channel": { "type": "string", "enum": ["voip", "message"] },
            "kind": { "type": "string", "enum": ["call", "cancelled", "answered_elsewhere", "missed", "message", "read", "refresh", "event"] },
            "ttl": count(LARGEST),
            "collapse": maybe(NAME_BYTES),
            "badge": { "type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX },
            "conversations": { "type": "array", "maxItems": CONVERSATIONS, "items": text(NAME_BYTES) },
            "call": maybe(TEXT_BYTES),
            "tracking": maybe(NAME_BYTES),
            "register_at": maybe(TEXT_BYTES),
            "sealed": sealed(),
            "event": event(),
        },
    })
}

/// What each kind needs beside what all do.
fn kinds() -> Value {
    let needs = |kinds: &[&str], texts: &[&str]| {
        let texts = texts
            .iter()
            .map(|name| (*name, json!({ "type": "string" })));
        let mut properties: Map<String, Value> = texts
            .clone()
            .map(|(name, it)| (name.to_owned(), it))
            .collect();
        properties.insert("kind".to_owned(), json!({ "enum": kinds }));
        properties.insert("conversations".to_owned(), json!({ "maxItems": 0 }));
        properties.insert("event".to_owned(), json!({ "type": "null" }));
        let required: Vec<_> = texts.map(|(name, _)| name).collect();
        json!({ "required": required, "properties": properties })
    };
    json!([
        needs(&["call"], &["call", "register_at"]),
        needs(&["cancelled", "answered_elsewhere", "missed"], &["call"]),
        needs(&["message", "refresh"], &[]),
        {
            "required": ["conversations"],
            "properties": { "kind": { "enum": ["read"] }, "conversations": { "minItems": 1 }, "event": { "type": "null" } },
        },
        {
            "required": ["event"],
            "properties": { "kind": { "enum": ["event"] }, "conversations": { "maxItems": 0 }, "event": { "type": "object" } },
        },
    ])
}

/// One record with the sender's key in it: base64url, whose 21st octet is 65 (RFC 8188 §2.1, RFC 8291 §4).
fn sealed() -> Value {
    const ANY: &str = "[A-Za-z0-9_-]";
    let pattern = format!(
        "^{ANY}{{26}}[BFJNRVZdhlptx159]B(?:{ANY}{{4}}){{28,{}}}(?:{ANY}[AQgw]|{ANY}{{2}}[AEIMQUYcgkosw048])?$",
        (SEALED_BYTES - 21) / 3 - 1,
    );
    json!({
        "type": ["string", "null"],
        "pattern": pattern,
        "description": format!("aes128gcm for the device's key (RFC 8291), base64url without padding, at most {SEALED_BYTES} bytes"),
    })
}

fn event() -> Value {
    json!({
        "type": ["object", "null"],
        "description": "What happened at a server of the app's own, by ids alone; needed for the kind event",
        "additionalProperties": false,
        "properties": {
            "id": maybe(ID_BYTES),
            "room": maybe(ID_BYTES),
            "is_urgent": { "type": "boolean" },
            "keys": {
                "type": "object",
                "maxProperties": KEYS,
                "propertyNames": { "pattern": format!("^[A-Za-z0-9_]{{1,{NAME_BYTES}}}$") },
                "additionalProperties": text(NAME_BYTES),
            },
        },
    })
}

fn verdict() -> Value {
    json!({
        "outcome": { "type": "string", "enum": [
            "accepted", "token_dead", "refused", "throttled", "unavailable", "unauthorized", "too_large",
            "queued", "replaced", "expired", "unknown",
        ] },
        "provider_id": { "type": "string" },
        "reason": { "type": "string" },
        "since": { "type": "integer", "description": "Milliseconds since the Unix epoch" },
        "retry_after": { "type": "integer", "description": "Seconds" },
        "detail": { "type": "string" },
    })
}

fn with(mut properties: Value, more: Value, required: &[&str]) -> Value {
    if let (Value::Object(all), Value::Object(more)) = (&mut properties, more) {
        all.extend(more);
    }
    json!({ "type": "object", "required": required, "properties": properties })
}

#[cfg(test)]
mod tests {
    use super::*;
    use push::rest::wire::{Submitted, Verdict};

    #[test]
    fn every_field_that_is_read_or_written_is_described() {
        let fields =
            |value: Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        let text = || Some("x".to_owned());
        let all = Submitted {
            id: "x".to_owned(),
            app: "x".to_owned(),
            token: "x".to_owned(),
            channel: domain::Channel::Voip,
            kind: push::rest::wire::Kind::Call,
            ttl: 1,
            collapse: text(),
            badge: Some(1),
            conversations: vec!["x".to_owned()],
            call: text(),
            tracking: text(),
            register_at: text(),
            sealed: text(),
            event: Some(domain::EventPush::default()),
        };
        let described = notification()["properties"].clone();
        assert_eq!(
            fields(serde_json::to_value(all).unwrap()),
            fields(described)
        );
        let all = Verdict {
            outcome: "x".to_owned(),
            provider_id: text(),
            reason: text(),
            since: Some(1),
            retry_after: Some(1),
            detail: text(),
        };
        assert_eq!(
            fields(serde_json::to_value(all).unwrap()),
            fields(verdict())
        );
    }

    #[test]
    fn only_a_trace_is_given_back() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_trace(&HeaderValue::from_static(good)));
        for bad in ["", "00-4bf9-00f0-01", "hello", &good.to_uppercase()] {
            assert!(!is_trace(&HeaderValue::from_str(bad).unwrap()), "{bad}");
        }
    }
}
