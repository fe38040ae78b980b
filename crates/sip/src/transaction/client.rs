//! Client transactions: a request that was sent, and what becomes of it (RFC 3261 §17.1, RFC 6026 §7.2). The CANCEL
//! of an INVITE is part of the INVITE's transaction here: it ends with it, and it waits for the first response.

use std::time::Instant;

use bytes::Bytes;

use super::by_flow::{Links, OnFlow};
use super::wire::ClientTimer;
use super::{Due, Key, Span, TimerId, Wire, derived};
use crate::{Flow, Message, Method, reason_phrase};

/// For whom the request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// For the owner of the endpoint.
    Owner,
    /// As a branch of this response context.
    Context(Key),
    /// What comes of it matters to nobody.
    Nobody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// `Calling` or `Trying`: no answer yet.
    Calling,
    /// A provisional response is there.
    Proceeding,
    /// A final one; for an INVITE not a 2xx.
    Completed,
    /// A 2xx to an INVITE.
    Accepted,
    Over,
}

#[derive(Debug)]
enum Cancel {
    No,
    /// It waits for a provisional response (RFC 3261 §9.1).
    Wanted(Option<String>),
    Sent(Bytes),
}

/// What a response means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A repetition, dealt with; or something that does not belong here.
    Nothing,
    Provisional,
    /// The first final response.
    Final,
    /// A 2xx to an INVITE after the first: repeated, or from another fork.
    AnotherAccepted,
}

/// A request that was sent.
#[derive(Debug)]
pub(crate) struct Client {
    key: Key,
    pub(crate) user: User,
    pub(crate) flow: Flow,
    links: Links,
    /// The flow failed: nothing is sent until there is another one.
    stranded: bool,
    /// The request, until the final response.
    request: Option<Message>,
    invite: bool,
    /// A response from 101 to 199 is there.
    rung: bool,
    state: State,
    doubled: u8,
    repeat: Option<TimerId>,
    end: Option<TimerId>,
    ringing: Option<TimerId>,
    cancel: Cancel,
    cancel_doubled: u8,
    repeat_cancel: Option<TimerId>,
    cancel_end: Option<TimerId>,
    ack: Option<Bytes>,
}

impl Client {
    /// Sends the request. `key` is the one under which the transaction will be found.
    pub(crate) fn start(
        now: Instant,
        wire: &mut Wire,
        key: Key,
        user: User,
        flow: Flow,
        request: Message,
    ) -> Self {
        let invite = request.method() == Some(Method::Invite);
        let mut client = Self {
            key,
            user,
            flow,
            links: Links::default(),
            stranded: false,
            request: Some(request),
            invite,
            rung: false,
            state: State::Calling,
            doubled: 0,
            repeat: None,
            end: None,
            ringing: None,
            cancel: Cancel::No,
            cancel_doubled: 0,
            repeat_cancel: None,
            cancel_end: None,
            ack: None,
        };
        client.send_request(wire);
        if !flow.transport.is_reliable() {
            client.repeat = client.timer(now, wire, Span::Doubled(0), ClientTimer::Repeat);
        }
        client.end = client.timer(now, wire, Span::Patience, ClientTimer::End);
        if invite && matches!(user, User::Context(_)) {
            client.ringing = client.timer(now, wire, Span::C, ClientTimer::Ringing);
        }
        client
    }

    /// Sends the request once more now, if it may have been lost: nobody has answered, and datagrams get lost.
    pub(crate) fn send_again(&mut self, now: Instant, wire: &mut Wire) {
        if self.state == State::Calling && !self.flow.transport.is_reliable() {
            self.send_request(wire);
            self.doubled = 0;
            wire.timers.stop(&mut self.repeat);
            self.repeat = self.timer(now, wire, Span::Doubled(0), ClientTimer::Repeat);
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Is a final response still to come?
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    /// Does a response with this method in its CSeq answer the request itself, and not its CANCEL?
    pub(crate) fn is_for_request(&self, method: Method<'_>) -> bool {
        match &self.request {
            Some(request) => request.method() == Some(method),
            None => self.invite == (method == Method::Invite) && method != Method::Cancel,
        }
    }

    /// A response to the request itself arrived.
    pub(crate) fn response(&mut self, now: Instant, wire: &mut Wire, response: &Message) -> Heard {
        let status = response.status().unwrap_or_default();
        match (self.state, status) {
            (State::Calling | State::Proceeding, 100..=199) => {
                self.provisional(now, wire, status);
                Heard::Provisional
            }
            (State::Calling | State::Proceeding, 200..=299) if self.invite => {
                self.stop_all(wire);
                self.state = State::Accepted;
                self.request = None;
                self.end = self.timer(now, wire, Span::Patience, ClientTimer::End);
                Heard::Final
            }
            (State::Accepted, 200..=299) => Heard::AnotherAccepted,
            (State::Calling | State::Proceeding, 200..=699) => {
                self.complete(now, wire, response);
                Heard::Final
            }
            (State::Completed, 300..=699) => {
                if let Some(ack) = &self.ack {
                    wire.send(self.flow, ack);
                }
                Heard::Nothing
            }
            _ => Heard::Nothing,
        }
    }

    /// A response to our CANCEL arrived. It only stops the repetition: what counts is the INVITE's own answer.
    pub(crate) fn cancel_response(&mut self, wire: &mut Wire, status: u16) {
        if status >= 200 {
            wire.timers.stop(&mut self.repeat_cancel);
        }
    }

    /// Cancels an INVITE: at once if a provisional response has come, else when it comes. No effect once a final
    /// response is there, a CANCEL is under way, or the request is no INVITE. `true` if there is no way to send: then
    /// nobody need wait for an answer, and the CANCEL leaves if there is a way in time.
    pub(crate) fn cancel(&mut self, now: Instant, wire: &mut Wire, reason: Option<&str>) -> bool {
        if !self.invite || !matches!(self.cancel, Cancel::No) {
            return false;
        }
        match self.state {
            State::Proceeding if !self.stranded => self.send_cancel(now, wire, reason),
            State::Calling | State::Proceeding => {
                self.cancel = Cancel::Wanted(reason.map(str::to_owned));
                if self.stranded {
                    self.await_cancelled(now, wire);
                }
            }
            _ => return false,
        }
        self.stranded
    }

    /// The flow failed. `true` if the transaction outlives it: the INVITE of a branch that rings is answered over
    /// whatever flow its peer has next.
    pub(crate) fn strand(&mut self, wire: &mut Wire) -> bool {
        let rings =
            self.invite && self.rung && self.is_pending() && matches!(self.user, User::Context(_));
        self.stranded |= rings;
        if rings {
            wire.timers.stop(&mut self.repeat_cancel);
        }
        rings
    }

    pub(crate) fn is_stranded(&self) -> bool {
        self.stranded
    }

    /// Is it an INVITE that is being cancelled?
    pub(crate) fn is_cancelled(&self) -> bool {
        !matches!(self.cancel, Cancel::No)
    }

    /// Is it an INVITE that has been answered provisionally, and so can change its flow?
    pub(crate) fn is_proceeding(&self) -> bool {
        self.invite && self.state == State::Proceeding
    }

    /// Everything goes over another flow from now on. A CANCEL that the old one may have lost goes again.
    pub(crate) fn move_to(&mut self, now: Instant, wire: &mut Wire, flow: Flow) {
        self.flow = flow;
        self.stranded = false;
        if let Cancel::Wanted(reason) = &mut self.cancel
            && self.state == State::Proceeding
        {
            let reason = reason.take();
            self.send_cancel(now, wire, reason.as_deref());
        } else if let Cancel::Sent(cancel) = &self.cancel
            && self.is_pending()
        {
            wire.send(flow, cancel);
        }
    }

    /// A timer expired. `Some` is the status of a request that nobody answered.
    pub(crate) fn expired(
        &mut self,
        now: Instant,
        wire: &mut Wire,
        timer: ClientTimer,
    ) -> Option<u16> {
        match timer {
            ClientTimer::Repeat => {
                self.repeat = None;
                self.repeat(now, wire);
                None
            }
            ClientTimer::End => {
                self.end = None;
                let unanswered = self.is_pending();
                self.close(wire);
                unanswered.then_some(408)
            }
            ClientTimer::Ringing => {
                self.ringing = None;
                let reason = format!("SIP;cause=408;text=\"{}\"", reason_phrase(408));
                let out_of_reach = self.cancel(now, wire, Some(&reason));
                out_of_reach.then_some(408)
            }
            ClientTimer::RepeatCancel => {
                self.repeat_cancel = None;
                self.repeat_cancel(now, wire);
                None
            }
            ClientTimer::CancelEnd => {
                self.cancel_end = None;
                let unanswered = self.is_pending();
                self.close(wire);
                unanswered.then_some(408)
            }
        }
    }

    /// Ends it whatever its state.
    pub(crate) fn close(&mut self, wire: &mut Wire) {
        self.stop_all(wire);
        self.state = State::Over;
    }

    fn provisional(&mut self, now: Instant, wire: &mut Wire, status: u16) {
        if self.state == State::Calling {
            self.state = State::Proceeding;
            if self.invite {
                wire.timers.stop(&mut self.repeat);
                wire.timers.stop(&mut self.end);
            }
        }
        self.rung |= status > 100;
        if status > 100 && self.ringing.is_some() {
            wire.timers.stop(&mut self.ringing);
            self.ringing = self.timer(now, wire, Span::C, ClientTimer::Ringing);
        }
        if let Cancel::Wanted(reason) = &mut self.cancel {
            let reason = reason.take();
            self.send_cancel(now, wire, reason.as_deref());
        }
    }

    fn complete(&mut self, now: Instant, wire: &mut Wire, response: &Message) {
        self.stop_all(wire);
        self.state = State::Completed;
        if let (true, Some(request)) = (self.invite, self.request.take()) {
            let ack = derived::ack(&request, response).bytes().clone();
            wire.send(self.flow, &ack);
            self.ack = Some(ack);
        }
        if self.flow.transport.is_reliable() {
            self.state = State::Over;
            return;
        }
        let span = if self.invite { Span::D } else { Span::T4 };
        self.end = self.timer(now, wire, span, ClientTimer::End);
    }

    fn send_cancel(&mut self, now: Instant, wire: &mut Wire, reason: Option<&str>) {
        let Some(request) = &self.request else {
            return;
        };
        let cancel = derived::cancel(request, reason).bytes().clone();
        wire.send(self.flow, &cancel);
        self.cancel = Cancel::Sent(cancel);
        if !self.flow.transport.is_reliable() {
            self.repeat_cancel = self.timer(now, wire, Span::Doubled(0), ClientTimer::RepeatCancel);
        }
        self.await_cancelled(now, wire);
    }

    fn send_request(&self, wire: &mut Wire) {
        if let Some(request) = &self.request {
            wire.send(self.flow, request.bytes());
        }
    }

    fn await_cancelled(&mut self, now: Instant, wire: &mut Wire) {
        wire.timers.stop(&mut self.ringing);
        wire.timers.stop(&mut self.cancel_end);
        self.cancel_end = self.timer(now, wire, Span::Patience, ClientTimer::CancelEnd);
    }

    fn repeat(&mut self, now: Instant, wire: &mut Wire) {
        let span = match (self.invite, self.state) {
            // ClientTimer A doubles until B ends it; the one after the last would come too late.
            (true, State::Calling) if self.doubled < Span::LAST_DOUBLING => {
                Some(Span::Doubled(self.doubled + 1))
            }
            (true, State::Calling) => None,
            (false, State::Calling) => Some(wire.timers.capped(self.doubled + 1)),
            (false, State::Proceeding) => Some(Span::T2),
            _ => return,
        };
        self.doubled = (self.doubled + 1).min(Span::LAST_DOUBLING);
        self.send_request(wire);
        self.repeat = span.and_then(|span| self.timer(now, wire, span, ClientTimer::Repeat));
    }

    fn repeat_cancel(&mut self, now: Instant, wire: &mut Wire) {
        let Cancel::Sent(cancel) = &self.cancel else {
            return;
        };
        wire.send(self.flow, cancel);
        self.cancel_doubled = (self.cancel_doubled + 1).min(Span::LAST_DOUBLING);
        let span = wire.timers.capped(self.cancel_doubled);
        self.repeat_cancel = self.timer(now, wire, span, ClientTimer::RepeatCancel);
    }

    fn timer(
        &self,
        now: Instant,
        wire: &mut Wire,
        span: Span,
        timer: ClientTimer,
    ) -> Option<TimerId> {
        wire.timers.start(now, span, Due::Client(self.key, timer))
    }

    fn stop_all(&mut self, wire: &mut Wire) {
        for timer in [
            &mut self.repeat,
            &mut self.end,
            &mut self.ringing,
            &mut self.repeat_cancel,
            &mut self.cancel_end,
        ] {
            wire.timers.stop(timer);
        }
    }
}

impl OnFlow for Client {
    fn flow(&self) -> Flow {
        self.flow
    }

    fn links(&self) -> Links {
        self.links
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}
