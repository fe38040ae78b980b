//! XMPP over real sockets: what a stranger is told, what shards hear, and an end without leftovers.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

// By the name that it has everywhere else in the workspace.
extern crate reveille_net as net;

#[path = "../common/mod.rs"]
mod common;

mod components;
mod ending;
mod greeting;
mod limits;
mod steering;
mod websocket;
mod world;
