//! The loop of an edge: what clients say is looked at, and goes on or does not.

use super::{drain::SendAway, shared::Shared, sip::Phones, xmpp::Clients};
use net::{Event, Events, Held};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Runs until the sockets are closed.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut events: Events,
    mut orders: mpsc::Receiver<SendAway>,
) {
    let mut phones = Phones::new(shared.clone());
    let mut clients = Clients::new(shared.clone());
    loop {
        tokio::select! {
            Some(order) = orders.recv() => {
                let left = phones.send_away(order.most);
                let still = order.most.saturating_sub(left.sent);
                order.done(left.and(clients.send_away(still)));
            }
            event = events.recv_held() => match event {
                Some(event) => took(&shared, (&mut phones, &mut clients), event),
                None => return,
            }
        }
    }
}

fn took(
    shared: &Shared,
    (phones, clients): (&mut Phones, &mut Clients),
    (event, held): (Event, Held),
) {
    match event {
        Event::Message { flow, message } => phones.says(flow, &message, held),
        Event::Closed { flow } => phones.gone(flow),
        Event::Malformed { flow, reason } => {
            shared.metrics.malformed();
            tracing::debug!(from = %flow.remote, %reason, "a message that cannot be read");
        }
        Event::Xmpp(stream, event) => clients.says(stream, event, held),
    }
}
