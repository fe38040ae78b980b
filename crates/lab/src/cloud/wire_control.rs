//! What the engine orders of the wire, and what the wire tells it: both ends share it, and the frames that pass between.

use super::locked;
use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::Notify;

/// How the engine tells the wire what to write into the frames that pass.
#[derive(Clone)]
pub(super) struct WireControl {
    shared: Arc<Shared>,
}

struct Shared {
    orders: Mutex<Orders>,
    /// Told when the client acknowledged SETTINGS.
    acknowledged: Notify,
}

struct Orders {
    /// Goes into every SETTINGS frame.
    streams: u32,
    /// What the client acknowledged last.
    acknowledged: u32,
    /// Sent and not acknowledged yet, oldest first.
    unacknowledged: VecDeque<u32>,
    go_away: Option<GoAway>,
    reset: bool,
    frozen: bool,
}

/// What goes into a GOAWAY frame.
#[derive(Clone)]
pub(super) struct GoAway {
    /// Streams above this one were not processed.
    pub(super) last_stream: u32,
    /// Debug data: JSON with Apple's `reason`.
    pub(super) debug: Bytes,
}

impl WireControl {
    /// The first SETTINGS will allow `streams` at once.
    pub(super) fn new(streams: u32) -> Self {
        Self {
            shared: Arc::new(Shared {
                orders: Mutex::new(Orders {
                    streams,
                    acknowledged: streams,
                    unacknowledged: VecDeque::new(),
                    go_away: None,
                    reset: false,
                    frozen: false,
                }),
                acknowledged: Notify::new(),
            }),
        }
    }

    /// What SETTINGS say from now on.
    pub(super) fn set_streams(&self, streams: u32) {
        self.orders().streams = streams;
    }

    /// What SETTINGS said last, or will say in the frame that is on its way.
    pub(super) fn streams(&self) -> u32 {
        self.orders().streams
    }

    /// How many streams the client may believe that it may open: a new limit binds it once it has acknowledged it
    /// (RFC 9113 §6.5.3).
    pub(super) fn streams_in_force(&self) -> u32 {
        let orders = self.orders();
        let unacknowledged = orders.unacknowledged.iter().copied().max();
        orders.acknowledged.max(unacknowledged.unwrap_or(0))
    }

    /// Comes back when the client has acknowledged SETTINGS.
    pub(super) async fn acknowledged(&self) {
        self.shared.acknowledged.notified().await;
    }

    /// What every GOAWAY from now on says.
    pub(super) fn set_go_away(&self, go_away: GoAway) {
        self.orders().go_away = Some(go_away);
    }

    /// Closing the connection becomes a TCP reset.
    pub(super) fn reset_on_close(&self) {
        self.orders().reset = true;
    }

    /// Nothing is read or written any more, from this moment on.
    pub(super) fn freeze(&self) {
        self.orders().frozen = true;
    }

    /// SETTINGS go out: what they say.
    pub(super) fn send_settings(&self) -> u32 {
        let mut orders = self.orders();
        let streams = orders.streams;
        orders.unacknowledged.push_back(streams);
        streams
    }

    /// The client acknowledged the oldest SETTINGS that it had not.
    pub(super) fn take_acknowledgement(&self) {
        let mut orders = self.orders();
        if let Some(streams) = orders.unacknowledged.pop_front() {
            orders.acknowledged = streams;
        }
        drop(orders);
        self.shared.acknowledged.notify_one();
    }

    /// A GOAWAY goes out: what it says, if that was ordered.
    pub(super) fn send_go_away(&self) -> Option<GoAway> {
        self.orders().go_away.clone()
    }

    /// Whether nothing is read or written any more.
    pub(super) fn is_frozen(&self) -> bool {
        self.orders().frozen
    }

    /// Whether closing the connection is to be a TCP reset.
    pub(super) fn resets_on_close(&self) -> bool {
        self.orders().reset
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        locked(&self.shared.orders)
    }
}
