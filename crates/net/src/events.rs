//! What the sockets tell the role.

use std::sync::Arc;

use sip::Message;
use sip::endpoint::Flow;
use tokio::sync::mpsc;

use crate::shared::Shared;

/// Something that happened on a flow. Events of one flow come in the order in which they happened.
#[derive(Debug)]
pub enum Event {
    /// A whole message that parses. Answer it over the same flow.
    Message {
        /// Where it came from.
        flow: Flow,
        /// The message.
        message: Message,
    },
    /// The connection is gone, or could not be opened, or a send over the flow failed. Nothing follows on a connection.
    Closed {
        /// The flow that failed.
        flow: Flow,
    },
    /// A message that cannot be parsed. It has been answered if it could be; this is for counters and traces.
    Malformed {
        /// Where it came from.
        flow: Flow,
        /// What is wrong with it.
        reason: String,
    },
}

/// The one stream of events of a [`crate::Net`]. Dropping it closes every socket.
pub struct Events {
    receiver: mpsc::Receiver<Event>,
    shared: Arc<Shared>,
}

impl Events {
    pub(crate) fn new(receiver: mpsc::Receiver<Event>, shared: Arc<Shared>) -> Self {
        Self { receiver, shared }
    }

    /// The next event, or `None` after [`crate::Net::shutdown`]. Datagrams still queued are sent first, so that a role
    /// that loops over this never holds any back while it waits. Cancel safe.
    pub async fn recv(&mut self) -> Option<Event> {
        if self.receiver.is_empty() {
            for udp in &self.shared.udp {
                udp.flush(&self.shared);
            }
        }
        tokio::select! {
            biased;
            event = self.receiver.recv() => event,
            () = self.shared.stop.cancelled() => None,
        }
    }

    /// An event that has already happened, to drain a batch before acting on it.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.shared.table().shut();
    }
}
