//! How TLS begins on a connection that was accepted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustls::server::Acceptor;
use sip::endpoint::Flow;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, LazyConfigAcceptor};

use crate::shared::Shared;

/// Begins TLS, within the limit.
pub(super) async fn handshake(
    shared: &Shared,
    flow: Flow,
    config: Arc<rustls::ServerConfig>,
    stream: TcpStream,
    limit: Duration,
) -> Option<TlsStream<TcpStream>> {
    // In a place of its own, which is given back after it: a task that waits is small.
    let handshake = Box::pin(begun(shared, flow, config, stream));
    match shared.within(limit, handshake).await {
        Some(Ok(stream)) => return Some(stream),
        Some(Err(error)) => {
            shared.counters.silent.add(1);
            tracing::debug!(?flow, %error, "TLS handshake failed");
        }
        None => {
            shared.counters.silent.add(1);
            tracing::debug!(?flow, "TLS handshake took too long");
        }
    }
    None
}

/// Hears what the peer can do, which costs nothing, and waits for its turn to do the work.
async fn begun(
    shared: &Shared,
    flow: Flow,
    config: Arc<rustls::ServerConfig>,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let heard = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let who = (shared.doorman)(flow.remote.ip());
    let place = shared.handshakes.turn(who).await;
    let place = place.map_err(io::Error::other)?;
    let accept = heard.into_stream(config);
    let worked = tokio::task::spawn_blocking(move || {
        let worked = work(accept);
        drop(place);
        worked
    });
    match worked.await.map_err(io::Error::other)? {
        (_, Poll::Ready(done)) => done,
        // What is left to do is little.
        (accept, Poll::Pending) => accept.await,
    }
}

/// Makes the keys and the signature, in a thread where nobody waits behind it, and sends them.
fn work(
    mut accept: Accept<TcpStream>,
) -> (Accept<TcpStream>, Poll<io::Result<TlsStream<TcpStream>>>) {
    // Whoever waits for the rest asks again.
    let mut context = Context::from_waker(Waker::noop());
    let done = Pin::new(&mut accept).poll(&mut context);
    (accept, done)
}
