//! Short stories.

use crate::world::*;
use domain::{Change, Notification, Outcome, PushEnd, QueuedPush};
use pushd::{Input, Limits, Look, Mode, Reply};
use std::time::Duration;

fn world() -> World {
    World::new(Limits::default())
}

#[test]
fn a_sender_hears_the_providers_word_and_the_same_id_again_the_same() {
    let mut world = world();
    let first = world.submit("a", call("1"), Mode::Wait);
    let meanwhile = world.submit("a", call("1"), Mode::Wait);
    assert_eq!(world.under_way(), ["1"]);
    assert!(world.replies.is_empty());
    world.answer(accepted());
    let again = world.submit("a", call("1"), Mode::Wait);
    for ticket in [first, meanwhile, again] {
        assert_eq!(world.replies[&ticket], Reply::Told(accepted()));
    }
    assert!(world.sent.is_empty());
    // Another tenant's id is its own.
    world.submit("b", call("1"), Mode::Wait);
    assert_eq!(world.under_way(), ["1"]);
}

#[test]
fn what_a_provider_could_not_take_may_be_tried_again_under_the_same_id() {
    let mut world = world();
    let first = world.submit("a", message("1"), Mode::Wait);
    world.answer(unavailable());
    assert_eq!(world.replies[&first], Reply::Told(unavailable()));
    world.submit("a", message("1"), Mode::Wait);
    assert_eq!(world.under_way(), ["1"]);
}

#[test]
fn who_watches_sees_what_waits_who_is_left_alone_and_who_has_too_much() {
    let mut world = World::new(Limits {
        queued_per_tenant: 8,
        failures: 1,
        window: Duration::ZERO,
        ..Limits::default()
    });
    let look = |world: &World| world.service.look(world.now);
    assert_eq!(look(&world), Look::default());
    let began = world.now;
    for n in 0..7 {
        let push = Notification {
            token: n.to_string(),
            ..message(&n.to_string())
        };
        world.submit("a", push, Mode::Queue);
        world.wait(Duration::from_secs(1));
    }
    let seen = look(&world);
    assert_eq!(seen.oldest, Some(began));
    assert_eq!(seen.nearly_full, [("a".into(), 7)]);
    assert!(seen.left_alone.is_empty() && seen.refused.is_empty());
    world.answer(accepted());
    let seen = look(&world);
    assert_eq!(seen.oldest, Some(began.plus(Duration::from_secs(1))));
    assert!(seen.nearly_full.is_empty(), "{seen:?}");
    world.answer(unavailable());
    assert_eq!(look(&world).left_alone, ["app".into()]);
    for n in 7..10 {
        let push = Notification {
            token: n.to_string(),
            ..message(&n.to_string())
        };
        world.submit("a", push, Mode::Queue);
    }
    assert_eq!(look(&world).refused, ["a".into()]);
    let later = world.now.plus(Duration::from_mins(2));
    assert!(world.service.look(later).refused.is_empty());
}

#[test]
fn an_id_is_good_again_after_a_day() {
    let mut world = world();
    world.submit("a", message("1"), Mode::Wait);
    world.answer(accepted());
    world.wait(Duration::from_hours(25));
    world.submit("a", message("1"), Mode::Wait);
    assert_eq!(world.under_way(), ["1"]);
}

#[test]
fn nobody_pushes_to_an_app_that_is_not_theirs() {
    let mut world = world();
    let push = Notification {
        app: "foreign".into(),
        ..message("1")
    };
    let one = world.submit("a", push, Mode::Wait);
    let other = world.submit("stranger", message("2"), Mode::Queue);
    assert_eq!(world.replies[&one], Reply::NotLet);
    assert_eq!(world.replies[&other], Reply::NotLet);
    assert!(world.sent.is_empty() && world.saved.is_empty());
}

#[test]
fn a_promise_is_saved_first_and_kept_until_the_provider_takes_it() {
    let mut world = world();
    world.saves_by_itself = false;
    let ticket = world.submit("a", message("1"), Mode::Queue);
    assert!(world.replies.is_empty() && world.sent.is_empty());
    let (id, _) = world.saves.remove(0);
    world.handle(Input::Saved(id, true));
    assert_eq!(world.replies[&ticket], Reply::Queued);
    world.saves_by_itself = true;
    for attempt in 1..4 {
        assert_eq!(world.under_way(), ["1"], "attempt {attempt}");
        world.answer(unavailable());
        assert!(world.sent.is_empty());
        let Some(Change::QueuePush(queued)) = world.saved.last() else {
            panic!("the next attempt is saved");
        };
        assert_eq!(queued.attempts, attempt);
        world.wait(queued.due.since(world.now));
    }
    let ttl = world.sent[0].1.ttl;
    assert!(ttl < Duration::from_mins(59), "what is left: {ttl:?}");
    world.answer(accepted());
    let ends: Vec<_> = world.ends().into_iter().map(|it| it.end.clone()).collect();
    assert_eq!(ends, [PushEnd::Told(accepted())]);
    assert_eq!(world.service.load(), (0, 0));
}

#[test]
fn what_could_not_be_saved_is_not_promised() {
    let mut world = world();
    world.saves_by_itself = false;
    let ticket = world.submit("a", message("1"), Mode::Queue);
    let (id, _) = world.saves.remove(0);
    world.handle(Input::Saved(id, false));
    assert_eq!(world.replies[&ticket], Reply::NotSaved);
    assert!(world.sent.is_empty());
    // Nor is its id used up.
    world.submit("a", message("1"), Mode::Wait);
    assert_eq!(world.under_way(), ["1"]);
}

#[test]
fn an_end_that_could_not_be_saved_is_saved_later_and_nothing_is_sent_twice() {
    let mut world = world();
    world.submit("a", message("1"), Mode::Queue);
    world.saves_by_itself = false;
    world.answer(accepted());
    let (id, _) = world.saves.remove(0);
    world.handle(Input::Saved(id, false));
    world.wait(Duration::from_secs(2));
    assert!(matches!(&world.saves[..], [(_, Change::SettlePush(_))]));
    let (id, _) = world.saves.remove(0);
    world.handle(Input::Saved(id, true));
    assert_eq!(world.service.load(), (0, 0));
    assert!(world.sent.is_empty());
}

#[test]
fn a_push_whose_time_is_over_is_given_up() {
    let mut world = world();
    let push = Notification {
        ttl: Duration::from_mins(1),
        ..message("1")
    };
    world.submit("a", push, Mode::Queue);
    for _ in 0..20 {
        while !world.sent.is_empty() {
            world.answer(unavailable());
        }
        world.wait(Duration::from_secs(5));
    }
    let expired = PushEnd::Expired {
        reason: "down".to_owned(),
    };
    assert_eq!(world.ends()[0].end, expired);
    let again = world.submit("a", message("1"), Mode::Queue);
    assert_eq!(world.replies[&again], Reply::Ended(expired));
}

#[test]
fn a_call_is_never_queued() {
    let mut world = world();
    let ticket = world.submit("a", call("1"), Mode::Queue);
    world.answer(unavailable());
    assert_eq!(world.replies[&ticket], Reply::Told(unavailable()));
    assert!(world.saved.is_empty());
}

#[test]
fn the_newest_of_a_burst_to_one_device_stands_for_all() {
    let mut world = world();
    for (id, badge) in [("1", 1), ("2", 2), ("3", 3)] {
        let push = Notification {
            badge: Some(badge),
            ..message(id)
        };
        world.submit("a", push, Mode::Queue);
    }
    assert_eq!(world.under_way(), ["1"]);
    world.answer(accepted());
    world.wait(Duration::from_secs(5));
    assert_eq!(world.under_way(), ["3"]);
    assert_eq!(world.sent[0].1.badge, Some(3));
    assert_eq!(world.ends()[1].end, PushEnd::Told(accepted()));
    assert_eq!(
        (world.ends()[0].id.as_str(), &world.ends()[0].end),
        ("2", &PushEnd::Replaced)
    );
}

#[test]
fn the_queue_goes_on_after_a_restart() {
    let mut world = world();
    let queued = |tenant: &str| {
        Input::Loaded(Box::new(QueuedPush {
            tenant: tenant.into(),
            push: message("1"),
            at: world_start(),
            due: world_start(),
            attempts: 1,
        }))
    };
    world.handle(queued("a"));
    // Whoever is gone meanwhile gets nothing.
    world.handle(queued("gone"));
    assert_eq!(world.under_way(), ["1"]);
    let again = world.submit("a", message("1"), Mode::Queue);
    assert_eq!(world.replies[&again], Reply::Queued);
}

fn world_start() -> domain::Timestamp {
    domain::Timestamp(1_000_000)
}

#[test]
fn one_app_that_hangs_holds_up_no_other() {
    let mut world = World::new(Limits {
        in_flight_per_app: 2,
        ..Limits::default()
    });
    let mut tickets = Vec::new();
    for n in 0..5 {
        tickets.push(world.submit("a", message(&n.to_string()), Mode::Wait));
    }
    let other = Notification {
        app: "other".into(),
        ..message("other")
    };
    world.submit("b", other, Mode::Wait);
    assert_eq!(world.under_way(), ["0", "1", "other"]);
    // Whoever waits too long hears so; those that went do not.
    world.wait(Duration::from_secs(5));
    assert_eq!(world.replies.len(), 3);
    for ticket in &tickets[2..] {
        let reply = &world.replies[ticket];
        assert!(
            matches!(reply, Reply::Told(Outcome::Unavailable { .. })),
            "{reply:?}"
        );
    }
    world.answer(accepted());
    assert_eq!(world.under_way(), ["1", "other"]);
}

#[test]
fn an_app_whose_provider_fails_is_left_alone_and_its_queue_waits() {
    let mut world = World::new(Limits {
        failures: 2,
        ..Limits::default()
    });
    for id in ["1", "2"] {
        world.submit("a", call(id), Mode::Wait);
        world.answer(unavailable());
    }
    let refused = world.submit("a", call("3"), Mode::Wait);
    let reply = &world.replies[&refused];
    assert!(
        matches!(reply, Reply::Told(Outcome::Unavailable { .. })),
        "{reply:?}"
    );
    let queued = world.submit("a", message("4"), Mode::Queue);
    assert_eq!(world.replies[&queued], Reply::Queued);
    assert!(world.sent.is_empty());
    world.wait(Duration::from_secs(1));
    assert_eq!(world.under_way(), ["4"], "it finds out");
    world.answer(accepted());
    world.submit("a", call("5"), Mode::Wait);
    assert_eq!(world.under_way(), ["5"]);
}

#[test]
fn a_tenant_has_its_quota_and_its_room() {
    let mut world = World::new(Limits {
        queued_per_tenant: 1,
        ..Limits::default()
    });
    world.handle(Input::Tenant(Box::new(domain::Tenant {
        per_minute: 2,
        ..tenant("a", &["app"])
    })));
    world.submit("a", message("1"), Mode::Queue);
    let full = world.submit("a", message("2"), Mode::Queue);
    let over = world.submit("a", message("3"), Mode::Wait);
    for ticket in [full, over] {
        let reply = &world.replies[&ticket];
        assert!(matches!(reply, Reply::Busy { .. }), "{reply:?}");
    }
    world.submit("b", message("1"), Mode::Wait);
    assert_eq!(world.sent.len(), 2, "another's is its own");
}

#[test]
fn what_a_tenant_queued_goes_with_it() {
    let mut world = world();
    world.submit("a", message("1"), Mode::Queue);
    world.submit("a", message("2"), Mode::Queue);
    world.handle(Input::TenantGone("a".into()));
    world.answer(accepted());
    world.wait(Duration::from_mins(1));
    assert!(world.sent.is_empty());
    assert_eq!(world.service.load(), (0, 0));
}

#[test]
fn what_waits_for_room_does_not_ask_for_time() {
    let mut world = World::new(Limits {
        in_flight: 2,
        failures: 1,
        ..Limits::default()
    });
    let other = |id| Notification {
        app: "other".into(),
        ..message(id)
    };
    world.submit("a", message("1"), Mode::Wait);
    for id in ["2", "3"] {
        world.submit("b", other(id), Mode::Wait);
    }
    world.submit("a", message("4"), Mode::Wait);
    world.answer(unavailable());
    assert_eq!(world.under_way(), ["2", "3"]);
    world.wait(Duration::from_secs(2));
    world.answer(accepted());
    assert_eq!(world.under_way(), ["3", "4"]);
}
