//! Text messages over SIP MESSAGE (RFC 3428): each is taken and shown once, however often it comes.

use sip::endpoint::ServerTxn;
use sip::{HeaderName, Message, Method};

use super::call::address;
use super::requests::{Outgoing, Purpose};
use super::{Done, OrderId, Phone, PhoneError, PhoneEvent};
use crate::phone::recent::Recent;

/// Messages remembered to tell repeated ones; the oldest is forgotten.
const MOST_SEEN: usize = 10_000;

/// The messages that were delivered, by Call-ID and `CSeq`. On disk in a real phone: it outlives the app.
pub(super) struct Seen {
    requests: Recent<(String, u32)>,
    /// By their ids in the archive, which a phone with two doors needs to know: of it the Call-ID is made.
    ids: Recent<String>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            requests: Recent::new(MOST_SEEN),
            ids: Recent::new(MOST_SEEN),
        }
    }
}

impl Seen {
    /// Whether a message comes the first time that came by the XMPP door, which lets none pass twice itself.
    pub(super) fn is_new_by_chat(&mut self, id: &str) -> bool {
        id.is_empty() || self.ids.insert(id.to_owned())
    }

    /// The same of a request. `two`: it may have come by another door.
    fn is_new(&mut self, call: &str, cseq: u32, two: bool) -> bool {
        let id = call.split('@').next().unwrap_or_default();
        let is_new = self.requests.insert((call.to_owned(), cseq));
        is_new && (!two || self.ids.insert(id.to_owned()))
    }
}

/// The message that a notification is about (IMDN, RFC 5438): nothing to be shown.
fn notified(message: &Message) -> Option<String> {
    let kind = message.header_text(HeaderName::ContentType)?;
    let body = String::from_utf8_lossy(message.body());
    let is_it = kind.starts_with("message/cpim") && body.contains("message/imdn+xml");
    let (_, rest) = body.split_once("<message-id>").filter(|_| is_it)?;
    Some(rest.split('<').next()?.trim().to_owned())
}

impl Phone {
    pub(super) fn on_message(&mut self, txn: ServerTxn, message: &Message) {
        let (Ok(id), Ok(cseq)) = (message.call_id(), message.cseq()) else {
            return self.respond(txn, 400);
        };
        if let Some(about) = notified(message) {
            let by = address(message);
            self.note(PhoneEvent::MessageDelivered { id: about, by });
            return self.respond(txn, 200);
        }
        let id = id.to_owned();
        let is_new = self.seen.is_new(&id, cseq.number, self.chat.is_some());
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
        if let Some(to) = self.by_chat(uri) {
            return self.write(&to, text, order);
        }
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

    /// Who is meant, if it is to go over XMPP.
    pub(super) fn by_chat(&self, uri: &str) -> Option<String> {
        self.chat.as_ref()?;
        let (scheme, address) = uri.split_once(':').unwrap_or(("", uri));
        (scheme == "xmpp" || !self.config.sip).then(|| address.to_owned())
    }

    pub(super) fn on_message_sent(&mut self, message: &Message, status: u16, order: OrderId) {
        let id = message.call_id().unwrap_or_default().to_owned();
        self.note(PhoneEvent::MessageSent { id, status });
        self.done(order, Ok(Done::Sent(status)));
    }
}
