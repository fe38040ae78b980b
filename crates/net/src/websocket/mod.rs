//! RFC 6455 from the server's side, without a connection: how one begins ([`handshake`]), what goes over it
//! ([`Frames`], [`frame`]) and which web pages may have one ([`Origins`]). What the messages say is nobody's business
//! here, so another protocol over WebSocket is another row in `serve/`.

#[cfg(test)]
mod exercise;
mod forwarded;
mod frames;
pub(crate) mod handshake;
mod origin;
mod written;

pub use forwarded::client;
pub(crate) use frames::{Frame, Frames, Kind};
pub use origin::{Origins, OriginsError};
pub(crate) use written::{close, ping, pong, text};

/// Why a WebSocket is closed, as its peer is told (RFC 6455 §7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// It has served its purpose.
    Normal = 1000,
    /// We stop.
    GoingAway = 1001,
    /// What came is no WebSocket.
    Protocol = 1002,
    /// A kind of message that is not taken here.
    Unsupported = 1003,
    /// A text that is not in UTF-8.
    NotUtf8 = 1007,
    /// Nothing that we bear.
    Policy = 1008,
    /// A message that is longer than we take.
    TooLong = 1009,
}

/// What ends a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    /// What was wrong, for the peer and the log.
    pub(crate) text: &'static str,
}
