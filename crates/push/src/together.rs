//! Small frames of HTTP/2 that leave together. Each write over TLS is a record and a call of the system, which cost more than all else that a
//! push takes; so what many tasks have to say goes into one. [`Together`] makes room for that in `h2`, [`Patient`] lets the others speak first.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
};

/// A stream that is written to from one buffer at a time. `h2` copies DATA frames of up to a kilobyte behind the frames before them where that is so;
/// otherwise each of more than 256 octets would be a write of its own.
#[derive(Debug)]
pub struct Together<S>(pub S);

impl<S: AsyncRead + Unpin> AsyncRead for Together<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

// `is_write_vectored` says no, as it does unless it is told otherwise.
impl<S: AsyncWrite + Unpin> AsyncWrite for Together<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A connection that, when it is woken, lets all tasks run first that are ready to: what they have to send is then sent at once. With nobody else
/// ready it loses no time.
pub struct Patient<F> {
    connection: F,
    others: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<F> Patient<F> {
    /// Drives this one.
    pub fn new(connection: F) -> Self {
        Self {
            connection,
            others: None,
        }
    }
}

impl<F: Future + Unpin> Future for Patient<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let others = self.others.get_or_insert_with(|| Box::pin(yield_now()));
        ready!(others.as_mut().poll(cx));
        self.others = None;
        Pin::new(&mut self.connection).poll(cx)
    }
}
