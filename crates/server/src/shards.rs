//! The shards: each one task that drives a pure [`shard::Shard`] and performs what it says. APIs talk to them through
//! [`Shards`], and they to each other over the [`Bus`](bus::Bus).

mod account_orders;
mod bus;
mod commits;
mod perform;
mod run;
mod seal;
mod start;

pub(crate) use bus::{Decided, Shards};
pub(crate) use seal::sealable;
pub(crate) use start::{Parts, Steering, app_key, name_conversations, start};
