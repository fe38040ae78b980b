//! The XMPP role: between the XMPP core and the hub. A session is a door of the hub's, a message with a text goes by the
//! hub's delivery, a roster and presence are the hub's; this knows stanzas, who may send which, and where they go (RFC 6120
//! §10, RFC 6121 §8). Pure: no sockets, no clock, no randomness beyond its seed.
//!
//! ```text
//! handle(now, Input) ── role ─┬─ sign_in, first_words                          until a client has an address
//!                             ├─ stanzas ── messages, presences, questions ── comings    what clients say
//!                             └─ all of these speak with the line ── poll() -> Output, for streams, other roles and the hub
//! ```

mod archives;
mod classify;
mod comebacks;
mod comings;
mod ext;
mod first_words;
mod former;
mod letters;
mod line;
mod looks;
mod management;
mod messages;
mod presence;
mod presences;
mod questions;
mod resumptions;
mod role;
mod route;
mod session;
mod sessions;
mod settings;
mod sign_in;
mod stanzas;
mod vocabulary;

pub use first_words::{offered, steer};
pub use letters::{STANZA, text};
pub use line::TICKETS;
pub use role::{Load, Role};
pub use session::DOORS;
pub use settings::Settings;
pub use vocabulary::{Input, Letter, Link, Output, Post};
