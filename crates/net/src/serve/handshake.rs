//! How TLS begins on a connection that was accepted.

use std::sync::Arc;
use std::time::Duration;

use sip::endpoint::Flow;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::shared::Shared;

/// Begins TLS, within the limit.
pub(super) async fn handshake(
    shared: &Shared,
    flow: Flow,
    config: Arc<rustls::ServerConfig>,
    stream: TcpStream,
    limit: Duration,
) -> Option<TlsStream<TcpStream>> {
    let who = || (shared.doorman)(flow.remote.ip());
    // In a place of its own, which is given back after it: a task that waits is small.
    let handshake = Box::pin(shared.handshakes.accept(who, config, stream));
    match shared.within(limit, handshake).await {
        Some(Ok(stream)) => {
            let name = stream.get_ref().1.server_name();
            shared.table().asked_for(flow.id, name);
            return Some(stream);
        }
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
