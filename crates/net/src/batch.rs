//! Datagrams in batches: one system call for up to [`BATCH`] of them, where the system has such a call.
//!
//! The kernel is most of what a small datagram costs, so its calls are what to save. Both directions never block and
//! report `WouldBlock` like any other non-blocking socket call.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::UdpSocket;

#[cfg(target_os = "linux")]
pub(crate) use linux::{receive, send};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{receive, send};

/// Datagrams moved by one call.
pub(crate) const BATCH: usize = 32;

/// The longest datagram that IP can carry, and so the size of each receive buffer.
const DATAGRAM: usize = 65_535;

/// A datagram and its other end: where it came from or where it goes.
pub(crate) type Datagram = (SocketAddr, Bytes);

/// Room for one batch. The pages are touched only as far as datagrams reach.
pub(crate) struct Buffers(Box<[u8]>);

impl Buffers {
    pub(crate) fn new() -> Self {
        Self(vec![0; BATCH * DATAGRAM].into_boxed_slice())
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{IoSlice, IoSliceMut};
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

    use super::{BATCH, Buffers, Bytes, DATAGRAM, Datagram, SocketAddr, UdpSocket, io};

    /// Appends what has arrived, in order, up to one batch.
    pub(crate) fn receive(
        socket: &UdpSocket,
        buffers: &mut Buffers,
        into: &mut Vec<Datagram>,
    ) -> io::Result<()> {
        let mut slices: Vec<_> = buffers
            .0
            .chunks_mut(DATAGRAM)
            .map(|chunk| [IoSliceMut::new(chunk)])
            .collect();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        )?;
        into.extend(received.filter_map(|message| {
            let bytes = Bytes::copy_from_slice(message.iovs().next().unwrap_or_default());
            Some((message.address.as_ref().and_then(socket_addr)?, bytes))
        }));
        Ok(())
    }

    /// Sends the first datagrams of `datagrams`, up to one batch; answers how many went out. An error speaks of the
    /// first one.
    pub(crate) fn send(socket: &UdpSocket, datagrams: &[Datagram]) -> io::Result<usize> {
        let batch = &datagrams[..datagrams.len().min(BATCH)];
        let slices: Vec<_> = batch
            .iter()
            .map(|(_, bytes)| [IoSlice::new(bytes)])
            .collect();
        let addresses: Vec<_> = batch
            .iter()
            .map(|(to, _)| Some(SockaddrStorage::from(*to)))
            .collect();
        let mut headers = MultiHeaders::preallocate(batch.len(), None);
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut headers,
            slices.iter(),
            addresses,
            [],
            MsgFlags::MSG_DONTWAIT,
        )?
        .count();
        Ok(sent)
    }

    fn socket_addr(storage: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = storage
            .as_sockaddr_in()
            .map(|v4| SocketAddr::V4((*v4).into()));
        v4.or_else(|| {
            storage
                .as_sockaddr_in6()
                .map(|v6| SocketAddr::V6((*v6).into()))
        })
    }
}

/// One call a datagram, for systems without batch calls. Compiled for tests everywhere, so that it stays right.
#[cfg(any(test, not(target_os = "linux")))]
mod portable {
    use super::{BATCH, Buffers, Bytes, DATAGRAM, Datagram, UdpSocket, io};

    pub(crate) fn receive(
        socket: &UdpSocket,
        buffers: &mut Buffers,
        into: &mut Vec<Datagram>,
    ) -> io::Result<()> {
        for received in 0..BATCH {
            match socket.try_recv_from(&mut buffers.0[..DATAGRAM]) {
                Ok((length, from)) => {
                    into.push((from, Bytes::copy_from_slice(&buffers.0[..length])));
                }
                Err(error) if received == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(())
    }

    pub(crate) fn send(socket: &UdpSocket, datagrams: &[Datagram]) -> io::Result<usize> {
        for (sent, (to, bytes)) in datagrams.iter().take(BATCH).enumerate() {
            match socket.try_send_to(bytes, *to) {
                Ok(_) => {}
                Err(error) if sent == 0 => return Err(error),
                Err(_) => return Ok(sent),
            }
        }
        Ok(datagrams.len().min(BATCH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::io::Interest;

    /// Sends more than one batch from one socket to another by the calls of `$module`.
    macro_rules! keeps_order_and_content {
        ($module:ident) => {
            #[tokio::test]
            async fn $module() {
                let bind = || async { UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap() };
                let (from, to) = (bind().await, bind().await);
                let address = to.local_addr().unwrap();
                let sent: Vec<Datagram> = (0..50)
                    .map(|n| (address, Bytes::from(vec![b'x'; n * 10])))
                    .collect();
                let mut rest = sent.as_slice();
                while !rest.is_empty() {
                    from.writable().await.unwrap();
                    if let Ok(count) = super::$module::send(&from, rest) {
                        assert!((1..=BATCH).contains(&count));
                        rest = &rest[count..];
                    }
                }
                let mut buffers = Buffers::new();
                let mut received = Vec::new();
                while received.len() < sent.len() {
                    to.async_io(Interest::READABLE, || {
                        super::$module::receive(&to, &mut buffers, &mut received)
                    })
                    .await
                    .unwrap();
                }
                let from = from.local_addr().unwrap();
                let expected: Vec<Datagram> =
                    sent.into_iter().map(|(_, bytes)| (from, bytes)).collect();
                assert_eq!(received, expected);
            }
        };
    }

    #[cfg(target_os = "linux")]
    keeps_order_and_content!(linux);
    keeps_order_and_content!(portable);
}
