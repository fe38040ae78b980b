//! The ways into TLS that XMPP has.

use std::fmt;

/// How TLS begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    /// In a stream that was in the clear (RFC 6120 §5).
    Starttls,
    /// With the connection (XEP-0368).
    Direct,
    /// The same, and a WebSocket in it (RFC 7395).
    WebSocket,
}

impl fmt::Display for Tls {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Starttls => "starttls",
            Self::Direct => "direct",
            Self::WebSocket => "websocket",
        })
    }
}
