//! Accepts connections, within the limits, whatever is served over them.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sip::endpoint::Flow;
use tokio::net::{TcpListener, TcpStream};

use crate::handshakes::Turn;
use crate::shared::Shared;
use crate::stats::Spoken;
use crate::table::Link;
use crate::{BindError, Standing, Visitor, bind, connection, peek};

/// Pause after `accept` failed, which it does when file descriptors run out: retrying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A connection whose peer has said something, and its turn where that begins TLS.
pub(crate) type Heard = (TcpStream, Option<Turn>);

/// What a listener serves.
pub(crate) trait Serve: Clone + Send + Sync + 'static {
    /// What a connection carries.
    fn spoken(&self) -> Spoken;

    /// Serves one to its end, then forgets it and tells whoever must know.
    fn serve(
        self,
        shared: Arc<Shared>,
        link: Link,
        heard: Heard,
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
            let listener = bind::tcp(service.spoken().transport(), address)?;
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

/// Serves a connection, if there is a place for it: nothing is done for one that there is none for, and next to nothing for others until
/// their peer says something.
fn admit(
    shared: &Arc<Shared>,
    stream: TcpStream,
    remote: SocketAddr,
    service: &impl Serve,
) -> bool {
    let Some(from) = let_in(shared, remote) else {
        return false;
    };
    let Ok(local) = stream.local_addr() else {
        return false;
    };
    let flow = Flow {
        transport: service.spoken().transport(),
        local,
        remote,
        id: shared.connection_id(),
    };
    let Some(link) = room(shared, (flow, service.spoken()), from) else {
        return false;
    };
    let waits = wait(shared.clone(), link, stream, service.clone());
    shared.tasks.spawn(waits);
    true
}

/// Waits until the peer says something, and it is its turn, and serves it then.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn keeps its arguments twice, and strangers may have thousands"
)]
fn wait(
    shared: Arc<Shared>,
    link: Link,
    stream: TcpStream,
    service: impl Serve,
) -> impl Future<Output = ()> + Send {
    async move {
        let limits = &shared.limits;
        let by = if link.flow.transport.is_secure() {
            link.since + limits.tls_handshake
        } else {
            link.since + limits.first_message
        };
        let spoken = {
            // Handed on by its place: whoever takes a future keeps it twice.
            let mut speaks = pin!(async {
                tokio::select! {
                    said = speaks(&shared, &link.flow, &stream) => said.ok(),
                    _ = link.outbox.aborted() => None,
                }
            });
            shared.by(by, speaks.as_mut()).await.flatten()
        };
        if let Some(turn) = spoken {
            begin(&shared, link, (stream, turn), service);
        } else {
            shared.counters.silent.add(1);
            tracing::debug!(flow = ?link.flow, "a connection over which nothing came");
            shared.table().remove(link.flow.id);
        }
    }
}

/// Waits for what TLS begins with and for its turn, or for an octet of anything else.
async fn speaks(shared: &Shared, flow: &Flow, stream: &TcpStream) -> io::Result<Option<Turn>> {
    if flow.transport.is_secure() {
        let who = || (shared.doorman)(flow.remote.ip());
        return shared.handshakes.turn(who, stream).await.map(Some);
    }
    peek::first::<1, _>(stream, |_| Some(None)).await
}

/// Serves a connection from now on.
fn begin(shared: &Arc<Shared>, link: Link, (stream, turn): Heard, service: impl Serve) {
    // A peer may be gone already.
    if connection::prepare(&stream).is_err() {
        shared.table().remove(link.flow.id);
        return;
    }
    let serve = service.serve(shared.clone(), link, (stream, turn));
    shared.tasks.spawn(serve);
}

/// The place of a connection that was accepted, if there is one for whoever is there.
pub(crate) fn place(shared: &Shared, flow: Flow, spoken: Spoken) -> Option<Link> {
    let from = let_in(shared, flow.remote)?;
    room(shared, (flow, spoken), from)
}

/// Who is there, unless they are kept out.
fn let_in(shared: &Shared, remote: SocketAddr) -> Option<Visitor> {
    let from = (shared.doorman)(remote.ip());
    if from.standing == Standing::Banned {
        // Not so much as a handshake: whatever would be spoken over it, nobody answers.
        shared.counters.banned.add(1);
        return None;
    }
    Some(from)
}

/// Room for a connection, if there is any for whoever is there.
fn room(shared: &Shared, (flow, spoken): (Flow, Spoken), from: Visitor) -> Option<Link> {
    let by = (&shared.limits, &shared.doorman);
    let accepted = shared.table().accept((flow, spoken), from, by);
    let counters = &shared.counters;
    let counter = if accepted.is_ok() {
        &counters.accepted
    } else {
        &counters.refused
    };
    counter.add(1);
    // Counted, not warned of: whoever floods us should not fill the log as well.
    let why = |why| tracing::debug!(remote = %flow.remote, ?why, "connection refused");
    accepted.map_err(why).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::sip::Sip;
    use sip::endpoint::Transport;

    /// What a connection costs over which nothing comes: strangers may have thousands.
    #[tokio::test]
    async fn the_task_of_a_connection_over_which_nothing_came_is_small() {
        let shared = Shared::alone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let stream = TcpStream::connect(at).await.unwrap();
        let flow = Flow {
            transport: Transport::Tls,
            local: at,
            remote: at,
            id: 1,
        };
        let from = Visitor {
            source: at.ip(),
            standing: Standing::Stranger,
        };
        let link = room(&shared, (flow, Spoken::SipTls), from).unwrap();
        let task = wait(shared, link, stream, Sip(None));
        println!("{} octets of the task", size_of_val(&task));
        assert!(size_of_val(&task) <= 800, "{}", size_of_val(&task));
    }
}
