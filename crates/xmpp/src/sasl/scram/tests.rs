//! The examples of the RFCs, both ends against each other, and what somebody in between can do.

use proptest::prelude::*;

use super::*;
use crate::sasl::{Binding, BindingKind, Hash, Refusal};

const SECRET: [u8; 32] = [7; 32];

/// As in the examples: no channel binding, nothing said of it.
struct World {
    hash: Hash,
    plus: bool,
    advertised: Advertised,
    bindings: Vec<Binding>,
}

impl World {
    fn new(hash: Hash, mechanisms: &[&str]) -> Self {
        Self {
            hash,
            plus: false,
            advertised: Advertised {
                mechanisms: mechanisms.iter().map(|name| (*name).to_owned()).collect(),
                bindings: None,
            },
            bindings: Vec::new(),
        }
    }

    fn plus() -> Self {
        let mut world = Self::new(Hash::Sha256, &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
        world.plus = true;
        world.bindings.push(channel(b"this channel"));
        world
    }

    fn terms(&self) -> Terms<'_> {
        Terms {
            hash: self.hash,
            plus: self.plus,
            advertised: &self.advertised,
            bindings: &self.bindings,
            domain: "example.org",
        }
    }

    fn open(&self, message: &str) -> Result<Opening, Refusal> {
        Opening::read(&self.terms(), message.as_bytes())
    }

    fn keys(&self, password: &str) -> StoredKeys {
        StoredKeys::of(self.hash, password, [1; SALT_OCTETS], 4096).expect("keys")
    }

    /// Both ends, and what came of it at the server and at the client.
    fn sign_in(
        &self,
        binding: ClientBinding,
        password: &str,
        keys: Option<&StoredKeys>,
    ) -> Result<Result<(), ClientError>, Refusal> {
        let entropy = [3; NONCE_ENTROPY];
        let (first, client) = Client::open(self.hash, "us,er", None, binding, &entropy)?;
        let opening = Opening::read(&self.terms(), &first)?;
        assert_eq!(opening.user(), "us,er");
        let (challenge, exchange) = opening.challenge(keys, &SECRET, &[4; NONCE_ENTROPY]);
        let settings = ClientSettings::default();
        let (proof, ending) = match client.answer(&challenge, password, &self.advertised, settings)
        {
            Ok(answered) => answered,
            Err(error) => return Ok(Err(error)),
        };
        let verified = exchange.verify(&proof)?;
        assert_eq!(verified.user, "us,er");
        Ok(ending.check(&verified.message))
    }
}

fn channel(data: &[u8]) -> Binding {
    Binding {
        kind: BindingKind::TlsExporter,
        data: data.to_vec(),
    }
}

/// One of the examples: all four messages and the salt.
fn example(hash: Hash, nonces: [&str; 2], salt: &str, messages: [&str; 4]) {
    let [first, challenge, proof, success] = messages;
    let world = World::new(hash, &[]);
    let salt = decode(salt).expect("base64");
    let salted = hash.stretch(b"pencil", &salt, 4096);
    let keys = StoredKeys {
        salt: salt.as_slice().into(),
        iterations: 4096,
        stored_key: hash.digest(&[&keys::client_key(hash, &salted)]),
        server_key: keys::server_key(hash, &salted),
    };
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).expect("text");

    let cannot = ClientBinding::Cannot;
    let nonce = nonces[0].to_owned();
    let (sent, client) = Client::open_with(hash, "user", None, cannot, nonce).expect("a client");
    assert_eq!(text(&sent), first);
    let opening = world.open(first).expect("an opening");
    let (sent, exchange) = opening.challenge_of_old(&keys, nonces[1]);
    assert_eq!(text(&sent), challenge);
    let settings = ClientSettings::default();
    let answer = client.answer(&sent, "pencil", &world.advertised, settings);
    let (sent, ending) = answer.expect("an answer");
    assert_eq!(text(&sent), proof);
    let verified = exchange.verify(&sent).expect("the right password");
    assert_eq!(text(&verified.message), success);
    assert_eq!(ending.check(&verified.message), Ok(()));
}

/// RFC 5802 §5.
#[test]
fn example_with_sha_1() {
    example(
        Hash::Sha1,
        ["fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j"],
        "QSXCR+Q6sek8bf92",
        [
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
    );
}

/// RFC 7677 §3.
#[test]
fn example_with_sha_256() {
    example(
        Hash::Sha256,
        ["rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"],
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    );
}

#[test]
fn the_right_password_over_the_right_channel_and_nothing_else() {
    let world = World::plus();
    let keys = world.keys("pencil");
    let does = || ClientBinding::Does(channel(b"this channel"));
    let sign_in = |binding, password, keys| world.sign_in(binding, password, keys);
    assert_eq!(sign_in(does(), "pencil", Some(&keys)), Ok(Ok(())));
    for (binding, password, keys, refusal) in [
        (does(), "pen", Some(&keys), Refusal::BadCredentials),
        (does(), "pencil", None, Refusal::BadCredentials),
        (
            ClientBinding::Does(channel(b"another channel")),
            "pencil",
            Some(&keys),
            Refusal::BindingMismatch,
        ),
        (
            ClientBinding::Cannot,
            "pencil",
            Some(&keys),
            Refusal::BindingMissing,
        ),
        (
            ClientBinding::Could,
            "pencil",
            Some(&keys),
            Refusal::BindingMissing,
        ),
    ] {
        assert_eq!(sign_in(binding, password, keys), Err(refusal));
    }
}

#[test]
fn whoever_hides_channel_binding_from_the_client_is_found_out() {
    let mut world = World::plus();
    world.plus = false;
    let keys = world.keys("pencil");
    let sign_in = |binding| world.sign_in(binding, "pencil", Some(&keys));
    assert_eq!(sign_in(ClientBinding::Could), Err(Refusal::Downgrade));
    assert_eq!(sign_in(ClientBinding::Cannot), Ok(Ok(())));
    let does = ClientBinding::Does(channel(b"this channel"));
    assert_eq!(sign_in(does), Err(Refusal::BindingUnexpected));
}

#[test]
fn whoever_changes_the_offer_is_found_out_by_the_client() {
    let world = World::new(Hash::Sha1, &["SCRAM-SHA-256", "SCRAM-SHA-1"]);
    let keys = world.keys("pencil");
    let cannot = ClientBinding::Cannot;
    let (first, client) =
        Client::open(Hash::Sha1, "user", None, cannot, &[3; NONCE_ENTROPY]).expect("a client");
    let opening = Opening::read(&world.terms(), &first).expect("an opening");
    let (challenge, _) = opening.challenge(Some(&keys), &SECRET, &[4; NONCE_ENTROPY]);
    let seen = World::new(Hash::Sha1, &["SCRAM-SHA-1"]).advertised;
    let answer = client.answer(&challenge, "pencil", &seen, ClientSettings::default());
    assert_eq!(answer.err(), Some(ClientError::Downgrade));
}

#[test]
fn a_stranger_is_given_the_same_salt_each_time_and_one_of_the_usual_form() {
    let world = World::new(Hash::Sha256, &[]);
    let challenge = |user: &str, secret: &[u8; 32]| {
        let opening = world
            .open(&format!("n,,n={user},r=abc"))
            .expect("an opening");
        let (challenge, _) = opening.challenge(None, secret, &[4; NONCE_ENTROPY]);
        String::from_utf8(challenge).expect("text")
    };
    assert_eq!(challenge("bob", &SECRET), challenge("bob", &SECRET));
    assert_eq!(challenge("bob", &SECRET), challenge("Bob", &SECRET));
    assert_ne!(challenge("bob", &SECRET), challenge("eve", &SECRET));
    assert_ne!(challenge("bob", &SECRET), challenge("bob", &[8; 32]));
    let keys = StoredKeys::of(Hash::Sha256, "pencil", [1; SALT_OCTETS], ITERATIONS).expect("keys");
    let opening = world.open("n,,n=bob,r=abc").expect("an opening");
    let (real, _) = opening.challenge(Some(&keys), &SECRET, &[4; NONCE_ENTROPY]);
    assert_eq!(real.len(), challenge("bob", &SECRET).len());
}

#[test]
fn openings_that_are_refused() {
    let world = World::new(Hash::Sha1, &[]);
    for (message, refusal) in [
        ("", Refusal::Malformed),
        ("n,,", Refusal::Malformed),
        ("n,,n=user", Refusal::Malformed),
        ("n,,r=1,n=user", Refusal::Malformed),
        ("n,,n=user,r=", Refusal::Malformed),
        ("n,,n=,r=1", Refusal::Malformed),
        ("n,,n=us=er,r=1", Refusal::Malformed),
        ("n,,n=user,r=\u{7f}", Refusal::Malformed),
        ("n,,n=user,r=1,", Refusal::Malformed),
        ("n,,n=user,r=1,x", Refusal::Malformed),
        ("n,,m=1,n=user,r=1", Refusal::Extension),
        ("n,,n=user,r=1,m=1", Refusal::Extension),
        ("n,,n=us\u{7}er,r=1", Refusal::BadName),
        ("n,a=bob,n=user,r=1", Refusal::ForeignAuthzid),
        ("p=tls-exporter,,n=user,r=1", Refusal::BindingUnexpected),
    ] {
        assert_eq!(world.open(message).err(), Some(refusal), "{message:?}");
    }
    let long = format!("n,,n=user,r={}", "1".repeat(9000));
    assert_eq!(world.open(&long).err(), Some(Refusal::TooLong));
    let long = format!("n,,n=user,r={}", "1".repeat(257));
    assert_eq!(world.open(&long).err(), Some(Refusal::Malformed));
    for message in [
        "n,a=user,n=user,r=1",
        "n,a=user@example.org,n=user,r=1,x=y,z=1",
        "y,,n=user,r=1",
    ] {
        assert!(world.open(message).is_ok(), "{message:?}");
    }
    let plus = World::plus();
    for kind in ["tls-unique", "tls-server-end-point"] {
        let message = format!("p={kind},,n=user,r=1");
        assert_eq!(plus.open(&message).err(), Some(Refusal::BindingUnknown));
    }
}

#[test]
fn challenges_that_a_client_does_not_answer() {
    let world = World::new(Hash::Sha1, &[]);
    let refused = |challenge: &str| {
        let cannot = ClientBinding::Cannot;
        let nonce = "abc".to_owned();
        let (_, client) =
            Client::open_with(Hash::Sha1, "user", None, cannot, nonce).expect("a client");
        let settings = ClientSettings::default();
        let answer = client.answer(challenge.as_bytes(), "pencil", &world.advertised, settings);
        answer.err()
    };
    assert_eq!(refused("r=abcd,s=QSXCR+Q6sek8bf92,i=4096,x=y"), None);
    for (challenge, error) in [
        ("r=abc,s=QSXC,i=4096", ClientError::WrongNonce),
        ("r=abd1,s=QSXC,i=4096", ClientError::WrongNonce),
        ("r=abcd,s=QSXC,i=4095", ClientError::Iterations(4095)),
        (
            "r=abcd,s=QSXC,i=1000001",
            ClientError::Iterations(1_000_001),
        ),
        ("r=abcd,s=QSXC,i=4096,h=x", ClientError::Downgrade),
        (
            "m=1,r=abcd,s=QSXC,i=4096",
            ClientError::Unreadable(Refusal::Extension),
        ),
        (
            "r=abcd,s=,i=4096",
            ClientError::Unreadable(Refusal::Malformed),
        ),
        (
            "r=abcd,s=QSXC,i=+4096",
            ClientError::Unreadable(Refusal::Malformed),
        ),
        (
            "r=abcd,s=QSXC,i=99999999999",
            ClientError::Unreadable(Refusal::Malformed),
        ),
    ] {
        assert_eq!(refused(challenge), Some(error), "{challenge}");
    }
}

#[test]
fn a_server_that_does_not_know_the_keys_is_an_impostor() {
    let world = World::new(Hash::Sha1, &[]);
    let mut keys = world.keys("pencil");
    keys.server_key[0] ^= 1;
    let found = world.sign_in(ClientBinding::Cannot, "pencil", Some(&keys));
    assert_eq!(found, Ok(Err(ClientError::Impostor)));
}

#[test]
fn no_key_is_shown() {
    let world = World::new(Hash::Sha1, &[]);
    let mut keys = world.keys("pencil");
    keys.stored_key = [217; 20].as_slice().into();
    let opening = world.open("n,,n=user,r=abc").expect("an opening");
    let (_, exchange) = opening.challenge(Some(&keys), &SECRET, &[4; NONCE_ENTROPY]);
    assert!(!format!("{exchange:?} {keys:?}").contains("217"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_proof_that_was_touched_proves_nothing(at in 0_usize..200, bit in 0_u8..8) {
        let world = World::new(Hash::Sha1, &[]);
        let keys = world.keys("pencil");
        let (first, client) =
            Client::open(Hash::Sha1, "user", None, ClientBinding::Cannot, &[3; NONCE_ENTROPY])?;
        let opening = Opening::read(&world.terms(), &first)?;
        let (challenge, exchange) = opening.challenge(Some(&keys), &SECRET, &[4; NONCE_ENTROPY]);
        let settings = ClientSettings::default();
        let (mut proof, _) = client.answer(&challenge, "pencil", &world.advertised, settings)?;
        let at = at % proof.len();
        proof[at] ^= 1 << bit;
        prop_assert!(exchange.verify(&proof).is_err());
    }
}
