//! Two hosts on a network, and what arrives.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lab::rng::Rng;
use lab::sim::{Arrival, Network, Plan};
use sip::endpoint::{Flow, Transmit, Transport};

pub(crate) const LATENCY: Duration = Duration::from_millis(20);

pub(crate) struct Wire {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) network: Network,
}

pub(crate) fn phone() -> SocketAddr {
    "10.0.0.1:40000".parse().unwrap()
}

pub(crate) fn server() -> SocketAddr {
    "192.0.2.1:5060".parse().unwrap()
}

impl Wire {
    pub(crate) fn new(plan: Plan, seed: u64) -> Self {
        let mut network = Network::new(plan, Rng::new(seed));
        network.bind(server());
        let now = Instant::now();
        Self {
            start: now,
            now,
            network,
        }
    }

    pub(crate) fn connect(&mut self, transport: Transport) -> Flow {
        self.network.connect(self.now, transport, phone(), server())
    }

    pub(crate) fn send(&mut self, flow: Flow, text: &'static str) {
        let bytes = text.into();
        self.network.send(self.now, Transmit { flow, bytes });
    }

    /// Runs until nothing is under way; gives what arrived, where and when.
    pub(crate) fn arrivals(&mut self) -> Vec<(Duration, Flow, Option<String>)> {
        let mut arrived = Vec::new();
        while let Some(at) = self.network.next_timeout() {
            self.now = at;
            while let Some(arrival) = self.network.poll(at) {
                let since = at - self.start;
                arrived.push(match arrival {
                    Arrival::Message { flow, bytes } => {
                        let text = String::from_utf8(bytes.to_vec()).unwrap();
                        (since, flow, Some(text))
                    }
                    Arrival::Closed { flow } => (since, flow, None),
                });
            }
        }
        arrived
    }

    /// The same: the text, `-` for the end of a stream, at the server or the phone.
    pub(crate) fn heard_by(&mut self, address: SocketAddr) -> Vec<String> {
        let arrivals = self.arrivals().into_iter();
        arrivals
            .filter(|(_, flow, _)| flow.local == address)
            .map(|(.., text)| text.unwrap_or_else(|| "-".to_owned()))
            .collect()
    }
}

/// As another end sees a flow.
pub(crate) fn other_end(flow: Flow) -> Flow {
    Flow {
        local: flow.remote,
        remote: flow.local,
        id: flow.id ^ 1,
        ..flow
    }
}
