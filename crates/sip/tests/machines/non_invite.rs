//! Requests other than INVITE: repeated by us, answered 100 only when they must be, never 408 (RFC 3261 §17.1.2,
//! §17.2.2, RFC 4320).

use std::time::Duration;

use sip::endpoint::{Event, Load, TableLimits};

use crate::world::{World, config, request};

#[test]
fn request_is_repeated_until_it_is_answered_and_the_answer_until_it_is_heard() {
    let mut world = World::new();
    let context = world.open(&request("MESSAGE", "m"));
    assert_eq!(world.seen("caller"), [""; 0]);
    world.fork(context, "phone");
    let forwarded = world.next("phone");
    world.pass_ms(1_600);
    assert_eq!(world.seen("phone"), ["MESSAGE"; 2]);
    world.answer("phone", &forwarded, 202);
    world.answer("phone", &forwarded, 202);
    assert_eq!(world.seen("caller"), ["202 MESSAGE"]);
    world.send("caller", &request("MESSAGE", "m"));
    assert_eq!(world.seen("caller"), ["202 MESSAGE"]);
    world.pass_ms(20_000);
    assert_eq!(world.seen("phone"), [""; 0]);
    world.ends_clean();
}

#[test]
fn hundred_is_sent_only_when_the_caller_would_repeat_at_t2() {
    let mut world = World::new();
    let context = world.open(&request("MESSAGE", "m"));
    world.fork(context, "phone");
    let forwarded = world.next("phone");
    world.answer("phone", &forwarded, 100);
    world.send("caller", &request("MESSAGE", "m"));
    world.pass_ms(3_499);
    assert_eq!(world.seen("caller"), [""; 0]);
    world.pass_ms(1);
    assert_eq!(world.seen("caller"), ["100 MESSAGE"]);
    world.send("caller", &request("MESSAGE", "m"));
    assert_eq!(world.seen("caller"), ["100 MESSAGE"]);
    world.answer("phone", &forwarded, 200);
    assert_eq!(world.seen("caller"), ["200 MESSAGE"]);
}

#[test]
fn request_that_nobody_answers_ends_in_silence() {
    let mut world = World::new();
    let context = world.open(&request("MESSAGE", "m"));
    world.pass_ms(10);
    world.fork(context, "phone");
    world.told();
    world.pass_ms(40_000);
    assert_eq!(world.seen("caller"), ["100 MESSAGE"]);
    assert_eq!(world.seen("phone").len(), 11);
    assert!(matches!(
        &world.told()[..],
        [
            Event::BranchFinal {
                status: 408,
                response: None,
                ..
            },
            Event::ContextDone { status: 408, .. },
        ]
    ));
    world.ends_clean();
}

#[test]
fn timeout_of_one_phone_does_not_hide_the_refusal_of_the_other() {
    let mut world = World::over_tcp();
    let context = world.open(&request("MESSAGE", "m"));
    world.fork(context, "phone");
    world.fork(context, "tablet");
    let (first, second) = (world.next("phone"), world.next("tablet"));
    world.answer("phone", &first, 408);
    world.answer("tablet", &second, 501);
    assert_eq!(world.seen("caller"), ["501 MESSAGE"]);
    world.ends_clean();
}

#[test]
fn first_phone_that_takes_it_settles_it() {
    let mut world = World::new();
    let context = world.open(&request("MESSAGE", "m"));
    world.fork(context, "phone");
    world.fork(context, "tablet");
    let (first, second) = (world.next("phone"), world.next("tablet"));
    world.answer("tablet", &second, 200);
    assert_eq!(world.seen("caller"), ["200 MESSAGE"]);
    world.answer("phone", &first, 200);
    assert_eq!(world.seen("caller"), [""; 0]);
    assert_eq!(
        (world.seen("phone"), world.seen("tablet")),
        (vec![], vec![])
    );
    world.ends_clean();
}

#[test]
fn owner_can_send_neither_a_provisional_response_nor_408() {
    let mut world = World::new();
    world.send("caller", &request("MESSAGE", "m"));
    let txn = world.arrived();
    for status in [100, 180, 408] {
        world.owner(|proxy, now| proxy.answer(now, txn, status, ""));
    }
    assert_eq!(world.seen("caller"), [""; 0]);
    world.owner(|proxy, now| proxy.answer(now, txn, 202, "Stored"));
    world.owner(|proxy, now| proxy.answer(now, txn, 500, ""));
    assert_eq!(world.seen("caller"), ["202 MESSAGE"]);
    world.ends_clean();
}

#[test]
fn over_a_connection_the_transaction_is_over_with_its_answer() {
    let mut world = World::over_tcp();
    world.send("caller", &request("MESSAGE", "m"));
    let txn = world.arrived();
    world.owner(|proxy, now| proxy.answer(now, txn, 202, ""));
    assert_eq!(world.load(), sip::endpoint::Load::default());
}

#[test]
fn request_that_the_owner_forgot_is_forgotten_with_it() {
    let mut world = World::new();
    world.send("caller", &request("MESSAGE", "m"));
    world.ends_clean();
}

#[test]
fn an_answer_is_repeated_for_64_t1_and_nothing_else_is_kept() {
    let mut world = World::new();
    world.send("caller", &request("MESSAGE", "m"));
    let txn = world.arrived();
    world.owner(|proxy, now| proxy.answer(now, txn, 202, ""));
    let answer = world.next("caller");
    let kept = Load {
        answered: 1,
        ..Load::default()
    };
    assert_eq!(world.load(), kept);
    world.pass(Duration::from_millis(31_900));
    world.send("caller", &request("MESSAGE", "m"));
    assert_eq!(world.next("caller"), answer);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.load(), Load::default());
    world.send("caller", &request("MESSAGE", "m"));
    world.arrived();
}

#[test]
fn answers_beyond_the_limit_push_out_the_oldest() {
    let mut config = config();
    config.limits = TableLimits {
        answered_octets: 2_000,
        ..TableLimits::default()
    };
    let mut world = World::with(config);
    for n in 0..20 {
        world.send("caller", &request("MESSAGE", &format!("m{n}")));
        let txn = world.arrived();
        world.owner(|proxy, now| proxy.answer(now, txn, 202, ""));
    }
    let kept = world.load().answered;
    assert!((2..8).contains(&kept), "{kept}");
    world.seen("caller");
    world.send("caller", &request("MESSAGE", "m19"));
    assert_eq!(world.seen("caller"), ["202 MESSAGE"]);
    world.send("caller", &request("MESSAGE", "m0"));
    world.arrived();
    world.ends_clean();
}
