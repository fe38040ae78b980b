//! Datagrams in batches: one system call for up to [`BATCH`] of them, where the system has such a call.
//!
//! The kernel is most of what a small datagram costs, so its calls are what to save. Both directions never block and
//! report `WouldBlock` like any other non-blocking socket call.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use bytes::Bytes;

#[cfg(target_os = "linux")]
pub(crate) use linux::{receive, send};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{receive, send};

/// Datagrams moved by one call.
pub(crate) const BATCH: usize = 32;

/// The longest datagram that IP can carry, and so the size of each receive buffer.
const DATAGRAM: usize = 65_535;

/// Whoever has no address that we could answer at.
#[cfg(target_os = "linux")]
const NOBODY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

/// A datagram and its other end: where it came from or where it goes.
pub(crate) type Datagram = (SocketAddr, Bytes);

/// Room for one batch, and what was received last. The pages are touched only as far as datagrams reach.
pub(crate) struct Buffers {
    room: Box<[u8]>,
    /// Where each came from, and its length.
    received: Vec<(SocketAddr, usize)>,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self {
            room: vec![0; BATCH * DATAGRAM].into_boxed_slice(),
            received: Vec::with_capacity(BATCH),
        }
    }

    /// Whether there was room for more: then no more had arrived.
    pub(crate) fn has_room(&self) -> bool {
        self.received.len() < BATCH
    }

    /// What was received last, in order. What nobody wants is copied nowhere.
    pub(crate) fn received(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let rooms = self.room.chunks_exact(DATAGRAM);
        let each = self.received.iter().zip(rooms);
        each.map(|((from, length), room)| (*from, &room[..*length]))
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{IoSlice, IoSliceMut};
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

    use super::{BATCH, Buffers, DATAGRAM, Datagram, NOBODY, SocketAddr, UdpSocket, io};

    /// Takes what has arrived, in order, up to one batch; it is all that is there then, and nothing is after an error.
    pub(crate) fn receive(socket: &UdpSocket, buffers: &mut Buffers) -> io::Result<()> {
        let Buffers { room, received } = buffers;
        received.clear();
        let mut slices: Vec<_> = room
            .chunks_exact_mut(DATAGRAM)
            .map(|chunk| [IoSliceMut::new(chunk)])
            .collect();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
        let messages = recvmmsg(
            socket.as_raw_fd(),
            &mut headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        )?;
        // Each is where it is: what nobody can answer is as if it were empty.
        received.extend(messages.map(|message| {
            let from = message.address.as_ref().and_then(socket_addr);
            from.map_or((NOBODY, 0), |from| (from, message.bytes))
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
    use super::{BATCH, Buffers, DATAGRAM, Datagram, UdpSocket, io};

    pub(crate) fn receive(socket: &UdpSocket, buffers: &mut Buffers) -> io::Result<()> {
        let Buffers { room, received } = buffers;
        received.clear();
        for room in room.chunks_exact_mut(DATAGRAM) {
            match socket.recv_from(room) {
                Ok((length, from)) => received.push((from, length)),
                Err(error) if received.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(())
    }

    pub(crate) fn send(socket: &UdpSocket, datagrams: &[Datagram]) -> io::Result<usize> {
        for (sent, (to, bytes)) in datagrams.iter().take(BATCH).enumerate() {
            match socket.send_to(bytes, *to) {
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
    use tokio::io::unix::AsyncFd;

    use crate::udp::told;

    /// Sends more than one batch from one socket to another by the calls of `$module`.
    macro_rules! keeps_order_and_content {
        ($module:ident) => {
            #[tokio::test]
            async fn $module() {
                let bind = |told_of| {
                    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                    socket.set_nonblocking(true).unwrap();
                    told(socket, told_of).unwrap()
                };
                let (from, to) = (bind(Interest::WRITABLE), bind(Interest::READABLE));
                let address = to.get_ref().local_addr().unwrap();
                let sent: Vec<Datagram> = (0..50)
                    .map(|n| (address, Bytes::from(vec![b'x'; n * 10])))
                    .collect();
                let mut rest = sent.as_slice();
                while !rest.is_empty() {
                    let mut room = from.writable().await.unwrap();
                    let sent = room.try_io(|from| super::$module::send(from.get_ref(), rest));
                    if let Ok(count) = sent {
                        let count = count.unwrap();
                        assert!((1..=BATCH).contains(&count));
                        rest = &rest[count..];
                    }
                }
                let mut buffers = Buffers::new();
                let mut received = Vec::new();
                while received.len() < sent.len() {
                    let mut come = to.readable().await.unwrap();
                    let read = |to: &AsyncFd<UdpSocket>| {
                        super::$module::receive(to.get_ref(), &mut buffers)
                    };
                    let Ok(batch) = come.try_io(read) else {
                        continue;
                    };
                    batch.unwrap();
                    let batch = buffers.received();
                    received
                        .extend(batch.map(|(from, octets)| (from, Bytes::copy_from_slice(octets))));
                }
                let from = from.get_ref().local_addr().unwrap();
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
