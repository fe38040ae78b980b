//! What a REGISTER does to the bindings of an address (RFC 3261 §10.3 steps 6 to 8), and when two contacts are one
//! device (RFC 5626 §5, RFC 8599). A request is read once ([`Registration::parse`]) and then applied ([`apply`]).
//! Whether the sender may register at all is not asked here.

mod answer;
mod apply;
mod binding;
mod identity;
mod registration;
mod reject;
mod stored;

#[cfg(test)]
mod tests;

pub use answer::Outcome;
pub use apply::apply;
pub use binding::Binding;
pub use registration::{Contact, Contacts, Registration};
pub use reject::Reject;

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Seconds; a shorter wish below an hour is refused with `423` (RFC 3261 §10.3 step 7).
    pub min_expires: u32,
    /// Seconds; a longer wish is cut to it.
    pub max_expires: u32,
    /// Seconds, if there is no wish.
    pub default_expires: u32,
    /// Bindings of one address, and contacts in one request. Beyond it, room is made among the bindings that are out
    /// of reach; if there are none, `403`.
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

/// A binding as the caller has it.
#[derive(Debug, Clone, Copy)]
pub struct Known<'b> {
    /// The binding; one that has expired counts for nothing.
    pub binding: &'b Binding,
    /// Since when nothing can be sent to it, in unix milliseconds; `None` if it can be reached.
    pub out_of_reach_since: Option<u64>,
}

/// One thing that a REGISTER did. `old` is the binding's place among those that [`apply`] was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A contact that was not known.
    Added(Binding),
    /// A known contact again, perhaps with other parameters; with Outbound, a known flow, perhaps with another contact.
    Refreshed {
        /// As it was.
        old: usize,
        /// As it is.
        new: Binding,
    },
    /// The same device under another URI, in place of the old binding.
    Replaced {
        /// As it was.
        old: usize,
        /// As it is.
        new: Binding,
    },
    /// Gone.
    Removed {
        /// As it was.
        old: usize,
        /// Why.
        why: Removal,
    },
}

/// Why a binding is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The client took it back.
    Unregistered,
    /// Its device has another one now.
    Superseded,
    /// It was out of reach for longest, and the address has too many.
    MadeRoom,
}

impl Change {
    /// The binding as it was: its place among those that [`apply`] was given.
    pub fn old(&self) -> Option<usize> {
        match self {
            Self::Added(_) => None,
            Self::Refreshed { old, .. }
            | Self::Replaced { old, .. }
            | Self::Removed { old, .. } => Some(*old),
        }
    }

    /// The binding as it is.
    pub fn bound(&self) -> Option<&Binding> {
        match self {
            Self::Added(new) | Self::Refreshed { new, .. } | Self::Replaced { new, .. } => {
                Some(new)
            }
            Self::Removed { .. } => None,
        }
    }
}
