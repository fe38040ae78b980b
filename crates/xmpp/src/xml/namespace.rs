//! Names of namespaces, held so that many elements can have the same.

use std::fmt;
use std::sync::Arc;

use crate::ns;

/// The name of a namespace: a row of [`ns`], or text shared by all that cloned it. Cheap to clone and compare.
#[derive(Clone)]
pub struct Namespace(Held);

#[derive(Clone)]
enum Held {
    /// A row of the table. What is in the table is held in no other way.
    Known(u16),
    Other(Arc<str>),
}

impl Namespace {
    /// No namespace.
    pub const NONE: Self = Self(Held::Known(0));

    /// By its name; the empty name is that of none.
    pub fn new(name: &str) -> Self {
        let known = ns::row(name).and_then(|row| u16::try_from(row).ok());
        Self(known.map_or_else(|| Held::Other(name.into()), Held::Known))
    }

    /// Its name, empty for none.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Held::Known(row) => ns::KNOWN[usize::from(*row)],
            Held::Other(name) => name,
        }
    }

    /// Is it none?
    pub fn is_none(&self) -> bool {
        matches!(self.0, Held::Known(0))
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<&str> for Namespace {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Held::Known(one), Held::Known(other)) => one == other,
            (Held::Other(one), Held::Other(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Namespace {}

impl PartialEq<str> for Namespace {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Namespace {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_equal_to_its_name_and_to_no_other() {
        for name in ["", ns::CLIENT, "urn:example:1"] {
            assert_eq!(Namespace::new(name), name);
            assert_eq!(Namespace::new(name), Namespace::new(name));
        }
        assert_ne!(Namespace::new(ns::CLIENT), Namespace::new(ns::SERVER));
        assert_ne!(Namespace::new("urn:example:1"), Namespace::new(ns::SERVER));
        assert!(Namespace::new("").is_none());
        assert_eq!(size_of::<Namespace>(), 16);
    }
}
