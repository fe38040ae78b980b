//! What a REGISTER does to the bindings of an address (RFC 3261 §10.3 steps 6 to 8), and when two contacts are one
//! device (RFC 5626 §5, RFC 8599). Whether the sender may register at all is not asked here.

mod answer;
mod apply;
mod binding;

#[cfg(test)]
mod tests;

pub use answer::{Outcome, Reject};
pub use apply::apply;
pub use binding::Binding;

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Seconds; a shorter wish below an hour is refused with `423` (RFC 3261 §10.3 step 7).
    pub min_expires: u32,
    /// Seconds; a longer wish is cut to it.
    pub max_expires: u32,
    /// Seconds, if there is no wish.
    pub default_expires: u32,
    /// Bindings of one address, and contacts in one request; beyond it `403`.
    pub max_bindings: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            min_expires: 60,
            // A sleeping phone refreshes only when it is woken: RFC 8599 wants long bindings.
            max_expires: 30 * 24 * 3600,
            default_expires: 3600,
            max_bindings: 16,
        }
    }
}

/// One thing that a REGISTER did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A contact that was not known.
    Added(Binding),
    /// A known contact again, perhaps with other parameters.
    Refreshed {
        /// As it was.
        old: Binding,
        /// As it is.
        new: Binding,
    },
    /// The same device under another URI, in place of the old binding.
    Replaced {
        /// As it was.
        old: Binding,
        /// As it is.
        new: Binding,
    },
    /// Gone, by the wish of the client.
    Removed(Binding),
}
