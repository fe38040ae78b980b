//! What a stream may cost us. Every bound that the reader keeps is named here; at each of them the stream ends with
//! `policy-violation` (RFC 6120 §4.9.3.14), and nothing is cut short silently.

use super::{Context, Element, StreamCondition, StreamError};

/// Elements inside one another that a reader bears whatever its limits say: what is done to a tree is recursive.
pub(super) const DEEPEST: usize = 128;

/// Octets of a name, or of the value of an attribute. The parser keeps so much room for each stream that is midway in an
/// element, so it is one for all; text comes in pieces and may be longer.
pub const LONGEST_VALUE: usize = 8_192;

/// An element of so many octets is not much larger when it is written again.
const CERTAIN: usize = 64 * 1024;

/// How much larger than [`Limits::bytes`] an element may be when it is written again.
const GROWTH: usize = 2;

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
    /// An element that was read from so many octets must not be so large when it is written for others that it breaks their connections:
    /// `'` becomes `&apos;`, and a prefix from outside of it (then `octets` is `usize::MAX`) is declared wherever it is used.
    ///
    /// # Errors
    /// It is.
    pub(super) fn bear(&self, element: &Element, octets: usize) -> Result<(), StreamError> {
        let most = self.bytes.saturating_mul(GROWTH);
        if octets <= CERTAIN || element.to_octets(Context::DOCUMENT).len() <= most {
            return Ok(());
        }
        let text = format!("longer than {most} octets when it is written out");
        Err(StreamError::new(StreamCondition::PolicyViolation, text))
    }

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
