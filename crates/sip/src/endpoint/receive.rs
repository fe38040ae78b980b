//! What becomes of a request that arrived: a repetition is absorbed, ACK and CANCEL find their INVITE, what is bad is
//! answered, and the rest becomes a transaction and is told to the owner (RFC 3261 §8.2, §16.3, §17.2.3, §18.2.1).

use std::time::Instant;

use super::Endpoint;
use super::Flow;
use super::arrival;
use super::types::{ContextId, Event, ServerTxn};
use crate::proxy::routes::{self, Arrived};
use crate::transaction::server::{Acked, Cancelled, Server};
use crate::transaction::{Key, matching};
use crate::{HeaderName, Message, Method, ResponseBuilder, Uri, reason_phrase};

/// Schemes of a Request-URI that somebody here may understand; another one is answered 416 (RFC 3261 §8.2.2.1).
const SCHEMES: [&str; 3] = ["sip", "sips", "tel"];

impl Endpoint {
    pub(super) fn receive_request(&mut self, now: Instant, flow: Flow, request: &Message) {
        match request.method() {
            Some(Method::Ack) => self.receive_ack(now, flow, request),
            Some(Method::Cancel) => self.receive_cancel(now, flow, request),
            Some(method) => match matching::transaction(self.secret, request, method) {
                Some(index) => match self.index.get(&index).copied() {
                    Some(key) => self.receive_again(flow, key),
                    None if self.answered.repeat(index, &mut self.wire) => {}
                    None => self.receive_new(now, flow, request, index),
                },
                None => self.turn_away(flow, request, 400, "Bad Request"),
            },
            None => {}
        }
    }

    fn receive_again(&mut self, flow: Flow, key: Key) {
        self.come_back(key, flow);
        if let Some(server) = self.servers.get_mut(key) {
            server.repeated(&mut self.wire);
        }
        self.reap_server(key);
    }

    fn receive_new(&mut self, now: Instant, flow: Flow, request: &Message, index: u64) {
        if let Err(error) = request.validate() {
            return self.turn_away(flow, request, error.status, error.reason);
        }
        let known = Uri::parse(request.request_uri()).is_some_and(|uri| {
            SCHEMES
                .iter()
                .any(|scheme| uri.scheme.eq_ignore_ascii_case(scheme))
        });
        if !known {
            return self.turn_away(flow, request, 416, reason_phrase(416));
        }
        let Some(key) = self.servers.vacant() else {
            return self.turn_away(flow, request, 503, reason_phrase(503));
        };
        let (request, back) = arrival::located(request, flow);
        let Arrived { request, mark } = routes::preprocessed(&self.config.is_ours, request);
        let server = Server::start(now, &mut self.wire, key, back, request.clone(), index);
        self.add_server(server);
        self.events.push_back(Event::Request {
            txn: ServerTxn(key),
            flow,
            request,
            route: mark,
        });
    }

    fn receive_ack(&mut self, now: Instant, flow: Flow, ack: &Message) {
        if let Some(key) = self.matching_invite(ack) {
            let acked = self
                .servers
                .get_mut(key)
                .map(|server| server.ack(now, &mut self.wire));
            self.reap_server(key);
            if acked == Some(Acked::Absorbed) {
                return;
            }
        }
        if ack.validate().is_err() {
            return;
        }
        let to_tag = ack.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        if to_tag == self.stateless_tag(ack) {
            // For one of our own refusals, which kept no state.
            return;
        }
        let key = matching::accepted(self.secret, ack, to_tag)
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

    fn receive_cancel(&mut self, now: Instant, flow: Flow, cancel: &Message) {
        if let Err(error) = cancel.validate() {
            return self.turn_away(flow, cancel, error.status, error.reason);
        }
        let Some(key) = self.matching_invite(cancel) else {
            // RFC 3261 §9.2. (A proxy that keeps no state would forward it, §16.10; we always keep state.)
            return self.turn_away(flow, cancel, 481, reason_phrase(481));
        };
        self.come_back(key, flow);
        let tag = self.local_tag(ServerTxn(key));
        self.reply(flow, cancel, 200, reason_phrase(200), &tag);
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

    fn matching_invite(&self, request: &Message) -> Option<Key> {
        let index = matching::transaction(self.secret, request, Method::Invite)?;
        self.index.get(&index).copied()
    }

    /// Answers without keeping state.
    fn turn_away(&mut self, flow: Flow, request: &Message, status: u16, reason: &str) {
        let tag = self.stateless_tag(request);
        self.reply(flow, request, status, reason, &tag);
    }

    fn reply(&mut self, flow: Flow, request: &Message, status: u16, reason: &str, tag: &str) {
        if request.top_via().is_err() {
            return;
        }
        let (request, back) = arrival::located(request, flow);
        let mut response = ResponseBuilder::to(&request, status, reason).to_tag(tag);
        if status == 503 {
            response = response.header(
                HeaderName::RetryAfter,
                self.config.limits.retry_after.to_string(),
            );
        }
        self.wire.send(back, response.build().bytes());
    }

    /// To tag of a response that keeps no state: the same for the request, its repetitions and its ACK.
    pub(super) fn stateless_tag(&self, request: &Message) -> String {
        let branch = request
            .top_via()
            .ok()
            .and_then(|via| via.branch())
            .unwrap_or_default();
        let call_id = request.header(HeaderName::CallId).unwrap_or_default();
        self.secret.tag("stateless", [branch.as_bytes(), call_id])
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
