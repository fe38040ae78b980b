//! How a client signs in by SASL2 (XEP-0388), binds with it (XEP-0386), and comes back with a token (XEP-0484).

use super::elements::attribute;
use super::scram;
use crate::load::PASSWORD;
use base64::{Engine, prelude::BASE64_STANDARD};
use memchr::memmem;
use ring::hmac;

/// Its namespace.
pub(crate) const SASL2: &str = "urn:xmpp:sasl:2";

/// What a client's success brings.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Granted {
    /// The name of the session, if it can be resumed.
    pub(crate) session: Option<String>,
    /// A token for the next time.
    pub(crate) token: Option<String>,
    /// Whether it goes on where it was.
    pub(crate) is_resumed: bool,
}

/// All that a client says that has its password, and wants a session that can be resumed, and a token.
pub(crate) fn first(user: u32) -> String {
    let response = BASE64_STANDARD.encode(format!("\0u{user}\0{PASSWORD}"));
    let wishes = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>\
         <bind xmlns='urn:xmpp:bind:0'><tag>phone</tag><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>";
    authenticate(user, "PLAIN", &response, wishes)
}

/// The first that a client says that has its password, and wants an address with all that belongs to it.
pub(crate) fn by_scram(user: u32) -> String {
    let wishes = "<bind xmlns='urn:xmpp:bind:0'><tag>phone</tag><enable xmlns='urn:xmpp:sm:3' resume='true'/>\
         <enable xmlns='urn:xmpp:carbons:2'/></bind>";
    authenticate(user, "SCRAM-SHA-1", &scram::first(user), wishes)
}

/// All that a client says that has a token, to go on with a session of which `came` stanzas came.
pub(crate) fn again(user: u32, token: &str, session: &str, came: u32) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    let proof = hmac::sign(&key, b"Initiator");
    let name = format!("u{user}\0");
    let response = BASE64_STANDARD.encode([name.as_bytes(), proof.as_ref()].concat());
    let wishes = format!(
        "<fast xmlns='urn:xmpp:fast:0'/><resume xmlns='urn:xmpp:sm:3' previd='{session}' h='{came}'/>"
    );
    authenticate(user, "HT-SHA-256-NONE", &response, &wishes)
}

fn authenticate(user: u32, mechanism: &str, response: &str, wishes: &str) -> String {
    format!(
        "<authenticate xmlns='{SASL2}' mechanism='{mechanism}'><initial-response>{response}</initial-response>\
         <user-agent id='00000000-0000-4000-8000-{user:012x}'/>{wishes}</authenticate>"
    )
}

/// Reads a success.
pub(crate) fn granted(success: &[u8]) -> Granted {
    let inner = |name: &str| memmem::find(success, name.as_bytes()).map(|at| &success[at..]);
    let value = |element: &[u8], name| {
        attribute(element, name).map(|it| String::from_utf8_lossy(it).into_owned())
    };
    Granted {
        session: inner("<enabled").and_then(|it| value(it, "id")),
        token: inner("<token").and_then(|it| value(it, "token")),
        is_resumed: inner("<resumed").is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_is_read() {
        let granted = granted(
            b"<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>u@d</authorization-identifier>\
              <token xmlns='urn:xmpp:fast:0' expiry='2026' token='abc'/><bound xmlns='urn:xmpp:bind:0'>\
              <enabled xmlns='urn:xmpp:sm:3' id='7' resume='true'/></bound></success>",
        );
        let (session, token) = (Some("7".to_owned()), Some("abc".to_owned()));
        assert_eq!((granted.session, granted.token), (session, token));
        assert!(!granted.is_resumed);
    }
}
