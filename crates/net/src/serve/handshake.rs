//! How TLS begins on a connection that was accepted.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use crate::listen::Heard;
use crate::shared::Shared;
use crate::table::Link;

/// Begins TLS, which must be there by then: at once if it is its turn, else when it is.
pub(super) async fn handshake(
    shared: &Shared,
    Link {
        flow,
        outbox,
        begun,
        ..
    }: &mut Link,
    config: Arc<rustls::ServerConfig>,
    (stream, turn): Heard,
    by: Instant,
) -> Option<TlsStream<TcpStream>> {
    let who = || (shared.doorman)(flow.remote.ip());
    // In a place of its own, which is given back after it: a task that waits is small.
    let mut handshake = Box::pin(async {
        let turn = match turn {
            Some(turn) => turn,
            None => shared.handshakes.turn(who, &stream).await?,
        };
        turn.begin(config, stream).await
    });
    let accepted = async {
        tokio::select! {
            accepted = &mut handshake => accepted,
            _ = outbox.aborted() => Err(io::Error::other("its place is somebody else's")),
        }
    };
    let accepted = shared.by(by, accepted).await;
    drop(handshake);
    match accepted {
        Some(Ok((stream, unheard))) => {
            *begun = unheard;
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
