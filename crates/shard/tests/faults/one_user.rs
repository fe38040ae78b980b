//! One user who calls another without end: neither the other nor anybody else is harmed.

use crate::{
    dialogs::{contact, registers},
    peer::{credentials, uri, what},
    settings::{SHARDS, users_of_shard},
    world::World,
};
use domain::{Purpose, Refusal};
use sip::{Flow, HeaderName, Message};
use std::time::Duration;

/// A user of ours calls from somewhere, with a password; the INVITE and the first final answer, if there is one.
fn calls(world: &mut World, flow: Flow, from: &str, to: &str) -> (Message, Option<Message>) {
    let contact = format!("Contact: <{}>\n", uri(from, flow));
    let first = world.request("INVITE", flow, from, to, &contact);
    world.send(flow, first);
    let challenged = world.take(flow, "407");
    let answer = credentials(&challenged, from, &format!("sip:{to}@r.example"));
    let extra = format!("{contact}Proxy-Authorization: {answer}\n");
    let invite = world.request("INVITE", flow, from, to, &extra);
    world.send(flow, invite.clone());
    let is_final = |it: &Message| {
        it.call_id() == invite.call_id() && it.status().is_some_and(|status| status >= 200)
    };
    let answer = world.take_if(flow, is_final);
    (invite, answer)
}

#[test]
fn a_thousand_calls_given_up_at_once_are_a_few_pushes_and_the_phone_sees_the_last_few() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let phone = world.tcp("198.51.100.20:40000");
        registers(&mut world, phone, "bob");
        world.close(phone);
        let caller = world.tcp("203.0.113.9:40000");
        let mut refused = 0;
        for _ in 0..1000 {
            let (invite, answer) = calls(&mut world, caller, "alice", "bob");
            if let Some(answer) = answer {
                assert_eq!(what(&answer), "503");
                assert!(answer.has(HeaderName::RetryAfter));
                refused += 1;
            } else {
                world.cancel(caller, &invite);
                world.take(caller, "487");
            }
            world.inbox(caller);
        }
        assert_eq!(refused, 940, "sixty calls a minute");
        assert_eq!(world.refused[&Refusal::Caller], 940);
        world.pass(Duration::from_secs(31));
        let pushes = |world: &World, wanted: fn(&Purpose) -> bool| {
            world
                .cloud
                .pushes
                .iter()
                .filter(|it| wanted(&it.purpose))
                .count()
        };
        assert_eq!(pushes(&world, |it| matches!(it, Purpose::Call { .. })), 60);
        assert_eq!(
            pushes(&world, |it| matches!(it, Purpose::MissedCall { .. })),
            2,
            "the first, and all that followed"
        );
        // Everybody else calls, also the one who was called.
        let other = world.tcp("203.0.113.10:40000");
        let (_, answer) = calls(&mut world, other, "carol", "alice");
        assert_eq!(
            answer.as_ref().map(what),
            Some("480".to_owned()),
            "alice has no phone"
        );
        let back = world.tcp("198.51.100.20:40001");
        registers(&mut world, back, "bob");
        let invites = world.heard(back);
        assert_eq!(invites.iter().filter(|it| *it == "INVITE").count(), 3);
        world.close(back);
        world.ends_clean();
    }
}

#[test]
fn many_who_call_one_leave_the_others_alone_and_an_ended_call_gives_its_place_back() {
    let mut world = World::new(2);
    world.add_user("dave", None);
    let phones = ["bob", "dave"].map(|user| {
        let flow = world.tcp(&format!("198.51.100.{}:40000", user.len()));
        let answer = world.register(flow, user, &[&contact(user, flow)]);
        assert_eq!(what(&answer), "200 REGISTER");
        flow
    });
    let mut open = Vec::new();
    for number in 0..25 {
        let name = format!("user{number}");
        world.add_user(&name, None);
        let flow = world.tcp(&format!("203.0.113.{number}:40000"));
        let (invite, answer) = calls(&mut world, flow, &name, "bob");
        match answer {
            None => open.push((flow, name, invite)),
            Some(answer) => assert_eq!(what(&answer), "480"),
        }
    }
    assert_eq!(open.len(), 20, "that wait to be answered at once");
    assert_eq!(world.refused[&Refusal::Callee], 5);
    let (flow, name, invite) = open.pop().unwrap();
    let (_, answer) = calls(&mut world, flow, &name, "dave");
    assert!(answer.is_none(), "it rings");
    assert!(world.heard(phones[1]).contains(&"INVITE".to_owned()));
    world.cancel(flow, &invite);
    world.take(flow, "487");
    let (_, answer) = calls(&mut world, flow, &name, "bob");
    assert!(answer.is_none(), "there is a place again");
    for phone in phones {
        world.close(phone);
    }
    world.ends_clean();
}

#[test]
fn a_trunk_has_limits_of_its_own_and_calls_for_many() {
    const PHONES: usize = 31;
    let mut world = World::new(2);
    world.settings.calls.per_server.at_once = 30;
    world.restart();
    // Each shard counts what comes to its users.
    let users: Vec<String> = users_of_shard(0, 2).take(PHONES).collect();
    for (number, user) in users.iter().enumerate() {
        world.add_user(user, None);
        let phone = world.tcp(&format!("198.51.100.{number}:40000"));
        registers(&mut world, phone, user);
    }
    let trunk = world.tcp("10.0.9.9:5060");
    let call = |world: &mut World, callee: &str| {
        let contact = format!("Contact: <{}>\n", uri("carol", trunk));
        let invite = world.request("INVITE", trunk, "carol", callee, &contact);
        world.send(trunk, invite.clone());
        invite
    };
    let open: Vec<_> = users.iter().map(|user| call(&mut world, user)).collect();
    assert_eq!(
        world.refused.get(&Refusal::Caller),
        Some(&1),
        "the last one"
    );
    assert!(world.take(trunk, "503").has(HeaderName::RetryAfter));
    world.cancel(trunk, &open[0]);
    world.take(trunk, "487");
    call(&mut world, &users[PHONES - 1]);
    assert_eq!(world.refused[&Refusal::Caller], 1, "there is a place again");
}
