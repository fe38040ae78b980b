//! What is to be written to one connection: put in by whoever has something to say, taken out by the connection's task.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::Limits;

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
    /// It ends before what is queued is written.
    abort: Option<Abort>,
    task: Option<Waker>,
}

/// Why a connection ends at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abort {
    /// There is more to be written than there may be: the peer does not read.
    Full,
    /// Its place is somebody else's.
    Displaced,
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
        let octets = state.octets + bytes.len();
        let messages = limits.send_queue_messages.max(1);
        if octets > limits.send_queue_bytes || state.queue.len() >= messages {
            state.abort.get_or_insert(Abort::Full);
        }
        // Nothing goes out behind what is missing.
        if state.abort.is_none() {
            state.octets = octets;
            state.queue.push_back(bytes);
        }
        wake(state);
    }

    /// Ends the connection at once, for somebody else.
    pub(crate) fn displace(&self) {
        let mut state = self.0.state();
        state.abort.get_or_insert(Abort::Displaced);
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
    /// Takes some of what is queued, so many at most; nothing once nothing comes any more. What is empty keeps no room: an idle
    /// connection should cost little.
    pub(crate) fn poll_some(&self, context: &Context<'_>, most: usize) -> Poll<Vec<Bytes>> {
        let mut state = self.state();
        // It ends without what is queued.
        let is_over = state.abort.is_some();
        if is_over || (state.queue.is_empty() && !state.is_closed) {
            return state.waits(context);
        }
        Poll::Ready(if state.queue.len() > most {
            state.queue.drain(..most).collect()
        } else {
            std::mem::take(&mut state.queue).into()
        })
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

    /// Whether nothing more comes.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Waits until the connection is to end at once.
    pub(crate) async fn aborted(&self) -> Abort {
        poll_fn(|context| {
            let mut state = self.state();
            match state.abort {
                Some(abort) => Poll::Ready(abort),
                None => state.waits(context),
            }
        })
        .await
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
    use std::pin::pin;

    /// The lengths of what is taken out at once.
    fn taken(outbox: &Outbox) -> Poll<Vec<usize>> {
        let some = outbox.poll_some(&Context::from_waker(Waker::noop()), 2);
        some.map(|batch| batch.iter().map(Bytes::len).collect())
    }

    fn abort(outbox: &Outbox) -> Poll<Abort> {
        pin!(outbox.aborted()).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn is_full(outbox: &Outbox) -> bool {
        abort(outbox) == Poll::Ready(Abort::Full)
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
        assert_eq!(taken(&outbox), Poll::Ready(vec![1, 2]));
        assert_eq!(taken(&outbox), Poll::Ready(vec![3]));
        assert_eq!(taken(&outbox), Poll::Ready(vec![]));
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

    #[test]
    fn who_is_displaced_ends_and_says_nothing_more() {
        let (sender, outbox) = outbox();
        assert!(abort(&outbox).is_pending());
        sender.displace();
        sender.send(octets(1), &Limits::default());
        drop(sender);
        assert_eq!(abort(&outbox), Poll::Ready(Abort::Displaced));
        assert_eq!(taken(&outbox), Poll::Pending);
    }
}
