//! Phones that move: to the server another place is another flow. One that registers over TLS comes by an edge after it moved
//! (`Handset::is_outside`), the others from another address.

use std::time::Instant;

use domain::TraceEvent;
use domain::trace::Step;
use lab::phone::PhoneEvent;
use lab::phone::machine::Order;
use lab::plays::{Client, JABBER_13, Play, WEBEX_13};
use lab::sim::whole::{DOMAIN, Stage};
use sip::endpoint::Transport;

use crate::programme::*;

const TEXTS: [&str; 2] = ["Are you in the office?", "Or on your way home?"];

fn chat(stage: &mut Stage, text: &str) {
    let uri = format!("xmpp:bob@{DOMAIN}");
    let text = text.to_owned();
    stage.order(ALICE, Order::Send { uri, text }).unwrap();
}

fn read(stage: &Stage) -> Vec<&str> {
    let texts = stage.seen(BOB).filter_map(|(_, event)| match event {
        PhoneEvent::MessageReceived { text, .. } => Some(text.as_str()),
        PhoneEvent::DuplicateMessageDropped { .. } => Some("again"),
        _ => None,
    });
    texts.collect()
}

/// A call that is up.
fn begun(stage: &mut Stage) -> String {
    let (call, _) = call(stage, ALICE, "bob");
    run(stage, SECOND);
    stage.order(BOB, Order::Answer(call.clone())).unwrap();
    run(stage, SECOND);
    call
}

fn saw(stage: &Stage, who: usize, wanted: &PhoneEvent) -> bool {
    stage.seen(who).any(|(_, event)| event == wanted)
}

pub fn a_phone_that_moves_asleep_is_woken_where_it_is() {
    for (client, shards) in casts_of(Play::SuspendedCall) {
        let mut stage = stage(&client, shards);
        stage.order(BOB, Order::Suspend).unwrap();
        run(&mut stage, SECOND);
        stage.order(BOB, Order::ChangeNetwork).unwrap();
        let (call, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        assert!(when(&stage, BOB, began, rings).is_some(), "{client:?}");
        assert_eq!(comes_by_edge(&stage), is_by_edge(&client), "{client:?}");
        talk(&mut stage, ALICE, BOB, &call);
        stage.ends().unwrap();
    }
}

/// Whether anything went to a phone by an edge.
fn comes_by_edge(stage: &Stage) -> bool {
    let to_phone = |event: &TraceEvent| event.step == Step::ByEdge && event.device.is_some();
    stage.stories().any(|(_, event)| to_phone(event))
}

/// Whether a client that has moved is outside.
fn is_by_edge(client: &Client) -> bool {
    client.transport == Transport::Tls
}

pub fn a_phone_that_moves_in_a_call_is_found_there_and_either_can_end_it() {
    for (client, shards) in casts_of(Play::SuspendedCall) {
        for (says, ends) in [(BOB, ALICE), (ALICE, BOB)] {
            let mut stage = stage(&client, shards);
            let call = begun(&mut stage);
            assert!(!comes_by_edge(&stage), "{client:?}");
            stage.order(BOB, Order::ChangeNetwork).unwrap();
            run(&mut stage, SECOND);
            stage.order(says, Order::Renew).unwrap();
            run(&mut stage, SECOND);
            let hears = if says == BOB { ALICE } else { BOB };
            let renewed = PhoneEvent::Renewed { call: call.clone() };
            assert!(saw(&stage, hears, &renewed), "{client:?}");
            stage.order(ends, Order::Hangup(call.clone())).unwrap();
            run(&mut stage, SECOND);
            let other = if ends == BOB { ALICE } else { BOB };
            let over = PhoneEvent::Ended { call, by_us: false };
            assert!(saw(&stage, other, &over), "{client:?}");
            stage.ends().unwrap();
        }
    }
}

/// Alice with both doors, and Bob with this client, added so.
fn stage_by_xmpp(
    add: fn(&mut Stage, &str, &Client) -> usize,
    client: &Client,
    shards: usize,
) -> Stage {
    let mut stage = Stage::new(Instant::now(), shards, &["alice", "bob", "carol"]);
    add_by_xmpp(&mut stage, "alice", &JABBER_13);
    add(&mut stage, "bob", client);
    run(&mut stage, SECOND);
    stage
}

pub fn a_client_that_moves_asleep_goes_on_where_it_was_and_misses_nothing() {
    for shards in SHARDS {
        let mut stage = stage_by_xmpp(add_called_by_xmpp, &WEBEX_13, shards);
        stage.order(BOB, Order::Suspend).unwrap();
        run(&mut stage, SECOND);
        stage.order(BOB, Order::ChangeNetwork).unwrap();
        chat(&mut stage, TEXTS[0]);
        let (_, began) = offer(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        assert!(when(&stage, BOB, began, rings).is_some());
        assert!(when(&stage, BOB, began, resumed).is_some());
        assert_eq!(read(&stage), &TEXTS[..1]);
        stage.ends().unwrap();
    }
}

pub fn a_phone_with_both_doors_moves_in_front_and_nothing_is_lost_or_comes_twice() {
    for shards in SHARDS {
        let mut stage = stage_by_xmpp(add_by_xmpp, &JABBER_13, shards);
        chat(&mut stage, TEXTS[0]);
        run(&mut stage, SECOND);
        let moved = stage.now();
        stage.order(BOB, Order::ChangeNetwork).unwrap();
        chat(&mut stage, TEXTS[1]);
        run(&mut stage, SECOND);
        assert!(when(&stage, BOB, moved, resumed).is_some());
        assert_eq!(read(&stage), TEXTS);
        let (call, began) = call(&mut stage, ALICE, "bob");
        run(&mut stage, SECOND);
        assert!(when(&stage, BOB, began, rings).is_some());
        assert_eq!(comes_by_edge(&stage), is_by_edge(&JABBER_13));
        talk(&mut stage, ALICE, BOB, &call);
        stage.ends().unwrap();
    }
}

fn resumed(event: &PhoneEvent) -> bool {
    matches!(event, PhoneEvent::SignedIn { resumed: true, .. })
}
