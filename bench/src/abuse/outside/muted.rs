//! A socket by which only the first packets leave: whoever has it falls silent, and does not say so.

use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use std::{
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

/// See the module.
#[derive(Debug)]
pub(super) struct Muted {
    socket: Arc<dyn AsyncUdpSocket>,
    left: AtomicUsize,
}

impl Muted {
    /// By which so many leave.
    pub(super) fn after(packets: usize, socket: Arc<dyn AsyncUdpSocket>) -> Self {
        Self {
            socket,
            left: AtomicUsize::new(packets),
        }
    }
}

impl AsyncUdpSocket for Muted {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Ok(());
        }
        self.socket.try_send(transmit)?;
        self.left.store(left - 1, Ordering::Relaxed);
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }
}
