//! Several shards over one set of sockets: each message reaches its own, and what a shard sends leaves by itself.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

// By the name that it has everywhere else in the workspace.
extern crate reveille_net as net;

mod common;

use std::collections::HashSet;
use std::sync::Arc;

use common::{call_id, closed, event, loopback, message, options, transmit, write};
use net::{Config, Event, Events, Held, Limits, Net, Standing, Steer, Visitor};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;

const SHARDS: usize = 3;

/// By the number at the end of the Call-ID.
fn steer() -> Steer {
    Arc::new(|_, message| {
        let digits = message.call_id().unwrap().rsplit('-').next().unwrap();
        digits.parse().unwrap()
    })
}

async fn sharded(limits: Limits) -> (Net, Vec<Events>) {
    let config = Config {
        udp: vec![loopback()],
        tcp: vec![loopback()],
        limits,
        ..Config::default()
    };
    Net::bind_sharded(config, SHARDS, steer()).await.unwrap()
}

#[tokio::test]
async fn datagrams_reach_their_shards_in_order_and_are_answered_from_the_same_address() {
    let (net, mut events) = sharded(Limits::default()).await;
    let address = net.addresses().udp[0];
    let peer = UdpSocket::bind(loopback()).await.unwrap();
    peer.connect(address).await.unwrap();
    for n in 0..90 {
        let text = options(&format!("call-{n}"), "");
        peer.send(text.as_bytes()).await.unwrap();
    }
    for (shard, events) in events.iter_mut().enumerate() {
        let net = net.for_shard(shard);
        for n in (shard..90).step_by(SHARDS) {
            let (flow, message) = message(events).await;
            assert_eq!(call_id(&message), format!("call-{n}"));
            assert_eq!(flow.local, address);
            net.send(transmit(flow, format!("answer {shard}")));
        }
        net.flush();
        let mut buffer = [0; 100];
        for _ in 0..90 / SHARDS {
            let length = peer.recv(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], format!("answer {shard}").as_bytes());
        }
    }
    assert_eq!(net.stats().received, 90);
}

#[tokio::test]
async fn every_peer_is_heard_whichever_socket_the_kernel_gives_it_to() {
    let (net, mut events) = sharded(Limits::default()).await;
    let mut peers = HashSet::new();
    // Held on to, so that no two get one port.
    let mut sockets = Vec::new();
    for _ in 0..50 {
        let peer = UdpSocket::bind(loopback()).await.unwrap();
        let text = options("call-1", "");
        peer.send_to(text.as_bytes(), net.addresses().udp[0])
            .await
            .unwrap();
        peers.insert(peer.local_addr().unwrap());
        sockets.push(peer);
    }
    for _ in 0..50 {
        let (flow, _) = message(&mut events[1]).await;
        assert!(peers.remove(&flow.remote));
    }
    assert!(events[0].try_recv().is_none());
    assert!(events[2].try_recv().is_none());
}

#[tokio::test]
async fn one_connection_serves_several_shards_and_each_hears_of_its_end() {
    let (net, mut events) = sharded(Limits::default()).await;
    let mut peer = TcpStream::connect(net.addresses().tcp[0]).await.unwrap();
    let both = [options("a-0", ""), options("b-2", ""), options("c-0", "")].concat();
    write(&mut peer, &both).await;
    assert_eq!(call_id(&message(&mut events[0]).await.1), "a-0");
    assert_eq!(call_id(&message(&mut events[0]).await.1), "c-0");
    let (flow, from_shard_2) = message(&mut events[2]).await;
    assert_eq!(call_id(&from_shard_2), "b-2");
    drop(peer);
    for events in &mut events {
        assert_eq!(closed(events).await, flow);
    }
}

#[tokio::test]
async fn a_shard_that_is_full_loses_nothing_and_holds_up_no_other_connection() {
    let limits = Limits {
        events: 2,
        ..Limits::default()
    };
    let (net, mut events) = sharded(limits).await;
    let mut busy = TcpStream::connect(net.addresses().tcp[0]).await.unwrap();
    let many: String = (0..20).map(|n| options(&format!("{n}-0"), "")).collect();
    write(&mut busy, &many).await;
    let mut other = TcpStream::connect(net.addresses().tcp[0]).await.unwrap();
    write(&mut other, &options("x-1", "")).await;
    assert_eq!(call_id(&message(&mut events[1]).await.1), "x-1");
    for n in 0..20 {
        assert_eq!(call_id(&message(&mut events[0]).await.1), format!("{n}-0"));
    }
}

#[tokio::test]
async fn a_shard_beyond_the_last_wraps_around() {
    let (net, mut events) = sharded(Limits::default()).await;
    let mut peer = TcpStream::connect(net.addresses().tcp[0]).await.unwrap();
    write(&mut peer, &options("far-4", "")).await;
    assert_eq!(call_id(&message(&mut events[1]).await.1), "far-4");
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_and_told_once() {
    let (net, mut events) = sharded(Limits::default()).await;
    let peer = UdpSocket::bind(loopback()).await.unwrap();
    let bad = options("bad-1", "").replace("Content-Length: 0", "Content-Length: 9");
    peer.send_to(bad.as_bytes(), net.addresses().udp[0])
        .await
        .unwrap();
    assert!(matches!(
        event(&mut events[0]).await,
        Event::Malformed { .. }
    ));
    let mut buffer = [0; 1_000];
    let length = peer.recv(&mut buffer).await.unwrap();
    assert!(buffer[..length].starts_with(b"SIP/2.0 400 "));
}

#[tokio::test]
async fn an_address_that_is_shared_out_is_still_in_use_for_others() {
    let (net, _events) = sharded(Limits::default()).await;
    let config = Config {
        udp: net.addresses().udp.clone(),
        ..Config::default()
    };
    let again = Net::bind_sharded(config, SHARDS, steer()).await;
    assert!(matches!(again, Err(net::BindError::InUse { .. })));
}

#[tokio::test]
async fn the_end_of_one_shard_is_the_end_of_all() {
    let (_net, mut events) = sharded(Limits::default()).await;
    drop(events.pop());
    assert!(events[0].recv().await.is_none());
    assert!(events[1].recv().await.is_none());
}

/// Without queues, with as many places of strangers as there are, and what the taker is given.
async fn unqueued() -> (Net, mpsc::UnboundedReceiver<(Event, Held)>) {
    let config = Config {
        tcp: vec![loopback()],
        limits: Limits {
            strangers: 1,
            ..Limits::default()
        },
        doorman: Some(Arc::new(|source| Visitor {
            source,
            standing: Standing::Stranger,
        })),
        ..Config::default()
    };
    let net = Net::bind_unqueued(config).await.unwrap();
    let (taken, takes) = mpsc::unbounded_channel();
    net.take_by(Arc::new(move |event, held| {
        taken.send((event, held)).unwrap();
    }));
    (net, takes)
}

#[tokio::test]
async fn what_a_taker_holds_keeps_its_own_connection_back_and_nobody_else() {
    let (net, mut takes) = unqueued().await;
    let at = net.addresses().tcp[0];
    let mut first = TcpStream::connect(at).await.unwrap();
    write(&mut first, &options("first", "")).await;
    let (event, held) = takes.recv().await.unwrap();
    assert!(matches!(event, Event::Message { .. }));
    write(&mut first, &options("behind", "")).await;
    let mut second = TcpStream::connect(at).await.unwrap();
    write(&mut second, &options("second", "")).await;
    let came = |event: Event| match event {
        Event::Message { message, .. } => call_id(&message),
        other => panic!("{other:?}"),
    };
    let (event, _other) = takes.recv().await.unwrap();
    assert_eq!(came(event), "second");
    drop(held);
    let (event, _held) = takes.recv().await.unwrap();
    assert_eq!(came(event), "behind");
    net.shutdown().await;
}

#[tokio::test]
async fn a_taker_hears_of_every_connection_that_a_stop_ends() {
    let (net, mut takes) = unqueued().await;
    let mut peer = TcpStream::connect(net.addresses().tcp[0]).await.unwrap();
    write(&mut peer, &options("first", "")).await;
    let (event, held) = takes.recv().await.unwrap();
    drop((event, held));
    net.shutdown().await;
    let last = takes.recv().await.map(|(event, _)| event);
    assert!(matches!(last, Some(Event::Closed { .. })), "{last:?}");
}
