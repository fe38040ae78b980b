//! Whether a peer takes what we answer. One that does not read, or opens no window of HTTP/2 (RFC 9113 §5.2), would have us keep its answers
//! for as long as it likes.

use axum::body::{Body, Bytes};
use hyper::body::{Buf, Frame, SizeHint};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};

/// A piece of an answer is to be taken within this time. We look as often, so who takes nothing is ended within twice that.
pub(super) const TAKEN: Duration = Duration::from_secs(15);
/// Octets of the largest piece.
const PIECE: usize = 16 * 1024;

/// What waits to be taken over one connection. All that begins to wait holds on to the present span of time; it has waited for too long
/// if it still does when the next span is over, too.
#[derive(Debug, Default, Clone)]
pub(super) struct Waiting(Arc<Mutex<Arc<()>>>);

impl Waiting {
    /// Returns when something has waited for too long.
    pub(super) async fn too_long(&self) {
        let mut over = Arc::default();
        loop {
            sleep(TAKEN).await;
            if Arc::strong_count(&over) > 1 {
                return;
            }
            over = std::mem::take(&mut *self.span());
        }
    }

    /// This answer, in pieces that wait.
    pub(super) fn answer(&self, body: Body) -> Answer {
        Answer {
            body,
            rest: Bytes::new(),
            waiting: self.clone(),
        }
    }

    /// This stream, which waits while it takes nothing.
    pub(super) fn over<S>(&self, stream: S) -> Taking<S> {
        Taking {
            stream,
            since: None,
            waiting: self.clone(),
        }
    }

    fn span(&self) -> MutexGuard<'_, Arc<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of an answer.
pub(super) struct Answer {
    body: Body,
    /// What is there of it, and is in no piece yet.
    rest: Bytes,
    waiting: Waiting,
}

/// Octets of an answer, which wait until all of them are written.
pub(super) struct Piece {
    octets: Bytes,
    _since: Arc<()>,
}

impl hyper::body::Body for Answer {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()? {
                None => return Poll::Ready(None),
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => {
                        let trailers = other.into_trailers().unwrap_or_default();
                        return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                    }
                },
            }
        }
        let length = self.rest.len().min(PIECE);
        let piece = Piece {
            octets: self.rest.split_to(length),
            _since: self.waiting.span().clone(),
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, more) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = more.upper() {
            hint.set_upper(rest + upper);
        }
        hint.set_lower(rest + more.lower());
        hint
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.octets.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.octets.chunk()
    }

    fn advance(&mut self, octets: usize) {
        self.octets.advance(octets);
    }
}

/// A stream over which answers are written.
pub(super) struct Taking<S> {
    stream: S,
    /// It took nothing when something was last written, nor since.
    since: Option<Arc<()>>,
    waiting: Waiting,
}

impl<S> Taking<S> {
    fn seen<T>(&mut self, written: Poll<T>) -> Poll<T> {
        if written.is_ready() {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(self.waiting.span().clone());
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taking<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taking<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.seen(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, octets);
        self.seen(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.seen(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.seen(shut)
    }
}
