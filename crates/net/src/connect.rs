//! Opens outgoing connections in the background.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use sip::endpoint::{Flow, Transport};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::connection;
use crate::framing::sip::Sip;
use crate::local::unspecified;
use crate::shared::Shared;
use crate::table::Link;

/// The flow to `remote`: the outgoing connection that there is, or a new one that is being opened.
pub(crate) fn connect(
    shared: &Arc<Shared>,
    transport: Transport,
    remote: SocketAddr,
    name: Option<&str>,
) -> Flow {
    let destination = (transport, remote, name.map(str::to_owned));
    let mut table = shared.table();
    if let Some(flow) = table.outgoing(&destination) {
        return flow;
    }
    let begun = begin(remote);
    let local = begun
        .as_ref()
        .map_or_else(|_| unspecified(remote), |(_, local)| *local);
    let flow = Flow {
        transport,
        local,
        remote,
        id: shared.connection_id(),
    };
    let link = table.connect(flow, destination, &shared.limits);
    drop(table);

    let name = name.map(str::to_owned);
    let shared = shared.clone();
    shared.clone().tasks.spawn(async move {
        match (link, begun) {
            (Some(link), Ok((socket, _))) => {
                if let Err(error) = serve(&shared, link, socket, name).await {
                    tracing::debug!(?flow, %error, "connecting failed");
                }
            }
            (None, _) => tracing::warn!(
                ?flow,
                "connecting refused: limit of outgoing connections reached"
            ),
            (_, Err(error)) => tracing::debug!(?flow, %error, "connecting failed"),
        }
        shared.table().remove(flow.id);
        shared.closed(flow).await;
    });
    flow
}

/// Starts the TCP handshake. Done here and not in the task, because the kernel chooses our address now, and the flow
/// must name it.
fn begin(remote: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(
        Domain::for_address(remote),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    match socket.connect(&remote.into()) {
        Err(error) if !is_in_progress(&error) => return Err(error),
        _ => {}
    }
    let local = socket
        .local_addr()?
        .as_socket()
        .unwrap_or_else(|| unspecified(remote));
    Ok((socket, local))
}

/// What a non-blocking `connect` answers when all is well (EINPROGRESS has no stable `ErrorKind`).
fn is_in_progress(error: &io::Error) -> bool {
    const EINPROGRESS: i32 = if cfg!(target_os = "linux") { 115 } else { 36 };
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(EINPROGRESS)
}

async fn serve(
    shared: &Arc<Shared>,
    mut link: Link,
    socket: Socket,
    name: Option<String>,
) -> io::Result<()> {
    let flow = link.flow;
    let stream = shared
        .within(shared.limits.connect, opened(socket))
        .await
        .ok_or(io::ErrorKind::TimedOut)??;
    connection::prepare(&stream)?;
    let mut framing = Sip::opened(flow, &shared.limits);
    if !flow.transport.is_secure() {
        let mut halves = tokio::io::split(stream);
        connection::run(shared, &mut link, &mut halves, &mut framing).await;
        return Ok(());
    }
    let config = shared
        .client_tls
        .clone()
        .ok_or_else(|| io::Error::other("no TLS client configuration"))?;
    let name = match name {
        Some(name) => ServerName::try_from(name).map_err(io::Error::other)?,
        None => ServerName::from(flow.remote.ip()),
    };
    let handshake = TlsConnector::from(config).connect(name, stream);
    let stream = shared
        .within(shared.limits.tls_handshake, handshake)
        .await
        .ok_or(io::ErrorKind::TimedOut)??;
    let mut halves = tokio::io::split(stream);
    connection::run(shared, &mut link, &mut halves, &mut framing).await;
    Ok(())
}

async fn opened(socket: Socket) -> io::Result<TcpStream> {
    let stream = TcpStream::from_std(socket.into())?;
    stream.writable().await?;
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}
