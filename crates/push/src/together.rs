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
///
/// It is read a share at a time, and between two shares whoever was waiting has its turn. Otherwise hundreds of streams come to go in step: all their
/// answers are read, then all their next requests are written, and of both sides one is always waiting for the other.
#[derive(Debug)]
pub struct Together<S> {
    stream: S,
    /// Octets that are read before what they brought has its turn.
    share: usize,
    /// They were.
    is_due: bool,
}

impl<S> Together<S> {
    /// Over this one, of which so many octets are read at a time.
    pub fn over(stream: S, share: usize) -> Self {
        Self {
            stream,
            share,
            is_due: false,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Together<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.is_due) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let share = buffer.remaining().min(self.share);
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(share));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let length = part.filled().len();
        buffer.advance(length);
        self.is_due = length == share;
        Poll::Ready(Ok(()))
    }
}

// `is_write_vectored` says no, as it does unless it is told otherwise.
impl<S: AsyncWrite + Unpin> AsyncWrite for Together<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{Request, Response};
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Waker,
    };
    use tokio::io::{DuplexStream, duplex};

    #[test]
    fn between_two_shares_whoever_was_waiting_has_its_turn() {
        let octets = [7; 250];
        let mut together = Together::over(&octets[..], 100);
        let mut cx = Context::from_waker(Waker::noop());
        let mut read = || {
            let mut octets = [0; 150];
            let mut buffer = ReadBuf::new(&mut octets);
            let polled = Pin::new(&mut together).poll_read(&mut cx, &mut buffer);
            polled.map(|it| it.map(|()| buffer.filled().len()).unwrap())
        };
        let read: Vec<_> = std::iter::repeat_with(&mut read).take(6).collect();
        let ready = Poll::Ready;
        let expected = [ready(100), Poll::Pending, ready(100), Poll::Pending];
        assert_eq!(read[..4], expected);
        // Less than a share was all that there is.
        assert_eq!(read[4..], [ready(50), ready(0)]);
    }

    /// Counts writes.
    struct Counting(DuplexStream, Arc<AtomicUsize>);

    impl AsyncRead for Counting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            octets: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut self.0).poll_write(cx, octets)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }

        // As TLS says: `h2` would then have written each body apart.
        fn is_write_vectored(&self) -> bool {
            true
        }
    }

    async fn cloud(stream: DuplexStream) {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let response = Response::new(());
            respond.send_response(response, true).unwrap();
        }
    }

    #[tokio::test]
    async fn requests_of_many_tasks_leave_in_few_writes() {
        const REQUESTS: usize = 40;
        let (ours, theirs) = duplex(1 << 20);
        let writes = Arc::new(AtomicUsize::new(0));
        let stream = Together::over(Counting(ours, writes.clone()), 1 << 20);
        let served = tokio::spawn(cloud(theirs));
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let driven = tokio::spawn(patient(connection));
        let mut sender = sender.ready().await.unwrap();
        let ask = |sender: &mut h2::client::SendRequest<Bytes>| {
            let request = Request::post("https://cloud.example/3/device/1").body(());
            let (response, mut body) = sender.send_request(request.unwrap(), false).unwrap();
            body.send_data(Bytes::from_static(&[b' '; 400]), true)
                .unwrap();
            response
        };
        // The first brings the other side's SETTINGS.
        ask(&mut sender).await.unwrap();
        let before = writes.load(Ordering::Relaxed);
        let all: Vec<_> = (0..REQUESTS)
            .map(|_| {
                let mut sender = sender.clone();
                tokio::spawn(async move { ask(&mut sender).await.unwrap().status() })
            })
            .collect();
        for one in all {
            assert_eq!(one.await.unwrap(), 200);
        }
        let took = writes.load(Ordering::Relaxed) - before;
        assert!(took <= REQUESTS / 4, "{took} writes");
        drop(sender);
        driven.await.unwrap().unwrap();
        served.await.unwrap();
    }
}
