//! Pushes that wait for a stream. Calls before the rest, for a call waits seconds and a message can wait minutes: ten
//! thousand messages to sleeping phones must not keep one from ringing.

use super::{Fault, Urgency};
use std::collections::VecDeque;
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// How one that waits is told that it is its turn, or why it never will be.
pub(super) type Turn<T> = Sender<Result<T, Fault>>;

/// In order of arrival, by urgency. `T` is what they wait for.
pub(super) struct Queue<T> {
    lines: [VecDeque<Turn<T>>; 2],
    /// In each line.
    most: usize,
}

impl<T> Queue<T> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            lines: [VecDeque::new(), VecDeque::new()],
            most,
        }
    }

    /// A place at the end of the line, unless it is full.
    pub(super) fn join(&mut self, urgency: Urgency) -> Result<Receiver<Result<T, Fault>>, Fault> {
        let line = &mut self.lines[urgency as usize];
        if line.len() >= self.most {
            // Some may have given up.
            line.retain(|turn| !turn.is_closed());
        }
        if line.len() >= self.most {
            return Err(Fault::QueueFull);
        }
        let (turn, wait) = channel();
        line.push_back(turn);
        Ok(wait)
    }

    /// Who is next.
    pub(super) fn next(&mut self) -> Option<Turn<T>> {
        self.lines.iter_mut().find_map(VecDeque::pop_front)
    }

    /// Whether one of this urgency would be next if it came now.
    pub(super) fn is_free_for(&self, urgency: Urgency) -> bool {
        self.lines[..=urgency as usize]
            .iter()
            .all(VecDeque::is_empty)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.is_free_for(Urgency::Rest)
    }

    /// Sends all away.
    pub(super) fn refuse(&mut self, fault: &Fault) {
        while let Some(turn) = self.next() {
            // One that has given up does not listen.
            let _ = turn.send(Err(fault.clone()));
        }
    }
}
