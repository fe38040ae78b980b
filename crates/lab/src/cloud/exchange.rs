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
use std::sync::Mutex;

/// A platform's rules.
pub(super) trait Platform: Send + Sync + 'static {
    /// Which.
    const PROVIDER: Provider;
    /// What it remembers of a connection.
    type Session: Default + Send + 'static;

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

/// Runs one request through faults and rules.
pub(super) async fn exchange<P: Platform>(
    platform: &P,
    state: &State,
    session: &Mutex<P::Session>,
    connection: u64,
    request: Request<Bytes>,
) -> Outcome {
    if !platform.is_push(&request) {
        return Outcome::Answer(platform.answer_other(&request));
    }
    let (strike, latency) = {
        let mut faults = state.faults(P::PROVIDER);
        (faults.strike(), faults.latency())
    };
    if let Some(latency) = latency {
        tokio::time::sleep(latency).await;
    }
    let mut record = platform.describe(&request, connection);
    record.fault = strike.as_ref().map(Strike::kind);
    let outcome = match strike {
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
        None => judge(platform, session, &request, &mut record),
    };
    state.journal.push(record);
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
