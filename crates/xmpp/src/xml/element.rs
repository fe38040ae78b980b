//! One element with all that is in it, as it came: whoever routes it loses nothing of it.

use std::borrow::Cow;

use compact_str::CompactString;

use super::{Attribute, Namespace};
use crate::ns;

/// A part of an element's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, character references resolved. Two texts never stand side by side.
    Text(CompactString),
}

/// An element. Two are equal if XML with namespaces knows no difference between them but the order of their attributes:
/// prefixes and declarations of namespaces do not count, though both are kept, since a value may mention a prefix.
#[derive(Clone)]
pub struct Element {
    pub(super) namespace: Namespace,
    pub(super) prefix: Option<CompactString>,
    pub(super) local: CompactString,
    pub(super) attributes: Vec<Attribute>,
    /// Prefixes (the empty one is the default) with what they stand for from here on.
    pub(super) declarations: Vec<(CompactString, Namespace)>,
    pub(super) nodes: Vec<Node>,
}

impl Element {
    /// An empty element. What it is called is ours to say, so it is not checked.
    pub fn new(namespace: &str, local: &str) -> Self {
        Self {
            namespace: Namespace::new(namespace),
            prefix: None,
            local: local.into(),
            attributes: Vec::new(),
            declarations: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// An empty element whose name is written with a prefix.
    pub fn prefixed(prefix: &str, namespace: &str, local: &str) -> Self {
        Self {
            prefix: Some(prefix.into()),
            ..Self::new(namespace, local)
        }
    }

    /// Its name within its namespace.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The name of its namespace, empty for none.
    pub fn namespace(&self) -> &str {
        self.namespace.as_str()
    }

    /// The prefix with which it was written.
    pub fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// Has it this name in this namespace?
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local == local && self.namespace == namespace
    }

    /// The same content in another namespace, with all its descendants that were in the old one as far down as no other
    /// namespace is between (RFC 6120 §4.8.3, of a stanza that goes from a client to a server).
    pub fn rescope(&mut self, from: &str, to: &str) {
        if self.namespace == from {
            self.namespace = Namespace::new(to);
            for child in self.children_mut() {
                child.rescope(from, to);
            }
        }
    }

    /// The attributes in their order.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The value of an attribute that has no namespace, as most have.
    pub fn attr(&self, local: &str) -> Option<&str> {
        self.attr_in(ns::NONE, local)
    }

    /// The value of an attribute of a namespace.
    pub fn attr_in(&self, namespace: &str, local: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|row| row.is(namespace, local));
        found.map(Attribute::value)
    }

    /// Its own `xml:lang`.
    pub fn lang(&self) -> Option<&str> {
        self.attr_in(ns::XML, "lang")
    }

    /// Sets an attribute that has no namespace: in its place if there is one, else behind the others.
    pub fn set_attr(&mut self, local: &str, value: impl Into<CompactString>) {
        self.set(Attribute::new(local, value));
    }

    /// Sets `xml:lang`.
    pub fn set_lang(&mut self, lang: &str) {
        self.set(Attribute::prefixed("xml", ns::XML, "lang", lang));
    }

    fn set(&mut self, attribute: Attribute) {
        let mut rows = self.attributes.iter_mut();
        match rows.find(|row| row.is(attribute.namespace(), attribute.local())) {
            Some(row) => *row = attribute,
            None => self.attributes.push(attribute),
        }
    }

    /// Takes an attribute off that has no namespace.
    pub fn remove_attr(&mut self, local: &str) {
        self.attributes.retain(|row| !row.is(ns::NONE, local));
    }

    /// Declares a namespace on this element, for a prefix that a value mentions.
    pub fn declare(&mut self, prefix: &str, namespace: &str) {
        let namespace = Namespace::new(namespace);
        let mut rows = self.declarations.iter_mut();
        match rows.find(|(known, _)| known == prefix) {
            Some((_, known)) => *known = namespace,
            None => self.declarations.push((prefix.into(), namespace)),
        }
    }

    /// The namespaces declared on this element by their prefixes, of which the empty one is the default.
    pub fn declarations(&self) -> impl Iterator<Item = (&str, &str)> {
        let rows = self.declarations.iter();
        rows.map(|(prefix, namespace)| (prefix.as_str(), namespace.as_str()))
    }

    /// The content in its order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The elements of the content.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }

    /// The elements of the content, to be changed.
    pub fn children_mut(&mut self) -> impl Iterator<Item = &mut Element> {
        self.nodes.iter_mut().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }

    /// The first child of this name.
    pub fn child(&self, namespace: &str, local: &str) -> Option<&Element> {
        self.children().find(|child| child.is(namespace, local))
    }

    /// The first child of this name, to be changed.
    pub fn child_mut(&mut self, namespace: &str, local: &str) -> Option<&mut Element> {
        let mut children = self.children_mut();
        children.find(|child| child.is(namespace, local))
    }

    /// All text that stands directly in it.
    pub fn text(&self) -> Cow<'_, str> {
        let mut texts = self.nodes.iter().filter_map(|node| match node {
            Node::Text(text) => Some(text.as_str()),
            Node::Element(_) => None,
        });
        let first = texts.next().unwrap_or_default();
        match texts.next() {
            None => first.into(),
            Some(second) => [first, second].into_iter().chain(texts).collect(),
        }
    }

    /// Adds a child behind the content.
    pub fn push(&mut self, child: Element) {
        self.nodes.push(Node::Element(child));
    }

    /// Adds text behind the content.
    pub fn push_text(&mut self, text: &str) {
        match self.nodes.last_mut() {
            _ if text.is_empty() => {}
            Some(Node::Text(before)) => before.push_str(text),
            _ => self.nodes.push(Node::Text(text.into())),
        }
    }

    /// Keeps only those children, and all text.
    pub fn retain_children(&mut self, mut keep: impl FnMut(&Element) -> bool) {
        self.nodes.retain(|node| match node {
            Node::Element(child) => keep(child),
            Node::Text(_) => true,
        });
        // What stood on both sides of a child is one text now.
        self.nodes.dedup_by(|next, before| match (before, next) {
            (Node::Text(before), Node::Text(next)) => {
                before.push_str(next);
                true
            }
            _ => false,
        });
    }

    /// Takes the whole content off.
    pub fn clear(&mut self) {
        self.nodes.clear();
    }

    /// [`set_attr`](Self::set_attr) for building.
    #[must_use]
    pub fn with_attr(mut self, local: &str, value: impl Into<CompactString>) -> Self {
        self.set_attr(local, value);
        self
    }

    /// [`set_lang`](Self::set_lang) for building.
    #[must_use]
    pub fn with_lang(mut self, lang: &str) -> Self {
        self.set_lang(lang);
        self
    }

    /// [`push`](Self::push) for building.
    #[must_use]
    pub fn with_child(mut self, child: Element) -> Self {
        self.push(child);
        self
    }

    /// [`push_text`](Self::push_text) for building.
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        self.push_text(text);
        self
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.local == other.local
            && self.namespace == other.namespace
            && self.attributes.len() == other.attributes.len()
            && self.attributes.iter().all(|row| {
                let value = other.attr_in(row.namespace(), row.local());
                value == Some(row.value())
            })
            && self.nodes == other.nodes
    }
}

impl Eq for Element {}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Element {
        let body = Element::new(ns::CLIENT, "body").with_text("hello");
        Element::new(ns::CLIENT, "message")
            .with_attr("to", "b@reveille.example")
            .with_lang("en")
            .with_child(body)
    }

    #[test]
    fn an_attribute_keeps_its_place_when_it_is_set_again() {
        let mut message = message();
        message.set_attr("to", "c@reveille.example");
        message.set_attr("id", "1");
        message.set_lang("de");
        let names: Vec<_> = message.attributes().iter().map(Attribute::local).collect();
        assert_eq!(names, ["to", "lang", "id"]);
        assert_eq!(message.attr("to"), Some("c@reveille.example"));
        assert_eq!((message.lang(), message.attr("lang")), (Some("de"), None));
        message.remove_attr("to");
        assert_eq!(message.attr("to"), None);
    }

    #[test]
    fn texts_never_stand_side_by_side() {
        let mut element = Element::new(ns::NONE, "a")
            .with_text("one ")
            .with_text("two ")
            .with_child(Element::new(ns::NONE, "b"))
            .with_text("")
            .with_text("three");
        assert_eq!(element.nodes().len(), 3);
        assert_eq!(element.text(), "one two three");
        element.retain_children(|child| !child.is(ns::NONE, "b"));
        assert_eq!(element.nodes(), [Node::Text("one two three".into())]);
    }

    #[test]
    fn equality_looks_at_names_and_not_at_how_they_are_written() {
        let one = Element::prefixed("x", "urn:example:1", "a").with_attr("b", "1");
        let mut other = Element::new("urn:example:1", "a").with_attr("b", "1");
        other.declare("unused", "urn:example:2");
        assert_eq!(one, other);
        assert_ne!(one, other.clone().with_attr("b", "2"));
        assert_ne!(one, other.clone().with_attr("c", "2"));
        assert_ne!(one, other.with_text(" "));
    }

    #[test]
    fn a_stanza_of_a_client_becomes_one_of_a_server_and_what_it_forwards_does_not() {
        let forwarded = Element::new(ns::FORWARD, "forwarded").with_child(message());
        let mut stanza = message().with_child(forwarded);
        stanza.rescope(ns::CLIENT, ns::SERVER);
        assert!(stanza.child(ns::SERVER, "body").is_some());
        let forwarded = stanza.child(ns::FORWARD, "forwarded").unwrap();
        assert_eq!(forwarded.child(ns::CLIENT, "message"), Some(&message()));
    }
}
