//! Calls to and from the phone: ringing, answering, ending.

use sip::endpoint::ServerTxn;
use sip::{HeaderName, Message, Method};

use super::call::{Call, State, caller, record_routes};
use super::pushes::Wish;
use super::requests::{NO_CONNECTION, Outgoing, Purpose};
use super::session::Session;
use super::timers::Timer;
use super::{Phone, PhoneError, PhoneEvent, sdp};
use crate::phone::recent::Recent;

/// Calls at once; a further one is answered 486.
const MOST_CALLS: usize = 16;

/// Calls remembered by their Call-ID, to tell a push that comes late; the oldest is forgotten.
const MOST_KNOWN: usize = 1_000;

/// The calls that there are, and the names of those that there were.
pub(super) struct Calls {
    under_way: Vec<Call>,
    known: Recent<String>,
    /// Those whose end was seen.
    over: Recent<String>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            under_way: Vec::new(),
            known: Recent::new(MOST_KNOWN),
            over: Recent::new(MOST_KNOWN),
        }
    }
}

impl Calls {
    /// Was an INVITE of this call seen?
    pub(super) fn knows(&self, call: &str) -> bool {
        self.known.contains(call)
    }

    /// Was its end seen?
    pub(super) fn is_over(&self, call: &str) -> bool {
        self.over.contains(call)
    }

    /// The names of those that are up.
    pub(super) fn up(&self) -> Vec<String> {
        let up = |call: &&Call| matches!(call.state, State::Up { answered: None });
        let calls = self.under_way.iter().filter(up);
        calls.map(|call| call.id.clone()).collect()
    }

    pub(super) fn get(&mut self, call: &str) -> Option<&mut Call> {
        self.under_way.iter_mut().find(|known| known.id == call)
    }

    pub(super) fn take(&mut self, wanted: impl Fn(&Call) -> bool) -> Option<Call> {
        let place = self.under_way.iter().position(wanted)?;
        Some(self.under_way.swap_remove(place))
    }
}

impl Phone {
    pub(super) fn on_invite(&mut self, txn: ServerTxn, invite: &Message) {
        let id = invite.call_id().unwrap_or_default().to_owned();
        if invite.to().is_ok_and(|to| to.tag().is_some()) {
            return self.on_reinvite(txn, &id, invite);
        }
        self.note(PhoneEvent::InviteReceived {
            call: id.clone(),
            from: caller(invite),
        });
        self.calls.known.insert(id.clone());
        let pushed = self.take_expected(&id);
        if pushed.as_ref().is_some_and(|pushed| pushed.live) {
            self.note(PhoneEvent::DuplicatePushDropped { call: id.clone() });
        }
        let Some(session) = &mut self.session else {
            return;
        };
        let tag = session.endpoint().local_tag(txn);
        let mut call = Call::incoming(&id, txn, invite, &tag);
        call.callkit = pushed.as_ref().is_some_and(|pushed| pushed.callkit);
        let before = self.calls.take(|known| known.id == id);
        if let Some(before) = before {
            return self.on_invite_again(before, call, txn, invite);
        }
        if self.calls.under_way.len() >= MOST_CALLS {
            return self.respond(txn, 486);
        }
        self.calls.under_way.push(call);
        self.respond_in_dialog(txn, invite, 180, None);
        self.note(PhoneEvent::Ringing { call: id.clone() });
        let _ = match (
            pushed.and_then(|pushed| pushed.wish),
            self.config.auto_answer,
        ) {
            (Some(Wish::Answer), _) => self.answer(&id),
            (Some(Wish::Decline), _) => self.decline(&id),
            (None, None) => Ok(()),
            (None, Some(after)) => {
                self.timers.replace(Timer::Answer(id), self.now + after);
                Ok(())
            }
        };
    }

    /// The same call once more, because the server took us for freshly registered: it goes on in the new transaction,
    /// ringing or with an answer that nobody has acknowledged. A call that is up is not begun anew (RFC 3261 §8.2.2.2).
    fn on_invite_again(&mut self, before: Call, mut call: Call, txn: ServerTxn, invite: &Message) {
        call.callkit |= before.callkit;
        match before.state {
            State::Ringing { txn: old, .. } => {
                self.respond(old, 482);
                self.calls.under_way.push(call);
                self.respond_in_dialog(txn, invite, 180, None);
            }
            State::Up { answered: Some(_) } => {
                call.state = State::Up {
                    answered: Some(txn),
                };
                self.calls.under_way.push(call);
                self.answer_with_sdp(txn, invite);
            }
            State::Up { answered: None } | State::Calling { .. } => {
                self.calls.under_way.push(before);
                self.respond(txn, 482);
            }
        }
    }

    pub(super) fn on_cancelled(&mut self, txn: ServerTxn, reason: Option<&str>) {
        self.respond(txn, 487);
        if let Some(call) = self.calls.take(|call| call.rings_in(txn)) {
            let reason = reason.map(|reason| reason_text(reason).unwrap_or(reason).to_owned());
            self.timers.cancel(&Timer::Answer(call.id.clone()));
            self.calls.over.insert(call.id.clone());
            self.note(PhoneEvent::Cancelled {
                call: call.id.clone(),
                reason,
            });
            self.close_screen(&call);
        }
    }

    /// A call that rings is over, says whoever knows; `false` if it does not ring.
    pub(super) fn stop_ringing(&mut self, id: &str) -> bool {
        let rings = |call: &Call| call.id == id && matches!(call.state, State::Ringing { .. });
        let Some(call) = self.calls.take(rings) else {
            return false;
        };
        if let State::Ringing { txn, .. } = call.state {
            self.respond(txn, 487);
        }
        self.timers.cancel(&Timer::Answer(call.id.clone()));
        self.calls.over.insert(call.id);
        true
    }

    pub(super) fn on_ack(&mut self, txn: ServerTxn) {
        let answered_in = |call: &&mut Call| matches!(call.state, State::Up { answered: Some(own) } if own == txn);
        if let Some(call) = self.calls.under_way.iter_mut().find(answered_in) {
            call.state = State::Up { answered: None };
            let call = call.id.clone();
            self.note(PhoneEvent::Connected { call });
        }
    }

    /// RFC 3261 §13.3.1.4: a call whose ACK never came is ended.
    pub(super) fn on_ack_missing(&mut self, txn: ServerTxn) {
        let waits =
            |call: &Call| matches!(call.state, State::Up { answered: Some(own) } if own == txn);
        if let Some(call) = self.calls.take(waits) {
            self.bye(call);
        }
    }

    pub(super) fn on_bye(&mut self, txn: ServerTxn, bye: &Message) {
        let id = bye.call_id().unwrap_or_default();
        match self.calls.take(|call| call.id == id) {
            Some(call) => {
                self.respond(txn, 200);
                if let State::Ringing { txn, .. } = call.state {
                    self.respond(txn, 487);
                }
                self.ended(&call, false);
            }
            None => self.respond(txn, 481),
        }
    }

    pub(super) fn answer(&mut self, id: &str) -> Result<(), PhoneError> {
        if self.wish(id, Wish::Answer) {
            return Ok(());
        }
        if self.answer_offer(id).is_some() {
            return Ok(());
        }
        let no_such_call = || PhoneError::NoSuchCall(id.to_owned());
        let call = self.calls.get(id).ok_or_else(no_such_call)?;
        let State::Ringing { txn, invite } = &call.state else {
            return Err(no_such_call());
        };
        let (txn, invite) = (*txn, invite.clone());
        call.state = State::Up {
            answered: Some(txn),
        };
        self.timers.cancel(&Timer::Answer(id.to_owned()));
        self.answer_with_sdp(txn, &invite);
        self.note(PhoneEvent::Answered {
            call: id.to_owned(),
        });
        Ok(())
    }

    pub(super) fn decline(&mut self, id: &str) -> Result<(), PhoneError> {
        if self.wish(id, Wish::Decline) {
            return Ok(());
        }
        if self.decline_offer(id).is_some() {
            return Ok(());
        }
        let ringing = self
            .calls
            .take(|call| call.id == id && matches!(call.state, State::Ringing { .. }));
        let Some(call) = ringing else {
            return Err(PhoneError::NoSuchCall(id.to_owned()));
        };
        if let State::Ringing { txn, .. } = call.state {
            self.respond(txn, 603);
        }
        self.ended(&call, true);
        Ok(())
    }

    pub(super) fn hangup(&mut self, id: &str) -> Result<(), PhoneError> {
        if self.hang_up_offer(id).is_some() {
            return Ok(());
        }
        match self.calls.get(id).map(|call| &call.state) {
            None | Some(State::Ringing { .. }) => self.decline(id),
            Some(State::Calling { txn }) => {
                let txn = *txn;
                if let Some(session) = &mut self.session {
                    session.cancel(self.now, txn);
                }
                Ok(())
            }
            Some(State::Up { .. }) => {
                if let Some(call) = self.calls.take(|call| call.id == id) {
                    self.bye(call);
                }
                Ok(())
            }
        }
    }

    fn bye(&mut self, mut call: Call) {
        let request = call.request(Method::Bye).build();
        self.send(Outgoing::first(request, Purpose::Bye));
        self.ended(&call, true);
    }

    pub(super) fn ended(&mut self, call: &Call, by_us: bool) {
        self.calls.over.insert(call.id.clone());
        self.gone(call, by_us);
    }

    fn gone(&mut self, call: &Call, by_us: bool) {
        self.timers.cancel(&Timer::Answer(call.id.clone()));
        self.forget_invite(&call.id);
        self.note(PhoneEvent::Ended {
            call: call.id.clone(),
            by_us,
        });
        self.close_screen(call);
    }

    fn close_screen(&mut self, call: &Call) {
        if call.callkit {
            self.note(PhoneEvent::CallKitClosed {
                call: call.id.clone(),
            });
        }
    }

    /// The app sleeps or dies, and its calls with it: how those end that only ring it will not see.
    pub(super) fn drop_calls(&mut self) {
        for call in std::mem::take(&mut self.calls.under_way) {
            if matches!(call.state, State::Ringing { .. }) {
                self.gone(&call, true);
            } else {
                self.ended(&call, true);
            }
        }
    }

    pub(super) fn call(&mut self, uri: &str) -> Result<String, PhoneError> {
        let session = self.session.as_ref().ok_or(PhoneError::NotRunning)?;
        let here = session.flow().and(session.address());
        let contact = session.contact(&self.config.user);
        if self.calls.under_way.len() >= MOST_CALLS {
            return Err(PhoneError::Busy(format!(
                "there are {MOST_CALLS} calls already"
            )));
        }
        let (Some(contact), Some(address)) = (contact, here) else {
            return Err(PhoneError::Refused {
                status: 503,
                reason: NO_CONNECTION.to_owned(),
            });
        };
        let id = self.rng.hex(12);
        let invite = self
            .begin_request(Method::Invite, uri, &id)
            .header(HeaderName::Contact, format!("<{contact}>"))
            .body("application/sdp", sdp::offer(address).as_bytes())
            .build();
        let outgoing = Outgoing::first(invite.clone(), Purpose::Invite(id.clone()));
        self.note(PhoneEvent::Calling {
            call: id.clone(),
            to: uri.to_owned(),
        });
        if let Some(txn) = self.send(outgoing) {
            self.calls.known.insert(id.clone());
            self.calls.under_way.push(Call::outgoing(&id, txn, &invite));
        }
        Ok(id)
    }

    pub(super) fn on_progress(&mut self, call: &str, status: u16) {
        self.note(PhoneEvent::Progress {
            call: call.to_owned(),
            status,
        });
    }

    /// A 2xx to our INVITE, the first or a repeated one: each wants its ACK.
    pub(super) fn on_answered(&mut self, id: &str, response: &Message) {
        let (Some(call), Some(session)) = (self.calls.get(id), self.session.as_mut()) else {
            return;
        };
        let first = matches!(call.state, State::Calling { .. });
        if first {
            call.established(response);
        }
        if let Ok(cseq) = response.cseq() {
            session.ack(call.ack(cseq.number));
        }
        if first {
            self.note(PhoneEvent::Answered {
                call: id.to_owned(),
            });
        }
    }

    pub(super) fn on_call_failed(&mut self, id: &str, status: u16, reason: String) {
        self.calls.take(|call| call.id == id);
        self.calls.over.insert(id.to_owned());
        self.note(PhoneEvent::CallFailed {
            call: id.to_owned(),
            status,
            reason,
        });
    }

    pub(super) fn answer_with_sdp(&mut self, txn: ServerTxn, invite: &Message) {
        let Some(address) = self.session.as_ref().and_then(Session::address) else {
            return;
        };
        let answer = sdp::answer(invite.body(), address);
        self.respond_in_dialog(txn, invite, 200, Some(&answer));
    }

    /// A response that makes or keeps a dialog (RFC 3261 §12.1.1): Record-Route copied, with a Contact.
    fn respond_in_dialog(
        &mut self,
        txn: ServerTxn,
        invite: &Message,
        status: u16,
        sdp: Option<&str>,
    ) {
        let Some(session) = &mut self.session else {
            return;
        };
        let (Some(contact), Some(response)) = (
            session.contact(&self.config.user),
            session.endpoint().response_to(txn, status, ""),
        ) else {
            return;
        };
        let response = record_routes(invite)
            .iter()
            .fold(response, |response, route| {
                response.header(HeaderName::RecordRoute, route)
            })
            .header(HeaderName::Contact, format!("<{contact}>"));
        let response = match sdp {
            Some(sdp) => response.body("application/sdp", sdp.as_bytes()),
            None => response,
        };
        session.endpoint().respond(self.now, txn, &response.build());
    }
}

/// The text of a Reason header: `SIP;cause=200;text="Call completed elsewhere"` (RFC 3326).
fn reason_text(reason: &str) -> Option<&str> {
    let (_, text) = reason.split_once("text=")?;
    match text.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => text.split(';').next(),
    }
}
