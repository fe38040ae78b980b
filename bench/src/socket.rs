//! Any number of phones. Over UDP one socket plays them all: every address of 127.0.0.0/8 is ours, so each phone has an address,
//! and with it a flow, of its own. Over TLS each has a connection.

pub(crate) use crate::inbox::{Inbox, address};

use crate::streams::Streams;
use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        socket::{
            ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmsg, setsockopt,
            sockopt::{RcvBuf, RcvBufForce},
        },
        time::TimeSpec,
    },
};
use std::{
    io::{IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

/// Datagrams taken by one call.
const BATCH: usize = 64;
/// No message of ours or of a server is longer.
const LONGEST: usize = 4096;
/// So that a burst waits and is not lost; what the system grants is less without the right to force it.
const RECEIVE_BUFFER: usize = 16 * 1024 * 1024;

/// The phones.
pub(crate) struct Phones {
    wire: Wire,
    /// Messages sent so far.
    pub(crate) sent: u64,
}

enum Wire {
    Udp(Datagrams),
    Tls(Streams),
}

/// Phones over UDP.
struct Datagrams {
    socket: UdpSocket,
    port: u16,
    server: SockaddrIn,
    buffers: Box<[u8]>,
}

/// Lets a burst wait at a socket.
pub(crate) fn make_room(socket: &UdpSocket) -> Result<()> {
    if setsockopt(socket, RcvBufForce, &RECEIVE_BUFFER).is_err() {
        setsockopt(socket, RcvBuf, &RECEIVE_BUFFER)?;
    }
    Ok(())
}

impl Phones {
    /// Phones over UDP, of no server yet: who pushes to them must know their port before there is one.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            wire: Wire::Udp(Datagrams::new()?),
            sent: 0,
        })
    }

    /// Phones of the server at this address, over UDP.
    pub(crate) fn of(server: SocketAddrV4) -> Result<Self> {
        let mut phones = Self::new()?;
        phones.turn_to(server);
        Ok(phones)
    }

    /// Phones over TLS.
    pub(crate) fn over(streams: Streams) -> Self {
        Self {
            wire: Wire::Tls(streams),
            sent: 0,
        }
    }

    /// From now on they talk to the server at this address, if they do by UDP.
    pub(crate) fn turn_to(&mut self, server: SocketAddrV4) {
        if let Wire::Udp(datagrams) = &mut self.wire {
            datagrams.server = server.into();
        }
    }

    /// The port of every phone over UDP; over TLS each has its own.
    pub(crate) fn port(&self) -> u16 {
        match &self.wire {
            Wire::Udp(datagrams) => datagrams.port,
            Wire::Tls(_) => 0,
        }
    }

    /// The port of the phone at this address.
    pub(crate) fn port_of(&mut self, from: Ipv4Addr) -> Result<u16> {
        match &mut self.wire {
            Wire::Udp(datagrams) => Ok(datagrams.port),
            Wire::Tls(streams) => streams.port_of(from),
        }
    }

    /// What a Via names (RFC 3261 §20.42).
    pub(crate) fn transport(&self) -> &'static str {
        match self.wire {
            Wire::Udp(_) => "UDP",
            Wire::Tls(_) => "TLS",
        }
    }

    /// What the URI in a Contact says of it.
    pub(crate) fn parameter(&self) -> &'static str {
        match self.wire {
            Wire::Udp(_) => "",
            Wire::Tls(_) => ";transport=tls",
        }
    }

    /// Sends to the server from one phone's address.
    pub(crate) fn send(&mut self, from: Ipv4Addr, message: &[u8]) -> Result<()> {
        match &mut self.wire {
            Wire::Udp(datagrams) => datagrams.send(from, message)?,
            Wire::Tls(streams) => streams.send(from, message)?,
        }
        self.sent += 1;
        Ok(())
    }

    /// Waits for messages, for so long at most, and appends those that came to `into`.
    pub(crate) fn receive(&mut self, timeout: Duration, into: &mut Inbox) -> Result<()> {
        into.clear();
        match &mut self.wire {
            Wire::Udp(datagrams) => datagrams.receive(timeout, into),
            Wire::Tls(streams) => streams.receive(timeout, into),
        }
    }
}

impl Datagrams {
    fn new() -> Result<Self> {
        let socket =
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("the phones' UDP socket")?;
        make_room(&socket)?;
        Ok(Self {
            port: socket.local_addr()?.port(),
            socket,
            server: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into(),
            buffers: vec![0; BATCH * LONGEST].into_boxed_slice(),
        })
    }

    fn send(&mut self, from: Ipv4Addr, message: &[u8]) -> Result<()> {
        let source = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr {
                s_addr: u32::from(from).to_be(),
            },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(message)],
            &[ControlMessage::Ipv4PacketInfo(&source)],
            MsgFlags::empty(),
            Some(&self.server),
        )
        .context("sending to the server")
        .map(drop)
    }

    fn receive(&mut self, timeout: Duration, into: &mut Inbox) -> Result<()> {
        let mut readable = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut readable, Some(TimeSpec::from_duration(timeout)), None) {
            Ok(0) | Err(Errno::EINTR) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error).context("waiting for the server"),
        }
        let mut slices: Vec<_> = self
            .buffers
            .chunks_mut(LONGEST)
            .map(|chunk| [IoSliceMut::new(chunk)])
            .collect();
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
        let received = recvmmsg(
            self.socket.as_raw_fd(),
            &mut headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        );
        match received {
            Ok(received) => {
                for datagram in received {
                    into.push(datagram.iovs().next().unwrap_or_default());
                }
                Ok(())
            }
            Err(Errno::EAGAIN) => Ok(()),
            Err(error) => Err(error).context("receiving from the server"),
        }
    }
}
