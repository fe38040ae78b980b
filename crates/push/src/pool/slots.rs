//! The book-keeping of a [`Pool`](super::Pool): connections, how many streams of each are in use, who waits. One lock,
//! held for a few instructions; no I/O.

use super::{Fault, Inner, Start, Urgency, failures::Failures, queue::Queue};
use crate::Limits;
use bytes::Bytes;
use h2::client::SendRequest;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot::Receiver},
    time::Instant,
};

/// A stream on a connection, free again when it is dropped.
pub(super) struct Slot {
    pub(super) sender: SendRequest<Bytes>,
    /// Makes the connection prove that it lives.
    pub(super) probe: Arc<Notify>,
    /// Names the connection.
    pub(super) connection: u64,
    /// An answer came over it.
    pub(super) served: bool,
    /// `None` once it was given back by hand.
    pool: Option<Arc<Inner>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.slots.give_back(&pool, self.connection, self.served);
        }
    }
}

/// What asking for a stream gives.
pub(super) enum Taken {
    Now(Slot),
    /// A place in the queue. Then [`Slots::may_open`] must be asked.
    Later(Receiver<Result<Slot, Fault>>),
}

/// See the module.
pub(super) struct Slots {
    state: Mutex<State>,
    most_connections: usize,
    most_streams: usize,
}

struct State {
    connections: Vec<Connection>,
    /// One is being opened; never more at once.
    opening: bool,
    waiting: Queue<Slot>,
    last_name: u64,
    /// So many are kept open ahead of need.
    keep: usize,
    closed: bool,
    failures: Failures,
}

struct Connection {
    name: u64,
    sender: Arc<SendRequest<Bytes>>,
    probe: Arc<Notify>,
    in_flight: usize,
    /// When a stream was last taken or given back.
    used: Instant,
    /// May use more than one stream.
    proven: bool,
    /// An answer came over it.
    served: bool,
}

impl Slots {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            state: Mutex::new(State {
                connections: Vec::new(),
                opening: false,
                waiting: Queue::new(limits.queue),
                last_name: 0,
                keep: 0,
                closed: false,
                failures: Failures::default(),
            }),
            most_connections: limits.connections.max(1),
            most_streams: limits.streams.max(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream, or a place in the queue.
    pub(super) fn take(&self, pool: &Arc<Inner>, urgency: Urgency) -> Result<Taken, Fault> {
        let mut state = self.lock();
        if state.closed {
            return Err(Fault::Closed);
        }
        if state.waiting.is_free_for(urgency)
            && let Some(slot) = self.free_stream(&mut state, pool)
        {
            return Ok(Taken::Now(slot));
        }
        if let Some(fault) = state.hopeless() {
            return Err(fault);
        }
        state.waiting.join(urgency).map(Taken::Later)
    }

    fn give_back(&self, pool: &Arc<Inner>, name: u64, served: bool) {
        let mut state = self.lock();
        // A retired connection is not in the books any more.
        if let Some(connection) = state.connection(name) {
            connection.in_flight -= 1;
            connection.used = Instant::now();
            connection.served |= served;
            self.serve(&mut state, pool);
        }
    }

    /// On the first connection that has one, so that the later ones stay spare.
    fn free_stream(&self, state: &mut State, pool: &Arc<Inner>) -> Option<Slot> {
        let connection = state.connections.iter_mut().find(|connection| {
            let ours = if connection.proven {
                self.most_streams
            } else {
                1
            };
            // SETTINGS may change at any time, down to 1 and below what is in use.
            let theirs = connection.sender.current_max_send_streams();
            connection.in_flight < ours.min(theirs)
        })?;
        connection.in_flight += 1;
        connection.used = Instant::now();
        Some(Slot {
            sender: SendRequest::clone(&connection.sender),
            probe: Arc::clone(&connection.probe),
            connection: connection.name,
            served: false,
            pool: Some(Arc::clone(pool)),
        })
    }

    /// Gives free streams to those who wait.
    fn serve(&self, state: &mut State, pool: &Arc<Inner>) {
        let mut unclaimed = None;
        while !state.waiting.is_empty() {
            let Some(slot) = unclaimed.take().or_else(|| self.free_stream(state, pool)) else {
                return;
            };
            unclaimed = match state.waiting.next() {
                // Comes back if that push has given up meanwhile.
                Some(turn) => turn.send(Ok(slot)).err().and_then(Result::ok),
                None => Some(slot),
            };
        }
        if let Some(mut slot) = unclaimed {
            // Its drop would take the lock that is held here.
            slot.pool = None;
            if let Some(connection) = state.connection(slot.connection) {
                connection.in_flight -= 1;
            }
        }
    }

    /// Whether the caller is to open a connection now: pushes wait, no connection is about to give them streams, and
    /// there may be one more. After `true` comes [`Slots::opened`] or [`Slots::failed`].
    pub(super) fn may_open(&self) -> bool {
        let mut state = self.lock();
        if let Some(fault) = state.hopeless() {
            state.waiting.refuse(&fault);
        }
        let more_to_come = state.opening
            || state
                .connections
                .iter()
                .any(|connection| !connection.proven);
        let open = !state.waiting.is_empty()
            && !more_to_come
            && state.failures.too_early().is_none()
            && state.connections.len() < self.most_connections;
        state.opening |= open;
        open
    }

    /// The same for a connection ahead of need: after how long it may be opened, now if that is zero. `None`: none is
    /// needed.
    pub(super) fn may_open_ahead(&self) -> Option<Duration> {
        let mut state = self.lock();
        if !state.short() || state.opening {
            return None;
        }
        let pause = state.failures.pause_ahead();
        state.opening = pause.is_zero();
        Some(pause)
    }

    /// A connection is up. Returns its name.
    pub(super) fn opened(
        &self,
        pool: &Arc<Inner>,
        sender: Arc<SendRequest<Bytes>>,
        probe: Arc<Notify>,
        start: Start,
    ) -> u64 {
        let mut state = self.lock();
        state.opening = false;
        state.last_name += 1;
        let name = state.last_name;
        if !state.closed {
            state.connections.push(Connection {
                name,
                sender,
                probe,
                in_flight: 0,
                used: Instant::now(),
                proven: start == Start::Open,
                served: false,
            });
        }
        self.serve(&mut state, pool);
        name
    }

    /// A connection could not be opened. Those who wait are told, unless another connection may serve them.
    pub(super) fn failed(&self, reason: &str) {
        let mut state = self.lock();
        state.opening = false;
        state.failures.refused(reason);
        if state.connections.is_empty() {
            state.waiting.refuse(&Fault::Connect(reason.to_owned()));
        }
    }

    /// Nothing new over this connection. Says whether it was still in use.
    pub(super) fn retire(&self, name: u64) -> bool {
        let mut state = self.lock();
        let Some(index) = state
            .connections
            .iter()
            .position(|connection| connection.name == name)
        else {
            return false;
        };
        if state.connections.remove(index).served {
            state.failures = Failures::default();
        } else {
            state.failures.useless();
        }
        true
    }

    /// Lets a connection go over which nothing was sent for so long, if more are open than are kept. Says whether it did.
    pub(super) fn let_go(&self, name: u64, idle: Duration) -> bool {
        let mut state = self.lock();
        let is_spare = state.connections.len() > state.keep;
        let is_idle = |one: &Connection| one.in_flight == 0 && one.used.elapsed() >= idle;
        let index = state
            .connections
            .iter()
            .position(|one| one.name == name && is_spare && is_idle(one));
        // Its last sender goes with it, which ends it in HTTP/2's own way.
        index.map(|index| state.connections.remove(index)).is_some()
    }

    /// A connection may use as many streams as its SETTINGS allow.
    pub(super) fn proven(&self, pool: &Arc<Inner>, name: u64) {
        let mut state = self.lock();
        if let Some(connection) = state
            .connection(name)
            .filter(|connection| !connection.proven)
        {
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

    /// Whether there is no connection.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().connections.is_empty()
    }

    /// Makes every connection prove that it lives.
    pub(super) fn doubt(&self) {
        for connection in &self.lock().connections {
            connection.probe.notify_one();
        }
    }

    /// Fewer connections are open than are kept, and nothing has failed yet.
    pub(super) fn warming(&self) -> bool {
        let state = self.lock();
        state.short() && !state.failures.any()
    }

    /// Takes nothing new: who waits is told, no connection stays for new requests.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.connections.clear();
        state.waiting.refuse(&Fault::Closed);
    }
}

impl State {
    fn connection(&mut self, name: u64) -> Option<&mut Connection> {
        self.connections
            .iter_mut()
            .find(|connection| connection.name == name)
    }

    /// No connection, none being opened, and too early to try again.
    fn hopeless(&self) -> Option<Fault> {
        if !self.connections.is_empty() || self.opening {
            return None;
        }
        let reason = self.failures.too_early()?;
        Some(Fault::Connect(reason.to_owned()))
    }

    fn short(&self) -> bool {
        !self.closed && self.connections.len() < self.keep
    }
}
