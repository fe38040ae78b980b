//! Strangers who dial an edge, and an inside beside them. Each has an address of its own, as all of 127/8 is ours on Linux.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tunnel::{Clock, Edge, EdgeAddress, Identity, Inside, Limits, State, Strangers};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is as always.
fn rest() -> (Limits, Clock) {
    (Limits::default(), Arc::new(SystemTime::now))
}

fn identity() -> Identity {
    Identity::from_pem(&Identity::generate().unwrap()).unwrap()
}

/// A client of QUIC that knows nobody.
fn stranger() -> Endpoint {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"reveille-tunnel/3".to_vec()];
    let tls = QuicClientConfig::try_from(tls).unwrap();
    let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(tls)));
    endpoint
}

/// A stranger there begins a handshake, hears the edge's part of it, and says no more. What is given back keeps the address.
async fn half_open(from: Ipv4Addr, edge: SocketAddr) -> UdpSocket {
    let relay = UdpSocket::bind((from, 0)).await.unwrap();
    let stranger = stranger();
    let connecting = stranger.connect(relay.local_addr().unwrap(), "localhost");
    let client = stranger.local_addr().unwrap();
    let (mut said, mut heard, mut packet) = (0, 0, [0; 2_048]);
    // That it is there, and once more that it is where it says (RFC 9000 §8.1.2): the edge answers each.
    while heard < 2 {
        let (length, by) = relay.recv_from(&mut packet).await.unwrap();
        let to = if by == edge { client } else { edge };
        heard += usize::from(by == edge);
        said += usize::from(by != edge);
        if by == edge || said <= 2 {
            relay.send_to(&packet[..length], to).await.unwrap();
        }
    }
    drop(connecting);
    relay
}

#[tokio::test]
async fn an_inside_comes_in_beside_strangers_who_leave_their_handshakes_half_open() {
    let (ours, theirs) = (identity(), identity());
    let insides = [theirs.fingerprint()];
    let at = "127.0.0.1:0".parse().unwrap();
    let edge = Edge::listen(at, "edge", &ours, insides, rest()).unwrap();
    let at = edge.address().unwrap();
    let strangers = (1..=40).map(|number| half_open(Ipv4Addr::new(127, 100, 0, number), at));
    let strangers: JoinSet<_> = strangers.collect();
    let _strangers = strangers.join_all().await;
    let (_, told) = watch::channel(b"a key"[..].into());
    let edges = [EdgeAddress {
        at: at.to_string().into(),
        key: ours.fingerprint(),
    }];
    let (inside, _arrivals) = Inside::dial(("inside", told), &theirs, &edges, rest()).unwrap();
    let begun = Instant::now();
    while !matches!(inside.status()[0].state, State::Up { .. }) {
        assert!(begun.elapsed() < PATIENCE, "the inside is kept out");
        tokio::task::yield_now().await;
    }
    // Nobody had to give up for it.
    let Strangers {
        challenged,
        unanswered,
        failed,
    } = edge.strangers();
    assert_eq!((unanswered, failed), (0, 0));
    assert!(challenged > 40, "{challenged}: each, and the inside");
}
