//! The machines of the crate seen from outside, under virtual time: what a peer sees on the wire, and what the owner
//! is told.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where it does not find what it expects"
)]

mod answers;
mod cancelling;
mod checks;
mod flows;
mod forwarding;
mod garbage;
mod held;
mod limits;
mod loss;
mod net;
mod non_invite;
mod property;
mod refusing;
mod shards;
mod user_agent;
mod world;
