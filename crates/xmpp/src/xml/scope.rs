//! Which namespace a prefix stands for while elements are read.

use compact_str::CompactString;

use super::{Limits, Namespace, StreamCondition, StreamError};
use crate::ns;

/// The declarations in force, those of inner elements last. The empty prefix is the default namespace.
#[derive(Debug, Default)]
pub(super) struct Scope {
    rows: Vec<(CompactString, Namespace)>,
}

impl Scope {
    /// How many declarations are in force: what [`close`](Self::close) goes back to.
    pub(super) fn mark(&self) -> usize {
        self.rows.len()
    }

    /// The declarations of an element come into force.
    pub(super) fn open(
        &mut self,
        declarations: &[(CompactString, Namespace)],
        limits: &Limits,
    ) -> Result<(), StreamError> {
        if self.rows.len() + declarations.len() > limits.declarations {
            let text = "too many declarations of namespaces";
            return Err(StreamError::new(StreamCondition::PolicyViolation, text));
        }
        self.rows.extend_from_slice(declarations);
        Ok(())
    }

    /// An element ends, and with it its declarations.
    pub(super) fn close(&mut self, mark: usize) {
        self.rows.truncate(mark);
    }

    /// What stands for an element without a prefix.
    pub(super) fn default_namespace(&self) -> Namespace {
        self.find("").unwrap_or_default()
    }

    /// What a prefix stands for (RFC 6120 §11.3: one that stands for nothing ends the stream).
    pub(super) fn prefix(&self, prefix: &str) -> Result<Namespace, StreamError> {
        if prefix == "xml" {
            return Ok(Namespace::new(ns::XML));
        }
        self.find(prefix).ok_or_else(|| {
            let text = "a prefix is not declared";
            StreamError::new(StreamCondition::NotWellFormed, text)
        })
    }

    fn find(&self, prefix: &str) -> Option<Namespace> {
        let mut rows = self.rows.iter().rev();
        rows.find(|row| row.0 == prefix).map(|row| row.1.clone())
    }
}
