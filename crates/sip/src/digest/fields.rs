//! `Digest name=value, name="value"`, as in challenges and credentials (RFC 3261 §25.1).

use crate::lex::{split_list, trim, unquote};

/// The fields of one header value of the Digest scheme.
pub(super) struct Fields {
    fields: Vec<(String, String)>,
}

/// More fields than this make the value malformed.
const MOST_FIELDS: usize = 32;

impl Fields {
    /// `None` if it is of another scheme or malformed: a field without `=`, twice, or not UTF-8.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let value = trim(value);
        let scheme = value.get(..6)?;
        let rest = value.get(6..)?;
        if !scheme.eq_ignore_ascii_case(b"Digest")
            || !rest.first().copied().is_some_and(crate::lex::is_lws)
        {
            return None;
        }
        let mut fields: Vec<(String, String)> = Vec::new();
        for field in split_list(rest) {
            let equals = memchr::memchr(b'=', field)?;
            let name = std::str::from_utf8(trim(&field[..equals]))
                .ok()?
                .to_ascii_lowercase();
            let value = String::from_utf8(unquote(trim(&field[equals + 1..]))).ok()?;
            if fields.len() == MOST_FIELDS || fields.iter().any(|(known, _)| *known == name) {
                return None;
            }
            fields.push((name, value));
        }
        Some(Self { fields })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A value between quotes.
pub(super) fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
    text
}
