//! Connections: those that must be made or found before something can go, and those that are gone.

use super::Role;
use crate::{
    bindings::Bound, dialogs::Across, media::Relayable, passing::Passing, reach::Way,
    vocabulary::Output,
};
use domain::{DoorId, DoorState, Now};
use sip::{
    Flow, Message,
    endpoint::{self, ServerTxn},
};
use std::sync::Arc;

/// What waits for a flow.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A call for its fallback.
    Fallback(hub::CallId, String),
    /// A request inside a dialog, and where it goes if there is none.
    Request(ServerTxn, Flow, Message, Across, Option<Relayable>),
    /// An ACK, likewise.
    Ack(Message, Flow, Across, Option<Relayable>),
    /// A response whose connection is gone.
    Response(ServerTxn),
    /// A call for a door that is dialled.
    Ring(hub::CallId, DoorId),
    /// A message for one.
    Send(DoorId, Arc<domain::Message>),
    /// Another request outside a dialog, the first of whose doors to dial is dialled.
    Pass(Box<Passing>),
}

impl Role {
    /// The way to a door that must be dialled first.
    pub(super) fn way_to(&mut self, now: Now, door: &DoorId) -> Option<Way> {
        let (_, line) = self.line(now);
        line.bound(door)?.to_dial(line.settings)
    }

    /// Whether a door has a connection, or needs none.
    pub(super) fn is_up(&mut self, now: Now, door: &DoorId) -> bool {
        let (_, line) = self.line(now);
        line.bound(door).and_then(Bound::flow).is_some()
    }

    /// Asks for a flow.
    pub(super) fn reach(&mut self, now: Now, what: Waiting, way: Way) {
        match self.reaching.ask(what) {
            Ok(id) => self.out.push_back(Output::Reach(id, way)),
            Err(what) => self.go_on(now, what, None),
        }
    }

    pub(super) fn flow_closed(&mut self, now: Now, flow: Flow) {
        self.dialogs.flow_lost(flow);
        self.gate.sign_ins.lost(flow);
        for door in self.bindings.flow_lost(flow) {
            tracing::debug!(%door, from = %flow.remote, "connection closed");
            self.lost(door);
        }
        let failed = endpoint::Input::FlowFailed { flow };
        self.endpoint.handle(now.instant, failed);
    }

    /// The connection behind a door is gone.
    pub(super) fn lost(&mut self, door: DoorId) {
        let bound = self.bindings.get(&door);
        let state = bound.map_or(DoorState::Down, |bound| bound.state(&self.settings));
        self.tell([hub::Input::DoorLost(door, state)]);
    }
}
