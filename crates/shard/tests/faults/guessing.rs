//! Passwords that are guessed, and phones that come in all the same.

use crate::{
    dialogs::{contact, registers},
    peer::{message, what},
    settings::SHARDS,
    world::World,
};
use domain::Refusal;
use sip::{
    Flow, Message,
    digest::{Challenge, Login},
};
use std::time::Duration;

/// Tries a password; the answer, if there is one.
fn guess(world: &mut World, flow: Flow, user: &str, password: &str) -> Option<Message> {
    let mut authorization = String::new();
    let mut answer = None;
    for _ in 0..2 {
        let number = world.number();
        world.send(
            flow,
            message(&format!(
                "REGISTER sip:r.example SIP/2.0\nVia: SIP/2.0/{} {};branch=z9hG4bKguess{number}\n\
                 From: <sip:{user}@r.example>;tag=1\nTo: <sip:{user}@r.example>\nCall-ID: guess{number}\n\
                 CSeq: {number} REGISTER\nX-Filler: {}\n{authorization}\n",
                flow.transport.as_str(),
                flow.remote,
                "x".repeat(400),
            )),
        );
        let heard = world.inbox(flow).pop()?;
        if heard.status() == Some(401) {
            let challenge = Challenge::strongest(heard.headers(sip::HeaderName::WwwAuthenticate));
            let login = Login { user, password };
            let value = challenge.unwrap().answer(
                login,
                sip::Method::Register,
                "sip:r.example",
                1,
                "cnonce",
            );
            authorization = format!("Authorization: {value}\n");
        }
        answer = Some(heard);
    }
    answer
}

fn statuses(world: &mut World, flow: Flow, user: &str, times: usize) -> Vec<Option<u16>> {
    let mut status = || guess(world, flow, user, "wrong").and_then(|it| it.status());
    (0..times).map(|_| status()).collect()
}

#[test]
fn who_guesses_waits_and_then_is_not_spoken_to_and_users_cannot_be_told_from_others() {
    for shards in SHARDS {
        let answers = ["bob", "nobody"].map(|user| {
            let mut world = World::new(shards);
            let flow = world.udp("203.0.113.9:5060");
            let answers = statuses(&mut world, flow, user, 120);
            assert_eq!(
                answers[..6],
                [Some(403); 6][..5]
                    .iter()
                    .copied()
                    .chain([Some(503)])
                    .collect::<Vec<_>>()
            );
            assert_eq!(*answers.last().unwrap(), None, "banned");
            let refused = |why| world.refused.get(&why).copied().unwrap_or_default();
            assert_eq!(refused(Refusal::Password), 5);
            assert!(refused(Refusal::Waiting) > 90);
            assert!(refused(Refusal::Banned) > 1);
            answers
        });
        assert_eq!(answers[0], answers[1], "whether there is such a user");
    }
}

#[test]
fn the_right_password_does_not_help_who_guesses_but_the_accounts_own_phone_comes_in() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let phone = world.udp("198.51.100.7:5060");
        registers(&mut world, phone, "bob");
        for number in 0..40 {
            let flow = world.udp(&format!("203.0.113.{number}:5060"));
            guess(&mut world, flow, "bob", "wrong");
        }
        let stranger = world.udp("203.0.113.99:5060");
        let answer = guess(&mut world, stranger, "bob", crate::settings::PASSWORD).unwrap();
        assert_eq!(answer.status(), Some(503), "the account is guessed at");
        assert!(answer.has(sip::HeaderName::RetryAfter));
        registers(&mut world, phone, "bob");
        // It is known after a restart too, since it is registered there.
        world.restart();
        for number in 0..40 {
            let flow = world.udp(&format!("203.0.113.{number}:5060"));
            guess(&mut world, flow, "bob", "wrong");
        }
        registers(&mut world, phone, "bob");
        world.pass(Duration::from_mins(6));
        let answer = guess(&mut world, stranger, "bob", crate::settings::PASSWORD).unwrap();
        assert_eq!(what(&answer), "200 REGISTER", "the pause is over");
    }
}

#[test]
fn an_operators_ban_is_for_everybody_there() {
    let mut world = World::new(1);
    let phone = world.tcp("198.51.100.7:5060");
    registers(&mut world, phone, "bob");
    let until = world.now.wall.plus(Duration::from_mins(1));
    world.guards().ban(phone.remote.ip(), until);
    let banned = world.tcp("198.51.100.7:5061");
    let answer = world.register_with(banned, "bob", &[&contact("bob", banned)], "");
    assert_eq!(answer.as_ref().map(what), None);
    assert_eq!(
        world.connection_to("198.51.100.7:5061"),
        None,
        "it is closed"
    );
    world.pass(Duration::from_mins(1));
    let again = world.tcp("198.51.100.7:5062");
    registers(&mut world, again, "bob");
}
