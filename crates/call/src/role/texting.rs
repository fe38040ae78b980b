//! Messages: a MESSAGE that comes, and one that goes to a device.

use super::Role;
use crate::{
    gate::Sender,
    messages::{self, Taken},
    requests,
};
use domain::{Address, Class, DoorId, Now};
use sip::{Flow, HeaderName, Message, endpoint::ServerTxn};

impl Role {
    pub(super) fn message(
        &mut self,
        now: Now,
        txn: ServerTxn,
        request: &Message,
        callee: Address,
        sender: &Sender,
    ) {
        if requests::is_ours_alone(request) {
            return self.answer(now, txn, 415, "");
        }
        if requests::is_packed(request) {
            // RFC 3261 §21.4.13: what we take instead. Better refused than delivered as rubbish.
            if let Some(response) = self.endpoint.response_to(txn, 415, "") {
                let response = response.header(HeaderName::AcceptEncoding, "identity");
                self.respond(now, txn, &response.build());
            }
            return;
        }
        let who = (sender.name().to_owned(), self.display_name(request, sender));
        let names = (self.namer.fresh(now.wall), self.namer.fresh(now.wall));
        let message = messages::read(now, request, callee, who, names);
        let status = if message.class == Class::Transient {
            200
        } else {
            202
        };
        let Some(answer) = self.endpoint.response_to(txn, status, "") else {
            return;
        };
        let ticket = self.ticket();
        let (answer, tracking) = (answer.build(), message.tracking.clone());
        let taken = Taken {
            txn,
            answer,
            tracking,
        };
        self.messages.taken(ticket, taken);
        self.tell([hub::Input::Arrived(ticket, message)]);
    }

    /// A message goes the same way.
    pub(super) fn send(
        &mut self,
        now: Now,
        door: &DoorId,
        message: &domain::Message,
        dialled: Option<Flow>,
    ) {
        let (settings, endpoint) = (&self.settings, &mut self.endpoint);
        let bound = self.bindings.get(door);
        let reached = bound.and_then(|bound| Some((bound, bound.flow().or(dialled)?)));
        let sent = match reached {
            Some(to) => self
                .messages
                .send(now, door, message, to, settings, endpoint),
            None => Err(("no connection".to_owned(), false)),
        };
        let (door, id) = (door.clone(), message.id.clone());
        match sent {
            Ok(flow) => {
                let story = (message.tracking.clone(), Some(door.device));
                self.tells_edge(now, story, flow);
            }
            Err((why, true)) => self.tell([hub::Input::Refused(door, id, why)]),
            Err((why, false)) => self.tell([hub::Input::Unacknowledged(door, id, why)]),
        }
    }
}
