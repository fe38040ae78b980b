//! One UDP socket: it is read in batches, and has a queue that is sent in batches. It asks to be told of what comes, and of room only when
//! there is none: else whatever has left would wake us once more.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use ::sip::endpoint::{Flow, Transport};
use bytes::Bytes;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
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
    /// Says when something comes, and nothing else.
    socket: AsyncFd<UdpSocket>,
    /// The same by a descriptor of its own, by which all is sent, and the task waits for room.
    writer: UdpSocket,
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
        socket.set_nonblocking(true)?;
        let writer = socket.try_clone()?;
        Ok(Self {
            socket: told(socket, Interest::READABLE)?,
            writer,
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
            match batch::send(&self.writer, datagrams) {
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

    /// Whether the kernel did not take all.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
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
        loop {
            let mut is_ready = self.socket.readable().await?;
            match batch::receive(self.socket.get_ref(), buffers) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => is_ready.clear_ready(),
                received => {
                    // What comes later is told anew.
                    if received.is_ok() && buffers.has_room() {
                        is_ready.clear_ready();
                    }
                    return received;
                }
            }
        }
    }

    /// Waits until the kernel has room for what it did not take.
    pub(crate) async fn has_room(&self) -> io::Result<()> {
        // The flag, and not the notification, is what counts: this future is dropped whenever a datagram comes first.
        if !self.is_blocked() {
            self.newly_blocked.notified().await;
        }
        let writer = told(self.writer.as_fd(), Interest::WRITABLE)?;
        writer.writable().await.map(drop)
    }
}

/// We are told of this about a socket, and of nothing else.
#[expect(
    deprecated,
    reason = "what came in its place is unsafe for what does not own its descriptor; a socket does, and one is lent for as long as this is there"
)]
pub(crate) fn told<S: AsFd + AsRawFd>(socket: S, of: Interest) -> io::Result<AsyncFd<S>> {
    AsyncFd::with_interest(socket, of)
}
