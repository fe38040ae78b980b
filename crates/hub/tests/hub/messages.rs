//! Messages: kept before they are acknowledged, and counted as the store has them.

use crate::world::{StoreMood, World, account_of_bob, bob, door, opening};
use domain::{Change, DoorState, Mode, delivery::BATCH};
use hub::{Input, NotDone, Opening, Output, PushOffer, Question};
use std::sync::Arc;

#[test]
fn a_message_that_is_not_saved_is_refused_and_counts_nowhere() {
    let mut world = World::new();
    world.mood = StoreMood::Refuses;
    let ticket = world.writes("m1");
    assert!(matches!(
        world.answer_to(ticket),
        Some(Err(NotDone::Failed(_)))
    ));
    assert_eq!(world.hub.directory().counts().queued, 0);
    assert_eq!(world.counted(), ["not_stored"]);
}

#[test]
fn what_is_counted_as_stored_is_stored_and_what_is_refused_is_not() {
    let mut world = World::with(|config| config.messages_per_device = 1);
    world.mood = StoreMood::Waits;
    world.writes("m1");
    assert!(world.counted().is_empty(), "the store has not spoken");
    world.answers();
    assert_eq!(world.counted(), ["stored"]);
    world.mood = StoreMood::Saves;
    let ticket = world.writes("m2");
    assert_eq!(world.answer_to(ticket), Some(&Err(NotDone::QueueFull)));
    assert_eq!(world.counted(), ["stored", "not_stored"]);
}

#[test]
fn messages_for_a_user_without_a_device_have_a_limit_that_refusals_do_not_shift() {
    let mut world = World::with(|config| config.messages_per_device = 2);
    world.mood = StoreMood::Refuses;
    for name in ["lost1", "lost2", "lost3"] {
        world.writes(name);
    }
    world.mood = StoreMood::Saves;
    for name in ["m1", "m2"] {
        let ticket = world.writes(name);
        assert_eq!(world.answer_to(ticket), Some(&Ok(())));
    }
    let ticket = world.writes("m3");
    assert_eq!(world.answer_to(ticket), Some(&Err(NotDone::QueueFull)));
    world.opens(opening("a", 600));
    let entry = world.hub.directory().get(&"a".into()).unwrap();
    assert_eq!(entry.queued, 2, "the first device takes what waited");
    assert_eq!(world.hub.directory().unclaimed(&bob()), 0);
    assert!(
        world
            .said
            .iter()
            .any(|said| matches!(said, Output::Fetch(_)))
    );
}

#[test]
fn a_message_goes_to_who_is_there_once_it_is_kept() {
    let mut world = World::new();
    world.opens(opening("a", 600));
    world.mood = StoreMood::Waits;
    let ticket = world.writes("m1");
    assert!(world.sent().is_empty());
    world.answers();
    assert_eq!(world.answer_to(ticket), Some(&Ok(())));
    // A lane that was never read is read first.
    let message = archived(&world, "m1");
    world.handle(Input::Fetched("a".into(), Some(vec![message])));
    assert_eq!(world.sent(), ["m1"]);
    world.mood = StoreMood::Saves;
    world.handle(Input::Acknowledged("a".into(), "m1".into(), false));
    assert_eq!(world.hub.directory().counts().queued, 0);
    assert!(world.pushes.is_empty());
}

#[test]
fn what_was_delivered_leaves_the_queue_even_if_the_store_is_full_for_a_while() {
    let mut world = World::new();
    world.opens(opening("a", 600));
    world.writes("m1");
    let message = archived(&world, "m1");
    world.handle(Input::Fetched("a".into(), Some(vec![message])));
    world.mood = StoreMood::Refuses;
    world.handle(Input::Acknowledged("a".into(), "m1".into(), false));
    assert_eq!(world.hub.directory().counts().queued, 1);
    world.mood = StoreMood::Saves;
    world.pass(6_000);
    assert_eq!(world.hub.directory().counts().queued, 0);
    let delivered = |kept: &Change| matches!(kept, Change::Delivered { .. });
    assert_eq!(world.kept.iter().filter(|kept| delivered(kept)).count(), 1);
    assert_eq!(world.hub.load().steps, 0);
}

#[test]
fn what_leaves_one_queue_while_the_store_is_busy_leaves_it_together() {
    let mut world = World::new();
    world.opens(opening("a", 600));
    world.handle(Input::DoorLost(door("a"), DoorState::Down));
    for number in 0..10 {
        world.writes(&format!("m{number}"));
    }
    world.opens(opening("a", 600));
    let queue: Vec<_> = (0..10)
        .map(|number| archived(&world, &format!("m{number}")))
        .collect();
    assert!(queue.len() < BATCH);
    world.handle(Input::Fetched("a".into(), Some(queue)));
    world.mood = StoreMood::Waits;
    for number in 0..10 {
        assert_eq!(world.sent().last(), Some(&format!("m{number}").as_str()));
        world.handle(Input::Acknowledged(
            "a".into(),
            format!("m{number}").into(),
            false,
        ));
    }
    assert_eq!(world.waiting.len(), 1);
    world.answers();
    assert_eq!(world.waiting.len(), 1, "the other nine in one step");
    world.answers();
    assert_eq!(world.hub.directory().counts().queued, 0);
}

/// A device to which a message is on its way, and a store that takes its time from then on.
fn on_its_way() -> World {
    let mut world = World::new();
    world.opens(opening("a", 600));
    world.writes("m1");
    let message = archived(&world, "m1");
    world.handle(Input::Fetched("a".into(), Some(vec![message])));
    assert_eq!(world.sent(), ["m1"]);
    world.mood = StoreMood::Waits;
    world
}

fn queued(world: &World) -> u64 {
    world.hub.directory().counts().queued
}

#[test]
fn what_left_the_queue_of_a_device_that_is_no_more_does_not_count_against_the_next_of_its_name() {
    let mut world = on_its_way();
    let ticket = world.ticket();
    world.handle(Input::Asked(
        ticket,
        Question::ForgetDevice(None, "a".into()),
    ));
    world.opens(opening("a", 600));
    world.writes("m2");
    // Whoever has the name next says so before the store has answered.
    world.handle(Input::Acknowledged("a".into(), "m1".into(), false));
    while !world.waiting.is_empty() {
        world.answers();
    }
    assert_eq!(queued(&world), 1);
}

#[test]
fn nor_does_what_was_on_its_way_to_it_when_the_next_one_has_it() {
    let mut world = on_its_way();
    world.mood = StoreMood::Saves;
    let forgets = Question::ForgetDevice(None, "a".into());
    world.asks(forgets).unwrap();
    world.opens(opening("a", 600));
    world.writes("m2");
    world.handle(Input::Acknowledged("a".into(), "m1".into(), false));
    assert_eq!(queued(&world), 1);
    world.handle(Input::Acknowledged("a".into(), "m2".into(), false));
    assert_eq!(queued(&world), 0);
}

#[test]
fn a_session_is_kept_with_what_its_client_has_though_the_store_refused_to_hear_of_that_before() {
    let mut world = on_its_way();
    world.hub.accounts().put(account_of_bob());
    world.mood = StoreMood::Refuses;
    world.handle(Input::Acknowledged("a".into(), "m1".into(), false));
    world.mood = StoreMood::Saves;
    let ticket = world.ticket();
    let session = domain::KeptSession {
        user: bob(),
        name: "a".to_owned(),
        until: domain::Timestamp(9),
        data: bytes::Bytes::from_static(b"x"),
    };
    world.handle(Input::Session(ticket, Box::new(session)));
    let has_left = |change: &Change| matches!(change, Change::Delivered { .. });
    assert!(world.kept.iter().any(has_left));
    // It is counted once.
    world.writes("m2");
    world.pass(5_000);
    assert_eq!(queued(&world), 1);
}

#[test]
fn what_the_store_has_refused_is_tried_once_more_before_we_stop() {
    let mut world = on_its_way();
    world.mood = StoreMood::Refuses;
    world.handle(Input::Acknowledged("a".into(), "m1".into(), false));
    assert_eq!(queued(&world), 1);
    world.mood = StoreMood::Saves;
    world.stop();
    assert_eq!(queued(&world), 0);
}

fn archived(world: &World, name: &str) -> Arc<domain::Message> {
    let found = world.kept.iter().find_map(|kept| match kept {
        Change::Archive(message) if message.id.as_str() == name => Some(message.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| {
        Arc::new(domain::Message {
            id: name.into(),
            tracking: "t".into(),
            from: "alice@localhost".to_owned(),
            from_name: String::new(),
            to: bob(),
            at: domain::Timestamp(0),
            class: domain::Class::Chat,
            content_type: "text/plain".to_owned(),
            body: bytes::Bytes::from_static(b"hello"),
            about: None,
        })
    })
}

#[test]
fn who_is_silent_and_cannot_be_pushed_to_gets_messages_as_in_the_foreground() {
    for can_be_pushed_to in [false, true] {
        let mut world = World::new();
        let mut opening = opening("a", 600);
        if !can_be_pushed_to {
            opening.push = PushOffer::None;
        }
        world.opens(opening);
        let stated = Input::Stated(bob(), "a".into(), Mode::Suspended);
        world.handle(stated);
        world.writes("m1");
        let message = archived(&world, "m1");
        world.handle(Input::Fetched("a".into(), Some(vec![message])));
        let sent = world.sent().len();
        assert_eq!(sent, usize::from(!can_be_pushed_to));
    }
}

#[test]
fn what_a_device_says_that_is_no_more_does_not_hold_up_the_next_of_its_name() {
    let mut world = World::new();
    let opening = || Opening {
        push: PushOffer::None,
        ..opening("a", 600)
    };
    world.opens(opening());
    world.handle(Input::DoorLeft(bob(), door("a")));
    world.handle(Input::Acknowledged("a".into(), "m0".into(), false));
    world.handle(Input::Refused(door("a"), "m0".into(), String::new()));
    world.writes("m1");
    world.opens(opening());
    let mut said = world.said.iter();
    assert!(said.any(|it| matches!(it, Output::Fetch(_))));
}
