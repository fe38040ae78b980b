//! The story of every row of the behaviour table: its steps, in their order, each at its time.

use std::time::Duration;

use lab::phone::machine::Order;
use lab::plays::{Client, JABBER_DROID};
use lab::sim::whole::Stage;
use sip::endpoint::Transport::{Tcp, Udp};

use crate::programme::*;

/// What a device does when it is called or written to (`behaviour.md` 3).
#[derive(Clone, Copy, Debug)]
enum Mode {
    Foreground,
    /// The app has said so by the device API; its connection is up.
    Silent,
    Suspended,
    /// Over UDP nobody can tell.
    Unknown,
}

/// A step, and how many milliseconds after the first one.
type Told = (&'static str, u128);

/// What is told of a call that a cloud takes 60 ms to bring to a sleeping phone, and that is answered after a second.
const CALLS: [(Mode, &[Told]); 4] = [
    (
        Mode::Foreground,
        &[
            ("call_received", 0),
            ("push_sent", 0),
            ("invite_sent", 0),
            ("ringing", 40),
            ("push_accepted", 60),
            ("answered", 960),
            ("call_connected", 960),
        ],
    ),
    (
        Mode::Silent,
        // It reads its connection only when the push has woken it.
        &[
            ("call_received", 0),
            ("push_sent", 0),
            ("invite_sent", 0),
            ("push_accepted", 60),
            ("ringing", 80),
            ("answered", 960),
            ("call_connected", 960),
        ],
    ),
    (
        Mode::Suspended,
        &[
            ("call_received", 0),
            ("invite_held", 0),
            ("push_sent", 0),
            ("push_accepted", 60),
            ("device_returned", 100),
            ("invite_sent", 100),
            ("ringing", 140),
            ("answered", 960),
            ("call_connected", 960),
        ],
    ),
    (
        Mode::Unknown,
        &[
            ("call_received", 0),
            ("push_sent", 0),
            ("invite_sent", 0),
            ("push_accepted", 60),
            ("device_returned", 80),
            ("invite_sent", 80),
            ("ringing", 120),
            ("answered", 960),
            ("call_connected", 960),
        ],
    ),
];

/// What is told of a message whose recipient opens the app 40 s later.
const MESSAGES: [(Mode, &[Told]); 4] = [
    (
        Mode::Foreground,
        &[
            ("message_stored", 0),
            ("message_sent", 0),
            ("message_delivered", 40),
        ],
    ),
    (
        Mode::Silent,
        &[
            ("message_stored", 0),
            ("message_queued", 0),
            ("push_sent", 0),
            ("push_accepted", 60),
            ("message_sent", 39_960),
            ("message_delivered", 40_000),
        ],
    ),
    (
        Mode::Suspended,
        &[
            ("message_stored", 0),
            ("message_queued", 0),
            ("push_sent", 0),
            ("push_accepted", 60),
            ("message_sent", 39_980),
            ("message_delivered", 40_020),
        ],
    ),
    (
        Mode::Unknown,
        // The app says that it is in front, and in the same moment that it is elsewhere.
        &[
            ("message_stored", 0),
            ("message_sent", 0),
            ("push_sent", 0),
            ("push_accepted", 60),
            ("message_unacknowledged", 5_000),
            ("push_skipped", 5_000),
            ("message_sent", 39_960),
            ("message_sent", 39_960),
            ("message_delivered", 40_000),
        ],
    ),
];

/// Bob's Android in this mode.
fn in_mode(mode: Mode, shards: usize) -> Stage {
    let transport = match mode {
        Mode::Unknown => Udp,
        _ => Tcp,
    };
    let mut stage = stage(
        &Client {
            transport,
            ..JABBER_DROID
        },
        shards,
    );
    match mode {
        Mode::Foreground => {}
        Mode::Silent => stage.order(BOB, Order::Background).unwrap(),
        Mode::Suspended | Mode::Unknown => stage.order(BOB, Order::Suspend).unwrap(),
    }
    run(&mut stage, SECOND);
    stage
}

fn story(stage: &Stage, since: Duration) -> Vec<Told> {
    let told: Vec<_> = stage.stories().skip_while(|(at, _)| *at < since).collect();
    let first = told.first().map_or(since, |(at, _)| *at);
    told.into_iter()
        .map(|(at, event)| (event.step.name(), (at - first).as_millis()))
        .collect()
}

#[test]
fn each_step_of_a_call_is_told_when_it_happens_in_every_mode() {
    for ((mode, expected), shards) in CALLS.into_iter().flat_map(|it| SHARDS.map(|of| (it, of))) {
        let mut stage = in_mode(mode, shards);
        let (call, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        stage.order(BOB, Order::Answer(call.clone())).unwrap();
        run(&mut stage, SECOND);
        assert_eq!(story(&stage, began), expected, "{mode:?}, {shards} shards");
        stage.order(ALICE, Order::Hangup(call)).unwrap();
        stage.ends().unwrap();
    }
}

#[test]
fn each_step_of_a_message_is_told_when_it_happens_in_every_mode() {
    for ((mode, expected), shards) in MESSAGES
        .into_iter()
        .flat_map(|it| SHARDS.map(|of| (it, of)))
    {
        let mut stage = in_mode(mode, shards);
        let began = stage.now();
        write(&mut stage, ALICE, "bob", "Hello");
        run(&mut stage, SECOND.saturating_mul(40));
        stage.order(BOB, Order::Resume).unwrap();
        run(&mut stage, SECOND);
        assert_eq!(story(&stage, began), expected, "{mode:?}, {shards} shards");
        stage.ends().unwrap();
    }
}
