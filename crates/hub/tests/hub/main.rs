//! The hub under virtual time, with a store that answers when it is told to.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests and their helpers"
)]

mod calls;
mod doors;
mod messages;
mod people;
mod pushing;
mod world;
