//! The loop of an edge: what clients say is looked at, and goes on or does not.

use super::{shared::Shared, sip::Phones, xmpp::Clients};
use net::{Event, Events};
use std::sync::Arc;

/// Runs until the sockets are closed.
pub(crate) async fn run(shared: Arc<Shared>, mut events: Events) {
    let mut phones = Phones::new(shared.clone());
    let mut clients = Clients::new(shared.clone());
    while let Some(event) = events.recv().await {
        match event {
            Event::Message { flow, message } => phones.says(flow, &message),
            Event::Closed { flow } => phones.gone(flow),
            Event::Malformed { flow, reason } => {
                shared.metrics.malformed();
                tracing::debug!(from = %flow.remote, %reason, "a message that cannot be read");
            }
            Event::Xmpp(stream, event) => clients.says(stream, event),
        }
    }
}
