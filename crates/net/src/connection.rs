//! One open connection, TCP or TLS, accepted or outgoing: messages in, messages out, until one side has enough.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use sip::endpoint::Flow;
use sip::{Frame, Framer, Message};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::Event;
use crate::shared::Shared;
use crate::table::Link;

/// RFC 5626 §4.4.1: the answer to a CRLF keep-alive.
const PONG: Bytes = Bytes::from_static(b"\r\n");

/// Bytes asked for by one read. Most messages fit in one; an idle connection should cost little.
const READ_CHUNK: usize = 4_096;

/// Fewer octets waiting in the framer may be half a keep-alive; from here on they are a message.
const MESSAGE_BEGUN: usize = 4;

/// Messages joined into one write.
const WRITE_BATCH: usize = 32;

/// TCP asks a peer that is silent for so long whether it is still there…
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);

/// …and goes on asking this often until the system gives it up.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);

/// Data that is not acknowledged for so long ends the connection; by default TCP takes a quarter of an hour.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// Socket options that every SIP connection has.
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
pub(crate) async fn run<S>(shared: &Arc<Shared>, link: Link, stream: S, accepted: bool)
where
    S: AsyncRead + AsyncWrite,
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
        end = read(shared, flow, &mut reader, accepted) => end,
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
    let mut chunk = [0; READ_CHUNK];
    while let Ok(1..) = reader.read(&mut chunk).await {}
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
    /// What the peer sends is no SIP.
    Garbage,
}

async fn read(
    shared: &Arc<Shared>,
    flow: Flow,
    reader: &mut (impl AsyncRead + Unpin),
    accepted: bool,
) -> End {
    let limits = &shared.limits;
    let framer = if accepted {
        Framer::new(limits.message)
    } else {
        Framer::client(limits.message)
    };
    let mut incoming = Frames {
        shared,
        flow,
        framer,
        malformed: 0,
    };
    let mut chunk = [0; READ_CHUNK];
    // When a message that is owed (the first one, or the one that has begun) must be whole.
    let mut whole_by = accepted.then(|| Instant::now() + limits.first_message);
    loop {
        let by = whole_by.unwrap_or_else(|| Instant::now() + limits.idle);
        let length = match timeout_at(by, reader.read(&mut chunk)).await {
            Err(_) => return End::TimedOut,
            Ok(Err(error)) => return End::Failed(error),
            Ok(Ok(0)) => return End::ClosedByPeer,
            Ok(Ok(length)) => length,
        };
        match incoming.take(&chunk[..length]).await {
            ControlFlow::Break(end) => return end,
            ControlFlow::Continue(true) => whole_by = None,
            ControlFlow::Continue(false) => {}
        }
        if whole_by.is_none() && incoming.framer.pending() >= MESSAGE_BEGUN {
            whole_by = Some(Instant::now() + limits.first_message);
        }
    }
}

struct Frames<'a> {
    shared: &'a Arc<Shared>,
    flow: Flow,
    framer: Framer,
    malformed: u32,
}

impl Frames<'_> {
    /// Acts on every whole frame. Says whether there was a message among them.
    async fn take(&mut self, bytes: &[u8]) -> ControlFlow<End, bool> {
        let mut had_message = false;
        self.framer.push(bytes);
        loop {
            match self.framer.next() {
                Ok(None) => return ControlFlow::Continue(had_message),
                Ok(Some(Frame::Pong)) => {}
                Ok(Some(Frame::Ping)) => {
                    self.shared
                        .table()
                        .send(self.flow, PONG, &self.shared.limits);
                }
                Ok(Some(Frame::Message(bytes))) => {
                    had_message = true;
                    if !deliver(self.shared, self.flow, bytes).await {
                        self.malformed += 1;
                    }
                }
                Err(error) => {
                    self.shared.counters.malformed.add(1);
                    if let Some(reply) = error.reply() {
                        self.shared.send(self.flow, reply);
                    }
                    self.shared
                        .emit(Event::Malformed {
                            flow: self.flow,
                            reason: error.to_string(),
                        })
                        .await;
                    return ControlFlow::Break(End::Garbage);
                }
            }
            if self.malformed > self.shared.limits.malformed_per_connection {
                return ControlFlow::Break(End::Garbage);
            }
        }
    }
}

/// Parses one message, of a datagram or a stream, and hands it to the role; answers one that cannot be parsed. Says
/// which.
pub(crate) async fn deliver(shared: &Arc<Shared>, flow: Flow, bytes: Bytes) -> bool {
    match Message::parse(bytes.clone(), &shared.limits.message) {
        Ok(message) => {
            shared.counters.received.add(1);
            shared.emit(Event::Message { flow, message }).await;
            true
        }
        Err(error) => {
            shared.counters.malformed.add(1);
            if let Some(reply) = error.reply(&bytes) {
                shared.send(flow, reply);
            }
            shared
                .emit(Event::Malformed {
                    flow,
                    reason: error.to_string(),
                })
                .await;
            false
        }
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
