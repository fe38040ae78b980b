//! What a peer says first in TLS.

use std::io;

use tokio::net::TcpStream;

use crate::peek;

/// Octets that are looked at, which no client needs: one record of TLS has no more.
const LOOKED_AT: usize = 16_384;

/// The types of a record and of a message in TLS, and the length of what stands before the latter's content.
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const MESSAGE: usize = 4;

/// Waits until a peer has said all of its first message in TLS, or what is none; what it said is still to be read.
///
/// # Errors
/// The connection ended before, or what it says first is too long.
pub(crate) async fn comes(stream: &TcpStream) -> io::Result<()> {
    peek::first::<LOOKED_AT, _>(stream, |octets| is_enough(octets).then_some(())).await
}

/// Whether nothing more is to be waited for.
fn is_enough(mut octets: &[u8]) -> bool {
    // A message may be in several records.
    let (mut header, mut length) = (Vec::with_capacity(MESSAGE), 0);
    while let Some((&record, rest)) = octets.split_first() {
        if record != HANDSHAKE {
            return true;
        }
        let Some((&[_, _, high, low], rest)) = rest.split_first_chunk() else {
            return false;
        };
        let content = usize::from(u16::from_be_bytes([high, low]));
        let there = &rest[..content.min(rest.len())];
        header.extend(there.iter().take(MESSAGE - header.len()));
        if header
            .first()
            .is_some_and(|&message| message != CLIENT_HELLO)
        {
            return true;
        }
        length += there.len();
        if let [_, high, middle, low] = header[..]
            && length >= MESSAGE + u32::from_be_bytes([0, high, middle, low]) as usize
        {
            return true;
        }
        octets = &rest[there.len()..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peek::tests::pair;
    use std::sync::Arc;
    use std::task::{Context, Waker};
    use tokio::io::AsyncWriteExt;

    fn hello() -> Vec<u8> {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let config = crate::client_config(issued.cert.pem().as_bytes()).unwrap();
        let name = "localhost".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut octets = Vec::new();
        client.write_tls(&mut octets).unwrap();
        octets
    }

    /// The same message in records of so many octets.
    fn in_records(hello: &[u8], of: usize) -> Vec<u8> {
        let record = |content: &[u8]| {
            let length = u16::try_from(content.len()).unwrap().to_be_bytes();
            [&hello[..3], &length, content].concat()
        };
        hello[5..].chunks(of).flat_map(record).collect()
    }

    #[test]
    fn it_is_enough_when_it_is_whole_and_no_octet_sooner() {
        let hello = hello();
        for octets in [
            hello.clone(),
            in_records(&hello, 1),
            in_records(&hello, 100),
        ] {
            for length in 0..octets.len() {
                assert!(!is_enough(&octets[..length]), "{length}");
            }
            assert!(is_enough(&octets));
        }
    }

    #[test]
    fn what_is_no_hello_is_not_waited_for() {
        for octets in [&b"GET / HTTP/1.1\r\n"[..], &[21], &[22, 3, 1, 0, 9, 2]] {
            assert!(is_enough(octets), "{octets:?}");
        }
        let empty = [22, 3, 1, 0, 0].repeat(100);
        assert!(!is_enough(&empty));
    }

    #[tokio::test]
    async fn who_says_it_octet_by_octet_is_heard_when_it_is_whole_and_nothing_is_taken() {
        let (mut client, server) = pair().await;
        let hello = hello();
        let mut comes = Box::pin(comes(&server));
        for octet in &hello {
            let polled = comes.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            client.write_all(&[*octet]).await.unwrap();
        }
        comes.await.unwrap();
        let mut there = vec![0; hello.len() + 1];
        assert_eq!(server.peek(&mut there).await.unwrap(), hello.len());
    }
}
