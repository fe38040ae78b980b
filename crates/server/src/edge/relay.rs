//! The loop of an edge: what clients say is looked at, and goes on or does not.

use super::{
    gate::{Gate, Refused},
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
    let lane = lanes.get(&flow.id);
    let mut new = Gate::default();
    let said = match lane {
        Some(lane) => lane.gate().client_says(message, shared.passwords),
        None => new.client_says(message, shared.passwords),
    };
    if let Err(why) = said {
        return shared.refuse(flow, message, why);
    }
    match lane {
        Some(lane) if lane.pass(message) => {}
        // The inside does not take what it says: better it comes anew than that something is missing.
        Some(_) => shared.net.close(flow),
        None => match shared.place(flow.remote.ip()) {
            Some(place) => {
                lanes.insert(flow.id, Lane::open(shared, flow, (new, message), place));
            }
            None => shared.refuse(flow, message, Refused::Crowded),
        },
    }
}
