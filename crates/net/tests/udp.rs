//! SIP over UDP: batches, order, keep-alives, answers to what cannot be parsed.

// By the name that it has everywhere else in the workspace.
extern crate reveille_net as net;

mod common;

use common::{call_id, event, loopback, message, options, transmit, udp_net};
use net::{Config, Event, Net};
use sip::endpoint::Transport;
use tokio::net::UdpSocket;

#[tokio::test]
async fn datagrams_of_one_peer_keep_their_order_in_and_out() {
    let (net, mut events, address) = udp_net().await;
    let peer = UdpSocket::bind(loopback()).await.unwrap();
    peer.connect(address).await.unwrap();
    for n in 0..100 {
        peer.send(options(&format!("call-{n}"), "").as_bytes())
            .await
            .unwrap();
    }
    for n in 0..100 {
        let (flow, message) = message(&mut events).await;
        assert_eq!(call_id(&message), format!("call-{n}"));
        assert_eq!(
            (flow.transport, flow.remote),
            (Transport::Udp, peer.local_addr().unwrap())
        );
        net.send(transmit(flow, format!("answer {n}")));
    }
    net.flush();
    let mut buffer = [0; 100];
    for n in 0..100 {
        let length = peer.recv(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], format!("answer {n}").as_bytes());
    }
    assert_eq!(net.stats().received, 100);
}

#[tokio::test]
async fn waiting_for_events_sends_what_is_queued() {
    let (net, mut events, _) = udp_net().await;
    let peer = UdpSocket::bind(loopback()).await.unwrap();
    let flow = net.connect(Transport::Udp, peer.local_addr().unwrap());
    net.send(transmit(flow, options("queued", "")));
    tokio::spawn(async move { events.recv().await });
    let mut buffer = [0; 1_000];
    let (length, from) = peer.recv_from(&mut buffer).await.unwrap();
    assert_eq!(buffer[..length], *options("queued", "").as_bytes());
    assert_eq!(from, net.addresses().udp[0]);
}

#[tokio::test]
async fn keep_alive_datagrams_are_ignored() {
    let (net, mut events, address) = udp_net().await;
    let peer = UdpSocket::bind(loopback()).await.unwrap();
    for keep_alive in ["\r\n\r\n", "\0\0\0\0", "", "\r\n"] {
        peer.send_to(keep_alive.as_bytes(), address).await.unwrap();
    }
    peer.send_to(options("real", "").as_bytes(), address)
        .await
        .unwrap();
    assert_eq!(call_id(&message(&mut events).await.1), "real");
    assert_eq!(net.stats().malformed, 0);
}

#[tokio::test]
async fn a_malformed_datagram_is_answered_and_counted() {
    let (net, mut events, address) = udp_net().await;
    let peer = UdpSocket::bind(loopback()).await.unwrap();
    let bad = options("bad", "").replace("Content-Length: 0", "Content-Length: 1000");
    peer.send_to(bad.as_bytes(), address).await.unwrap();
    assert!(matches!(event(&mut events).await, Event::Malformed { .. }));
    net.flush();
    let mut buffer = [0; 1_000];
    let length = peer.recv(&mut buffer).await.unwrap();
    let answer = std::str::from_utf8(&buffer[..length]).unwrap();
    assert!(answer.starts_with("SIP/2.0 400 "), "{answer}");
    assert!(answer.contains("Call-ID: bad"), "{answer}");
    assert_eq!(net.stats().malformed, 1);
}

#[tokio::test]
async fn a_datagram_with_no_way_out_closes_its_flow() {
    let (net, mut events, _) = udp_net().await;
    let flow = net.connect(Transport::Udp, "[::1]:5060".parse().unwrap());
    net.send(transmit(flow, options("lost", "")));
    assert_eq!(common::closed(&mut events).await, flow);
}

#[tokio::test]
async fn a_datagram_that_is_too_long_is_lost_and_says_nothing_of_its_peer() {
    let (net, mut events, _) = udp_net().await;
    let peer = UdpSocket::bind(loopback()).await.unwrap();
    let flow = net.connect(Transport::Udp, peer.local_addr().unwrap());
    net.send(transmit(flow, vec![b'x'; 65_508]));
    net.send(transmit(flow, options("next", "")));
    net.flush();
    let mut buffer = [0; 1_000];
    let length = peer.recv(&mut buffer).await.unwrap();
    assert_eq!(buffer[..length], *options("next", "").as_bytes());
    assert!(events.try_recv().is_none());
    assert_eq!(net.stats().dropped, 1);
}

#[tokio::test]
async fn an_outgoing_datagram_leaves_from_the_socket_that_fits_its_route() {
    let config = Config {
        udp: vec![loopback(), "127.0.0.2:0".parse().unwrap()],
        ..Config::default()
    };
    let (net, _events) = Net::bind(config).await.unwrap();
    let flow = net.connect(Transport::Udp, "127.0.0.1:5060".parse().unwrap());
    assert_eq!(flow.local, net.addresses().udp[0]);
}

#[tokio::test]
async fn a_datagram_that_cannot_be_sent_is_told_and_counted_once() {
    let (net, mut events, _) = udp_net().await;
    // Nobody has allowed the socket to broadcast.
    let nowhere = net.connect(Transport::Udp, "255.255.255.255:5060".parse().unwrap());
    net.send(transmit(nowhere, options("lost", "")));
    net.flush();
    assert!(matches!(event(&mut events).await, Event::Closed { flow } if flow == nowhere));
    assert_eq!(net.stats().dropped, 1);
}
