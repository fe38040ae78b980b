use std::time::Duration;

use lab::sim::Plan;
use sip::endpoint::Transport;

use crate::wire::{LATENCY, Wire, phone, server};

#[test]
fn a_datagram_takes_its_time_and_its_answer_finds_the_way_back() {
    let mut wire = Wire::new(Plan::CALM, 1);
    let flow = wire.connect(Transport::Udp);
    wire.send(flow, "ask");
    let [(at, there, text)] = &wire.arrivals()[..] else {
        panic!("not one arrival")
    };
    assert_eq!((*at, text.as_deref()), (LATENCY, Some("ask")));
    assert_eq!((there.local, there.remote), (server(), phone()));
    wire.send(*there, "answer");
    assert_eq!(wire.heard_by(phone()), ["answer"]);
}

#[test]
fn a_closed_socket_hears_nothing() {
    let mut wire = Wire::new(Plan::CALM, 1);
    let flow = wire.connect(Transport::Udp);
    wire.send(flow, "ask");
    let (_, there, _) = wire.arrivals().remove(0);
    wire.send(there, "answer");
    wire.network.close(wire.now, flow);
    assert_eq!(wire.heard_by(phone()), [""; 0]);
}

#[test]
fn datagrams_are_lost_doubled_and_overtaken_as_often_as_planned() {
    let plan = Plan {
        latency: (Duration::from_millis(10), Duration::from_millis(50)),
        loss: 100,
        duplicate: 200,
        straggle: 10,
        straggle_by: Duration::from_secs(2),
        ..Plan::CALM
    };
    let mut wire = Wire::new(plan, 7);
    let flow = wire.connect(Transport::Udp);
    for _ in 0..1_000 {
        wire.send(flow, "first");
        wire.send(flow, "second");
    }
    let arrivals = wire.arrivals();
    let expected = 2_000 * 9 / 10 * 12 / 10;
    assert!(arrivals.len().abs_diff(expected) < expected / 20);
    let texts: Vec<_> = arrivals.iter().map(|(.., text)| text).collect();
    assert!(texts.windows(2).any(|two| two[0] == two[1]), "one overtook");
    let late = |(at, ..): &&(Duration, _, _)| *at > Duration::from_millis(50);
    let late = arrivals.iter().filter(late).count();
    assert!((5..50).contains(&late), "{late} late");
}
