//! Accepts connections, within the limits, whatever is served over them.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sip::endpoint::{Flow, Transport};
use tokio::io::ReadBuf;
use tokio::net::{TcpListener, TcpStream};

use crate::shared::Shared;
use crate::silence::Silent;
use crate::table::Link;
use crate::{BindError, Standing, Visitor, bind, connection};

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

/// Serves a connection, if there is a place for it: nothing is done for one that there is none for, and next to nothing for one over which
/// TLS is to begin, until its peer says something.
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
        transport: service.transport(),
        local,
        remote,
        id: shared.connection_id(),
    };
    let Some(link) = room(shared, flow, from) else {
        return false;
    };
    let silent = flow
        .transport
        .is_secure()
        .then(|| shared.silence.begins(from, is_crowded(shared)));
    if let Some(None) = silent {
        shared.counters.silent.add(1);
        shared.table().remove(flow.id);
        return false;
    }
    match silent.flatten() {
        None => begin(shared, link, stream, service.clone()),
        Some(silent) => {
            let waits = wait(shared.clone(), (link, silent), stream, service.clone());
            shared.tasks.spawn(waits);
            true
        }
    }
}

/// Whether those who say nothing are to make room: strangers' room is nearly taken, and they have as much as is left or more. Where
/// others have it, they would make room for nobody but each other.
fn is_crowded(shared: &Shared) -> bool {
    let limits = &shared.limits;
    let strangers = limits.connections.saturating_sub(limits.reserved);
    let left = strangers.saturating_sub(limits.silent);
    shared.table().accepted() >= limits.silent && shared.silence.count() >= left
}

/// Waits until the peer says something, and serves it then. To look for octets and not only to wait until there may be some: a connection
/// that is new counts as one where there may.
async fn wait(
    shared: Arc<Shared>,
    (link, silent): (Link, Silent),
    stream: TcpStream,
    service: impl Serve,
) {
    let octets = poll_fn(|context| {
        let mut octet = [MaybeUninit::uninit()];
        stream.poll_peek(context, &mut ReadBuf::uninit(&mut octet))
    });
    let speaks = shared.within(shared.limits.tls_handshake, silent.until(octets));
    if let Some(Some(Ok(1..))) = speaks.await {
        begin(&shared, link, stream, service);
    } else {
        shared.counters.silent.add(1);
        tracing::debug!(flow = ?link.flow, "a connection over which nothing came");
        shared.table().remove(link.flow.id);
    }
}

/// Serves a connection from now on. False if it is over.
fn begin(shared: &Arc<Shared>, link: Link, stream: TcpStream, service: impl Serve) -> bool {
    // A peer may be gone already.
    if connection::prepare(&stream).is_err() {
        shared.table().remove(link.flow.id);
        return false;
    }
    let serve = service.serve(shared.clone(), link, stream);
    shared.tasks.spawn(serve);
    true
}

/// The place of a connection that was accepted, if there is one for whoever is there.
pub(crate) fn place(shared: &Shared, flow: Flow) -> Option<Link> {
    let from = let_in(shared, flow.remote)?;
    room(shared, flow, from)
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
fn room(shared: &Shared, flow: Flow, from: Visitor) -> Option<Link> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::sip::Sip;

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
        let silent = shared.silence.begins(from, false).unwrap();
        let link = room(&shared, flow, from).unwrap();
        let task = wait(shared, (link, silent), stream, Sip(None));
        assert!(size_of_val(&task) <= 1 << 10, "{}", size_of_val(&task));
    }
}
