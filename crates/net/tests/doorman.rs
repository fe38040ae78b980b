//! Who gets a connection when not everybody can have one.

// By the name that it has everywhere else in the workspace.
extern crate reveille_net as net;

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{call_id, loopback, message, options, read_to_close, write};
use net::{Config, Events, Limits, Net, Standing, Visitor};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

/// The last octet says who one is: up to 99 a stranger, up to 199 known, else banned; tens are one source.
fn visitor(from: IpAddr) -> Visitor {
    let IpAddr::V4(v4) = from else {
        panic!("loopback has IPv4 here")
    };
    let [a, b, c, last] = v4.octets();
    Visitor {
        source: Ipv4Addr::new(a, b, c, last / 10 * 10).into(),
        standing: match last {
            0..100 => Standing::Stranger,
            100..200 => Standing::Known,
            _ => Standing::Banned,
        },
    }
}

#[expect(clippy::unwrap_used, reason = "a test that panics has failed")]
async fn started(limits: Limits) -> (Net, Events, SocketAddr) {
    let config = Config {
        tcp: vec![loopback()],
        doorman: Some(Arc::new(visitor)),
        limits,
        ..Config::default()
    };
    let (net, events) = Net::bind(config).await.unwrap();
    let address = net.addresses().tcp[0];
    (net, events, address)
}

#[expect(clippy::unwrap_used, reason = "a test that panics has failed")]
async fn connected(last: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let from = Ipv4Addr::new(127, 0, 7, last);
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Whether a connection from there is served; it is kept.
async fn is_served(
    last: u8,
    to: SocketAddr,
    events: &mut Events,
    kept: &mut Vec<TcpStream>,
) -> bool {
    let mut stream = connected(last, to).await;
    // It may be closed already.
    let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, options("x", "").as_bytes()).await;
    let (mut octet, heard) = ([0], message(events));
    tokio::select! {
        (_, heard) = heard => {
            assert_eq!(call_id(&heard), "x");
            kept.push(stream);
            true
        }
        Ok(0) | Err(_) = stream.peek(&mut octet) => false,
    }
}

#[tokio::test]
async fn strangers_leave_room_for_the_known_and_the_banned_get_none() {
    let limits = Limits {
        connections: 4,
        reserved: 2,
        ..Limits::default()
    };
    let (net, mut events, address) = started(limits).await;
    let mut kept = Vec::new();
    for (from, served) in [
        (10, true),
        (200, false),
        (20, true),
        (30, false),
        (110, true),
        (120, true),
        (130, false),
    ] {
        let is_served = is_served(from, address, &mut events, &mut kept).await;
        assert_eq!(is_served, served, "{from}");
    }
    let stats = net.stats();
    assert_eq!((stats.refused, stats.banned), (2, 1));
}

#[tokio::test]
async fn what_one_has_is_counted_by_source_and_not_by_address() {
    let limits = Limits {
        connections_per_peer: 2,
        ..Limits::default()
    };
    let (_net, mut events, address) = started(limits).await;
    let mut kept = Vec::new();
    // Of the known: strangers who have proven nothing make room for each other.
    for (from, served) in [(111, true), (112, true), (113, false), (121, true)] {
        let is_served = is_served(from, address, &mut events, &mut kept).await;
        assert_eq!(is_served, served, "{from}");
    }
}

#[tokio::test]
async fn who_connects_and_owes_something_is_counted_and_who_is_idle_is_not() {
    let limits = Limits {
        idle: Duration::from_millis(50),
        first_message: Duration::from_millis(50),
        ..Limits::default()
    };
    let (net, mut events, address) = started(limits).await;
    let mut silent = connected(10, address).await;
    let mut half = connected(20, address).await;
    write(&mut half, "OPTIONS sip:").await;
    let mut idle = connected(30, address).await;
    write(&mut idle, &options("x", "")).await;
    message(&mut events).await;
    for stream in [&mut silent, &mut half, &mut idle] {
        read_to_close(stream).await;
    }
    assert_eq!(net.stats().silent, 2);
}

#[tokio::test]
async fn datagrams_of_the_known_go_first_and_strangers_take_turns() {
    let config = Config {
        udp: vec![loopback()],
        doorman: Some(Arc::new(visitor)),
        limits: Limits {
            strangers: 2,
            strangers_waiting: 10,
            ..Limits::default()
        },
        ..Config::default()
    };
    let (net, mut events) = Net::bind(config).await.unwrap();
    let to = net.addresses().udp[0];
    let sent = |last: u8, name: &'static str, times: usize| async move {
        let from = Ipv4Addr::new(127, 0, 7, last);
        let socket = UdpSocket::bind((from, 0)).await.unwrap();
        for _ in 0..times {
            let text = options(name, "");
            socket.send_to(text.as_bytes(), to).await.unwrap();
        }
    };
    sent(10, "flood", 100).await;
    sent(200, "banned", 5).await;
    sent(20, "late", 1).await;
    sent(110, "known", 1).await;
    // Nobody takes anything: two of the flood have a place, and what is known is there as well.
    let read = async {
        while net.stats().received < 3 || net.stats().banned < 5 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(common::PATIENCE, read).await.unwrap();
    assert!(net.stats().shed >= 90, "{:?}", net.stats());
    let mut heard = Vec::new();
    while heard.last().is_none_or(|it| it != "late") {
        heard.push(call_id(&message(&mut events).await.1));
    }
    assert_eq!(heard[0], "known");
    assert!(heard.len() <= 5, "in its turn: {heard:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_that_is_never_read_to_its_end_leaves_strangers_their_turns() {
    let config = Config {
        udp: vec![loopback()],
        doorman: Some(Arc::new(visitor)),
        limits: Limits {
            strangers: 1,
            strangers_per_second: 1_000,
            ..Limits::default()
        },
        ..Config::default()
    };
    let (net, mut events) = Net::bind(config).await.unwrap();
    let to = net.addresses().udp[0];
    let is_over = Arc::new(AtomicBool::new(false));
    let floods = [10, 20, 30, 40, 50, 60].map(|last| {
        let is_over = is_over.clone();
        let socket = std::net::UdpSocket::bind((Ipv4Addr::new(127, 0, 7, last), 0)).unwrap();
        std::thread::spawn(move || {
            let text = options("flood", "");
            while !is_over.load(Ordering::Relaxed) {
                // What the kernel does not take is lost, as in any flood.
                let _ = socket.send_to(text.as_bytes(), to);
            }
        })
    });
    // More than may be at once after a pause.
    for _ in 0..1_000 {
        message(&mut events).await;
    }
    is_over.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.join().unwrap();
    }
}

/// Hears up to that one.
async fn heard_to(name: &str, events: &mut Events) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.last().is_none_or(|it| it != name) {
        heard.push(call_id(&message(events).await.1));
    }
    heard
}

#[expect(clippy::unwrap_used, reason = "a test that panics has failed")]
async fn read_so_many(net: &Net, count: u64) {
    let read = async {
        while net.stats().received < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(common::PATIENCE, read).await.unwrap();
}

#[tokio::test]
async fn over_connections_the_known_go_first_and_strangers_take_turns() {
    let limits = Limits {
        strangers: 1,
        ..Limits::default()
    };
    let (net, mut events, address) = started(limits).await;
    let mut flood = connected(10, address).await;
    write(&mut flood, &options("flood", "").repeat(100)).await;
    read_so_many(&net, 1).await;
    let of_flood = net.stats().received;
    assert!(of_flood < 30, "it is not read on: {of_flood}");
    let (mut late, mut known) = (connected(20, address).await, connected(110, address).await);
    write(&mut late, &options("late", "")).await;
    write(&mut known, &options("known", "")).await;
    read_so_many(&net, of_flood + 2).await;
    assert_eq!(heard_to("known", &mut events).await, ["known"]);
    let heard = heard_to("late", &mut events).await;
    assert!(heard.len() <= 3, "in its turn: {heard:?}");
}

#[tokio::test]
async fn one_that_is_known_and_brings_much_waits_behind_itself() {
    let (net, mut events, address) = started(Limits::default()).await;
    let mut flood = connected(110, address).await;
    write(&mut flood, &options("flood", "").repeat(100)).await;
    read_so_many(&net, 1).await;
    let of_flood = net.stats().received;
    assert!((2..30).contains(&of_flood), "it is not read on: {of_flood}");
    // Of the same source: each connection has its turn.
    let mut late = connected(111, address).await;
    write(&mut late, &options("late", "")).await;
    read_so_many(&net, of_flood + 1).await;
    let heard = heard_to("late", &mut events).await;
    assert!(heard.len() <= 2, "in its turn: {heard:?}");
    // Nothing is lost.
    for _ in heard.len()..101 {
        message(&mut events).await;
    }
}
