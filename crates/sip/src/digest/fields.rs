//! `Digest name=value, name="value"`, as in challenges and credentials (RFC 3261 §25.1).

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::lex::{split_list, trim, unquote};

/// The fields of one header value of the Digest scheme.
pub(super) struct Fields<'v> {
    fields: SmallVec<[(&'v str, Cow<'v, str>); 12]>,
}

/// More fields than this make the value malformed.
const MOST_FIELDS: usize = 32;

impl<'v> Fields<'v> {
    /// `None` if it is of another scheme or malformed: a field without `=`, twice, or not UTF-8.
    pub(super) fn read(value: &'v [u8]) -> Option<Self> {
        let value = trim(value);
        let scheme = value.get(..6)?;
        let rest = value.get(6..)?;
        if !scheme.eq_ignore_ascii_case(b"Digest")
            || !rest.first().copied().is_some_and(crate::lex::is_lws)
        {
            return None;
        }
        let mut fields = Self {
            fields: SmallVec::new(),
        };
        for field in split_list(rest) {
            let equals = memchr::memchr(b'=', field)?;
            let name = std::str::from_utf8(trim(&field[..equals])).ok()?;
            let value = text(unquote(trim(&field[equals + 1..])))?;
            if fields.fields.len() == MOST_FIELDS || fields.find(name).is_some() {
                return None;
            }
            fields.fields.push((name, value));
        }
        Some(fields)
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

fn text(octets: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
    match octets {
        Cow::Borrowed(octets) => std::str::from_utf8(octets).ok().map(Cow::Borrowed),
        Cow::Owned(octets) => String::from_utf8(octets).ok().map(Cow::Owned),
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
