//! A server's shards in a small world of peers: every octet scripted, no sockets, a clock that jumps. Each test is run
//! with one, two and four shards, and ends with every table empty.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bindings;
mod cloud;
mod copies;
mod crossing;
mod crowding;
mod dialling;
mod dialogs;
mod guessing;
mod judgements;
mod killed;
mod one_user;
mod peer;
mod refused;
mod relaying;
mod settings;
mod signing_out;
mod store;
mod stories;
mod strangers;
mod time;
mod truth;
mod unanswered;
mod undialled;
mod world;
