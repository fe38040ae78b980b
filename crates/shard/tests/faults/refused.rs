//! What is refused has a story, which says who refused it and why; what is taken has an end.

use crate::{
    dialogs::registers,
    peer::{uri, what},
    settings::{SHARDS, address},
    world::World,
};
use domain::trace::Step;
use sip::Flow;

/// The steps that were told, and what they say.
fn told(world: &mut World) -> Vec<(Step, String)> {
    let story = std::mem::take(&mut world.story);
    story.into_iter().map(|it| (it.step, it.detail)).collect()
}

/// One story of one step, with these words.
#[track_caller]
fn tells(world: &mut World, step: Step, words: &str) {
    let told = told(world);
    let [(is, detail)] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(*is == step && detail.contains(words), "{told:?}");
}

fn asks(world: &mut World, flow: Flow, method: &str, from: &str, to: &str) -> String {
    let extra = format!("Contact: <{}>\n", uri(from, flow));
    let request = world.request(method, flow, from, to, &extra);
    world.send(flow, request);
    world.inbox(flow).iter().map(what).collect()
}

#[test]
fn a_call_or_message_that_is_refused_says_why() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let trusted = world.udp("10.0.0.10:5060");
        let status = asks(&mut world, trusted, "INVITE", "alice", "nobody");
        assert_eq!(status, "404");
        let why = "from alice@r.example (udp 10.0.0.10:5060) to nobody@r.example: we answered 404 No Such User";
        tells(&mut world, Step::CallRefused, why);
        let status = asks(&mut world, trusted, "MESSAGE", "alice", "nobody");
        assert_eq!(status, "404 MESSAGE");
        tells(&mut world, Step::MessageRefused, "404 No Such User");
        let both = [("bob", "alice"), ("carol", "bob")];
        let both = both.map(|(one, other)| (address(one), address(other).as_str().into()));
        world.store.kept.blocks.extend(both);
        world.restart();
        let status = asks(&mut world, trusted, "INVITE", "alice", "bob");
        assert_eq!(status, "480");
        tells(
            &mut world,
            Step::CallRefused,
            "480 Temporarily Unavailable: bob@r.example has blocked them",
        );
        let status = asks(&mut world, trusted, "INVITE", "carol", "bob");
        assert_eq!(status, "403");
        tells(
            &mut world,
            Step::CallRefused,
            "403 You Have Blocked This Address",
        );
    }
}

#[test]
fn a_challenge_is_no_refusal_and_strangers_fill_no_book() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let stranger = world.udp("203.0.113.9:5060");
        assert_eq!(asks(&mut world, stranger, "INVITE", "alice", "bob"), "407");
        assert_eq!(told(&mut world), []);
        for _ in 0..100 {
            let extra = "From: <sip:mallory@elsewhere.example>;tag=1\n";
            let request = world.request("INVITE", stranger, "mallory", "bob", "");
            let text = String::from_utf8(request.bytes().to_vec()).unwrap();
            let text = text.replace("\r\n", "\n");
            let from = text.lines().find(|line| line.starts_with("From:")).unwrap();
            let text = text.replace(&format!("{from}\n"), extra);
            world.send(stranger, crate::peer::message(&text));
        }
        let told = told(&mut world);
        assert_eq!(told.len(), 10, "ten a minute");
        let why = "from mallory@elsewhere.example (udp 203.0.113.9:5060) to bob@r.example: we answered 403 Strangers Are Not Served";
        assert!(
            told.iter()
                .all(|it| *it == (Step::CallRefused, why.to_owned())),
            "{told:?}"
        );
    }
}

#[test]
fn a_registration_that_is_refused_says_why() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let phone = world.tcp("198.51.100.20:40000");
        let contact =
            "<sip:bob@198.51.100.20;transport=tcp;pn-provider=apns;pn-prid=t;pn-param=NO.such.app>";
        let answer = world.register(phone, "bob", &[contact]);
        assert_eq!(answer.status(), Some(555));
        tells(
            &mut world,
            Step::RegistrationRefused,
            "555 Push Notification Service Not Supported",
        );
    }
}

#[test]
fn a_call_has_its_end_once_and_who_hung_up() {
    for shards in SHARDS {
        for caller_hangs_up in [true, false] {
            let mut world = World::new(shards);
            let alice = world.udp("10.0.0.10:5060");
            let bob = world.tcp("198.51.100.20:40000");
            registers(&mut world, bob, "bob");
            world.story.clear();
            let (caller, callee) = world.call((alice, "alice"), (bob, "bob"));
            let tracking = world.story[0].tracking.clone();
            world.story.clear();
            let (dialog, flow) = if caller_hangs_up {
                (caller, alice)
            } else {
                (callee, bob)
            };
            for _ in 0..3 {
                world.within(&dialog, "BYE", flow);
            }
            let [end] = &world.story[..] else {
                panic!("{:?}", world.story);
            };
            assert_eq!((&end.tracking, end.step), (&tracking, Step::CallEnded));
            let who = if caller_hangs_up { "alice" } else { "bob" };
            assert_eq!(end.detail, format!("{who}@r.example hung up"));
            assert_eq!(end.device.is_some(), !caller_hangs_up);
        }
    }
}

#[test]
fn a_call_that_was_forwarded_within_has_one_end() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        world.add_user("bob", Some("sip:carol@r.example"));
        let carol = world.tcp("198.51.100.30:40000");
        registers(&mut world, carol, "carol");
        world.story.clear();
        let invite = world.invite(alice, "alice", "bob");
        let forwarded = world.take(carol, "INVITE");
        world.answer(carol, &forwarded, 200, &uri("carol", carol));
        let answer = world.take(alice, "200");
        assert_eq!(answer.call_id(), invite.call_id());
        let tracking = world.story[0].tracking.clone();
        world.story.clear();
        world.within(&crate::peer::Dialog::of_caller(&answer), "BYE", alice);
        world.take(carol, "BYE");
        let [end] = &world.story[..] else {
            panic!("{:?}", world.story);
        };
        assert_eq!((&end.tracking, end.step), (&tracking, Step::CallEnded));
    }
}
