//! What the `h2` crate does not let a server do: allow another number of streams later on, say GOAWAY with a reason
//! and a last stream of our choice, fall silent, reset. This wraps the connection below `h2`, has the frames that pass
//! looked at and two kinds rewritten, and everything else pass unchanged.

use super::{
    frames::{Inbound, Outbound},
    locked,
};
use bytes::{Buf, Bytes, BytesMut};
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
};
use tokio_rustls::server::TlsStream;

/// Bytes waiting for the socket; at this many `h2` has to wait.
const MOST_WAITING: usize = 256 * 1024;

/// How the engine tells the wire what to write into the frames that pass.
#[derive(Clone)]
pub(super) struct WireControl {
    shared: Arc<Shared>,
}

struct Shared {
    orders: Mutex<Orders>,
    /// Told when the client acknowledged SETTINGS.
    acknowledged: Notify,
}

struct Orders {
    /// Goes into every SETTINGS frame.
    streams: u32,
    /// What the client acknowledged last.
    acknowledged: u32,
    /// Sent and not acknowledged yet, oldest first.
    unacknowledged: VecDeque<u32>,
    go_away: Option<GoAway>,
    reset: bool,
    frozen: bool,
}

/// What goes into a GOAWAY frame.
#[derive(Clone)]
pub(super) struct GoAway {
    /// Streams above this one were not processed.
    pub(super) last_stream: u32,
    /// Debug data: JSON with Apple's `reason`.
    pub(super) debug: Bytes,
}

impl WireControl {
    /// The first SETTINGS will allow `streams` at once.
    pub(super) fn new(streams: u32) -> Self {
        Self {
            shared: Arc::new(Shared {
                orders: Mutex::new(Orders {
                    streams,
                    acknowledged: streams,
                    unacknowledged: VecDeque::new(),
                    go_away: None,
                    reset: false,
                    frozen: false,
                }),
                acknowledged: Notify::new(),
            }),
        }
    }

    /// What SETTINGS say from now on.
    pub(super) fn set_streams(&self, streams: u32) {
        self.orders().streams = streams;
    }

    /// What SETTINGS said last, or will say in the frame that is on its way.
    pub(super) fn streams(&self) -> u32 {
        self.orders().streams
    }

    /// How many streams the client may believe that it may open: a new limit binds it once it has acknowledged it
    /// (RFC 9113 §6.5.3).
    pub(super) fn streams_in_force(&self) -> u32 {
        let orders = self.orders();
        let unacknowledged = orders.unacknowledged.iter().copied().max();
        orders.acknowledged.max(unacknowledged.unwrap_or(0))
    }

    /// Comes back when the client has acknowledged SETTINGS.
    pub(super) async fn acknowledged(&self) {
        self.shared.acknowledged.notified().await;
    }

    /// What every GOAWAY from now on says.
    pub(super) fn set_go_away(&self, go_away: GoAway) {
        self.orders().go_away = Some(go_away);
    }

    /// Closing the connection becomes a TCP reset.
    pub(super) fn reset_on_close(&self) {
        self.orders().reset = true;
    }

    /// Nothing is read or written any more, from this moment on.
    pub(super) fn freeze(&self) {
        self.orders().frozen = true;
    }

    /// SETTINGS go out: what they say.
    pub(super) fn send_settings(&self) -> u32 {
        let mut orders = self.orders();
        let streams = orders.streams;
        orders.unacknowledged.push_back(streams);
        streams
    }

    /// The client acknowledged the oldest SETTINGS that it had not.
    pub(super) fn take_acknowledgement(&self) {
        let mut orders = self.orders();
        if let Some(streams) = orders.unacknowledged.pop_front() {
            orders.acknowledged = streams;
        }
        drop(orders);
        self.shared.acknowledged.notify_one();
    }

    /// A GOAWAY goes out: what it says, if that was ordered.
    pub(super) fn send_go_away(&self) -> Option<GoAway> {
        self.orders().go_away.clone()
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        locked(&self.shared.orders)
    }
}

/// A TLS connection whose HTTP/2 frames are looked at, and two of them rewritten.
pub(super) struct Wire {
    io: TlsStream<TcpStream>,
    control: WireControl,
    inbound: Inbound,
    outbound: Outbound,
    waiting: BytesMut,
}

impl Wire {
    pub(super) fn new(io: TlsStream<TcpStream>, control: WireControl) -> Self {
        Self {
            io,
            control,
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            waiting: BytesMut::new(),
        }
    }

    fn poll_write_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.control.orders().frozen {
            return Poll::Pending;
        }
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.control.orders().reset {
            // Nothing to be done if the socket is gone already.
            let _ = self.io.get_ref().0.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.control.orders().frozen {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.inbound.look(&buf.filled()[before..], &this.control);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.waiting.len() >= MOST_WAITING {
            ready!(this.poll_write_waiting(cx))?;
        }
        this.outbound.pass(buf, &mut this.waiting, &this.control);
        if let Poll::Ready(result) = this.poll_write_waiting(cx) {
            result?;
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_write_waiting(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_write_waiting(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
