//! The simulated phone as a machine, in virtual time: a world of phones, a network, a cloud and a registrar of one thread.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    missing_docs,
    reason = "tests and their helpers"
)]

// By the name that it has everywhere else in the workspace.
extern crate reveille_lab as lab;

mod calls;
mod crowd;
mod device_api;
mod handset;
mod messages;
mod moving;
mod purity;
mod registering;
mod server;
mod waking;
mod world;
