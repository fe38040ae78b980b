//! Small frames of HTTP/2 that leave together. Each write over TLS is a record and a call of the system, which cost more than all else that a
//! push takes; so what many tasks have to say goes into one. [`Together`] makes room for that in `h2`, [`patient`] lets the others speak first.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
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

/// Drives a connection that, when it is woken, lets all tasks run first that are ready to: what they have to send is then sent at once. With nobody
/// else ready it loses no time.
pub async fn patient<F: Future>(connection: F) -> F::Output {
    let mut connection = pin!(connection);
    let mut others = pin!(yield_now());
    poll_fn(|cx| {
        ready!(others.as_mut().poll(cx));
        others.set(yield_now());
        connection.as_mut().poll(cx)
    })
    .await
}
