//! Phones over TLS, each with a connection of its own from an address of its own, all waited for in one thread. A phone connects
//! when it first has something to say.

use crate::{
    inbox::{Inbox, address},
    stream::Stream,
    wire::Message,
};
use anyhow::{Context, Result};
use memchr::memmem;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        time::TimeSpec,
    },
};
use rustls::ClientConfig;
use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsFd,
    sync::Arc,
    time::Duration,
};

/// Connections.
pub(crate) struct Streams {
    server: SocketAddr,
    tls: Arc<ClientConfig>,
    /// Its name in TLS.
    name: &'static str,
    epoll: Epoll,
    open: HashMap<Ipv4Addr, Connection>,
    events: Vec<EpollEvent>,
}

struct Connection {
    stream: Stream,
    port: u16,
    /// What came and is no whole message yet.
    begun: Vec<u8>,
}

impl Streams {
    /// To the server of this name, which is trusted so.
    pub(crate) fn to(
        server: SocketAddr,
        tls: Arc<ClientConfig>,
        name: &'static str,
    ) -> Result<Self> {
        Ok(Self {
            server,
            tls,
            name,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            open: HashMap::new(),
            events: vec![EpollEvent::empty(); 256],
        })
    }

    /// The port of the phone at this address.
    pub(crate) fn port_of(&mut self, from: Ipv4Addr) -> Result<u16> {
        Ok(self.connection(from)?.port)
    }

    /// Sends from there.
    pub(crate) fn send(&mut self, from: Ipv4Addr, message: &[u8]) -> Result<()> {
        let stream = &mut self.connection(from)?.stream;
        stream.say(message)?;
        stream.flush()
    }

    fn connection(&mut self, from: Ipv4Addr) -> Result<&mut Connection> {
        use std::collections::hash_map::Entry;
        match self.open.entry(from) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(place) => {
                let stream = Stream::connect(from, self.server, &self.tls, self.name)?;
                let port = stream.socket().local_addr()?.port();
                let event = EpollEvent::new(EpollFlags::EPOLLIN, u32::from(from).into());
                self.epoll.add(stream.socket(), event)?;
                Ok(place.insert(Connection {
                    stream,
                    port,
                    begun: Vec::new(),
                }))
            }
        }
    }

    /// Waits for messages, for so long at most, and appends those that came to `into`.
    pub(crate) fn receive(&mut self, timeout: Duration, into: &mut Inbox) -> Result<()> {
        // epoll knows whole milliseconds only, and a server that shares the core must not wait for us to turn round.
        let mut readable = [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut readable, Some(TimeSpec::from_duration(timeout)), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("waiting for the server"),
        }
        let count = self.epoll.wait(&mut self.events, EpollTimeout::ZERO)?;
        for event in &self.events[..count] {
            let from = Ipv4Addr::from(u32::try_from(event.data())?);
            let connection = self.open.get_mut(&from).context("an unknown connection")?;
            let phone = u32::from(from) - u32::from(address(0));
            connection
                .read(into)
                .with_context(|| format!("the connection of phone {phone}"))?;
        }
        Ok(())
    }
}

impl Connection {
    fn read(&mut self, into: &mut Inbox) -> Result<()> {
        let Self { stream, begun, .. } = self;
        stream.read(|octets| begun.extend_from_slice(octets))?;
        // What TLS had to say first has made room for what waits.
        stream.flush()?;
        let mut taken = 0;
        while let Some(length) = whole(&begun[taken..]) {
            into.push(&begun[taken..taken + length]);
            taken += length;
        }
        begun.drain(..taken);
        if begun.is_empty() {
            // Thousands that wait should cost little.
            *begun = Vec::new();
        }
        Ok(())
    }
}

/// The length of the message that stands at the beginning, if it is whole (RFC 3261 §18.3).
fn whole(octets: &[u8]) -> Option<usize> {
    let head = memmem::find(octets, b"\r\n\r\n")? + 4;
    let body = Message::new(octets).header("Content-Length");
    let length: usize = body.and_then(crate::wire::number)?;
    (octets.len() >= head + length).then_some(head + length)
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn a_message_is_whole_when_its_body_is() {
        let text = b"SIP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabcSIP/2.0";
        assert_eq!(whole(text), Some(text.len() - 7));
        assert_eq!(whole(&text[..text.len() - 8]), None);
        assert_eq!(whole(&text[..20]), None);
    }
}
