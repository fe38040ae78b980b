//! Who is at an address. Nobody here knows users: whoever does says it, and what there is for strangers follows from it.

use std::net::IpAddr;
use std::sync::Arc;

/// Asked about an address before anything that comes from it is looked at, so it must be quick.
pub type Doorman = Arc<dyn Fn(IpAddr) -> Visitor + Send + Sync>;

/// Who is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// What one has together: an address, or the network of one customer.
    pub source: IpAddr,
    /// How they are treated.
    pub standing: Standing,
}

impl Visitor {
    /// Somebody known, who is there.
    pub(crate) fn known(source: IpAddr) -> Self {
        Self {
            source,
            standing: Standing::Known,
        }
    }
}

/// How somebody is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// One of ours, as far as can be known from the address: all room is theirs.
    Known,
    /// Nobody in particular: they share what is not reserved.
    Stranger,
    /// Nothing of theirs is looked at.
    Banned,
}

/// Without a doorman all are known.
pub(crate) fn anybody() -> Doorman {
    Arc::new(Visitor::known)
}
