//! What becomes of a request that arrived: a repetition is absorbed, ACK and CANCEL find their INVITE, what is bad is
//! answered, and the rest becomes a transaction and is told to the owner (RFC 3261 §8.2, §16.3, §17.2.3, §18.2.1).

use std::time::Instant;

use super::Endpoint;
use super::Flow;
use super::arrival;
use super::strangers::may_be_answered;
use super::types::{ContextId, Event, ServerTxn};
use crate::proxy::routes::{self, Arrived};
use crate::transaction::branch::TAG_DIGITS;
use crate::transaction::server::{Acked, Cancelled, Server};
use crate::transaction::{Key, matching};
use crate::{HeaderName, Message, Method, ResponseBuilder, Via, reason_phrase};

/// Schemes of a Request-URI that somebody here may understand; another one is answered 416 (RFC 3261 §8.2.2.1).
const SCHEMES: [&str; 3] = ["sip", "sips", "tel"];

/// A request as it arrived, its top Via read.
#[derive(Clone, Copy)]
struct Incoming<'m> {
    flow: Flow,
    request: &'m Message,
    via: Via<'m>,
}

impl Endpoint {
    pub(super) fn receive_request(&mut self, now: Instant, flow: Flow, request: &Message) {
        // Without a Via there is nobody to answer.
        let (Some(method), Ok(via)) = (request.method(), request.top_via()) else {
            return;
        };
        let arrived = Incoming { flow, request, via };
        match method {
            Method::Ack => return self.receive_ack(now, arrived),
            Method::Cancel => return self.receive_cancel(now, arrived),
            _ => {}
        }
        let Some(index) = self.index_of(arrived, method) else {
            return self.turn_back(arrived, 400, "Bad Request");
        };
        match self.index.get(&index).copied() {
            Some(key) => self.receive_again(flow, key),
            None if self.answered.repeat(index, &mut self.wire) => {}
            None => self.receive_new(now, arrived, index),
        }
    }

    fn receive_again(&mut self, flow: Flow, key: Key) {
        self.come_back(key, flow);
        if let Some(server) = self.servers.get_mut(key) {
            server.repeated(&mut self.wire);
        }
        self.reap_server(key);
    }

    fn receive_new(&mut self, now: Instant, arrived: Incoming<'_>, index: u64) {
        let Incoming { flow, request, via } = arrived;
        if let Err(error) = request.validate_below_top_via() {
            return self.turn_back(arrived, error.status, error.reason);
        }
        let uri = request.request_uri().as_bytes();
        let is_of = |scheme: &&str| {
            let start = uri.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
                && uri.get(scheme.len()) == Some(&b':')
        };
        if !SCHEMES.iter().any(is_of) {
            return self.turn_back(arrived, 416, reason_phrase(416));
        }
        let Some(key) = self.servers.vacant() else {
            self.events.push_back(Event::NoRoom);
            return self.turn_back(arrived, 503, reason_phrase(503));
        };
        let asked = request.bytes().len();
        let (request, back) = arrival::located(request, &via, flow);
        let Arrived { request, mark } = routes::preprocessed(&self.config.is_ours, request);
        let taken = (request.clone(), asked);
        let server = Server::start(now, &mut self.wire, key, back, taken, index);
        self.add_server(server);
        self.events.push_back(Event::Request {
            txn: ServerTxn(key),
            flow,
            request,
            route: mark,
        });
    }

    fn receive_ack(&mut self, now: Instant, arrived: Incoming<'_>) {
        let Incoming {
            flow, request: ack, ..
        } = arrived;
        if let Some(key) = self.matching_invite(arrived) {
            let acked = self
                .servers
                .get_mut(key)
                .map(|server| server.ack(now, &mut self.wire));
            self.reap_server(key);
            if acked == Some(Acked::Absorbed) {
                return;
            }
        }
        if ack.validate_below_top_via().is_err() {
            return;
        }
        let to_tag = ack.to_tag().unwrap_or_default();
        if to_tag.len() == TAG_DIGITS && to_tag == self.stateless_tag(ack) {
            // For one of our own refusals, which kept no state.
            return;
        }
        // A proxy accepts nothing itself.
        let key = (!self.accepted.is_empty())
            .then(|| matching::accepted(self.secret, ack, to_tag))
            .flatten()
            .and_then(|index| self.accepted.get(&index).copied());
        if let Some(server) = key.and_then(|key| self.servers.get_mut(key)) {
            server.ack(now, &mut self.wire);
        }
        let Arrived { request, mark } = routes::preprocessed(&self.config.is_ours, ack.clone());
        self.events.push_back(Event::Ack {
            txn: key.map(ServerTxn),
            flow,
            request,
            route: mark,
        });
    }

    fn receive_cancel(&mut self, now: Instant, arrived: Incoming<'_>) {
        let Incoming {
            flow,
            request: cancel,
            ..
        } = arrived;
        if let Err(error) = cancel.validate_below_top_via() {
            return self.turn_back(arrived, error.status, error.reason);
        }
        let Some(key) = self.matching_invite(arrived) else {
            // RFC 3261 §9.2. (A proxy that keeps no state would forward it, §16.10; we always keep state.)
            return self.turn_back(arrived, 481, reason_phrase(481));
        };
        self.come_back(key, flow);
        let tag = self.local_tag(ServerTxn(key));
        self.reply(arrived, 200, reason_phrase(200), &tag);
        let Some(server) = self.servers.get_mut(key) else {
            return;
        };
        if server.cancelled.is_some() || !server.is_pending() {
            return;
        }
        let context = server.context;
        let reason = reason_of(cancel);
        server.cancelled = Some(Cancelled {
            reason: reason.clone(),
        });
        self.events.push_back(Event::Cancelled {
            txn: ServerTxn(key),
            context: context.map(ContextId),
            reason: reason.clone(),
        });
        if let Some(context) = context {
            self.caller_cancelled(now, context, reason.as_deref());
        }
    }

    fn index_of(&self, arrived: Incoming<'_>, method: Method<'_>) -> Option<u64> {
        matching::transaction(self.secret, arrived.request, &arrived.via, method)
    }

    fn matching_invite(&self, arrived: Incoming<'_>) -> Option<Key> {
        let index = self.index_of(arrived, Method::Invite)?;
        self.index.get(&index).copied()
    }

    /// Answers without keeping state.
    fn turn_back(&mut self, arrived: Incoming<'_>, status: u16, reason: &str) {
        let tag = self.stateless_tag(arrived.request);
        self.reply(arrived, status, reason, &tag);
    }

    fn reply(&mut self, arrived: Incoming<'_>, status: u16, reason: &str, tag: &str) {
        let Incoming { flow, request, via } = arrived;
        let asked = request.bytes().len();
        let (request, back) = arrival::located(request, &via, flow);
        let mut response = ResponseBuilder::to(&request, status, reason).to_tag(tag);
        if status == 503 {
            response = response.header(
                HeaderName::RetryAfter,
                self.config.limits.retry_after.to_string(),
            );
        }
        let response = response.build();
        // Nobody knows yet who asks.
        if may_be_answered(flow.transport, asked, response.bytes().len()) {
            self.wire.send(back, response.bytes());
        }
    }
}

/// The Reason header fields in one value (RFC 3326).
fn reason_of(cancel: &Message) -> Option<String> {
    let lines: Vec<_> = cancel
        .headers(HeaderName::Reason)
        .filter_map(|value| std::str::from_utf8(value).ok())
        .collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}
