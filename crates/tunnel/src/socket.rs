//! The UDP socket below QUIC. Tokio's own asks to be told of room as well as of what comes, so whoever sends is woken once more for each packet
//! that has left, and looks in vain whether a second one has come behind each that it read. This one asks for room only when there is none.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{
    AsyncTimer, AsyncUdpSocket, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, UdpPoller,
};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A burst of all clients waits here while the process is not scheduled. The kernel may grant less.
const BUFFER: usize = 4 << 20;

/// What speaks QUIC at this address; a server too, if it is to be dialled.
pub(crate) fn endpoint(at: SocketAddr, server: Option<ServerConfig>) -> io::Result<Endpoint> {
    let socket = UdpSocket::bind(at)?;
    let options = SockRef::from(&socket);
    options.set_recv_buffer_size(BUFFER)?;
    options.set_send_buffer_size(BUFFER)?;
    Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(Runtime))
}

/// Tokio's, but for the socket.
#[derive(Debug)]
struct Runtime;

impl quinn::Runtime for Runtime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        TokioRuntime.spawn(future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(Socket::new(socket)?))
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

#[derive(Debug)]
struct Socket {
    /// Says when something comes, and nothing else.
    socket: AsyncFd<UdpSocket>,
    state: UdpSocketState,
}

impl Socket {
    fn new(socket: UdpSocket) -> io::Result<Self> {
        // It does not block from then on.
        let state = UdpSocketState::new((&socket).into())?;
        let socket = told(socket, Interest::READABLE)?;
        Ok(Self { socket, state })
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
        self.state.send(self.socket.get_ref().into(), transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        room: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut is_ready = ready!(self.socket.poll_read_ready(context))?;
            let received = self.state.recv(self.socket.get_ref().into(), room, metas);
            match received {
                Ok(count) => {
                    // Had there been more, there would be more: what comes later is told anew.
                    if count < room.len() {
                        is_ready.clear_ready();
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => is_ready.clear_ready(),
                // Of something that was sent; the socket itself stays good.
                Err(error) => tracing::debug!(%error, "reading the tunnel's datagrams failed"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
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
        let waits = match &mut this.waits {
            Some(waits) => waits,
            none => {
                let socket = this.socket.socket.get_ref().try_clone()?;
                none.insert(told(socket, Interest::WRITABLE)?)
            }
        };
        let has_room = ready!(waits.poll_write_ready(context)).map(drop);
        this.waits = None;
        Poll::Ready(has_room)
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}
