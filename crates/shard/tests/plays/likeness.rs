//! Whether a stanza is the one that a play names.

use xmpp::xml::{Element, Node};

/// Stands for any value of an attribute, and for any text.
const ANY: &str = "*";
/// A child of this name stands for any number of children.
const REST: &str = "rest";

/// Whether it is like that: any order of children, nothing more and nothing less.
pub(crate) fn is_like(wanted: &Element, got: &Element) -> bool {
    wanted.is(got.namespace(), got.local())
        && same_attributes(wanted, got)
        && same_content(wanted, got)
}

fn same_attributes(wanted: &Element, got: &Element) -> bool {
    let is_there = |row: &xmpp::xml::Attribute| {
        let value = got.attr_in(row.namespace(), row.local());
        value.is_some_and(|value| is_any(row.value()) || row.value() == value)
    };
    wanted.attributes().len() == got.attributes().len() && wanted.attributes().iter().all(is_there)
}

/// A name stands for any value, too.
fn is_any(value: &str) -> bool {
    value == ANY || value.starts_with('$')
}

/// The names in the attributes of what a play wants and of what is in it, with what they stand for.
pub(crate) fn names(wanted: &Element, got: &Element) -> Vec<(String, String)> {
    let named = |row: &xmpp::xml::Attribute| {
        let name = Some(row.value()).filter(|it| it.starts_with('$'))?;
        let value = got.attr_in(row.namespace(), row.local())?;
        Some((name.to_owned(), value.to_owned()))
    };
    let own = wanted.attributes().iter().filter_map(named);
    let of_children = wanted.children().flat_map(|child| {
        let like = got.children().find(|it| is_like(child, it));
        like.map_or_else(Vec::new, |like| names(child, like))
    });
    own.chain(of_children).collect()
}

fn same_content(wanted: &Element, got: &Element) -> bool {
    let text = text(wanted);
    let same_text = text == ANY || text == self::text(got);
    let mut left: Vec<&Element> = got.children().collect();
    let mut open = false;
    for child in wanted.children() {
        if child.local() == REST {
            open = true;
            continue;
        }
        let Some(place) = left.iter().position(|it| is_like(child, it)) else {
            return false;
        };
        left.remove(place);
    }
    same_text && (open || left.is_empty())
}

/// Space around children is nobody's text.
fn text(element: &Element) -> String {
    let texts = element.nodes().iter().filter_map(|node| match node {
        Node::Text(text) => Some(text.as_str()),
        Node::Element(_) => None,
    });
    let text: String = texts.collect();
    if element.children().next().is_some() && text.trim().is_empty() {
        return String::new();
    }
    text
}
