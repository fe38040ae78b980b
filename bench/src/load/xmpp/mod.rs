//! Clients of XMPP over TLS, by the thousand in one thread: they share the machine with the server that is measured, so they
//! read only what they must, and are apart from the product's own core on purpose.

mod chat;
mod crowd;
mod elements;
mod scram;
mod session;
mod token;

pub(crate) use chat::{Chat, leave_word, write_to};
pub(crate) use crowd::{Crowd, Server as At};
pub(crate) use session::Seen;
