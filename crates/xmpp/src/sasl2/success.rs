//! What a client is told at the end.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::jid::Jid;
use crate::ns;
use crate::sasl::{Failure, Hash};
use crate::xml::Element;

/// A sign-in that has succeeded, and of which it is still open what comes with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Success {
    /// The last message of the mechanism, if it has one.
    pub message: Vec<u8>,
    /// What became of what the client asked for, in order.
    pub inline: Vec<Element>,
}

impl Success {
    /// `<success/>` for a client that has this address: a full one, if it has a session (XEP-0388 §2.6.1).
    pub fn element(self, address: &Jid) -> Element {
        let mut success = Element::new(ns::SASL2, "success");
        if !self.message.is_empty() {
            let data = Element::new(ns::SASL2, "additional-data");
            success.push(data.with_text(&STANDARD.encode(&self.message)));
        }
        let identifier = Element::new(ns::SASL2, "authorization-identifier");
        success.push(identifier.with_text(address.as_str()));
        self.inline.into_iter().fold(success, Element::with_child)
    }
}

/// `<failure/>`: the conditions are those of SASL (XEP-0388 §2.6.2).
pub fn failure(failure: Failure) -> Element {
    let condition = Element::new(ns::SASL, failure.name());
    Element::new(ns::SASL2, "failure").with_child(condition)
}

/// Octets of a name that stands for an installation.
const ALIAS: usize = 9;

/// The same name each time for an installation of a user's client, which does not give away its id (XEP-0386 §3.2.1).
pub fn alias(secret: &[u8; 32], user: &str, client: &str) -> String {
    let named = Hash::Sha256.hmac(
        secret,
        &[b"xmpp client ", user.as_bytes(), b" ", client.as_bytes()],
    );
    URL_SAFE_NO_PAD.encode(&named[..ALIAS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_the_same_name_each_time_and_nobody_else_has_it() {
        let id = "d4565fa7-4d72-4749-b3d3-740edbf87770";
        let name = alias(&[1; 32], "alice@localhost", id);
        assert_eq!(name, alias(&[1; 32], "alice@localhost", id));
        assert_eq!(name.len(), 12);
        for other in [
            alias(&[2; 32], "alice@localhost", id),
            alias(&[1; 32], "bob@localhost", id),
            alias(
                &[1; 32],
                "alice@localhost",
                "d4565fa7-4d72-4749-b3d3-740edbf87771",
            ),
        ] {
            assert_ne!(name, other);
        }
    }
}
