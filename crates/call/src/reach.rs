//! The one seam through which a flow is asked for: whoever performs makes or finds it, and says so.

use domain::{Address, DeviceId, Timestamp};
use sip::{Flow, Transport};
use std::{collections::HashMap, net::SocketAddr};

/// Requests for a flow under way at once; one more fails.
const UNDER_WAY: usize = 20_000;

/// Names a request for a flow.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReachId(pub u64);

/// What is to be reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Way {
    /// This address: a connection that there is, or a new one. `name`: what its certificate must show.
    Address {
        /// By which transport.
        transport: Transport,
        /// Where.
        address: SocketAddr,
        /// The host's name, if it has one.
        name: Option<String>,
    },
    /// This host, which must be resolved first.
    Host {
        /// By which transport.
        transport: Transport,
        /// Its name.
        host: String,
        /// Its port.
        port: u16,
    },
    /// The device of another shard's user that is, or was, at this flow.
    Device {
        /// Whose device.
        user: Address,
        /// Which, if that is known.
        device: Option<DeviceId>,
        /// Where it was.
        flow: Flow,
        /// Where it went before this is known already: only a registration since then says more.
        since: Timestamp,
    },
}

/// What waits for flows.
#[derive(Debug)]
pub(crate) struct Reaching<T> {
    waiting: HashMap<ReachId, T>,
    asked: u64,
}

impl<T> Default for Reaching<T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            asked: 0,
        }
    }
}

impl<T> Reaching<T> {
    /// This waits for a flow; handed back if too much does.
    pub(crate) fn ask(&mut self, what: T) -> Result<ReachId, T> {
        if self.waiting.len() >= UNDER_WAY {
            return Err(what);
        }
        let id = ReachId(self.asked);
        self.asked += 1;
        self.waiting.insert(id, what);
        Ok(id)
    }

    /// What waited.
    pub(crate) fn take(&mut self, id: ReachId) -> Option<T> {
        self.waiting.remove(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}
