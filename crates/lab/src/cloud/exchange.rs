//! One request at a cloud: whatever was ordered to go wrong strikes first, else the platform judges; either way it is
//! written down. The connections (HTTP/2 and HTTP/1.1) carry out what comes of it.

use super::{
    State,
    fault::Strike,
    locked,
    record::{Answer, Record},
};
use bytes::Bytes;
use domain::Provider;
use http::{Request, Response};
use std::{sync::Mutex, time::Duration};

/// A platform's rules.
pub(super) trait Platform: Send + Sync + 'static {
    /// Which.
    const PROVIDER: Provider;
    /// What it remembers of a connection.
    type Session: Default + Send + 'static;

    /// What is known of a connection when it opens. `certificate` is the client's, DER, if it showed one that the CA signed.
    fn session(&self, certificate: Option<&[u8]>) -> Self::Session {
        let _ = certificate;
        Self::Session::default()
    }
    /// Whether the client of this connection has shown valid credentials: one stream at a time until then.
    fn is_authorised(&self, session: &Self::Session) -> bool;
    /// Whether this is a push, so that faults strike it and it is written down. Nothing else is.
    fn is_push(&self, request: &Request<Bytes>) -> bool;
    /// The push as the request has it, no answer yet.
    fn describe(&self, request: &Request<Bytes>, connection: u64) -> Record;
    /// Counts the credentials of this request as expired from now on.
    fn expire_credentials(&self, request: &Request<Bytes>);
    /// Answers a push by the rules; may add violations to the record.
    fn judge(
        &self,
        session: &mut Self::Session,
        request: &Request<Bytes>,
        record: &mut Record,
    ) -> Verdict;
    /// Takes a push, whatever it is.
    fn accept(&self, request: &Request<Bytes>) -> (Response<Bytes>, Answer);
    /// Answers what is no push.
    fn answer_other(&self, request: &Request<Bytes>) -> Response<Bytes>;
    /// The platform's words for `code` (429, 503).
    fn trouble(&self, code: u16, retry_after: Option<u64>) -> (Response<Bytes>, Answer);
}

/// A platform's answer to a push.
pub(super) struct Verdict {
    /// What the client gets.
    pub(super) response: Response<Bytes>,
    /// What is written down.
    pub(super) answer: Answer,
    /// The connection is closed after it, with this reason.
    pub(super) go_away: Option<String>,
}

/// What the connection has to do with the request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Send this.
    Answer(Response<Bytes>),
    /// Send this, take nothing more, and close with this reason.
    AnswerAndGoAway(Response<Bytes>, String),
    /// Do not process it; close with this reason.
    GoAway(String),
    /// Reset the connection, or the stream alone.
    Reset { stream_only: bool },
    /// Never answer; freeze the connection too, or do not.
    Silence { stream_only: bool },
}

/// What was ordered for one request.
#[derive(Default)]
pub(super) struct Fortune {
    strike: Option<Strike>,
    latency: Option<Duration>,
}

impl Fortune {
    /// Draws what was ordered for the next request, if `request` is one that can be struck.
    pub(super) fn draw<P: Platform>(platform: &P, state: &State, request: &Request<Bytes>) -> Self {
        if !platform.is_push(request) {
            return Self::default();
        }
        let mut faults = state.faults(P::PROVIDER);
        Self {
            strike: faults.strike(),
            latency: faults.latency(),
        }
    }

    /// Whether the connection ends before this request.
    pub(super) fn is_go_away(&self) -> bool {
        matches!(self.strike, Some(Strike::GoAway { .. }))
    }
}

/// Runs one request through its fortune and the rules. What a latency holds back is the answer: by then the cloud has
/// taken the push and written it down.
pub(super) async fn exchange<P: Platform>(
    platform: &P,
    state: &State,
    session: &Mutex<P::Session>,
    connection: u64,
    request: Request<Bytes>,
    fortune: Fortune,
) -> Outcome {
    if !platform.is_push(&request) {
        return Outcome::Answer(platform.answer_other(&request));
    }
    let mut record = platform.describe(&request, connection);
    record.fault = fortune.strike.as_ref().map(Strike::kind);
    let outcome = match fortune.strike {
        Some(Strike::GoAway { reason }) => Outcome::GoAway(reason),
        Some(Strike::Reset { stream_only }) => Outcome::Reset { stream_only },
        Some(Strike::Silent { stream_only }) => Outcome::Silence { stream_only },
        Some(Strike::Status { code, retry_after }) => {
            let (response, answer) = platform.trouble(code, retry_after);
            record.answer = Some(answer);
            Outcome::Answer(response)
        }
        Some(Strike::ExpiredCredentials) => {
            platform.expire_credentials(&request);
            judge(platform, session, &request, &mut record)
        }
        // What was ordered for the token is no matter of rules.
        None if state.config.lenient && !state.registry().has_fate(&record.token) => {
            take(platform, session, &request, &mut record)
        }
        None => judge(platform, session, &request, &mut record),
    };
    state.journal.push(record);
    if let Some(latency) = fortune.latency {
        tokio::time::sleep(latency).await;
    }
    outcome
}

fn judge<P: Platform>(
    platform: &P,
    session: &Mutex<P::Session>,
    request: &Request<Bytes>,
    record: &mut Record,
) -> Outcome {
    let mut session = locked(session);
    let verdict = platform.judge(&mut session, request, record);
    record.answer = Some(verdict.answer);
    match verdict.go_away {
        None => Outcome::Answer(verdict.response),
        Some(reason) => Outcome::AnswerAndGoAway(verdict.response, reason),
    }
}

/// As [`judge`], but what the rules forbid is taken, and noted.
fn take<P: Platform>(
    platform: &P,
    session: &Mutex<P::Session>,
    request: &Request<Bytes>,
    record: &mut Record,
) -> Outcome {
    let verdict = platform.judge(&mut locked(session), request, record);
    if verdict.answer.is_taken() {
        record.answer = Some(verdict.answer);
        return Outcome::Answer(verdict.response);
    }
    let reason = verdict.answer.reason.unwrap_or_default();
    let refused = format!(
        "refused, were it not lenient: {} {reason}",
        verdict.answer.status
    );
    record.violations.push(refused);
    let (response, answer) = platform.accept(request);
    record.answer = Some(answer);
    Outcome::Answer(response)
}
