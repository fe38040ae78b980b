//! Connections to one provider with the same credentials, and who may send on which. A connection starts with one
//! stream where the provider wants that, and grows as its SETTINGS allow; when streams run out another connection
//! opens; what is left waits in a queue. A connection that said GOAWAY, reset a stream or died is retired: nothing new
//! goes over it, what is under way may finish. Which fault may be retried is decided in [`Pool::exchange`], and only there.

mod connection;
mod dial;
mod failures;
mod queue;
mod slots;

use crate::{
    Limits, Proxy,
    endpoint::Endpoint,
    hops::{Hop, saw},
    observe::Observer,
};
use bytes::{Bytes, BytesMut};
use dial::Dialer;
use http::{HeaderMap, Request, StatusCode};
use slots::{Slot, Slots, Taken};
use std::{fmt, pin::pin, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, Error)]
pub(crate) enum Fault {
    /// No connection could be opened.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The provider certainly did not process the request.
    #[error("not processed: {0}")]
    Unprocessed(String),
    /// The connection failed before any response byte; the provider may have processed the request.
    #[error("connection lost: {0}")]
    Lost(String),
    /// Too many wait already.
    #[error("too many pushes wait for the provider")]
    QueueFull,
    /// The pool was shut down.
    #[error("shutting down")]
    Closed,
    /// The request itself cannot be sent.
    #[error("cannot be sent: {0}")]
    Request(String),
}

/// How a provider is reached.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// Offers `h2` by ALPN.
    pub(crate) tls: Arc<rustls::ClientConfig>,
    /// Not directly, but through this.
    pub(crate) proxy: Option<Arc<Proxy>>,
}

/// How a provider's connections begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Start {
    /// As SETTINGS allow.
    Open,
    /// With one stream, until an answer shows that our token was taken.
    OneStream,
}

/// A connection that is had within this time was there.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Who goes first when streams are scarce.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Urgency {
    /// A call, or what a call needs.
    Call,
    /// Everything else.
    Rest,
}

/// See the module. Dropping it closes its connections.
pub(crate) struct Pool {
    inner: Arc<Inner>,
    _stop: DropGuard,
}

struct Inner {
    dialer: Dialer,
    name: String,
    start: Start,
    limits: Limits,
    observer: Arc<dyn Observer>,
    slots: Slots,
    /// A connection came or went: the keeper looks whether enough are left.
    changed: Notify,
    tasks: TaskTracker,
    /// No new connections.
    closing: CancellationToken,
    /// No connections.
    stop: CancellationToken,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("endpoint", &self.inner.name)
            .finish_non_exhaustive()
    }
}

impl Pool {
    pub(crate) fn new(
        endpoint: &Endpoint,
        way: &Way,
        start: Start,
        limits: &Limits,
        observer: &Arc<dyn Observer>,
    ) -> Self {
        let stop = CancellationToken::new();
        let inner = Inner {
            dialer: Dialer::new(endpoint.clone(), way.clone(), start),
            name: endpoint.to_string(),
            start,
            slots: Slots::new(limits),
            limits: limits.clone(),
            observer: Arc::clone(observer),
            changed: Notify::new(),
            tasks: TaskTracker::new(),
            closing: stop.child_token(),
            stop: stop.clone(),
        };
        Self {
            inner: Arc::new(inner),
            _stop: stop.drop_guard(),
        }
    }

    /// Sends a request and reads the whole answer. `head` is called once for each attempt.
    ///
    /// A request that the provider certainly did not process is sent again up to `Limits::unprocessed_retries` times.
    /// One that was lost before any response byte is sent again once, on another connection (`behaviour.md` 5.6).
    pub(crate) async fn exchange(
        &self,
        urgency: Urgency,
        head: impl Fn() -> http::Result<Request<()>>,
        body: Bytes,
    ) -> Result<Reply, Fault> {
        let mut unprocessed = self.inner.limits.unprocessed_retries;
        let mut lost = 1;
        loop {
            let head = head().map_err(|error| Fault::Request(error.to_string()))?;
            let fault = match self.attempt(urgency, head, body.clone()).await {
                Ok(reply) => return Ok(reply),
                Err(fault) => fault,
            };
            let name = Some(&*self.inner.name);
            saw(|after| Hop::of("fault", name, fault.to_string(), after));
            let left = match fault {
                Fault::Unprocessed(_) => &mut unprocessed,
                Fault::Lost(_) | Fault::Connect(_) => &mut lost,
                Fault::QueueFull | Fault::Closed | Fault::Request(_) => return Err(fault),
            };
            if *left == 0 {
                return Err(fault);
            }
            *left -= 1;
            tracing::debug!(endpoint = self.inner.name, %fault, "sent again");
        }
    }

    async fn attempt(
        &self,
        urgency: Urgency,
        head: Request<()>,
        body: Bytes,
    ) -> Result<Reply, Fault> {
        let inner = &self.inner;
        let asked = Instant::now();
        let mut slot = inner.slot(urgency).await?;
        let waited = asked.elapsed();
        saw(|after| inner.connection(waited, after));
        // Refused here, it never left: a GOAWAY or the end of the connection came in between.
        let (response, mut stream) = slot.sender.send_request(head, false).map_err(|error| {
            inner.retire(slot.connection, &error.to_string());
            Fault::Unprocessed(error.to_string())
        })?;
        let response = match stream.send_data(body, true) {
            Ok(()) => inner.patiently(&slot, response).await,
            Err(error) => Err(error),
        };
        let response = response.map_err(|error| inner.fault(slot.connection, &error))?;
        slot.served = true;
        let (head, body) = response.into_parts();
        if inner.start == Start::OneStream && took_our_token(head.status) {
            inner.proven(slot.connection);
        }
        let reply = Reply {
            status: head.status,
            headers: head.headers,
            body: read(body, inner.limits.answer_bytes).await,
        };
        saw(|after| inner.answer(&reply, after));
        Ok(reply)
    }

    /// Opens connections ahead and keeps them open. Returns when enough are open, or one could not be opened.
    pub(crate) async fn warm(&self) {
        let inner = &self.inner;
        if inner.slots.keep(inner.limits.warm_connections) {
            let keeper = Arc::clone(inner);
            inner.spawn(&inner.closing, async move { keeper.keep_warm().await });
        }
        loop {
            let changed = inner.changed.notified();
            if !inner.slots.warming() {
                return;
            }
            changed.await;
        }
    }

    /// Takes nothing new, lets what is under way finish until the deadline, closes the connections.
    pub(crate) async fn shutdown(&self) {
        self.inner.slots.close();
        self.inner.closing.cancel();
        self.inner.changed.notify_waiters();
        self.inner.tasks.close();
        // Past the deadline every push has its outcome anyway.
        let _ = timeout(self.inner.limits.deadline, self.inner.tasks.wait()).await;
        self.inner.stop.cancel();
        self.inner.tasks.wait().await;
    }
}

/// Anything but a refusal of our token, or trouble before it was looked at.
fn took_our_token(status: StatusCode) -> bool {
    !status.is_server_error()
        && !matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        )
}

/// As much of the body as came, up to `limit` bytes. The status has been read: a body that breaks off is no reason to
/// do it all again.
async fn read(mut body: h2::RecvStream, limit: usize) -> Bytes {
    let mut read = BytesMut::new();
    while let Some(Ok(part)) = body.data().await {
        let fits = part.len().min(limit - read.len());
        read.extend_from_slice(&part[..fits]);
        if body.flow_control().release_capacity(part.len()).is_err() || fits < part.len() {
            break;
        }
    }
    read.freeze()
}

impl Inner {
    /// A connection was had.
    fn connection(&self, waited: Duration, after: Duration) -> Hop {
        let detail = if waited.is_zero() || waited < AT_ONCE {
            "open already".to_owned()
        } else {
            format!("had after {} ms", waited.as_millis())
        };
        Hop::of("connection", Some(&self.name), detail, after)
    }

    /// An answer came.
    fn answer(&self, reply: &Reply, after: Duration) -> Hop {
        let date = reply.headers.get(http::header::DATE);
        let reason = reply.status.canonical_reason().unwrap_or_default();
        Hop {
            status: Some(reply.status.as_u16()),
            date: date.and_then(|it| Some(it.to_str().ok()?.to_owned())),
            ..Hop::of("answer", Some(&self.name), reason.to_owned(), after)
        }
    }

    async fn slot(self: &Arc<Self>, urgency: Urgency) -> Result<Slot, Fault> {
        match self.slots.take(self, urgency)? {
            Taken::Now(slot) => Ok(slot),
            Taken::Later(turn) => {
                self.grow();
                turn.await.unwrap_or(Err(Fault::Closed))
            }
        }
    }

    /// Waits for the answer. After a while asks the connection whether it still lives, which ends it if it does not;
    /// then spares others the same wait, for a provider may answer PINGs and nothing else.
    async fn patiently<F: Future>(self: &Arc<Self>, slot: &Slot, response: F) -> F::Output {
        let mut response = pin!(response);
        if let Ok(response) = timeout(self.limits.patience, &mut response).await {
            return response;
        }
        slot.probe.notify_one();
        if let Ok(response) = timeout(self.limits.patience, &mut response).await {
            return response;
        }
        self.retire(slot.connection, "a request has no answer");
        response.await
    }

    /// Sorts what went wrong with a stream.
    fn fault(self: &Arc<Self>, id: u64, error: &h2::Error) -> Fault {
        let text = error.to_string();
        // More streams than the provider allows right now: the connection is well (RFC 9113 §8.7).
        if error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM) {
            return Fault::Unprocessed(text);
        }
        self.retire(id, &text);
        // A GOAWAY fails only the streams above the last one that the provider looked at (RFC 9113 §6.8).
        if error.is_go_away() && error.is_remote() {
            Fault::Unprocessed(text)
        } else {
            Fault::Lost(text)
        }
    }
}
