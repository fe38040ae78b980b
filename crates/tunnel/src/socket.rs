//! The UDP socket below QUIC. Tokio's own asks to be told of room as well as of what comes, so whoever sends is woken once more for each packet
//! that has left, and looks in vain whether a second one has come behind each that it read. This one asks for room only when there is none.

use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use quinn::udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, UdpPoller};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::first_packets::FirstPackets;

/// A burst of all clients waits here while the process is not scheduled. The kernel may grant less.
const BUFFER: usize = 4 << 20;

/// So much is read at once where little comes, since room for more makes a read dearer. What one side sent together counts as one.
const LITTLE: usize = 4;

/// What is dialled at this address, by first packets that are let in.
pub(crate) fn listening(
    at: SocketAddr,
    config: ServerConfig,
    first: Arc<FirstPackets>,
) -> io::Result<Endpoint> {
    endpoint(at, Some(config), Some(first))
}

/// What dials, from this address.
pub(crate) fn dialling(from: SocketAddr) -> io::Result<Endpoint> {
    endpoint(from, None, None)
}

fn endpoint(
    at: SocketAddr,
    server: Option<ServerConfig>,
    first: Option<Arc<FirstPackets>>,
) -> io::Result<Endpoint> {
    let socket = UdpSocket::bind(at)?;
    let options = SockRef::from(&socket);
    options.set_recv_buffer_size(BUFFER)?;
    options.set_send_buffer_size(BUFFER)?;
    let socket = Arc::new(Socket::new(socket, first)?);
    let config = EndpointConfig::default();
    Endpoint::new_with_abstract_socket(config, server, socket, Arc::new(TokioRuntime))
}

#[derive(Debug)]
struct Socket {
    /// Says when something comes, and nothing else.
    udp: AsyncFd<UdpSocket>,
    state: UdpSocketState,
    /// What was read last had no room left.
    has_much: AtomicBool,
    /// The kernel had no room for what was sent last.
    is_full: AtomicBool,
    /// Says which first packets are let in; all, where there is none.
    first: Option<Arc<FirstPackets>>,
}

impl Socket {
    fn new(socket: UdpSocket, first: Option<Arc<FirstPackets>>) -> io::Result<Self> {
        // It does not block from then on.
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self {
            udp: told(socket, Interest::READABLE)?,
            state,
            has_much: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
            first,
        })
    }

    /// Leaves nothing of what is not let in.
    fn turn_away(&self, octets: &[IoSliceMut<'_>], metas: &mut [RecvMeta]) {
        let Some(first) = &self.first else {
            return;
        };
        for (octets, meta) in octets.iter().zip(metas) {
            let packet = &octets[..meta.len];
            let count = meta.len.div_ceil(meta.stride.max(1));
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            if !first.lets_in(packet, count, meta.addr.ip(), Instant::now()) {
                meta.len = 0;
            }
        }
    }
}

/// We are told of this about a socket, and of nothing else.
#[expect(
    deprecated,
    reason = "what came in its place is unsafe for what does not own its descriptor; a socket does"
)]
fn told(socket: UdpSocket, of: Interest) -> io::Result<AsyncFd<UdpSocket>> {
    AsyncFd::with_interest(socket, of)
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Room {
            socket: self,
            waits: None,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sent = self.state.send(self.udp.get_ref().into(), transmit);
        if matches!(&sent, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            self.is_full.store(true, Ordering::Relaxed);
        }
        sent
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        room: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let most = if self.has_much.load(Ordering::Relaxed) {
            room.len().min(BATCH_SIZE)
        } else {
            room.len().min(LITTLE)
        };
        loop {
            let mut is_ready = ready!(self.udp.poll_read_ready(context))?;
            let udp = self.udp.get_ref().into();
            let received = self.state.recv(udp, &mut room[..most], metas);
            match received {
                Ok(count) => {
                    // Had there been more, there would be more: what comes later is told anew.
                    if count < most {
                        is_ready.clear_ready();
                    }
                    self.has_much.store(count == most, Ordering::Relaxed);
                    self.turn_away(room, &mut metas[..count]);
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => is_ready.clear_ready(),
                // Of something that was sent; the socket itself stays good.
                Err(error) => tracing::debug!(%error, "reading the tunnel's datagrams failed"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.udp.get_ref().local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// Waits for room in the socket, by a descriptor of its own, which is there only while somebody waits.
struct Room {
    socket: Arc<Socket>,
    waits: Option<AsyncFd<UdpSocket>>,
}

impl UdpPoller for Room {
    fn poll_writable(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // Asked before each packet is sent.
        if !this.socket.is_full.load(Ordering::Relaxed) {
            this.waits = None;
            return Poll::Ready(Ok(()));
        }
        if this.waits.is_none() {
            let socket = this.socket.udp.get_ref().try_clone();
            this.waits = socket.and_then(|it| told(it, Interest::WRITABLE)).ok();
        }
        let Some(waits) = &mut this.waits else {
            // No descriptor is left, or no memory. An error would end what drives the connection, and nobody would hear of it: so it is
            // tried again.
            context.waker().wake_by_ref();
            return Poll::Pending;
        };
        let has_room = ready!(waits.poll_write_ready(context)).map(drop);
        this.socket.is_full.store(false, Ordering::Relaxed);
        this.waits = None;
        Poll::Ready(has_room)
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Waker;

    fn socket() -> Arc<Socket> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Arc::new(Socket::new(socket, None).unwrap())
    }

    #[tokio::test]
    async fn who_finds_no_room_waits_for_some_and_nobody_else_does() {
        let socket = socket();
        let mut room = socket.clone().create_io_poller();
        let mut nobody = Context::from_waker(Waker::noop());
        assert!(room.as_mut().poll_writable(&mut nobody).is_ready());
        socket.is_full.store(true, Ordering::Relaxed);
        assert!(room.as_mut().poll_writable(&mut nobody).is_pending());
        poll_fn(|context| room.as_mut().poll_writable(context))
            .await
            .unwrap();
        assert!(room.as_mut().poll_writable(&mut nobody).is_ready());
    }

    #[tokio::test]
    async fn nobody_is_told_of_room_when_another_has_found_it() {
        let socket = socket();
        let room = || Room {
            socket: socket.clone(),
            waits: None,
        };
        let (mut one, mut other) = (room(), room());
        let mut nobody = Context::from_waker(Waker::noop());
        socket.is_full.store(true, Ordering::Relaxed);
        for room in [&mut one, &mut other] {
            assert!(Pin::new(room).poll_writable(&mut nobody).is_pending());
        }
        poll_fn(|context| Pin::new(&mut one).poll_writable(context))
            .await
            .unwrap();
        assert!(one.waits.is_none() && other.waits.is_some());
        assert!(Pin::new(&mut other).poll_writable(&mut nobody).is_ready());
        assert!(other.waits.is_none());
    }

    #[tokio::test]
    async fn what_comes_after_all_was_read_is_told_anew() {
        let (one, other) = (socket(), socket());
        let to = one.local_addr().unwrap();
        let mut octets = [[0; 8]; 2];
        for said in [b"first", b"later"] {
            other.udp.get_ref().send_to(said, to).unwrap();
            let count = poll_fn(|context| {
                let mut room = octets.each_mut().map(|it| IoSliceMut::new(it));
                let mut metas = [RecvMeta::default(); 2];
                one.poll_recv(context, &mut room, &mut metas)
            });
            assert_eq!(count.await.unwrap(), 1);
            assert_eq!(&octets[0][..said.len()], said);
        }
    }
}
