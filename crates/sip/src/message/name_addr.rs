//! `"Display" <sip:uri>;param` and the form without brackets, as in From, To, Contact, Route (RFC 3261 §20.10).

use std::borrow::Cow;

use super::lex::{find, find_unquoted, trim, unquote};
use crate::{Params, Uri};

/// One address of a header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as it is written (quotes included), which need not be UTF-8.
    pub display: Option<&'a [u8]>,
    /// The address.
    pub uri: Uri<'a>,
    /// Parameters of the header field (not those of the URI).
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value (not a comma list). Without brackets, parameters belong to the header field, and a URI with
    /// `?` or `,` in it is refused, as the RFC wants brackets around it. `None` if it is malformed.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let text = trim(text);
        let (display, uri, params) = if let Some(open) = opening(text) {
            let close = open + find(&text[open..], b'>')?;
            (
                trim(&text[..open]),
                &text[open + 1..close],
                trim(&text[close + 1..]),
            )
        } else {
            let end = find(text, b';').unwrap_or(text.len());
            let uri = trim(&text[..end]);
            if uri.iter().any(|octet| matches!(octet, b'?' | b',')) {
                return None;
            }
            (&[][..], uri, &text[end..])
        };
        let params = Params::new(params);
        if !is_display(display) || !params.is_well_formed() {
            return None;
        }
        Some(Self {
            display: (!display.is_empty()).then_some(display),
            uri: Uri::parse(std::str::from_utf8(uri).ok()?)?,
            params,
        })
    }

    /// The parameters of a value of which nothing else is read; `None` if it is clear that it is malformed.
    pub(crate) fn params_of(text: &'a [u8]) -> Option<Params<'a>> {
        let text = trim(text);
        let params = match opening(text) {
            Some(open) => trim(&text[open + find(&text[open..], b'>')? + 1..]),
            None => &text[find(text, b';').unwrap_or(text.len())..],
        };
        Some(Params::new(params))
    }

    /// The display name for people: unquoted, octets that are not UTF-8 replaced.
    pub fn display_name(&self) -> Option<Cow<'a, str>> {
        let raw = self.display?;
        match std::str::from_utf8(raw) {
            Ok(text) if !text.starts_with('"') => Some(Cow::Borrowed(text)),
            _ => Some(Cow::Owned(
                String::from_utf8_lossy(&unquote(raw)).into_owned(),
            )),
        }
    }

    /// The dialog's tag on this side (RFC 3261 §19.3).
    pub fn tag(&self) -> Option<&'a str> {
        self.param("tag")
    }

    /// The value of a parameter of the header field, without quotes.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        self.params.get(name)
    }
}

/// Where the bracket opens: mostly there is nothing before it.
fn opening(text: &[u8]) -> Option<usize> {
    match text.first() {
        Some(b'<') => Some(0),
        _ => find_unquoted(text, b'<'),
    }
}

/// A display name is empty, one quoted string, or words. Words may hold more than token letters, since real phones
/// write `Jörg` without quotes; but nothing that would make it another value.
fn is_display(text: &[u8]) -> bool {
    match text {
        [b'"', inside @ .., b'"'] => quoted_string_ends_only_at_its_end(inside),
        _ => !text
            .iter()
            .any(|octet| matches!(octet, b'"' | b',' | b';' | b':' | b'@')),
    }
}

fn quoted_string_ends_only_at_its_end(inside: &[u8]) -> bool {
    let mut octets = inside.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b'"' => return false,
            b'\\' if octets.next().is_none() => return false,
            _ => {}
        }
    }
    true
}
