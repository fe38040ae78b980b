//! What the `h2` crate does not let a server do: allow another number of streams later on, say GOAWAY with a reason
//! and a last stream of our choice, fall silent, reset. This wraps the connection below `h2`, has the frames that pass
//! looked at and two kinds rewritten, and everything else pass unchanged.

use super::{
    frames::{Inbound, Outbound},
    wire_control::WireControl,
};
use bytes::{Buf, BytesMut};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// Bytes waiting for the socket; at this many `h2` has to wait.
const MOST_WAITING: usize = 256 * 1024;

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
        if self.control.is_frozen() {
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
        if self.control.resets_on_close() {
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
        if this.control.is_frozen() {
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
