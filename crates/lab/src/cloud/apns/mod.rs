//! The simulated Apple Push Notification service: `POST /3/device/{token}` over HTTP/2, judged by Apple's rules.

mod auth;
mod reason;
mod rules;

use super::{
    State,
    config::Environment,
    entropy,
    exchange::{Platform, Verdict},
    jwt::Expired,
    now,
    record::{Answer, Record},
    registry::{TokenMode, is_well_formed},
};
use auth::Sender;
use bytes::Bytes;
use domain::{Channel, Timestamp};
use http::{HeaderMap, Request, Response};
use reason::{BAD_DEVICE_TOKEN, DEVICE_TOKEN_NOT_FOR_TOPIC, Reason};
use rules::{Addressed, header};
use serde_json::{Value, json};
use std::sync::Arc;

/// The cloud, as all its connections share it.
pub(super) struct Apns {
    state: Arc<State>,
    expired: Expired,
}

/// What it remembers of a connection.
#[derive(Default)]
pub(super) struct Session {
    sender: Sender,
    bad_tokens_in_a_row: u32,
}

/// Why a push was refused.
struct Refusal {
    status: u16,
    reason: String,
    /// With 410: since when the token is dead.
    since: Option<Timestamp>,
    retry_after: Option<u64>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            status: reason.status,
            reason: reason.name.to_owned(),
            since: None,
            retry_after: None,
        }
    }
}

impl Apns {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self {
            state,
            expired: Expired::default(),
        }
    }

    /// The rules in the order in which they are looked at: path, sender, headers, device token, payload.
    fn check(
        &self,
        session: &mut Session,
        request: &Request<Bytes>,
        record: &mut Record,
    ) -> Result<(), Refusal> {
        let token = rules::check_path(request)?;
        let headers = request.headers();
        let teams = &self.state.config.apns_teams;
        let team = session
            .sender
            .authorise(
                header(headers, "authorization"),
                teams,
                &self.expired,
                self.state.clock(),
            )?
            .to_owned();
        let apps = teams
            .iter()
            .find(|one| one.team == *team)
            .map_or(&[][..], |one| &one.apps);
        let apps = session.sender.may_push_to(apps);
        let environment = environment_of(request);
        let addressed = rules::check_headers(headers, apps, environment)?;
        self.check_token(token, &addressed, environment)?;
        let payload = rules::check_payload(request.body(), addressed.is_voip())?;
        record.violations = rules::violations(&addressed, headers, &payload);
        Ok(())
    }

    fn check_token(
        &self,
        token: &str,
        addressed: &Addressed<'_>,
        environment: Environment,
    ) -> Result<(), Refusal> {
        if !is_well_formed(Self::PROVIDER, token) {
            return Err(BAD_DEVICE_TOKEN.into());
        }
        let mut registry = self.state.registry();
        if let Some(fate) = registry.take_fate(token) {
            return Err(Refusal {
                status: fate.status,
                reason: fate
                    .reason
                    .unwrap_or_else(|| reason::usual(fate.status).to_owned()),
                since: fate.timestamp.filter(|_| fate.status == 410),
                retry_after: None,
            });
        }
        let Some(known) = registry.find(Self::PROVIDER, token) else {
            return match registry.mode {
                TokenMode::Any => Ok(()),
                TokenMode::Known => Err(BAD_DEVICE_TOKEN.into()),
            };
        };
        if known
            .environment
            .is_some_and(|wanted| wanted != environment)
        {
            return Err(BAD_DEVICE_TOKEN.into());
        }
        let channel = if addressed.is_voip() {
            Channel::Voip
        } else {
            Channel::Message
        };
        if known.app != addressed.app.bundle
            || known.channel.is_some_and(|wanted| wanted != channel)
        {
            return Err(DEVICE_TOKEN_NOT_FOR_TOPIC.into());
        }
        Ok(())
    }
}

impl Platform for Apns {
    const PROVIDER: domain::Provider = domain::Provider::Apns;
    type Session = Session;

    fn session(&self, certificate: Option<&[u8]>) -> Session {
        Session {
            sender: Sender::new(certificate, &self.state.config.apns_teams),
            bad_tokens_in_a_row: 0,
        }
    }

    fn is_authorised(&self, session: &Session) -> bool {
        session.sender.is_known()
    }

    fn is_push(&self, _request: &Request<Bytes>) -> bool {
        true
    }

    fn describe(&self, request: &Request<Bytes>, connection: u64) -> Record {
        let headers = request.headers();
        let text = |name| header(headers, name).map(str::to_owned);
        let path = request.uri().path();
        Record {
            seq: 0,
            time: now(),
            provider: Self::PROVIDER,
            token: rules::token_in(path).unwrap_or(path).to_owned(),
            topic: text("apns-topic"),
            project: None,
            push_type: text("apns-push-type"),
            priority: text("apns-priority"),
            expiration: text("apns-expiration"),
            collapse_id: text("apns-collapse-id"),
            headers: super::record::headers(headers),
            payload: super::record::payload(request.body()),
            answer: None,
            fault: None,
            violations: Vec::new(),
            dry_run: false,
            connection,
        }
    }

    fn expire_credentials(&self, request: &Request<Bytes>) {
        if let Some(token) = header(request.headers(), "authorization").and_then(auth::bearer) {
            self.expired.add(token);
        }
    }

    fn judge(
        &self,
        session: &mut Session,
        request: &Request<Bytes>,
        record: &mut Record,
    ) -> Verdict {
        let id = apns_id(request.headers());
        let refusal = self.check(session, request, record).err();
        let bad_token = refusal
            .as_ref()
            .is_some_and(|refusal| refusal.reason == BAD_DEVICE_TOKEN.name);
        session.bad_tokens_in_a_row = if bad_token {
            session.bad_tokens_in_a_row + 1
        } else {
            0
        };
        let enough = session.bad_tokens_in_a_row >= self.state.limits().bad_tokens_in_a_row;
        Verdict {
            response: response(&id, refusal.as_ref()),
            answer: answer(id, refusal),
            go_away: enough.then(|| BAD_DEVICE_TOKEN.name.to_owned()),
        }
    }

    fn accept(&self, request: &Request<Bytes>) -> (Response<Bytes>, Answer) {
        let id = apns_id(request.headers());
        (response(&id, None), answer(id, None))
    }

    fn answer_other(&self, _request: &Request<Bytes>) -> Response<Bytes> {
        response(&entropy::uuid(), Some(&reason::BAD_PATH.into()))
    }

    fn trouble(&self, status: u16, retry_after: Option<u64>) -> (Response<Bytes>, Answer) {
        let id = entropy::uuid();
        let refusal = Refusal {
            status,
            reason: reason::usual(status).to_owned(),
            since: None,
            retry_after,
        };
        (response(&id, Some(&refusal)), answer(id, Some(refusal)))
    }
}

/// The client's own `apns-id`, else a new one.
fn apns_id(headers: &HeaderMap) -> String {
    match header(headers, "apns-id") {
        Some(id) if rules::is_uuid(id) => id.to_owned(),
        _ => entropy::uuid(),
    }
}

/// Apple's sandbox has another host name; the lab has one address, so the name that the client used decides.
fn environment_of(request: &Request<Bytes>) -> Environment {
    let host = request.uri().host().unwrap_or_default();
    if host.starts_with("api.sandbox.") || host.starts_with("sandbox.") {
        Environment::Sandbox
    } else {
        Environment::Production
    }
}

fn response(id: &str, refusal: Option<&Refusal>) -> Response<Bytes> {
    let mut response = Response::builder().header("apns-id", id);
    let Some(refusal) = refusal else {
        return finish(response, Bytes::new());
    };
    let mut body = json!({ "reason": refusal.reason });
    if let Some(since) = refusal.since {
        body["timestamp"] = Value::from(since.0);
    }
    if let Some(seconds) = refusal.retry_after {
        response = response.header("retry-after", seconds);
    }
    response = response
        .status(refusal.status)
        .header("content-type", "application/json");
    finish(response, body.to_string().into())
}

fn finish(response: http::response::Builder, body: Bytes) -> Response<Bytes> {
    response
        .body(body)
        .expect("a status from 200 to 599 and headers of ours make a response")
}

fn answer(id: String, refusal: Option<Refusal>) -> Answer {
    let (status, reason) = refusal.map_or((200, None), |refusal| {
        (refusal.status, Some(refusal.reason))
    });
    Answer {
        status,
        reason,
        id: Some(id),
    }
}
