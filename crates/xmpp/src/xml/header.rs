//! The opening tag of a stream.

use super::Element;
use crate::ns;

/// A stream header (RFC 6120 §4.7), or the `<open/>` of a WebSocket (RFC 7395 §3.4). Nothing of it is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header(Element);

impl Header {
    pub(super) fn new(root: Element) -> Self {
        Self(root)
    }

    /// The `<open/>` of a WebSocket, if this is one.
    pub fn of_websocket(element: &Element) -> Option<Self> {
        let is_open = element.is(ns::FRAMING, "open");
        is_open.then(|| Self(element.clone()))
    }

    /// The tag itself, with all its attributes and declarations.
    pub fn element(&self) -> &Element {
        &self.0
    }

    /// The domain that the peer wants (RFC 6120 §4.7.2).
    pub fn to(&self) -> Option<&str> {
        self.0.attr("to")
    }

    /// Who the peer says it is (RFC 6120 §4.7.1).
    pub fn from(&self) -> Option<&str> {
        self.0.attr("from")
    }

    /// The stream's id; a server ignores that of a client (RFC 6120 §4.7.3).
    pub fn id(&self) -> Option<&str> {
        self.0.attr("id")
    }

    /// The language that stanzas are in unless they say so themselves (RFC 6120 §4.7.4).
    pub fn lang(&self) -> Option<&str> {
        self.0.lang()
    }

    /// Major and minor version; that of a peer that states none is 0.9 (RFC 6120 §4.7.5). `None` if it is malformed.
    pub fn version(&self) -> Option<(u32, u32)> {
        let Some(version) = self.0.attr("version") else {
            return Some((0, 9));
        };
        let (major, minor) = version.split_once('.')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        Some((number(major)?, number(minor)?))
    }

    /// The namespace of first-level elements that state none (RFC 6120 §4.8.2).
    pub fn default_namespace(&self) -> Option<&str> {
        let mut rows = self.0.declarations();
        rows.find(|(prefix, _)| prefix.is_empty())
            .map(|(_, namespace)| namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_two_numbers() {
        for (text, expected) in [
            ("1.0", Some((1, 0))),
            ("01.007", Some((1, 7))),
            ("2.13", Some((2, 13))),
            ("1", None),
            ("1.", None),
            ("+1.0", None),
            ("1.0.0", None),
            ("1.99999999999999", None),
        ] {
            let root = Element::new(ns::STREAM, "stream").with_attr("version", text);
            assert_eq!(Header(root).version(), expected, "{text}");
        }
        let silent = Header(Element::new(ns::STREAM, "stream"));
        assert_eq!(silent.version(), Some((0, 9)));
    }
}
