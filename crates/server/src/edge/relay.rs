//! What clients say is looked at, and goes on or does not: in the task of each client's connection, so that no client waits for
//! another one.

use super::{
    drain::{Left, drain},
    shared::Shared,
    sip::Phones,
    xmpp::Clients,
};
use crate::upkeep::Ticks;
use net::{Event, Held};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// How often to look whose time is over.
const LOOK: Duration = Duration::from_secs(1);

/// All clients of an edge.
pub(crate) struct Relay {
    shared: Arc<Shared>,
    phones: Phones,
    clients: Clients,
}

impl Relay {
    /// Takes whatever the connections bring from now on.
    pub(crate) fn begin(shared: &Arc<Shared>) -> Arc<Self> {
        let relay = Arc::new(Self {
            shared: shared.clone(),
            phones: Phones::new(shared.clone()),
            clients: Clients::new(shared.clone()),
        });
        // Its sockets do not keep it.
        let takes = Arc::downgrade(&relay);
        let take = move |event, held| {
            if let Some(relay) = takes.upgrade() {
                relay.took(event, held);
            }
        };
        shared.net.take_by(Arc::new(take));
        relay
    }

    /// Sends those away whose time to sign in is over, as long as we run.
    pub(crate) async fn watch(self: Arc<Self>, stopped: watch::Receiver<bool>) {
        let mut ticks = Ticks::every(LOOK, stopped);
        while ticks.next().await {
            self.phones.look();
        }
    }

    /// Sends all away, not all at once; see [`drain`].
    pub(crate) async fn drain(&self, within: Duration) {
        drain(|most| self.send_away(most), within).await;
    }

    /// Sends so many away that are in no call; says who is left.
    fn send_away(&self, most: usize) -> Left {
        let left = self.phones.send_away(most);
        let still = most.saturating_sub(left.sent);
        left.and(self.clients.send_away(still))
    }

    fn took(&self, event: Event, held: Held) {
        match event {
            Event::Message { flow, message } => self.phones.says(flow, &message, held),
            Event::Closed { flow } => self.phones.gone(flow),
            Event::Malformed { flow, reason } => {
                self.phones.babbles(flow);
                self.shared.metrics.malformed();
                tracing::debug!(from = %flow.remote, %reason, "a message that cannot be read");
            }
            Event::Xmpp(stream, event) => self.clients.says(stream, event, held),
        }
    }
}
