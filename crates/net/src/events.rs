//! What the sockets tell a shard, one by one.

use std::sync::Arc;

use crate::event::Event;
use crate::shards::Receiver;
use crate::shared::Shared;

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
        self.shared.table().shut(&self.shared.limits);
    }
}
