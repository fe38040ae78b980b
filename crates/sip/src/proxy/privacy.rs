//! What is nobody else's business: push tokens, which phones put into their Contact, come off on the way
//! (RFC 8599 §13).

use crate::{Edit, HeaderName, Message};

/// The message without Contact parameters that begin with `prefix` (of URI or header field); the very same edit if
/// there are none.
pub(super) fn without_private_params<'m>(
    edit: Edit<'m>,
    message: &'m Message,
    prefix: &str,
) -> Edit<'m> {
    let concerned = message
        .headers(HeaderName::Contact)
        .any(|value| stripped(value, prefix).is_some());
    if !concerned || prefix.is_empty() {
        return edit;
    }
    edit.map_values(HeaderName::Contact, |value| {
        stripped(value, prefix).map(Into::into)
    })
}

/// The text without `;name` and `;name=value` whose name begins with the prefix, in any case; `None` if there is none.
/// Quoted text is left alone.
fn stripped(text: &[u8], prefix: &str) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    let mut rest = text;
    let mut quoted = false;
    while let [octet, after @ ..] = rest {
        match octet {
            b'\\' if quoted => {
                kept.extend_from_slice(&rest[..rest.len().min(2)]);
                rest = &rest[rest.len().min(2)..];
                continue;
            }
            b'"' => quoted = !quoted,
            b';' if !quoted && begins_with(after, prefix) => {
                rest = &after[end_of_param(after)..];
                continue;
            }
            _ => {}
        }
        kept.push(*octet);
        rest = after;
    }
    (kept.len() < text.len()).then_some(kept)
}

fn begins_with(text: &[u8], prefix: &str) -> bool {
    let text = text.trim_ascii_start();
    text.len() >= prefix.len() && text[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes())
}

fn end_of_param(text: &[u8]) -> usize {
    let ends = |octet: &u8| matches!(octet, b';' | b'>' | b'?' | b',');
    text.iter().position(ends).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_parameters_come_off_wherever_they_stand() {
        let table = [
            (
                r#""a;pn-x" <sip:b@h;pn-provider=apns;transport=tls;PN-prid=tok:voip&b>;+sip.instance="<urn;pn-1>""#,
                Some(r#""a;pn-x" <sip:b@h;transport=tls>;+sip.instance="<urn;pn-1>""#),
            ),
            ("<sip:b@h;pn-prid=1?a=b>;pn-x", Some("<sip:b@h?a=b>")),
            ("sip:b@h;pn-prid=1", Some("sip:b@h")),
            ("<sip:b@h;pnx=1>", None),
        ];
        for (text, expected) in table {
            let actual =
                stripped(text.as_bytes(), "pn-").map(|text| String::from_utf8(text).unwrap());
            assert_eq!(actual.as_deref(), expected);
        }
    }
}
