//! The rules around the behaviour table (`behaviour.md` 5, 6 and 8).

use std::time::Duration;

use domain::Generation::DualChannel;
use lab::phone::PhoneEvent;
use lab::phone::machine::Order;
use lab::sim::Fate;
use lab::sim::whole::{ONE_WAY, Stage};
use sip::endpoint::Transport::{Tcp, Tls};

use crate::programme::*;

/// INVITE, challenge, INVITE.
const ARRIVES: Duration = ONE_WAY.saturating_mul(3);

/// Bob's phone sleeps, and no push reaches it.
fn in_a_drawer(client: &Client, shards: usize) -> Stage {
    let mut stage = stage(client, shards);
    let tokens = stage.config(BOB).tokens.clone();
    for token in [tokens.voip, tokens.message] {
        stage.decide(&token, Fate::delivered([]));
    }
    stage.order(BOB, Order::Suspend).unwrap();
    run(&mut stage, SECOND);
    stage
}

/// When the caller got a final answer that is no 200, and which.
fn failed(stage: &Stage, since: Duration) -> Option<(Duration, u16)> {
    let mut seen = stage.seen(ALICE).skip_while(|(at, _)| *at < since);
    seen.find_map(|(at, event)| match event {
        PhoneEvent::CallFailed { status, .. } => Some((at, *status)),
        _ => None,
    })
}

#[test]
fn the_caller_of_a_phone_that_says_nothing_hears_ringing_after_5_s_and_480_after_13_s() {
    for (client, shards) in clients().iter().flat_map(|it| SHARDS.map(|of| (it, of))) {
        let mut stage = in_a_drawer(client, shards);
        let (_, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND.saturating_mul(20));
        let ringing =
            |event: &PhoneEvent| matches!(event, PhoneEvent::Progress { status: 180, .. });
        let heard = when(&stage, ALICE, began, ringing).unwrap();
        assert_eq!(heard - began, ARRIVES + SECOND.saturating_mul(5) + ONE_WAY);
        let (at, status) = failed(&stage, began).unwrap();
        assert_eq!(status, 480);
        assert_eq!(at - began, ARRIVES + SECOND.saturating_mul(13) + ONE_WAY);
        assert_eq!(pushes(&stage, BOB, began, "call").len(), 1);
        assert_eq!(pushes(&stage, BOB, began, "missed_call").len(), 1);
        stage.ends().unwrap();
    }
}

#[test]
fn a_call_that_wakes_nobody_goes_to_the_users_fallback_after_13_s() {
    for shards in SHARDS {
        let mut stage = in_a_drawer(&android(Tcp), shards);
        let carol = add(&mut stage, "carol", &iphone(DualChannel, Tls));
        stage.forward("bob", "carol").unwrap();
        let (call, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND.saturating_mul(14));
        let rings = |event: &PhoneEvent| matches!(event, PhoneEvent::Ringing { .. });
        let rang = when(&stage, carol, began, rings).unwrap();
        assert_eq!(rang - began, ARRIVES + SECOND.saturating_mul(13) + ONE_WAY);
        talk(&mut stage, ALICE, carol, &call);
        stage.ends().unwrap();
    }
}

#[test]
fn a_dead_token_sends_the_call_to_the_fallback_at_once_is_never_pushed_to_again_and_a_new_one_heals()
 {
    for shards in SHARDS {
        let mut stage = stage(&iphone(DualChannel, Tcp), shards);
        let carol = add(&mut stage, "carol", &iphone(DualChannel, Tcp));
        stage.forward("bob", "carol").unwrap();
        stage.order(BOB, Order::Suspend).unwrap();
        let voip = stage.config(BOB).tokens.voip.clone();
        stage.decide(&voip, Fate::dead(None));
        for pushed in [1, 0] {
            let (call, began) = call(&mut stage, ALICE, "bob");
            run(&mut stage, SECOND);
            let rings = |event: &PhoneEvent| matches!(event, PhoneEvent::Ringing { .. });
            let rang = when(&stage, carol, began, rings).unwrap();
            assert!(rang - began < SECOND);
            talk(&mut stage, ALICE, carol, &call);
            assert_eq!(pushes(&stage, BOB, began, "call").len(), pushed);
        }
        stage.reinstall(BOB).unwrap();
        run(&mut stage, SECOND);
        stage.order(BOB, Order::Suspend).unwrap();
        run(&mut stage, SECOND);
        let (call, _) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        talk(&mut stage, ALICE, BOB, &call);
        stage.ends().unwrap();
    }
}

#[test]
fn answered_on_one_device_the_others_stop_and_learn_why_and_one_on_its_way_learns_by_push() {
    for shards in SHARDS {
        let mut stage = stage(&iphone(DualChannel, Tcp), shards);
        let ipad = add(&mut stage, "bob", &iphone(DualChannel, Tls));
        let droid = add(&mut stage, "bob", &android(Tcp));
        for who in [BOB, droid] {
            stage.order(who, Order::Suspend).unwrap();
        }
        stage.cut_off(droid, true);
        run(&mut stage, SECOND);
        let (call, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        talk(&mut stage, ALICE, BOB, &call);
        let why = stage.seen(ipad).find_map(|(_, event)| match event {
            PhoneEvent::Cancelled { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        assert_eq!(why.unwrap().as_deref(), Some("Call completed elsewhere"));
        assert_eq!(pushes(&stage, droid, began, "call_cancelled").len(), 1);
        let stopped = order_of(&stage, droid, began, &["resumed", "cancelled"]);
        assert_eq!(stopped, ["resumed", "cancelled"]);
        // In reach again it must not ring for what is over: a message comes, and no INVITE before it.
        stage.cut_off(droid, false);
        write(&mut stage, ALICE, "bob", "That was quick.");
        run(&mut stage, SECOND.saturating_mul(40));
        let got = order_of(
            &stage,
            droid,
            began,
            &["message_received", "invite_received"],
        );
        assert_eq!(got, ["message_received"]);
        stage.ends().unwrap();
    }
}

#[test]
fn a_caller_who_gives_up_closes_callkit_by_invite_and_cancel_and_a_missed_call_is_pushed() {
    for shards in SHARDS {
        let mut stage = stage(&iphone(DualChannel, Tcp), shards);
        stage.order(BOB, Order::Suspend).unwrap();
        stage.cut_off(BOB, true);
        run(&mut stage, SECOND);
        let (call, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        stage.order(ALICE, Order::Hangup(call)).unwrap();
        run(&mut stage, SECOND);
        assert_eq!(failed(&stage, began).unwrap().1, 487);
        assert_eq!(pushes(&stage, BOB, began, "missed_call").len(), 1);
        stage.cut_off(BOB, false);
        run(&mut stage, SECOND.saturating_mul(10));
        let names = [
            "call_kit_ringing",
            "invite_received",
            "cancelled",
            "call_kit_closed",
            "killed",
        ];
        assert_eq!(order_of(&stage, BOB, began, &names), names[..4]);
        stage.ends().unwrap();
    }
}

#[test]
fn a_burst_of_messages_is_two_pushes_5_s_apart_and_another_conversation_one_more() {
    for shards in SHARDS {
        let mut stage = stage(&iphone(DualChannel, Tls), shards);
        let carol = add(&mut stage, "carol", &android(Tcp));
        stage.order(BOB, Order::Suspend).unwrap();
        run(&mut stage, SECOND);
        let began = stage.now();
        for number in 1..=6 {
            write(&mut stage, ALICE, "bob", &format!("Part {number} of 6."));
        }
        run(&mut stage, SECOND);
        write(&mut stage, carol, "bob", "Did you get it all?");
        run(&mut stage, SECOND.saturating_mul(60));
        let pushed = pushes(&stage, BOB, began, "message");
        let badges: Vec<_> = pushed.iter().map(|(_, push)| push.badge).collect();
        assert_eq!(badges, [Some(1), Some(7), Some(7)]);
        let conversations: Vec<_> = pushed.iter().map(|(_, push)| &push.collapse).collect();
        assert_eq!(conversations[0], conversations[2]);
        assert_ne!(conversations[0], conversations[1]);
        assert_eq!(pushed[2].0 - pushed[0].0, SECOND.saturating_mul(5));
        stage.order(BOB, Order::Tap).unwrap();
        stage.ends().unwrap();
    }
}
