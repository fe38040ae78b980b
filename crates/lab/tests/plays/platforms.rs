//! What platforms demand of whoever pushes and of their apps (`behaviour.md` 12), after all that can happen to one client.

use domain::{Channel, Generation, Notification, Platform, Purpose};
use lab::phone::PhoneEvent;
use lab::phone::machine::Order;
use lab::plays::Client;
use lab::sim::Fate;

use crate::programme::*;

/// Longest payload of a push: to a topic `.voip`, and any other.
const VOIP_BYTES: usize = 5_120;
const BYTES: usize = 4_096;

/// What its provider would refuse of a push, or what would hurt the app.
fn offends(client: &Client, push: &Notification) -> Option<String> {
    let ios = client.platform == Platform::Ios;
    let dual = client.generation == Generation::DualChannel;
    let (voip, calls) = (
        push.channel == Channel::Voip,
        matches!(push.purpose, Purpose::Call { .. }),
    );
    let cancels = matches!(push.purpose, Purpose::CallCancelled { .. });
    let payload = if ios {
        push::payload::apns(push, client.generation)
    } else {
        push::payload::fcm(push)
    };
    let most = if ios && voip { VOIP_BYTES } else { BYTES };
    let complaints = [
        (ios && dual && voip != calls, "a call and its channel"),
        (ios && cancels, "an iPhone is told of an end"),
        (!dual && !voip, "an app with one channel has another"),
        (calls && !push.ttl.is_zero(), "a call that is kept"),
        (
            payload.is_err() || payload.is_ok_and(|it| it.len() > most),
            "too large",
        ),
        (
            push.collapse.as_ref().is_some_and(|it| it.len() > 64),
            "its collapse id",
        ),
        (
            ios && !push.token.bytes().all(|it| it.is_ascii_hexdigit()),
            "its token",
        ),
    ];
    let complaint = complaints.into_iter().find(|(is, _)| *is);
    complaint.map(|(_, what)| format!("{what}: {push:?}"))
}

pub fn no_app_is_killed_or_woken_for_nothing_and_no_cloud_is_offended() {
    for (client, shards) in casts() {
        let mut stage = stage(&client, shards);
        stage.order(BOB, Order::Suspend).unwrap();
        run(&mut stage, SECOND);
        let (call_taken, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        talk(&mut stage, ALICE, BOB, &call_taken);
        // Given up before the push arrives, which CallKit shows and others never hear of, and while it rings.
        let voip = stage.config(BOB).tokens.voip.clone();
        let late = client.has_callkit().then_some(SECOND.saturating_mul(3));
        for arrives in [late, Some(CLOUD)] {
            stage.decide(&voip, Fate::delivered(arrives));
            stage.order(BOB, Order::Suspend).unwrap();
            run(&mut stage, SECOND);
            let (missed, _) = call(&mut stage, ALICE, "bob");
            run(&mut stage, SECOND);
            stage.order(ALICE, Order::Hangup(missed)).unwrap();
            run(&mut stage, SECOND.saturating_mul(5));
        }
        stage.order(BOB, Order::Suspend).unwrap();
        run(&mut stage, SECOND);
        write(&mut stage, ALICE, "bob", "Where are you?");
        // Long enough to be asked to register again.
        run(&mut stage, SECOND.saturating_mul(3_600));

        let hurt = |event: &PhoneEvent| {
            let is_killed = matches!(event, PhoneEvent::Killed { .. });
            is_killed || matches!(event, PhoneEvent::WokenForNothing { .. })
        };
        for who in [ALICE, BOB] {
            let hurt = stage.seen(who).find(|(_, event)| hurt(event));
            assert_eq!(hurt, None, "{client:?}");
        }
        for kind in ["call", "missed_call", "message", "refresh"] {
            let pushed = pushes(&stage, BOB, began, kind);
            assert!(!pushed.is_empty(), "no {kind} to {client:?}");
            let offence = pushed.iter().find_map(|(_, push)| offends(&client, push));
            assert_eq!(offence, None, "{client:?}");
        }
        stage.ends().unwrap();
    }
}
