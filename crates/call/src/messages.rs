//! MESSAGE (RFC 3428): taken in for the hub, and sent through doors for it.

use crate::{
    bindings::{Bindings, Bound},
    requests::{TEXT, class},
    settings::Settings,
};
use domain::{
    About, DoorId, IdMap, Message as Chat, MessageId, Now, TrackingId, date, user::in_uri,
};
use hub::Ticket;
use sip::{
    Flow, HeaderName, Message, Method, RequestBuilder, Transport,
    endpoint::{ClientTxn, Endpoint, ServerTxn},
};
use std::sync::Arc;

/// Answers by which a device refuses a message itself, whatever connection it comes over: trying again is no use.
const REFUSED_FOR_GOOD: [u16; 11] = [400, 405, 413, 415, 420, 488, 493, 501, 513, 603, 606];
/// The device has met this very message in another transaction (RFC 3261 §8.2.2.2): it has it.
const MET_ALREADY: u16 = 482;
/// Longest request that fits a datagram: what is longer never reaches a device over UDP.
const DATAGRAM: usize = 65_507;

/// A message on its way to a door.
#[derive(Debug)]
struct Sent {
    txn: ClientTxn,
    message: MessageId,
    flow: Flow,
}

/// A message that waits for the hub.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) txn: ServerTxn,
    /// What its writer hears once it is kept.
    pub(crate) answer: Message,
    pub(crate) tracking: TrackingId,
}

/// The messages that are being taken in, and those on their way to doors: one a door.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    incoming: IdMap<Ticket, Taken>,
    by_door: IdMap<DoorId, Sent>,
    by_txn: IdMap<ClientTxn, DoorId>,
}

impl Messages {
    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.incoming.len() + self.by_door.len()
    }

    /// A message waits for the hub.
    pub(crate) fn taken(&mut self, ticket: Ticket, taken: Taken) {
        self.incoming.insert(ticket, taken);
    }

    /// The hub has spoken of a message.
    pub(crate) fn done(&mut self, ticket: Ticket) -> Option<Taken> {
        self.incoming.remove(&ticket)
    }

    /// Sends a message through a door, to what is behind it, over this flow, which is given back; `Err` says why it cannot
    /// be, and whether that is for good.
    pub(crate) fn send(
        &mut self,
        now: Now,
        door: &DoorId,
        message: &Chat,
        (bound, flow): (&Bound, Flow),
        settings: &Settings,
        endpoint: &mut Endpoint,
    ) -> Result<Flow, (String, bool)> {
        let request = request(message, bound, settings);
        if flow.transport == Transport::Udp && request.bytes().len() > DATAGRAM {
            return Err(("too long for a datagram".to_owned(), true));
        }
        let txn = endpoint
            .request(now.instant, flow, &request)
            .map_err(|error| (error.to_string(), false))?;
        self.give_up(door);
        self.by_txn.insert(txn, door.clone());
        let message = message.id.clone();
        self.by_door
            .insert(door.clone(), Sent { txn, message, flow });
        Ok(flow)
    }

    /// Sends a message through a door and forgets it. A typing notice that is lost is no loss.
    pub(crate) fn relay(
        now: Now,
        door: &DoorId,
        message: &Chat,
        bindings: &Bindings,
        settings: &Settings,
        endpoint: &mut Endpoint,
    ) {
        let bound = bindings.get(door);
        if let Some((bound, flow)) = bound.and_then(|bound| Some((bound, bound.flow()?))) {
            // Whether there is room for it or not.
            let _ = endpoint.request(now.instant, flow, &request(message, bound, settings));
        }
    }

    /// The door leads elsewhere now: what comes of its message over the old way does not matter any more.
    pub(crate) fn give_up(&mut self, door: &DoorId) {
        if let Some(sent) = self.by_door.remove(door) {
            self.by_txn.remove(&sent.txn);
        }
    }

    /// What a transaction was about, once it is over, and what its status means.
    pub(crate) fn answered(&mut self, txn: ClientTxn, status: u16) -> Option<hub::Input> {
        if status < 200 {
            return None;
        }
        let door = self.by_txn.remove(&txn)?;
        let message = self.by_door.remove(&door)?.message;
        let why = format!("the device answered {status}");
        Some(if status < 300 || status == MET_ALREADY {
            hub::Input::Acknowledged(door.device, message, false)
        } else if REFUSED_FOR_GOOD.contains(&status) {
            hub::Input::Refused(door, message, why)
        } else {
            hub::Input::Unacknowledged(door, message, why)
        })
    }

    /// The connection over which a door is being written to, if it has one.
    pub(crate) fn connection(&self, door: &DoorId) -> Option<Flow> {
        let flow = self.by_door.get(door)?.flow;
        Some(flow).filter(|flow| flow.transport != Transport::Udp)
    }
}

/// What a MESSAGE says, for the hub.
pub(crate) fn read(
    now: Now,
    request: &Message,
    to: domain::Address,
    (from, from_name): (String, String),
    (id, tracking): (MessageId, TrackingId),
) -> Arc<Chat> {
    Arc::new(Chat {
        id,
        tracking,
        from,
        from_name,
        to,
        at: now.wall,
        class: class(request),
        content_type: request
            .header_text(HeaderName::ContentType)
            .unwrap_or(TEXT)
            .to_owned(),
        body: request.body_bytes(),
        about: about(request),
    })
}

/// What a MESSAGE says beside its body (RFC 3261 §20.13, §20.36): of several languages the first.
fn about(request: &Message) -> Option<Box<About>> {
    let text = |name| request.header_text(name);
    let langs = text(HeaderName::ContentLanguage).unwrap_or_default();
    About::of(text(HeaderName::Subject), langs.split(',').next())
}

/// The message as a request to a device. Call-ID, `CSeq` and From tag are made of the message's id: whoever gets it
/// twice can tell.
fn request(message: &Chat, bound: &Bound, settings: &Settings) -> Message {
    let display = quoted(&message.from_name);
    let (writer, reader) = (in_uri(&message.from), in_uri(message.to.as_str()));
    let from = format!("{display}<sip:{writer}>;tag={}", message.id);
    let call_id = format!("{}@{}", message.id, settings.node);
    let mut request = RequestBuilder::new(Method::Message, bound.binding.contact())
        .header(HeaderName::From, from)
        .header(HeaderName::To, format!("<sip:{reader}>"))
        .header(HeaderName::CallId, call_id)
        .header(HeaderName::CSeq, "1 MESSAGE")
        .header(HeaderName::Date, date::rfc1123(message.at));
    for path in bound.binding.path() {
        request = request.header(HeaderName::Route, path);
    }
    if let Some(about) = message.about.as_deref() {
        let fields = [
            (HeaderName::Subject, &about.subject),
            (HeaderName::ContentLanguage, &about.lang),
        ];
        for (name, value) in fields {
            if let Some(value) = value.as_deref() {
                request = request.header(name, value);
            }
        }
    }
    request.body(&message.content_type, &message.body).build()
}

/// A display name as a quoted string with a space after it, or nothing (RFC 3261 §25.1).
fn quoted(name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    let mut text = String::from("\"");
    for letter in name.chars().filter(|letter| !letter.is_control()) {
        if matches!(letter, '"' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text + "\" "
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_name_cannot_break_out_of_its_quotes() {
        assert_eq!(quoted(""), "");
        assert_eq!(quoted("Alice"), "\"Alice\" ");
        assert_eq!(quoted("a\"b\\c\r\nd"), "\"a\\\"b\\\\cd\" ");
    }
}
