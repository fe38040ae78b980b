//! Users of several shards: calls, fallbacks and messages from one to another.

use crate::{
    dialogs::registers,
    peer::{Dialog, uri},
    settings::{SHARDS, users_of_shard},
    world::World,
};
use sip::Flow;
use std::time::Duration;

/// Three users, each of another shard where there are enough, of whom the second forwards to the third.
fn three(world: &mut World) -> [String; 3] {
    let shards = world.count();
    let [one, two, three] = [0, 1, 2].map(|shard| {
        let mut names = users_of_shard(shard, shards);
        names.nth(shard).unwrap()
    });
    let forward = format!("sip:{three}@r.example");
    world.add_user(&one, None);
    world.add_user(&two, Some(&forward));
    world.add_user(&three, None);
    [one, two, three]
}

/// A phone of a user registers.
fn phone(world: &mut World, user: &str, tcp: bool, remote: &str) -> Flow {
    let flow = if tcp {
        world.tcp(remote)
    } else {
        world.udp(remote)
    };
    registers(world, flow, user);
    flow
}

#[test]
fn a_call_from_shard_to_shard_falls_back_to_a_third() {
    let all = SHARDS.into_iter().flat_map(|shards| {
        let kinds = [(false, false), (false, true), (true, false), (true, true)];
        kinds.map(|(tcp, callee_ends)| (shards, tcp, callee_ends))
    });
    for (shards, tcp, callee_ends) in all {
        for registered in [true, false] {
            let mut world = World::new(shards);
            let [one, two, three] = three(&mut world);
            let a = match registered {
                true => phone(&mut world, &one, tcp, "10.0.0.10:5060"),
                false if tcp => world.tcp("10.0.0.10:5060"),
                false => world.udp("10.0.0.10:5060"),
            };
            let b = phone(&mut world, &two, tcp, "10.0.0.20:5060");
            let c = phone(&mut world, &three, tcp, "10.0.0.30:5060");
            world.invite(a, &one, &two);
            let invite = world.take(b, "INVITE");
            world.answer(b, &invite, 486, &uri(&two, b));
            world.take(b, "ACK");
            let invite = world.take(c, "INVITE");
            let contact = uri(&three, c);
            world.answer(c, &invite, 180, &contact);
            world.take(a, "180");
            world.answer(c, &invite, 200, &contact);
            let answer = world.take(a, "200");
            let caller = Dialog::of_caller(&answer).at(&uri(&one, a));
            let callee = Dialog::of_callee(&invite, "callee").at(&contact);
            world.within(&caller, "ACK", a);
            world.take(c, "ACK");
            for (dialog, from, to) in [(&caller, a, c), (&callee, c, a)] {
                world.within(dialog, "INFO", from);
                let info = world.take(to, "INFO");
                world.answer(to, &info, 200, &contact);
                world.take(from, "200 INFO");
            }
            let (dialog, from, to) = if callee_ends {
                (&callee, c, a)
            } else {
                (&caller, a, c)
            };
            world.within(dialog, "BYE", from);
            let bye = world.take(to, "BYE");
            world.answer(to, &bye, 200, &contact);
            world.take(from, "200 BYE");
            assert_eq!(world.heard(b), [""; 0]);
            world.ends_clean();
        }
    }
}

#[test]
fn a_call_that_is_taken_back_is_taken_off_the_fallback() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let [one, two, three] = three(&mut world);
        let a = phone(&mut world, &one, false, "10.0.0.10:5060");
        let c = phone(&mut world, &three, false, "10.0.0.30:5060");
        let call = world.invite(a, &one, &two);
        let invite = world.take(c, "INVITE");
        world.answer(c, &invite, 180, &uri(&three, c));
        world.take(a, "180");
        world.cancel(a, &call);
        world.take(a, "200 CANCEL");
        let cancel = world.take(c, "CANCEL");
        world.answer(c, &cancel, 200, &uri(&three, c));
        world.answer(c, &invite, 487, &uri(&three, c));
        world.take(a, "487");
        world.ends_clean();
    }
}

#[test]
fn a_forward_in_a_circle_ends() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let [one, two, three] = three(&mut world);
        world.add_user(&three, Some(&format!("sip:{two}@r.example")));
        let a = phone(&mut world, &one, false, "10.0.0.10:5060");
        world.invite(a, &one, &two);
        world.pass(Duration::from_mins(1));
        let heard = world.heard(a);
        let last = heard.last().unwrap().clone();
        assert!(["482", "480", "483"].contains(&&*last), "{heard:?}");
        world.ends_clean();
    }
}

#[test]
fn a_call_that_was_forwarded_goes_no_further() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let [one, two, three] = three(&mut world);
        world.add_user(&three, Some("sip:carol@r.example"));
        let a = phone(&mut world, &one, false, "10.0.0.10:5060");
        let carol = phone(&mut world, "carol", false, "10.0.0.40:5060");
        world.invite(a, &one, &two);
        assert_eq!(world.heard(a), ["100", "480"]);
        assert_eq!(world.heard(carol), [""; 0]);
        world.invite(a, &one, &three);
        world.take(carol, "INVITE");
        world.ends_clean();
    }
}

#[test]
fn a_message_goes_from_shard_to_shard() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let [one, two, three] = three(&mut world);
        let a = phone(&mut world, &one, false, "10.0.0.10:5060");
        let c = phone(&mut world, &three, true, "10.0.0.30:5060");
        for user in [&two, &three] {
            assert_eq!(world.message(a, &one, user), Some(202));
        }
        let b = phone(&mut world, &two, true, "10.0.0.20:5060");
        for (flow, user) in [(b, &two), (c, &three)] {
            let message = world.take(flow, "MESSAGE");
            world.answer(flow, &message, 200, &uri(user, flow));
            assert_eq!(world.heard(flow), [""; 0]);
        }
        assert_eq!(world.store.queued(), 0);
        world.ends_clean();
    }
}

#[test]
fn what_is_said_in_a_dialog_follows_a_phone_of_another_shard() {
    for shards in SHARDS {
        for restart in [false, true] {
            let mut world = World::new(shards);
            let [one, two, _] = three(&mut world);
            let a = phone(&mut world, &one, true, "10.0.0.10:5060");
            let b = phone(&mut world, &two, true, "10.0.0.20:5060");
            let (caller, callee) = world.call((a, &one), (b, &two));
            if restart {
                world.restart();
            } else {
                world.close(a);
                world.close(b);
            }
            let a = phone(&mut world, &one, true, "10.0.0.10:5061");
            let b = phone(&mut world, &two, true, "10.0.0.20:5061");
            world.within(&caller, "INFO", a);
            world.take(b, "INFO");
            world.within(&callee, "BYE", b);
            world.take(a, "BYE");
            world.ends_clean();
        }
    }
}

#[test]
fn a_fallback_outside_is_dialled_and_has_the_call_from_then_on() {
    for (shards, tcp) in SHARDS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut world = World::new(shards);
        let [one, ..] = three(&mut world);
        let way = if tcp { ";transport=tcp" } else { "" };
        let pbx = "10.0.99.1:5070";
        world.add_user("bob", Some(&format!("sip:mailbox@{pbx}{way}")));
        world.listening.insert(pbx.parse().unwrap());
        let a = phone(&mut world, &one, true, "10.0.0.10:5060");
        world.invite(a, &one, "bob");
        let at_pbx = match world.connection_to(pbx) {
            Some(flow) => flow,
            None => world.udp(pbx),
        };
        let invite = world.take(at_pbx, "INVITE");
        let contact = uri("mailbox", at_pbx);
        world.answer(at_pbx, &invite, 200, &contact);
        let answer = world.take(a, "200");
        let caller = Dialog::of_caller(&answer).at(&uri(&one, a));
        let callee = Dialog::of_callee(&invite, "callee").at(&contact);
        world.within(&caller, "ACK", a);
        world.take(at_pbx, "ACK");
        // The caller's phone changes networks.
        world.close(a);
        let a = phone(&mut world, &one, true, "10.0.0.11:5060");
        world.within(&callee, "INFO", at_pbx);
        world.take(a, "INFO");
        world.close(at_pbx);
        world.within(&caller, "BYE", a);
        let at_pbx = match world.connection_to(pbx) {
            Some(flow) => flow,
            None => world.udp(pbx),
        };
        world.take(at_pbx, "BYE");
        world.ends_clean();
    }
}

#[test]
fn a_fallback_that_nobody_answers_at_fails_the_call() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let [one, ..] = three(&mut world);
        for forward in [
            "sip:mailbox@10.0.99.1:5070;transport=tcp",
            "sip:mailbox@pbx.elsewhere.example",
            "sip:nobody@r.example",
        ] {
            world.add_user("bob", Some(forward));
            let a = phone(&mut world, &one, false, "10.0.0.10:5060");
            world.invite(a, &one, "bob");
            world.pass(Duration::from_secs(1));
            let heard = world.heard(a);
            let last = heard.last().map(String::as_str).unwrap_or_default();
            assert!(
                ["404", "480", "503"].contains(&last),
                "{forward}: {heard:?}"
            );
        }
        world.ends_clean();
    }
}

#[test]
fn a_refreshed_target_is_honoured_through_a_forward() {
    for (shards, tcp) in SHARDS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut world = World::new(shards);
        let [one, two, three] = three(&mut world);
        let a = phone(&mut world, &one, tcp, "10.0.0.10:5070");
        let c = phone(&mut world, &three, tcp, "10.0.0.30:5070");
        world.pass(Duration::from_secs(1));
        world.invite(a, &one, &two);
        let invite = world.take(c, "INVITE");
        world.answer(c, &invite, 200, &uri(&three, c));
        let answer = world.take(a, "200");
        let caller = Dialog::of_caller(&answer);
        let callee = Dialog::of_callee(&invite, "callee").at(&uri(&three, c));
        world.within(&caller, "ACK", a);
        let moved = if tcp {
            world.tcp("10.0.0.10:5099")
        } else {
            world.udp("10.0.0.10:5099")
        };
        let caller = caller.at(&uri(&one, moved));
        world.within(&caller, "UPDATE", moved);
        let update = world.take(c, "UPDATE");
        world.answer(c, &update, 200, &uri(&three, c));
        let callee = callee.refreshed_by(&update);
        world.inbox(a);
        world.within(&callee, "INFO", c);
        world.take(moved, "INFO");
        world.within(&callee, "BYE", c);
        world.take(moved, "BYE");
        assert_eq!(world.heard(a), [""; 0]);
        world.ends_clean();
    }
}

#[test]
fn the_later_of_a_refreshed_target_and_a_registration_counts() {
    let all = SHARDS.into_iter().flat_map(|shards| {
        let kinds = [(false, false), (false, true), (true, false), (true, true)];
        kinds.map(|(tcp, registers_last)| (shards, tcp, registers_last))
    });
    for (shards, tcp, registers_last) in all {
        let mut world = World::new(shards);
        let [one, two, _] = three(&mut world);
        let first = phone(&mut world, &one, tcp, "10.0.0.10:5060");
        let b = phone(&mut world, &two, tcp, "10.0.0.20:5060");
        let (caller, callee) = world.call((first, &one), (b, &two));
        // Nobody hears that the old connections have ended.
        let mut last = first;
        for (port, registers) in [(5061, !registers_last), (5062, registers_last)] {
            world.pass(Duration::from_secs(1));
            let at = format!("10.0.0.10:{port}");
            if registers {
                last = phone(&mut world, &one, tcp, &at);
            } else {
                last = if tcp { world.tcp(&at) } else { world.udp(&at) };
                let moved = caller.clone().at(&uri(&one, last));
                world.within(&moved, "UPDATE", last);
                let update = world.take(b, "UPDATE");
                world.answer(b, &update, 200, &uri(&two, b));
                world.take(last, "200 UPDATE");
            }
            world.within(&callee, "INFO", b);
            let info = world.take(last, "INFO");
            world.answer(last, &info, 200, &uri(&one, last));
            world.take(b, "200 INFO");
        }
        world.within(&callee, "BYE", b);
        world.take(last, "BYE");
        assert_eq!(world.heard(first), [""; 0]);
        world.ends_clean();
    }
}
