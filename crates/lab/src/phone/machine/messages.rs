//! Text messages over SIP MESSAGE (RFC 3428): each is taken and shown once, however often it comes.

use sip::endpoint::ServerTxn;
use sip::{Message, Method};

use super::call::address;
use super::recent::Recent;
use super::requests::{Outgoing, Purpose};
use super::{Done, OrderId, Phone, PhoneError, PhoneEvent};

/// Messages remembered to tell repeated ones; the oldest is forgotten.
const MOST_SEEN: usize = 10_000;

/// The messages that were delivered, by Call-ID and `CSeq`. On disk in a real phone: it outlives the app.
pub(super) struct Seen(Recent<(String, u32)>);

impl Default for Seen {
    fn default() -> Self {
        Self(Recent::new(MOST_SEEN))
    }
}

impl Phone {
    pub(super) fn on_message(&mut self, txn: ServerTxn, message: &Message) {
        let (Ok(id), Ok(cseq)) = (message.call_id(), message.cseq()) else {
            return self.respond(txn, 400);
        };
        let id = id.to_owned();
        let is_new = self.seen.0.insert((id.clone(), cseq.number));
        self.note(if is_new {
            let text = String::from_utf8_lossy(message.body()).into_owned();
            PhoneEvent::MessageReceived {
                from: address(message),
                text,
                id,
            }
        } else {
            PhoneEvent::DuplicateMessageDropped { id }
        });
        self.respond(txn, 200);
    }

    pub(super) fn send_message(&mut self, uri: &str, text: &str, order: OrderId) {
        if self.session.is_none() {
            return self.done(order, Err(PhoneError::NotRunning));
        }
        let id = self.rng.hex(12);
        let request = self
            .begin_request(Method::Message, uri, &id)
            .body("text/plain;charset=UTF-8", text.as_bytes())
            .build();
        self.send(Outgoing::first(request, Purpose::Message(order)));
    }

    pub(super) fn on_message_sent(&mut self, message: &Message, status: u16, order: OrderId) {
        let id = message.call_id().unwrap_or_default().to_owned();
        self.note(PhoneEvent::MessageSent { id, status });
        self.done(order, Ok(Done::Sent(status)));
    }
}
