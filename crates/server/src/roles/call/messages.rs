//! MESSAGE (RFC 3428): stored and answered 202, then delivered to every device of the user in its own way.

use super::{
    CallRole, Inbox, auth::Sender, ids, request::class, saving::AfterCommit, sending::Sent,
};
use crate::{hex, secret};
use domain::{
    Address, Change, Class, DeviceId, Message as Chat, MessageId, TrackingId,
    behaviour::Happening,
    delivery::{BATCH, Effect, Input, NameConversation, Recipient, Step},
    wake::Pushable,
};
use ring::hmac;
use sip::{
    HeaderName, Message, Method, RequestBuilder, Transport,
    endpoint::{ClientTxn, ServerTxn},
};

/// The media type of a MESSAGE that names none (RFC 3261 §20.15 leaves it open; everybody means this).
pub(super) const TEXT: &str = "text/plain";

/// Answers by which a device refuses a message itself, whatever connection it comes over: trying again is no use.
const REFUSED_FOR_GOOD: [u16; 11] = [400, 405, 413, 415, 420, 488, 493, 501, 513, 603, 606];
/// The device has met this very message in another transaction (RFC 3261 §8.2.2.2): it has it.
const MET_ALREADY: u16 = 482;

/// Longest request that fits a datagram: what is longer never reaches a device over UDP.
const DATAGRAM: usize = 65_507;

/// Names a conversation by a secret, so that nobody can tell from the name who takes part.
pub(super) fn name_conversations(secret: &[u8]) -> NameConversation {
    let key = secret::key_for("conversations", secret);
    NameConversation::by(move |message| {
        let who = format!("{}\0{}", message.to, message.from);
        hex::encode(&hmac::sign(&key, who.as_bytes()).as_ref()[..8])
    })
}

impl CallRole {
    pub(super) fn message(
        &mut self,
        txn: ServerTxn,
        request: &Message,
        callee: &Address,
        sender: &Sender,
    ) {
        // We keep the body and its type, not how it was packed: better refused than delivered as rubbish.
        let packed = request.header_text(HeaderName::ContentEncoding);
        if packed.is_some_and(|how| !how.trim().eq_ignore_ascii_case("identity")) {
            return self.refuse_packed(txn);
        }
        let class = class(request);
        let full =
            |place: &super::location::Place| place.queued >= self.settings.messages_per_device;
        let places: Vec<_> = self.location.places_of(callee).collect();
        if class != Class::Transient && !places.is_empty() && places.into_iter().all(full) {
            tracing::warn!(user = %callee, "limits.messages_per_device is reached on every device: a message is refused");
            return self.answer(txn, 480, "Message Queue Full");
        }
        let recipients = self.recipients(callee);
        let message = Chat {
            id: MessageId(ids::fresh()),
            tracking: TrackingId(ids::fresh()),
            from: sender.name().to_owned(),
            from_name: self.display_name(request, sender),
            to: callee.clone(),
            at: self.now.wall,
            class,
            content_type: request
                .header_text(HeaderName::ContentType)
                .unwrap_or(TEXT)
                .to_owned(),
            body: request.body_bytes(),
        };
        if class != Class::Transient && recipients.is_empty() {
            *self.unclaimed.entry(callee.clone()).or_default() += 1;
        }
        let status = if class == Class::Transient { 200 } else { 202 };
        let Some(answer) = self
            .endpoint
            .response_to(txn, status, "")
            .map(sip::ResponseBuilder::build)
        else {
            return;
        };
        let step = self.delivery.step(
            self.now,
            Input::Arrived {
                message,
                recipients,
            },
        );
        self.deliver(step, Some((txn, answer)));
    }

    /// RFC 3261 §21.4.13: what we take instead.
    fn refuse_packed(&mut self, txn: ServerTxn) {
        if let Some(response) = self.endpoint.response_to(txn, 415, "") {
            let response = response.header(HeaderName::AcceptEncoding, "identity");
            self.endpoint
                .respond(self.now.instant, txn, &response.build());
        }
    }

    /// Every device of a user that has room, as it is now.
    fn recipients(&self, user: &Address) -> Vec<Recipient> {
        self.location
            .places_of(user)
            .filter(|place| place.queued < self.settings.messages_per_device)
            .map(|place| Recipient {
                device: place.device.id.clone(),
                mode: place.mode(),
                push: match self.pushable(place, Happening::Message) {
                    Pushable::Yes(_) => Ok(()),
                    Pushable::No(why) => Err(why),
                },
            })
            .collect()
    }

    /// Saves what a step of delivery changes, and does the rest after that.
    pub(super) fn deliver(&mut self, step: Step, answer: Option<(ServerTxn, Message)>) {
        let Step {
            mut changes,
            effects,
        } = step;
        if changes.is_empty() && answer.is_none() {
            return self.perform_delivery(effects);
        }
        let (mut owed, mut queued) = (Vec::new(), Vec::new());
        for change in &changes {
            match change {
                Change::Enqueue { device, .. } => queued.push((device.clone(), 1)),
                Change::Delivered { device, .. } => queued.push((device.clone(), -1)),
                Change::Archive(_) => self.metrics.message("stored"),
                Change::Owe(push) => owed.push(push.clone()),
                _ => {}
            }
        }
        for (device, change) in &queued {
            self.count_queued(device, *change);
        }
        Self::name_stories(&mut changes);
        self.commit(
            changes,
            AfterCommit {
                answer,
                deliver: effects,
                owed,
                queued,
                ..AfterCommit::default()
            },
        );
    }

    /// The story of a message can also be asked for by the message's own id.
    fn name_stories(changes: &mut [Change]) {
        let archived = changes.iter().find_map(|change| match change {
            Change::Archive(message) => Some((
                message.id.clone(),
                format!("from {} to {}", message.from, message.to),
            )),
            _ => None,
        });
        let Some((id, who)) = archived else { return };
        let first = changes.iter_mut().find_map(|change| match change {
            Change::Trace(event) => Some(event),
            _ => None,
        });
        if let Some(event) = first {
            event.alias = Some(id.0);
            event.detail = who;
        }
    }

    pub(super) fn perform_delivery(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(device, message) => self.send_message(&device, &message),
                Effect::Relay(device, message) => {
                    if let Some((flow, request)) = self.message_request(&device, &message) {
                        // A typing notice that is lost is no loss.
                        let _ = self.endpoint.request(self.now.instant, flow, &request);
                    }
                }
                Effect::Fetch(device) => self.fetch(device),
                Effect::Hibernate(device) => self.hibernate(&device),
            }
        }
    }

    fn send_message(&mut self, device: &DeviceId, message: &Chat) {
        let sent = match self.message_request(device, message) {
            None => Err(("no connection".to_owned(), false)),
            Some((flow, request))
                if flow.transport == Transport::Udp && request.bytes().len() > DATAGRAM =>
            {
                Err(("too long for a datagram".to_owned(), true))
            }
            Some((flow, request)) => self
                .endpoint
                .request(self.now.instant, flow, &request)
                .map(|txn| (txn, flow))
                .map_err(|error| (error.to_string(), false)),
        };
        match sent {
            Ok((txn, flow)) => {
                let (device, message) = (device.clone(), message.id.clone());
                self.sending.insert(device, Sent { txn, message, flow });
            }
            Err((why, for_good)) => {
                let failed = Input::Failed {
                    device: device.clone(),
                    message: message.id.clone(),
                    why,
                    for_good,
                };
                let step = self.delivery.step(self.now, failed);
                self.deliver(step, None);
            }
        }
    }

    /// The message as a request to a device. Call-ID, `CSeq` and From tag are made of the message's id: whoever gets it
    /// twice can tell.
    fn message_request(&self, device: &DeviceId, message: &Chat) -> Option<(sip::Flow, Message)> {
        let place = self.location.place(device)?;
        let (flow, binding) = (place.flow?, place.device.binding.as_ref()?);
        let contact = super::register::contact_uri(&binding.contact);
        let display = quoted(&message.from_name);
        let mut request = RequestBuilder::new(Method::Message, &contact)
            .header(
                HeaderName::From,
                format!("{display}<sip:{}>;tag={}", message.from, &message.id.0),
            )
            .header(HeaderName::To, format!("<sip:{}>", message.to))
            .header(
                HeaderName::CallId,
                format!("{}@{}", message.id, self.settings.node),
            )
            .header(HeaderName::CSeq, "1 MESSAGE")
            .header(HeaderName::Date, crate::date::rfc1123(message.at));
        for path in &binding.path {
            request = request.header(HeaderName::Route, path);
        }
        Some((
            flow,
            request.body(&message.content_type, &message.body).build(),
        ))
    }

    pub(super) fn message_answered(&mut self, txn: ClientTxn, status: u16) {
        if status < 200 {
            return;
        }
        let Some((device, message)) = self.sending.answered(txn) else {
            return;
        };
        let input = if status < 300 || status == MET_ALREADY {
            self.metrics.message("delivered");
            Input::Acknowledged { device, message }
        } else {
            let for_good = REFUSED_FOR_GOOD.contains(&status);
            self.metrics.message(if for_good {
                "refused"
            } else {
                "unacknowledged"
            });
            Input::Failed {
                device,
                message,
                why: format!("the device answered {status}"),
                for_good,
            }
        };
        let step = self.delivery.step(self.now, input);
        self.deliver(step, None);
    }

    /// Reads the head of a device's queue, with everything that was saved before.
    fn fetch(&self, device: DeviceId) {
        let (saved, store, inbox) = (
            self.store.commit(Vec::new()),
            self.store.clone(),
            self.inbox.clone(),
        );
        tokio::spawn(async move {
            let messages = match saved.await {
                Ok(()) => store.queued(&device, BATCH).await,
                Err(error) => Err(error),
            };
            let word = match messages {
                Ok(messages) => Input::Fetched { device, messages },
                Err(error) => {
                    tracing::error!(%device, %error, "a queue could not be read: it waits for the device's next registration");
                    Input::Undone {
                        effects: vec![Effect::Fetch(device)],
                        devices: Vec::new(),
                    }
                }
            };
            // The role may have stopped.
            let _ = inbox.send(Inbox::Delivery(word)).await;
        });
    }

    /// The device does not answer: what is left of its connection goes.
    fn hibernate(&mut self, device: &DeviceId) {
        let Some(flow) = self.sending.flow(device) else {
            return;
        };
        let flow_now = self.location.place(device).and_then(|place| place.flow);
        if flow.transport == Transport::Udp || flow_now != Some(flow) {
            return;
        }
        if self.location.shares_flow(device) {
            tracing::info!(%device, from = %flow.remote, "the device does not answer: it is suspended");
            self.location.detach_flow(device);
        } else {
            tracing::info!(%device, from = %flow.remote, "the device does not answer: its connection is closed");
            self.net.close(flow);
            self.flow_closed(flow);
        }
    }
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
