//! The loop of an edge: what clients say is looked at, and goes on or does not.

use super::{
    gate::{Gate, Refused, Verdict},
    lane::Lane,
    shared::Shared,
};
use net::{Event, Events};
use sip::{Flow, Message};
use std::{collections::HashMap, sync::Arc};

/// Runs until the sockets are closed.
pub(crate) async fn run(shared: Arc<Shared>, mut events: Events) {
    // As many as there are connections, which have their limit.
    let mut lanes = HashMap::new();
    while let Some(event) = events.recv().await {
        match event {
            Event::Message { flow, message } => taken(&shared, &mut lanes, flow, &message),
            Event::Closed { flow } => drop(lanes.remove(&flow.id)),
            Event::Malformed { flow, reason } => {
                shared.metrics.malformed();
                tracing::debug!(from = %flow.remote, %reason, "a message that cannot be read");
            }
            // No streams of XMPP are served here.
            Event::Xmpp(..) => {}
        }
    }
}

fn taken(shared: &Arc<Shared>, lanes: &mut HashMap<u64, Lane>, flow: Flow, message: &Message) {
    let Some(lane) = lanes.get(&flow.id) else {
        let mut gate = Gate::default();
        match gate.client_says(message, shared.passwords) {
            Verdict::Pass => match shared.place(flow.remote.ip()) {
                Some(place) => {
                    lanes.insert(flow.id, Lane::open(shared, flow, (gate, message), place));
                }
                None => shared.refuse(flow, message, Refused::Crowded),
            },
            Verdict::Refuse(why) => shared.refuse(flow, message, why),
        }
        return;
    };
    let verdict = lane.gate().client_says(message, shared.passwords);
    match verdict {
        Verdict::Pass if lane.pass(message) => {}
        // The inside does not take what it says: better it comes anew than that something is missing.
        Verdict::Pass => shared.net.close(flow),
        Verdict::Refuse(why) => shared.refuse(flow, message, why),
    }
}
