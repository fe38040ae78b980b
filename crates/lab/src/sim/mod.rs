//! A virtual world: time that jumps, a network that loses and breaks, push clouds with moods. One thread, no sockets, no
//! clock, no entropy: the same seed plays the same story, so a failing one can be played again.
//!
//! Every part is a machine: it is told what happens and what time it is, queues what is to come, and is asked with
//! `poll(now)` and `next_timeout()`. A world owns a [`Clock`], moves it to the earliest of all next times, and carries
//! what comes out of one part into another:
//!
//! ```text
//! phone::machine::Phone  ── Transmit ──> Network ── Arrival ──> server
//!          ^                                                      │
//!          └──── Delivered ──── Cloud <──── push ─────────────────┘
//!                                └───────── Answered ───────────> server
//! ```
//!
//! The server is whatever takes [`Arrival`]s for its address, sends [`sip::endpoint::Transmit`]s and pushes, and hears
//! [`domain::Outcome`]s: these types are the whole seam.

mod clock;
mod cloud;
mod network;
mod queue;
pub mod whole;

pub use clock::{Alarms, Clock};
pub use cloud::{Cloud, Fate, Said};
pub use network::{Arrival, Network, Plan};
pub use queue::{Queue, Ticket};
