//! What a peer says first, looked at where it lies: in the system's buffer. Nothing is made for a connection before enough is there, so
//! whoever says a part of it and no more costs what whoever says nothing does.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Waits until what a peer has said first tells something, and says what; `None` of `tells` waits for more. So many octets at most are
/// looked at, and all are still to be read.
///
/// # Errors
/// The connection ended before, or so many octets tell nothing.
pub async fn first<const MOST: usize, T>(
    stream: &TcpStream,
    tells: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<T> {
    loop {
        let ready = stream.ready(Interest::READABLE).await?;
        // Whoever is not satisfied waits for more than there was: that the same octets are still there is no news.
        let looked = stream.try_io(Interest::READABLE, || look::<MOST, T>(stream, &tells));
        match looked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            looked => return looked,
        }
        if ready.is_read_closed() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn look<const MOST: usize, T>(
    stream: &TcpStream,
    tells: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<T> {
    let mut octets = [0; MOST];
    let length = recv(stream.as_raw_fd(), &mut octets, MsgFlags::MSG_PEEK)?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let beyond = if length == MOST {
        io::ErrorKind::InvalidData
    } else {
        io::ErrorKind::WouldBlock
    };
    tells(&octets[..length]).ok_or_else(|| beyond.into())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::task::{Context, Waker};
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    pub(crate) async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    fn ends_with_x(octets: &[u8]) -> Option<usize> {
        octets.ends_with(b"x").then_some(octets.len())
    }

    #[tokio::test]
    async fn it_is_looked_at_when_there_is_more_and_nothing_is_taken() {
        let (mut client, server) = pair().await;
        let looked = std::cell::Cell::new(0);
        let mut first = Box::pin(first::<8, _>(&server, |octets| {
            looked.set(looked.get() + 1);
            ends_with_x(octets)
        }));
        let mut look = || {
            let polled = first.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            polled.is_pending()
        };
        for octet in b"abc" {
            client.write_all(&[*octet]).await.unwrap();
            server.readable().await.unwrap();
            for _ in 0..10 {
                assert!(look());
            }
        }
        assert!(looked.get() <= 3, "{} times", looked.get());
        client.write_all(b"x").await.unwrap();
        assert_eq!(first.await.unwrap(), 4);
        assert_eq!(server.peek(&mut [0; 8]).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn what_is_too_long_is_not_waited_for() {
        let (mut client, server) = pair().await;
        client.write_all(b"12345678x").await.unwrap();
        let error = first::<8, _>(&server, ends_with_x).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn who_goes_before_it_is_enough_is_gone() {
        for said in ["", "a", "abc"] {
            let (mut client, server) = pair().await;
            client.write_all(said.as_bytes()).await.unwrap();
            drop(client);
            let error = first::<8, _>(&server, ends_with_x).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{said}");
        }
    }
}
