//! The few lexical rules that all header fields share (RFC 3261 §25.1): white space with folding, tokens,
//! quoted strings, comma lists. Everything works on octets, since a value need not be UTF-8 to be passed on.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

/// Is this white space inside a header field? Line ends count, since a field may be folded.
pub(crate) fn is_lws(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// The text without white space around it.
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !is_lws(*first) {
            break;
        }
        text = rest;
    }
    while let [rest @ .., last] = text {
        if !is_lws(*last) {
            break;
        }
        text = rest;
    }
    text
}

/// The same for text that is known to be UTF-8.
pub(crate) fn trim_str(text: &str) -> &str {
    let octets = text.as_bytes();
    let start = octets.iter().take_while(|octet| is_lws(**octet)).count();
    let end = octets
        .iter()
        .rev()
        .take_while(|octet| is_lws(**octet))
        .count();
    text.get(start..octets.len() - end).unwrap_or_default()
}

/// The text without white space before it.
pub(crate) fn trim_start(text: &str) -> &str {
    let start = text.bytes().position(|octet| !is_lws(octet));
    text.get(start.unwrap_or(text.len())..).unwrap_or_default()
}

/// A table that says of each octet whether it passes.
macro_rules! octets {
    ($octet:ident => $passes:expr) => {{
        let mut table = [false; 256];
        let mut at = 0;
        while at < 256 {
            #[expect(clippy::cast_possible_truncation, reason = "below 256")]
            let $octet = at as u8;
            table[at] = $passes;
            at += 1;
        }
        table
    }};
}
pub(crate) use octets;

/// Is this one octet of a token?
pub(crate) fn is_token_octet(octet: u8) -> bool {
    const TOKEN: [bool; 256] = octets!(
        octet => octet.is_ascii_alphanumeric()
            || matches!(
                octet,
                b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
            )
    );
    TOKEN[usize::from(octet)]
}

/// May this octet stand in a Request-URI? (Of what it may be made of otherwise, [`Uri`](crate::Uri) decides.)
pub(crate) fn is_uri_octet(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'<' | b'>' | b'"')
}

/// Do all octets pass? Every octet is looked at, so that many can be at once.
pub(crate) fn all(text: &[u8], passes: impl Fn(u8) -> bool) -> bool {
    text.iter().fold(true, |all, octet| all & passes(*octet))
}

/// Is this a token, of one octet at least?
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_octet)
}

/// Where the first such octet stands.
pub(crate) fn find(text: &[u8], wanted: u8) -> Option<usize> {
    memchr(wanted, text)
}

/// What stands before and after the first such octet, which is one of ASCII.
pub(crate) fn split_at_octet(text: &str, wanted: u8) -> Option<(&str, &str)> {
    let at = find(text.as_bytes(), wanted)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Where the first octet of `wanted` stands outside quoted strings and angle brackets.
/// A quote that is never closed runs to the end of the text.
pub(crate) fn find_unquoted(text: &[u8], wanted: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr3(wanted, b'"', b'<', text.get(at..)?)?;
        at = match text[at] {
            octet if octet == wanted => return Some(at),
            b'"' => quote_end(text, at + 1)?,
            _ => at + memchr(b'>', &text[at..])?,
        } + 1;
    }
}

/// Where the quoted string ends of which the first octet is at `at`.
pub(crate) fn quote_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// The values of a comma list, trimmed; commas in quoted strings and in angle brackets do not split.
pub(crate) fn split_list(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let value = if let Some(comma) = find_unquoted(text, b',') {
            rest = Some(&text[comma + 1..]);
            &text[..comma]
        } else {
            rest = None;
            text
        };
        Some(trim(value))
    })
}

/// The value on one line: line ends become blanks, so that nobody smuggles in a header field.
pub(crate) fn on_one_line(value: &[u8]) -> impl Iterator<Item = u8> {
    value.iter().map(|octet| match octet {
        b'\r' | b'\n' => b' ',
        octet => *octet,
    })
}

/// The inside of a quoted string with its escapes resolved; any other text as it is.
pub(crate) fn unquote(text: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', inside @ .., b'"'] = text else {
        return Cow::Borrowed(text);
    };
    if memchr(b'\\', inside).is_none() {
        return Cow::Borrowed(inside);
    }
    let mut plain = Vec::with_capacity(inside.len());
    let mut octets = inside.iter().copied();
    while let Some(octet) = octets.next() {
        plain.extend(if octet == b'\\' {
            octets.next()
        } else {
            Some(octet)
        });
    }
    Cow::Owned(plain)
}

/// The same of a text: what is quoted there is whole characters.
pub(crate) fn unquote_str(text: &str) -> Cow<'_, str> {
    match unquote(text.as_bytes()) {
        Cow::Borrowed(inside) if inside.len() == text.len() => Cow::Borrowed(text),
        Cow::Borrowed(inside) => Cow::Borrowed(&text[1..=inside.len()]),
        Cow::Owned(plain) => String::from_utf8_lossy(&plain).into_owned().into(),
    }
}

/// A value between quotes.
pub(crate) fn quoted(value: &str) -> String {
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

/// A decimal number of digits only, that fits.
pub(crate) fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u32, |sum, &octet| {
        octet
            .is_ascii_digit()
            .then(|| sum.checked_mul(10)?.checked_add(u32::from(octet - b'0')))?
    })
}
