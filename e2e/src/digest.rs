//! The client's side of digest authentication with MD5 (RFC 3261 §22.4), for [`crate::SipClient`].

use std::fmt::Write as _;

use md5::{Digest as _, Md5};

/// The value of an Authorization header that answers this challenge; none when it is not an MD5 challenge.
pub(crate) fn answer(
    challenge: &str,
    user: &str,
    password: &str,
    method: &str,
    uri: &str,
) -> Option<String> {
    let algorithm = parameter(challenge, "algorithm").unwrap_or("MD5");
    if !algorithm.eq_ignore_ascii_case("MD5") {
        return None;
    }
    let realm = parameter(challenge, "realm")?;
    let nonce = parameter(challenge, "nonce")?;
    let qop = parameter(challenge, "qop")
        .is_some_and(|qop| qop.split(',').any(|one| one.trim() == "auth"));
    let secret = md5(&format!("{user}:{realm}:{password}"));
    let request = md5(&format!("{method}:{uri}"));
    let mut value =
        format!("Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\"");
    if qop {
        let response = md5(&format!("{secret}:{nonce}:00000001:e2e:auth:{request}"));
        let _ = write!(
            value,
            ", response=\"{response}\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"e2e\""
        );
    } else {
        let response = md5(&format!("{secret}:{nonce}:{request}"));
        let _ = write!(value, ", response=\"{response}\", algorithm=MD5");
    }
    if let Some(opaque) = parameter(challenge, "opaque") {
        let _ = write!(value, ", opaque=\"{opaque}\"");
    }
    Some(value)
}

fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let challenge = challenge.strip_prefix("Digest")?;
    let mut rest = challenge.trim_start();
    while let Some((key, value)) = rest.split_once('=') {
        let value = value.trim_start();
        let (found, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_at(value.find(',').unwrap_or(value.len())),
        };
        if key
            .trim()
            .trim_start_matches(',')
            .trim()
            .eq_ignore_ascii_case(name)
        {
            return Some(found.trim());
        }
        rest = after;
    }
    None
}

fn md5(text: &str) -> String {
    Md5::digest(text.as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of RFC 2617 §3.5, with its client nonce replaced by ours.
    #[test]
    fn a_challenge_is_read_and_answered() {
        let challenge = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let value = answer(
            challenge,
            "Mufasa",
            "Circle Of Life",
            "GET",
            "/dir/index.html",
        )
        .expect("MD5");
        let secret = "939e7578ed9e3c518a452acee763bce9";
        let request = "39aff3a2bab6126f332b942af96d3366";
        let expected = md5(&format!(
            "{secret}:dcd98b7102dd2f0e8b11d0f600bfb0c093:00000001:e2e:auth:{request}"
        ));
        assert!(
            value.contains(&format!("response=\"{expected}\"")),
            "{value}"
        );
        assert!(
            value.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""),
            "{value}"
        );
    }

    #[test]
    fn a_challenge_for_another_algorithm_is_left_alone() {
        assert!(
            answer(
                "Digest realm=\"a\", nonce=\"b\", algorithm=SHA-256",
                "u",
                "p",
                "REGISTER",
                "sip:a"
            )
            .is_none()
        );
    }
}
