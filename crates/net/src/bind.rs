//! Opens the listening sockets, and says in plain words why one cannot be opened.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use sip::endpoint::Transport;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// The queue of connections that the kernel completed and we have not accepted yet.
const BACKLOG: i32 = 1_024;

/// A burst of datagrams waits here while the process is not scheduled. The kernel may grant less.
const UDP_BUFFER: usize = 4 << 20;

/// An address that cannot be listened on. The text names the address and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process has it.
    #[error(
        "{address} ({transport:?}) is in use by another process: stop that one (`ss -lntup` names it) or listen on another port"
    )]
    InUse {
        /// The transport asked for.
        transport: Transport,
        /// The address asked for.
        address: SocketAddr,
    },
    /// The system does not allow this process to have it.
    #[error(
        "{address} ({transport:?}) may not be used by this process: take a port above 1023, or grant CAP_NET_BIND_SERVICE"
    )]
    Denied {
        /// The transport asked for.
        transport: Transport,
        /// The address asked for.
        address: SocketAddr,
    },
    /// No interface of this machine has the IP address.
    #[error(
        "{address} ({transport:?}) is not an address of this machine: take one that `ip address` lists, or 0.0.0.0 for all"
    )]
    NotLocal {
        /// The transport asked for.
        transport: Transport,
        /// The address asked for.
        address: SocketAddr,
    },
    /// A TLS listener without a certificate to show.
    #[error("{address} (Tls) needs a certificate: configure one, or remove the TLS listener")]
    NoCertificate {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else, in the system's words.
    #[error("{address} ({transport:?}) cannot be listened on: {source}")]
    Other {
        /// The transport asked for.
        transport: Transport,
        /// The address asked for.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}

impl BindError {
    fn new(transport: Transport, address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { transport, address },
            io::ErrorKind::PermissionDenied => Self::Denied { transport, address },
            io::ErrorKind::AddrNotAvailable => Self::NotLocal { transport, address },
            _ => Self::Other {
                transport,
                address,
                source,
            },
        }
    }
}

/// So many sockets with one address, between which the kernel shares out what arrives, by sender.
pub(crate) fn udp(address: SocketAddr, sockets: usize) -> Result<Vec<UdpSocket>, BindError> {
    let open = || {
        // The first one alone finds out whether the address is free, and which port it is.
        let first = udp_socket(address, false)?;
        if sockets == 1 {
            return Ok(vec![first.into()]);
        }
        let address = first.local_addr()?.as_socket().unwrap_or(address);
        drop(first);
        (0..sockets)
            .map(|_| udp_socket(address, true).map(UdpSocket::from))
            .collect()
    };
    open().map_err(|error| BindError::new(Transport::Udp, address, error))
}

fn udp_socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = socket(address, (Type::DGRAM, Protocol::UDP), true)?;
    socket.set_recv_buffer_size(UDP_BUFFER)?;
    socket.set_send_buffer_size(UDP_BUFFER)?;
    #[cfg(unix)]
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

pub(crate) fn tcp(transport: Transport, address: SocketAddr) -> Result<TcpListener, BindError> {
    stream(address, true).map_err(|error| BindError::new(transport, address, error))
}

/// Listens there, over TCP. At `[::]` that is at every IPv4 address, too, as the system has it, unless `0.0.0.0` with the same port
/// is `beside` it: then they are two listeners.
///
/// # Errors
/// Somebody else does, or we may not.
pub fn listen(address: SocketAddr, beside: &[SocketAddr]) -> io::Result<TcpListener> {
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
    stream(address, beside.contains(&any))
}

fn stream(address: SocketAddr, is_of_its_family: bool) -> io::Result<TcpListener> {
    let socket = socket(address, (Type::STREAM, Protocol::TCP), is_of_its_family)?;
    // A restart must not wait for connections of the last run to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// `is_of_its_family`: `[::]` and `0.0.0.0` are two listeners, and an IPv4 peer never shows as `::ffff:…`.
fn socket(
    address: SocketAddr,
    (kind, protocol): (Type, Protocol),
    is_of_its_family: bool,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() && is_of_its_family {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
