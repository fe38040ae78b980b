//! INVITE within a call (RFC 3261 §14): it says anew where its sender is. Nothing else changes, for nobody has media here.

use sip::endpoint::ServerTxn;
use sip::{HeaderName, Message, Method};

use super::call::State;
use super::requests::{Outgoing, Purpose};
use super::session::Session;
use super::{Phone, PhoneEvent, sdp};

impl Phone {
    /// Says in every call that is up where we are now.
    pub(super) fn renew_calls(&mut self) {
        for call in self.calls.up() {
            self.renew(&call);
        }
    }

    fn renew(&mut self, id: &str) {
        let Some(session) = self.session.as_ref().filter(|it| it.flow().is_some()) else {
            return;
        };
        let contact = session.contact(&self.config.user);
        let address = Session::address(session);
        let (Some(call), Some(contact), Some(address)) = (self.calls.get(id), contact, address)
        else {
            return;
        };
        if std::mem::replace(&mut call.renewing, true) {
            return;
        }
        let request = call
            .request(Method::Invite)
            .header(HeaderName::Contact, format!("<{contact}>"))
            .body("application/sdp", sdp::offer(address).as_bytes())
            .build();
        self.outgoing
            .retain(|_, sent| !matches!(&sent.purpose, Purpose::Renew(of) if of == id));
        self.send(Outgoing::first(request, Purpose::Renew(id.to_owned())));
    }

    /// Two that cross are both refused (RFC 3261 §14.2).
    pub(super) fn on_reinvite(&mut self, txn: ServerTxn, id: &str, invite: &Message) {
        let up = |state: &State| matches!(state, State::Up { .. });
        match self.calls.get(id).filter(|call| up(&call.state)) {
            None => self.respond(txn, 481),
            Some(call) if call.renewing => self.respond(txn, 491),
            Some(call) => {
                call.refresh_target(invite);
                self.answer_with_sdp(txn, invite);
                self.note(PhoneEvent::Renewed {
                    call: id.to_owned(),
                });
            }
        }
    }

    pub(super) fn on_renewed(&mut self, id: &str, response: &Message) {
        let (Some(call), Some(session)) = (self.calls.get(id), self.session.as_mut()) else {
            return;
        };
        call.renewing = false;
        call.refresh_target(response);
        if let Ok(cseq) = response.cseq() {
            session.ack(call.ack(cseq.number));
        }
        self.note(PhoneEvent::RenewalTaken {
            call: id.to_owned(),
        });
    }

    /// Who does not know the call, or does not answer, is not in it any more (RFC 3261 §12.2.1.2).
    pub(super) fn on_not_renewed(&mut self, id: &str, status: u16) {
        if let Some(call) = self.calls.get(id) {
            call.renewing = false;
        }
        if matches!(status, 408 | 481)
            && let Some(call) = self.calls.take(|call| call.id == id)
        {
            self.ended(&call, true);
        }
    }
}
