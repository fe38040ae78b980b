//! Push clouds that say yes to everything, at the price of almost nothing: APNs over HTTP/2 and TLS for Reveille, plain
//! HTTP for a script of Kamailio. Each tells the phones of a push by a datagram, with the time at which it came.

mod apns;
mod plain;

pub(crate) use apns::{Apns, CA_FILE, Identity, KEY_FILE, Manner};
pub(crate) use plain::Plain;

use crate::{socket, wire::number};
use anyhow::{Context, Result};
use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

/// The word with which the sinks' datagrams begin.
const WORD: &[u8] = b"PUSH ";

/// A push that came.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Pushed {
    /// Whose phone it is for.
    pub(crate) user: u32,
    /// When, since the beginning of all.
    pub(crate) at: Duration,
}

impl Pushed {
    /// From a datagram of a sink.
    pub(crate) fn read(datagram: &[u8]) -> Option<Self> {
        let mut words = datagram.strip_prefix(WORD)?.split(|octet| *octet == b' ');
        Some(Self {
            user: number(words.next()?)?,
            at: Duration::from_micros(number(words.next()?)?),
        })
    }
}

/// Where phones that have no socket of UDP hear of pushes.
#[derive(Debug)]
pub(crate) struct Listener(UdpSocket);

impl Listener {
    /// One with room for a burst.
    pub(crate) fn new() -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("the listener")?;
        socket::make_room(&socket)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Its port.
    pub(crate) fn port(&self) -> Result<u16> {
        Ok(self.0.local_addr()?.port())
    }

    /// The next push that came, if there is one.
    pub(crate) fn next(&self) -> Result<Option<Pushed>> {
        let mut datagram = [0; 100];
        match self.0.recv(&mut datagram) {
            Ok(length) => Ok(Pushed::read(&datagram[..length])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Tells the phones.
#[derive(Debug)]
pub(crate) struct Teller {
    socket: UdpSocket,
    began: Instant,
}

impl Teller {
    /// For phones at this port, in time since `began`.
    pub(crate) fn new(phones: u16, began: Instant) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("the sink's UDP socket")?;
        socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, phones)))?;
        Ok(Self { socket, began })
    }

    /// Of a push for this user.
    fn tell(&self, user: u32) -> Result<()> {
        let word = format!("PUSH {user} {}", self.began.elapsed().as_micros());
        self.socket.send(word.as_bytes())?;
        Ok(())
    }
}

/// The last part of a path, as a number.
fn user_of(path: &str, radix: u32) -> Result<u32> {
    let token = path.rsplit('/').next().unwrap_or_default();
    u32::from_str_radix(token, radix)
        .with_context(|| format!("a push to {path:?}, which is no phone of ours"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_hear_whose_push_came_and_when() {
        let phones = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = phones.local_addr().unwrap().port();
        let teller = Teller::new(port, Instant::now()).unwrap();
        let user = user_of(&format!("/3/device/{:064x}", 0xbeef), 16).unwrap();
        teller.tell(user).unwrap();
        let mut buffer = [0; 100];
        let length = phones.recv(&mut buffer).unwrap();
        assert_eq!(Pushed::read(&buffer[..length]).unwrap().user, 0xbeef);
        assert_eq!(Pushed::read(b"SIP/2.0 200 OK"), None);
    }
}
