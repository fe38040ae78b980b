//! What is nobody else's business: push tokens, which phones put into their Contact, come off on the way
//! (RFC 8599 §13).

use crate::push::is_push_param;
use crate::{Edit, HeaderName, Message};

/// Does Contact (of URI or header field) look as if it had push parameters? They may stand in quotes still.
pub(super) fn has_push_params(message: &Message) -> bool {
    message
        .headers(HeaderName::Contact)
        .any(|value| memchr::memchr_iter(b';', value).any(|at| begins_push_param(&value[at + 1..])))
}

/// The edit with no push parameters in Contact.
pub(super) fn without_push_params(edit: Edit<'_>) -> Edit<'_> {
    edit.map_values(HeaderName::Contact, |value| stripped(value).map(Into::into))
}

/// The text without `;name` and `;name=value` of push parameters; `None` if there are none.
/// Quoted text is left alone.
fn stripped(text: &[u8]) -> Option<Vec<u8>> {
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
            b';' if !quoted && begins_push_param(after) => {
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

fn begins_push_param(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let name = &text[..end_of_param(text)];
    std::str::from_utf8(name).is_ok_and(is_push_param)
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
            let actual = stripped(text.as_bytes()).map(|text| String::from_utf8(text).unwrap());
            assert_eq!(actual.as_deref(), expected);
        }
    }
}
