//! A client with its tokens, a server with its slots.

use super::*;
use crate::sasl::{BindingKind, hash::hex};

const NONE: Mechanism = Mechanism::HtSha256None;
const EXPR: Mechanism = Mechanism::HtSha256Expr;

#[derive(Default)]
struct World {
    slots: Slots,
    bindings: Vec<Binding>,
}

fn maker(verifier: &str) -> Maker {
    Maker::new(&[9; 32], "alice@localhost", "phone", verifier)
}

impl World {
    fn issue(&mut self, now: u64, mechanism: Mechanism, seed: u8) -> String {
        let made = ([seed; TOKEN_OCTETS], &maker("secret"));
        let token = self.slots.issue(now, mechanism, made, Settings::default());
        token.text()
    }

    fn sign_in(
        &mut self,
        now: u64,
        mechanism: Mechanism,
        token: &str,
        circumstances: Circumstances,
    ) -> Result<Accepted, Refusal> {
        let message = initiate("alice", token, mechanism, &self.bindings)?;
        let attempt = Attempt::read(&message)?;
        assert_eq!(attempt.user, "alice");
        let settings = Settings::default();
        let bindings = &self.bindings;
        let accepted =
            self.slots
                .verify(now, mechanism, &attempt, circumstances, bindings, settings)?;
        assert!(is_proved(&accepted.message, token, mechanism, bindings));
        assert!(!is_proved(&accepted.message, "else", mechanism, bindings));
        Ok(accepted)
    }

    fn plainly(&mut self, now: u64, token: &str) -> Result<Accepted, Refusal> {
        self.sign_in(now, NONE, token, Circumstances::default())
    }
}

/// Made by Python's `hmac` of `"Initiator"` and of `"Responder"` with the key `token`.
#[test]
fn hashes_are_those_of_the_draft() {
    assert_eq!(
        hex(&hashed("token", b"Initiator", b"")),
        "d24d95482f0d6e035c56e787dac4ed832bdd84ee3ea242aaadd982270c330006"
    );
    assert_eq!(
        hex(&hashed("token", b"Responder", b"cb")),
        "030c5bdc1e9a3e195bcfa85af24bb3040c6cb894a7816d8e3be0120ee1107521"
    );
}

#[test]
fn the_old_token_is_good_until_the_new_one_is_used() {
    let mut world = World::default();
    let first = world.issue(0, NONE, 1);
    assert_eq!(world.plainly(10, &first).map(|it| it.rotate), Ok(false));
    let day = 24 * 3600;
    assert_eq!(world.plainly(day, &first).map(|it| it.rotate), Ok(true));
    let lost = world.issue(day, NONE, 2);
    assert!(
        world.plainly(day, &first).is_ok(),
        "the new one was lost on the way"
    );
    let second = world.issue(day, NONE, 3);
    assert_eq!(world.plainly(day, &lost), Err(Refusal::BadCredentials));
    assert!(world.plainly(day, &second).is_ok());
    assert!(world.plainly(day, &second).is_ok());
    assert_eq!(world.plainly(day, &first), Err(Refusal::BadCredentials));
}

#[test]
fn an_only_token_is_used_without_a_change_and_outlives_one_that_got_lost() {
    let mut world = World::default();
    let first = world.issue(0, NONE, 1);
    let before = world.slots.clone();
    assert!(world.plainly(1, &first).is_ok());
    assert_eq!(world.slots, before);
    // What it was given next may not have come, so both are good until it uses that.
    let second = world.issue(2, NONE, 2);
    assert!(world.plainly(3, &first).is_ok());
    assert!(world.plainly(3, &second).is_ok());
    assert_eq!(world.plainly(4, &first), Err(Refusal::BadCredentials));
}

#[test]
fn a_token_expires_and_says_so_only_to_whom_it_belongs() {
    let mut world = World::default();
    let token = world.issue(0, NONE, 1);
    let end = Settings::default().lifetime;
    assert!(world.plainly(end - 1, &token).is_ok());
    assert_eq!(world.plainly(end, &token), Err(Refusal::Expired));
    assert_eq!(world.plainly(end, "another"), Err(Refusal::BadCredentials));
}

#[test]
fn a_count_is_good_once_and_early_data_needs_one() {
    let mut world = World::default();
    let token = world.issue(0, NONE, 1);
    let mut early = |count| {
        let circumstances = Circumstances {
            count,
            early: true,
            invalidate: false,
        };
        world.sign_in(1, NONE, &token, circumstances).err()
    };
    for (count, refusal) in [
        (None, Some(Refusal::CountMissing)),
        (Some(1), None),
        (Some(1), Some(Refusal::Replayed)),
        (Some(7), None),
        (Some(6), Some(Refusal::Replayed)),
        (Some(8), None),
    ] {
        assert_eq!(early(count), refusal, "{count:?}");
    }
}

#[test]
fn whoever_signs_out_has_no_token_any_more() {
    let mut world = World::default();
    let first = world.issue(0, NONE, 1);
    assert!(world.plainly(1, &first).is_ok());
    let second = world.issue(1, NONE, 2);
    let out = Circumstances {
        invalidate: true,
        ..Circumstances::default()
    };
    let accepted = world.sign_in(Settings::default().rotate_after, NONE, &first, out);
    assert_eq!(accepted.map(|it| it.rotate), Ok(false));
    assert_eq!(world.plainly(2, &first), Err(Refusal::BadCredentials));
    assert_eq!(world.plainly(2, &second), Err(Refusal::BadCredentials));
}

#[test]
fn a_token_is_good_for_its_mechanism_and_its_channel_alone() {
    let mut world = World::default();
    let token = world.issue(0, EXPR, 1);
    let plain = Circumstances::default();
    let found = world.sign_in(1, EXPR, &token, plain);
    assert_eq!(found, Err(Refusal::BindingUnknown));
    assert_eq!(world.plainly(1, &token), Err(Refusal::WrongMechanism));
    world.bindings.push(Binding {
        kind: BindingKind::TlsExporter,
        data: b"this channel".to_vec(),
    });
    assert!(world.sign_in(1, EXPR, &token, plain).is_ok());
    let elsewhere = initiate("alice", &token, EXPR, &world.bindings).expect("a message");
    world.bindings[0].data = b"another channel".to_vec();
    let attempt = Attempt::read(&elsewhere).expect("an attempt");
    let settings = Settings::default();
    let found = world
        .slots
        .verify(1, EXPR, &attempt, plain, &world.bindings, settings);
    assert_eq!(found, Err(Refusal::BadCredentials));
    let found = world.sign_in(1, Mechanism::Plain, &token, plain);
    assert_eq!(found, Err(Refusal::NotOffered));
}

#[test]
fn messages_that_are_refused() {
    for message in [&b""[..], b"alice", b"alice\0", b"\0", &[0; 33], &[b'a'; 40]] {
        assert_eq!(Attempt::read(message), Err(Refusal::Malformed));
    }
    let long = [vec![b'a'; 1024], vec![0; 33]].concat();
    assert_eq!(Attempt::read(&long), Err(Refusal::TooLong));
}

#[test]
fn what_is_kept_makes_the_same_tokens_and_only_with_the_same_password() {
    let mut world = World::default();
    let first = world.issue(5, NONE, 1);
    let counted = Circumstances {
        count: Some(7),
        ..Circumstances::default()
    };
    assert!(world.sign_in(6, NONE, &first, counted).is_ok());
    let second = world.issue(6, EXPR, 2);
    let kept = world.slots.encode();
    assert_eq!(
        Slots::decode(&kept, &maker("secret")),
        Some(world.slots.clone())
    );
    let changed = Slots::decode(&kept, &maker("another")).expect("slots");
    for (token, slot) in [(first, changed.current), (second, changed.new)] {
        assert_ne!(slot.map(|it| it.text()), Some(token.clone()));
        // It is not in what is kept, either.
        let secret = URL_SAFE_NO_PAD.decode(token).expect("base64");
        assert!(!kept.windows(secret.len()).any(|it| it == secret));
    }
    let none = Slots::default();
    assert_eq!(Slots::decode(&none.encode(), &maker("secret")), Some(none));
    for length in 0..kept.len() {
        assert_eq!(Slots::decode(&kept[..length], &maker("secret")), None);
    }
    let other = [&[2][..], &kept[1..]].concat();
    assert_eq!(Slots::decode(&other, &maker("secret")), None);
}

#[test]
fn no_two_clients_have_the_same_token() {
    let of = |user: &str, client: &str, verifier: &str| {
        Maker::new(&[9; 32], user, client, verifier).secret(&[1; TOKEN_OCTETS])
    };
    let one = of("alice@localhost", "phone", "secret");
    for other in [
        of("bob@localhost", "phone", "secret"),
        of("alice@localhost", "desk", "secret"),
        of("alice@localhost", "phone", "secrets"),
        Maker::new(&[8; 32], "alice@localhost", "phone", "secret").secret(&[1; TOKEN_OCTETS]),
    ] {
        assert_ne!(one, other);
    }
}
