//! A simulated push service of Web Push: `POST /push/{id}` by RFC 8030, with a body by RFC 8188 and 8291 and a sender by
//! RFC 8292. A subscription that was registered is good for the key of its app alone; any other for whoever signs.

mod refusal;
mod rules;
mod vapid;

use super::{
    State, entropy,
    exchange::{Platform, Verdict},
    jwt::Expired,
    now,
    record::{self, Answer, Record},
    registry::{TokenMode, WEB_PATH, is_well_formed, web_address},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request, Response};
use refusal::{Refusal, usual};
use rules::header;
use serde_json::Value;
use std::sync::Arc;

/// The push service, as all its connections share it.
pub(super) struct WebPush {
    state: Arc<State>,
    expired: Expired,
}

impl WebPush {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self {
            state,
            expired: Expired::default(),
        }
    }

    /// The rules in the order in which they are looked at: headers, body, sender, subscription. Says how long the
    /// message is kept.
    fn check(&self, request: &Request<Bytes>) -> Result<u64, Refusal> {
        let headers = request.headers();
        let ttl = rules::check_headers(headers)?;
        rules::check_body(headers, request.body())?;
        let authorization = header(headers, "authorization");
        let audience = format!("https://{}", authority(request).unwrap_or_default());
        let key = vapid::check(authorization, &audience, &self.expired, now())?;
        let id = id_in(request.uri().path()).unwrap_or_default();
        self.check_subscription(id, &key)?;
        Ok(ttl)
    }

    fn check_subscription(&self, id: &str, key: &[u8]) -> Result<(), Refusal> {
        if !is_well_formed(Self::PROVIDER, id) {
            return Err(Refusal::new(404, "no such subscription"));
        }
        let mut registry = self.state.registry();
        if let Some(fate) = registry.take_fate(id) {
            let reason = fate.reason.unwrap_or_else(|| usual(fate.status).to_owned());
            return Err(Refusal::new(fate.status, reason));
        }
        let Some(known) = registry.find(Self::PROVIDER, id) else {
            return match registry.mode {
                TokenMode::Any => Ok(()),
                TokenMode::Known => Err(Refusal::new(404, "no such subscription")),
            };
        };
        let apps = &self.state.config.webpush_apps;
        let of_its_app = apps
            .iter()
            .any(|app| app.app == known.app && app.public_key == key);
        if !of_its_app {
            // RFC 8292 §4.2.
            return Err(Refusal::new(403, "the subscription is for another key"));
        }
        Ok(())
    }
}

impl Platform for WebPush {
    const PROVIDER: domain::Provider = domain::Provider::WebPush;
    type Session = ();

    /// No limit before the first answer: every request proves itself.
    fn is_authorised(&self, (): &()) -> bool {
        true
    }

    fn is_push(&self, request: &Request<Bytes>) -> bool {
        request.method() == Method::POST && id_in(request.uri().path()).is_some()
    }

    fn describe(&self, request: &Request<Bytes>, connection: u64) -> Record {
        let headers = request.headers();
        let text = |name| header(headers, name).map(str::to_owned);
        Record {
            seq: 0,
            time: now(),
            provider: Self::PROVIDER,
            token: web_address(
                &self.state.config,
                id_in(request.uri().path()).unwrap_or_default(),
            ),
            topic: None,
            project: None,
            push_type: None,
            priority: text("urgency"),
            expiration: text("ttl"),
            collapse_id: text("topic"),
            headers: record::headers(headers),
            // Nobody but the device can read it.
            payload: match request.body() {
                body if body.is_empty() => Value::Null,
                body => URL_SAFE_NO_PAD.encode(body).into(),
            },
            answer: None,
            fault: None,
            violations: Vec::new(),
            dry_run: false,
            connection,
        }
    }

    fn expire_credentials(&self, request: &Request<Bytes>) {
        if let Some(token) = header(request.headers(), "authorization").and_then(vapid::token) {
            self.expired.add(token);
        }
    }

    fn judge(&self, (): &mut (), request: &Request<Bytes>, _: &mut Record) -> Verdict {
        let (response, answer) = match self.check(request) {
            Ok(ttl) => taken(request, ttl),
            Err(refusal) => (refusal.response(), refusal.answer()),
        };
        Verdict {
            response,
            answer,
            go_away: None,
        }
    }

    fn accept(&self, request: &Request<Bytes>) -> (Response<Bytes>, Answer) {
        taken(request, 0)
    }

    fn answer_other(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let refusal = match id_in(request.uri().path()) {
            Some(_) => Refusal::new(405, "a push is a POST"),
            None => Refusal::new(404, "no such path"),
        };
        refusal.response()
    }

    fn trouble(&self, status: u16, retry_after: Option<u64>) -> (Response<Bytes>, Answer) {
        let refusal = Refusal {
            retry_after,
            ..Refusal::new(status, usual(status))
        };
        (refusal.response(), refusal.answer())
    }
}

fn taken(request: &Request<Bytes>, ttl: u64) -> (Response<Bytes>, Answer) {
    let authority = authority(request).unwrap_or_default();
    let location = format!("https://{authority}/message/{}", entropy::base64url(16));
    let response = Response::builder()
        .status(201)
        .header("location", &location)
        .header("ttl", ttl)
        .body(Bytes::new())
        .expect("an authority that came in a request is a header value");
    let answer = Answer {
        status: 201,
        reason: None,
        id: Some(location),
    };
    (response, answer)
}

/// The subscription's id in a path.
fn id_in(path: &str) -> Option<&str> {
    let id = path.strip_prefix(WEB_PATH)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

/// Host and port as the client wrote them.
fn authority(request: &Request<Bytes>) -> Option<&str> {
    let in_target = request.uri().authority().map(http::uri::Authority::as_str);
    in_target.or_else(|| header(request.headers(), "host"))
}
