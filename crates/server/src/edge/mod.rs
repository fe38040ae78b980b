//! The edge, for clients outside: `reveille serve --roles edge` in the DMZ, and the end of its tunnels inside.
//!
//! An edge ends the clients' TLS, reads their messages within the limits, and lets through what may ([`gate`]), each client by a
//! stream of its own over a tunnel that the inside has dialled. It knows no user and keeps nothing but its key.

mod calls;
mod drain;
mod ended;
mod gate;
mod https;
mod inward;
mod lane;
mod look;
mod owing;
mod places;
mod relay;
mod shared;
mod sip;
mod within;
mod xmpp;

pub(crate) use https::device_api;
pub(crate) use look::{Links, View, router, watch};
pub(crate) use relay::Relay;
pub(crate) use shared::{Rules, Shared};
pub(crate) use within::Within;
