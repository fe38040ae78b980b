//! A flow that was asked for is there, or there is none: what waited for it goes on.

use super::{Role, ways::Waiting};
use crate::{dialogs::Across, reach::ReachId};
use domain::Now;
use sip::Flow;

impl Role {
    pub(super) fn reached(&mut self, now: Now, id: ReachId, flow: Option<Flow>) {
        if let Some(flow) = flow {
            self.dialogs.flow_seen(flow);
        }
        if let Some(what) = self.reaching.take(id) {
            self.go_on(now, what, flow);
        }
    }

    pub(super) fn go_on(&mut self, now: Now, what: Waiting, flow: Option<Flow>) {
        match (what, flow) {
            (Waiting::Fallback(call, uri), flow) => self.fall_back(now, call, uri, flow),
            (Waiting::Request(txn, from, request, otherwise, relayable), flow) => {
                let across = flow.map_or(otherwise, Across::Flow);
                self.send_across(now, txn, from, request, (across, relayable));
            }
            (Waiting::Ack(ack, from, otherwise, relayable), flow) => {
                let across = flow.map_or(otherwise, Across::Flow);
                self.ack_across(now, &ack, from, (across, relayable));
            }
            (Waiting::Response(txn), Some(flow)) => self.endpoint.move_response(txn, flow),
            (Waiting::Response(_), None) => {}
            // What is up meanwhile has been told to the hub, which has sent this through it.
            (Waiting::Ring(_, door) | Waiting::Send(door, _), _) if self.is_up(now, &door) => {}
            (Waiting::Ring(call, door), flow) => self.ring(now, call, door, flow),
            (Waiting::Send(door, message), flow) => self.send(now, &door, &message, flow),
            (Waiting::Pass(mut passing), flow) => {
                if let Some((_, dialled)) = passing.there.last_mut() {
                    *dialled = flow;
                }
                self.pass(now, *passing);
            }
        }
    }
}
