//! Requests inside a dialog, and ACKs: to the device at the other end, wherever it is now.

use super::{Role, ways::Waiting};
use crate::{
    dialogs::{Across, Whereabouts},
    requests::{headers_off, off_responses},
    talks,
};
use domain::Now;
use hub::Directory;
use sip::{
    Flow, Message, Method,
    endpoint::{ServerTxn, Target},
};

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
        if matches!(
            request.method(),
            Some(Method::Bye | Method::Invite | Method::Update)
        ) {
            let ends = self.dialogs.ends(now, &request, route);
            if let Some((dialog, ends)) = ends
                .as_ref()
                .filter(|_| request.method() == Some(Method::Bye))
            {
                self.tells_end(now, flow, &request, (*dialog, ends));
            }
            self.tell(ends.and_then(|(dialog, ends)| talks::goes_on(dialog, &ends, &request)));
        }
        self.send_across(now, txn, flow, request, across);
    }

    pub(super) fn send_across(
        &mut self,
        now: Now,
        txn: ServerTxn,
        from: Flow,
        request: Message,
        across: Across,
    ) {
        let has_way = matches!(across, Across::Flow(_) | Across::Reach(..));
        if has_way && !self.has_room(now, txn, from, None) {
            return;
        }
        match across {
            Across::Flow(to) => self.forward(now, txn, from, &request, to),
            Across::Reach(way, otherwise) => {
                let waits = Waiting::Request(txn, from, request, *otherwise);
                self.reach(now, waits, way);
            }
            Across::Nowhere => self.answer(now, txn, 480, ""),
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

    /// Forwards a request inside a dialog.
    pub(super) fn forward(
        &mut self,
        now: Now,
        txn: ServerTxn,
        from: Flow,
        request: &Message,
        to: Flow,
    ) {
        let Ok(context) = self.endpoint.open(now.instant, txn) else {
            return;
        };
        let target = Target {
            headers: headers_off(&self.settings.domains, self.gate.trusts(from)),
            off_responses: off_responses(self.gate.trusts(to)),
            ..Target::new(request.request_uri(), to)
        };
        if let Err(error) = self.endpoint.fork(now.instant, context, &target) {
            tracing::warn!(%error, "a request inside a dialog was not forwarded");
            self.endpoint.finish(now.instant, context, 503, None);
        }
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
        self.ack_across(now, ack, across);
    }

    pub(super) fn ack_across(&mut self, now: Now, ack: &Message, across: Across) {
        match across {
            Across::Flow(to) => self.endpoint.proxy_ack(to, ack),
            Across::Reach(way, otherwise) => {
                self.reach(now, Waiting::Ack(ack.clone(), *otherwise), way);
            }
            Across::Nowhere | Across::NoDialog => {}
        }
    }
}
