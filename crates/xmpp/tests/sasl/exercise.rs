//! What must hold of any octets whatever, at each machine that reads them: nothing panics, and nobody who lacks the key is
//! let in. Used by the replay of the fuzz corpus and by the fuzz target itself.

use xmpp::sasl::fast::{self, Attempt, Circumstances, Maker, Slots};
use xmpp::sasl::mechanism::{self, Mechanism, Situation};
use xmpp::sasl::oauthbearer::{self, Request};
use xmpp::sasl::plain::Credentials;
use xmpp::sasl::scram::{
    Advertised, Client, ClientBinding, ClientSettings, NONCE_ENTROPY, Opening, StoredKeys, Terms,
};
use xmpp::sasl::{Binding, BindingKind, Hash};

const DOMAIN: &str = "example.org";

/// Between one message of a client and its next.
const NEXT: u8 = 0xFF;

/// Stands for the nonce of the exchange, which no fuzzer guesses.
const NONCE: &str = "{nonce}";

/// Octets as messages to a machine; the first says to which.
pub(crate) fn sasl(octets: &[u8]) {
    let Some((first, messages)) = octets.split_first() else {
        return;
    };
    match first % 8 {
        0 => server(Hash::Sha1, false, messages),
        1 => server(Hash::Sha1, true, messages),
        2 => server(Hash::Sha256, false, messages),
        3 => server(Hash::Sha256, true, messages),
        4 => client(messages),
        5 => plain(messages),
        6 => bearer(messages),
        _ => token(messages),
    }
}

fn bindings() -> [Binding; 1] {
    [Binding {
        kind: BindingKind::TlsExporter,
        data: b"this channel".to_vec(),
    }]
}

/// A server of SCRAM, once for a user with keys and once for a stranger.
fn server(hash: Hash, plus: bool, messages: &[u8]) {
    let mut messages = messages.split(|octet| *octet == NEXT);
    let first = messages.next().unwrap_or_default();
    let last = messages.next().unwrap_or_default();
    let last = String::from_utf8_lossy(last);
    let advertised = Advertised::default();
    let bindings = bindings();
    let terms = Terms {
        hash,
        plus,
        advertised: &advertised,
        bindings: &bindings,
        domain: DOMAIN,
    };
    let keys = StoredKeys::of(hash, "a password that nobody has", [1; 16], 1).ok();
    for keys in [keys.as_ref(), None] {
        let Ok(opening) = Opening::read(&terms, first) else {
            return;
        };
        assert!(!opening.user().is_empty());
        let (challenge, exchange) = opening.challenge(keys, &[2; 32], &[3; NONCE_ENTROPY]);
        let challenge = String::from_utf8(challenge).expect("a challenge is text");
        let nonce = challenge
            .strip_prefix("r=")
            .and_then(|rest| rest.split(',').next());
        let last = last.replace(NONCE, nonce.expect("a nonce"));
        assert!(exchange.verify(last.as_bytes()).is_err());
    }
}

/// A client of SCRAM, whose server lacks the key.
fn client(messages: &[u8]) {
    let mut messages = messages.split(|octet| *octet == NEXT);
    let challenge = messages.next().unwrap_or_default();
    let success = messages.next().unwrap_or_default();
    let settings = ClientSettings {
        min_iterations: 1,
        max_iterations: 16,
    };
    let cannot = ClientBinding::Cannot;
    let (first, client) =
        Client::open(Hash::Sha256, "user", None, cannot, &[3; NONCE_ENTROPY]).expect("a client");
    let first = String::from_utf8(first).expect("it is text");
    let nonce = first.rsplit("r=").next().expect("a nonce");
    let challenge = String::from_utf8_lossy(challenge).replace(NONCE, nonce);
    let advertised = Advertised::default();
    if let Ok((_, ending)) = client.answer(challenge.as_bytes(), "pw", &advertised, settings) {
        assert!(ending.check(success).is_err());
    }
}

/// What is read is the same when it is written and read again.
fn plain(message: &[u8]) {
    if let Ok(read) = Credentials::read(message, DOMAIN) {
        assert_eq!(Credentials::read(&read.write(), DOMAIN), Ok(read));
    }
}

/// A token has nothing in it that could end a field.
fn bearer(message: &[u8]) {
    if let Ok(read) = Request::read(message) {
        assert!(read.token.bytes().all(|octet| octet.is_ascii_graphic()));
        assert!(read.accept("\u{0}", DOMAIN).is_ok() == read.authzid.is_none());
    }
    let _ = oauthbearer::ended(message);
}

/// A client without its token, whatever it says of the mechanism.
fn token(message: &[u8]) {
    let situation = Situation::default();
    let name = std::str::from_utf8(message).unwrap_or_default();
    assert!(mechanism::chosen(name, &situation).is_err());
    let Ok(attempt) = Attempt::read(message) else {
        return;
    };
    let settings = fast::Settings::default();
    let mut slots = Slots::default();
    let maker = Maker::new(&[3; 32], "alice", "phone", "");
    slots.issue(0, Mechanism::HtSha256Expr, ([7; 32], &maker), settings);
    slots.current = slots.new.clone();
    let before = slots.clone();
    for mechanism in [Mechanism::HtSha256Expr, Mechanism::HtSha256None] {
        let plainly = Circumstances::default();
        let found = slots.verify(1, mechanism, &attempt, plainly, &bindings(), settings);
        assert!(found.is_err());
        assert_eq!(slots, before);
    }
}
