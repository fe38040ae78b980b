//! Media of parties outside go by a relay: every description on its way to or from them is rewritten, for that leg alone, and
//! nothing of a dialog overtakes what waits for a relay.

use crate::{
    dialogs::{registers, registers_as},
    peer::{Dialog, credentials, message, response, uri, via, what},
    settings::SHARDS,
    world::World,
};
use call::{Relaying, Side, Turn};
use domain::trace::Step;
use sip::{Edit, Flow, HeaderName, Message, Transport};
use std::time::Duration;

const OFFER: &str = "v=0 offer\r\n";
const ANSWER: &str = "v=0 answer\r\n";

/// A world in which media are relayed, with so many shards.
fn world(shards: usize, relaying: Relaying) -> World {
    World::relaying(shards, relaying)
}

/// One in which bob's phone is outside, and alice's is not; where they are.
fn bob_outside(shards: usize, relaying: Relaying) -> (World, Flow, Flow) {
    let mut world = world(shards, relaying);
    let alice = world.udp("10.0.0.10:5060");
    let bob = world.peer(Transport::Edge, "10.0.0.20:40000");
    registers(&mut world, bob, "bob");
    (world, alice, bob)
}

/// The message with a description of a session in it; an empty one is none.
fn with(message: &Message, sdp: &str) -> Message {
    if sdp.is_empty() {
        return message.clone();
    }
    Edit::new(message)
        .body("application/sdp", sdp.as_bytes())
        .finish()
}

fn body(message: &Message) -> &str {
    std::str::from_utf8(message.body()).unwrap()
}

fn relayed(sdp: &str) -> String {
    format!("relayed {sdp}")
}

/// Calls with this offer; an empty one is none. Who is outside shows a password.
fn calls(world: &mut World, (flow, from): (Flow, &str), to: &str, sdp: &str) -> Message {
    let contact = format!("Contact: <{}>\n", uri(from, flow));
    let send = |world: &mut World, extra: &str| {
        let invite = world.request("INVITE", flow, from, to, &format!("{contact}{extra}"));
        let invite = with(&invite, sdp);
        world.send(flow, invite.clone());
        invite
    };
    let invite = send(world, "");
    let Some(challenged) = world.take_if(flow, |it| it.status() == Some(407)) else {
        return invite;
    };
    let shown = credentials(&challenged, from, &format!("sip:{to}@r.example"));
    send(world, &format!("Proxy-Authorization: {shown}\n"))
}

/// Answers with this description.
fn says(world: &mut World, flow: Flow, request: &Message, status: u16, sdp: &str) {
    let answer = response(request, status, "callee", &uri("x", flow));
    world.send(flow, with(&answer, sdp));
}

/// A call that is up, from who is at one flow to bob at another; the INVITE that he got, and what the caller got.
#[track_caller]
fn up(world: &mut World, alice: Flow, bob: Flow) -> (Message, Message) {
    calls(world, (alice, "alice"), "bob", OFFER);
    let invite = world.take(bob, "INVITE");
    assert_eq!(body(&invite), relayed(OFFER));
    says(world, bob, &invite, 200, ANSWER);
    let answer = world.take(alice, "200");
    assert_eq!(body(&answer), relayed(ANSWER));
    let dialog = Dialog::of_caller(&answer);
    world.within(&dialog, "ACK", alice);
    world.take(bob, "ACK");
    (invite, answer)
}

/// What a relay was asked, in short.
fn asked(world: &mut World) -> Vec<(Turn, Side, Side)> {
    let asked = world.relay.asked.drain(..);
    asked.map(|it| (it.turn, it.from, it.to)).collect()
}

fn steps(world: &World, step: Step) -> usize {
    world.story.iter().filter(|it| it.step == step).count()
}

use Side::{Inside, Outside};
use Turn::{Answer, Offer};

#[test]
fn offer_and_answer_are_relayed_when_one_party_is_outside_and_forgotten_when_they_hang_up() {
    for (shards, caller, callee) in SHARDS.into_iter().flat_map(|it| {
        [
            (it, Transport::Edge, Transport::Udp),
            (it, Transport::Tcp, Transport::Edge),
            (it, Transport::Edge, Transport::Edge),
        ]
    }) {
        let mut world = world(shards, Relaying::Needed);
        let alice = world.peer(caller, "10.0.0.10:40000");
        let bob = world.peer(callee, "10.0.0.20:40000");
        registers(&mut world, alice, "alice");
        registers(&mut world, bob, "bob");
        let (_, answer) = up(&mut world, alice, bob);
        let side = |it| {
            if it == Transport::Edge {
                Outside
            } else {
                Inside
            }
        };
        let (near, far) = (side(caller), side(callee));
        let all = [(Offer, near, far), (Answer, far, near)];
        assert_eq!(asked(&mut world), all);
        assert_eq!(steps(&world, Step::MediaRelayed), 1);
        assert!(world.relay.ended.is_empty());
        let dialog = Dialog::of_caller(&answer);
        world.within(&dialog, "BYE", alice);
        let bye = world.take(bob, "BYE");
        world.answer(bob, &bye, 200, "sip:bob@x");
        world.take(alice, "200 BYE");
        assert_eq!(world.relay.ended.len(), 1);
        let caller = answer.from_tag().unwrap().to_owned();
        assert_eq!(world.relay.hung_up, [(caller, "callee".to_owned())]);
        world.ends_clean();
    }
}

#[test]
fn who_is_inside_with_the_other_or_where_nothing_is_relayed_talks_directly() {
    for (relaying, transport) in [
        (Relaying::Needed, Transport::Udp),
        (Relaying::Off, Transport::Edge),
    ] {
        let mut world = world(1, relaying);
        let alice = world.peer(transport, "10.0.0.10:40000");
        let bob = world.tcp("10.0.0.20:40000");
        registers(&mut world, alice, "alice");
        registers(&mut world, bob, "bob");
        calls(&mut world, (alice, "alice"), "bob", OFFER);
        let invite = world.take(bob, "INVITE");
        assert_eq!(body(&invite), OFFER);
        says(&mut world, bob, &invite, 200, ANSWER);
        assert_eq!(body(&world.take(alice, "200")), ANSWER);
        assert!(world.relay.asked.is_empty());
        world.ends_clean();
    }
}

#[test]
fn of_a_forked_call_only_the_leg_outside_is_rewritten_and_one_that_nobody_took_is_forgotten() {
    for shards in SHARDS {
        let mut world = world(shards, Relaying::Needed);
        let alice = world.udp("10.0.0.10:5060");
        let desk = world.udp("10.0.0.20:5060");
        let phone = world.peer(Transport::Edge, "10.0.0.30:40000");
        registers(&mut world, desk, "bob");
        registers_as(&mut world, phone, "bob", "phone");
        calls(&mut world, (alice, "alice"), "bob", OFFER);
        let (near, far) = (world.take(desk, "INVITE"), world.take(phone, "INVITE"));
        assert_eq!((body(&near), body(&far)), (OFFER, &*relayed(OFFER)));
        says(&mut world, phone, &far, 183, ANSWER);
        assert_eq!(body(&world.take(alice, "183")), relayed(ANSWER));
        says(&mut world, desk, &near, 200, ANSWER);
        assert_eq!(body(&world.take(alice, "200")), ANSWER);
        world.take(phone, "CANCEL");
        assert!(world.relay.ended.is_empty(), "it may still be answered");
        world.answer(phone, &far, 487, "sip:bob@x");
        assert_eq!(world.relay.ended.len(), 1);
        world.ends_clean();
    }
}

#[test]
fn every_branch_outside_has_a_leg_of_its_own_and_the_one_that_is_taken_stays() {
    let mut world = world(1, Relaying::Needed);
    let alice = world.udp("10.0.0.10:5060");
    let one = world.peer(Transport::Edge, "10.0.0.20:40000");
    let other = world.peer(Transport::Edge, "10.0.0.30:40000");
    registers(&mut world, one, "bob");
    registers_as(&mut world, other, "bob", "phone");
    calls(&mut world, (alice, "alice"), "bob", OFFER);
    let legs: Vec<_> = world.relay.asked.drain(..).map(|it| it.leg).collect();
    assert_eq!(legs.len(), 2);
    assert_ne!(legs[0], legs[1]);
    let (taken, left) = (world.take(one, "INVITE"), world.take(other, "INVITE"));
    says(&mut world, one, &taken, 200, ANSWER);
    let answered = world.relay.asked.pop().unwrap().leg;
    world.answer(other, &left, 487, "sip:bob@x");
    let over = &world.relay.ended[..];
    assert!(
        over.len() == 1 && over[0] != answered,
        "{over:?} {answered}"
    );
    world.ends_clean();
}

#[test]
fn a_repeated_answer_is_rewritten_each_time() {
    let (mut world, alice, bob) = bob_outside(1, Relaying::Needed);
    calls(&mut world, (alice, "alice"), "bob", OFFER);
    let invite = world.take(bob, "INVITE");
    for _ in 0..3 {
        says(&mut world, bob, &invite, 200, ANSWER);
        assert_eq!(body(&world.take(alice, "200")), relayed(ANSWER));
        world.pass(Duration::from_secs(2));
    }
    world.ends_clean();
}

#[test]
fn who_was_called_may_offer_and_is_answered_by_the_ack_or_by_a_prack() {
    for early in [false, true] {
        let (mut world, alice, bob) = bob_outside(2, Relaying::Needed);
        calls(&mut world, (alice, "alice"), "bob", "");
        let invite = world.take(bob, "INVITE");
        assert!(world.relay.asked.is_empty());
        let status = if early { 183 } else { 200 };
        says(&mut world, bob, &invite, status, OFFER);
        let offered = world.take(alice, &status.to_string());
        assert_eq!(body(&offered), relayed(OFFER));
        let offer = world.relay.asked.pop().unwrap();
        assert_eq!((offer.turn, offer.from, offer.to), (Offer, Outside, Inside));
        assert_eq!((&*offer.offerer, offer.answerer), ("callee", None));
        let dialog = Dialog::of_caller(&offered);
        let method = if early { "PRACK" } else { "ACK" };
        let says_it = with(&world.written(&dialog, method, alice), ANSWER);
        world.send(alice, says_it);
        assert_eq!(body(&world.take(bob, method)), relayed(ANSWER));
        let answer = world.relay.asked.pop().unwrap();
        assert_eq!(
            (answer.turn, answer.from, answer.to),
            (Answer, Inside, Outside)
        );
        assert_eq!(answer.offerer, "callee");
        if early {
            // What comes by another is an offer again.
            let anew = with(&world.written(&dialog, method, alice), OFFER);
            world.send(alice, anew);
            let prack = world.take(bob, method);
            assert_eq!(world.relay.asked.pop().unwrap().turn, Offer);
            says(&mut world, bob, &prack, 200, ANSWER);
            assert_eq!(body(&world.take(alice, "200 PRACK")), relayed(ANSWER));
            assert_eq!(world.relay.asked.pop().unwrap().turn, Answer);
        }
        world.ends_clean();
    }
}

#[test]
fn a_prack_whose_answer_no_relay_takes_goes_on_and_its_repetition_is_the_answer_still() {
    let (mut world, alice, bob) = bob_outside(1, Relaying::Needed);
    calls(&mut world, (alice, "alice"), "bob", "");
    let invite = world.take(bob, "INVITE");
    says(&mut world, bob, &invite, 183, OFFER);
    let dialog = Dialog::of_caller(&world.take(alice, "183"));
    for (is_away, there) in [(true, ANSWER.to_owned()), (false, relayed(ANSWER))] {
        world.relay.is_away = is_away;
        world.relay.asked.clear();
        let prack = with(&world.written(&dialog, "PRACK", alice), ANSWER);
        world.send(alice, prack);
        assert_eq!(body(&world.take(bob, "PRACK")), there);
        assert_eq!(asked(&mut world), [(Answer, Inside, Outside)]);
    }
    world.ends_clean();
}

#[test]
fn a_session_is_changed_by_either_side_through_the_same_leg_after_a_restart_too() {
    for (shards, restart) in SHARDS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let (mut world, alice, bob) = bob_outside(shards, Relaying::Needed);
        let (invite, answer) = up(&mut world, alice, bob);
        let leg = world.relay.asked[0].leg.clone();
        world.relay.asked.clear();
        let caller = Dialog::of_caller(&answer);
        let callee = Dialog::of_callee(&invite, "callee");
        let mut bob = bob;
        if restart {
            world.restart();
            bob = world.peer(Transport::Edge, "10.0.0.20:40001");
            registers(&mut world, bob, "bob");
        }
        for (dialog, method, (from, near), (to, far)) in [
            (&caller, "INVITE", (alice, Inside), (bob, Outside)),
            (&callee, "UPDATE", (bob, Outside), (alice, Inside)),
            (&callee, "INVITE", (bob, Outside), (alice, Inside)),
        ] {
            let request = with(&world.written(dialog, method, from), OFFER);
            let number = request.cseq().unwrap().number;
            world.send(from, request);
            let got = world.take(to, method);
            assert_eq!(body(&got), relayed(OFFER), "{method}");
            says(&mut world, to, &got, 200, ANSWER);
            let wanted = |it: &Message| {
                it.status() == Some(200) && it.cseq().is_ok_and(|cseq| cseq.number == number)
            };
            let said = world.take_if(from, wanted).unwrap();
            assert_eq!(body(&said), relayed(ANSWER), "{method}");
            assert!(world.relay.asked.iter().all(|it| it.leg == leg));
            assert_eq!(asked(&mut world), [(Offer, near, far), (Answer, far, near)]);
        }
        world.within(&callee, "BYE", bob);
        world.take(alice, "BYE");
        assert_eq!(world.relay.ended, [leg]);
        let began = answer.from_tag().unwrap().to_owned();
        assert_eq!(world.relay.hung_up, [(began, "callee".to_owned())]);
        world.ends_clean();
    }
}

#[test]
fn a_phone_that_goes_outside_in_a_call_is_relayed_from_then_on() {
    let mut world = world(2, Relaying::Needed);
    let alice = world.udp("10.0.0.10:5060");
    let wifi = world.tcp("10.0.0.20:40000");
    registers(&mut world, wifi, "bob");
    let (_, callee) = world.call((alice, "alice"), (wifi, "bob"));
    assert!(world.relay.asked.is_empty());
    let lte = world.peer(Transport::Edge, "10.0.0.66:50000");
    registers(&mut world, lte, "bob");
    let again = with(&world.written(&callee, "INVITE", lte), OFFER);
    world.send(lte, again);
    assert_eq!(body(&world.take(alice, "INVITE")), relayed(OFFER));
    assert_eq!(asked(&mut world), [(Offer, Outside, Inside)]);
    world.ends_clean();
}

#[test]
fn a_forward_between_users_of_ours_is_relayed_by_the_part_whose_party_is_outside() {
    for shards in SHARDS {
        for (caller, callee) in [
            (Transport::Edge, Transport::Udp),
            (Transport::Udp, Transport::Edge),
            (Transport::Edge, Transport::Edge),
        ] {
            let mut world = world(shards, Relaying::Needed);
            world.add_user("dora", Some("sip:bob@r.example"));
            let alice = world.peer(caller, "10.0.0.10:40000");
            let bob = world.peer(callee, "10.0.0.20:40000");
            registers(&mut world, alice, "alice");
            registers(&mut world, bob, "bob");
            calls(&mut world, (alice, "alice"), "dora", OFFER);
            let invite = world.take(bob, "INVITE");
            let outside = |it: Transport| usize::from(it == Transport::Edge);
            let times = outside(caller) + outside(callee);
            let all = |sdp: &str| "relayed ".repeat(times) + sdp;
            assert_eq!(body(&invite), all(OFFER));
            let legs: std::collections::HashSet<_> =
                world.relay.asked.iter().map(|it| it.leg.clone()).collect();
            assert_eq!(legs.len(), times, "a leg each");
            says(&mut world, bob, &invite, 200, ANSWER);
            let answer = world.take(alice, "200");
            assert_eq!(body(&answer), all(ANSWER));
            let dialog = Dialog::of_caller(&answer);
            world.within(&dialog, "BYE", alice);
            world.take(bob, "BYE");
            let ended: std::collections::HashSet<_> = world.relay.ended.iter().cloned().collect();
            assert_eq!(ended, legs);
            world.ends_clean();
        }
    }
}

#[test]
fn nothing_of_a_dialog_overtakes_what_waits_for_a_relay() {
    let (mut world, alice, bob) = bob_outside(1, Relaying::Needed);
    calls(&mut world, (alice, "alice"), "bob", OFFER);
    let invite = world.take(bob, "INVITE");
    world.heard(alice);
    world.relay.is_slow = true;
    says(&mut world, bob, &invite, 183, ANSWER);
    says(&mut world, bob, &invite, 180, "");
    says(&mut world, bob, &invite, 200, "");
    let callee = Dialog::of_callee(&invite, "callee");
    world.within(&callee, "BYE", bob);
    assert_eq!(world.heard(alice), [""; 0]);
    world.relay_answers();
    assert_eq!(world.heard(alice), ["183", "180", "200", "BYE"]);
    world.ends_clean();
}

#[test]
fn a_caller_who_gives_up_while_a_relay_is_asked_is_not_put_through_and_the_relay_forgets() {
    let (mut world, alice, bob) = bob_outside(1, Relaying::Needed);
    world.relay.is_slow = true;
    let invite = calls(&mut world, (alice, "alice"), "bob", OFFER);
    world.cancel(alice, &invite);
    world.take(alice, "487");
    world.relay_answers();
    let heard = world.heard(bob);
    assert!(heard.is_empty() || heard == ["INVITE"], "{heard:?}");
    world.pass(Duration::from_secs(40));
    assert_eq!(world.relay.ended.len(), 1);
    world.ends_clean();
}

#[test]
fn without_a_relay_a_call_that_needs_one_fails_and_says_why() {
    for (from, to) in [
        (Transport::Edge, Transport::Udp),
        (Transport::Udp, Transport::Edge),
    ] {
        let mut world = world(2, Relaying::Needed);
        let alice = world.peer(from, "10.0.0.10:40000");
        let bob = world.peer(to, "10.0.0.20:40000");
        registers(&mut world, alice, "alice");
        registers(&mut world, bob, "bob");
        world.relay.is_away = true;
        calls(&mut world, (alice, "alice"), "bob", OFFER);
        // At once: no phone is woken for it.
        let answer = world.take(alice, "503");
        let reason = answer.header_text(HeaderName::Reason);
        assert_eq!(reason, Some("SIP;cause=503;text=\"No Media Relay\""));
        assert_eq!(world.heard(bob), [""; 0]);
        assert!(steps(&world, Step::MediaNotRelayed) > 0);
        world.ends_clean();
    }
}

#[test]
fn without_a_relay_a_device_inside_still_takes_the_call() {
    let mut world = world(1, Relaying::Needed);
    let alice = world.udp("10.0.0.10:5060");
    let desk = world.udp("10.0.0.20:5060");
    let phone = world.peer(Transport::Edge, "10.0.0.30:40000");
    registers(&mut world, desk, "bob");
    registers_as(&mut world, phone, "bob", "phone");
    world.relay.is_away = true;
    calls(&mut world, (alice, "alice"), "bob", OFFER);
    let invite = world.take(desk, "INVITE");
    assert_eq!(world.heard(phone), [""; 0]);
    says(&mut world, desk, &invite, 200, ANSWER);
    assert_eq!(body(&world.take(alice, "200")), ANSWER);
    world.ends_clean();
}

#[test]
fn where_a_relay_is_wanted_only_a_call_goes_on_without() {
    let (mut world, alice, bob) = bob_outside(1, Relaying::Wanted);
    world.relay.is_away = true;
    calls(&mut world, (alice, "alice"), "bob", OFFER);
    let invite = world.take(bob, "INVITE");
    assert_eq!(body(&invite), OFFER);
    says(&mut world, bob, &invite, 200, ANSWER);
    assert_eq!(body(&world.take(alice, "200")), ANSWER);
    world.ends_clean();
}

#[test]
fn a_relay_that_is_lost_in_a_call_ends_no_dialog() {
    let (mut world, alice, bob) = bob_outside(1, Relaying::Needed);
    let (invite, answer) = up(&mut world, alice, bob);
    world.relay.is_away = true;
    let caller = Dialog::of_caller(&answer);
    // What would change the session is refused, and the session is as it was (RFC 3261 §14.1).
    let again = with(&world.written(&caller, "INVITE", alice), OFFER);
    world.send(alice, again);
    let refused = world.take(alice, "503");
    assert!(refused.has(HeaderName::Reason));
    assert_eq!(world.heard(bob), [""; 0]);
    world.within(&caller, "INFO", alice);
    world.take(bob, "INFO");
    let callee = Dialog::of_callee(&invite, "callee");
    world.within(&callee, "BYE", bob);
    world.take(alice, "BYE");
    world.ends_clean();
}

#[test]
fn a_body_that_describes_no_session_passes_as_it_is() {
    let (mut world, alice, bob) = bob_outside(1, Relaying::Needed);
    let number = world.number();
    let text = format!(
        "INVITE sip:bob@r.example SIP/2.0\nVia: {}\nMax-Forwards: 70\nFrom: <sip:alice@r.example>;tag=1\n\
         To: <sip:bob@r.example>\nCall-ID: call{number}\nCSeq: 1 INVITE\nContact: <{}>\nContent-Type: text/plain\n\
         Content-Length: 5\n\nhello",
        via(alice, number),
        uri("alice", alice),
    );
    world.send(alice, message(&text));
    let invite = world.take(bob, "INVITE");
    assert_eq!(
        (what(&invite), body(&invite)),
        ("INVITE".to_owned(), "hello")
    );
    assert!(world.relay.asked.is_empty());
    world.ends_clean();
}

#[test]
fn an_offer_that_cannot_be_read_is_not_taken_for_none() {
    for relaying in [Relaying::Needed, Relaying::Wanted] {
        let (mut world, alice, bob) = bob_outside(1, relaying);
        let contact = format!("Contact: <{}>\n", uri("alice", alice));
        let packed = |it: Message| {
            let nested =
                b"--x\r\nContent-Type: multipart/alternative;boundary=y\r\n\r\n\r\n--x--\r\n";
            let edit = Edit::new(&it).body("multipart/mixed;boundary=x", nested);
            edit.finish()
        };
        let invite = packed(world.request("INVITE", alice, "alice", "bob", &contact));
        world.send(alice, invite);
        if relaying == Relaying::Needed {
            world.take(alice, "503");
            assert_eq!(world.heard(bob), [""; 0]);
            let (_, answer) = up(&mut world, alice, bob);
            let dialog = Dialog::of_caller(&answer);
            let again = packed(world.written(&dialog, "INVITE", alice));
            world.send(alice, again);
            world.take(alice, "503");
            assert_eq!(world.heard(bob), [""; 0]);
        } else {
            let invite = world.take(bob, "INVITE");
            says(&mut world, bob, &invite, 200, ANSWER);
            assert_eq!(body(&world.take(alice, "200")), ANSWER);
            assert!(world.relay.asked.is_empty());
        }
        world.ends_clean();
    }
}

#[test]
fn who_hangs_up_on_somebody_who_is_not_reached_ends_the_leg_as_well() {
    let (mut world, alice, bob) = bob_outside(1, Relaying::Needed);
    let (_, answer) = up(&mut world, alice, bob);
    world.close(bob);
    world.within(&Dialog::of_caller(&answer), "BYE", alice);
    world.take(alice, "480 BYE");
    assert_eq!(world.relay.ended.len(), 1);
    world.ends_clean();
}
