//! Text messages over SIP MESSAGE (RFC 3428): each is taken and shown once, however often it comes.

use std::collections::VecDeque;

use sip::endpoint::ServerTxn;
use sip::{Message, Method};
use tokio::sync::oneshot;

use super::actor::Actor;
use super::call::address;
use super::requests::{Outgoing, Purpose};
use super::{PhoneError, PhoneEvent, entropy};

/// Messages remembered to tell repeated ones; the oldest is forgotten.
const MOST_SEEN: usize = 10_000;

/// The names of the messages that were delivered. On disk in a real phone: it outlives the app.
#[derive(Default)]
pub(super) struct Seen(VecDeque<(String, u32)>);

impl Seen {
    /// Notes a message; false if it was noted before.
    fn insert(&mut self, call_id: &str, cseq: u32) -> bool {
        if self
            .0
            .iter()
            .any(|(id, number)| id == call_id && *number == cseq)
        {
            return false;
        }
        if self.0.len() == MOST_SEEN {
            self.0.pop_front();
        }
        self.0.push_back((call_id.to_owned(), cseq));
        true
    }
}

impl Actor {
    pub(super) fn on_message(&mut self, txn: ServerTxn, message: &Message) {
        let (Ok(id), Ok(cseq)) = (message.call_id(), message.cseq()) else {
            return self.respond(txn, 400, "");
        };
        let id = id.to_owned();
        self.log.write(if self.seen.insert(&id, cseq.number) {
            let text = String::from_utf8_lossy(message.body()).into_owned();
            PhoneEvent::MessageReceived {
                from: address(message),
                text,
                id,
            }
        } else {
            PhoneEvent::DuplicateMessageDropped { id }
        });
        self.respond(txn, 200, "");
    }

    pub(super) fn send_message(
        &mut self,
        uri: &str,
        text: &str,
        reply: oneshot::Sender<Result<u16, PhoneError>>,
    ) {
        if self.session.is_none() {
            let _ = reply.send(Err(PhoneError::NotRunning));
            return;
        }
        let request = self
            .begin_request(Method::Message, uri, &entropy::hex(12))
            .body("text/plain;charset=UTF-8", text.as_bytes())
            .build();
        self.send(Outgoing::first(request, Purpose::Message { reply }));
    }

    pub(super) fn on_message_sent(
        &mut self,
        message: &Message,
        status: u16,
        reply: oneshot::Sender<Result<u16, PhoneError>>,
    ) {
        let id = message.call_id().unwrap_or_default().to_owned();
        self.log.write(PhoneEvent::MessageSent { id, status });
        let _ = reply.send(Ok(status));
    }
}
