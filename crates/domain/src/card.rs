//! What users say of themselves for everybody, whatever protocol shows it.

use bytes::Bytes;

/// Octets of one user's card; a larger one is refused.
pub const OCTETS: usize = 128 * 1024;

/// By what an image is told from others: its SHA-1 (XEP-0153 §3.1).
pub type Avatar = [u8; 20];

/// A user's card.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Card {
    /// All of it, in the words of the role that knows cards.
    pub octets: Bytes,
    /// Which image is on it, if there is one.
    pub avatar: Option<Avatar>,
}
