//! Server transactions: a request that arrived, and the responses to it (RFC 3261 §17.2, RFC 6026 §7.1, RFC 4320).

use std::time::Instant;

use bytes::Bytes;

use super::by_flow::{Links, OnFlow};
use super::holders::Place;
use super::wire::ServerTimer;
use super::{Due, Key, Span, TimerId, Wire};
use crate::{Flow, Message, ResponseBuilder, reason_phrase};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// `Trying` or `Proceeding`: no final response yet.
    Proceeding,
    /// A final one was sent; for an INVITE not a 2xx.
    Completed,
    /// The ACK for it came.
    Confirmed,
    /// A 2xx to an INVITE was sent.
    Accepted,
    Over,
}

/// What an ACK means for the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acked {
    /// It belongs to a non-2xx: it stays here.
    Absorbed,
    /// It belongs to a 2xx (RFC 6026 §7.1): the owner gets it.
    Accepted,
}

/// What a CANCEL said.
#[derive(Debug, Clone)]
pub(crate) struct Cancelled {
    /// Its Reason (RFC 3326).
    pub(crate) reason: Option<String>,
}

/// Connections that are asked for to get one response to its peer.
const CONNECTIONS: u8 = 4;

/// How responses go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// The connection is gone, and nothing is to be sent so far.
    Gone,
    /// The connection is gone, and a response waits for another one.
    Missed,
    /// The owner has been told so.
    Asked,
}

/// A request that arrived.
#[derive(Debug)]
pub(crate) struct Server {
    key: Key,
    /// Where responses go: the flow it came over, for UDP by RFC 3581 and RFC 3261 §18.2.2.
    pub(crate) flow: Flow,
    links: Links,
    way: Way,
    /// How often the owner was asked for a connection.
    asked: u8,
    /// The request, until the final response.
    pub(crate) request: Option<Message>,
    /// Under which it is matched.
    pub(crate) index: u64,
    /// Under which the ACK to our own 2xx is matched, while it is awaited.
    pub(crate) accepted_index: Option<u64>,
    /// The place that it takes of whose it is, if anybody was named.
    pub(crate) place: Option<Place>,
    /// The response context, if it is proxied.
    pub(crate) context: Option<Key>,
    /// The CANCEL that came.
    pub(crate) cancelled: Option<Cancelled>,
    invite: bool,
    state: State,
    last: Option<Bytes>,
    doubled: u8,
    asked_octets: u32,
    repeat: Option<TimerId>,
    end: Option<TimerId>,
    trying: Option<TimerId>,
}

impl Server {
    /// Takes a new request up, that had so many octets. `key` is the one under which the transaction will be found.
    pub(crate) fn start(
        now: Instant,
        wire: &mut Wire,
        key: Key,
        flow: Flow,
        (request, asked_octets): (Message, usize),
        index: u64,
    ) -> Self {
        let invite = request.method() == Some(crate::Method::Invite);
        let mut server = Self {
            key,
            flow,
            links: Links::default(),
            way: Way::Open,
            asked: 0,
            request: Some(request),
            index,
            accepted_index: None,
            place: None,
            context: None,
            cancelled: None,
            invite,
            state: State::Proceeding,
            last: None,
            doubled: 0,
            asked_octets: u32::try_from(asked_octets).unwrap_or(u32::MAX),
            repeat: None,
            end: None,
            trying: None,
        };
        if !invite {
            server.trying = server.timer(now, wire, Span::Trying, ServerTimer::Trying);
            server.end = server.timer(now, wire, Span::Patience, ServerTimer::End);
        }
        server
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub(crate) fn is_invite(&self) -> bool {
        self.invite
    }

    /// Is the final response still to be sent?
    pub(crate) fn is_pending(&self) -> bool {
        self.state == State::Proceeding
    }

    /// How large the request was when it came in.
    pub(crate) fn asked_octets(&self) -> usize {
        self.asked_octets as usize
    }

    /// The request came again.
    pub(crate) fn repeated(&mut self, wire: &mut Wire) {
        // An accepted INVITE is absorbed: whoever sent the 2xx repeats it (RFC 6026 §7.1).
        if matches!(self.state, State::Proceeding | State::Completed) {
            self.send_last(wire);
        }
    }

    /// Sends a response, and is over.
    pub(crate) fn refuse(&mut self, wire: &mut Wire, response: &Message) {
        self.keep(wire, response);
        self.close(wire);
    }

    /// The connection that the request came over is gone.
    pub(crate) fn strand(&mut self) {
        // The final response may have been lost with it, as no ACK has come.
        let unheard = self.state == State::Completed && self.last.is_some();
        self.way = if unheard { Way::Missed } else { Way::Gone };
    }

    pub(crate) fn is_stranded(&self) -> bool {
        self.way != Way::Open
    }

    /// Does it stand in the chain of its flow?
    pub(crate) fn is_linked(&self) -> bool {
        self.flow.transport.is_reliable() && !self.is_stranded()
    }

    /// The response that waits for a connection, told once for each that broke, and a few times only: where nobody
    /// listens, a new one breaks at once. The peer may still come back by itself.
    pub(crate) fn missed(&mut self) -> Option<&Bytes> {
        let asks = self.way == Way::Missed && self.asked < CONNECTIONS;
        let last = self.last.as_ref().filter(|_| asks)?;
        self.way = Way::Asked;
        self.asked += 1;
        Some(last)
    }

    /// Responses go over another flow from now on; what waits leaves.
    pub(crate) fn move_to(&mut self, wire: &mut Wire, flow: Flow) {
        let waits = matches!(self.way, Way::Missed | Way::Asked);
        self.flow = flow;
        self.way = Way::Open;
        if waits {
            self.send_last(wire);
        }
        if !self.invite && self.state == State::Completed && flow.transport.is_reliable() {
            self.close(wire);
        }
    }

    /// Sends a response. Not sent: what comes after the final response (but a 2xx after a 2xx), and to a non-INVITE
    /// any provisional one and 408 (RFC 4320 §4). `repeat_accepted`: this is the user agent that accepts an INVITE,
    /// so its 2xx is repeated until the ACK.
    pub(crate) fn respond(
        &mut self,
        now: Instant,
        wire: &mut Wire,
        response: &Message,
        repeat_accepted: bool,
    ) -> bool {
        let status = response.status().unwrap_or_default();
        match (self.state, status) {
            (State::Proceeding, 100..=199) if self.invite => self.keep(wire, response),
            (State::Proceeding, 200..=299) if self.invite => {
                self.finish(State::Accepted, wire, response);
                self.end = self.timer(now, wire, Span::Patience, ServerTimer::End);
                if !repeat_accepted && !self.is_stranded() {
                    // Whoever sent it repeats it.
                    self.last = None;
                }
                if repeat_accepted {
                    let span = wire.timers.capped(0);
                    self.repeat = self.timer(now, wire, span, ServerTimer::Repeat);
                }
            }
            (State::Accepted, 200..=299) => self.keep(wire, response),
            (State::Proceeding, 300..=699) if self.invite => {
                self.finish(State::Completed, wire, response);
                self.end = self.timer(now, wire, Span::Patience, ServerTimer::End);
                if !self.flow.transport.is_reliable() {
                    let span = wire.timers.capped(0);
                    self.repeat = self.timer(now, wire, span, ServerTimer::Repeat);
                }
            }
            (State::Proceeding, 200..=699) if !self.invite && status != 408 => {
                self.finish(State::Completed, wire, response);
                if self.is_stranded() {
                    self.end = self.timer(now, wire, Span::Patience, ServerTimer::End);
                } else {
                    // What a repetition over datagrams gets is kept elsewhere.
                    self.state = State::Over;
                }
            }
            _ => return false,
        }
        true
    }

    /// An ACK came that belongs to this INVITE.
    pub(crate) fn ack(&mut self, now: Instant, wire: &mut Wire) -> Acked {
        match self.state {
            State::Completed => {
                self.stop_all(wire);
                if self.flow.transport.is_reliable() {
                    self.state = State::Over;
                } else {
                    self.state = State::Confirmed;
                    self.end = self.timer(now, wire, Span::T4, ServerTimer::End);
                }
                Acked::Absorbed
            }
            State::Accepted => {
                wire.timers.stop(&mut self.repeat);
                Acked::Accepted
            }
            _ => Acked::Absorbed,
        }
    }

    /// A timer expired. `true` if our own 2xx got no ACK.
    pub(crate) fn expired(&mut self, now: Instant, wire: &mut Wire, timer: ServerTimer) -> bool {
        match timer {
            ServerTimer::Repeat => {
                self.doubled = (self.doubled + 1).min(Span::LAST_DOUBLING);
                self.send_last(wire);
                let span = wire.timers.capped(self.doubled);
                self.repeat = self.timer(now, wire, span, ServerTimer::Repeat);
                false
            }
            ServerTimer::End => {
                self.end = None;
                // Our own 2xx is still being repeated.
                let unheard = self.state == State::Accepted && self.repeat.is_some();
                self.close(wire);
                unheard
            }
            ServerTimer::Trying => {
                self.trying = None;
                if let (State::Proceeding, Some(request)) = (self.state, &self.request) {
                    let trying = ResponseBuilder::to(request, 100, reason_phrase(100)).build();
                    self.keep(wire, &trying);
                }
                false
            }
        }
    }

    /// Ends it whatever its state.
    pub(crate) fn close(&mut self, wire: &mut Wire) {
        self.stop_all(wire);
        self.state = State::Over;
    }

    fn keep(&mut self, wire: &mut Wire, response: &Message) {
        self.last = Some(response.bytes().clone());
        self.send_last(wire);
    }

    fn send_last(&mut self, wire: &mut Wire) {
        match (&self.last, self.way) {
            (Some(last), Way::Open) => wire.send(self.flow, last),
            (Some(_), Way::Gone) => self.way = Way::Missed,
            _ => {}
        }
    }

    fn finish(&mut self, state: State, wire: &mut Wire, response: &Message) {
        self.stop_all(wire);
        self.state = state;
        self.request = None;
        self.keep(wire, response);
    }

    /// Must the answer be kept for a repetition of the request, though the transaction is over?
    pub(crate) fn may_come_again(&self) -> bool {
        !self.invite && self.state == State::Over && !self.flow.transport.is_reliable()
    }

    fn timer(
        &self,
        now: Instant,
        wire: &mut Wire,
        span: Span,
        timer: ServerTimer,
    ) -> Option<TimerId> {
        wire.timers.start(now, span, Due::Server(self.key, timer))
    }

    fn stop_all(&mut self, wire: &mut Wire) {
        for timer in [&mut self.repeat, &mut self.end, &mut self.trying] {
            wire.timers.stop(timer);
        }
    }
}

impl OnFlow for Server {
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
