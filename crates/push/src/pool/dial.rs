//! How a connection to a provider is opened: TCP to whichever address answers first, of the provider or of the proxy that
//! is asked to go there; TLS, HTTP/2. Names are resolved anew each time.

use super::{Start, Way};
use crate::{Proxy, endpoint::Endpoint, together::Together};
use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use rustls::pki_types::ServerName;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpStream, lookup_host},
    select,
    task::JoinSet,
    time::sleep,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Streams on a connection whose SETTINGS have not arrived yet, where the provider has no rule.
const BEFORE_SETTINGS: usize = 100;
/// What a provider may send before we read it: answers are small.
const WINDOW: u32 = 1 << 20;
/// Octets of answers that are read before the streams that they are for have their turn: some fifty answers.
const SHARE: usize = 2048;
/// How long one address is tried before the next is tried as well (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection to be driven.
pub(super) type Driven = Connection<Together<TlsStream<TcpStream>>, Bytes>;

/// Opens connections to one endpoint.
pub(super) struct Dialer {
    endpoint: Endpoint,
    tls: TlsConnector,
    proxy: Option<Arc<Proxy>>,
    streams: usize,
}

impl Dialer {
    pub(super) fn new(endpoint: Endpoint, way: Way, start: Start) -> Self {
        Self {
            endpoint,
            tls: TlsConnector::from(way.tls),
            proxy: way.proxy,
            streams: match start {
                Start::OneStream => 1,
                Start::Open => BEFORE_SETTINGS,
            },
        }
    }

    /// Opens one. Whoever calls sets the time that it may take.
    pub(super) async fn dial(&self) -> io::Result<(SendRequest<Bytes>, Driven)> {
        let proxy = self.proxy.as_deref();
        let to = proxy.map_or(&self.endpoint, Proxy::endpoint);
        let tcp = connected(to).await.map_err(|error| match proxy {
            // Or the cloud would be looked at, which has nothing to do with it.
            Some(_) => io::Error::new(error.kind(), format!("the proxy {to}: {error}")),
            None => error,
        })?;
        // Nagle's algorithm would hold back each push for the acknowledgement of the one before.
        tcp.set_nodelay(true)?;
        let tcp = match proxy {
            Some(proxy) => proxy.tunnel(tcp, &self.endpoint).await?,
            None => tcp,
        };
        let name = ServerName::try_from(self.endpoint.host.clone()).map_err(io::Error::other)?;
        let tls = self.tls.connect(name, tcp).await?;
        if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(io::Error::other("the other side does not speak HTTP/2"));
        }
        h2::client::Builder::new()
            .initial_max_send_streams(self.streams)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .enable_push(false)
            .handshake(Together::over(tls, SHARE))
            .await
            .map_err(io::Error::other)
    }
}

/// A connection to whoever is first there.
async fn connected(Endpoint { host, port }: &Endpoint) -> io::Result<TcpStream> {
    let found = lookup_host((host.as_str(), *port)).await?;
    first_of(by_turns(found)).await
}

/// The families by turns, so that a network on which one of them goes nowhere costs one head start (RFC 8305 §4).
fn by_turns(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (six, four): (Vec<_>, Vec<_>) = found.partition(SocketAddr::is_ipv6);
    let mut ordered = Vec::with_capacity(six.len() + four.len());
    for index in 0..six.len().max(four.len()) {
        ordered.extend(six.get(index));
        ordered.extend(four.get(index));
    }
    ordered
}

/// The first of these that accepts.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut addresses = addresses.into_iter();
    let mut attempts = JoinSet::new();
    loop {
        let more = addresses
            .next()
            .map(|address| attempts.spawn(TcpStream::connect(address)))
            .is_some();
        select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(tcp))) => return Ok(tcp),
                Some(Ok(Err(error))) => failed = error,
                Some(Err(panicked)) => failed = io::Error::other(panicked),
                None => return Err(failed),
            },
            () = sleep(HEAD_START), if more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn families_take_turns() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let found = ["1.1.1.1:1", "1.1.1.2:1", "1.1.1.3:1", "[::1]:1", "[::2]:1"].map(parse);
        let wanted = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "1.1.1.3:1"].map(parse);
        assert_eq!(by_turns(found.into_iter()), wanted);
    }

    #[tokio::test]
    async fn an_address_that_refuses_gives_way_to_the_next_and_the_last_error_is_told() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refuses = closed.local_addr().unwrap();
        drop(closed);
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let accepts = open.local_addr().unwrap();
        let tcp = first_of(vec![refuses, accepts]).await.unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), accepts);
        let error = first_of(vec![refuses, refuses]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = first_of(Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
