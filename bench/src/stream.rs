//! A connection with TLS on it: what is said goes out in one record, what came is handed over in plain.

use anyhow::{Context, Result};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, pki_types::ServerName};
use socket2::{Domain, Socket, Type};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
};

/// A connection.
pub(crate) struct Stream {
    socket: TcpStream,
    tls: ClientConnection,
}

impl Stream {
    /// Connects from this address, and begins TLS.
    pub(crate) fn connect(
        from: Ipv4Addr,
        to: SocketAddr,
        config: &Arc<ClientConfig>,
        domain: &str,
    ) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        socket.connect(&to.into())?;
        let socket = TcpStream::from(socket);
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let name = ServerName::try_from(domain.to_owned())?;
        let tls = ClientConnection::new(config.clone(), name)?;
        let mut stream = Self { socket, tls };
        stream.flush()?;
        Ok(stream)
    }

    /// The socket, to be waited for.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Whether TLS is not there yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Whether TLS began with a ticket.
    pub(crate) fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Says something; it leaves at the next flush.
    pub(crate) fn say(&mut self, octets: &[u8]) -> Result<()> {
        Ok(self.tls.writer().write_all(octets)?)
    }

    /// Sends what was said. What these clients say is little, and a server that does not read it has failed.
    pub(crate) fn flush(&mut self) -> Result<()> {
        while self.tls.wants_write() {
            self.tls
                .write_tls(&mut self.socket)
                .context("the server does not read")?;
        }
        Ok(())
    }

    /// Takes what came, once; nothing at all if nothing came. Fails at the end.
    pub(crate) fn read(&mut self, mut take: impl FnMut(&[u8])) -> Result<()> {
        match self.tls.read_tls(&mut self.socket) {
            Ok(0) => anyhow::bail!("the server ended the connection"),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.tls.process_new_packets()?;
        let mut plain = [0; 4096];
        loop {
            match self.tls.reader().read(&mut plain) {
                // What it said before is read first; the connection's own end follows.
                Ok(0) => return Ok(()),
                Ok(length) => take(&plain[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
