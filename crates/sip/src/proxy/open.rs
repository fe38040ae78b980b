//! What the owner does with a context: open it, hold it, fork into it at any time, ring, cancel, finish.

use std::time::Instant;

use super::checks::{self, Objection, Refused};
use super::context::{Branch, BranchState, Context, Ending, reason_value};
use super::forward::{self, MAX_BREADTH, Target};
use crate::endpoint::{BranchId, ContextId, Endpoint, Event, Flow, ServerTxn};
use crate::transaction::branch;
use crate::transaction::client::{Client, User};
use crate::transaction::server::Cancelled;
use crate::transaction::{Due, Key, Span};
use crate::{HeaderName, Message, ResponseBuilder};

/// Max-Breadth of a request that came without, and the most that one is let have (RFC 5393 §5.3.3).
const BREADTH: u32 = 60;

/// Why a request was not sent to a further target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// The context is ending or over, and it is not held, or not that of an INVITE.
    #[error("the response context is over")]
    Over,
    /// It has had as many branches as [`TableLimits::branches`](crate::endpoint::TableLimits::branches) allows.
    #[error("too many branches in the response context")]
    Branches,
    /// The request may not be forked more widely at the same time: answer 440 unless other branches go on
    /// (RFC 5393 §5.3.3).
    #[error("the request's Max-Breadth is used up")]
    Breadth,
    /// The table of client transactions is full: answer 503 unless other branches go on.
    #[error("too many client transactions at once")]
    Overload,
}

impl Endpoint {
    /// Takes a request up for proxying. An INVITE is answered 100 at once. A request that may not be proxied is
    /// answered here, and [`Refused`] says how: 483 at the end of its hops, 482 if it looped, 420 for an option that
    /// it requires of proxies, 503 when there are too many contexts.
    ///
    /// The caller gets its final response when every branch has ended, so hold the context
    /// ([`Endpoint::hold`]) before forking if further targets may come.
    ///
    /// # Errors
    /// The request was refused, and has been answered.
    pub fn open(&mut self, now: Instant, txn: ServerTxn) -> Result<ContextId, Refused> {
        let ServerTxn(server) = txn;
        let request = self.screen(txn)?;
        let loop_mark = checks::loop_mark(self.secret, &request);
        let Some(key) = self.contexts.vacant() else {
            let retry_after = self.config.limits.retry_after.to_string();
            self.events.push_back(Event::NoRoom);
            let header = Some((HeaderName::RetryAfter, retry_after));
            return Err(self.refuse_with(txn, 503, header));
        };
        let invite = request.method() == Some(crate::Method::Invite);
        let breadth = request
            .header_text(MAX_BREADTH)
            .and_then(|value| value.parse().ok());
        self.contexts.insert(Context {
            server,
            invite,
            loop_mark,
            branches: Vec::new(),
            alive: 0,
            breadth: breadth.unwrap_or(BREADTH).min(BREADTH),
            held: false,
            ending: None,
            done: None,
            guard: self.wire.timers.start(now, Span::C, Due::Context(key)),
            request: Some(request),
        });
        if let Some(server) = self.servers.get_mut(server) {
            server.context = Some(key);
        }
        if invite {
            self.send_own(now, txn, 100, "");
        }
        let cancelled = self
            .servers
            .get(server)
            .and_then(|server| server.cancelled.clone());
        if let Some(Cancelled { reason }) = cancelled {
            self.caller_cancelled(now, key, reason.as_deref());
        }
        Ok(ContextId(key))
    }

    /// Looks whether a request may be proxied at all, and answers it if not, as [`Endpoint::open`] does; returns it if
    /// it may. Ask before its sender is challenged: that comes last (§16.3).
    ///
    /// # Errors
    /// The request was refused, and has been answered.
    pub fn screen(&mut self, txn: ServerTxn) -> Result<Message, Refused> {
        let pending = self
            .servers
            .get(txn.0)
            .filter(|server| server.context.is_none());
        let Some(request) = pending.and_then(|server| server.request.clone()) else {
            return Err(Refused { status: 481 });
        };
        let options = &self.config.proxy_options;
        match checks::objection(self.secret, options, &request) {
            Some(objection) => Err(self.object(txn, objection)),
            None => Ok(request),
        }
    }

    /// While a context is held, the caller does not get the best of its responses even when every branch has ended,
    /// or when there never was one: the owner waits for a target. A 2xx goes through all the same, a 6xx and the
    /// caller's CANCEL end the context all the same. Letting go of it brings the final response about, if no branch
    /// is pending: 480 if there never was one (RFC 3261 §16.5).
    ///
    /// A context that is held outlives its end, so that [`Endpoint::fork`] can still show a phone that comes late
    /// that the call is over. Nothing is held longer than timer C after it was opened or last forked.
    pub fn hold(&mut self, now: Instant, context: ContextId, held: bool) {
        let Some(known) = self.contexts.get_mut(context.0) else {
            return;
        };
        known.held = held;
        if !held {
            self.settle(now, context.0);
        }
    }

    /// Sends the request to a target, at any time while the context is open (§16.6). Once it is ending or over, and
    /// held, the target still gets the INVITE and, as soon as it has answered that provisionally, a CANCEL with the
    /// Reason: so a phone that was woken learns that the call is gone. If its user answers before that, it gets ACK and
    /// BYE, and the caller hears nothing of it.
    ///
    /// # Errors
    /// See [`ForkError`]; nothing has been sent then.
    pub fn fork(
        &mut self,
        now: Instant,
        context: ContextId,
        target: &Target,
    ) -> Result<BranchId, ForkError> {
        let ContextId(context_key) = context;
        let limit = self.config.limits.branches;
        let known = self.contexts.get(context_key).ok_or(ForkError::Over)?;
        let ending = known.done.is_some() || known.ending.is_some();
        if ending && !(known.held && known.invite) {
            return Err(ForkError::Over);
        }
        if known.branches.len() >= limit {
            return Err(ForkError::Branches);
        }
        let breadth = share(known)?;
        let key = self.clients.vacant().ok_or(ForkError::Overload)?;
        let loop_mark = known.loop_mark;
        let branch = self.branch(key, loop_mark);
        let via = self.via(target.flow, &branch);
        let request = known.request.as_ref().ok_or(ForkError::Over)?;
        let request = forward::request(request, target, &via, breadth);
        let user = User::Context(context_key);
        let mut client = Client::start(now, &mut self.wire, key, user, target.flow, request);
        if let Some(known) = self.contexts.get_mut(context_key) {
            known.breadth -= breadth;
            known.alive += 1;
            known.branches.push(Branch {
                key,
                breadth,
                state: BranchState::Calling,
                too_late: known.ending.is_some(),
                orphaned: false,
                off_responses: target.off_responses,
                watched: target.watched,
            });
            if let Some(ending) = &known.ending {
                client.cancel(now, &mut self.wire, ending.reason.as_deref());
            }
            self.wire.timers.stop(&mut known.guard);
            known.guard = self
                .wire
                .timers
                .start(now, Span::C, Due::Context(context_key));
        }
        self.add_client(client);
        Ok(BranchId(key))
    }

    /// The request of a context, as every branch starts from it, while there may be further ones.
    pub fn proxied(&self, context: ContextId) -> Option<&Message> {
        self.contexts.get(context.0)?.request.as_ref()
    }

    /// Sends a provisional response of our own, like the `180` that keeps a caller on the line; its To tag is always
    /// [`Endpoint::local_tag`]. Only to an INVITE that waits for its final response, and to none that wants provisional
    /// responses to be reliable (RFC 3262 §3), which ours are not.
    pub fn provisional(&mut self, now: Instant, context: ContextId, status: u16, reason: &str) {
        let open = self
            .contexts
            .get(context.0)
            .filter(|known| known.ending.is_none() && known.done.is_none())
            .filter(|known| {
                let request = known.request.as_ref();
                request.is_some_and(|request| !request.has_token(HeaderName::Require, "100rel"))
            });
        if let Some(known) = open {
            let txn = ServerTxn(known.server);
            self.send_own(now, txn, status.clamp(101, 199), reason);
        }
    }

    /// Ends the context with this status, at once: what is pending is cancelled, with `reason` as the value of the
    /// Reason header field, or the status if there is none. No effect once the caller has a final response.
    pub fn finish(&mut self, now: Instant, context: ContextId, status: u16, reason: Option<&str>) {
        if let Some(response) = self.response_in(context, status, "") {
            self.finish_with(now, context, &response.build(), reason);
        }
    }

    /// The beginning of a response to the request of a context, as [`Endpoint::response_to`] has it.
    pub fn response_in(
        &self,
        context: ContextId,
        status: u16,
        reason: &str,
    ) -> Option<ResponseBuilder> {
        let server = self.contexts.get(context.0)?.server;
        self.response_to(ServerTxn(server), status, reason)
    }

    /// Ends the context with the best response that there was (§16.7), or 480: what is pending is cancelled, with
    /// `reason` as the value of the Reason header field. A branch that has said something provisional is waited for; one
    /// that never said a word is not. Held or not, no effect once the caller has a final response.
    pub fn finish_best(&mut self, now: Instant, context: ContextId, reason: &str) {
        let open = |known: &&mut Context| known.done.is_none();
        let Some(known) = self.contexts.get_mut(context.0).filter(open) else {
            return;
        };
        known.ending.get_or_insert(Ending {
            by_caller: false,
            reason: Some(reason.to_owned()),
        });
        self.cancel_pending(now, context.0, None, Some(reason));
        self.settle(now, context.0);
    }

    /// The same as [`Endpoint::finish`] with a response made by the owner ([`Endpoint::response_to`]): a 302 with its Contact, say.
    pub fn finish_with(
        &mut self,
        now: Instant,
        context: ContextId,
        response: &Message,
        reason: Option<&str>,
    ) {
        let status = response.status().unwrap_or_default();
        let Some(known) = self.contexts.get_mut(context.0) else {
            return;
        };
        if known.done.is_some() || status < 300 {
            return;
        }
        let reason = reason.map_or_else(|| reason_value(status), str::to_owned);
        known.ending.get_or_insert(Ending {
            by_caller: false,
            reason: Some(reason.clone()),
        });
        self.complete(now, context.0, response, status);
        self.cancel_pending(now, context.0, None, Some(&reason));
    }

    /// Sends a branch's request once more now, to a peer that has come back at the address where it did not hear the
    /// first: a repetition, which it cannot take for another request. Nothing happens once it has answered, or over a
    /// reliable flow.
    pub fn repeat_branch(&mut self, now: Instant, branch: BranchId) {
        if let Some(client) = self.clients.get_mut(branch.0) {
            client.send_again(now, &mut self.wire);
        }
    }

    /// Forwards the ACK to a 2xx (§16.11): without state, and the same way whenever it is repeated. An ACK at the end
    /// of its hops is dropped.
    pub fn proxy_ack(&mut self, flow: Flow, ack: &Message) {
        if matches!(ack.max_forwards(), Ok(Some(0))) {
            return;
        }
        let received = ack
            .top_via()
            .ok()
            .and_then(|via| via.branch())
            .unwrap_or_default();
        let call_id = ack.header(HeaderName::CallId).unwrap_or_default();
        let hash = self
            .secret
            .hash("proxied ack", [received.as_bytes(), call_id]);
        let via = self.via(flow, &branch::stateless(self.config.shard, 'p', hash));
        let ack = forward::ack(ack, &via, flow.transport.is_reliable());
        self.wire.send(flow, ack.bytes());
    }

    /// The context was opened or forked into long ago. It is let go of, unless a branch is still pending.
    pub(crate) fn guard_expired(&mut self, now: Instant, key: Key) {
        let Some(known) = self.contexts.get_mut(key) else {
            return;
        };
        known.held = false;
        known.guard = self.wire.timers.start(now, Span::C, Due::Context(key));
        self.settle(now, key);
    }

    fn send_own(&mut self, now: Instant, txn: ServerTxn, status: u16, reason: &str) {
        if let Some(response) = self.response_to(txn, status, reason) {
            self.send_response(now, txn.0, &response.build(), false);
        }
    }

    fn object(&mut self, txn: ServerTxn, objection: Objection) -> Refused {
        match objection {
            Objection::TooManyHops => self.refuse_with(txn, 483, None),
            Objection::Loop => self.refuse_with(txn, 482, None),
            Objection::Unsupported(options) => {
                self.refuse_with(txn, 420, Some((HeaderName::Unsupported, options)))
            }
        }
    }

    /// Nothing is kept of it: who asks may not be known yet.
    fn refuse_with(
        &mut self,
        txn: ServerTxn,
        status: u16,
        header: Option<(HeaderName<'_>, String)>,
    ) -> Refused {
        if let Some(mut response) = self.refusal_to(txn, status, "") {
            if let Some((name, value)) = header {
                response = response.header(name, value);
            }
            self.refuse(txn, [response.build()]);
        }
        Refused { status }
    }
}

/// The Max-Breadth of the next branch: all of it within a dialog, where nothing forks. Else an eighth of what is left,
/// since branches may still come at any time: enough for a proxy further on, and two dozen branches of ours.
fn share(context: &Context) -> Result<u32, ForkError> {
    let request = context.request.as_ref().ok_or(ForkError::Over)?;
    let in_dialog = request.to_tag().is_some();
    match context.breadth {
        0 => Err(ForkError::Breadth),
        left if in_dialog => Ok(left),
        left => Ok((left / 8).max(1)),
    }
}
