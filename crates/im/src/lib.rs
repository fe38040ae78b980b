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
mod arrivals;
mod asked;
mod begun;
mod beside;
mod calling;
mod calls;
mod cards;
mod classify;
mod comebacks;
mod comings;
mod components;
mod enabled;
mod ext;
mod first_words;
mod former;
mod keeping;
mod kept;
mod letters;
mod line;
mod looks;
mod management;
mod markers;
mod messages;
mod phones;
mod presence;
mod presences;
mod publications;
mod publishing;
mod queries;
mod questions;
mod reading;
mod registering;
mod resumptions;
mod role;
mod route;
mod session;
mod sessions;
mod settings;
mod sign_in;
mod stanzas;
mod telling;
mod to_phones;
mod told;
mod turn;
mod vocabulary;
mod waking;

pub use calls::CALL_IDS;
pub use enabled::app_of;
pub use first_words::{advertised, bearer, offer, offer_to_bearers, steer};
pub use letters::{STANZA, is_sayable, text};
pub use line::TICKETS;
pub use presence::{said, status};
pub use role::{Load, Role};
pub use session::{DOORS, device_id};
pub use settings::{CALLS, Settings, push_service};
pub use to_phones::for_phone;
pub use turn::{Credentials, MakeCredentials, Service, Turn};
pub use vocabulary::{AccountOrder, Input, Letter, Link, Output, Post, Publish, Revoked, Seen};
