//! The book-keeping of a [`Pool`](super::Pool): connections, how many streams of each are in use, who waits. One lock,
//! held for a few instructions; no I/O.

use super::{Fault, Inner};
use crate::Limits;
use bytes::Bytes;
use h2::client::SendRequest;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

/// A stream on a connection, free again when it is dropped.
pub(super) struct Slot {
    pub(super) sender: SendRequest<Bytes>,
    /// Makes the connection prove that it lives.
    pub(super) probe: Arc<Notify>,
    /// Names the connection.
    pub(super) id: u64,
    /// `None` once it was given back by hand.
    pool: Option<Arc<Inner>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.slots.give_back(&pool, self.id);
        }
    }
}

type Turn = oneshot::Sender<Result<Slot, Fault>>;

/// What asking for a stream gives.
pub(super) enum Taken {
    Now(Slot),
    Later(oneshot::Receiver<Result<Slot, Fault>>),
    Refused(Fault),
}

/// See the module.
pub(super) struct Slots {
    state: Mutex<State>,
    most_connections: usize,
    most_streams: usize,
    most_waiting: usize,
}

#[derive(Default)]
struct State {
    connections: Vec<Connection>,
    /// One is being opened; never more at once.
    opening: bool,
    waiting: VecDeque<Turn>,
    last_id: u64,
    /// So many are kept open ahead of need.
    keep: usize,
    closed: bool,
    failures: Failures,
}

struct Connection {
    id: u64,
    sender: Arc<SendRequest<Bytes>>,
    probe: Arc<Notify>,
    in_flight: usize,
    /// May use more than one stream.
    proven: bool,
}

/// Failures to connect, in a row.
#[derive(Default)]
struct Failures {
    count: u32,
    last: Option<(Instant, String)>,
}

impl Failures {
    /// How much longer not to try again: the first retry is immediate, then the pause doubles up to `longest`.
    fn pause(&self, longest: Duration) -> Duration {
        let pause = match self.count {
            0 | 1 => Duration::ZERO,
            more => Duration::from_millis(100) * 2_u32.pow(more.min(10) - 2),
        };
        let since = self
            .last
            .as_ref()
            .map_or(Duration::MAX, |(at, _)| at.elapsed());
        pause.min(longest).saturating_sub(since)
    }
}

/// The longest pause between attempts while pushes want a connection: they will not wait for long.
const PAUSE_WANTED: Duration = Duration::from_secs(1);
/// The longest pause between attempts at a connection ahead of need.
const PAUSE_AHEAD: Duration = Duration::from_secs(30);

impl Slots {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            state: Mutex::default(),
            most_connections: limits.connections.max(1),
            most_streams: limits.streams.max(1),
            most_waiting: limits.queue,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream, or a place in the queue; then [`Slots::may_open`] must be asked.
    pub(super) fn take(&self, pool: &Arc<Inner>) -> Taken {
        let mut state = self.lock();
        if state.closed {
            return Taken::Refused(Fault::Closed);
        }
        if state.waiting.is_empty()
            && let Some(slot) = self.free_stream(&mut state, pool)
        {
            return Taken::Now(slot);
        }
        if let Some(reason) = state.hopeless() {
            return Taken::Refused(Fault::Connect(reason));
        }
        if state.waiting.len() >= self.most_waiting {
            // Some may have given up.
            state.waiting.retain(|turn| !turn.is_closed());
        }
        if state.waiting.len() >= self.most_waiting {
            return Taken::Refused(Fault::QueueFull);
        }
        let (turn, wait) = oneshot::channel();
        state.waiting.push_back(turn);
        Taken::Later(wait)
    }

    fn give_back(&self, pool: &Arc<Inner>, id: u64) {
        let mut state = self.lock();
        state.release(id);
        self.serve(&mut state, pool);
    }

    /// The first connection with a free stream, so that the later ones stay spare.
    fn free_stream(&self, state: &mut State, pool: &Arc<Inner>) -> Option<Slot> {
        let connection = state.connections.iter_mut().find(|connection| {
            let allowed = if connection.proven {
                self.most_streams
            } else {
                1
            };
            // SETTINGS may change at any time, down to 1 and below what is in use.
            connection.in_flight < allowed.min(connection.sender.current_max_send_streams())
        })?;
        connection.in_flight += 1;
        Some(Slot {
            sender: SendRequest::clone(&connection.sender),
            probe: Arc::clone(&connection.probe),
            id: connection.id,
            pool: Some(Arc::clone(pool)),
        })
    }

    /// Gives free streams to those who wait longest.
    fn serve(&self, state: &mut State, pool: &Arc<Inner>) {
        let mut unclaimed = None;
        while let Some(turn) = state.waiting.pop_front() {
            let Some(slot) = unclaimed.take().or_else(|| self.free_stream(state, pool)) else {
                state.waiting.push_front(turn);
                return;
            };
            // Comes back if that push has given up meanwhile.
            unclaimed = turn.send(Ok(slot)).err().and_then(Result::ok);
        }
        if let Some(mut slot) = unclaimed {
            // Its drop would take the lock that is held here.
            slot.pool = None;
            state.release(slot.id);
        }
    }

    /// Whether the caller is to open a connection now: pushes wait, no connection is about to give them streams, and
    /// there may be one more. After `true` comes [`Slots::opened`] or [`Slots::failed`].
    pub(super) fn may_open(&self) -> bool {
        let mut state = self.lock();
        if let Some(reason) = state.hopeless() {
            state.refuse_all(&Fault::Connect(reason));
        }
        let more_to_come = state.opening
            || state
                .connections
                .iter()
                .any(|connection| !connection.proven);
        let wanted = !state.waiting.is_empty()
            && !more_to_come
            && state.failures.pause(PAUSE_WANTED).is_zero();
        let open = wanted && !state.closed && state.connections.len() < self.most_connections;
        state.opening |= open;
        open
    }

    /// The same for a connection ahead of need: how long to wait before it may be opened. `None`: none is needed.
    pub(super) fn may_open_ahead(&self) -> Option<Duration> {
        let mut state = self.lock();
        if !state.short() || state.opening {
            return None;
        }
        let pause = state.failures.pause(PAUSE_AHEAD);
        state.opening = pause.is_zero();
        Some(pause)
    }

    /// A connection is up. Returns its name.
    pub(super) fn opened(
        &self,
        pool: &Arc<Inner>,
        sender: Arc<SendRequest<Bytes>>,
        probe: Arc<Notify>,
        proven: bool,
    ) -> u64 {
        let mut state = self.lock();
        state.opening = false;
        state.failures = Failures::default();
        state.last_id += 1;
        let id = state.last_id;
        if !state.closed {
            state.connections.push(Connection {
                id,
                sender,
                probe,
                in_flight: 0,
                proven,
            });
        }
        self.serve(&mut state, pool);
        id
    }

    /// A connection could not be opened. Those who wait are told, unless another connection may serve them.
    pub(super) fn failed(&self, reason: &str) {
        let mut state = self.lock();
        state.opening = false;
        state.failures.count = state.failures.count.saturating_add(1);
        state.failures.last = Some((Instant::now(), reason.to_owned()));
        if state.connections.is_empty() {
            state.refuse_all(&Fault::Connect(reason.to_owned()));
        }
    }

    /// Nothing new over this connection. Says whether it was still in use.
    pub(super) fn retire(&self, id: u64) -> bool {
        let mut state = self.lock();
        let before = state.connections.len();
        state.connections.retain(|connection| connection.id != id);
        state.connections.len() < before
    }

    /// A connection may use as many streams as its SETTINGS allow.
    pub(super) fn proven(&self, pool: &Arc<Inner>, id: u64) {
        let mut state = self.lock();
        let mut fresh = state
            .connections
            .iter_mut()
            .filter(|connection| connection.id == id && !connection.proven);
        if let Some(connection) = fresh.next() {
            connection.proven = true;
            self.serve(&mut state, pool);
        }
    }

    /// SETTINGS of a connection changed.
    pub(super) fn settings_changed(&self, pool: &Arc<Inner>) {
        let mut state = self.lock();
        self.serve(&mut state, pool);
    }

    /// From now on so many connections are kept open. Says whether none were until now.
    pub(super) fn keep(&self, connections: usize) -> bool {
        let mut state = self.lock();
        let first = state.keep == 0 && connections > 0;
        state.keep = connections.min(self.most_connections);
        first
    }

    /// Fewer connections are open than are kept, and nothing has failed yet.
    pub(super) fn warming(&self) -> bool {
        let state = self.lock();
        state.short() && state.failures.count == 0
    }

    /// Takes nothing new: who waits is told, no connection stays for new requests.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.connections.clear();
        state.refuse_all(&Fault::Closed);
    }
}

impl State {
    fn release(&mut self, id: u64) {
        // A retired connection is not in the books any more.
        if let Some(connection) = self
            .connections
            .iter_mut()
            .find(|connection| connection.id == id)
        {
            connection.in_flight -= 1;
        }
    }

    fn refuse_all(&mut self, fault: &Fault) {
        for turn in self.waiting.drain(..) {
            // One that has given up does not listen.
            let _ = turn.send(Err(fault.clone()));
        }
    }

    /// With no connection, none being opened, and the last attempt just failed: why.
    fn hopeless(&self) -> Option<String> {
        if !self.connections.is_empty()
            || self.opening
            || self.failures.pause(PAUSE_WANTED).is_zero()
        {
            return None;
        }
        self.failures
            .last
            .as_ref()
            .map(|(_, reason)| reason.clone())
    }

    fn short(&self) -> bool {
        !self.closed && self.connections.len() < self.keep
    }
}
