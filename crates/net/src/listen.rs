//! Accepts connections, within the limits, and ends TLS on them.

use std::sync::Arc;
use std::time::Duration;

use sip::endpoint::{Flow, Transport};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::TlsSource;
use crate::connection;
use crate::framing::sip::Sip;
use crate::shared::Shared;
use crate::table::Link;

/// Pause after `accept` failed, which it does when file descriptors run out: retrying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until we stop. `tls` is what a TLS listener shows.
pub(crate) async fn run(shared: Arc<Shared>, listener: TcpListener, tls: Option<TlsSource>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => admit(&shared, stream, tls.as_ref()),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                shared
                    .within(ACCEPT_PAUSE, std::future::pending::<()>())
                    .await;
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, stream: TcpStream, tls: Option<&TlsSource>) {
    let transport = if tls.is_some() {
        Transport::Tls
    } else {
        Transport::Tcp
    };
    // A peer that is gone already has no addresses.
    let (Ok(local), Ok(remote), Ok(())) = (
        stream.local_addr(),
        stream.peer_addr(),
        connection::prepare(&stream),
    ) else {
        return;
    };
    let flow = Flow {
        transport,
        local,
        remote,
        id: shared.connection_id(),
    };
    let Some(link) = shared.table().accept(flow, &shared.limits) else {
        shared.counters.refused.add(1);
        // Counted, not warned of: whoever floods us should not fill the log as well.
        tracing::debug!(%remote, "connection refused: limit reached");
        return;
    };
    shared.counters.accepted.add(1);
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.current()));
    let shared = shared.clone();
    shared.clone().tasks.spawn(async move {
        serve(&shared, link, stream, acceptor).await;
        shared.table().remove(flow);
        shared.closed(flow).await;
    });
}

async fn serve(shared: &Arc<Shared>, link: Link, stream: TcpStream, acceptor: Option<TlsAcceptor>) {
    let framing = Sip::accepted(link.flow, shared.limits.message);
    let Some(acceptor) = acceptor else {
        return connection::run(shared, link, stream, framing, true).await;
    };
    match shared
        .within(shared.limits.tls_handshake, acceptor.accept(stream))
        .await
    {
        Some(Ok(stream)) => connection::run(shared, link, stream, framing, true).await,
        Some(Err(error)) => tracing::debug!(flow = ?link.flow, %error, "TLS handshake failed"),
        None => tracing::debug!(flow = ?link.flow, "TLS handshake took too long"),
    }
}
