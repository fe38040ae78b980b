//! Connections over which something was said and nobody has signed in. Each has so long for it, whatever is said: an ACK, or a token that
//! is none, reaches no inside, whose answer would be waited for.

use super::lane::SIGN_IN;
use sip::Flow;
use std::collections::VecDeque;
use tokio::time::Instant;

/// By when each must have signed in, the first one first. Whoever is gone stays until then.
#[derive(Default)]
pub(super) struct Owing(VecDeque<(Instant, Flow)>);

impl Owing {
    /// One has said something for the first time.
    pub(super) fn begins(&mut self, flow: Flow) {
        self.0.push_back((Instant::now() + SIGN_IN, flow));
    }

    /// Those whose time is over.
    pub(super) fn overdue(&mut self) -> Vec<Flow> {
        let now = Instant::now();
        let many = self.0.partition_point(|(by, _)| *by <= now);
        self.0.drain(..many).map(|(_, flow)| flow).collect()
    }
}
