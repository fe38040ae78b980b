//! The story of a call or a message tells what happened, in its order and at its time, for each row of the behaviour
//! table.

use crate::{
    dialogs::{contact, registers},
    peer::uri,
    settings::{SHARDS, address},
    world::World,
};
use domain::{Mode, Outcome, trace::Step};
use hub::{NotDone, Question};
use sip::Flow;
use std::time::Duration;

/// What is told, with the seconds since the beginning of the first.
fn story(world: &mut World) -> Vec<(&'static str, f64)> {
    let story = std::mem::take(&mut world.story);
    let begun = story.first().map(|it| it.at).unwrap_or_default();
    assert!(
        story.iter().all(|it| it.tracking == story[0].tracking),
        "one story"
    );
    story
        .iter()
        .map(|it| (it.step.name(), it.at.since(begun).as_secs_f64()))
        .collect()
}

/// The phone of bob, in this mode, with the flow that leads there.
fn bob_in(world: &mut World, mode: Mode) -> Flow {
    let remote = "10.0.0.20:40000";
    let flow = match mode {
        Mode::Unknown => world.udp(remote),
        _ => world.tcp(remote),
    };
    registers(world, flow, "bob");
    let device = world.devices("bob")[0].device.id.clone();
    match mode {
        Mode::Silent => {
            let mode = Question::SetMode(address("bob"), device, Mode::Suspended);
            world.ask("bob", mode).unwrap();
        }
        Mode::Suspended => world.close(flow),
        Mode::Foreground | Mode::Unknown => {}
    }
    assert_eq!(world.devices("bob")[0].mode, mode);
    world.story.clear();
    flow
}

const MODES: [Mode; 4] = [
    Mode::Foreground,
    Mode::Silent,
    Mode::Suspended,
    Mode::Unknown,
];

#[test]
fn the_story_of_a_call_for_each_mode() {
    for (shards, mode) in SHARDS
        .into_iter()
        .flat_map(|it| MODES.map(|mode| (it, mode)))
    {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let mut bob = bob_in(&mut world, mode);
        world.cloud.holds = true;
        world.invite(alice, "alice", "bob");
        world.pass(Duration::from_millis(200));
        world.cloud_answers();
        world.pass(Duration::from_millis(200));
        if mode == Mode::Suspended {
            bob = world.tcp("10.0.0.20:40001");
            registers(&mut world, bob, "bob");
        }
        let invite = world.take(bob, "INVITE");
        world.answer(bob, &invite, 180, &uri("bob", bob));
        world.pass(Duration::from_secs(1));
        world.answer(bob, &invite, 200, &uri("bob", bob));
        let direct = [
            ("call_received", 0.0),
            ("push_sent", 0.0),
            ("invite_sent", 0.0),
            ("push_accepted", 0.2),
            ("ringing", 0.4),
            ("answered", 1.4),
            ("call_connected", 1.4),
        ];
        let held = [
            ("call_received", 0.0),
            ("invite_held", 0.0),
            ("push_sent", 0.0),
            ("push_accepted", 0.2),
            ("device_returned", 0.4),
            ("invite_sent", 0.4),
            ("ringing", 0.4),
            ("answered", 1.4),
            ("call_connected", 1.4),
        ];
        let told = story(&mut world);
        match mode {
            Mode::Suspended => assert_eq!(told, held),
            _ => assert_eq!(told, direct, "{mode:?}"),
        }
        world.ends_clean();
    }
}

#[test]
fn the_story_of_a_message_for_each_mode() {
    for (shards, mode) in SHARDS
        .into_iter()
        .flat_map(|it| MODES.map(|mode| (it, mode)))
    {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let mut bob = bob_in(&mut world, mode);
        world.cloud.holds = true;
        assert_eq!(world.message(alice, "alice", "bob"), Some(202));
        world.pass(Duration::from_millis(200));
        world.cloud_answers();
        world.pass(Duration::from_millis(200));
        if matches!(mode, Mode::Suspended | Mode::Silent) {
            bob = world.tcp("10.0.0.20:40001");
            registers(&mut world, bob, "bob");
        }
        let message = world.take(bob, "MESSAGE");
        world.answer(bob, &message, 200, &uri("bob", bob));
        let told = story(&mut world);
        match mode {
            Mode::Foreground => assert_eq!(
                told,
                [
                    ("message_stored", 0.0),
                    ("message_sent", 0.0),
                    ("message_delivered", 0.4),
                ]
            ),
            Mode::Unknown => assert_eq!(
                told,
                [
                    ("message_stored", 0.0),
                    ("message_sent", 0.0),
                    ("push_sent", 0.0),
                    ("push_accepted", 0.2),
                    ("message_delivered", 0.4),
                ]
            ),
            _ => assert_eq!(
                told,
                [
                    ("message_stored", 0.0),
                    ("message_queued", 0.0),
                    ("push_sent", 0.0),
                    ("push_accepted", 0.2),
                    ("message_sent", 0.4),
                    ("message_delivered", 0.4),
                ],
                "{mode:?}"
            ),
        }
        world.ends_clean();
    }
}

#[test]
fn the_story_of_a_call_that_nobody_takes() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        bob_in(&mut world, Mode::Suspended);
        world.invite(alice, "alice", "bob");
        world.pass(Duration::from_secs(15));
        let told = story(&mut world);
        let expected = [
            ("call_received", 0.0),
            ("invite_held", 0.0),
            ("push_sent", 0.0),
            ("push_accepted", 0.0),
            ("caller_hears_ringing", 5.0),
            ("wake_failed", 13.0),
            ("call_failed", 13.0),
        ];
        assert_eq!(told[..expected.len().min(told.len())], expected, "{told:?}");
        world.ends_clean();
    }
}

#[test]
fn a_push_is_told_when_it_is_sent_and_its_answer_when_it_comes() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        bob_in(&mut world, Mode::Suspended);
        world.cloud.holds = true;
        world.invite(alice, "alice", "bob");
        let steps: Vec<_> = world.story.iter().map(|it| it.step).collect();
        assert_eq!(
            steps,
            [Step::CallReceived, Step::InviteHeld, Step::PushSent]
        );
        world.ends_clean();
    }
}

#[test]
fn a_message_that_is_not_kept_is_not_told_as_kept() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let bob = bob_in(&mut world, Mode::Foreground);
        world.store.refuses = Some(NotDone::Overloaded);
        world.message(alice, "alice", "bob");
        assert!(world.story.iter().all(|it| it.step != Step::MessageStored));
        let again = contact("bob", bob);
        world.store.refuses = None;
        world.register(bob, "bob", &[&again]);
        assert_eq!(world.heard(bob), [""; 0]);
        world.ends_clean();
    }
}

#[test]
fn the_story_of_a_call_whose_push_is_refused() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        bob_in(&mut world, Mode::Suspended);
        let refused = Outcome::Refused {
            reason: "TopicDisallowed".to_owned(),
        };
        world.cloud.outcomes.insert("bob".to_owned(), refused);
        world.cloud.holds = true;
        world.invite(alice, "alice", "bob");
        world.pass(Duration::from_millis(300));
        world.cloud_answers();
        let told = story(&mut world);
        let expected = [
            ("call_received", 0.0),
            ("invite_held", 0.0),
            ("push_sent", 0.0),
            ("push_failed", 0.3),
            ("wake_failed", 0.3),
            ("call_failed", 0.3),
        ];
        assert_eq!(told[..expected.len().min(told.len())], expected, "{told:?}");
        assert_eq!(world.heard(alice), ["100", "480"]);
        world.ends_clean();
    }
}

#[test]
fn the_story_of_a_call_that_is_taken_back() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let bob = bob_in(&mut world, Mode::Foreground);
        let call = world.invite(alice, "alice", "bob");
        let invite = world.take(bob, "INVITE");
        world.pass(Duration::from_millis(300));
        world.answer(bob, &invite, 180, &uri("bob", bob));
        world.pass(Duration::from_secs(1));
        world.cancel(alice, &call);
        world.take(bob, "CANCEL");
        world.answer(bob, &invite, 487, &uri("bob", bob));
        let told = story(&mut world);
        let expected = [
            ("call_received", 0.0),
            ("push_sent", 0.0),
            ("invite_sent", 0.0),
            ("push_accepted", 0.0),
            ("ringing", 0.3),
            ("caller_cancelled", 1.3),
            ("device_cancelled", 1.3),
            ("call_failed", 1.3),
        ];
        assert_eq!(told, expected);
        world.ends_clean();
    }
}

#[test]
fn the_story_of_a_call_that_is_turned_down_and_goes_on() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        world.add_user("bob", Some("sip:mailbox@10.0.99.1:5060"));
        let bob = bob_in(&mut world, Mode::Unknown);
        world.invite(alice, "alice", "bob");
        let invite = world.take(bob, "INVITE");
        world.pass(Duration::from_millis(300));
        world.answer(bob, &invite, 486, &uri("bob", bob));
        let mailbox = world.udp("10.0.99.1:5060");
        let invite = world.take(mailbox, "INVITE");
        world.pass(Duration::from_millis(300));
        world.answer(mailbox, &invite, 200, &uri("mailbox", mailbox));
        let expected = [
            ("call_received", 0.0),
            ("push_sent", 0.0),
            ("invite_sent", 0.0),
            ("push_accepted", 0.0),
            ("declined", 0.3),
            ("fallback", 0.3),
            ("call_connected", 0.6),
        ];
        assert_eq!(story(&mut world), expected);
        world.ends_clean();
    }
}

#[test]
fn the_story_of_a_message_that_nobody_acknowledges() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let bob = bob_in(&mut world, Mode::Foreground);
        assert_eq!(world.message(alice, "alice", "bob"), Some(202));
        world.pass(Duration::from_secs(6));
        let expected = [
            ("message_stored", 0.0),
            ("message_sent", 0.0),
            ("message_unacknowledged", 5.0),
            ("push_sent", 5.0),
            ("push_accepted", 5.0),
        ];
        assert_eq!(story(&mut world), expected);
        assert!(world.connection_to("10.0.0.20:40000").is_none());
        let back = world.tcp("10.0.0.20:40001");
        registers(&mut world, back, "bob");
        let message = world.take(back, "MESSAGE");
        let first = world.take(bob, "MESSAGE");
        assert_eq!(message.call_id(), first.call_id(), "it is the same message");
        world.answer(back, &message, 200, &uri("bob", back));
        world.ends_clean();
    }
}

#[test]
fn the_story_of_a_call_that_goes_through_another_door() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let (one, two) = crate::bindings::two_doors(&mut world);
        world.invite(alice, "alice", "bob");
        world.pass(Duration::from_millis(300));
        world.close(two);
        let invite = world.take(one, "INVITE");
        world.answer(one, &invite, 200, &uri("bob", one));
        let told = story(&mut world);
        let told: Vec<_> = told
            .into_iter()
            .filter(|(step, _)| !step.starts_with("push"))
            .collect();
        let expected = [
            ("call_received", 0.0),
            ("invite_sent", 0.0),
            ("invite_sent", 0.3),
            ("answered", 0.3),
            ("call_connected", 0.3),
        ];
        assert_eq!(told, expected);
        world.ends_clean();
    }
}
