//! Elements as octets. Whatever a tree holds, what is written is well-formed: what XML has no way to say is replaced.

use std::fmt;

use smallvec::SmallVec;

use super::{Attribute, Element, Node};
use crate::ns;

/// What is in force where an element is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context<'a> {
    /// The default namespace.
    pub default: &'a str,
    /// Is the prefix `stream` declared?
    pub stream: bool,
}

impl Context<'static> {
    /// In a stream of a client over TCP, whose header is as we write it.
    pub const CLIENT: Self = Self {
        default: ns::CLIENT,
        stream: true,
    };
    /// By itself: a message of a WebSocket (RFC 7395 §3.3.3), a row of a store.
    pub const DOCUMENT: Self = Self {
        default: ns::NONE,
        stream: false,
    };
}

/// Prefixes with what they stand for; the last row of a prefix is the one in force.
type Scope<'a> = SmallVec<[(&'a str, &'a str); 8]>;

impl Element {
    /// Writes it where this is in force already. A namespace is declared where it must be, and where it was declared
    /// when the element was read, unless that would say nothing new.
    pub fn write(&self, out: &mut Vec<u8>, context: Context<'_>) {
        let mut scope = Scope::new();
        scope.push(("", context.default));
        if context.stream {
            scope.push(("stream", ns::STREAM));
        }
        element(self, out, &mut scope);
    }

    /// Its octets where this is in force already.
    pub fn to_octets(&self, context: Context<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.write(&mut out, context);
        out
    }
}

/// As it would be written by itself.
impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_octets(Context::DOCUMENT)))
    }
}

/// As deep as the tree, which a reader bounds ([`Limits::depth`](super::Limits::depth)).
fn element<'a>(element: &'a Element, out: &mut Vec<u8>, scope: &mut Scope<'a>) {
    let outside = scope.len();
    // Where there is no namespace there cannot be a prefix, and in a content namespace there must not be one, however the
    // element came (RFC 6120 §4.8.5).
    let bare = [ns::NONE, ns::CLIENT, ns::SERVER].contains(&element.namespace());
    let prefix = element.prefix().filter(|_| !bare).unwrap_or_default();
    out.push(b'<');
    name(prefix, &element.local, out);
    declare(prefix, element.namespace(), out, scope);
    for (declared, namespace) in element.declarations() {
        if declared != prefix {
            declare(declared, namespace, out, scope);
        }
    }
    for attribute in &element.attributes {
        declare_for(attribute, out, scope);
    }
    for attribute in &element.attributes {
        self::attribute(attribute, out, scope);
    }
    if element.nodes.is_empty() {
        out.extend_from_slice(b"/>");
    } else {
        out.push(b'>');
        for node in &element.nodes {
            match node {
                Node::Element(child) => self::element(child, out, scope),
                Node::Text(text) => escape(text, Place::Text, out),
            }
        }
        out.extend_from_slice(b"</");
        name(prefix, &element.local, out);
        out.push(b'>');
    }
    scope.truncate(outside);
}

fn in_force<'a>(prefix: &str, scope: &Scope<'a>) -> Option<&'a str> {
    if prefix == "xml" {
        return Some(ns::XML);
    }
    let mut rows = scope.iter().rev();
    // Most are empty, and known to be the same without a look at them.
    let is_it = |row: &&(&str, &str)| match (prefix.is_empty(), row.0.is_empty()) {
        (false, false) => row.0 == prefix,
        (one, other) => one && other,
    };
    rows.find(is_it).map(|row| row.1)
}

/// Declares a namespace, unless it is so already.
fn declare<'a>(prefix: &'a str, namespace: &'a str, out: &mut Vec<u8>, scope: &mut Scope<'a>) {
    // A prefix cannot be undeclared, and those of XML itself cannot be declared.
    let undeclares = namespace.is_empty() && !prefix.is_empty();
    if in_force(prefix, scope) == Some(namespace) || undeclares || prefix == "xml" {
        return;
    }
    out.extend_from_slice(if prefix.is_empty() {
        b" xmlns"
    } else {
        b" xmlns:"
    });
    out.extend_from_slice(prefix.as_bytes());
    value(namespace, out);
    scope.push((prefix, namespace));
}

/// Prefixes for attributes that were put together here under one that means something else.
const SPARE: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// The prefix by which an attribute can be written here; empty if it needs none, `None` if there is none.
fn prefix_of<'a>(attribute: &'a Attribute, scope: &Scope<'a>) -> Option<&'a str> {
    let namespace = attribute.namespace();
    if namespace.is_empty() {
        return Some("");
    }
    let own = attribute.prefix().unwrap_or_default();
    let mut known = std::iter::once(own).chain(scope.iter().rev().map(|row| row.0));
    known.find(|prefix| !prefix.is_empty() && in_force(prefix, scope) == Some(namespace))
}

/// Declares what an attribute needs. No prefix that is in force is given another meaning: it may be needed beside.
fn declare_for<'a>(attribute: &'a Attribute, out: &mut Vec<u8>, scope: &mut Scope<'a>) {
    if prefix_of(attribute, scope).is_some() {
        return;
    }
    let mut candidates = attribute.prefix().into_iter().chain(SPARE);
    if let Some(free) = candidates.find(|prefix| in_force(prefix, scope).is_none()) {
        declare(free, attribute.namespace(), out, scope);
    }
}

fn attribute<'a>(attribute: &'a Attribute, out: &mut Vec<u8>, scope: &Scope<'a>) {
    if let Some(prefix) = prefix_of(attribute, scope) {
        out.push(b' ');
        name(prefix, attribute.local(), out);
        value(attribute.value(), out);
    }
}

fn name(prefix: &str, local: &str, out: &mut Vec<u8>) {
    if !prefix.is_empty() {
        out.extend_from_slice(prefix.as_bytes());
        out.push(b':');
    }
    out.extend_from_slice(local.as_bytes());
}

fn value(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"='");
    escape(text, Place::Value, out);
    out.push(b'\'');
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Text,
    Value,
}

/// What takes the place of a character that XML has no way to say.
const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();

/// Writes text so that a parser reads the same text.
fn escape(text: &str, place: Place, out: &mut Vec<u8>) {
    let octets = text.as_bytes();
    let mut plain = 0;
    let mut at = 0;
    while at < octets.len() {
        let Some((instead, length)) = escaped(&octets[at..], place) else {
            at += 1;
            continue;
        };
        out.extend_from_slice(&octets[plain..at]);
        out.extend_from_slice(instead);
        at += length;
        plain = at;
    }
    out.extend_from_slice(&octets[plain..]);
}

/// What is written for the character that these octets begin with, and how many of them it is; `None` if it is itself.
fn escaped(octets: &[u8], place: Place) -> Option<(&'static [u8], usize)> {
    let instead: &[u8] = match octets[0] {
        b'<' => b"&lt;",
        // Only `]]>` must not stand in text, but nobody counts brackets.
        b'>' => b"&gt;",
        b'&' => b"&amp;",
        b'\'' if place == Place::Value => b"&apos;",
        // Parsers make a line feed of it, and spaces of all white space in values.
        b'\r' => b"&#xD;",
        b'\n' if place == Place::Value => b"&#xA;",
        b'\t' if place == Place::Value => b"&#x9;",
        b'\n' | b'\t' => return None,
        0..0x20 => REPLACEMENT,
        // U+FFFE and U+FFFF.
        0xEF if matches!(octets, [_, 0xBF, 0xBE | 0xBF, ..]) => return Some((REPLACEMENT, 3)),
        _ => return None,
    };
    Some((instead, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(element: &Element, context: Context<'_>) -> String {
        String::from_utf8(element.to_octets(context)).unwrap()
    }

    #[test]
    fn a_namespace_is_declared_once_and_only_where_it_changes() {
        let active = Element::new(ns::CHAT_STATES, "active");
        let message = Element::new(ns::CLIENT, "message")
            .with_child(Element::new(ns::CLIENT, "body").with_text("hello"))
            .with_child(active);
        assert_eq!(
            written(&message, Context::CLIENT),
            "<message><body>hello</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>"
        );
        assert_eq!(
            written(&message, Context::DOCUMENT),
            "<message xmlns='jabber:client'><body>hello</body>\
             <active xmlns='http://jabber.org/protocol/chatstates'/></message>"
        );
        let none = Element::new(ns::CLIENT, "a").with_child(Element::new(ns::NONE, "b"));
        assert_eq!(written(&none, Context::CLIENT), "<a><b xmlns=''/></a>");
    }

    #[test]
    fn a_prefix_that_means_something_else_here_is_declared_again() {
        let inner = Element::prefixed("x", "urn:example:2", "b");
        let mut outer = Element::prefixed("x", "urn:example:1", "a").with_child(inner);
        outer.declare("kept", "urn:example:3");
        assert_eq!(
            written(&outer, Context::CLIENT),
            "<x:a xmlns:x='urn:example:1' xmlns:kept='urn:example:3'><x:b xmlns:x='urn:example:2'/></x:a>"
        );
        let features = Element::prefixed("stream", ns::STREAM, "features");
        assert_eq!(written(&features, Context::CLIENT), "<stream:features/>");
    }

    #[test]
    fn a_prefix_that_is_needed_beside_keeps_its_meaning() {
        let mut inner = Element::prefixed("x", "urn:example:1", "b");
        inner.attributes = vec![Attribute::prefixed("x", "urn:example:2", "c", "1")];
        let outer = Element::prefixed("x", "urn:example:1", "a").with_child(inner);
        assert_eq!(
            written(&outer, Context::DOCUMENT),
            "<x:a xmlns:x='urn:example:1'><x:b xmlns:a='urn:example:2' a:c='1'/></x:a>"
        );
    }

    #[test]
    fn attributes_whose_prefixes_collide_get_others() {
        let mut element = Element::prefixed("x", "urn:example:1", "a");
        element.attributes = vec![
            Attribute::prefixed("x", "urn:example:2", "b", "1"),
            Attribute::prefixed("x", "urn:example:1", "b", "2"),
        ];
        assert_eq!(
            written(&element, Context::DOCUMENT),
            "<x:a xmlns:x='urn:example:1' xmlns:a='urn:example:2' a:b='1' x:b='2'/>"
        );
    }

    #[test]
    fn what_xml_cannot_say_is_replaced_and_the_rest_is_escaped() {
        let element = Element::new(ns::CLIENT, "a")
            .with_attr("b", "<'\">&\t\r\n")
            .with_text("<'\">&\t\r\n]]>\u{0}\u{1b}\u{fffe}\u{ffff}\u{fffd}é\u{1F600}");
        assert_eq!(
            written(&element, Context::CLIENT),
            "<a b='&lt;&apos;\"&gt;&amp;&#x9;&#xD;&#xA;'>&lt;'\"&gt;&amp;\t&#xD;\n]]&gt;\
             \u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}é\u{1F600}</a>"
        );
    }
}
