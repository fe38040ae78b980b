//! The rules around the behaviour table (`behaviour.md` 5, 6 and 8).

use std::time::Duration;

use lab::phone::PhoneEvent;
use lab::phone::machine::Order;
use lab::plays::{Client, JABBER_13, JABBER_DROID, WEBEX_13};
use lab::sim::Fate;
use lab::sim::whole::{ONE_WAY, Stage};

use crate::programme::*;

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

pub fn the_caller_of_a_phone_that_says_nothing_hears_ringing_after_5_s() {
    for (client, shards) in casts() {
        let mut stage = in_a_drawer(&client, shards);
        let (call, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND.saturating_mul(6));
        let heard = stage.seen(ALICE).filter_map(|(at, event)| match event {
            PhoneEvent::Progress { status, .. } => Some((at - began, *status)),
            _ => None,
        });
        let after = ARRIVES + ONE_WAY;
        let expected = [(after, 100), (after + SECOND.saturating_mul(5), 180)];
        assert_eq!(heard.collect::<Vec<_>>(), expected, "{client:?}");
        assert_eq!(pushes(&stage, BOB, began, "call").len(), 1);
        stage.order(ALICE, Order::Hangup(call)).unwrap();
        run(&mut stage, SECOND);
        let (at, status) = failed(&stage, began).unwrap();
        assert_eq!(status, 487);
        assert_eq!(
            at - began,
            SECOND.saturating_mul(6) + ONE_WAY.saturating_mul(2)
        );
        stage.ends().unwrap();
    }
}

pub fn the_caller_of_a_phone_that_says_nothing_hears_480_after_13_s() {
    for (client, shards) in casts() {
        let mut stage = in_a_drawer(&client, shards);
        let (_, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND.saturating_mul(20));
        let (at, status) = failed(&stage, began).unwrap();
        assert_eq!(status, 480);
        assert_eq!(at - began, ARRIVES + SECOND.saturating_mul(13) + ONE_WAY);
        assert_eq!(pushes(&stage, BOB, began, "call").len(), 1);
        let missed = pushes(&stage, BOB, began, "missed_call");
        assert_eq!(missed.len(), 1);
        assert_eq!(missed[0].1.channel, message_channel(&client));
        stage.ends().unwrap();
    }
}

pub fn a_call_that_wakes_nobody_goes_to_the_users_fallback_after_13_s() {
    for shards in SHARDS {
        let mut stage = in_a_drawer(&JABBER_DROID, shards);
        let carol = add(&mut stage, "carol", &WEBEX_13);
        stage.forward("bob", "carol").unwrap();
        let (call, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND.saturating_mul(14));
        let rang = when(&stage, carol, began, rings).unwrap();
        assert_eq!(rang - began, ARRIVES + SECOND.saturating_mul(13) + ONE_WAY);
        talk(&mut stage, ALICE, carol, &call);
        stage.ends().unwrap();
    }
}

pub fn a_dead_token_sends_the_call_to_the_fallback_at_once_is_never_pushed_to_again_and_a_new_one_heals()
 {
    for shards in SHARDS {
        let mut stage = stage(&JABBER_13, shards);
        let carol = add(&mut stage, "carol", &JABBER_13);
        stage.forward("bob", "carol").unwrap();
        stage.order(BOB, Order::Suspend).unwrap();
        let voip = stage.config(BOB).tokens.voip.clone();
        stage.decide(&voip, Fate::dead(None));
        // At first that is known when the provider has said so, from then on before.
        for (pushed, known_after) in [(1, CLOUD), (0, Duration::ZERO)] {
            let (call, began) = call(&mut stage, ALICE, "bob");
            run(&mut stage, SECOND);
            let rang = when(&stage, carol, began, rings).unwrap();
            assert_eq!(rang - began, ARRIVES + known_after + ONE_WAY);
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

pub fn answered_on_one_device_the_others_stop_and_learn_why_and_one_on_its_way_learns_by_push() {
    for shards in SHARDS {
        let mut stage = stage(&JABBER_13, shards);
        let ipad = add(&mut stage, "bob", &WEBEX_13);
        let droid = add(&mut stage, "bob", &JABBER_DROID);
        for who in [BOB, droid] {
            stage.order(who, Order::Suspend).unwrap();
        }
        stage.cut_off(droid, true);
        run(&mut stage, SECOND);
        let (call, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        let answered = stage.now();
        talk(&mut stage, ALICE, BOB, &call);
        let why = stage.seen(ipad).find_map(|(at, event)| match event {
            PhoneEvent::Cancelled { reason, .. } => Some((at, reason.clone())),
            _ => None,
        });
        let (at, why) = why.unwrap();
        assert_eq!(at - answered, ONE_WAY.saturating_mul(2));
        assert_eq!(why.as_deref(), Some("Call completed elsewhere"));
        let cancels = pushes(&stage, droid, began, "call_cancelled");
        assert_eq!(cancels.len(), 1);
        assert_eq!(cancels[0].0 - answered, ONE_WAY);
        for iphone in [BOB, ipad] {
            assert_eq!(pushes(&stage, iphone, began, "call_cancelled").len(), 0);
        }
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

pub fn a_caller_who_gives_up_closes_callkit_by_invite_and_cancel_and_a_missed_call_is_pushed() {
    for shards in SHARDS {
        let mut stage = stage(&JABBER_13, shards);
        stage.order(BOB, Order::Suspend).unwrap();
        stage.cut_off(BOB, true);
        run(&mut stage, SECOND);
        let (call, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        let gave_up = stage.now();
        stage.order(ALICE, Order::Hangup(call)).unwrap();
        run(&mut stage, SECOND);
        let over = (gave_up + ONE_WAY.saturating_mul(2), 487);
        assert_eq!(failed(&stage, began), Some(over));
        let missed = pushes(&stage, BOB, began, "missed_call");
        assert_eq!(missed.len(), 1);
        assert_eq!(missed[0].0 - gave_up, ONE_WAY);
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

pub fn a_burst_of_messages_is_two_pushes_5_s_apart_and_another_conversation_one_more() {
    for shards in SHARDS {
        let mut stage = stage(&WEBEX_13, shards);
        let carol = add(&mut stage, "carol", &JABBER_DROID);
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
        // The first says what there was when it left, which the store was asked meanwhile.
        assert!((Some(1)..=Some(6)).contains(&badges[0]), "{badges:?}");
        assert_eq!(badges[1..], [Some(7), Some(7)]);
        let conversations: Vec<_> = pushed.iter().map(|(_, push)| &push.collapse).collect();
        assert_eq!(conversations[0], conversations[2]);
        assert_ne!(conversations[0], conversations[1]);
        assert_eq!(pushed[2].0 - pushed[0].0, SECOND.saturating_mul(5));
        stage.order(BOB, Order::Tap).unwrap();
        stage.ends().unwrap();
    }
}
