//! When two URIs mean the same (RFC 3261 §19.1.4), and the key of an address-of-record (§10.3 step 5).

use super::uri::unescape;
use super::via::read_ipv6;
use crate::Uri;

/// URIs with more parameters or header fields than this are the same only octet for octet: comparing costs their
/// number squared.
const MOST_COMPARED: usize = 64;

/// Parameters that must be in both URIs or in neither (RFC 3261 §19.1.4, its rules and its examples).
const NEVER_IGNORED: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

/// What keeps its escape when two parts are compared: the reserved set (RFC 2396 §2.2), and `%` itself.
const RESERVED: &[u8] = b";/?:@&=+$,%";

impl Uri<'_> {
    /// Do the two mean the same? SIP URIs by the rules of RFC 3261 §19.1.4, all others octet for octet. As the RFC
    /// says, this is not transitive.
    pub fn is_equivalent(&self, other: &Uri<'_>) -> bool {
        self.is_equivalent_but_for(other, |_| false)
    }

    /// The same without regard to some parameters.
    pub(crate) fn is_equivalent_but_for(
        &self,
        other: &Uri<'_>,
        ignored: impl Fn(&str) -> bool,
    ) -> bool {
        if self.as_str() == other.as_str() {
            return true;
        }
        self.is_sip()
            && other.is_sip()
            && self.is_secure() == other.is_secure()
            && self.port == other.port
            && same_host(self.host, other.host)
            && same_text(self.user, other.user)
            && same_text(self.password, other.password)
            && params_match(self, other, ignored)
            && headers_match(self.headers, other.headers)
    }

    /// The canonical form of an address-of-record, by which its bindings are found (RFC 3261 §10.3 step 5):
    /// `sip:user@host`, escapes resolved, host in small letters, without port 5060, password, parameters and header
    /// fields. The scheme is always `sip`, so that a `sips:` address finds the same bindings (§26.2.2 binds them).
    pub fn address_of_record(&self) -> String {
        let host = self.host.to_ascii_lowercase();
        let port = match self.port {
            Some(port) if port != 5060 && port != 5061 => format!(":{port}"),
            _ => String::new(),
        };
        match self.user_decoded() {
            Some(user) => format!("sip:{user}@{host}{port}"),
            None => format!("sip:{host}{port}"),
        }
    }
}

fn same_host(one: &str, other: &str) -> bool {
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    // Two spellings of one IPv6 address (RFC 5118 §4.10).
    let address = |host: &str| {
        let inside = host.strip_prefix('[')?.strip_suffix(']')?;
        read_ipv6(inside)
    };
    address(one).is_some_and(|one| Some(one) == address(other))
}

/// Same but for escapes that need not be.
fn same_text(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other || plain(one) == plain(other),
        (one, other) => one == other,
    }
}

/// Same but for case and for escapes that need not be.
fn same_folded(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || plain(one).eq_ignore_ascii_case(&plain(other))
}

/// Escapes resolved, apart from those of reserved octets, which then are written in one way.
fn plain(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = rest.get(at..at + 3).unwrap_or(&rest[at..=at]);
        match unescape(escape.as_bytes())[..] {
            [octet] if escape.len() == 3 && !RESERVED.contains(&octet) => out.push(octet),
            _ => out.extend(escape.bytes().map(|octet| octet.to_ascii_uppercase())),
        }
        rest = &rest[at + escape.len()..];
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

fn params_match(one: &Uri<'_>, other: &Uri<'_>, ignored: impl Fn(&str) -> bool) -> bool {
    let few = |uri: &Uri<'_>| uri.params.iter().take(MOST_COMPARED + 1).count() <= MOST_COMPARED;
    few(one)
        && few(other)
        && NEVER_IGNORED
            .iter()
            .all(|name| one.param(name).is_some() == other.param(name).is_some())
        && one
            .params
            .iter()
            .filter(|param| !ignored(param.name))
            .all(|param| {
                other.param(param.name).is_none_or(|value| {
                    same_folded(value, one.param(param.name).unwrap_or_default())
                })
            })
}

fn headers_match(one: Option<&str>, other: Option<&str>) -> bool {
    let (Some(one), Some(other)) = (one, other) else {
        return one == other;
    };
    let split = |headers: &str| -> Vec<(String, Vec<u8>)> {
        let mut fields: Vec<_> = headers
            .split('&')
            .take(MOST_COMPARED + 1)
            .map(|field| field.split_once('=').unwrap_or((field, "")))
            .map(|(name, value)| (name.to_ascii_lowercase(), plain(value)))
            .collect();
        fields.sort_unstable();
        fields
    };
    let (one, other) = (split(one), split(other));
    one.len() <= MOST_COMPARED && one == other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equivalent(one: &str, other: &str) -> bool {
        let (one, other) = (Uri::parse(one).unwrap(), Uri::parse(other).unwrap());
        assert_eq!(
            one.is_equivalent(&other),
            other.is_equivalent(&one),
            "it is symmetric"
        );
        one.is_equivalent(&other)
    }

    #[test]
    fn equivalent_uris() {
        for (one, other) in [
            (
                "sip:%62erta@Reveille.Example;transport=TLS",
                "sip:berta@reveille.example;Transport=tls",
            ),
            (
                "sip:berta@reveille.example",
                "sip:berta@reveille.example;pn-provider=apns",
            ),
            (
                "sip:r.example;method=INFO;transport=udp",
                "sip:r.example;transport=udp;method=info",
            ),
            (
                "sip:a@r.example?subject=x%20y&priority=low",
                "sip:a@r.example?Priority=low&Subject=x%20y",
            ),
            ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0:0::1]"),
            ("sip:a%3bb@r.example", "sip:a%3Bb@r.example"),
            ("tel:+49301", "tel:+49301"),
        ] {
            assert!(equivalent(one, other), "{one} {other}");
        }
    }

    #[test]
    fn different_uris() {
        for (one, other) in [
            ("sip:BERTA@r.example", "sip:berta@r.example"),
            ("sip:berta@r.example", "sips:berta@r.example"),
            ("sip:berta@r.example", "sip:berta@r.example:5060"),
            ("sip:berta@r.example", "sip:berta@r.example;transport=udp"),
            ("sip:berta@r.example", "sip:berta@r.example;maddr=192.0.2.1"),
            ("sip:berta@r.example", "sip:berta:secret@r.example"),
            ("sip:r.example", "sip:berta@r.example"),
            ("sip:berta@r.example", "sip:berta@r.example?subject=x"),
            (
                "sip:berta@r.example;pn-prid=1",
                "sip:berta@r.example;pn-prid=2",
            ),
            ("sip:a%3bb@r.example", "sip:a;b@r.example"),
            ("sip:a%2500@r.example", "sip:a%00@r.example"),
            ("tel:+49301", "tel:+49302"),
        ] {
            assert!(!equivalent(one, other), "{one} {other}");
        }
    }

    #[test]
    fn an_address_of_record_has_one_key() {
        for (uri, key) in [
            (
                "sips:%61nna:pw@R.Example:5061;user=phone?x=y",
                "sip:anna@r.example",
            ),
            ("sip:R.example", "sip:r.example"),
            ("sip:anna@r.example:5070", "sip:anna@r.example:5070"),
        ] {
            assert_eq!(Uri::parse(uri).unwrap().address_of_record(), key);
        }
    }
}
