//! A message for a phone whose app is in front, and for one that sleeps.

use lab::phone::PhoneEvent;
use lab::phone::machine::Order;
use lab::sim::whole::ONE_WAY;

use crate::programme::*;

pub fn a_phone_in_front_gets_a_message_over_its_connection_and_no_push() {
    for (client, shards) in casts() {
        let mut stage = stage(&client, shards);
        let began = stage.now();
        write(&mut stage, ALICE, "bob", "Shall we have lunch?");
        run(&mut stage, SECOND);
        let received = |event: &PhoneEvent| matches!(event, PhoneEvent::MessageReceived { .. });
        let at = when(&stage, BOB, began, received).unwrap();
        assert_eq!(at - began, ONE_WAY.saturating_mul(4), "{client:?}");
        run(&mut stage, SECOND.saturating_mul(60));
        assert_eq!(pushes(&stage, BOB, began, "message"), []);
        stage.ends().unwrap();
    }
}

const TEXTS: [&str; 3] = ["Are you there?", "The train is late.", "Wait for me!"];

pub fn messages_for_a_sleeping_phone_are_kept_pushed_and_fetched_in_order_on_a_tap() {
    for (client, shards) in casts() {
        let mut stage = stage(&client, shards);
        stage.order(BOB, Order::Suspend).unwrap();
        run(&mut stage, SECOND);
        let began = stage.now();
        for text in TEXTS {
            write(&mut stage, ALICE, "bob", text);
            run(&mut stage, SECOND);
        }
        let pushed = pushes(&stage, BOB, began, "message");
        assert_eq!(pushed.len(), 1, "one push a conversation and window");
        let (at, push) = &pushed[0];
        assert_eq!(*at - began, ONE_WAY.saturating_mul(3));
        assert_eq!(
            (push.channel, push.badge),
            (message_channel(&client), Some(1))
        );
        let shown = stage.seen(BOB).find_map(|(_, event)| match event {
            PhoneEvent::NotificationShown { from, text, .. } => Some((from.clone(), text.clone())),
            _ => None,
        });
        let (from, text) = shown.unwrap();
        assert_eq!(from.unwrap().name, "Alice");
        assert_eq!(text.as_deref(), Some(TEXTS[0]));
        let woke = ["resumed", "invite_received", "message_received"];
        assert_eq!(order_of(&stage, BOB, began, &woke), [""; 0]);

        stage.order(BOB, Order::Tap).unwrap();
        run(&mut stage, SECOND);
        let received: Vec<_> = stage
            .seen(BOB)
            .filter_map(|(_, event)| match event {
                PhoneEvent::MessageReceived { text, .. } => Some(text.as_str()),
                PhoneEvent::DuplicateMessageDropped { .. } => Some("again"),
                _ => None,
            })
            .collect();
        assert_eq!(received, TEXTS, "{client:?}");
        stage.ends().unwrap();
    }
}
