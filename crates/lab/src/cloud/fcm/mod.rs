//! The simulated Firebase Cloud Messaging, v1 API: `POST /v1/projects/{project}/messages:send` with an access token
//! from `POST /token`, judged by Google's rules.

mod error;
mod message;
mod oauth;
mod quota;

use super::{
    State, entropy,
    exchange::{Platform, Verdict},
    now,
    record::{self, Answer, Record},
    registry::{TokenMode, is_well_formed},
};
use bytes::Bytes;
use error::{GoogleError, json_response};
use http::{Method, Request, Response};
use message::{Message, member};
use oauth::AccessTokens;
use quota::Quota;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// The cloud, as all its connections share it.
pub(super) struct Fcm {
    state: Arc<State>,
    access: AccessTokens,
    quota: Quota,
}

impl Fcm {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self {
            access: AccessTokens::new(state.clone()),
            quota: Quota::new(state.limits().fcm_project_rate),
            state,
        }
    }

    /// The rules in the order in which they are looked at: sender, message, device; says the message's name.
    fn check(&self, request: &Request<Bytes>, record: &mut Record) -> Result<String, GoogleError> {
        let project = project_in(request.uri().path()).ok_or_else(GoogleError::no_method)?;
        self.check_sender(request, project)?;
        let mut message = Message::read(request.body())?;
        self.check_token(&message, project)?;
        record.violations.append(&mut message.violations);
        if message.validate_only {
            record.dry_run = true;
            return Ok(format!("projects/{project}/messages/fake_message_id"));
        }
        if let Err(seconds) = self.quota.take(project, now()) {
            return Err(GoogleError::fcm("QUOTA_EXCEEDED", None).retry_after(Some(seconds)));
        }
        let mut devices = self.state.fcm_devices();
        if !devices.may_send(&message.token, now()) {
            return Err(GoogleError::fcm("QUOTA_EXCEEDED", None).retry_after(Some(60)));
        }
        if let Some(key) = &message.collapse_key {
            let ttl = Duration::from_secs(message.ttl);
            if devices.keep(&message.token, key, ttl, now()) {
                record.violations.push(format!(
                    "collapse key {key:?} is one too many for this device: FCM keeps the messages of {} keys and \
                     does not say which",
                    self.state.limits().fcm_collapse_keys
                ));
            }
        }
        Ok(new_name(project))
    }

    fn check_sender(&self, request: &Request<Bytes>, project: &str) -> Result<(), GoogleError> {
        let account = bearer(request)
            .and_then(|token| self.access.account(token))
            .ok_or_else(GoogleError::unauthenticated)?;
        let projects = &self.state.config.fcm_projects;
        let may = projects
            .iter()
            .any(|known| known.project == project && known.service_account == account);
        if may {
            Ok(())
        } else {
            Err(GoogleError::denied(project))
        }
    }

    fn check_token(&self, message: &Message, project: &str) -> Result<(), GoogleError> {
        let token = &message.token;
        if !is_well_formed(Self::PROVIDER, token) {
            return Err(GoogleError::bad_token());
        }
        let mut registry = self.state.registry();
        if let Some(fate) = registry.take_fate(token) {
            let code = fate
                .reason
                .unwrap_or_else(|| GoogleError::usual_code(fate.status).to_owned());
            return Err(GoogleError::fcm(&code, Some(fate.status)));
        }
        let Some(known) = registry.find(Self::PROVIDER, token) else {
            return match registry.mode {
                TokenMode::Any => Ok(()),
                TokenMode::Known => Err(GoogleError::bad_token()),
            };
        };
        let of_this_project = self
            .state
            .config
            .fcm_projects
            .iter()
            .any(|one| one.project == project && one.packages.contains(&known.app));
        if !of_this_project {
            return Err(GoogleError::fcm("SENDER_ID_MISMATCH", None));
        }
        if message
            .package
            .as_ref()
            .is_some_and(|package| *package != known.app)
        {
            return Err(GoogleError::field(
                "message.android.restricted_package_name",
                "The registration token is not of this package.",
            ));
        }
        Ok(())
    }
}

impl Platform for Fcm {
    const PROVIDER: domain::Provider = domain::Provider::Fcm;
    type Session = ();

    /// Google sets no limit before the first answer: every request proves itself.
    fn is_authorised(&self, (): &()) -> bool {
        true
    }

    fn is_push(&self, request: &Request<Bytes>) -> bool {
        request.method() == Method::POST && project_in(request.uri().path()).is_some()
    }

    fn describe(&self, request: &Request<Bytes>, connection: u64) -> Record {
        let payload = record::payload(request.body());
        let message = member(&payload, "message").unwrap_or(&Value::Null);
        let android = member(message, "android").unwrap_or(&Value::Null);
        let text = |object, name| member(object, name)?.as_str().map(str::to_owned);
        Record {
            seq: 0,
            time: now(),
            provider: Self::PROVIDER,
            token: text(message, "token").unwrap_or_default(),
            topic: None,
            project: project_in(request.uri().path()).map(str::to_owned),
            push_type: None,
            priority: text(android, "priority").map(|word| word.to_ascii_lowercase()),
            expiration: text(android, "ttl"),
            collapse_id: text(android, "collapse_key"),
            headers: record::headers(request.headers()),
            answer: None,
            fault: None,
            violations: Vec::new(),
            dry_run: false,
            connection,
            payload,
        }
    }

    fn expire_credentials(&self, request: &Request<Bytes>) {
        if let Some(token) = bearer(request) {
            self.access.revoke(token);
        }
    }

    fn judge(&self, (): &mut (), request: &Request<Bytes>, record: &mut Record) -> Verdict {
        let (response, answer) = match self.check(request, record) {
            Ok(name) => taken(name),
            Err(error) => (error.response(), error.answer()),
        };
        Verdict {
            response,
            answer,
            go_away: None,
        }
    }

    fn accept(&self, request: &Request<Bytes>) -> (Response<Bytes>, Answer) {
        taken(new_name(
            project_in(request.uri().path()).unwrap_or_default(),
        ))
    }

    fn answer_other(&self, request: &Request<Bytes>) -> Response<Bytes> {
        if request.uri().path() == oauth::PATH {
            self.access.answer(request)
        } else {
            GoogleError::no_method().response()
        }
    }

    fn trouble(&self, status: u16, retry_after: Option<u64>) -> (Response<Bytes>, Answer) {
        let code = GoogleError::usual_code(status);
        let error = GoogleError::fcm(code, Some(status)).retry_after(retry_after);
        (error.response(), error.answer())
    }
}

/// A message's name, as Google makes them up.
fn new_name(project: &str) -> String {
    let (micros, random) = (now().0 * 1000, entropy::hex(8));
    format!("projects/{project}/messages/0:{micros}%{random}")
}

fn taken(name: String) -> (Response<Bytes>, Answer) {
    let response = json_response(200, &json!({ "name": name }));
    let answer = Answer {
        status: 200,
        reason: None,
        id: Some(name),
    };
    (response, answer)
}

/// The project in a send request's path. Some clients escape the colon.
fn project_in(path: &str) -> Option<&str> {
    let (project, method) = path.strip_prefix("/v1/projects/")?.split_once('/')?;
    let known = ["messages:send", "messages%3Asend", "messages%3asend"];
    (!project.is_empty() && known.contains(&method)).then_some(project)
}

fn bearer(request: &Request<Bytes>) -> Option<&str> {
    let authorization = request.headers().get("authorization")?.to_str().ok()?;
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}
