//! OAUTHBEARER (RFC 7628): a token that somebody else has given to the client. Whether it is good, and whose it is, is
//! found out by the caller.

use std::fmt::{self, Write};

use super::gs2::{Flag, Gs2};
use super::{Refusal, may_act_as, text};

/// Between the fields, and alone the client's answer to an error (RFC 7628 §3.1).
const BETWEEN: char = '\u{1}';

/// Fields taken at most.
const MAX_FIELDS: usize = 16;

/// What the client sent: the token is not yet verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// As whom it wants to act; by default as whoever the token is for.
    pub authzid: Option<String>,
    /// The server that it wants to talk to, if it says so.
    pub host: Option<String>,
    /// The token.
    pub token: String,
}

impl Request {
    /// Reads the first message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(message: &[u8]) -> Result<Self, Refusal> {
        let gs2 = Gs2::read(text(message)?)?;
        if let Flag::Does(_) = gs2.flag {
            return Err(Refusal::BindingUnexpected);
        }
        let fields = gs2.rest.strip_prefix(BETWEEN);
        let fields = fields.and_then(|rest| rest.strip_suffix("\u{1}\u{1}"));
        let fields = fields.ok_or(Refusal::Malformed)?;
        let (mut host, mut token) = (None, None);
        for (place, field) in fields.split(BETWEEN).enumerate() {
            let (name, value) = field.split_once('=').ok_or(Refusal::Malformed)?;
            let place_of_it = match name {
                _ if place >= MAX_FIELDS => return Err(Refusal::TooLong),
                "host" => &mut host,
                "auth" => &mut token,
                _ => continue,
            };
            if place_of_it.replace(value).is_some() {
                return Err(Refusal::Malformed);
            }
        }
        let token = token.and_then(bearer).ok_or(Refusal::Malformed)?;
        Ok(Self {
            authzid: gs2.authzid.map(std::borrow::Cow::into_owned),
            host: host.map(str::to_owned),
            token: token.to_owned(),
        })
    }

    /// Ends well: the token is good and belongs to `user`.
    ///
    /// # Errors
    /// [`Refusal::ForeignAuthzid`] if it wants to act as somebody else.
    pub fn accept(&self, user: &str, domain: &str) -> Result<(), Refusal> {
        match &self.authzid {
            Some(authzid) if !may_act_as(authzid, user, domain) => Err(Refusal::ForeignAuthzid),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({:?}, {:?}, …)", self.authzid, self.host)
    }
}

/// The token of `Bearer TOKEN`, the scheme in any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let sound = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet);
    let token = token.trim_start_matches(' ');
    let is_token = !token.is_empty() && token.bytes().all(sound);
    (scheme.eq_ignore_ascii_case("Bearer") && is_token).then_some(token)
}

/// Why a token is not good (RFC 7628 §3.2.2): the client is told where to get another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// `invalid_token` or another word of OAuth.
    pub status: String,
    /// What a token must be good for, if we ask for anything.
    pub scope: Option<String>,
    /// Where the client finds out about its provider.
    pub openid_configuration: Option<String>,
}

impl Denial {
    /// It is not one of ours, or too old.
    pub fn invalid_token() -> Self {
        Self {
            status: "invalid_token".to_owned(),
            scope: None,
            openid_configuration: None,
        }
    }

    /// The error that is sent as a challenge. Whatever the client answers, [`ended`] follows.
    pub fn challenge(&self) -> Vec<u8> {
        let mut json = format!("{{\"status\":{}", quoted(&self.status));
        let more = [
            ("scope", &self.scope),
            ("openid-configuration", &self.openid_configuration),
        ];
        for (name, value) in more {
            if let Some(value) = value {
                json.extend([",\"", name, "\":", &quoted(value)]);
            }
        }
        json.push('}');
        json.into_bytes()
    }
}

/// What follows the client's answer to an error (RFC 7628 §3.2.3): it fails in any case.
pub fn ended(answer: &[u8]) -> Refusal {
    match answer {
        b"\x01" => Refusal::BadCredentials,
        _ => Refusal::Malformed,
    }
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // Writing to a string does not fail.
            c if c.is_control() => drop(write!(quoted, "\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_of_the_rfc() {
        let message = "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}\
                       auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\u{1}\u{1}";
        let read = Request::read(message.as_bytes()).expect("a request");
        assert_eq!(read.authzid.as_deref(), Some("user@example.com"));
        assert_eq!(read.host.as_deref(), Some("server.example.com"));
        assert_eq!(read.token, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
        assert_eq!(read.accept("user", "example.com"), Ok(()));
        let other = read.accept("eve", "example.com");
        assert_eq!(other, Err(Refusal::ForeignAuthzid));
        assert!(!format!("{read:?}").contains("vF9"));
    }

    #[test]
    fn requests_that_are_refused() {
        for (message, refusal) in [
            ("", Refusal::Malformed),
            ("n,,\u{1}", Refusal::Malformed),
            ("n,,\u{1}\u{1}", Refusal::Malformed),
            ("n,,\u{1}host=x\u{1}\u{1}", Refusal::Malformed),
            ("n,,\u{1}auth=Basic x\u{1}\u{1}", Refusal::Malformed),
            ("n,,\u{1}auth=Bearer \u{1}\u{1}", Refusal::Malformed),
            ("n,,\u{1}auth=Bearer a b\u{1}\u{1}", Refusal::Malformed),
            ("n,,\u{1}auth=Bearer a\u{1}", Refusal::Malformed),
            (
                "n,,\u{1}auth=Bearer a\u{1}auth=Bearer b\u{1}\u{1}",
                Refusal::Malformed,
            ),
            ("n,,\u{1}auth\u{1}\u{1}", Refusal::Malformed),
            (
                "p=x,,\u{1}auth=Bearer a\u{1}\u{1}",
                Refusal::BindingUnexpected,
            ),
        ] {
            assert_eq!(
                Request::read(message.as_bytes()),
                Err(refusal),
                "{message:?}"
            );
        }
        let many = format!("n,,\u{1}{}auth=Bearer a\u{1}\u{1}", "x=y\u{1}".repeat(16));
        assert_eq!(Request::read(many.as_bytes()), Err(Refusal::TooLong));
    }

    #[test]
    fn an_error_is_json_whatever_is_in_it() {
        let denial = Denial {
            status: "invalid_token".to_owned(),
            scope: Some("a\"b\\c\n".to_owned()),
            openid_configuration: None,
        };
        let wanted: &[u8] = br#"{"status":"invalid_token","scope":"a\"b\\c\u000a"}"#;
        assert_eq!(denial.challenge(), wanted);
        assert_eq!(ended(b"\x01"), Refusal::BadCredentials);
        assert_eq!(ended(b""), Refusal::Malformed);
    }
}
