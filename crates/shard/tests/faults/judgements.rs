//! Judgements that are neither too quick nor for ever.

use crate::{
    dialogs::{contact, registers},
    peer::{Dialog, credentials, message, pn, response, uri, what},
    settings::{SHARDS, account, address, users_of_shard},
    world::World,
};
use domain::{DoorId, Outcome, Purpose, device::SealingKey};
use hub::{DeviceUpdate, NotDone, Question};
use sip::{HeaderName, Message, reason_phrase};
use std::time::Duration;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// When a call came to its end, in seconds after the INVITE.
fn ended_after(world: &mut World, flow: sip::Flow, status: &str) -> f64 {
    let begun = world.now.instant;
    for _ in 0..1000 {
        if world.take_if(flow, |it| what(it) == status).is_some() {
            return (world.now.instant - begun).as_secs_f64();
        }
        world.pass(seconds(0.1));
    }
    panic!("no {status}");
}

#[test]
fn a_silent_phone_of_datagrams_has_until_the_wake_timeout() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.udp("10.0.0.20:5060"));
        world.register(bob, "bob", &[&format!("<{}>", uri("bob", bob))]);
        // The first three INVITEs are lost.
        world.invite(alice, "alice", "bob");
        world.pass(seconds(1.6));
        assert_eq!(world.heard(bob), ["INVITE"; 3]);
        world.pass(seconds(2.0));
        let invite = world.take(bob, "INVITE");
        world.answer(bob, &invite, 180, &uri("bob", bob));
        world.answer(bob, &invite, 200, &uri("bob", bob));
        let heard: Vec<_> = world.inbox(alice);
        let told: Vec<_> = heard.iter().map(what).collect();
        assert_eq!(told, ["100", "180", "200"]);
        let caller = Dialog::of_caller(&heard[2]);
        world.within(&caller, "ACK", alice);
        world.take(bob, "ACK");
        world.inbox(alice);
        world.inbox(bob);
        // Nobody is there at all.
        world.invite(alice, "alice", "bob");
        let after = ended_after(&mut world, alice, "480");
        assert!((12.5..14.0).contains(&after), "{after}");
        world.ends_clean();
    }
}

fn died(reason: &str) -> Outcome {
    Outcome::TokenDead {
        since: None,
        reason: reason.to_owned(),
    }
}

#[test]
fn a_dead_token_gets_one_new_chance_and_no_empty_promise() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        for token in ["bob", "bobm"] {
            let outcomes = &mut world.cloud.outcomes;
            outcomes.insert(token.to_owned(), died("BadDeviceToken"));
        }
        let pushed = |world: &mut World, port: u16, promised: bool, woken: usize| {
            let flow = world.tcp(&format!("10.0.0.20:{port}"));
            let answer = world.register(flow, "bob", &[&contact("bob", flow)]);
            assert_eq!(what(&answer), "200 REGISTER");
            assert_eq!(answer.has(HeaderName::FeatureCaps), promised, "{port}");
            world.close(flow);
            world.pass(seconds(1.0));
            world.invite(alice, "alice", "bob");
            world.pass(seconds(20.0));
            let for_calls = world.cloud.pushes.iter().filter(|it| it.token == "bob");
            assert_eq!(for_calls.count(), woken, "{port}");
            world.cloud.pushes.clear();
            assert!(world.heard(alice).contains(&"480".to_owned()));
        };
        pushed(&mut world, 40_001, true, 1);
        // Once more, since it may have been our settings that were wrong.
        pushed(&mut world, 40_002, true, 1);
        pushed(&mut world, 40_003, false, 0);
        world.assert_memory_is_what_is_kept();
        world.restart();
        pushed(&mut world, 40_004, false, 0);
        world.ends_clean();
    }
}

#[test]
fn a_token_that_died_by_our_mistake_is_pushed_to_after_it_is_mended() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        world
            .cloud
            .outcomes
            .insert("bob".to_owned(), died("DeviceTokenNotForTopic"));
        let flow = world.tcp("10.0.0.20:40000");
        registers(&mut world, flow, "bob");
        world.close(flow);
        world.invite(alice, "alice", "bob");
        world.pass(seconds(20.0));
        world.cloud.outcomes.clear();
        for port in [40_001, 40_002] {
            let flow = world.tcp(&format!("10.0.0.20:{port}"));
            registers(&mut world, flow, "bob");
            world.close(flow);
            world.cloud.pushes.clear();
            world.inbox(alice);
            world.invite(alice, "alice", "bob");
            assert_eq!(world.cloud.pushes.len(), 1);
            let back = world.tcp(&format!("10.0.0.21:{port}"));
            registers(&mut world, back, "bob");
            let invite = world.take(back, "INVITE");
            world.answer(back, &invite, 486, &uri("bob", back));
            assert_eq!(world.heard(alice), ["100", "486"]);
        }
        world.ends_clean();
    }
}

#[test]
fn a_death_that_the_store_did_not_take_stands_whatever_else_is_kept_of_the_device() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let flow = world.tcp("10.0.0.20:40000");
        registers(&mut world, flow, "bob");
        world.close(flow);
        let device = world.devices("bob")[0].device.id.clone();
        let dead = died("Unregistered");
        world.cloud.outcomes.insert("bob".to_owned(), dead);
        world.store.refuses = Some(NotDone::Failed("the disk is full".to_owned()));
        let calls = |world: &World| {
            let pushes = world.cloud.pushes.iter();
            pushes.filter(|push| push.token == "bob").count()
        };
        world.invite(alice, "alice", "bob");
        world.pass(seconds(20.0));
        assert_eq!(calls(&world), 1);
        world.store.refuses = None;
        let update = DeviceUpdate {
            key: Some(SealingKey {
                p256dh: "key".to_owned(),
                auth: "secret".to_owned(),
            }),
            ..DeviceUpdate::default()
        };
        let put = Question::PutDevice(address("bob"), device, Box::new(update));
        world.ask("bob", put).unwrap();
        world.invite(alice, "alice", "bob");
        world.pass(seconds(20.0));
        assert_eq!(calls(&world), 1);
        world.ends_clean();
    }
}

#[test]
fn a_token_that_was_handed_over_after_the_providers_time_is_alive() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let flow = world.tcp("10.0.0.20:40000");
        registers(&mut world, flow, "bob");
        world.close(flow);
        let since = |at: domain::Timestamp| Outcome::TokenDead {
            since: Some(at),
            reason: "Unregistered".to_owned(),
        };
        let before = domain::Timestamp(world.now.wall.0 - 1);
        world.cloud.outcomes.insert("bob".to_owned(), since(before));
        let woken = |world: &mut World| {
            world.cloud.pushes.clear();
            world.invite(alice, "alice", "bob");
            world.pass(seconds(20.0));
            let pushes = world.cloud.pushes.iter();
            pushes.filter(|it| it.token == "bob").count()
        };
        assert_eq!(woken(&mut world), 1);
        world.assert_memory_is_what_is_kept();
        let now = world.now.wall;
        world.cloud.outcomes.insert("bob".to_owned(), since(now));
        assert_eq!(woken(&mut world), 1, "it is alive");
        assert_eq!(woken(&mut world), 0, "it is dead");
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    }
}

#[test]
fn a_fleet_that_is_due_at_once_is_asked_to_the_last() {
    const FLEET: u32 = 9_000;
    for shards in SHARDS {
        let mut world = World::new(shards);
        let flow = world.tcp("10.0.0.20:40000");
        registers(&mut world, flow, "bob");
        let kept = &mut world.store.kept;
        let (_, device) = kept.devices.pop_first().unwrap();
        let (_, door) = kept.doors.pop_first().unwrap();
        for number in 0..FLEET {
            let user = format!("user{number}");
            kept.users.insert(address(&user), account(&user, None));
            let mut device = device.clone();
            device.id = format!("device{number}").into();
            device.user = address(&user);
            let mut door = door.clone();
            door.id = DoorId {
                device: device.id.clone(),
                number: 0,
            };
            kept.doors.insert(door.id.clone(), door);
            kept.devices.insert(device.id.clone(), device);
        }
        world.restart();
        world.pass(Duration::from_hours(3));
        let asked = world.cloud.pushes.iter();
        let asked = asked.filter(|it| it.purpose == Purpose::Refresh).count();
        assert!(asked >= FLEET as usize, "{asked}");
        world.ends_clean();
    }
}

#[test]
fn calls_have_push_room_of_their_own() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let users: Vec<_> = users_of_shard(0, shards).take(8).collect();
        for (number, user) in users.iter().enumerate() {
            world.add_user(user, None);
            let flow = world.tcp(&format!("10.0.0.{}:40000", 100 + number));
            registers(&mut world, flow, user);
            world.close(flow);
        }
        world.cloud.holds = true;
        for user in &users {
            for _ in 0..3 {
                assert_eq!(world.message(alice, "alice", user), Some(202));
            }
        }
        world.pass(seconds(1.0));
        let before = world.cloud.pushes.len();
        assert_eq!(before, 4, "as many as may be on their way");
        for user in &users[..4] {
            world.invite(alice, "alice", user);
        }
        let calls = world.cloud.pushes[before..].iter();
        let calls: Vec<_> = calls.map(|it| it.token.clone()).collect();
        assert_eq!(calls, users[..4]);
        world.cloud_answers();
        world.pass(seconds(1.0));
        let messages = |user: &String| {
            let of_user = |push: &&crate::cloud::Push| push.token == format!("{user}m");
            world.cloud.pushes.iter().filter(of_user).count()
        };
        assert!(users.iter().all(|user| messages(user) > 0));
        world.ends_clean();
    }
}

#[test]
fn mail_for_a_user_without_a_device_is_limited_and_counted_right() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        for _ in 0..2 {
            for _ in 0..3 {
                assert_eq!(world.message(alice, "alice", "bob"), Some(202));
            }
            world.store.refuses = Some(hub::NotDone::Overloaded);
            for _ in 0..10 {
                assert_eq!(world.message(alice, "alice", "bob"), Some(503));
            }
            world.store.refuses = None;
            for _ in 0..2 {
                assert_eq!(world.message(alice, "alice", "bob"), Some(202));
            }
            assert_eq!(world.message(alice, "alice", "bob"), Some(480));
            assert_eq!(world.store.queued(), 5);
            world.assert_memory_is_what_is_kept();
            let bob = world.tcp("10.0.0.20:40000");
            registers(&mut world, bob, "bob");
            for _ in 0..5 {
                let message = world.take(bob, "MESSAGE");
                world.answer(bob, &message, 200, &uri("bob", bob));
            }
            assert_eq!(world.store.queued(), 0);
            let device = world.devices("bob")[0].device.id.clone();
            let forget = hub::Question::ForgetDevice(None, device);
            world.ask("bob", forget).unwrap();
            world.inbox(bob);
            world.close(bob);
        }
        world.ends_clean();
    }
}

/// A response of a gateway that wants a password of its own.
fn challenges(invite: &Message, status: u16) -> Message {
    let header = match status {
        401 => HeaderName::WwwAuthenticate,
        _ => HeaderName::ProxyAuthenticate,
    };
    let challenge = "Digest realm=\"gateway\", nonce=\"n\", qop=\"auth\", algorithm=MD5";
    sip::ResponseBuilder::to(invite, status, reason_phrase(status))
        .to_tag("gateway")
        .header(header, challenge)
        .build()
}

#[test]
fn credentials_for_others_pass_and_ours_do_not() {
    for (shards, status) in SHARDS.into_iter().flat_map(|it| [(it, 401), (it, 407)]) {
        let mut world = World::new(shards);
        // Nobody trusts her address.
        let (alice, bob) = (world.udp("192.0.2.10:5060"), world.udp("10.0.0.20:5060"));
        world.register(bob, "bob", &[&format!("<{}>", uri("bob", bob))]);
        let at = format!("Contact: <{}>\n", uri("alice", alice));
        let send = |world: &mut World, extra: &str| {
            let invite = world.request("INVITE", alice, "alice", "bob", &format!("{at}{extra}"));
            world.send(alice, invite);
        };
        send(&mut world, "");
        let challenged = world.take(alice, "407");
        let target = "sip:bob@r.example";
        let ours = credentials(&challenged, "alice", target);
        send(&mut world, &format!("Proxy-Authorization: {ours}\n"));
        let invite = world.take(bob, "INVITE");
        assert!(!invite.has(HeaderName::ProxyAuthorization));
        world.send(bob, challenges(&invite, status));
        let challenged = world.take(alice, &status.to_string());
        let theirs = credentials(&challenged, "alice", target);
        assert!(theirs.contains("gateway"));
        let header = if status == 401 {
            "Authorization"
        } else {
            "Proxy-Authorization"
        };
        send(&mut world, "");
        let again = credentials(&world.take(alice, "407"), "alice", target);
        send(
            &mut world,
            &format!("Proxy-Authorization: {again}\n{header}: {theirs}\n"),
        );
        let invite = world.take(bob, "INVITE");
        let name = HeaderName::new(header);
        let passed: Vec<_> = invite.headers(name).collect();
        assert_eq!(passed, [theirs.as_bytes()]);
        let ours_left = invite.headers(HeaderName::ProxyAuthorization);
        assert!(ours_left.into_iter().all(|it| it == theirs.as_bytes()));
        world.ends_clean();
    }
}

#[test]
fn an_identity_counts_only_if_somebody_whom_we_trust_asserts_it() {
    let names = [
        "P-Asserted-Identity",
        "P-Preferred-Identity",
        "Remote-Party-ID",
        "Diversion",
        "History-Info",
        "Identity",
    ];
    let asserted = names.map(|name| format!("{name}: <sip:boss@r.example>\n"));
    let asserted = asserted.concat();
    for (shards, trusted) in SHARDS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut world = World::new(shards);
        let alice = if trusted {
            "10.0.0.10:5060"
        } else {
            "192.0.2.10:5060"
        };
        let (alice, bob) = (world.udp(alice), world.udp("10.0.0.20:5060"));
        registers(&mut world, bob, "bob");
        let contact = format!("Contact: <{}>\n{asserted}", uri("alice", alice));
        let first = world.request("INVITE", alice, "alice", "bob", &contact);
        world.send(alice, first);
        if !trusted {
            let challenged = world.take(alice, "407");
            let ours = credentials(&challenged, "alice", "sip:bob@r.example");
            let extra = format!("{contact}Proxy-Authorization: {ours}\n");
            let again = world.request("INVITE", alice, "alice", "bob", &extra);
            world.send(alice, again);
        }
        let invite = world.take(bob, "INVITE");
        for name in names {
            assert_eq!(invite.has(HeaderName::new(name)), trusted, "{name}");
        }
        world.ends_clean();
    }
}

#[test]
fn a_phone_that_answers_says_no_more_of_who_somebody_is_than_one_that_asks() {
    let names = ["P-Asserted-Identity", "Remote-Party-ID", "History-Info"];
    let asserted = names.map(|name| format!("{name}: <sip:boss@r.example>\n"));
    for (shards, trusted) in SHARDS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut world = World::new(shards);
        let bob = if trusted {
            "10.0.0.20:5060"
        } else {
            "192.0.2.20:5060"
        };
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.udp(bob));
        registers(&mut world, bob, "bob");
        world.invite(alice, "alice", "bob");
        let invite = world.take(bob, "INVITE");
        for status in [180, 200] {
            let answer = response(&invite, status, "callee", &uri("bob", bob));
            let text = String::from_utf8(answer.bytes().to_vec()).unwrap();
            let text = text.replace("\r\n", "\n");
            let (first, rest) = text.split_once('\n').unwrap();
            world.send(
                bob,
                message(&format!("{first}\n{}{rest}", asserted.concat())),
            );
            let answer = world.take(alice, &status.to_string());
            for name in names {
                assert_eq!(
                    answer.has(HeaderName::new(name)),
                    trusted,
                    "{status} {name}"
                );
            }
        }
    }
}

#[test]
fn push_parameters_never_reach_another_user() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.udp("10.0.0.20:5060"));
        registers(&mut world, bob, "bob");
        world.invite(alice, "alice", "bob");
        let invite = world.take(bob, "INVITE");
        let secret = uri("bob", bob) + &pn("bob");
        for status in [180, 200] {
            world.answer(bob, &invite, status, &secret);
            let answer = world.take(alice, &status.to_string());
            assert!(!String::from_utf8_lossy(answer.bytes()).contains("pn-"));
        }
        world.ends_clean();
    }
}

#[test]
fn calls_beyond_their_push_room_fail_at_once() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let users: Vec<_> = users_of_shard(0, shards).take(6).collect();
        for (number, user) in users.iter().enumerate() {
            world.add_user(user, None);
            let flow = world.tcp(&format!("10.0.0.{}:40000", 100 + number));
            registers(&mut world, flow, user);
            world.close(flow);
        }
        world.cloud.holds = true;
        for (number, user) in users.iter().enumerate() {
            let caller = world.udp(&format!("10.0.1.{number}:5060"));
            world.invite(caller, "alice", user);
            let heard = world.heard(caller);
            assert_eq!(heard.contains(&"480".to_owned()), number >= 4, "{heard:?}");
        }
        let calls = world.cloud.pushes.iter();
        let calls: Vec<_> = calls.map(|it| it.token.as_str()).collect();
        assert_eq!(calls[..4], users[..4]);
        world.ends_clean();
    }
}
