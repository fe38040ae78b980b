//! One open connection, TCP or TLS, accepted or outgoing: messages in, messages out, until one side has enough. What a
//! message is, its framing knows.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use sip::endpoint::Flow;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::delivery::{Delivery, Taken};
use crate::event::Event;
use crate::framing::Framing;
use crate::outbox::{Abort, Outbox};
use crate::shared::Shared;
use crate::table::Link;
use crate::under_way::{Begun, is_lost};

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

/// Both ends of a connection. They stand in a place of their own, so that a task that waits is small.
pub(crate) type Halves<S> = (ReadHalf<S>, WriteHalf<S>);

/// Serves the connection until it ends. True if it goes on as something else, such as TLS: then all that was to be said before is said, and
/// nothing was read behind that.
pub(crate) async fn run<S, F>(
    shared: &Shared,
    link: &mut Link,
    (reader, writer): &mut Halves<S>,
    framing: &mut F,
) -> bool
where
    S: AsyncRead + AsyncWrite,
    F: Framing,
{
    let Link {
        flow,
        outbox,
        begun,
        ..
    } = link;
    let mut writer = Writer {
        shared,
        outbox,
        stream: writer,
    };
    let write = writer.run();
    tokio::pin!(write);
    let last_moment = async {
        shared.stop.cancelled().await;
        tokio::time::sleep(shared.limits.shutdown).await;
    };
    let end = tokio::select! {
        end = read(shared, (flow, outbox, begun), reader, framing) => end,
        written = &mut write => written.map_or_else(End::Failed, |()| End::Closed),
        abort = outbox.aborted() => End::Aborted(abort),
        () = last_moment => End::Closed,
    };
    tracing::debug!(?flow, ?end, "connection ended");
    if let End::Upgrade = end {
        *begun = None;
        let drained = drained(write, outbox);
        let limit = shared.limits.tls_handshake;
        shared.within(limit, drained).await == Some(true)
    } else {
        if let End::Aborted(Abort::Displaced) = end {
            shared.counters.silent.add(1);
        }
        shared.table().remove(flow.id);
        let goodbye = goodbye::<F>(shared, &end, write, reader);
        // In a place of its own, which no connection needs as long as it lives.
        Box::pin(async { tokio::join!(goodbye, told(shared, framing.gone())) }).await;
        false
    }
}

/// What is left to do for the peer.
async fn goodbye<F: Framing>(
    shared: &Shared,
    end: &End,
    write: impl Future<Output = io::Result<()>>,
    reader: &mut (impl AsyncRead + Unpin),
) {
    let limit = shared.limits.shutdown;
    match end {
        // What is queued, such as the answer to the garbage, still goes out.
        End::ClosedByPeer | End::Garbage | End::Refused => {
            let goodbye = async { tokio::join!(write, discard(reader)) };
            shared.within(limit, goodbye).await;
        }
        End::Closed if F::LINGERS => {
            shared.within(limit, discard(reader)).await;
        }
        _ => {}
    }
}

/// Tells the shard that has the connection for itself.
async fn told(shared: &Shared, gone: Option<(usize, Event)>) {
    if let Some((shard, gone)) = gone {
        shared.last(shard, gone).await;
    }
}

/// Goes on writing until all that is queued is written; false if that cannot be.
async fn drained(
    mut write: Pin<&mut impl Future<Output = io::Result<()>>>,
    outbox: &Outbox,
) -> bool {
    poll_fn(|context| {
        let ended = write.as_mut().poll(context).is_ready();
        if ended || outbox.is_written() {
            return Poll::Ready(!ended);
        }
        Poll::Pending
    })
    .await
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
    Aborted(Abort),
    /// What the peer sends makes no sense.
    Garbage,
    /// The peer was told that nothing more is read.
    Refused,
    /// It goes on as something else.
    Upgrade,
}

async fn read(
    shared: &Shared,
    (flow, outbox, begun): (&Flow, &Outbox, &mut Option<Begun>),
    reader: &mut (impl AsyncRead + Unpin),
    framing: &mut impl Framing,
) -> End {
    let after = |limit| Instant::now() + limit;
    // When a message that is owed (the first one, or the one that has begun) must be whole.
    let mut whole_by = framing.patience().first;
    let clock = sleep_until(whole_by.unwrap_or_else(Instant::now));
    tokio::pin!(clock);
    let mut incoming = Incoming {
        shared,
        flow,
        framing,
        malformed: 0,
        is_heard: false,
    };
    loop {
        let patience = incoming.framing.patience();
        let by = whole_by.or_else(|| patience.idle.map(after));
        let octets = read_some(reader, |octets| incoming.framing.push(octets));
        let octets = unless_lost(begun, octets);
        match until(clock.as_mut(), earlier(by, patience.by), octets).await {
            Some(None) => return End::Aborted(Abort::Displaced),
            None => {
                // It owes nothing, and may only be silent.
                let is_silent = whole_by.is_none() && patience.by.is_none();
                let question = is_silent.then(|| incoming.framing.asks()).flatten();
                let Some(question) = question else {
                    if !is_silent {
                        shared.counters.silent.add(1);
                    }
                    return End::TimedOut;
                };
                incoming.reply(question);
                continue;
            }
            Some(Some(Err(error))) => return End::Failed(error),
            Some(Some(Ok(0))) => {
                if whole_by.is_some() {
                    shared.counters.silent.add(1);
                }
                return End::ClosedByPeer;
            }
            // We have closed it, however long the peer takes to read what is queued.
            Some(Some(Ok(_))) if outbox.is_closed() => return End::Refused,
            Some(Some(Ok(_))) => {}
        }
        match incoming.take_all(clock.as_mut()).await {
            ControlFlow::Break(end) => return end,
            ControlFlow::Continue(true) => whole_by = None,
            ControlFlow::Continue(false) => {}
        }
        if incoming.is_heard || incoming.framing.has_begun() {
            *begun = None;
        }
        if whole_by.is_none() && incoming.framing.is_midway() {
            whole_by = Some(after(incoming.framing.patience().whole));
        }
    }
}

/// The first of two moments, of which each may never come.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

/// The result of `future`, or `None` if it did not come by then. The clock is one for all that a connection waits for: mostly what is
/// waited for comes long before it is late, and then the clock, which goes off too early, is set only when it does.
async fn until<T>(
    mut clock: Pin<&mut Sleep>,
    by: Option<Instant>,
    future: impl Future<Output = T>,
) -> Option<T> {
    tokio::pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(result) = future.as_mut().poll(context) {
            return Poll::Ready(Some(result));
        }
        let Some(by) = by else {
            return Poll::Pending;
        };
        if clock.deadline() > by {
            clock.as_mut().reset(by);
        }
        while clock.as_mut().poll(context).is_ready() {
            if clock.deadline() >= by {
                return Poll::Ready(None);
            }
            clock.as_mut().reset(by);
        }
        Poll::Pending
    })
    .await
}

/// The result of `future`, or `None` if this makes room for others before.
async fn unless_lost<T>(begun: &mut Option<Begun>, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        result = future => Some(result),
        () = is_lost(begun) => None,
    }
}

struct Incoming<'a, F> {
    shared: &'a Shared,
    flow: &'a Flow,
    framing: &'a mut F,
    malformed: u32,
    /// It has said something that can be read.
    is_heard: bool,
}

impl<F: Framing> Incoming<'_, F> {
    /// Acts on everything whole that has been read, waiting for shards where it must. Says whether there was a message
    /// among it.
    async fn take_all(&mut self, mut clock: Pin<&mut Sleep>) -> ControlFlow<End, bool> {
        let mut had_message = self.take().await?;
        while self.framing.waits() {
            let by = self.framing.patience().by;
            let answered = self.framing.answered();
            if until(clock.as_mut(), by, answered).await.is_none() {
                return ControlFlow::Break(End::TimedOut);
            }
            had_message |= self.take().await?;
        }
        ControlFlow::Continue(had_message)
    }

    /// The same, up to where it must wait.
    async fn take(&mut self) -> ControlFlow<End, bool> {
        let (mut had_message, mut end) = (false, None);
        let mut delivery = Delivery::new(self.shared);
        while end.is_none()
            && let Some(framed) = self.framing.next()
        {
            match delivery.take(framed, |reply| self.reply(reply)) {
                Taken::Answered => {}
                Taken::Whole => {
                    had_message = true;
                    self.is_heard = true;
                }
                Taken::Malformed => {
                    had_message = true;
                    self.malformed += 1;
                    let too_many = self.malformed > self.shared.limits.malformed_per_connection;
                    end = too_many.then_some(End::Garbage);
                }
                Taken::Broken => end = Some(End::Garbage),
                Taken::Last => end = Some(End::Refused),
                Taken::Upgrade => end = Some(End::Upgrade),
            }
        }
        let (doorman, remote) = (&self.shared.doorman, self.flow.remote.ip());
        let framing = &*self.framing;
        delivery
            .hand_over(|| framing.visitor(doorman, remote))
            .await;
        match end {
            Some(end) => ControlFlow::Break(end),
            None => ControlFlow::Continue(had_message),
        }
    }

    /// Queues an answer. There is no queue any more if a shard has closed the connection.
    fn reply(&self, reply: Bytes) {
        let limits = &self.shared.limits;
        self.shared.table().reply(self.flow.id, reply, limits);
    }
}

struct Writer<'a, W> {
    shared: &'a Shared,
    outbox: &'a Outbox,
    stream: W,
}

impl<W: AsyncWrite + Unpin> Writer<'_, W> {
    /// Writes what is queued until nothing more comes, then says goodbye to the peer.
    async fn run(&mut self) -> io::Result<()> {
        let outbox = self.outbox;
        loop {
            let batch = poll_fn(|context| outbox.poll_some(context, WRITE_BATCH)).await;
            if batch.is_empty() {
                break;
            }
            self.write(&batch).await?;
        }
        self.stream.shutdown().await
    }

    /// One write, and for TLS one record, for the whole batch.
    async fn write(&mut self, batch: &[Bytes]) -> io::Result<()> {
        match batch {
            [one] => self.stream.write_all(one).await?,
            many => self.stream.write_all(&many.concat()).await?,
        }
        self.stream.flush().await?;
        self.outbox.written(batch.iter().map(Bytes::len).sum());
        self.shared.counters.sent.add(batch.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use sip::endpoint::Transport;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::framing::sip::Sip;
    use crate::outbox::{Sender, outbox};
    use crate::under_way::UnderWay;

    const OPTIONS: &[u8] = b"OPTIONS sip:example.com SIP/2.0\r\n\
        Via: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bKa\r\nMax-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=a\r\n\
        To: <sip:example.com>\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

    /// The peer's end of a connection that is served from now on, and ours.
    fn served(shared: &Arc<Shared>, begun: Begun) -> (DuplexStream, Sender) {
        let (peer, stream) = duplex(1 << 12);
        let (sender, outbox) = outbox();
        let at = "192.0.2.1:5061".parse().unwrap();
        let flow = Flow {
            transport: Transport::Tls,
            local: at,
            remote: at,
            id: 1,
        };
        let mut link = Link {
            flow,
            outbox,
            since: Instant::now(),
            begun: Some(begun),
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let mut framing = Sip::accepted(flow, link.since, &shared.limits);
            let mut halves = tokio::io::split(stream);
            run(&shared, &mut link, &mut halves, &mut framing).await;
        });
        (peer, sender)
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_in_tls_makes_room_for_others_and_who_has_spoken_does_not() {
        let shared = Shared::alone();
        let (hears, mut heard) = mpsc::unbounded_channel();
        let take = move |event, _| hears.send(event).unwrap();
        shared.shards.take_by(Arc::new(take));
        let under_way = UnderWay::with_room_for(1);
        let begin = || under_way.begin(IpAddr::from([192, 0, 2, 1]));

        let (mut silent, _open) = served(&shared, begin());
        // It has not just begun.
        tokio::time::advance(Duration::from_secs(3)).await;
        let (mut speaks, _open) = served(&shared, begin());
        let since = Instant::now();
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(since.elapsed() < Duration::from_secs(1));

        speaks.write_all(OPTIONS).await.unwrap();
        assert!(matches!(heard.recv().await, Some(Event::Message { .. })));
        tokio::time::advance(Duration::from_secs(3)).await;
        let _other = begin();
        let mut nothing = [0; 1];
        let ends = speaks.read(&mut nothing);
        assert!(timeout(Duration::from_secs(1), ends).await.is_err());
    }
}
