//! What a stream may cost us. Every bound that the reader keeps is named here; at each of them the stream ends with
//! `policy-violation` (RFC 6120 §4.9.3.14), and nothing is cut short silently.

/// Elements inside one another that a reader bears whatever its limits say: what is done to a tree is recursive.
pub(super) const DEEPEST: usize = 128;

/// Octets of a name, or of the value of an attribute. The parser keeps so much room for each stream that is midway in an
/// element, so it is one for all; text comes in pieces and may be longer.
pub const LONGEST_VALUE: usize = 8_192;

/// Bounds of a stream's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a stanza or another first-level element, as received (RFC 6120 §13.12 asks for 10,000 at least).
    pub bytes: usize,
    /// Octets of a stream header, its XML declaration included.
    pub header_bytes: usize,
    /// Elements inside one another, the first-level one included; beyond 128 it means 128.
    pub depth: usize,
    /// Elements and texts of one first-level element.
    pub nodes: usize,
    /// Attributes of one element, declarations of namespaces included.
    pub attributes: usize,
    /// Declarations of namespaces in force at one place.
    pub declarations: usize,
}

impl Limits {
    /// For whoever has not signed in: room for any exchange of SASL, and little more.
    pub fn before_authentication() -> Self {
        Self {
            bytes: 10_000,
            header_bytes: 4_096,
            depth: 8,
            nodes: 64,
            attributes: 16,
            declarations: 16,
        }
    }
}

impl Default for Limits {
    /// For a client that has signed in: room for an avatar or a long form, and for stanzas inside stanzas.
    fn default() -> Self {
        Self {
            bytes: 262_144,
            header_bytes: 4_096,
            depth: 64,
            nodes: 4_096,
            attributes: 64,
            declarations: 64,
        }
    }
}
