//! What is to be written to one connection: put in by whoever has something to say, taken out by the connection's task.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::Limits;

/// Places of a queue that stay when it is empty: an idle connection should cost little.
const KEPT: usize = 4;

/// The end for whoever has something to say. Dropped, it closes the connection after what is queued.
pub(crate) struct Sender(Arc<Outbox>);

/// The end for the connection's task, which is the only one to wait for it.
pub(crate) struct Outbox(Mutex<State>);

#[derive(Default)]
struct State {
    queue: VecDeque<Bytes>,
    /// Those that are queued, and those that are being written.
    octets: usize,
    /// Nothing more comes.
    is_closed: bool,
    /// There is more than there may be: the peer does not read.
    is_full: bool,
    task: Option<Waker>,
}

/// Both ends.
pub(crate) fn outbox() -> (Sender, Arc<Outbox>) {
    let outbox = Arc::new(Outbox(Mutex::default()));
    (Sender(outbox.clone()), outbox)
}

impl Sender {
    /// Queues something, as far as the limits let it; what is beyond them ends the connection.
    pub(crate) fn send(&self, bytes: Bytes, limits: &Limits) {
        let mut state = self.0.state();
        state.octets += bytes.len();
        if state.octets > limits.send_queue_bytes || state.queue.len() >= limits.send_queue_messages
        {
            state.is_full = true;
        } else {
            state.queue.push_back(bytes);
        }
        wake(state);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_closed = true;
        wake(state);
    }
}

impl Outbox {
    /// Moves some of what is queued to `batch`, so many at most; false once nothing comes any more.
    pub(crate) fn poll_some(
        &self,
        context: &Context<'_>,
        (batch, most): (&mut Vec<Bytes>, usize),
    ) -> Poll<bool> {
        let mut state = self.state();
        if state.queue.is_empty() {
            return if state.is_closed {
                Poll::Ready(false)
            } else {
                state.waits(context)
            };
        }
        let most = most.min(state.queue.len());
        batch.extend(state.queue.drain(..most));
        if state.queue.is_empty() && state.queue.capacity() > KEPT {
            state.queue = VecDeque::new();
        }
        Poll::Ready(true)
    }

    /// So many octets of it were written.
    pub(crate) fn written(&self, octets: usize) {
        let mut state = self.state();
        state.octets = state.octets.saturating_sub(octets);
    }

    /// Whether all of it was written.
    pub(crate) fn is_written(&self) -> bool {
        self.state().octets == 0
    }

    /// Ready once the peer has left more unread than it may.
    pub(crate) fn poll_full(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.is_full {
            return Poll::Ready(());
        }
        state.waits(context)
    }

    /// Held for a moment, never across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waits<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        match &mut self.task {
            Some(task) => task.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let task = state.task.take();
    drop(state);
    if let Some(task) = task {
        task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken out at once, if there is anything.
    fn taken(outbox: &Outbox) -> Poll<Option<Vec<Bytes>>> {
        let mut batch = Vec::new();
        let context = Context::from_waker(Waker::noop());
        let some = outbox.poll_some(&context, (&mut batch, 2));
        some.map(|is_open| is_open.then_some(batch))
    }

    fn is_full(outbox: &Outbox) -> bool {
        outbox
            .poll_full(&Context::from_waker(Waker::noop()))
            .is_ready()
    }

    fn octets(count: usize) -> Bytes {
        vec![b'x'; count].into()
    }

    #[test]
    fn what_was_queued_is_taken_in_order_and_then_it_is_over() {
        let (sender, outbox) = outbox();
        assert!(taken(&outbox).is_pending());
        for length in 1..=3 {
            sender.send(octets(length), &Limits::default());
        }
        drop(sender);
        let lengths = |all: Vec<Bytes>| all.iter().map(Bytes::len).collect::<Vec<_>>();
        let all = || taken(&outbox).map(|batch| batch.map(lengths));
        assert_eq!(all(), Poll::Ready(Some(vec![1, 2])));
        assert_eq!(all(), Poll::Ready(Some(vec![3])));
        assert_eq!(all(), Poll::Ready(None));
        outbox.written(5);
        assert!(!outbox.is_written());
        outbox.written(1);
        assert!(outbox.is_written());
        assert!(!is_full(&outbox));
    }

    #[test]
    fn too_many_octets_or_messages_are_full_and_what_is_being_written_counts() {
        let limits = Limits {
            send_queue_bytes: 10,
            send_queue_messages: 2,
            ..Limits::default()
        };
        let (sender, outbox) = outbox();
        sender.send(octets(6), &limits);
        assert!(taken(&outbox).is_ready());
        sender.send(octets(4), &limits);
        assert!(!is_full(&outbox));
        sender.send(octets(1), &limits);
        assert!(is_full(&outbox));

        let (sender, outbox) = super::outbox();
        for _ in 0..2 {
            sender.send(octets(1), &limits);
        }
        assert!(!is_full(&outbox));
        sender.send(octets(1), &limits);
        assert!(is_full(&outbox));
    }
}
