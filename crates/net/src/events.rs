//! What the sockets tell a shard, one by one.

use std::sync::Arc;

use crate::event::Event;
use crate::shards::Receiver;
use crate::shared::Shared;

/// The stream of events of one shard of a [`crate::Net`]. Dropping it closes every socket.
pub struct Events {
    receiver: Receiver,
    shard: usize,
    shared: Arc<Shared>,
}

impl Events {
    pub(crate) fn new(receiver: Receiver, shard: usize, shared: Arc<Shared>) -> Self {
        Self {
            receiver,
            shard,
            shared,
        }
    }

    /// The next event, or `None` after [`crate::Net::shutdown`]. Datagrams that the shard has still queued are sent
    /// first, so that a role that loops over this never holds any back while it waits. Cancel safe.
    pub async fn recv(&mut self) -> Option<Event> {
        if let Some(event) = self.try_recv() {
            return Some(event);
        }
        self.shared.flush(self.shard);
        tokio::select! {
            biased;
            (event, _) = self.receiver.recv() => Some(event),
            () = self.shared.stop.cancelled() => None,
        }
    }

    /// An event that has already happened, to drain a batch before acting on it.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.receiver.try_recv().map(|(event, _)| event)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.shared.table().shut(&self.shared.limits);
    }
}
