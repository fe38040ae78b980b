//! URIs: `sip:` and `sips:` in parts (RFC 3261 §19.1), every other scheme as an opaque text.

use std::{borrow::Cow, fmt};

use memchr::memchr;

use super::lex::{all, split_at_octet};
use super::via::read_host_port;
use crate::Params;

/// A URI as it is written, and its parts. Nothing is unescaped here; see [`Uri::user_decoded`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    raw: &'a str,
    /// Scheme as it is written.
    pub scheme: &'a str,
    /// User part of a SIP URI, escapes as they are; of a `tel:` URI its number.
    pub user: Option<&'a str>,
    /// Password of a SIP URI.
    pub password: Option<&'a str>,
    /// Host of a SIP URI (with brackets if it is IPv6); empty for other schemes.
    pub host: &'a str,
    /// Port, if stated.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params<'a>,
    /// What stands after `?` in a SIP URI.
    pub headers: Option<&'a str>,
}

impl<'a> Uri<'a> {
    /// Reads a whole URI; `None` if it is malformed.
    pub fn parse(raw: &'a str) -> Option<Self> {
        let (scheme, rest) = split_at_octet(raw, b':')?;
        let fits = |octet| (octet > b' ') & !matches!(octet, b'<' | b'>' | b'"' | 0x7f);
        if !all(raw.as_bytes(), fits) || rest.is_empty() {
            return None;
        }
        if scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips") {
            Self::parse_sip(raw, scheme, rest)
        } else {
            is_scheme(scheme).then(|| Self::opaque(raw, scheme, rest))
        }
    }

    fn parse_sip(raw: &'a str, scheme: &'a str, rest: &'a str) -> Option<Self> {
        // `@` may not stand unescaped in any other part but the headers, `;` and `?` may in the user part.
        let (userinfo, rest) = match split_at_octet(rest, b'@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (host, port, rest) = read_host_port(rest)?;
        let (user, password) = match userinfo.and_then(|text| split_at_octet(text, b':')) {
            Some((user, password)) => (Some(user), Some(password)),
            None => (userinfo, None),
        };
        let (params, headers) = match rest.as_bytes().first() {
            None => ("", None),
            Some(b'?' | b';') => match split_at_octet(rest, b'?') {
                Some((params, headers)) => (params, Some(headers)),
                None => (rest, None),
            },
            Some(_) => return None,
        };
        let params = Params::new(params.as_bytes());
        (user != Some("") && params.are_named()).then_some(Self {
            raw,
            scheme,
            user,
            password,
            host,
            port,
            params,
            headers,
        })
    }

    fn opaque(raw: &'a str, scheme: &'a str, rest: &'a str) -> Self {
        let (number, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let is_tel = scheme.eq_ignore_ascii_case("tel");
        Self {
            raw,
            scheme,
            user: is_tel.then_some(number),
            password: None,
            host: "",
            port: None,
            params: if is_tel {
                Params::new(params.as_bytes())
            } else {
                Params::default()
            },
            headers: None,
        }
    }

    /// The URI as it is written.
    pub fn as_str(&self) -> &'a str {
        self.raw
    }

    /// Is it a `sip:` or `sips:` URI?
    pub fn is_sip(&self) -> bool {
        !self.host.is_empty()
    }

    /// Is it a `sips:` URI?
    pub fn is_secure(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sips")
    }

    /// The value of a URI parameter (a flag has an empty one). Its name may be written with escapes, as `%6cr` for
    /// `lr`; escapes in the value stay.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        let found = self.params.get(name);
        if found.is_some() || memchr(b'%', self.params.raw()).is_none() {
            return found;
        }
        let mut odd = self.params.iter().filter(|param| param.name.contains('%'));
        odd.find(|param| unescape(param.name.as_bytes()).eq_ignore_ascii_case(name.as_bytes()))
            .map(|param| param.value.unwrap_or_default())
    }

    /// Is it a loose router's (RFC 3261 §16.12, parameter `lr`)?
    pub fn is_loose(&self) -> bool {
        self.param("lr").is_some()
    }

    /// What of it may stand in a Request-URI: all but header fields and the `method` parameter (RFC 3261 §16.6 step 2,
    /// §19.1.1).
    pub fn as_request_uri(&self) -> Cow<'a, str> {
        let is_method = |name: &str| name.eq_ignore_ascii_case("method");
        if !self.is_sip() || (self.headers.is_none() && !self.params.has("method")) {
            return Cow::Borrowed(self.raw);
        }
        let without_headers = self.raw.len() - self.headers.map_or(0, |headers| headers.len() + 1);
        let mut text = self.raw[..without_headers - self.params.raw().len()].to_owned();
        for param in self.params.iter().filter(|param| !is_method(param.name)) {
            text.push(';');
            text.push_str(param.name);
            if let Some(value) = param.value {
                text.push('=');
                text.push_str(value);
            }
        }
        Cow::Owned(text)
    }

    /// The user part with its escapes resolved (lossily, if they are not UTF-8).
    pub fn user_decoded(&self) -> Option<Cow<'a, str>> {
        let user = self.user?;
        if memchr(b'%', user.as_bytes()).is_none() {
            return Some(Cow::Borrowed(user));
        }
        Some(Cow::Owned(
            String::from_utf8_lossy(&unescape(user.as_bytes())).into_owned(),
        ))
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.raw)
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b'.'))
}

/// Resolves `%hh`; a `%` without two hexadecimal digits stays.
pub(crate) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        if let (b'%', Some(octet)) = (first, escaped(after)) {
            plain.push(octet);
            rest = &after[2..];
        } else {
            plain.push(*first);
            rest = after;
        }
    }
    plain
}

fn escaped(text: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(text.get(..2)?).ok()?;
    digits
        .bytes()
        .all(|octet| octet.is_ascii_hexdigit())
        .then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_uri_is_refused() {
        for text in [
            "",
            "sip",
            "sip:",
            "sip:@reveille.example",
            "sip:anna@",
            "sip:anna@reveille.example:",
            "sip:anna@reveille.example:70000",
            "sip:anna@reveille.example:5 060",
            "sip:anna@revei!le.example",
            "sip:anna@reveille.example;",
            "sip:anna@reveille.example;=x",
            "sip: anna@reveille.example",
            "<sip:anna@reveille.example>",
            "1sip:anna@reveille.example",
            ":anna",
        ] {
            assert_eq!(Uri::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_user_part_may_hold_what_other_parts_end_at() {
        let uri =
            Uri::parse("sip:a;b=1?c,d:pass;word@reveille.example:5070;lr;x=1?subject=tea").unwrap();
        assert_eq!(
            (uri.user, uri.password),
            (Some("a;b=1?c,d"), Some("pass;word"))
        );
        assert_eq!(
            (uri.host, uri.port, uri.headers),
            ("reveille.example", Some(5070), Some("subject=tea"))
        );
        assert!(uri.is_loose());
    }

    #[test]
    fn a_request_uri_has_no_header_fields_and_no_method() {
        for (uri, expected) in [
            ("sip:anna@r.example;lr;x=1", "sip:anna@r.example;lr;x=1"),
            ("sip:anna@r.example?Route=%3Csip:x%3E", "sip:anna@r.example"),
            (
                "sip:a?b@r.example;lr;Method=BYE;x=1?Subject=x",
                "sip:a?b@r.example;lr;x=1",
            ),
            ("tel:+49;method=x", "tel:+49;method=x"),
            ("urn:service:sos?x=y", "urn:service:sos?x=y"),
        ] {
            assert_eq!(Uri::parse(uri).unwrap().as_request_uri(), expected);
        }
    }

    #[test]
    fn a_tel_uri_has_a_number_and_parameters() {
        let uri = Uri::parse("tel:+49-30-1234;phone-context=x").unwrap();
        assert_eq!(
            (uri.user, uri.host, uri.is_sip()),
            (Some("+49-30-1234"), "", false)
        );
        assert_eq!(uri.param("phone-context"), Some("x"));
    }
}
