//! A call for a phone whose app is in front, and for one that sleeps.

use domain::Channel;
use lab::phone::machine::Order;
use lab::phone::{Caller, PhoneEvent};
use lab::plays::CLIENTS;
use lab::sim::whole::{DOMAIN, ONE_WAY};

use crate::programme::*;

fn alice() -> Caller {
    Caller {
        name: "Alice".to_owned(),
        number: format!("alice@{DOMAIN}"),
    }
}

pub fn a_phone_in_front_rings_over_sip_at_once_and_drops_the_push_as_a_duplicate() {
    for (client, shards) in casts() {
        let mut stage = stage(&client, shards);
        let (call, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        let rang = when(&stage, BOB, began, rings).unwrap();
        assert_eq!(rang - began, ARRIVES + ONE_WAY, "{client:?}");
        let pushes = pushes(&stage, BOB, began, "call");
        assert_eq!(pushes.len(), 1);
        let (at, push) = &pushes[0];
        assert_eq!((*at - began, push.channel), (ARRIVES, Channel::Voip));
        let seen = ["invite_received", "ringing", "call_kit_ringing", "pushed"];
        let order = order_of(&stage, BOB, began, &seen);
        assert_eq!(order, ["invite_received", "ringing", "pushed"]);
        let dropped = PhoneEvent::DuplicatePushDropped { call: call.clone() };
        assert!(stage.seen(BOB).any(|(_, event)| *event == dropped));
        talk(&mut stage, ALICE, BOB, &call);
        stage.ends().unwrap();
    }
}

pub fn a_sleeping_phone_is_woken_by_the_push_and_the_held_invite_rings_it() {
    for (client, shards) in casts() {
        let mut stage = stage(&client, shards);
        stage.order(BOB, Order::Suspend).unwrap();
        run(&mut stage, SECOND);
        let (call, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        // The push, a new connection, and the INVITE with the answer to the REGISTER: nothing waits for anything else.
        let rang = when(&stage, BOB, began, rings).unwrap();
        let least = ARRIVES + CLOUD + ONE_WAY.saturating_mul(3);
        assert_eq!(rang - began, least, "{client:?}");
        let pushes = pushes(&stage, BOB, began, "call");
        assert_eq!(pushes.len(), 1);
        assert_eq!(pushes[0].0 - began, ARRIVES);
        let with = [
            "pushed",
            "call_kit_ringing",
            "resumed",
            "invite_received",
            "ringing",
            "registered",
        ];
        let order = order_of(&stage, BOB, began, &with);
        let without = with.map(|it| if it == "call_kit_ringing" { "" } else { it });
        let without = without.into_iter().filter(|it| !it.is_empty());
        if client.has_callkit() {
            assert_eq!(order, with);
            let Caller { name, number } = alice();
            let shown = PhoneEvent::CallKitRinging {
                call: call.clone(),
                name,
                number,
            };
            assert!(stage.seen(BOB).any(|(_, event)| *event == shown));
        } else {
            assert!(order.iter().eq(without), "{order:?}");
        }
        talk(&mut stage, ALICE, BOB, &call);
        let closed = order_of(&stage, BOB, began, &["call_kit_closed"]).len();
        assert_eq!(closed, usize::from(client.has_callkit()));
        stage.ends().unwrap();
    }
}

#[test]
fn who_calls_only_the_phone_can_read_out_of_the_push() {
    for client in CLIENTS {
        let mut stage = stage(&client, 2);
        let (_, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        let caller = stage.seen(BOB).find_map(|(at, event)| match event {
            PhoneEvent::Pushed { caller, .. } if at > began => Some(caller.clone()),
            _ => None,
        });
        assert_eq!(caller.unwrap(), Some(alice()), "{client:?}");
    }
}
