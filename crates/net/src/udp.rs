//! One UDP socket: a task that reads it in batches, and a queue that is sent in batches.

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
use crate::delivery::Delivery;
use crate::framing::sip;
use crate::shared::Shared;

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
    pub(crate) fn send(&self, shared: &Shared, to: SocketAddr, bytes: Bytes) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() >= shared.limits.udp_send_queue {
            shared.counters.dropped.add(1);
            return;
        }
        queue.push_back((to, bytes));
        if queue.len().is_multiple_of(BATCH) {
            self.drain(shared, &mut queue);
        }
    }

    /// Sends what is queued. What the kernel does not take now goes out when it has room.
    pub(crate) fn flush(&self, shared: &Shared) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.drain(shared, &mut queue);
    }

    fn drain(&self, shared: &Shared, queue: &mut VecDeque<Datagram>) {
        self.blocked.store(false, Ordering::Relaxed);
        while !queue.is_empty() {
            let datagrams = queue.make_contiguous();
            match self
                .socket
                .try_io(Interest::WRITABLE, || batch::send(&self.socket, datagrams))
            {
                Ok(sent) => {
                    queue.drain(..sent);
                    shared.counters.sent.add(sent);
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
                        shared.counters.dropped.add(1);
                        // RFC 3261 §18.4: who sends is told that the peer is unreachable. That one datagram is too
                        // long says nothing of the peer.
                        if error.raw_os_error() != Some(nix::libc::EMSGSIZE) {
                            shared.emit_failed(self.flow(to));
                        }
                    }
                }
            }
        }
    }

    fn flow(&self, remote: SocketAddr) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: self.local,
            remote,
            id: 0,
        }
    }

    /// Reads until we stop. A full event queue pauses reading (also of what is for other shards than the one that is
    /// full): then the kernel drops, as it must.
    pub(crate) async fn run(&self, shared: &Shared) {
        let mut buffers = Buffers::new();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let received = tokio::select! {
                received = self.socket.async_io(Interest::READABLE, || batch::receive(&self.socket, &mut buffers, &mut batch)) => received,
                () = self.flush_when_unblocked(shared) => continue,
                () = shared.stop.cancelled() => break,
            };
            if let Err(error) = received {
                // An ICMP error for something that we sent; the socket itself stays good.
                tracing::debug!(local = %self.local, %error, "reading datagrams failed");
                tokio::task::yield_now().await;
            }
            let mut delivery = Delivery::new(shared);
            let mut replied = false;
            for (from, octets) in batch.drain(..) {
                if !is_keep_alive(&octets) {
                    let framed = sip::message(self.flow(from), &octets, &shared.limits.message);
                    delivery.take(framed, |reply| {
                        self.send(shared, from, reply);
                        replied = true;
                    });
                }
            }
            if replied {
                // The shard whose socket this is may have nothing to do that would flush it.
                self.flush(shared);
            }
            delivery.hand_over().await;
        }
        self.flush(shared);
    }

    async fn flush_when_unblocked(&self, shared: &Shared) {
        // The flag, and not the notification, is what counts: this future is dropped whenever a datagram comes first.
        if !self.blocked.load(Ordering::Relaxed) {
            self.newly_blocked.notified().await;
        }
        if self.socket.writable().await.is_ok() {
            self.flush(shared);
        }
    }
}

/// Phones keep a NAT's pinhole open with datagrams of nothing but line ends or zeros.
fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}
