//! What leaves for somebody else, once it is settled where it goes and by which media relay.

use super::Role;
use crate::{
    calls::Rings,
    media::{Leg, Through},
    requests::{headers_off, off_responses},
    vocabulary::Output,
};
use domain::{DoorId, Now};
use sip::{
    Flow, Message,
    endpoint::{ServerTxn, Target},
};

impl Role {
    /// What the endpoint has said goes out before anything that follows.
    pub(super) fn transmits(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.out.push_back(Output::Transmit(transmit));
        }
    }

    /// A call goes through a door, over the flow that was `dialled` if it has none of its own.
    pub(super) fn send_to(
        &mut self,
        now: Now,
        call: hub::CallId,
        door: DoorId,
        dialled: Option<Flow>,
        through: Option<Through>,
    ) {
        let device = door.device.clone();
        let (calls, mut line) = self.line(now);
        match calls.ring(&mut line, call, door, (dialled, through)) {
            Ok(Some(Rings {
                flow,
                tracking,
                took,
            })) => {
                self.out.extend(took.map(Output::RegisterToInvite));
                self.tells_edge(now, (tracking, Some(device)), flow);
            }
            // It is over.
            Ok(None) => {}
            Err(failed) => self.tell([failed]),
        }
    }

    /// Sends a request inside a dialog on as it is to go.
    pub(super) fn send_on(
        &mut self,
        now: Now,
        txn: ServerTxn,
        from: Flow,
        request: &Message,
        to: Flow,
        through: Option<Through>,
    ) {
        let (leg, body) = through.map(|it| (it.leg, it.body)).unzip();
        let Ok(context) = self.endpoint.open(now.instant, txn) else {
            return self.unused(leg);
        };
        let target = Target {
            body: body.flatten(),
            watched: leg.is_some(),
            headers: headers_off(&self.settings.domains, self.gate.trusts(from)),
            off_responses: off_responses(self.gate.trusts(to)),
            ..Target::new(request.request_uri(), to)
        };
        match (self.endpoint.fork(now.instant, context, &target), leg) {
            (Ok(branch), Some(leg)) => self.legs.sent(branch, leg),
            (Ok(_), None) => {}
            (Err(error), leg) => {
                tracing::warn!(%error, "a request inside a dialog was not forwarded");
                self.endpoint.finish(now.instant, context, 503, None);
                self.unused(leg);
            }
        }
    }

    /// A leg was not used after all.
    fn unused(&mut self, leg: Option<Leg>) {
        if let Some(leg) = leg {
            self.legs.end(&leg);
        }
    }
}
