//! What is done with a connection that was accepted: a file for each protocol.

mod handshake;
pub(crate) mod sip;
pub(crate) mod xmpp;
