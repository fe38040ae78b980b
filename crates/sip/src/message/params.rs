//! Parameters of header values and URIs: `;name`, `;name=value`, `;name="quoted; value"`.

use memchr::memchr_iter;

use super::lex::{all, find_unquoted, is_lws, trim, trim_str};

/// Texts up to this length are looked through octet by octet: it takes less than to set up a search for many at once.
const SHORT: usize = 32;

/// Parameters as they are written, from the first `;` on (or empty). They are read on demand; one that is not UTF-8
/// is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a> {
    raw: &'a [u8],
}

/// One parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// Its name as it is written.
    pub name: &'a str,
    /// Its value as it is written, quotes included; `None` for a flag.
    pub value: Option<&'a str>,
}

impl<'a> Params<'a> {
    /// Parameters in this text, which is empty or starts with `;`.
    pub fn new(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The text itself.
    pub fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// All of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Param<'a>> {
        self.parts().filter_map(Param::read)
    }

    /// What stands between the semicolons.
    fn parts(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.raw.strip_prefix(b";");
        std::iter::from_fn(move || {
            let text = rest?;
            let end = find_unquoted(text, b';').unwrap_or(text.len());
            rest = text.get(end + 1..);
            Some(&text[..end])
        })
    }

    /// The value of the first parameter of this name (any case), without its quotes; a flag has an empty one.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.find(name).map(Param::unquoted)
    }

    /// Is there a parameter of this name?
    pub fn has(self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(self, name: &str) -> Option<Param<'a>> {
        // Most are of another name already by their first letter: they need not be read.
        let first = name.bytes().next().map(|first| first.to_ascii_lowercase());
        let may_be = |part: &&[u8]| {
            let letter = trim(part).first().copied();
            letter.map(|letter| letter.to_ascii_lowercase()) == first
        };
        let mut likely = self.parts().filter(may_be).filter_map(Param::read);
        likely.find(|param| param.name.eq_ignore_ascii_case(name))
    }

    /// Has every parameter a name, where none has a quote or a blank in it?
    pub(crate) fn are_named(self) -> bool {
        let named = |next: Option<&u8>| !matches!(next, None | Some(b';' | b'='));
        if self.raw.len() > SHORT {
            return memchr_iter(b';', self.raw).all(|at| named(self.raw.get(at + 1)));
        }
        let mut ends = self
            .raw
            .iter()
            .enumerate()
            .filter(|(_, octet)| **octet == b';');
        ends.all(|(at, _)| named(self.raw.get(at + 1)))
    }

    /// Has every parameter a name, and no value a blank or an open quote (RFC 3261 §25.1 `generic-param`)?
    pub(crate) fn is_well_formed(self) -> bool {
        let Some(mut text) = self.raw.strip_prefix(b";") else {
            return self.raw.is_empty();
        };
        let plain = |octet| !(is_lws(octet) | matches!(octet, b'"' | b'<'));
        if all(text, plain) {
            return self.are_named();
        }
        loop {
            let end = find_unquoted(text, b';').unwrap_or(text.len());
            if !param_is_well_formed(&text[..end]) {
                return false;
            }
            match text.get(end + 1..) {
                Some(rest) => text = rest,
                None => return true,
            }
        }
    }
}

fn param_is_well_formed(text: &[u8]) -> bool {
    let equals = text.iter().position(|octet| *octet == b'=');
    let (name, value) = text.split_at(equals.unwrap_or(text.len()));
    let (name, value) = (trim(name), trim(value.get(1..).unwrap_or_default()));
    let closed = match value {
        [b'"', .., b'"'] if value.len() > 1 => true,
        [b'"', ..] => false,
        _ => all(value, |octet| !(is_lws(octet) || octet == b'"')),
    };
    !name.is_empty() && !name.iter().copied().any(is_lws) && closed
}

impl<'a> Param<'a> {
    /// Its value without its quotes; a flag has an empty one.
    pub fn unquoted(self) -> &'a str {
        let value = self.value.unwrap_or_default();
        value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(value)
    }

    fn read(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (name, value) = match text.bytes().position(|octet| octet == b'=') {
            Some(equals) => (&text[..equals], Some(trim_str(&text[equals + 1..]))),
            None => (text, None),
        };
        Some(Self {
            name: trim_str(name),
            value,
        })
    }
}
