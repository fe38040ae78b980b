//! Calls, and the doors through which they go.

use crate::world::{StoreMood, World, door, opening};
use domain::{DoorState, Outcome, wake::Failure, wake::Verdict};
use hub::{CallEnd, Input, Output, PushRef, Pushed};

fn asleep() -> World {
    let mut world = World::new();
    world.opens(opening("a", 600));
    world.handle(Input::DoorLost(door("a"), DoorState::Down));
    world
}

#[test]
fn a_call_goes_to_a_phone_that_registers_before_its_registration_is_saved() {
    let mut world = asleep();
    let call = world.calls(1);
    assert_eq!(world.pushes.len(), 1);
    assert!(world.rung(call).is_empty());
    world.mood = StoreMood::Waits;
    let ticket = world.opens(opening("a", 600));
    assert_eq!(world.rung(call), [&"a".into()]);
    assert_eq!(world.answer_to(ticket), None, "the 200 waits for the disk");
}

#[test]
fn a_call_that_comes_while_a_registration_is_being_saved_leaves_when_it_is() {
    let mut world = asleep();
    world.mood = StoreMood::Waits;
    world.opens(opening("a", 600));
    let call = world.calls(1);
    assert!(world.rung(call).is_empty());
    world.answers();
    assert_eq!(world.rung(call), [&"a".into()], "once");
}

#[test]
fn a_device_whose_second_door_is_open_is_tried_there_when_the_first_fails() {
    let mut world = World::new();
    world.opens(opening("a", 600));
    let mut second = opening("a", 600);
    second.door.number = 2;
    world.opens(second);
    let call = world.calls(1);
    let rung = |world: &World| -> Vec<u32> {
        let rung = world.said.iter().filter_map(|said| match said {
            Output::Ring(_, door) => Some(door.number),
            _ => None,
        });
        rung.collect()
    };
    assert_eq!(rung(&world), [2], "one door, the newest");
    let mut first = door("a");
    first.number = 2;
    let failed = Input::Failed(call, first, Failure::Unreachable, "503".to_owned());
    world.handle(failed);
    assert_eq!(rung(&world), [2, 0]);
}

#[test]
fn a_call_does_not_go_through_a_door_for_messages_alone() {
    let chat = |device: &str| {
        let mut chat = opening(device, 600);
        chat.door.number = 9;
        chat.rings = None;
        chat.push = hub::PushOffer::None;
        chat
    };
    // A device that is there to chat and nothing else is not waited for.
    let mut world = World::new();
    world.opens(chat("desk"));
    let call = world.calls(1);
    assert!(world.rung(call).is_empty());
    let given_up = Output::GiveUp(call, Verdict::Unreachable);
    assert!(
        world
            .said
            .iter()
            .any(|said| format!("{said:?}") == format!("{given_up:?}"))
    );

    // One that does both rings once, and is pushed to while it only chats.
    let mut world = asleep();
    world.opens(chat("a"));
    let call = world.calls(1);
    assert_eq!(world.pushes.len(), 1);
    assert!(
        world.rung(call).is_empty(),
        "it is there to chat, and asleep for calls"
    );
    world.opens(chat("a"));
    assert!(world.rung(call).is_empty());
    world.opens(opening("a", 600));
    assert_eq!(world.rung(call), [&"a".into()]);
}

#[test]
fn a_dead_token_is_not_pushed_to_from_the_moment_that_it_is_known() {
    let mut world = asleep();
    let call = world.calls(1);
    world.mood = StoreMood::Waits;
    let order = world.pushes.pop().unwrap();
    world.handle(Input::Pushed(Pushed {
        push: PushRef::Call(call),
        device: order.device,
        token: order.notification.token.into(),
        outcome: Outcome::TokenDead {
            since: None,
            reason: "Unregistered".to_owned(),
        },
    }));
    world.calls(2);
    assert!(world.pushes.is_empty());
    let given_up = world
        .said
        .iter()
        .filter(|said| matches!(said, Output::GiveUp(_, Verdict::Unreachable)));
    assert_eq!(given_up.count(), 2);
}

#[test]
fn calls_are_pushed_however_many_messages_are() {
    let mut world = World::with(|config| config.pushes_in_flight = 1);
    world.opens(opening("a", 600));
    world.handle(Input::DoorLost(door("a"), DoorState::Down));
    world.writes("m1");
    assert_eq!(world.pushes.len(), 1, "the outbox has no more room");
    world.calls(1);
    assert_eq!(world.pushes.len(), 2);
}

#[test]
fn a_finished_call_leaves_nothing() {
    let mut world = World::new();
    world.opens(opening("a", 600));
    let call = world.calls(1);
    world.handle(Input::Answered(call, "a".into()));
    world.handle(Input::CallDone(call, CallEnd::Connected("200".into())));
    assert!(
        world
            .said
            .iter()
            .any(|said| matches!(said, Output::CallOver(it) if *it == call))
    );
    assert_eq!(world.hub.load().calls, 0);
}
