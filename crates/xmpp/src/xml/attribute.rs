//! An attribute of an element.

use compact_str::CompactString;

use super::Namespace;
use crate::ns;

/// An attribute. Those that declare namespaces are none, see [`Element::declarations`](super::Element::declarations).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    local: CompactString,
    value: CompactString,
    /// Prefix and namespace of one that has them; hardly any has.
    qualified: Option<Box<(CompactString, Namespace)>>,
}

impl Attribute {
    /// Without a namespace.
    pub fn new(local: &str, value: impl Into<CompactString>) -> Self {
        Self::of(None, local.into(), value.into())
    }

    /// Of a namespace, to be written with this prefix.
    pub fn prefixed(
        prefix: &str,
        namespace: &str,
        local: &str,
        value: impl Into<CompactString>,
    ) -> Self {
        let qualified = (prefix.into(), Namespace::new(namespace));
        Self::of(Some(qualified), local.into(), value.into())
    }

    pub(super) fn of(
        qualified: Option<(CompactString, Namespace)>,
        local: CompactString,
        value: CompactString,
    ) -> Self {
        Self {
            local,
            value,
            qualified: qualified.map(Box::new),
        }
    }

    /// Its name within its namespace.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// Its value, character references resolved.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The name of its namespace, empty for none.
    pub fn namespace(&self) -> &str {
        self.qualified
            .as_ref()
            .map_or(ns::NONE, |row| row.1.as_str())
    }

    /// The prefix with which it was written.
    pub fn prefix(&self) -> Option<&str> {
        self.qualified.as_ref().map(|row| row.0.as_str())
    }

    /// Has it this name in this namespace?
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local == local && self.namespace() == namespace
    }
}
