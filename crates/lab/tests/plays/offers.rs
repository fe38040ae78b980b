//! Calls over XMPP (XEP-0353): in front, asleep, taken on one of several, given up, and beside calls over SIP.

use std::time::Instant;

use lab::phone::PhoneEvent;
use lab::phone::machine::Order;
use lab::plays::{Client, JABBER_13, Play, WEBEX_13, WEBEX_DROID};
use lab::sim::whole::{DOMAIN, Stage};

use crate::programme::*;

/// Alice with both doors in front, and Bob with this client, woken for calls over XMPP, in front.
fn stage(client: &Client, shards: usize) -> Stage {
    let mut stage = Stage::new(Instant::now(), shards, &["alice", "bob", "carol"]);
    add_by_xmpp(&mut stage, "alice", &JABBER_13);
    add_called_by_xmpp(&mut stage, "bob", client);
    run(&mut stage, SECOND);
    stage
}

fn rang(stage: &Stage, who: usize, call: &str) -> usize {
    let ringing = PhoneEvent::Ringing {
        call: call.to_owned(),
    };
    stage.seen(who).filter(|(_, it)| **it == ringing).count()
}

/// The callee takes it, and the caller hangs up.
fn talk(stage: &mut Stage, callee: usize, call: &str) {
    stage.order(callee, Order::Answer(call.to_owned())).unwrap();
    run(stage, SECOND);
    let call = call.to_owned();
    let up = PhoneEvent::Answered { call: call.clone() };
    assert!(stage.seen(ALICE).any(|(_, event)| *event == up));
    stage.order(ALICE, Order::Hangup(call.clone())).unwrap();
    run(stage, SECOND);
    let over = PhoneEvent::Ended { call, by_us: false };
    assert!(stage.seen(callee).any(|(_, event)| *event == over));
}

pub fn a_phone_in_front_rings_over_its_stream_once_and_drops_the_push() {
    for (client, shards) in casts_of(Play::ForegroundOffer) {
        let mut stage = stage(&client, shards);
        let (call, began) = offer(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        assert_eq!(pushes(&stage, BOB, began, "call").len(), 1, "{client:?}");
        let seen = [
            "invite_received",
            "proposed",
            "ringing",
            "call_kit_ringing",
            "pushed",
        ];
        let order = order_of(&stage, BOB, began, &seen);
        assert_eq!(order, ["proposed", "ringing", "pushed"], "{client:?}");
        let dropped = PhoneEvent::DuplicatePushDropped { call: call.clone() };
        assert!(stage.seen(BOB).any(|(_, event)| *event == dropped));
        let heard = |event: &PhoneEvent| matches!(event, PhoneEvent::Progress { status: 180, .. });
        assert!(when(&stage, ALICE, began, heard).is_some());
        talk(&mut stage, BOB, &call);
        stage.ends().unwrap();
    }
}

pub fn a_sleeping_phone_is_woken_by_the_push_or_opened_for_it_and_the_proposal_that_waits_rings_it()
{
    for (client, shards) in casts_of(Play::SuspendedOffer) {
        let mut stage = stage(&client, shards);
        stage.order(BOB, Order::Suspend).unwrap();
        run(&mut stage, SECOND);
        let (call, began) = offer(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        assert_eq!(pushes(&stage, BOB, began, "call").len(), 1, "{client:?}");
        let shows = ["call_kit_ringing", "notification_shown"];
        let seen = ["pushed", shows[0], shows[1], "proposed", "ringing"];
        if client.is_page() {
            let order = order_of(&stage, BOB, began, &seen);
            assert_eq!(order, ["pushed", shows[1]], "its user has not looked");
            stage.order(BOB, Order::Tap).unwrap();
            run(&mut stage, SECOND);
        }
        let is_shown = [client.has_callkit(), client.is_page()];
        let never = shows.into_iter().zip(is_shown).filter(|(_, is)| !is);
        let never: Vec<_> = never.map(|(what, _)| what).collect();
        let mut expected = seen.to_vec();
        expected.retain(|it| !never.contains(it));
        assert_eq!(order_of(&stage, BOB, began, &seen), expected, "{client:?}");
        talk(&mut stage, BOB, &call);
        let closed = order_of(&stage, BOB, began, &["call_kit_closed"]).len();
        assert_eq!(closed, usize::from(client.has_callkit()));
        assert_eq!(rang(&stage, BOB, &call), 1);
        stage.ends().unwrap();
    }
}

pub fn taken_on_one_device_the_others_stop_by_a_copy_and_one_on_its_way_by_push() {
    for shards in SHARDS {
        let mut stage = stage(&WEBEX_13, shards);
        let ipad = add_called_by_xmpp(&mut stage, "bob", &WEBEX_13);
        let android = add_called_by_xmpp(&mut stage, "bob", &WEBEX_DROID);
        for who in [BOB, android] {
            stage.order(who, Order::Suspend).unwrap();
        }
        run(&mut stage, SECOND);
        stage.cut_off(android, true);
        let (call, began) = offer(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        talk(&mut stage, BOB, &call);
        let reason = |who| {
            let mut seen = stage.seen(who);
            seen.find_map(|(_, event)| match event {
                PhoneEvent::Cancelled { reason, .. } => reason.clone(),
                _ => None,
            })
        };
        assert_eq!(reason(ipad).as_deref(), Some("Call completed elsewhere"));
        assert_eq!(reason(android).as_deref(), Some("push"));
        assert_eq!(pushes(&stage, android, began, "call_cancelled").len(), 1);
        stage.cut_off(android, false);
        run(&mut stage, SECOND.saturating_mul(40));
        stage.order(android, Order::Resume).unwrap();
        run(&mut stage, SECOND);
        let all = [BOB, ipad, android].map(|who| rang(&stage, who, &call));
        assert_eq!(all, [1, 1, 0]);
        stage.ends().unwrap();
    }
}

pub fn a_caller_who_gives_up_closes_callkit_by_proposal_and_retraction_and_a_missed_call_is_pushed()
{
    for shards in SHARDS {
        let mut stage = stage(&WEBEX_13, shards);
        stage.order(BOB, Order::Suspend).unwrap();
        run(&mut stage, SECOND);
        stage.cut_off(BOB, true);
        let (call, began) = offer(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        stage.order(ALICE, Order::Hangup(call)).unwrap();
        run(&mut stage, SECOND);
        assert_eq!(failed(&stage, began).map(|(_, status)| status), Some(487));
        assert_eq!(pushes(&stage, BOB, began, "missed_call").len(), 1);
        stage.cut_off(BOB, false);
        run(&mut stage, SECOND.saturating_mul(10));
        let seen = [
            "call_kit_ringing",
            "proposed",
            "cancelled",
            "call_kit_closed",
            "killed",
        ];
        let order = order_of(&stage, BOB, began, &seen);
        assert_eq!(order, seen[..4]);
        stage.ends().unwrap();
    }
}

pub fn each_phone_rings_once_a_call_by_the_door_that_the_call_is_for() {
    for shards in SHARDS {
        let mut stage = Stage::new(Instant::now(), shards, &["alice", "bob", "carol"]);
        add_by_xmpp(&mut stage, "alice", &JABBER_13);
        let jabber = add_by_xmpp(&mut stage, "bob", &JABBER_13);
        let webex = add_by_xmpp(&mut stage, "bob", &WEBEX_13);
        run(&mut stage, SECOND);
        let (by_sip, _) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        let (by_xmpp, _) = offer(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        let times = |call: &str| [jabber, webex].map(|who| rang(&stage, who, call));
        assert_eq!((times(&by_sip), times(&by_xmpp)), ([1, 0], [1, 1]));
        for call in [by_sip, by_xmpp] {
            stage.order(ALICE, Order::Hangup(call)).unwrap();
        }
        stage.ends().unwrap();
    }
}

pub fn a_burst_over_xmpp_is_two_pushes_5_s_apart() {
    for shards in SHARDS {
        let mut stage = stage(&WEBEX_13, shards);
        stage.order(BOB, Order::Suspend).unwrap();
        run(&mut stage, SECOND);
        let began = stage.now();
        for number in 0..6 {
            let (uri, text) = (format!("xmpp:bob@{DOMAIN}"), format!("Part {number}."));
            stage.order(ALICE, Order::Send { uri, text }).unwrap();
        }
        run(&mut stage, SECOND.saturating_mul(20));
        let pushed = pushes(&stage, BOB, began, "message");
        let [(first, _), (second, _)] = &pushed[..] else {
            panic!("{} pushes", pushed.len());
        };
        assert_eq!(*second - *first, SECOND.saturating_mul(5));
        stage.order(BOB, Order::Tap).unwrap();
        run(&mut stage, SECOND);
        stage.ends().unwrap();
    }
}
