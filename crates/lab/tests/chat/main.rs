//! The phone's XMPP client against a server that is told word by word what to say.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    missing_docs,
    reason = "tests and their helpers"
)]

// By the name that it has everywhere else in the workspace.
extern crate reveille_lab as lab;

mod doors;
mod peer;
mod resuming;
mod signing_in;
mod texts;
