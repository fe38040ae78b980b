//! The client's side of SCRAM (RFC 5802) with channel binding (RFC 5929, RFC 9266), for [`XmppClient`]: it says what it is told to
//! say of its channel, be it so or not.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

use crate::{Heard, SOON, XmppClient, xml};

const SASL: &str = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
const NONCE: &str = "a-nonce-of-the-client";

/// One sign-in.
#[derive(Clone, Debug)]
pub struct Scram {
    /// The name of the mechanism.
    pub mechanism: String,
    /// Who signs in.
    pub user: String,
    /// By this password.
    pub password: String,
    /// What is said of channel binding: `n`, `y`, or `p=` and a kind.
    pub flag: String,
    /// What the channel is said to be known by.
    pub channel: Vec<u8>,
}

/// What came of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Signed {
    /// The server has shown that it knows the keys, too (RFC 5802 §5.1); and by this hash what it offered (XEP-0474), if it said so.
    In(Option<String>),
    /// It was refused with this condition, and so far: before the proof, or behind it.
    Out(String, bool),
}

/// The hash of a mechanism, in each of its uses.
struct Hash {
    plain: &'static digest::Algorithm,
    keyed: hmac::Algorithm,
    stretched: pbkdf2::Algorithm,
}

impl Scram {
    fn hash(&self) -> Hash {
        if self.mechanism.starts_with("SCRAM-SHA-256") {
            Hash {
                plain: &digest::SHA256,
                keyed: hmac::HMAC_SHA256,
                stretched: pbkdf2::PBKDF2_HMAC_SHA256,
            }
        } else {
            Hash {
                plain: &digest::SHA1_FOR_LEGACY_USE_ONLY,
                keyed: hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                stretched: pbkdf2::PBKDF2_HMAC_SHA1,
            }
        }
    }

    /// RFC 5802 §3: the last message, and what the server has to answer.
    fn proof(&self, first: &str, challenge: &str) -> (String, String) {
        let hash = self.hash();
        let salt = STANDARD.decode(field(challenge, 's')).expect("a salt");
        let rounds: NonZeroU32 = field(challenge, 'i').parse().expect("how often");
        let mut salted = vec![0; hash.plain.output_len()];
        pbkdf2::derive(
            hash.stretched,
            rounds,
            &salt,
            self.password.as_bytes(),
            &mut salted,
        );
        let keyed =
            |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hash.keyed, key), text.as_bytes());
        let client = keyed(&salted, "Client Key");
        let stored = digest::digest(hash.plain, client.as_ref());
        let binding = STANDARD.encode([self.header().as_bytes(), &self.channel].concat());
        let last = format!("c={binding},r={}", field(challenge, 'r'));
        let signed = format!("{first},{challenge},{last}");
        let signature = keyed(stored.as_ref(), &signed);
        let proof: Vec<u8> = client
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(a, b)| a ^ b)
            .collect();
        let server = keyed(&salted, "Server Key");
        let answer = STANDARD.encode(keyed(server.as_ref(), &signed));
        (
            format!("{last},p={}", STANDARD.encode(proof)),
            format!("v={answer}"),
        )
    }

    fn header(&self) -> String {
        format!("{},,", self.flag)
    }
}

impl XmppClient {
    /// Signs in like this, or tries to.
    pub fn scram(&mut self, scram: &Scram) -> Signed {
        let first = format!("n={},r={NONCE}", scram.user);
        let message = STANDARD.encode(format!("{}{first}", scram.header()));
        self.send(&format!(
            "<auth {SASL} mechanism='{}'>{message}</auth>",
            scram.mechanism
        ));
        let challenge = match self.answer("challenge") {
            Ok(challenge) => challenge,
            Err(condition) => return Signed::Out(condition, false),
        };
        assert!(field(&challenge, 'r').starts_with(NONCE), "{challenge}");
        let (proof, answer) = scram.proof(&first, &challenge);
        self.send(&format!(
            "<response {SASL}>{}</response>",
            STANDARD.encode(proof)
        ));
        match self.answer("success") {
            Ok(success) => {
                assert_eq!(success, answer, "the server does not know the keys");
                let offered = challenge.split(',').find_map(|it| it.strip_prefix("h="));
                Signed::In(offered.map(str::to_owned))
            }
            Err(condition) => Signed::Out(condition, true),
        }
    }

    /// What stands in an element of this name, decoded; or the condition of a failure instead.
    fn answer(&mut self, name: &str) -> Result<String, String> {
        let Heard::Item(item) = self.next(SOON) else {
            panic!("no answer");
        };
        if let Some((_, condition)) = item
            .strip_prefix("<failure")
            .and_then(|it| it.split_once("><"))
        {
            return Err(condition
                .split(['/', ' ', '>'])
                .next()
                .unwrap_or_default()
                .to_owned());
        }
        let said = xml::text(&item.replacen(&format!(" {SASL}"), "", 1), name);
        let said = said.unwrap_or_else(|| panic!("no {name:?} but {item:?}"));
        let decoded = STANDARD.decode(said).expect("base64");
        Ok(String::from_utf8(decoded).expect("text"))
    }

    /// What both ends know this channel by, and nobody in between (RFC 9266).
    pub fn exporter(&self) -> Vec<u8> {
        let exported =
            self.tls()
                .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]));
        exported.expect("TLS that is established").to_vec()
    }
}

/// An attribute of a message (RFC 5802 §5.1).
fn field(message: &str, name: char) -> &str {
    let value = |it: &'_ str| {
        it.strip_prefix(name)
            .and_then(|it| it.strip_prefix('='))
            .map(str::len)
    };
    let found = message.split(',').find(|it| value(it).is_some());
    &found.unwrap_or_else(|| panic!("no {name} in {message}"))[2..]
}

/// What somebody hashes who has seen these mechanisms of SASL and kinds of channel binding on offer (XEP-0474 §6.1).
pub fn offered(features: &str) -> String {
    let (sasl, others) = features.split_once("</mechanisms>").expect("mechanisms");
    let joined = |within: &str, open: &str, close: &str| {
        let mut names: Vec<&str> = within
            .split(open)
            .skip(1)
            .filter_map(|it| it.split(close).next())
            .collect();
        names.sort_unstable();
        names.join("\u{1e}")
    };
    let (mechanisms, bindings) = (
        joined(sasl, "<mechanism>", "</mechanism>"),
        joined(others, "<channel-binding type='", "'"),
    );
    let listed = format!("{mechanisms}\u{1f}{bindings}");
    STANDARD.encode(digest::digest(&digest::SHA256, listed.as_bytes()))
}
