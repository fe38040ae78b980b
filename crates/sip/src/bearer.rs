//! The `Bearer` scheme (RFC 8898, RFC 6750): tokens that somebody else has given to clients, in place of passwords. Whoever has one
//! is its user, so it is shown where nobody on the way reads along, and goes on to nobody.

use crate::HeaderName;
use crate::lex::{quoted, trim};

/// The header fields in which a request may have a token: RFC 8898 has it in the first for whoever answers (§2.2), in the second for
/// a proxy (§2.3), and in the first for all (§2.1.4).
pub const FIELDS: [HeaderName<'static>; 2] =
    [HeaderName::Authorization, HeaderName::ProxyAuthorization];

const SCHEME: &[u8] = b"Bearer";

/// What is wrong with a token (RFC 8898 §4).
pub const INVALID_TOKEN: &str = "invalid_token";

/// Whether credentials are of this scheme, whatever they say.
pub fn is_bearer(credentials: &[u8]) -> bool {
    let (scheme, rest) = parted(credentials);
    scheme.eq_ignore_ascii_case(SCHEME) && rest.first().is_none_or(u8::is_ascii_whitespace)
}

/// The token of credentials of this scheme; `None` if they are of another one, or have none that could be one.
pub fn token(credentials: &[u8]) -> Option<&str> {
    if !is_bearer(credentials) {
        return None;
    }
    let (_, rest) = parted(credentials);
    let token = std::str::from_utf8(trim(rest)).ok()?;
    let body = token.trim_end_matches('=');
    let is_one = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+/".contains(&octet);
    (!body.is_empty() && body.bytes().all(is_one)).then_some(token)
}

/// The value for WWW-Authenticate or Proxy-Authenticate (RFC 8898 §4): where tokens are given (an `https` URI), if that is known, and
/// what was wrong with the one that was shown.
pub fn challenge(realm: &str, authz_server: Option<&str>, error: Option<&str>) -> String {
    let mut value = format!("Bearer realm={}", quoted(realm));
    for (name, text) in [("authz_server", authz_server), ("error", error)] {
        if let Some(text) = text {
            value.push_str(", ");
            value.push_str(name);
            value.push('=');
            value.push_str(&quoted(text));
        }
    }
    value
}

fn parted(credentials: &[u8]) -> (&[u8], &[u8]) {
    let credentials = trim(credentials);
    credentials.split_at(SCHEME.len().min(credentials.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_and_nothing_else_is_taken_for_one() {
        for (credentials, expected) in [
            ("Bearer a.b-c_d~e+f/g==", Some("a.b-c_d~e+f/g==")),
            ("bearer  abc ", Some("abc")),
            ("BEARER\r\n abc", Some("abc")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Bearer ==", None),
            ("Bearer a b", None),
            ("Bearer a=b", None),
            ("Bearer a\"b", None),
            ("Bearer é", None),
            ("Bearerabc", None),
            ("Digest username=\"a\"", None),
            ("", None),
        ] {
            assert_eq!(token(credentials.as_bytes()), expected, "{credentials:?}");
        }
        // What is of the scheme is, also where nothing can be made of it.
        for (credentials, expected) in [
            ("Bearer a b", true),
            ("bearer", true),
            ("Bearers a", false),
            ("Bear", false),
        ] {
            assert_eq!(
                is_bearer(credentials.as_bytes()),
                expected,
                "{credentials:?}"
            );
        }
    }

    #[test]
    fn a_challenge_says_where_tokens_are_given_and_what_was_wrong() {
        let at = Some("https://sip.example.org");
        assert_eq!(
            challenge("example.org", at, Some(INVALID_TOKEN)),
            "Bearer realm=\"example.org\", authz_server=\"https://sip.example.org\", error=\"invalid_token\""
        );
        assert_eq!(challenge("a\"b", None, None), r#"Bearer realm="a\"b""#);
    }
}
