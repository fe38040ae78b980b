//! The SIP role: registrar, proxy, wake-up and messaging between the SIP core and the hub. Pure: no I/O, no clock, no
//! randomness beyond its seed.
//!
//! ```text
//! handle(now, Input) ──┐                   ┌── poll() -> Output: octets for a flow, words for the hub, a flow to be found
//! handle_timeout(now) ─┴─ endpoint, parts ─┴── next_timeout()
//! ```
//!
//! Its parts each own their state and exchange values: [`Role`] only routes between them, the endpoint and the hub.

mod bindings;
mod calls;
mod dialogs;
mod documents;
mod earlier;
mod flows;
mod gate;
mod grants;
mod heard_at;
mod line;
mod media;
mod messages;
mod network;
mod passing;
mod presence;
mod publications;
mod quotas;
mod reach;
mod registrations;
mod requests;
mod role;
mod seal;
mod settings;
mod signed_in;
mod subscriptions;
mod talks;
mod token;
mod told;
mod vocabulary;

pub use documents::Documents;
pub use gate::Shared;
pub use media::{Description, MediaId, Over, Relayed, Side, Turn};
pub use network::Network;
pub use reach::{ReachId, Way};
pub use role::{Load, Role};
pub use settings::{AppKey, CALLS, CallLimits, IsLocal, Relaying, Settings, Shard, is_spiral};
pub use vocabulary::{Input, Output};
