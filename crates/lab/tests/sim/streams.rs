use std::time::Duration;

use lab::sim::Plan;
use sip::endpoint::Transport;

use crate::wire::{LATENCY, Wire, other_end, phone, server};

/// Every stream breaks at the first word; `half_open` of a thousand without telling everybody.
fn breaking(half_open: u16) -> Plan {
    Plan {
        breaks: 1_000,
        half_open,
        ..Plan::CALM
    }
}

#[test]
fn what_is_sent_waits_for_the_stream_to_open_and_keeps_its_order() {
    let plan = Plan {
        latency: (Duration::from_millis(1), Duration::from_millis(500)),
        ..Plan::CALM
    };
    for seed in 0..20 {
        let mut wire = Wire::new(plan, seed);
        let flow = wire.connect(Transport::Tls);
        let words = ["1", "2", "3", "4", "5", "6", "7", "8"];
        for word in words {
            wire.send(flow, word);
        }
        wire.network.close(wire.now, flow);
        let heard = wire.heard_by(server());
        assert_eq!(heard, ["1", "2", "3", "4", "5", "6", "7", "8", "-"]);
        assert_eq!(wire.network.streams(), 0, "both ends know");
    }
}

#[test]
fn a_stream_opens_in_one_round_trip_and_two_between_the_same_addresses_are_two() {
    let mut wire = Wire::new(Plan::CALM, 1);
    let flow = wire.connect(Transport::Tcp);
    let again = wire.connect(Transport::Tcp);
    assert_ne!(flow, again);
    wire.send(flow, "hello");
    let (at, there, _) = wire.arrivals().remove(0);
    assert_eq!(at, 2 * LATENCY);
    assert_eq!(there, other_end(flow));
}

#[test]
fn nobody_who_listens_is_a_closed_stream() {
    let mut wire = Wire::new(Plan::CALM, 1);
    wire.network.unbind(wire.now, server());
    let flow = wire.connect(Transport::Tcp);
    wire.send(flow, "hello");
    assert_eq!(wire.heard_by(phone()), ["-"]);
    assert_eq!(wire.network.streams(), 0);
}

#[test]
fn a_process_that_is_gone_ends_its_streams() {
    let mut wire = Wire::new(Plan::CALM, 1);
    let flow = wire.connect(Transport::Tcp);
    wire.send(flow, "hello");
    wire.arrivals();
    wire.send(flow, "too late");
    wire.network.unbind(wire.now, server());
    let arrivals = wire.arrivals();
    assert_eq!(arrivals.len(), 1);
    assert_eq!((arrivals[0].1, &arrivals[0].2), (flow, &None));
    assert_eq!(wire.network.streams(), 0);
}

#[test]
fn a_stream_that_breaks_tells_both_ends() {
    let mut wire = Wire::new(breaking(0), 1);
    let flow = wire.connect(Transport::Tcp);
    wire.send(flow, "hello");
    let arrivals = wire.arrivals();
    let mut told: Vec<_> = arrivals
        .iter()
        .map(|(_, flow, text)| (*flow, text))
        .collect();
    told.sort_by_key(|(flow, _)| flow.id);
    assert_eq!(told, [(flow, &None), (other_end(flow), &None)]);
    assert_eq!(wire.network.streams(), 0);
}

#[test]
fn a_half_open_stream_never_tells_an_end_which_sends_into_the_void() {
    let mut untold = std::collections::BTreeSet::new();
    for seed in 0..30 {
        let mut wire = Wire::new(breaking(1_000), seed);
        let flow = wire.connect(Transport::Tcp);
        wire.send(flow, "hello");
        let told: Vec<_> = wire
            .arrivals()
            .iter()
            .map(|(_, flow, _)| flow.local)
            .collect();
        assert!(told.len() < 2);
        untold.insert(told);
        wire.network.set_plan(Plan::CALM);
        for end in [flow, other_end(flow)] {
            wire.send(end, "anybody there?");
            wire.network.close(wire.now, end);
        }
        assert!(wire.arrivals().is_empty());
        assert_eq!(wire.network.streams(), 0);
    }
    assert_eq!(untold.len(), 3, "either end, or none, was told");
}

#[test]
fn an_end_that_vanishes_sends_no_fin() {
    let mut wire = Wire::new(Plan::CALM, 1);
    let flow = wire.connect(Transport::Tcp);
    wire.send(flow, "hello");
    wire.network.vanish(flow);
    let (_, there, _) = wire.arrivals().remove(0);
    wire.send(there, "anybody there?");
    assert!(wire.arrivals().is_empty());
    assert_eq!(wire.network.streams(), 1, "the server takes it for open");
}
