//! Transactions (RFC 3261 §17, with RFC 6026 and RFC 4320): one request and its responses, repeated until they
//! arrive. Each machine is told what happened and writes to [`Wire`]; what it means is the endpoint's affair.

pub(crate) mod answered;
pub(crate) mod branch;
pub(crate) mod by_flow;
pub(crate) mod client;
pub(crate) mod derived;
pub(crate) mod holders;
pub(crate) mod matching;
pub(crate) mod server;
mod slab;
mod timers;
mod wire;

pub(crate) use slab::{Key, Slab};
pub use timers::Timers;
pub(crate) use timers::{Span, TimerId};
pub(crate) use wire::{Due, Wire};
