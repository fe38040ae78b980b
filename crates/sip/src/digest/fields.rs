//! `Digest name=value, name="value"`, as in challenges and credentials (RFC 3261 §25.1).

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::lex::{find, quote_end, trim_start, trim_str, unquote_str};

/// The fields of one header value of the Digest scheme.
pub(super) struct Fields<'v> {
    fields: SmallVec<[(&'v str, Cow<'v, str>); 12]>,
}

/// More fields than this make the value malformed.
const MOST_FIELDS: usize = 32;

impl<'v> Fields<'v> {
    /// `None` if it is of another scheme or malformed: a field without `=`, twice, or not UTF-8.
    pub(super) fn read(value: &'v [u8]) -> Option<Self> {
        let text = trim_str(std::str::from_utf8(value).ok()?);
        let (scheme, fields) = text.split_at_checked("Digest".len())?;
        let mut rest = trim_start(fields);
        if !scheme.eq_ignore_ascii_case("Digest") || rest.len() == fields.len() {
            return None;
        }
        let mut fields = Self {
            fields: SmallVec::new(),
        };
        loop {
            let (name, value, after) = field(rest)?;
            if fields.fields.len() == MOST_FIELDS || fields.find(name).is_some() {
                return None;
            }
            fields.fields.push((name, value));
            match after {
                Some(after) => rest = after,
                None => return Some(fields),
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.find(name).map(|value| &**value)
    }

    /// The value itself, which may outlive these fields.
    pub(super) fn take(&self, name: &str) -> Option<Cow<'v, str>> {
        self.find(name).cloned()
    }

    fn find(&self, name: &str) -> Option<&Cow<'v, str>> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }
}

/// Reads `name=value` or `name="value"`, and says what stands behind its comma, if one follows.
fn field(text: &str) -> Option<(&str, Cow<'_, str>, Option<&str>)> {
    let mark = |octet| matches!(octet, b'=' | b',' | b'"');
    let (name, value) = text.split_at(text.bytes().position(mark)?);
    let value = trim_start(value.strip_prefix('=')?);
    let end = match value.strip_prefix('"') {
        Some(_) => quote_end(value.as_bytes(), 1)? + 1,
        None => find(value.as_bytes(), b',').unwrap_or(value.len()),
    };
    let (value, after) = value.split_at_checked(end)?;
    let after = match trim_start(after) {
        "" => None,
        after => Some(after.strip_prefix(',')?),
    };
    Some((trim_str(name), unquote_str(trim_str(value)), after))
}
