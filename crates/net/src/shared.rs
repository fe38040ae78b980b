//! What the handle and all tasks of one [`crate::Net`] share.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sip::endpoint::Flow;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::doorman::anybody;
use crate::handshakes::Handshakes;
use crate::local::LocalIps;
use crate::shards::{Gone, Shards};
use crate::stats::Counters;
use crate::table::Table;
use crate::udp::{Rim, Udp};
use crate::{Document, Doorman, Event, Limits, Visitor};

pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) doorman: Doorman,
    pub(crate) client_tls: Option<Arc<rustls::ClientConfig>>,
    /// Each shard has a socket of its own for every UDP address.
    pub(crate) udp: Vec<Vec<Udp>>,
    pub(crate) local_ips: LocalIps,
    pub(crate) counters: Counters,
    /// What can be read where a WebSocket begins.
    documents: RwLock<Arc<[Document]>>,
    /// Every task of this `Net`, so that shutting down can wait for the last one.
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Nobody is let in any more: we stop, or are about to.
    pub(crate) full: CancellationToken,
    /// Handshakes of TLS for which we work at once.
    pub(crate) handshakes: Handshakes,
    table: Mutex<Table>,
    pub(crate) shards: Shards,
    next_connection: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        (limits, doorman): (Limits, Option<Doorman>),
        client_tls: Option<Arc<rustls::ClientConfig>>,
        udp: Vec<Vec<Udp>>,
        shards: Shards,
    ) -> Self {
        let stop = CancellationToken::new();
        Self {
            full: stop.child_token(),
            stop,
            handshakes: Handshakes::new(&limits),
            limits,
            doorman: doorman.unwrap_or_else(anybody),
            client_tls,
            udp,
            local_ips: LocalIps::default(),
            counters: Counters::default(),
            documents: RwLock::default(),
            tasks: TaskTracker::new(),
            table: Mutex::default(),
            shards,
            next_connection: AtomicU64::new(first_connection_id()),
        }
    }

    /// What can be read where a WebSocket begins.
    pub(crate) fn documents(&self) -> Arc<[Document]> {
        let documents = self.documents.read();
        documents.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// These can be read there from now on.
    pub(crate) fn publish(&self, documents: Vec<Document>) {
        let published = self.documents.write();
        *published.unwrap_or_else(PoisonError::into_inner) = documents.into();
    }

    /// Held for a look-up only, never across an await.
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn connection_id(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    /// Hands what one read of a connection brought to the shards, waiting until it is taken. Once we are stopping, nobody is
    /// owed events any more.
    pub(crate) async fn hand_over(&self, who: Visitor, events: Vec<(usize, Event)>) {
        // In a place of its own, which a connection that waits for its peer does not need.
        let mut handed = Box::pin(self.shards.hand_over(who, events));
        // A taker has mostly taken it at once, and nobody has to hear meanwhile that we stop.
        if !self.shards.are_queued()
            && let Poll::Ready(taken) = now(handed.as_mut()).await
        {
            return self.stop_if(taken.is_err());
        }
        self.unless_stopped(handed).await;
    }

    /// Tells a shard what it is told last of a connection, waiting for room.
    pub(crate) async fn last(&self, shard: usize, event: Event) {
        self.at_last(self.shards.last(shard, event)).await;
    }

    /// Says that a flow is gone, waiting for room.
    pub(crate) async fn closed(&self, flow: Flow) {
        // In a place of its own, as above.
        self.at_last(Box::pin(self.shards.closed(flow))).await;
    }

    /// What a UDP socket needs of it.
    pub(crate) fn rim(&self) -> Rim<'_> {
        Rim {
            most_queued: self.limits.udp_send_queue,
            counters: &self.counters,
            shards: &self.shards,
        }
    }

    /// Says that a send over `flow` failed, without waiting.
    fn emit_failed(&self, flow: Flow) {
        self.counters.dropped.add(1);
        self.shards.try_closed(flow);
    }

    async fn unless_stopped(&self, handed: impl Future<Output = Result<(), Gone>>) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            handed = handed => self.stop_if(handed.is_err()),
        }
    }

    /// The same of what is said last of a connection. A taker, which lets nobody wait, hears it even then: it has something to end by it.
    async fn at_last(&self, handed: impl Future<Output = Result<(), Gone>>) {
        if self.shards.are_queued() {
            self.unless_stopped(handed).await;
        } else {
            self.stop_if(handed.await.is_err());
        }
    }

    /// Stops when nobody takes events any more.
    fn stop_if(&self, is_nobody_there: bool) {
        if is_nobody_there {
            self.stop.cancel();
        }
    }

    /// The result of `future`, or `None` if it took longer than `limit` or we are stopping.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        self.by(Instant::now() + limit, future).await
    }

    /// The same, or `None` if it did not come by then.
    pub(crate) async fn by<T>(
        &self,
        moment: Instant,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            result = tokio::time::timeout_at(moment, future) => result.ok(),
            () = self.stop.cancelled() => None,
        }
    }
}

impl Shared {
    /// Sends over a flow; a datagram from a socket of this shard.
    pub(crate) fn send(&self, shard: usize, flow: Flow, bytes: Bytes) {
        let sent = if flow.transport.is_reliable() {
            self.table().send(flow.id, bytes, &self.limits)
        } else {
            let udp = self.udp[shard].iter().find(|udp| udp.local == flow.local);
            udp.map(|udp| udp.send(&self.rim(), flow.remote, bytes))
                .is_some()
        };
        if !sent {
            self.emit_failed(flow);
        }
    }

    /// Writes to a stream of XMPP, whose shard has said something with it.
    pub(crate) fn write(&self, id: u64, octets: Bytes) {
        let mut table = self.table();
        if !table.send(id, octets, &self.limits) {
            self.counters.dropped.add(1);
        }
        if let Some(progress) = table.progress(id) {
            progress.answer();
        }
    }

    /// Sends the datagrams that a shard has queued.
    pub(crate) fn flush(&self, shard: usize) {
        for udp in &self.udp[shard] {
            udp.flush(&self.rim());
        }
    }
}

/// Where a future stands now, without waiting for it.
async fn now<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// Ids grow with time, so that a flow remembered from an earlier run never names a connection of this one.
fn first_connection_id() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since_epoch.as_secs() << 28
}

#[cfg(test)]
impl Shared {
    /// Without sockets, and nobody takes what comes.
    pub(crate) fn alone() -> Arc<Self> {
        let limits = Limits::default();
        let shards = Shards::unqueued(&limits);
        Arc::new(Self::new((limits, None), None, vec![Vec::new()], shards))
    }
}
