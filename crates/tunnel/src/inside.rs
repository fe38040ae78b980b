//! The side within: it dials the edges, again and again, and takes the streams that they open.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream,
    TransportErrorCode, VarInt,
};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clocks::{self, Clock};
use crate::edge::{REPLACED, STOPPING};
use crate::hello::{self, Hello};
use crate::identity::NAME;
use crate::limits::HANDSHAKE;
use crate::status::Live;
use crate::{
    Fingerprint, Header, Identity, Limits, Link, State, Stream, TunnelError, frame, header, pinned,
    socket,
};

/// The first wait before an edge is dialled again; each one is twice the one before…
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// …up to this one. They are drawn between a half and the whole, so that insides do not come all at once.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// The wait when another process has dialled with our key, which an edge takes for us: the two would only push one another out.
const REPLACED_WAIT: Duration = Duration::from_mins(5);

/// A tunnel that was up for so long was one: dialling begins anew with the first wait.
const GOOD: Duration = Duration::from_secs(30);

/// Clients that have come and are not taken yet; more wait in their streams.
const ARRIVALS: usize = 64;

/// Where an edge is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeAddress {
    /// Its host and port, looked up each time it is dialled.
    pub at: Box<str>,
    /// Its key.
    pub key: Fingerprint,
}

/// A client that came in by an edge.
#[derive(Debug)]
pub struct Arrival {
    /// The edge's key.
    pub edge: Fingerprint,
    /// Where the edge is.
    pub at: SocketAddr,
    /// Who the client is.
    pub header: Header,
    /// What it says, and is told.
    pub stream: Stream,
}

/// The tunnels to all edges. Clones are the same.
#[derive(Clone)]
pub struct Inside(Arc<Shared>);

struct Shared {
    name: Box<str>,
    told: watch::Receiver<Arc<[u8]>>,
    limits: Limits,
    clock: Clock,
    arrivals: mpsc::Sender<Arrival>,
    edges: Mutex<Vec<Seen>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// An edge, and how it is.
struct Seen {
    at: Box<str>,
    who: Fingerprint,
    name: Box<str>,
    state: Result<Live, Down>,
}

/// It is not there, since then, and why.
struct Down {
    since: Instant,
    why: Box<str>,
    /// Whether somebody was there.
    reached: bool,
}

/// One edge.
struct Dialled {
    place: usize,
    address: EdgeAddress,
    config: ClientConfig,
    shared: Arc<Shared>,
}

impl Inside {
    /// Dials these edges until [`Inside::shutdown`], and gives what comes by them. Each edge is `told` so much of us, up to 1,024 octets,
    /// and again at once when it changes; its clock is compared with this one.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn dial(
        (name, told): (&str, watch::Receiver<Arc<[u8]>>),
        identity: &Identity,
        edges: &[EdgeAddress],
        (limits, clock): (Limits, Clock),
    ) -> Result<(Self, mpsc::Receiver<Arrival>), TunnelError> {
        let (arrivals, receiver) = mpsc::channel(ARRIVALS);
        let since = Instant::now();
        let down = |edge: &EdgeAddress| Seen {
            at: edge.at.clone(),
            who: edge.key,
            name: edge.at.clone(),
            state: Err(Down {
                since,
                why: "not dialled yet".into(),
                reached: false,
            }),
        };
        let shared = Arc::new(Shared {
            name: name.into(),
            told,
            limits,
            clock,
            arrivals,
            edges: Mutex::new(edges.iter().map(down).collect()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        for (place, address) in edges.iter().enumerate() {
            let tls = pinned::client(identity, address.key)?;
            let tls = QuicClientConfig::try_from(tls).map_err(io::Error::other)?;
            let mut config = ClientConfig::new(Arc::new(tls));
            config.transport_config(limits.transport(true));
            let dialled = Dialled {
                place,
                address: address.clone(),
                config,
                shared: shared.clone(),
            };
            shared.tasks.spawn(dialled.run());
        }
        Ok((Self(shared), receiver))
    }

    /// How the edges are, in the order in which they were given.
    pub fn status(&self) -> Vec<Link> {
        self.0.edges().iter().map(Seen::link).collect()
    }

    /// Ends all tunnels; returns when no task is left.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Shared {
    /// Held for a look-up only, never across an await.
    fn edges(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.edges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn link(&self) -> Link {
        let state = match &self.state {
            Ok(live) => live.state(),
            Err(down) => State::Down {
                since: down.since,
                why: down.why.clone(),
                reached: down.reached,
            },
        };
        Link {
            who: self.who,
            at: self.at.clone(),
            name: self.name.clone(),
            state,
        }
    }
}

impl Dialled {
    async fn run(self) {
        let stop = self.shared.stop.clone();
        let mut wait = FIRST_WAIT;
        let mut told = false;
        while !stop.is_cancelled() {
            let begun = Instant::now();
            let why = self.once().await;
            self.is_down(&why);
            if stop.is_cancelled() {
                return;
            }
            if begun.elapsed() >= GOOD {
                (wait, told) = (FIRST_WAIT, false);
            }
            // One line until it was there again.
            if !told {
                let edge = &*self.address.at;
                tracing::warn!(
                    edge,
                    ?why,
                    "no tunnel to the edge: it is dialled again and again"
                );
                told = true;
            }
            let now = if is_replaced(&why) {
                REPLACED_WAIT
            } else {
                wait
            };
            tokio::select! {
                () = tokio::time::sleep(jittered(now)) => {}
                () = stop.cancelled() => return,
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Dials, and serves the tunnel until it is gone; says why it is.
    async fn once(&self) -> io::Error {
        let mut told = self.shared.told.clone();
        let hello = Hello {
            name: self.shared.name.clone(),
            rest: told.borrow_and_update().clone(),
        };
        let connected = timeout(HANDSHAKE, self.connected(&hello));
        let stop = &self.shared.stop;
        let (endpoint, connection, name) = match stop.run_until_cancelled(connected).await {
            Some(Ok(Ok(connected))) => connected,
            Some(Ok(Err(error))) => return error,
            Some(Err(_)) => return io::Error::new(io::ErrorKind::TimedOut, "it does not answer"),
            None => return io::ErrorKind::Interrupted.into(),
        };
        tracing::info!(edge = %name, at = &*self.address.at, "a tunnel to an edge is up");
        let live = Live::new(connection.clone());
        {
            let seen = &mut self.shared.edges()[self.place];
            (seen.name, seen.state) = (name, Ok(live.clone()));
        }
        tokio::select! {
            why = self.serve(&live) => why,
            why = tells(&live.connection, told) => why,
            why = clocks::compared(&live.connection, &live.skew, &self.shared.clock) => said(why),
            () = stop.cancelled() => {
                // Said, and not only dropped: the edge would go on sending clients here until it misses us.
                connection.close(VarInt::from_u32(0), b"stopping");
                // The edge hears of it, or does not answer: no longer is waited for.
                let _ = timeout(HANDSHAKE, endpoint.wait_idle()).await;
                io::ErrorKind::Interrupted.into()
            }
        }
    }

    async fn connected(&self, hello: &Hello) -> io::Result<(Endpoint, Connection, Box<str>)> {
        let unknown = |error: io::Error| io::Error::new(io::ErrorKind::NotFound, error);
        let found = tokio::net::lookup_host(&*self.address.at).await;
        let at = found.map_err(unknown)?.next();
        let at = at.ok_or(io::ErrorKind::NotFound)?;
        let local: SocketAddr = if at.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        // A socket of its own for each attempt: what stands between may have forgotten the one before.
        let endpoint = socket::dialling(local)?;
        let connecting = endpoint.connect_with(self.config.clone(), at, NAME);
        let connection = connecting.map_err(io::Error::other)?.await.map_err(said)?;
        let theirs = hello::exchanged(&connection, hello).await?;
        Ok((endpoint, connection, theirs.name))
    }

    async fn serve(&self, live: &Live) -> io::Error {
        loop {
            match live.connection.accept_bi().await {
                Ok(stream) => {
                    let (live, shared) = (live.clone(), self.shared.clone());
                    let edge = self.address.key;
                    // As many at once as there may be streams.
                    self.shared.tasks.spawn(async move {
                        shared
                            .stop
                            .run_until_cancelled(arrives(&shared, edge, &live, stream))
                            .await;
                    });
                }
                Err(error) => return said(error),
            }
        }
    }

    fn is_down(&self, why: &io::Error) {
        let seen = &mut self.shared.edges()[self.place];
        // One that was there is not since now; one that was not, since before.
        let since = match &seen.state {
            Ok(_) => Instant::now(),
            Err(down) => down.since,
        };
        seen.state = Err(Down {
            since,
            reached: !is_unreachable(why),
            why: why.to_string().into(),
        });
    }
}

/// Tells an edge what is to be known of us whenever that is something else, until the tunnel is gone.
async fn tells(connection: &Connection, mut told: watch::Receiver<Arc<[u8]>>) -> io::Error {
    while told.changed().await.is_ok() {
        let rest = told.borrow_and_update().clone();
        if let Err(error) = hello::say_anew(connection, &rest).await {
            return error;
        }
    }
    // Nobody will change it any more.
    said(connection.closed().await)
}

/// Reads whose a stream is, and hands it over.
async fn arrives(
    shared: &Shared,
    edge: Fingerprint,
    live: &Live,
    (send, mut receive): (SendStream, RecvStream),
) {
    let read = async {
        let octets = frame::read(&mut receive, header::LONGEST).await?;
        Header::read(&octets).map_err(io::Error::other)
    };
    let header = match timeout(shared.limits.opening, read).await {
        Ok(Ok(header)) => header,
        Ok(Err(error)) => {
            tracing::debug!(%edge, ?error, "what an edge says of a client makes no sense");
            return;
        }
        Err(_) => return,
    };
    let arrival = Arrival {
        edge,
        at: live.connection.remote_address(),
        header,
        stream: live.stream((send, receive)),
    };
    // Nobody takes it: we are stopping.
    let _ = shared.arrivals.send(arrival).await;
}

/// Why there is no tunnel where another process has our key. Ours has one connection to each edge, so it cannot have been us.
const ANOTHER: &str =
    "another server has dialled with the same tunnel.key: each needs one of its own";

/// Why there is none where the edge has said that it stops, or takes nobody because it does.
const STOPPED: &str = "it has stopped";

/// Why a connection is not there, as a kind by which it can be told.
fn said(error: ConnectionError) -> io::Error {
    match &error {
        ConnectionError::ApplicationClosed(close) if close.error_code == REPLACED => {
            io::Error::new(io::ErrorKind::AddrInUse, ANOTHER)
        }
        ConnectionError::ApplicationClosed(close) if close.error_code == STOPPING => {
            io::Error::new(io::ErrorKind::NotConnected, STOPPED)
        }
        ConnectionError::ConnectionClosed(close)
            if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
        {
            io::Error::new(io::ErrorKind::NotConnected, STOPPED)
        }
        _ => error.into(),
    }
}

fn is_replaced(why: &io::Error) -> bool {
    why.kind() == io::ErrorKind::AddrInUse
}

/// Whether nobody is known to be there: its name leads nowhere, nothing answers, or it stops.
fn is_unreachable(why: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        why.kind(),
        Kind::NotFound
            | Kind::TimedOut
            | Kind::ConnectionReset
            | Kind::NotConnected
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
    )
}

/// Between a half and the whole of it.
fn jittered(wait: Duration) -> Duration {
    let mut octet = [0];
    // Without randomness it is the half, which is as good for one.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut octet);
    wait / 2 + wait / 2 * u32::from(octet[0]) / 255
}
