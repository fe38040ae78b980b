//! The edge, for clients outside: `reveille serve --roles edge` in the DMZ, and the end of its tunnels inside.
//!
//! An edge ends the clients' TLS, reads their messages within the limits, and lets through what may ([`gate`]), each client by a
//! stream of its own over a tunnel that the inside has dialled. It knows no user and keeps nothing but its key.

mod gate;
mod lane;
mod look;
mod pairs;
mod relay;
mod role;
mod within;

pub(crate) use look::{Links, View, router, watch};
pub(crate) use pairs::{edge, identity, inside};
pub use role::EdgeRole;
pub(crate) use within::Within;

use gate::Refused;
use relay::{Place, Shared};
