//! What is answered by ourselves: to whom we know, and to whoever may be nobody.

use super::Role;
use crate::{requests, vocabulary::Output};
use domain::{Now, Refusal};
use hub::NotDone;
use sip::{HeaderName, Message, ResponseBuilder, endpoint::ServerTxn};
use std::time::Duration;

impl Role {
    pub(super) fn answer(&mut self, now: Now, txn: ServerTxn, status: u16, reason: &str) {
        self.answer_because(now, txn, (status, reason), "");
    }

    /// The same, for a reason that stories tell and the peer does not hear.
    pub(super) fn answer_because(
        &mut self,
        now: Now,
        txn: ServerTxn,
        (status, reason): (u16, &str),
        why: &str,
    ) {
        self.tells_refusal(now, txn, (status, reason), why);
        self.endpoint.answer(now.instant, txn, status, reason);
    }

    /// Answers with a response that was made for the request.
    pub(super) fn respond(&mut self, now: Now, txn: ServerTxn, response: &Message) {
        let status = response.status().unwrap_or_default();
        let reason = String::from_utf8_lossy(response.reason());
        self.tells_refusal(now, txn, (status, &reason), "");
        self.endpoint.respond(now.instant, txn, response);
    }

    pub(super) fn answer_kept(
        &mut self,
        now: Now,
        txn: ServerTxn,
        answer: Result<Message, NotDone>,
    ) {
        let (status, reason) = match answer {
            Ok(response) => return self.respond(now, txn, &response),
            Err(NotDone::Overloaded) => {
                self.out.push_back(Output::Refused(Refusal::Overloaded));
                (503, "")
            }
            Err(NotDone::QueueFull) => (480, "Message Queue Full"),
            Err(NotDone::TooManyDevices) => (403, "Too Many Devices"),
            Err(NotDone::TooManyContacts) => (403, "Too Many Contacts"),
            Err(NotDone::TooManyBlocks) => (403, "Too Many Blocked Addresses"),
            Err(NotDone::Oneself | NotDone::NotLet | NotDone::Exists | NotDone::Changed) => {
                (403, "")
            }
            Err(NotDone::BadName) => (400, "Bad Name"),
            Err(NotDone::NoSuchApp) => (400, "No Such App"),
            Err(NotDone::DeadToken) => (400, "Dead Token"),
            Err(NotDone::NoSuchDomain) => (404, "No Such Domain"),
            Err(NotDone::Missing) => (404, "No Such User"),
            Err(NotDone::Failed(_)) => (500, "Not Saved"),
        };
        self.answer(now, txn, status, reason);
    }

    /// Answers whoever may be nobody, and keeps nothing of it.
    pub(super) fn turn_away(&mut self, now: Now, txn: ServerTxn, status: u16, reason: &str) {
        self.tells_refusal(now, txn, (status, reason), "");
        let refusal = self.endpoint.refusal_to(txn, status, reason);
        self.refuse(txn, refusal);
    }

    /// Answers that it may be tried again after a while, and keeps nothing of it.
    pub(super) fn turn_away_for(
        &mut self,
        now: Now,
        txn: ServerTxn,
        status: u16,
        reason: &str,
        wait: Duration,
    ) {
        self.tells_refusal(now, txn, (status, reason), "");
        let refusal = self.endpoint.refusal_to(txn, status, reason);
        let seconds = wait.as_secs() + 1;
        let later = |it: ResponseBuilder| it.header(HeaderName::RetryAfter, seconds.to_string());
        let answers = refusal.map(|it| [later(it.clone()), it]);
        self.refuse(txn, answers.into_iter().flatten());
    }

    /// The same with the first of these answers that is small enough.
    pub(super) fn refuse(
        &mut self,
        txn: ServerTxn,
        answers: impl IntoIterator<Item = ResponseBuilder>,
    ) {
        let answers = answers.into_iter().map(ResponseBuilder::build);
        if !self.endpoint.refuse(txn, answers) {
            self.out.push_back(Output::Refused(Refusal::Unanswered));
        }
    }

    /// RFC 3261 §11.2: what we can do, and that we are here; whoever asks.
    pub(super) fn options(&mut self, txn: ServerTxn) {
        let Some(bare) = self.endpoint.refusal_to(txn, 200, "") else {
            return;
        };
        let told = bare
            .clone()
            .header(HeaderName::Allow, requests::ALLOW)
            .header(HeaderName::Accept, "*/*")
            .header(HeaderName::Supported, "path, outbound");
        self.refuse(txn, [told, bare]);
    }
}
