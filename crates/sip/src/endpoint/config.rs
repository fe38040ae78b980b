//! How an [`Endpoint`](super::Endpoint) is set up, and the bounds of its tables.

use std::fmt;
use std::sync::Arc;

use super::{Flow, Transport};
use crate::push_address;
use crate::transaction::Timers;

/// Says whether a host and a port (the scheme's default if a URI states none) are ours: the question behind taking
/// off Route values and seeing through strict routers (RFC 3261 §16.4).
pub type IsOurs = Arc<dyn Fn(&str, u16) -> bool + Send + Sync>;

/// How an endpoint is set up.
#[derive(Clone)]
pub struct Config {
    /// Times of the protocol.
    pub timers: Timers,
    /// Bounds of the tables.
    pub limits: TableLimits,
    /// Unlike any other endpoint's, and unlike the last start's: branches and tags are made with it, and whoever
    /// does not know it cannot make up a response to our requests. Endpoints that must detect loops through one
    /// another share it.
    pub seed: [u8; 16],
    /// Which of the endpoints with this seed this one is. It stands at the start of our Via branch, so that a response
    /// can be given to the one that asked.
    pub shard: u8,
    /// What stands in our Via for a transport, `host` or `host:port`. The flow's own address if it is not named.
    pub sent_by: Vec<(Transport, String)>,
    /// Which addresses and names are ours. Everything else is somebody else's, as by default.
    pub is_ours: IsOurs,
    /// Option tags that a proxied request may require of us (`Proxy-Require`); another one is answered 420.
    pub proxy_options: Vec<String>,
}

impl Config {
    /// The protocol's own values, with this seed.
    pub fn new(seed: [u8; 16]) -> Self {
        Self {
            timers: Timers::default(),
            limits: TableLimits::default(),
            seed,
            shard: 0,
            sent_by: Vec::new(),
            is_ours: Arc::new(|_, _| false),
            proxy_options: Vec::new(),
        }
    }

    /// `host:port` for the Via of a request over this flow.
    pub(crate) fn write_sent_by(&self, flow: Flow, text: &mut String) {
        let named = self
            .sent_by
            .iter()
            .find(|(transport, _)| *transport == flow.transport);
        match named {
            Some((_, host)) => {
                text.push_str(host);
                if flow.transport == Transport::Edge {
                    // Each edge has a port of its own: a client may look for us there.
                    text.push(':');
                    text.push_str(&flow.local.port().to_string());
                }
            }
            None => push_address(text, flow.local),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("timers", &self.timers)
            .field("limits", &self.limits)
            .field("sent_by", &self.sent_by)
            .finish_non_exhaustive()
    }
}

/// Bounds of an endpoint's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableLimits {
    /// Requests that arrived and are not answered, and INVITEs that are not over. Beyond it a new one is answered 503
    /// with Retry-After, without state.
    pub server_transactions: usize,
    /// How many of these strangers may have together, of those that are said to be theirs
    /// ([`Endpoint::charge`](super::Endpoint::charge)); also of the contexts. The rest is for those who are known.
    pub strangers: usize,
    /// Octets of answers to other requests over UDP, each with some 150 beside it, kept for 64*T1 for a repetition.
    /// Beyond it the oldest are forgotten before their time: a late repetition is then a new request.
    pub answered_octets: usize,
    /// Requests that were sent and are not over. Beyond it [`Overload`](super::Overload).
    pub client_transactions: usize,
    /// Requests being proxied. Beyond it a request that shall be proxied is answered 503 with Retry-After.
    pub contexts: usize,
    /// Branches of one context over its life. Beyond it [`ForkError::Branches`](super::ForkError::Branches).
    pub branches: usize,
    /// Seconds in the Retry-After of such a 503.
    pub retry_after: u32,
}

impl Default for TableLimits {
    fn default() -> Self {
        Self {
            server_transactions: 200_000,
            strangers: 50_000,
            // 32 s of 50,000 requests a second, if an answer has 500 octets.
            answered_octets: 1 << 30,
            client_transactions: 400_000,
            contexts: 100_000,
            branches: 64,
            retry_after: 5,
        }
    }
}
