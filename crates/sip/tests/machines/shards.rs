//! Several endpoints with one seed: whose a response is, and that loops through one another are found.

use sip::HeaderName;
use sip::endpoint::{Endpoint, Input};

use crate::world::{World, config, message, request};

fn shard(number: u8) -> World {
    let mut config = config();
    config.shard = number;
    World::with(config)
}

#[test]
fn our_branch_begins_with_the_shard() {
    for number in [0, 7, 0xa3] {
        let mut world = shard(number);
        let (_, invites) = world.call_to(&["phone"]);
        let branch = invites[0].top_via().unwrap().branch().unwrap();
        assert!(branch.starts_with(&format!("z9hG4bK{number:02x}")));
    }
}

#[test]
fn a_response_to_another_shards_request_is_nobodys() {
    let mut world = shard(1);
    let (_, invites) = world.call_to(&["phone"]);
    let mut config = config();
    config.shard = 2;
    let mut other = Endpoint::new(config);
    let flow = world.flow("phone");
    let message = crate::world::response("phone", &invites[0], 200);
    other.handle(world.now, Input::Received { flow, message });
    assert!(other.poll_event().is_none());
    assert!(other.poll_transmit().is_none());
}

#[test]
fn a_request_that_loops_through_another_shard_is_482() {
    let mut first = shard(1);
    let context = first.call();
    let target = sip::endpoint::Target::new("sip:bob@proxy.example", first.flow("phone"));
    first
        .owner(|proxy, now| proxy.fork(now, context, &target))
        .unwrap();
    let looped = first.next("phone");

    let mut second = shard(2);
    second.send_message("caller", looped);
    let txn = second.arrived();
    let refused = second.owner(|proxy, now| proxy.open(now, txn)).unwrap_err();
    assert_eq!(refused.status, 482);
}

#[test]
fn tags_of_two_shards_differ() {
    let tag = |number| {
        let mut world = shard(number);
        world.send_message("caller", message(&request("MESSAGE", "m")));
        let txn = world.arrived();
        world.owner(|proxy, now| proxy.answer(now, txn, 404, ""));
        world
            .next("caller")
            .header(HeaderName::To)
            .unwrap()
            .to_vec()
    };
    assert_ne!(tag(1), tag(2));
}
