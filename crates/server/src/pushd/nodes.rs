//! Nodes of the app server (XEP-0357 §5): what stands for a device at an XMPP server that pushes through us. A node is the tenant, the app
//! and the token, sealed, and its secret is a MAC of it: nothing is kept, and nobody can make one or read it. The same device has
//! the same node each time, so that a server keeps one.

use crate::secret;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{AppId, TenantId};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hmac,
};

/// What divides the parts of a node: none of them has it.
const DIVIDER: char = '\0';
/// Octets of a nonce.
const NONCE: usize = 12;

/// What a node stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Node {
    /// Who has handed it out, and for whom its pushes count.
    pub(super) tenant: TenantId,
    /// The app.
    pub(super) app: AppId,
    /// The device's token.
    pub(super) token: String,
}

/// Makes nodes, and opens them.
pub(super) struct Nodes {
    sealing: LessSafeKey,
    /// The nonce is made of what is sealed, so that no two texts have the same.
    nonces: hmac::Key,
    secrets: hmac::Key,
}

impl Nodes {
    /// With keys made of our secret: nodes are good for as long as that is.
    pub(super) fn new(secret: &[u8]) -> Self {
        let key = hmac::sign(&secret::key_for("push-nodes", secret), b"key");
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref());
        Self {
            sealing: LessSafeKey::new(key.expect("both have 256 bits")),
            nonces: secret::key_for("push-node-nonces", secret),
            secrets: secret::key_for("push-node-secrets", secret),
        }
    }

    /// The node of a device.
    pub(super) fn seal(&self, node: &Node) -> String {
        let Node { tenant, app, token } = node;
        let parts = [tenant.as_str(), app.as_str(), token.as_str()];
        let mut text = parts.join(&String::from(DIVIDER)).into_bytes();
        let made = hmac::sign(&self.nonces, &text);
        let mut octets = made.as_ref()[..NONCE].to_vec();
        let nonce = Nonce::try_assume_unique_for_key(&octets).expect("so many octets");
        let sealed = self
            .sealing
            .seal_in_place_append_tag(nonce, Aad::empty(), &mut text);
        sealed.expect("a text of this length can be sealed");
        octets.extend(text);
        URL_SAFE_NO_PAD.encode(octets)
    }

    /// What a node stands for, if it is one of ours.
    pub(super) fn open(&self, node: &str) -> Option<Node> {
        let mut octets = URL_SAFE_NO_PAD.decode(node).ok()?;
        let (nonce, sealed) = octets.split_at_mut_checked(NONCE)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.sealing.open_in_place(nonce, Aad::empty(), sealed);
        let mut parts = std::str::from_utf8(text.ok()?).ok()?.split(DIVIDER);
        let mut part = || parts.next();
        Some(Node {
            tenant: part()?.into(),
            app: part()?.into(),
            token: part()?.to_owned(),
        })
    }

    /// What is to be shown with each publication for this node.
    pub(super) fn secret(&self, node: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.secrets, node.as_bytes()))
    }

    /// Whether this is it.
    pub(super) fn is_secret(&self, node: &str, shown: &str) -> bool {
        secret::same(self.secret(node).as_bytes(), shown.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_says_nothing_and_nobody_else_makes_one() {
        let node = Node {
            tenant: "t".into(),
            app: "com.example.phone".into(),
            token: "00fc".to_owned(),
        };
        let (nodes, others) = (Nodes::new(b"secret"), Nodes::new(b"other"));
        let sealed = nodes.seal(&node);
        assert_eq!(sealed, nodes.seal(&node), "the same each time");
        assert_eq!(nodes.open(&sealed), Some(node));
        assert_eq!(others.open(&sealed), None);
        let mut forged = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        assert!(!forged.windows(4).any(|it| it == b"00fc"));
        forged[NONCE] ^= 1;
        for bad in [&URL_SAFE_NO_PAD.encode(forged), "", "aaaa", "a node"] {
            assert_eq!(nodes.open(bad), None, "{bad}");
        }
        let secret = nodes.secret(&sealed);
        assert!(nodes.is_secret(&sealed, &secret));
        assert!(!others.is_secret(&sealed, &secret));
        assert!(!nodes.is_secret(&sealed, ""));
    }
}
