//! Several phones: whose answer the caller gets, and how the others stop.

use std::time::Duration;

use sip::HeaderName;
use sip::endpoint::Event;

use crate::world::{World, in_dialog, message, response};

#[test]
fn one_phone_answers_and_the_other_stops_ringing() {
    let mut world = World::new();
    let (context, invites) = world.call_to(&["phone", "tablet"]);
    world.answer("phone", &invites[0], 180);
    world.answer("tablet", &invites[1], 180);
    world.told();
    world.answer("phone", &invites[0], 200);
    assert_eq!(world.seen("caller"), ["100", "180", "180", "200"]);
    let cancel = world.next("tablet");
    assert_eq!(
        cancel.header(HeaderName::Reason),
        Some(&b"SIP;cause=200;text=\"Call completed elsewhere\""[..])
    );
    assert_eq!(
        cancel.header(HeaderName::Via),
        invites[1].header(HeaderName::Via)
    );
    assert_eq!(cancel.request_uri(), invites[1].request_uri());
    assert!(matches!(
        &world.told()[..],
        [
            Event::BranchFinal { status: 200, .. },
            Event::ContextAnswered { context: answered, .. },
            Event::ContextDone { status: 200, .. },
        ] if *answered == context
    ));
    world.answer("tablet", &cancel, 200);
    world.answer("tablet", &invites[1], 487);
    let ack = world.next("tablet");
    assert_eq!(ack.method(), Some(sip::Method::Ack));
    assert_eq!(
        ack.header(HeaderName::To),
        response("tablet", &invites[1], 487).header(HeaderName::To)
    );
    assert_eq!(world.seen("caller"), [""; 0]);
    assert_eq!(world.seen("phone"), [""; 0]);
    world.ends_clean();
}

#[test]
fn both_phones_answer_at_once_and_the_caller_hears_of_both() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone", "tablet"]);
    world.answer("phone", &invites[0], 180);
    world.answer("tablet", &invites[1], 180);
    world.answer("phone", &invites[0], 200);
    world.answer("tablet", &invites[1], 200);
    assert_eq!(world.seen("caller"), ["100", "180", "180", "200", "200"]);
    world.ends_clean();
}

#[test]
fn repeated_2xx_is_forwarded_and_its_ack_too() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    world.answer("phone", &invites[0], 200);
    world.pass_ms(500);
    world.answer("phone", &invites[0], 200);
    assert_eq!(world.seen("caller"), ["100", "200", "200"]);
    world.told();

    let accepted = response("phone", &invites[0], 200);
    for _ in 0..2 {
        world.send("caller", &in_dialog("ACK", "ack", 1, &accepted));
    }
    let flow = world.flow("phone");
    let events = world.told();
    assert_eq!(events.len(), 2);
    for event in events {
        let Event::Ack {
            txn: None, request, ..
        } = event
        else {
            panic!("{event:?}")
        };
        assert!(!request.has(HeaderName::Route));
        world.owner(|proxy, _| proxy.proxy_ack(flow, &request));
    }
    let ack = world.next("phone");
    assert_eq!(ack.bytes(), world.next("phone").bytes());
    assert_eq!(ack.header(HeaderName::MaxForwards), Some(&b"69"[..]));
    assert_eq!(ack.vias().count(), 2);
    world.ends_clean();
}

#[test]
fn a_2xx_nobody_waits_for_any_more_is_dropped() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    world.answer("phone", &invites[0], 200);
    world.pass(Duration::from_secs(33));
    world.seen("caller");
    world.answer("phone", &invites[0], 200);
    assert_eq!(world.seen("caller"), [""; 0]);
    assert_eq!(world.seen("phone"), [""; 0]);
}

#[test]
fn response_that_was_made_up_is_dropped() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    let text = String::from_utf8(response("phone", &invites[0], 200).bytes().to_vec()).unwrap();
    let branch = text.find("z9hG4bK").unwrap() + 7;
    let guess = format!("{}1{}", &text[..branch + 7], &text[branch + 8..]);
    assert_ne!(guess, text);
    world.send("phone", &guess.replace("\r\n", "\n"));
    assert_eq!(world.seen("caller"), ["100"]);
}

#[test]
fn declined_everywhere_by_one_phone_stops_the_other_first() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone", "tablet"]);
    world.answer("phone", &invites[0], 180);
    world.answer("tablet", &invites[1], 180);
    world.seen("caller");
    world.answer("phone", &invites[0], 603);
    assert_eq!(world.seen("phone"), ["ACK"]);
    assert_eq!(world.seen("tablet"), ["CANCEL SIP;cause=603"]);
    assert_eq!(world.seen("caller"), [""; 0]);
    world.answer("tablet", &invites[1], 487);
    assert_eq!(world.seen("caller"), ["603"]);
    world.ends_clean();
}

#[test]
fn declined_everywhere_does_not_wait_for_a_phone_that_never_said_a_word() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone", "tablet"]);
    world.answer("phone", &invites[0], 603);
    assert_eq!(world.seen("caller"), ["100", "603"]);
    // It is cancelled as soon as it speaks.
    world.answer("tablet", &invites[1], 180);
    assert_eq!(world.seen("tablet"), ["CANCEL SIP;cause=603"]);
    assert_eq!(world.seen("caller"), [""; 0]);
    world.answer("tablet", &invites[1], 487);
    world.ends_clean();
}

#[test]
fn answer_after_a_decline_wins_while_the_caller_has_nothing_yet() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone", "tablet"]);
    world.answer("tablet", &invites[1], 180);
    world.answer("phone", &invites[0], 603);
    world.answer("tablet", &invites[1], 200);
    assert_eq!(world.seen("caller"), ["100", "180", "200"]);
    world.ends_clean();
}

#[test]
fn best_response_goes_up_when_all_have_ended() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone", "tablet", "desk"]);
    world.answer("phone", &invites[0], 503);
    world.answer("tablet", &invites[1], 486);
    assert_eq!(world.seen("caller"), ["100"]);
    world.answer("desk", &invites[2], 500);
    let best = world.next("caller");
    assert_eq!(best.status(), Some(486));
    assert_eq!(best.to().unwrap().tag(), Some("tablet"));
    assert_eq!(best.vias().count(), 1);
    world.ends_clean();
}

#[test]
fn challenges_of_all_phones_are_put_together() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone", "tablet"]);
    for (peer, invite, status, header) in [
        (
            "phone",
            &invites[0],
            401,
            "WWW-Authenticate: Digest realm=\"a\"",
        ),
        (
            "tablet",
            &invites[1],
            407,
            "Proxy-Authenticate: Digest realm=\"b\"",
        ),
    ] {
        let text = String::from_utf8(response(peer, invite, status).bytes().to_vec()).unwrap();
        let text = text.replace("Content-Length", &format!("{header}\r\nContent-Length"));
        world.send(peer, &text.replace("\r\n", "\n"));
    }
    assert_eq!(world.next("caller").status(), Some(100));
    let best = world.next("caller");
    assert_eq!(best.status(), Some(401));
    assert_eq!(
        best.header(HeaderName::WwwAuthenticate),
        Some(&b"Digest realm=\"a\""[..])
    );
    assert_eq!(
        best.header(HeaderName::ProxyAuthenticate),
        Some(&b"Digest realm=\"b\""[..])
    );
}

#[test]
fn phone_whose_flow_fails_counts_as_503_and_alone_makes_500() {
    let mut world = World::over_tcp();
    let (_, _) = world.call_to(&["phone"]);
    world.flow_fails("phone");
    assert!(matches!(
        &world.told()[..],
        [
            Event::BranchFinal {
                status: 503,
                response: None,
                ..
            },
            Event::ContextDone { status: 500, .. },
        ]
    ));
    assert_eq!(world.seen("caller"), ["100", "500"]);
    world.ends_clean();
}

#[test]
fn ringing_phone_whose_flow_fails_leaves_the_other_ringing() {
    let mut world = World::over_tcp();
    let (_, invites) = world.call_to(&["phone", "tablet"]);
    world.answer("phone", &invites[0], 180);
    world.answer("tablet", &invites[1], 180);
    world.seen("caller");
    let flow = sip::endpoint::Flow {
        id: 99,
        ..world.flow("phone")
    };
    world.owner(|proxy, now| proxy.handle(now, sip::endpoint::Input::FlowFailed { flow }));
    assert!(
        world
            .told()
            .iter()
            .all(|event| !matches!(event, Event::BranchFinal { .. }))
    );
    world.flow_fails("phone");
    assert!(matches!(&world.told()[..], [Event::BranchStranded { .. }]));
    world.answer("tablet", &invites[1], 200);
    assert_eq!(world.seen("caller"), ["200"]);
}

#[test]
fn silent_phone_is_tried_seven_times_and_then_counts_as_408() {
    let mut world = World::new();
    let (_, _) = world.call_to(&["phone"]);
    world.pass_ms(31_999);
    assert_eq!(world.seen("phone").len(), 6);
    assert_eq!(world.seen("caller"), ["100"]);
    world.pass_ms(1);
    assert_eq!(world.seen("caller"), ["408"]);
    world.ends_clean();
}

#[test]
fn invite_over_a_connection_is_sent_once() {
    let mut world = World::over_tcp();
    let (_, _) = world.call_to(&["phone"]);
    world.pass_ms(31_999);
    assert_eq!(world.seen("phone"), [""; 0]);
    world.pass_ms(1);
    assert_eq!(world.seen("caller"), ["100", "408"]);
}

#[test]
fn phone_that_rings_for_ever_is_cancelled_by_timer_c() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    world.answer("phone", &invites[0], 180);
    world.pass(Duration::from_secs(100));
    world.answer("phone", &invites[0], 180);
    world.pass(Duration::from_secs(184));
    assert_eq!(world.seen("phone"), [""; 0]);
    world.pass(Duration::from_secs(2));
    let cancel = world.next("phone");
    assert_eq!(
        cancel.header(HeaderName::Reason),
        Some(&b"SIP;cause=408;text=\"Request Timeout\""[..])
    );
    world.answer("phone", &cancel, 200);
    world.answer("phone", &invites[0], 487);
    assert_eq!(world.seen("caller").last().unwrap(), "487");
    world.ends_clean();
}

#[test]
fn phone_that_dies_while_ringing_ends_with_the_patience_after_the_cancel() {
    let mut world = World::new();
    let (context, invites) = world.call_to(&["phone"]);
    world.answer("phone", &invites[0], 180);
    world.owner(|proxy, now| proxy.cancel_branches(now, context, None, None));
    world.pass_ms(31_999);
    assert_eq!(world.seen("caller"), ["100", "180"]);
    assert_eq!(world.seen("phone").len(), 11);
    world.pass_ms(1);
    assert_eq!(world.seen("caller"), ["408"]);
    world.ends_clean();
}

#[test]
fn provisional_responses_keep_their_order_and_100_stays_here() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    for status in [100, 183, 180, 183] {
        world.answer("phone", &invites[0], status);
    }
    assert_eq!(world.seen("caller"), ["100", "183", "180", "183"]);
}

#[test]
fn response_is_forwarded_octet_for_octet_but_for_our_via_and_push_tokens() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    let via = invites[0].header_text(HeaderName::Via).unwrap().to_owned();
    let answer = format!(
        "SIP/2.0 200   Odd   reason\n\
         v: {via}, SIP/2.0/UDP 10.0.0.10:5060;branch=z9hG4bKcall\n\
         f:  <sip:alice@caller.example>;tag=alice\n\
         to : <sip:bob@proxy.example>;tag=b\n\
         I:call@caller.example\n\
         CSeq: 1   INVITE\n\
         X-Unknown: \u{e9}\u{e8}  kept\n\
         m: \"Bob\" <sip:bob@10.0.0.21;pn-provider=apns;pn-prid=t>;q=1\n\
         l: 2\n\nhi"
    );
    world.send("phone", &answer);
    world.next("caller");
    let expected = answer
        .replace(&format!("{via}, "), "")
        .replace(";pn-provider=apns;pn-prid=t", "");
    assert_eq!(world.next("caller").bytes(), message(&expected).bytes());
}

#[test]
fn response_that_has_nobody_to_go_to_is_dropped() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    let text = String::from_utf8(response("phone", &invites[0], 200).bytes().to_vec()).unwrap();
    let second = text.match_indices("Via:").nth(1).unwrap().0;
    let end = second + text[second..].find("\r\n").unwrap() + 2;
    world.send(
        "phone",
        &format!("{}{}", &text[..second], &text[end..]).replace("\r\n", "\n"),
    );
    world.told();
    assert_eq!(world.seen("caller"), ["100"]);
    world.answer("phone", &invites[0], 200);
    assert_eq!(world.seen("caller"), ["200"]);
}

#[test]
fn all_that_waits_for_a_flow_fails_with_it_and_nothing_else() {
    let mut world = World::over_tcp();
    let contexts: Vec<_> = ["a", "b", "c"]
        .map(|branch| world.open(&crate::world::request("INVITE", branch)))
        .into();
    for context in &contexts {
        world.fork(*context, "phone");
        world.fork(*context, "tablet");
    }
    let invite = world.next("phone");
    world.next("phone");
    world.answer("phone", &invite, 486);
    world.told();
    world.flow_fails("phone");
    let failed = world.told();
    assert_eq!(failed.len(), 2, "{failed:?}");
    world.flow_fails("phone");
    assert!(world.told().is_empty());
    world.flow_fails("tablet");
    assert_eq!(
        world.seen("caller"),
        ["100", "100", "100", "500", "500", "486"]
    );
    world.ends_clean();
}

#[test]
fn invite_is_sent_again_at_once_to_a_phone_that_came_back_to_its_address() {
    let mut world = World::new();
    let context = world.call();
    let branch = world.fork(context, "phone");
    let invite = world.next("phone");
    world.pass_ms(5_000);
    assert_eq!(world.seen("phone").len(), 3);
    world.owner(|proxy, now| proxy.repeat_branch(now, branch));
    assert_eq!(world.next("phone").bytes(), invite.bytes());
    world.pass_ms(500);
    assert_eq!(world.seen("phone"), ["INVITE"]);
    world.answer("phone", &invite, 100);
    world.owner(|proxy, now| proxy.repeat_branch(now, branch));
    assert_eq!(world.seen("phone"), [""; 0]);
    world.ends_clean();
}
