//! Takes a cloud's connections: TCP, TLS, then the HTTP that the client chose by ALPN.

use super::{State, connection, exchange::Platform, http1};
use rustls::ServerConfig;
use std::{sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// The pause after `accept` failed, which it does when the process has no file descriptors left.
const BREATH: Duration = Duration::from_millis(50);

/// Takes connections until the clouds shut down.
pub(super) async fn run<P: Platform>(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    platform: Arc<P>,
    state: Arc<State>,
) {
    let tls = TlsAcceptor::from(tls);
    let places = Arc::new(Semaphore::new(state.limits().connections));
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = state.stopping.cancelled() => return,
        };
        let Ok((tcp, _)) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(cloud = P::PROVIDER.name(), "too many connections");
            continue;
        };
        number += 1;
        let (tls, platform, state_of_it) = (tls.clone(), platform.clone(), state.clone());
        state.tasks.spawn(async move {
            serve(tcp, tls, platform, state_of_it, number).await;
            drop(place);
        });
    }
}

async fn serve<P: Platform>(
    tcp: TcpStream,
    tls: TlsAcceptor,
    platform: Arc<P>,
    state: Arc<State>,
    number: u64,
) {
    // Only costs time if it fails.
    let _ = tcp.set_nodelay(true);
    let Ok(Ok(io)) = timeout(state.limits().handshake, tls.accept(tcp)).await else {
        return;
    };
    let certificate = io.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let session = platform.session(certificate.map(AsRef::as_ref));
    if io.get_ref().1.alpn_protocol() == Some(b"http/1.1") {
        http1::serve(platform, session, state, io, number).await;
    } else {
        connection::serve(platform, session, state, io, number).await;
    }
}
