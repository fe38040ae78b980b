//! One UDP socket: it is read in batches, and has a queue that is sent in batches.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use ::sip::endpoint::{Flow, Transport};
use bytes::Bytes;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use crate::batch::{self, BATCH, Buffers, Datagram};
use crate::shards::Shards;
use crate::stats::Counters;

/// What a socket needs of what all share.
pub(crate) struct Rim<'s> {
    /// Datagrams that may wait to be sent.
    pub(crate) most_queued: usize,
    pub(crate) counters: &'s Counters,
    pub(crate) shards: &'s Shards,
}

pub(crate) struct Udp {
    socket: UdpSocket,
    /// The bound address, as flows name it.
    pub(crate) local: SocketAddr,
    queue: Mutex<VecDeque<Datagram>>,
    /// The kernel's send buffer was full with datagrams still queued: the task sends them when it has room.
    blocked: AtomicBool,
    newly_blocked: Notify,
}

impl Udp {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?;
        Ok(Self {
            socket,
            local,
            queue: Mutex::default(),
            blocked: AtomicBool::new(false),
            newly_blocked: Notify::new(),
        })
    }

    /// Queues a datagram; [`Udp::flush`] sends it. A full batch is sent at once.
    pub(crate) fn send(&self, rim: &Rim<'_>, to: SocketAddr, bytes: Bytes) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() >= rim.most_queued {
            rim.counters.dropped.add(1);
            return;
        }
        queue.push_back((to, bytes));
        if queue.len().is_multiple_of(BATCH) {
            self.drain(rim, &mut queue);
        }
    }

    /// Sends what is queued. What the kernel does not take now goes out when it has room.
    pub(crate) fn flush(&self, rim: &Rim<'_>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.drain(rim, &mut queue);
    }

    fn drain(&self, rim: &Rim<'_>, queue: &mut VecDeque<Datagram>) {
        self.blocked.store(false, Ordering::Relaxed);
        while !queue.is_empty() {
            let datagrams = queue.make_contiguous();
            match self
                .socket
                .try_io(Interest::WRITABLE, || batch::send(&self.socket, datagrams))
            {
                Ok(sent) => {
                    queue.drain(..sent);
                    rim.counters.sent.add(sent);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked.store(true, Ordering::Relaxed);
                    self.newly_blocked.notify_one();
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // The first one cannot be sent at all.
                    if let Some((to, bytes)) = queue.pop_front() {
                        tracing::debug!(%to, bytes = bytes.len(), %error, "a datagram could not be sent");
                        rim.counters.dropped.add(1);
                        // RFC 3261 §18.4: who sends is told that the peer is unreachable. That one datagram is too
                        // long says nothing of the peer.
                        if error.raw_os_error() != Some(nix::libc::EMSGSIZE) {
                            rim.shards.try_closed(self.flow(to));
                        }
                    }
                }
            }
        }
    }

    /// The flow of a peer.
    pub(crate) fn flow(&self, remote: SocketAddr) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: self.local,
            remote,
            id: 0,
        }
    }

    /// Reads a batch.
    pub(crate) async fn receive(&self, buffers: &mut Buffers) -> io::Result<()> {
        let receive = || batch::receive(&self.socket, buffers);
        self.socket.async_io(Interest::READABLE, receive).await
    }

    /// Waits until the kernel has room for what it did not take.
    pub(crate) async fn has_room(&self) -> io::Result<()> {
        // The flag, and not the notification, is what counts: this future is dropped whenever a datagram comes first.
        if !self.blocked.load(Ordering::Relaxed) {
            self.newly_blocked.notified().await;
        }
        self.socket.writable().await
    }
}
