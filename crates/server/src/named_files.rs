//! Files that the configuration names by a key: an error says which, and what to look at.

use anyhow::{Context, Result};
use std::path::Path;

/// What is in one.
pub(crate) fn octets(path: &Path, key: &str) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| cannot_read(path, key))
}

/// The same, if it is text.
pub(crate) fn text(path: &Path, key: &str) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| cannot_read(path, key))
}

fn cannot_read(path: &Path, key: &str) -> String {
    let path = path.display();
    format!("{key}: cannot read {path}: check the path and that this user may read it")
}
