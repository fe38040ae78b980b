//! What a client asks for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::ns;
use crate::sasl::Failure;
use crate::sasl::fast::Circumstances;
use crate::xml::Element;

/// `<authenticate/>` (XEP-0388 §2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The name of the mechanism.
    pub mechanism: String,
    /// The first message of the mechanism, if it is sent at once.
    pub initial: Option<Vec<u8>>,
    /// What is to be done if it succeeds.
    pub wishes: Wishes,
}

/// What is to be done within a sign-in that succeeds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The installation of the client: a UUID in lower case.
    pub client: Option<String>,
    /// It wants to go on where it was: `<resume/>` (XEP-0198 §5).
    pub resume: Option<Element>,
    /// It wants an address: `<bind/>` (XEP-0386 §3.2).
    pub bind: Option<Element>,
    /// It shows a token: `<fast/>` (XEP-0484 §3.4).
    pub fast: Option<Circumstances>,
    /// It wants a token for the mechanism of this name: `<request-token/>` (XEP-0484 §3.2).
    pub token: Option<String>,
}

impl Request {
    /// Reads it.
    ///
    /// # Errors
    /// The condition that its sender hears.
    pub fn read(element: &Element) -> Result<Self, Failure> {
        let initial = element.child(ns::SASL2, "initial-response");
        let agent = element.child(ns::SASL2, "user-agent");
        let client = agent.and_then(|agent| agent.attr("id")).map(uuid);
        let fast = element.child(ns::FAST, "fast").map(circumstances);
        let token = element.child(ns::FAST, "request-token");
        Ok(Self {
            mechanism: element.attr("mechanism").unwrap_or_default().to_owned(),
            initial: initial.map(octets).transpose()?,
            wishes: Wishes {
                client: client.transpose()?,
                resume: element.child(ns::SM, "resume").cloned(),
                bind: element.child(ns::BIND2, "bind").cloned(),
                fast: fast.transpose()?,
                token: token
                    .and_then(|it| it.attr("mechanism"))
                    .map(ToOwned::to_owned),
            },
        })
    }
}

/// The octets of an element: base64, in which nothing stands for an empty message (XEP-0388 §2.2).
fn octets(element: &Element) -> Result<Vec<u8>, Failure> {
    let text = element.text();
    STANDARD
        .decode(text.trim())
        .map_err(|_| Failure::IncorrectEncoding)
}

/// XEP-0388 §2.3: the id must be a UUID; what is none could be anything, of any length.
fn uuid(id: &str) -> Result<String, Failure> {
    let is_uuid = id.len() == 36
        && id.bytes().enumerate().all(|(place, octet)| match place {
            8 | 13 | 18 | 23 => octet == b'-',
            _ => octet.is_ascii_hexdigit(),
        });
    is_uuid
        .then(|| id.to_ascii_lowercase())
        .ok_or(Failure::MalformedRequest)
}

fn circumstances(fast: &Element) -> Result<Circumstances, Failure> {
    let count = fast.attr("count").map(str::parse).transpose();
    Ok(Circumstances {
        count: count.map_err(|_| Failure::MalformedRequest)?,
        // There is no early data here: TLS takes none.
        early: false,
        invalidate: matches!(fast.attr("invalidate"), Some("true" | "1")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, document};

    fn read(text: &str) -> Result<Request, Failure> {
        let whole = format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>{text}</authenticate>"
        );
        Request::read(&document(whole.as_bytes(), &Limits::default()).expect("XML"))
    }

    #[test]
    fn all_that_can_be_asked_for_is_read() {
        let request = read(
            "<initial-response>AGEAYg==</initial-response>\
             <user-agent id='D4565FA7-4d72-4749-b3d3-740edbf87770'/>\
             <resume xmlns='urn:xmpp:sm:3' previd='x' h='1'/><bind xmlns='urn:xmpp:bind:0'/>\
             <fast xmlns='urn:xmpp:fast:0' count='7' invalidate='true'/>\
             <request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>",
        );
        let request = request.expect("a request");
        assert_eq!(request.mechanism, "PLAIN");
        assert_eq!(request.initial.as_deref(), Some(&b"\0a\0b"[..]));
        let wishes = request.wishes;
        assert_eq!(
            wishes.client.as_deref(),
            Some("d4565fa7-4d72-4749-b3d3-740edbf87770")
        );
        assert!(wishes.resume.is_some() && wishes.bind.is_some());
        let fast = wishes.fast.expect("a token is shown");
        assert_eq!((fast.count, fast.invalidate), (Some(7), true));
        assert_eq!(wishes.token.as_deref(), Some("HT-SHA-256-NONE"));
    }

    #[test]
    fn nothing_is_another_thing_than_an_empty_message() {
        assert_eq!(read("").map(|it| it.initial), Ok(None));
        let empty = read("<initial-response/>").map(|it| it.initial);
        assert_eq!(empty, Ok(Some(Vec::new())));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (text, failure) in [
            (
                "<initial-response>=</initial-response>",
                Failure::IncorrectEncoding,
            ),
            ("<user-agent id='me'/>", Failure::MalformedRequest),
            (
                "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf8777x'/>",
                Failure::MalformedRequest,
            ),
            (
                "<fast xmlns='urn:xmpp:fast:0' count='-1'/>",
                Failure::MalformedRequest,
            ),
            (
                "<fast xmlns='urn:xmpp:fast:0' count='4294967296'/>",
                Failure::MalformedRequest,
            ),
        ] {
            assert_eq!(read(text), Err(failure), "{text}");
        }
    }
}
