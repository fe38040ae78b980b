//! What a client of an edge says, on its way into the tunnel. Whoever has read it writes it there at once; what has no room yet waits
//! here, and its connection with it: a client that is faster than the tunnel is slowed down by TCP.

use bytes::{Buf, Bytes};
use net::Held;
use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};
use tunnel::WriteHalf;

/// A message, and what holds its connection back until it is in the tunnel.
pub(super) type Brought = (Bytes, Held);

/// One client's. Its connection brings the next message when this one is in the tunnel.
#[derive(Default)]
pub(super) struct Inward(Mutex<State>);

#[derive(Default)]
struct State {
    /// Once a stream is open, until it fails.
    to: Option<WriteHalf>,
    waits: VecDeque<Brought>,
    /// Whoever carries what waits.
    carrier: Option<Waker>,
    /// Nothing more comes.
    is_over: bool,
}

impl Inward {
    /// Writes a message, or lets it wait.
    pub(super) fn pass(&self, message: Brought) {
        let mut state = self.state();
        if state.is_over {
            return;
        }
        let is_first = state.waits.is_empty();
        state.waits.push_back(message);
        // Nobody is woken from here when there is room: the carrier is told that it has something to wait for.
        let mut nobody = Context::from_waker(Waker::noop());
        if !is_first || !matches!(state.write(&mut nobody), Poll::Ready(Ok(()))) {
            state.wake();
        }
    }

    /// The way is open.
    pub(super) fn open(&self, to: WriteHalf) {
        self.state().to = Some(to);
    }

    /// Nothing more comes: what waits is still written.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        state.wake();
    }

    /// Nobody is there who takes it: nothing waits any more.
    pub(super) fn abandon(&self) {
        *self.state() = State {
            is_over: true,
            ..State::default()
        };
    }

    /// Writes what waits as there is room, until nothing more comes or the way is gone.
    pub(super) async fn carry(&self) {
        poll_fn(|context| {
            let mut state = self.state();
            match &mut state.carrier {
                Some(carrier) => carrier.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
            match ready!(state.write(context)) {
                Ok(()) if !state.is_over => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Never held across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes what waits, in order; ready when nothing does.
    fn write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((octets, _)) = self.waits.front_mut() {
            let Some(to) = &mut self.to else {
                return Poll::Pending;
            };
            let written = ready!(to.poll_write(context, octets))?;
            octets.advance(written);
            if octets.is_empty() {
                self.waits.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn wake(&mut self) {
        if let Some(carrier) = self.carrier.take() {
            carrier.wake();
        }
    }
}
