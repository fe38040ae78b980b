//! Accepts connections, within the limits, whatever is served over them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sip::endpoint::{Flow, Transport};
use tokio::net::{TcpListener, TcpStream};

use crate::shared::Shared;
use crate::table::Link;
use crate::{BindError, Standing, bind, connection};

/// Pause after `accept` failed, which it does when file descriptors run out: retrying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener serves.
pub(crate) trait Serve: Clone + Send + Sync + 'static {
    /// How a connection begins.
    fn transport(&self) -> Transport;

    /// Serves one to its end, then forgets it and tells whoever must know.
    fn serve(
        self,
        shared: Arc<Shared>,
        link: Link,
        stream: TcpStream,
    ) -> impl Future<Output = ()> + Send;
}

/// Listeners that are bound, each with what it serves.
pub(crate) struct Listeners<S>(Vec<(TcpListener, SocketAddr, S)>);

impl<S> Default for Listeners<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S: Serve> Listeners<S> {
    /// Binds all of them, or none.
    pub(crate) fn bind(addresses: &[SocketAddr], service: &S) -> Result<Self, BindError> {
        let open = |&address: &SocketAddr| {
            let listener = bind::tcp(service.transport(), address)?;
            let address = listener.local_addr().unwrap_or(address);
            Ok((listener, address, service.clone()))
        };
        addresses
            .iter()
            .map(open)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Where they listen.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|(_, address, _)| *address).collect()
    }

    /// Begins to accept.
    pub(crate) fn spawn(self, shared: &Arc<Shared>) {
        for (listener, _, service) in self.0 {
            shared.tasks.spawn(run(shared.clone(), listener, service));
        }
    }
}

/// Accepts until nobody is let in any more.
async fn run(shared: Arc<Shared>, listener: TcpListener, service: impl Serve) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.full.cancelled() => return,
        };
        match accepted {
            Ok((stream, remote)) => {
                if !admit(&shared, stream, remote, &service) {
                    // There may be thousands more, and what others wait for is not to wait behind them all.
                    tokio::task::yield_now().await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                shared
                    .within(ACCEPT_PAUSE, std::future::pending::<()>())
                    .await;
            }
        }
    }
}

/// Serves a connection, if there is a place for it: nothing is done for one that there is none for.
fn admit(
    shared: &Arc<Shared>,
    stream: TcpStream,
    remote: SocketAddr,
    service: &impl Serve,
) -> bool {
    let Ok(local) = stream.local_addr() else {
        return false;
    };
    let flow = Flow {
        transport: service.transport(),
        local,
        remote,
        id: shared.connection_id(),
    };
    let Some(link) = place(shared, flow) else {
        return false;
    };
    // A peer may be gone already.
    if connection::prepare(&stream).is_err() {
        shared.table().remove(flow.id);
        return false;
    }
    let serve = service.clone().serve(shared.clone(), link, stream);
    shared.tasks.spawn(serve);
    true
}

/// The place of a connection that was accepted, if there is one for whoever is there.
pub(crate) fn place(shared: &Shared, flow: Flow) -> Option<Link> {
    let from = (shared.doorman)(flow.remote.ip());
    if from.standing == Standing::Banned {
        // Not so much as a handshake: whatever would be spoken over it, nobody answers.
        shared.counters.banned.add(1);
        return None;
    }
    let link = shared.table().accept(flow, from, &shared.limits);
    if link.is_none() {
        shared.counters.refused.add(1);
        // Counted, not warned of: whoever floods us should not fill the log as well.
        tracing::debug!(remote = %flow.remote, "connection refused: limit reached");
        return None;
    }
    shared.counters.accepted.add(1);
    link
}
