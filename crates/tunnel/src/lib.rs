//! The connection between an edge and its inside. The inside dials out, one QUIC connection to each edge (RFC 9000), and
//! each side knows the other by its key; then the edge opens a stream for each client that it lets in. So the firewall
//! between them needs no hole inwards, and a client that is slow holds up no other.
//!
//! A stream begins with a [`Header`] that says who the client is; what follows is what the client sends, and what it is
//! sent. What that means is nobody's business here.

mod clocks;
mod edge;
mod first_packets;
mod frame;
mod handshakes;
mod header;
mod hello;
mod identity;
mod inside;
mod limits;
mod pinned;
mod socket;
mod status;
#[cfg(test)]
mod testing;

pub use clocks::{Clock, Skew};
pub use edge::{Edge, NoInside, Strangers};
pub use header::{Header, Malformed, Spoken};
pub use identity::{Fingerprint, Identity, IdentityError};
pub use inside::{Arrival, EdgeAddress, Inside};
pub use limits::Limits;
pub use status::{Link, ReadHalf, State, Stream, WriteHalf};

/// What TLS calls what is spoken in the tunnel (RFC 7301). Another number: the two do not understand each other.
const ALPN: &[u8] = b"reveille-tunnel/3";

/// The tunnel cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The address cannot be used.
    #[error("{0}")]
    Socket(#[from] std::io::Error),
    /// TLS does not take the key.
    #[error("the key cannot be used for TLS: {0}")]
    Tls(#[from] rustls::Error),
}
