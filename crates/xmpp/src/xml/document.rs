//! One element by itself: a message of a WebSocket, a row of a store.

use super::parse::{Parsed, parse, parser};
use super::tree::{Tree, Whole};
use super::{Element, Limits, StreamCondition, StreamError};

/// Reads octets that are one whole element (RFC 7395 §3.3.3), as deep and as large as a first-level element may be.
///
/// # Errors
/// They are not; the first character is no `<`; or they are beyond the limits.
pub fn document(octets: &[u8], limits: &Limits) -> Result<Element, StreamError> {
    if octets.first() != Some(&b'<') {
        let text = "a message that does not begin with <";
        return Err(StreamError::new(StreamCondition::BadFormat, text));
    }
    if octets.len() > limits.bytes {
        let text = format!("longer than {} octets", limits.bytes);
        return Err(StreamError::new(StreamCondition::PolicyViolation, text));
    }
    let (mut parser, mut tree) = (parser(), Tree::new(false));
    let mut rest = octets;
    loop {
        let (taken, parsed) = parse(&mut parser, rest, true);
        rest = &rest[taken..];
        match parsed? {
            Parsed::Event(event) => {
                if let Some(Whole::Element(element)) = tree.event(event, limits)? {
                    let space = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
                    if rest.iter().all(space) {
                        limits.bear(&element, octets.len())?;
                        return Ok(element);
                    }
                    let text = "something follows the element";
                    return Err(StreamError::new(StreamCondition::NotWellFormed, text));
                }
            }
            Parsed::NeedsMore => {
                let text = "the message ends before its element";
                return Err(StreamError::new(StreamCondition::NotWellFormed, text));
            }
        }
    }
}
