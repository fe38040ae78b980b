//! One open connection, TCP or TLS, accepted or outgoing: messages in, messages out, until one side has enough. What a
//! message is, its framing knows.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use sip::endpoint::Flow;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::delivery::{Delivery, Taken};
use crate::framing::Framing;
use crate::shared::Shared;
use crate::table::Link;

/// Bytes asked for by one read. Most messages fit in one; an idle connection should cost little.
const READ_CHUNK: usize = 4_096;

/// Messages joined into one write.
const WRITE_BATCH: usize = 32;

/// TCP asks a peer that is silent for so long whether it is still there…
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);

/// …and goes on asking this often until the system gives it up.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);

/// Data that is not acknowledged for so long ends the connection; by default TCP takes a quarter of an hour.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// Socket options that every connection has.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    // A message must not wait for the acknowledgement of the one before.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE_AFTER)
            .with_interval(KEEPALIVE_EVERY),
    )?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}

/// Serves the connection until it ends.
pub(crate) async fn run<S, F>(shared: &Shared, link: Link, stream: S, framing: F, accepted: bool)
where
    S: AsyncRead + AsyncWrite,
    F: Framing,
{
    let Link {
        flow,
        queue,
        queued_bytes,
        abort,
    } = link;
    let (mut reader, writer) = tokio::io::split(stream);
    let write = async {
        let mut writer = Writer {
            shared,
            queued_bytes: &queued_bytes,
            out: Vec::new(),
            stream: writer,
        };
        writer.run(queue).await
    };
    tokio::pin!(write);
    let last_moment = async {
        shared.stop.cancelled().await;
        tokio::time::sleep(shared.limits.shutdown).await;
    };
    let end = tokio::select! {
        end = read(shared, flow, &mut reader, framing, accepted) => end,
        written = &mut write => written.map_or_else(End::Failed, |()| End::Closed),
        () = abort.cancelled() => End::QueueFull,
        () = last_moment => End::Closed,
    };
    tracing::debug!(?flow, ?end, "connection ended");
    if matches!(end, End::ClosedByPeer | End::Garbage) {
        // What is queued, such as the answer to the garbage, still goes out.
        shared.table().remove(flow);
        let goodbye = async { tokio::join!(write, discard(&mut reader)) };
        shared.within(shared.limits.shutdown, goodbye).await;
    }
}

/// Reads to the end. Closing with unread octets would reset the connection, and the peer might lose what we sent last.
async fn discard(reader: &mut (impl AsyncRead + Unpin)) {
    while let Ok(1..) = read_some(reader, |_| {}).await {}
}

/// Waits for octets, gives them to `take`, and says how many there were; none at the end. They are read into the stack:
/// a connection that waits has no buffer.
async fn read_some(
    reader: &mut (impl AsyncRead + Unpin),
    mut take: impl FnMut(&[u8]),
) -> io::Result<usize> {
    poll_fn(|context| {
        let mut chunk = [MaybeUninit::uninit(); READ_CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        ready!(Pin::new(&mut *reader).poll_read(context, &mut chunk))?;
        take(chunk.filled());
        Ok(chunk.filled().len()).into()
    })
    .await
}

/// Why a connection ended; for the log.
#[derive(Debug)]
#[expect(dead_code, reason = "read by Debug, for the log line")]
enum End {
    /// We closed it.
    Closed,
    ClosedByPeer,
    Failed(io::Error),
    /// Nothing received for too long, or a message that never became whole.
    TimedOut,
    /// The peer does not read what we send.
    QueueFull,
    /// What the peer sends makes no sense.
    Garbage,
}

async fn read(
    shared: &Shared,
    flow: Flow,
    reader: &mut (impl AsyncRead + Unpin),
    framing: impl Framing,
    accepted: bool,
) -> End {
    let limits = &shared.limits;
    let mut incoming = Incoming {
        shared,
        flow,
        framing,
        malformed: 0,
    };
    // When a message that is owed (the first one, or the one that has begun) must be whole.
    let mut whole_by = accepted.then(|| Instant::now() + limits.first_message);
    loop {
        let by = whole_by.unwrap_or_else(|| Instant::now() + limits.idle);
        let octets = read_some(reader, |octets| incoming.framing.push(octets));
        match timeout_at(by, octets).await {
            Err(_) => return End::TimedOut,
            Ok(Err(error)) => return End::Failed(error),
            Ok(Ok(0)) => return End::ClosedByPeer,
            Ok(Ok(_)) => {}
        }
        match incoming.take().await {
            ControlFlow::Break(end) => return end,
            ControlFlow::Continue(true) => whole_by = None,
            ControlFlow::Continue(false) => {}
        }
        if whole_by.is_none() && incoming.framing.is_midway() {
            whole_by = Some(Instant::now() + limits.first_message);
        }
    }
}

struct Incoming<'a, F> {
    shared: &'a Shared,
    flow: Flow,
    framing: F,
    malformed: u32,
}

impl<F: Framing> Incoming<'_, F> {
    /// Acts on everything whole that has been read. Says whether there was a message among it.
    async fn take(&mut self) -> ControlFlow<End, bool> {
        let (mut had_message, mut garbage) = (false, false);
        let mut delivery = Delivery::new(self.shared);
        while let (false, Some(framed)) = (garbage, self.framing.next()) {
            match delivery.take(framed, |reply| self.shared.send(0, self.flow, reply)) {
                Taken::KeepAlive => {}
                Taken::Whole => had_message = true,
                Taken::Malformed => {
                    had_message = true;
                    self.malformed += 1;
                    garbage = self.malformed > self.shared.limits.malformed_per_connection;
                }
                Taken::Broken => garbage = true,
            }
        }
        delivery.hand_over().await;
        if garbage {
            return ControlFlow::Break(End::Garbage);
        }
        ControlFlow::Continue(had_message)
    }
}

struct Writer<'a, W> {
    shared: &'a Shared,
    queued_bytes: &'a std::sync::atomic::AtomicUsize,
    out: Vec<u8>,
    stream: W,
}

impl<W: AsyncWrite + Unpin> Writer<'_, W> {
    /// Writes what is queued until the queue is closed, then says goodbye to the peer.
    async fn run(&mut self, mut queue: tokio::sync::mpsc::Receiver<Bytes>) -> io::Result<()> {
        let mut batch = Vec::with_capacity(WRITE_BATCH);
        while queue.recv_many(&mut batch, WRITE_BATCH).await > 0 {
            self.write(&batch).await?;
            batch.clear();
        }
        self.stream.shutdown().await
    }

    /// One write, and for TLS one record, for the whole batch.
    async fn write(&mut self, batch: &[Bytes]) -> io::Result<()> {
        match batch {
            [one] => self.stream.write_all(one).await?,
            many => {
                self.out.clear();
                for bytes in many {
                    self.out.extend_from_slice(bytes);
                }
                self.stream.write_all(&self.out).await?;
            }
        }
        self.stream.flush().await?;
        self.queued_bytes
            .fetch_sub(batch.iter().map(Bytes::len).sum(), Ordering::Relaxed);
        self.shared.counters.sent.add(batch.len());
        Ok(())
    }
}
