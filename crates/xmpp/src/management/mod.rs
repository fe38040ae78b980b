//! Stream management (XEP-0198): both ends count what they were sent, so that nothing is lost and nothing comes twice when a
//! connection breaks, and so that it is found out soon that it has broken. The machines know no stanzas: an item is whatever
//! the caller sends.
//!
//! [`Resumption`] is a session of an [`Outbound`] and an [`Inbound`]; [`IdKey`] makes its id. Where sessions are found by
//! their ids is the caller's.

mod id;
mod inbound;
mod outbound;
mod resume;
mod words;

#[cfg(test)]
mod tests;

pub use id::{ID_ENTROPY, IdKey};
pub use inbound::{Answering, Inbound, Seq, TooMany};
pub use outbound::{Due, Outbound, OutboundParts, Overflow, Policy, TooHigh};
pub use resume::{CannotResume, GoesOn, Resumption, ResumptionParts};
pub use words::{Enable, Enabled, Failed, Resume, WhyFailed};
