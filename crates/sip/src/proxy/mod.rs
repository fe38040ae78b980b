//! The stateful forking proxy (RFC 3261 §16). A request that is proxied has a response context, which its owner may
//! hold open with no branch at all and fork into whenever a target turns up: that is how an INVITE waits for a phone
//! that sleeps.

mod best;
mod cancel;
mod checks;
pub(crate) mod context;
mod credentials;
mod forward;
mod open;
mod orphan;
mod privacy;
mod responses;
pub(crate) mod routes;

pub use checks::Refused;
pub use forward::{HeaderChange, Target};
pub use open::ForkError;
