//! What the sockets tell the role.

use std::sync::Arc;

use sip::Message;
use sip::endpoint::Flow;

use crate::shards::Receiver;
use crate::shared::Shared;

/// Something that happened on a flow. Events of one flow for one shard come in the order in which they happened.
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
    /// Every shard is told.
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

/// The stream of events of one shard of a [`crate::Net`]. Dropping it closes every socket.
pub struct Events {
    receiver: Receiver,
    /// What was handed over together, and is taken one by one.
    taken: std::vec::IntoIter<Event>,
    shard: usize,
    shared: Arc<Shared>,
}

impl Events {
    pub(crate) fn new(receiver: Receiver, shard: usize, shared: Arc<Shared>) -> Self {
        Self {
            receiver,
            taken: Vec::new().into_iter(),
            shard,
            shared,
        }
    }

    /// The next event, or `None` after [`crate::Net::shutdown`]. Datagrams that the shard has still queued are sent
    /// first, so that a role that loops over this never holds any back while it waits. Cancel safe.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.taken.next() {
                return Some(event);
            }
            if self.receiver.is_empty() {
                self.shared.flush(self.shard);
            }
            let events = tokio::select! {
                biased;
                events = self.receiver.recv() => events,
                () = self.shared.stop.cancelled() => None,
            };
            self.taken = events?.into_iter();
        }
    }

    /// An event that has already happened, to drain a batch before acting on it.
    pub fn try_recv(&mut self) -> Option<Event> {
        if self.taken.len() == 0 {
            self.taken = self.receiver.try_recv()?.into_iter();
        }
        self.taken.next()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.shared.table().shut();
    }
}
