//! What the sockets tell.

use sip::Message;
use sip::endpoint::Flow;

/// Something that happened on a flow. Events of one flow for one shard come in the order in which they happened.
#[derive(Debug)]
pub enum Event {
    /// A whole message that parses. Answer it over the same flow.
    Message {
        /// Where it came from.
        flow: Flow,
        /// The message.
        message: Message,
    },
    /// The connection is gone, or could not be opened, or a send over the flow failed. Nothing follows on a connection.
    /// Every shard is told.
    Closed {
        /// The flow that failed.
        flow: Flow,
    },
    /// A message that cannot be parsed. It has been answered if it could be; this is for counters and traces.
    Malformed {
        /// Where it came from.
        flow: Flow,
        /// What is wrong with it.
        reason: String,
    },
}
