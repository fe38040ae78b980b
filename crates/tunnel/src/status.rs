//! How tunnels are, for people who look and for alarms.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, Join, ReadBuf};

use crate::clocks::Known;
use crate::{Fingerprint, Skew};

/// Octets of a stream that are taken at once.
const MOST_AT_ONCE: usize = 16 * 1024;

/// One tunnel, as one side sees it.
#[derive(Clone, Debug)]
pub struct Link {
    /// The other side's key.
    pub who: Fingerprint,
    /// What it is known by here, whatever it says: where an edge is dialled, an inside's key.
    pub at: Box<str>,
    /// What it calls itself; before it has said so, as above.
    pub name: Box<str>,
    /// Whether it is there.
    pub state: State,
}

/// Whether the other side is there.
#[derive(Clone, Debug)]
pub enum State {
    /// It is.
    Up {
        /// Since when.
        since: Instant,
        /// Where it is.
        at: SocketAddr,
        /// How long a packet takes there and back.
        round_trip: Duration,
        /// Of the packets that we sent, the part that was lost.
        lost: f64,
        /// Clients over it.
        clients: usize,
        /// How its clock differs from ours, once that is known.
        skew: Option<Skew>,
    },
    /// It is not.
    Down {
        /// Since when.
        since: Instant,
        /// What came of the last attempt.
        why: Box<str>,
        /// Whether somebody was there at the last attempt. Who is dialled by the other side is not looked for.
        reached: bool,
    },
}

/// A tunnel that is up.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) connection: Connection,
    pub(crate) since: Instant,
    clients: Arc<AtomicUsize>,
    /// How the other side's clock differs from ours.
    pub(crate) skew: Known,
}

impl Live {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            since: Instant::now(),
            clients: Arc::default(),
            skew: Known::default(),
        }
    }

    pub(crate) fn state(&self) -> State {
        State::Up {
            since: self.since,
            at: self.connection.remote_address(),
            round_trip: self.connection.rtt(),
            lost: self.lost(),
            clients: self.clients.load(Ordering::Relaxed),
            skew: self.skew.get(),
        }
    }

    fn lost(&self) -> f64 {
        let path = self.connection.stats().path;
        let of = |packets: u64| f64::from(u32::try_from(packets).unwrap_or(u32::MAX));
        of(path.lost_packets) / of(path.sent_packets).max(1.0)
    }

    /// A client's stream, counted for as long as it is there.
    pub(crate) fn stream(&self, (send, receive): (SendStream, RecvStream)) -> Stream {
        self.clients.fetch_add(1, Ordering::Relaxed);
        Stream {
            both: tokio::io::join(receive, send),
            client: Client(self.clients.clone()),
        }
    }
}

/// Counts as a client for as long as it is there.
#[derive(Debug)]
struct Client(Arc<AtomicUsize>);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One client's stream, in both directions. Dropped, it ends after what was written.
#[derive(Debug)]
pub struct Stream {
    both: Join<RecvStream, SendStream>,
    client: Client,
}

/// What comes over a stream.
#[derive(Debug)]
pub struct ReadHalf {
    receive: RecvStream,
    _client: Client,
}

/// What goes over a stream. Dropped, it ends after what was written.
#[derive(Debug)]
pub struct WriteHalf(SendStream);

impl Stream {
    /// Both directions, each for itself.
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        let (receive, send) = self.both.into_inner();
        let read = ReadHalf {
            receive,
            _client: self.client,
        };
        (read, WriteHalf(send))
    }
}

impl ReadHalf {
    /// What comes next; nothing at the end. Cancel safe.
    ///
    /// # Errors
    /// The tunnel is gone, or the other side has given the stream up.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let chunk = self.receive.read_chunk(MOST_AT_ONCE, true).await?;
        // Not as it is: it would keep all that the system has received with it.
        Ok(chunk.map(|chunk| Bytes::copy_from_slice(&chunk.bytes)))
    }
}

impl WriteHalf {
    /// Writes as many of these octets as there is room for.
    ///
    /// # Errors
    /// The tunnel is gone, or the other side has given the stream up.
    pub fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.0), context, octets)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.both).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.both).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.both).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.both).poll_shutdown(context)
    }
}
