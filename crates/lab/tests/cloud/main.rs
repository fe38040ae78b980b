//! The simulated clouds as a push client sees them on the wire: every rule, every fault, the control API; then our own
//! push client against them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
#![expect(
    clippy::too_many_lines,
    reason = "the rules of a platform make long tables"
)]

// By the name that it has everywhere else in the workspace.
extern crate reveille_lab as lab;

mod apns;
mod certificate;
mod client;
mod control;
mod faults;
mod fcm;
mod pusher;
mod webpush;
mod world;
