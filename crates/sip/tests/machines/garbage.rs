//! Whatever arrives, from whomever: the endpoint neither panics nor remembers it for ever.

use proptest::prelude::*;
use sip::endpoint::{Event, Input};
use sip::{Limits, Message};

use crate::world::{World, for_invite, request, response};

/// Which of the messages at hand comes next, from whom, and what has happened to its octets on the way.
type Arrival = (usize, usize, Vec<(usize, u8)>);

const PEERS: [&str; 3] = ["caller", "phone", "tablet"];

/// The owner proxies every INVITE to the phone, and answers everything else.
fn serve(world: &mut World) {
    let target = world.target("phone");
    for event in world.told() {
        if let Event::Request { txn, request, .. } = event {
            world.owner(|proxy, now| {
                if request.method() != Some(sip::Method::Invite) {
                    proxy.answer(now, txn, 200, "");
                } else if let Ok(context) = proxy.open(now, txn) {
                    proxy.fork(now, context, &target).unwrap();
                }
            });
        }
    }
}

fn at_hand(world: &mut World) -> Vec<Message> {
    let mut messages: Vec<_> = ["INVITE", "MESSAGE", "BYE"]
        .iter()
        .map(|method| crate::world::message(&request(method, "call")))
        .collect();
    messages.extend(["CANCEL", "ACK"].map(|method| crate::world::message(&for_invite(method, ""))));
    for peer in PEERS {
        while let Some(message) = world.try_next(peer) {
            if message.is_request() {
                messages
                    .extend([100, 180, 200, 486].map(|status| response(peer, &message, status)));
            }
            messages.push(message);
        }
    }
    messages
}

fn damaged(message: &Message, damage: &[(usize, u8)]) -> Option<Message> {
    let mut octets = message.bytes().to_vec();
    for (at, octet) in damage {
        let at = at % octets.len();
        octets[at] = *octet;
    }
    Message::parse(octets.into(), &Limits::default()).ok()
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let octet = prop_oneof![
        any::<u8>(),
        prop::sample::select(b"\r\n;,:<>\"@= 0z".to_vec())
    ];
    (
        any::<usize>(),
        0..PEERS.len(),
        prop::collection::vec((any::<usize>(), octet), 0..4),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn damaged_messages_leave_nothing_behind(arrivals in prop::collection::vec(arrival(), 1..20)) {
        let mut world = World::new();
        let mut messages = Vec::new();
        for (which, peer, damage) in arrivals {
            messages.extend(at_hand(&mut world));
            let Some(message) = damaged(&messages[which % messages.len()], &damage) else { continue };
            let flow = world.flow(PEERS[peer]);
            world.proxy.handle(world.now, Input::Received { flow, message });
            world.drain();
            serve(&mut world);
            world.pass_ms(100);
        }
        world.ends_clean();
    }
}
