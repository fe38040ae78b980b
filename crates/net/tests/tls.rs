//! SIP over TLS: both directions, names that are verified, certificates that are swapped.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

// By the name that it has everywhere else in the workspace.
extern crate reveille_net as net;

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use common::{call_id, closed, loopback, message, options, read_to_close, transmit};
use net::{Config, Events, Limits, Net, Standing, TlsSource, Visitor, client_config};
use sip::endpoint::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

struct Certificate {
    chain: String,
    key: String,
}

fn certificate(names: &[&str]) -> Certificate {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    Certificate {
        chain: certified.cert.pem(),
        key: certified.signing_key.serialize_pem(),
    }
}

impl Certificate {
    fn source(&self) -> TlsSource {
        TlsSource::from_pem(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }
}

async fn server(source: TlsSource, limits: Limits) -> (Net, Events) {
    let config = Config {
        tls: vec![loopback()],
        server_tls: Some(source),
        limits,
        ..Config::default()
    };
    Net::bind(config).await.unwrap()
}

async fn client(trusts: &Certificate) -> (Net, Events) {
    let config = Config {
        client_tls: Some(client_config(trusts.chain.as_bytes()).unwrap()),
        ..Config::default()
    };
    Net::bind(config).await.unwrap()
}

#[tokio::test]
async fn two_nets_talk_over_tls() {
    let certificate = certificate(&["127.0.0.1", "localhost"]);
    let (server, mut server_events) = server(certificate.source(), Limits::default()).await;
    let (client, mut client_events) = client(&certificate).await;
    let remote = server.addresses().tls[0];
    for flow in [
        client.connect(Transport::Tls, remote),
        client.connect_named(Transport::Tls, remote, "localhost"),
    ] {
        client.send(transmit(flow, options("there", &"x".repeat(30_000))));
        let (back, request) = message(&mut server_events).await;
        assert_eq!((back.transport, back.remote), (Transport::Tls, flow.local));
        assert_eq!(request.body().len(), 30_000);
        server.send(transmit(back, options("back", "")));
        let (over, answer) = message(&mut client_events).await;
        assert_eq!((over, call_id(&answer)), (flow, "back".to_owned()));
    }
    client.shutdown().await;
    closed(&mut server_events).await;
    closed(&mut server_events).await;
}

#[tokio::test]
async fn a_peer_with_another_name_or_issuer_is_not_talked_to() {
    let certificate = certificate(&["localhost"]);
    let (server, _server_events) = server(certificate.source(), Limits::default()).await;
    let remote = server.addresses().tls[0];
    let (trusting, mut events) = client(&certificate).await;
    let flow = trusting.connect_named(Transport::Tls, remote, "example.com");
    assert_eq!(closed(&mut events).await, flow);

    let (stranger, mut events) = client(&self::certificate(&["localhost"])).await;
    let flow = stranger.connect_named(Transport::Tls, remote, "localhost");
    assert_eq!(closed(&mut events).await, flow);
}

#[tokio::test]
async fn a_swapped_certificate_is_shown_to_new_connections_and_old_ones_live_on() {
    let (old, new) = (certificate(&["localhost"]), certificate(&["localhost"]));
    let source = old.source();
    let (server, mut server_events) = server(source.clone(), Limits::default()).await;
    let remote = server.addresses().tls[0];
    let (early, _early_events) = client(&old).await;
    let flow = early.connect_named(Transport::Tls, remote, "localhost");
    early.send(transmit(flow, options("early", "")));
    message(&mut server_events).await;

    source
        .swap_pem(new.chain.as_bytes(), new.key.as_bytes())
        .unwrap();
    let (late, _late_events) = client(&new).await;
    late.send(transmit(
        late.connect_named(Transport::Tls, remote, "localhost"),
        options("late", ""),
    ));
    assert_eq!(call_id(&message(&mut server_events).await.1), "late");
    early.send(transmit(flow, options("early-again", "")));
    assert_eq!(call_id(&message(&mut server_events).await.1), "early-again");
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_given_up() {
    let limits = Limits {
        tls_handshake: Duration::from_millis(50),
        ..Limits::default()
    };
    let certificate = certificate(&["localhost"]);
    let (server, mut events) = server(certificate.source(), limits).await;
    let at = server.addresses().tls[0];
    // Nobody has heard of these.
    for said in [&[][..], &[22]] {
        let mut silent = TcpStream::connect(at).await.unwrap();
        silent.write_all(said).await.unwrap();
        read_to_close(&mut silent).await;
    }
    let trusts = client_config(certificate.chain.as_bytes()).unwrap();
    let mut client =
        rustls::ClientConnection::new(trusts, "localhost".try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let mut begun = TcpStream::connect(at).await.unwrap();
    begun.write_all(&hello).await.unwrap();
    closed(&mut events).await;
    let mut heard = Vec::new();
    begun.read_to_end(&mut heard).await.unwrap();
    assert_eq!(server.stats().silent, 3);
    assert_eq!(server.stats().open, 0);
}

#[tokio::test]
async fn who_says_nothing_makes_room_for_who_comes_later_and_who_speaks_is_served() {
    let certificate = certificate(&["localhost"]);
    let came = AtomicU8::new(0);
    let config = Config {
        tls: vec![loopback()],
        server_tls: Some(certificate.source()),
        // The first two are from one source, and nobody else is.
        doorman: Some(Arc::new(move |_| Visitor {
            source: [192, 0, 2, came.fetch_add(1, Ordering::Relaxed).max(1)].into(),
            standing: Standing::Stranger,
        })),
        limits: Limits {
            connections: 5,
            reserved: 1,
            silent: 2,
            ..Limits::default()
        },
        ..Config::default()
    };
    let (server, _events) = Net::bind(config).await.unwrap();
    let at = server.addresses().tls[0];
    let mut first = TcpStream::connect(at).await.unwrap();
    let second = TcpStream::connect(at).await.unwrap();
    let _third = TcpStream::connect(at).await.unwrap();
    read_to_close(&mut first).await;
    let trusts = client_config(certificate.chain.as_bytes()).unwrap();
    let name = "localhost".try_into().unwrap();
    let speaks = TlsConnector::from(trusts).connect(name, second);
    speaks.await.unwrap();
    assert_eq!(server.stats().silent, 1);
}

#[test]
fn unusable_certificates_say_why() {
    let one = certificate(&["localhost"]);
    let other = certificate(&["localhost"]);
    let error = |chain: &str, key: &str| match TlsSource::from_pem(chain.as_bytes(), key.as_bytes())
    {
        Ok(_) => panic!("taken"),
        Err(error) => error.to_string(),
    };
    assert!(error("", &one.key).contains("BEGIN CERTIFICATE"));
    assert!(error(&one.chain, "").contains("BEGIN PRIVATE KEY"));
    assert!(error(&one.chain, &other.key).contains("cannot be used"));
}
