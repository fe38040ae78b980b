//! Requests inside a dialog, and ACKs: to the device at the other end, wherever it is now.

use super::{Role, ways::Waiting};
use crate::{
    dialogs::{Across, Whereabouts},
    media::Relayable,
    settings::Relaying,
    talks,
};
use domain::Now;
use hub::Directory;
use sip::{Flow, Message, Method, endpoint::ServerTxn};

impl Role {
    pub(super) fn in_dialog(
        &mut self,
        now: Now,
        directory: &Directory,
        txn: ServerTxn,
        flow: Flow,
        request: Message,
        route: Option<&str>,
    ) {
        let across = self.across(now, directory, &request, flow, route);
        let mut relayable = None;
        if matches!(
            request.method(),
            Some(Method::Bye | Method::Invite | Method::Update | Method::Prack)
        ) {
            let ends = self.dialogs.ends(now, &request, route);
            relayable = self.relayable(&request, ends.as_ref().map(|(_, ends)| ends));
            if let Some((dialog, ends)) = ends
                .as_ref()
                .filter(|_| request.method() == Some(Method::Bye))
            {
                self.tells_end(now, flow, &request, (*dialog, ends));
            }
            self.tell(ends.and_then(|(dialog, ends)| talks::goes_on(dialog, &ends, &request)));
        }
        self.send_across(now, txn, flow, request, (across, relayable));
    }

    pub(super) fn send_across(
        &mut self,
        now: Now,
        txn: ServerTxn,
        from: Flow,
        request: Message,
        (across, relayable): (Across, Option<Relayable>),
    ) {
        let has_way = matches!(across, Across::Flow(_) | Across::Reach(..));
        if has_way && !self.has_room(now, txn, from, None) {
            return self.bye_ends_leg(&request, &[from], relayable);
        }
        match across {
            Across::Flow(to) => self.forward(now, txn, from, request, (to, relayable)),
            Across::Reach(way, otherwise) => {
                let waits = Waiting::Request(txn, from, request, *otherwise, relayable);
                self.reach(now, waits, way);
            }
            Across::Nowhere => {
                self.bye_ends_leg(&request, &[from], relayable);
                self.answer(now, txn, 480, "");
            }
            // Nobody has shown who they are.
            Across::NoDialog => self.turn_away(now, txn, 481, "No Such Dialog"),
        }
    }

    pub(super) fn across(
        &mut self,
        now: Now,
        directory: &Directory,
        request: &Message,
        from: Flow,
        route: Option<&str>,
    ) -> Across {
        let whereabouts = Whereabouts {
            directory,
            bindings: &self.bindings,
        };
        self.dialogs.across(now, request, from, route, whereabouts)
    }

    pub(super) fn ack(
        &mut self,
        now: Now,
        directory: &Directory,
        ack: &Message,
        flow: Flow,
        route: Option<&str>,
    ) {
        let across = self.across(now, directory, ack, flow, route);
        let ends = (self.settings.relaying != Relaying::Off)
            .then(|| self.dialogs.ends(now, ack, route))
            .flatten();
        let relayable = self.relayable(ack, ends.as_ref().map(|(_, ends)| ends));
        self.ack_across(now, ack, flow, (across, relayable));
    }

    pub(super) fn ack_across(
        &mut self,
        now: Now,
        ack: &Message,
        from: Flow,
        (across, relayable): (Across, Option<Relayable>),
    ) {
        match across {
            Across::Flow(to) => self.forward_ack(now, ack, from, (to, relayable)),
            Across::Reach(way, otherwise) => {
                let waits = Waiting::Ack(ack.clone(), from, *otherwise, relayable);
                self.reach(now, waits, way);
            }
            Across::Nowhere | Across::NoDialog => {}
        }
    }
}
