//! A simulated phone: a client of SIP, of XMPP, or of both, that sleeps, takes its pushes from the platforms' clouds, and
//! keeps the platforms' rules (`behaviour.md` 4, 5, 7, 12). Nothing here trusts the server to be right: a phone that iOS would kill says so.
//!
//! [`machine`] is the phone itself, pure: the app and the device's operating system in one. [`Phone`] drives one over
//! real sockets, the simulated clouds' journal and the device API.
//!
//! ```text
//! inbox (long poll) ── pushes ───┐
//! Phone (handle) ── orders ──────┼─> actor ── Input ──> machine::Phone
//! net, device API, clock ────────┘     ^                     │
//!       ^                              └────── Output ───────┘
//!       └── connect, transmit, tell ──────┘ └── log of PhoneEvents
//! ```

pub mod chat;
mod driver;
pub mod machine;
mod recent;
pub mod terminal;

pub use driver::{Entry, Phone};
pub use machine::{
    Caller, PhoneConfig, PhoneError, PhoneEvent, Place, PushService, Tokens, XmppDoor, opened,
};
