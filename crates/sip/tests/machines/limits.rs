//! What happens at the bounds of the tables.

use std::time::Duration;

use sip::HeaderName;
use sip::endpoint::{Crowded, Event, ForkError, Holder, Load, Overload, TableLimits};

use crate::world::{World, config, message, request};

fn small(limits: TableLimits) -> World {
    let mut config = config();
    config.limits = limits;
    World::with(config)
}

#[test]
fn new_request_beyond_the_table_is_503_with_retry_after_and_old_ones_go_on() {
    let mut world = small(TableLimits {
        server_transactions: 1,
        retry_after: 7,
        ..TableLimits::default()
    });
    let context = world.call();
    world.hold(context, true);
    world.send("caller", &request("MESSAGE", "m"));
    assert_eq!(world.next("caller").status(), Some(100));
    let answer = world.next("caller");
    assert_eq!(answer.status(), Some(503));
    assert_eq!(answer.header(HeaderName::RetryAfter), Some(&b"7"[..]));
    assert!(matches!(world.told()[..], [Event::NoRoom]));
    world.send("caller", &request("INVITE", "call"));
    assert_eq!(world.seen("caller"), ["100"]);
    world.owner(|proxy, now| proxy.finish(now, context, 486, None));
    world.hold(context, false);
    world.ends_clean();
}

#[test]
fn call_beyond_the_contexts_is_503_with_retry_after() {
    let mut world = small(TableLimits {
        contexts: 1,
        ..TableLimits::default()
    });
    world.call();
    world.send("caller", &request("INVITE", "second"));
    let txn = world.arrived();
    let refused = world.owner(|proxy, now| proxy.open(now, txn)).unwrap_err();
    assert_eq!(refused.status, 503);
    world.next("caller");
    assert!(world.next("caller").has(HeaderName::RetryAfter));
}

#[test]
fn fork_beyond_the_branches_or_the_table_is_refused() {
    let mut world = small(TableLimits {
        branches: 1,
        client_transactions: 2,
        ..TableLimits::default()
    });
    let target = world.target("tablet");
    let (first, _) = world.call_to(&["phone"]);
    let refused = world.owner(|proxy, now| proxy.fork(now, first, &target));
    assert_eq!(refused, Err(ForkError::Branches));

    let second = world.open(&request("INVITE", "second"));
    world.fork(second, "phone");
    let third = world.open(&request("INVITE", "third"));
    let refused = world.owner(|proxy, now| proxy.fork(now, third, &target));
    assert_eq!(refused, Err(ForkError::Overload));
    let own = message(&request("OPTIONS", "o"));
    let sent = world.owner(|proxy, now| proxy.request(now, target.flow, &own));
    assert!(matches!(sent, Err(Overload { .. })));
}

#[test]
fn nobody_takes_the_places_of_others_and_strangers_leave_some_for_the_known() {
    let mut world = small(TableLimits {
        strangers: 3,
        ..TableLimits::default()
    });
    let takes = |world: &mut World, name: &str, is_known: bool| {
        let branch = format!("{name}{}", world.proxy.load().server_transactions);
        world.send("caller", &request("OPTIONS", &branch));
        let txn = world.arrived();
        let holder = Holder {
            name: name.as_bytes(),
            is_known,
            most: 2,
        };
        let taken = world.proxy.charge(txn, holder);
        if taken.is_err() {
            world.proxy.turn_away(txn, 503, "");
        }
        taken.map(|()| txn)
    };
    let first = takes(&mut world, "mallory", false).unwrap();
    takes(&mut world, "mallory", false).unwrap();
    for first in [true, false] {
        let crowded = takes(&mut world, "mallory", false);
        assert_eq!(crowded, Err(Crowded::Holder { first }));
    }
    takes(&mut world, "trudy", false).unwrap();
    assert_eq!(takes(&mut world, "eve", false), Err(Crowded::Strangers));
    takes(&mut world, "alice", true).unwrap();
    world.owner(|proxy, now| proxy.answer(now, first, 200, ""));
    takes(&mut world, "eve", false).unwrap();
    assert_eq!(
        takes(&mut world, "mallory", false),
        Err(Crowded::Strangers),
        "it has gone to another one"
    );
    world.pass(Duration::from_mins(5));
    assert_eq!(world.proxy.load(), Load::default());
}
