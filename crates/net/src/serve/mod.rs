//! What is done with a connection that was accepted: a file for each protocol.

pub(crate) mod component;
mod handshake;
pub(crate) mod sip;
pub(crate) mod xmpp;
