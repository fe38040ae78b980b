//! What presence looks like on its way to and from phones. Whoever puts the roles together knows how others say the same; the
//! role only carries it.

use domain::{Address, presence::News};
use hub::Stated;

/// The media type of a presence document (RFC 3863 §4).
pub(crate) const PIDF: &str = "application/pidf+xml";

/// How presence documents are read and written.
#[derive(Copy, Clone, Debug)]
pub struct Documents {
    /// What a document says of whoever published it; `None`: it is none.
    pub read: fn(&[u8]) -> Option<Stated>,
    /// The document that shows a user by these of their clients; the last may be none.
    pub write: fn(&Address, &[&News]) -> Vec<u8>,
}
