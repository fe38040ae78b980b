//! SIP over TCP: framing, keep-alives, limits, outgoing connections, and an end without leftovers.

// By the name that it has everywhere else in the workspace.
extern crate reveille_net as net;

mod common;

use std::time::Duration;

use common::{
    call_id, closed, event, loopback, message, options, read_to_close, read_until, tcp_net,
    transmit, write,
};
use net::{Event, Limits};
use sip::endpoint::Transport;
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn messages_split_at_every_place_arrive_whole() {
    let (_net, mut events, address) = tcp_net(Limits::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.set_nodelay(true).unwrap();
    let text = format!("{}{}", options("one", "a body\r\n\r\n"), options("two", ""));
    for at in (1..text.len()).step_by(7) {
        write(&mut peer, &text[..at]).await;
        tokio::task::yield_now().await;
        write(&mut peer, &text[at..]).await;
        for expected in ["one", "two"] {
            let (_, message) = message(&mut events).await;
            assert_eq!(call_id(&message), expected);
            assert_eq!(
                message.body(),
                if expected == "one" {
                    b"a body\r\n\r\n".as_slice()
                } else {
                    b""
                }
            );
        }
    }
}

#[tokio::test]
async fn a_ping_is_answered_with_a_pong_between_messages() {
    let (_net, mut events, address) = tcp_net(Limits::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    write(
        &mut peer,
        &format!("{}\r\n\r\n{}", options("before", ""), options("after", "")),
    )
    .await;
    assert_eq!(read_until(&mut peer, "\r\n").await, "\r\n");
    assert_eq!(call_id(&message(&mut events).await.1), "before");
    assert_eq!(call_id(&message(&mut events).await.1), "after");
}

#[tokio::test]
async fn answers_go_back_over_the_same_connection_in_order() {
    let (net, mut events, address) = tcp_net(Limits::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    write(&mut peer, &options("x", "")).await;
    let (flow, _) = message(&mut events).await;
    assert_eq!(
        (flow.local, flow.remote),
        (address, peer.local_addr().unwrap())
    );
    let expected: String = (0..200).fold(String::new(), |text, n| text + &format!("<{n}>"));
    for n in 0..200 {
        net.send(transmit(flow, format!("<{n}>")));
    }
    assert_eq!(read_until(&mut peer, "<199>").await, expected);
}

#[tokio::test]
async fn a_malformed_message_is_answered_and_the_connection_goes_on() {
    let (_net, mut events, address) = tcp_net(Limits::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    let bad = options("bad", "").replace("sip:bob@localhost SIP/2.0", "sip:bob@localhost SIP/7.0");
    write(&mut peer, &format!("{bad}{}", options("good", ""))).await;
    assert!(matches!(event(&mut events).await, Event::Malformed { .. }));
    assert_eq!(call_id(&message(&mut events).await.1), "good");
    assert!(
        read_until(&mut peer, "\r\n\r\n")
            .await
            .starts_with("SIP/2.0 505 ")
    );
}

#[tokio::test]
async fn an_oversized_message_closes_the_connection() {
    let limits = Limits {
        message: sip::Limits {
            message_bytes: 2_000,
            ..sip::Limits::default()
        },
        ..Limits::default()
    };
    let (net, mut events, address) = tcp_net(limits).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    write(&mut peer, &options("big", &"x".repeat(3_000))).await;
    assert!(matches!(event(&mut events).await, Event::Malformed { .. }));
    let answer = read_to_close(&mut peer).await;
    assert!(answer.starts_with("SIP/2.0 513 "), "{answer}");
    drop(peer);
    closed(&mut events).await;
    assert_eq!(net.stats().malformed, 1);
}

#[tokio::test]
async fn a_peer_that_sends_only_garbage_is_closed() {
    let limits = Limits {
        malformed_per_connection: 3,
        ..Limits::default()
    };
    let (net, mut events, address) = tcp_net(limits).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    let bad = options("bad", "").replace("sip:bob@localhost SIP/2.0", "sip:bob@localhost SIP/7.0");
    write(&mut peer, &bad.repeat(10)).await;
    for _ in 0..4 {
        assert!(matches!(event(&mut events).await, Event::Malformed { .. }));
    }
    assert_eq!(
        read_to_close(&mut peer)
            .await
            .matches("SIP/2.0 505 ")
            .count(),
        4
    );
    drop(peer);
    closed(&mut events).await;
    assert_eq!(net.stats().malformed, 4);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let limits = Limits {
        idle: Duration::from_millis(50),
        ..Limits::default()
    };
    let (_net, mut events, address) = tcp_net(limits).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    write(&mut peer, &options("x", "")).await;
    let (flow, _) = message(&mut events).await;
    assert_eq!(closed(&mut events).await, flow);
    assert_eq!(read_to_close(&mut peer).await, "");
}

#[tokio::test]
async fn a_connection_that_brings_no_message_is_closed() {
    let limits = Limits {
        first_message: Duration::from_millis(50),
        ..Limits::default()
    };
    let (_net, mut events, address) = tcp_net(limits).await;
    // Nobody has heard of this one.
    let mut silent = TcpStream::connect(address).await.unwrap();
    read_to_close(&mut silent).await;
    let mut begun = TcpStream::connect(address).await.unwrap();
    write(&mut begun, "O").await;
    closed(&mut events).await;
    read_to_close(&mut begun).await;

    let mut pinging = TcpStream::connect(address).await.unwrap();
    write(&mut pinging, "\r\n\r\n").await;
    closed(&mut events).await;

    let mut slow = TcpStream::connect(address).await.unwrap();
    write(&mut slow, &options("x", "")).await;
    message(&mut events).await;
    write(&mut slow, "OPTIONS sip:never@ends").await;
    closed(&mut events).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_until_one_closes() {
    let limits = Limits {
        connections_per_peer: 2,
        ..Limits::default()
    };
    let (net, mut events, address) = tcp_net(limits).await;
    let mut kept = Vec::new();
    for n in 0..2 {
        let mut peer = TcpStream::connect(address).await.unwrap();
        write(&mut peer, &options(&n.to_string(), "")).await;
        message(&mut events).await;
        kept.push(peer);
    }
    let mut third = TcpStream::connect(address).await.unwrap();
    read_to_close(&mut third).await;
    assert_eq!(net.stats().refused, 1);

    kept.pop();
    closed(&mut events).await;
    let mut fourth = TcpStream::connect(address).await.unwrap();
    write(&mut fourth, &options("fourth", "")).await;
    assert_eq!(call_id(&message(&mut events).await.1), "fourth");
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed_when_its_queue_is_full() {
    let limits = Limits {
        send_queue_bytes: 100_000,
        ..Limits::default()
    };
    let (net, mut events, address) = tcp_net(limits).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    write(&mut peer, &options("x", "")).await;
    let (flow, _) = message(&mut events).await;
    net.send(transmit(flow, vec![b'x'; 60_000]));
    net.send(transmit(flow, vec![b'x'; 60_000]));
    assert_eq!(closed(&mut events).await, flow);
    net.send(transmit(flow, "too late"));
    assert_eq!(
        closed(&mut events).await,
        flow,
        "a flow that is gone says so again"
    );
}

#[tokio::test]
async fn an_outgoing_connection_opens_carries_what_was_queued_and_is_reused() {
    let (net, mut events, _) = tcp_net(Limits::default()).await;
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let remote = listener.local_addr().unwrap();
    let flow = net.connect(Transport::Tcp, remote);
    assert_eq!(net.connect(Transport::Tcp, remote), flow);
    net.send(transmit(flow, "queued"));
    let (mut peer, from) = listener.accept().await.unwrap();
    assert_eq!(from, flow.local);
    read_until(&mut peer, "queued").await;
    write(&mut peer, &options("back", "")).await;
    assert_eq!(message(&mut events).await.0, flow);

    net.close(flow);
    read_to_close(&mut peer).await;
    assert_eq!(closed(&mut events).await, flow);
    assert_ne!(net.connect(Transport::Tcp, remote).id, flow.id);
}

#[tokio::test]
async fn a_connection_that_cannot_be_opened_closes_its_flow() {
    let (net, mut events, _) = tcp_net(Limits::default()).await;
    let nobody = TcpListener::bind(loopback())
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let flow = net.connect(Transport::Tcp, nobody);
    net.send(transmit(flow, "lost"));
    assert_eq!(closed(&mut events).await, flow);
}

#[tokio::test]
async fn closing_writes_what_is_queued_first() {
    let (net, mut events, address) = tcp_net(Limits::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    write(&mut peer, &options("x", "")).await;
    let (flow, _) = message(&mut events).await;
    net.send(transmit(flow, "goodbye"));
    net.close(flow);
    assert_eq!(read_to_close(&mut peer).await, "goodbye");
}

#[tokio::test]
async fn what_comes_over_a_closed_connection_is_not_read_though_its_peer_does_not_read_either() {
    let limits = Limits {
        send_queue_bytes: 100 << 20,
        ..Limits::default()
    };
    let (net, mut events, address) = tcp_net(limits).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    write(&mut peer, &options("x", "")).await;
    let (flow, _) = message(&mut events).await;
    // More than the system takes.
    net.send(transmit(flow, vec![b'x'; 50 << 20]));
    net.close(flow);
    write(&mut peer, &options("y", "")).await;
    assert_eq!(closed(&mut events).await, flow);
}

#[tokio::test]
async fn shutting_down_200_connections_leaves_no_task() {
    let (net, mut events, address) = tcp_net(Limits::default()).await;
    let mut peers = Vec::new();
    for n in 0..200 {
        let mut peer = TcpStream::connect(address).await.unwrap();
        write(&mut peer, &options(&n.to_string(), "")).await;
        peers.push(peer);
    }
    for _ in 0..200 {
        let (flow, _) = message(&mut events).await;
        net.send(transmit(flow, "last words"));
    }
    assert_eq!(net.stats().open, 200);
    let before = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert!(before >= 200, "{before} tasks");
    tokio::time::timeout(common::PATIENCE, net.shutdown())
        .await
        .unwrap();
    assert_eq!(
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks(),
        0
    );
    assert_eq!(net.stats().open, 0);
    for peer in &mut peers {
        assert_eq!(read_to_close(peer).await, "last words");
    }
    assert!(events.recv().await.is_none());
    TcpListener::bind(address)
        .await
        .expect("the port is free again");
}

#[tokio::test]
async fn dropping_the_events_closes_everything() {
    let (_net, events, address) = tcp_net(Limits::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    write(&mut peer, &options("x", "")).await;
    drop(events);
    read_to_close(&mut peer).await;
}
