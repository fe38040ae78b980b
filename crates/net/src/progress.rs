//! How far the negotiation of a stream is: what its task and the shards tell each other beside events and octets.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use bytes::Bytes;
use tokio::sync::Notify;
use xmpp::stream::Framing;
use xmpp::xml::{StreamCondition, StreamError};

use crate::wire::Wire;

/// What both sides look at.
pub(crate) struct Progress {
    /// How the stream is framed.
    framing: Framing,
    phase: AtomicU8,
    /// The phase is another one.
    changed: Notify,
    /// Our stream header is sent.
    open: AtomicBool,
}

/// Who has the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The peer, who has not signed in.
    Greeting,
    /// A shard: what the peer sent for signing in is not answered yet, and nothing more is read.
    Asked,
    /// Both, for good.
    SignedIn,
    /// Both, and a new stream takes the place of this one.
    SignedInAnew,
}

const PHASES: [Phase; 4] = [
    Phase::Greeting,
    Phase::Asked,
    Phase::SignedIn,
    Phase::SignedInAnew,
];

impl Progress {
    pub(crate) fn new(framing: Framing) -> Self {
        Self {
            framing,
            phase: AtomicU8::default(),
            changed: Notify::new(),
            open: AtomicBool::default(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Ordering::Acquire))]
    }

    /// A shard is asked.
    pub(crate) fn ask(&self) {
        self.phase.store(Phase::Asked as u8, Ordering::Release);
    }

    /// A shard has written something.
    pub(crate) fn answer(&self) {
        let (from, to) = (Phase::Asked as u8, Phase::Greeting as u8);
        let changed = self
            .phase
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
        if changed.is_ok() {
            self.changed.notify_one();
        }
    }

    /// A shard says that the peer has signed in.
    pub(crate) fn sign_in(&self, restart: bool) {
        if restart {
            self.set_open(false);
        }
        let phase = if restart {
            Phase::SignedInAnew
        } else {
            Phase::SignedIn
        };
        self.phase.store(phase as u8, Ordering::Release);
        self.changed.notify_one();
    }

    /// Waits until a shard that was asked has answered.
    pub(crate) async fn answered(&self) {
        while self.phase() == Phase::Asked {
            self.changed.notified().await;
        }
    }

    /// Our header is sent, or is not yet, since the stream is another one.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// What the peer is told when we stop (RFC 6120 §4.9.3.20); nothing before our header (§4.9.1.2).
    pub(crate) fn last_words(&self) -> Option<Bytes> {
        self.is_open()
            .then(|| last_words(&StreamCondition::SystemShutdown.into(), self.framing))
    }
}

/// An error and the end of our stream, as they are on the wire.
pub(crate) fn last_words(error: &StreamError, framing: Framing) -> Bytes {
    let error = error.element().to_octets(framing.context());
    Wire::of(framing).messages(&[&error, framing.close()])
}
