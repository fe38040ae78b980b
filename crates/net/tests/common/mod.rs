//! A small world: a `Net` on loopback, messages, and peers that speak raw bytes.
#![allow(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "helpers of tests, and every test binary uses its own part of them"
)]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use net::{Config, Event, Events, Limits, Net};
use sip::Message;
use sip::endpoint::{Flow, Transmit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Far longer than anything here takes: reaching it means that what was waited for never comes.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub async fn tcp_net(limits: Limits) -> (Net, Events, SocketAddr) {
    let config = Config {
        tcp: vec![loopback()],
        limits,
        ..Config::default()
    };
    let (net, events) = Net::bind(config).await.unwrap();
    let address = net.addresses().tcp[0];
    (net, events, address)
}

pub async fn udp_net() -> (Net, Events, SocketAddr) {
    let config = Config {
        udp: vec![loopback()],
        ..Config::default()
    };
    let (net, events) = Net::bind(config).await.unwrap();
    let address = net.addresses().udp[0];
    (net, events, address)
}

pub fn options(call_id: &str, body: &str) -> String {
    format!(
        "OPTIONS sip:bob@localhost SIP/2.0\r\n\
         Via: SIP/2.0/TCP 127.0.0.1:5999;branch=z9hG4bK{call_id}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@localhost>;tag=a\r\n\
         To: <sip:bob@localhost>\r\n\
         Call-ID: {call_id}\r\n\
         CSeq: 1 OPTIONS\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn call_id(message: &Message) -> String {
    message.call_id().unwrap().to_owned()
}

pub async fn event(events: &mut Events) -> Event {
    tokio::time::timeout(PATIENCE, events.recv())
        .await
        .expect("an event in time")
        .expect("an open net")
}

pub async fn message(events: &mut Events) -> (Flow, Message) {
    match event(events).await {
        Event::Message { flow, message } => (flow, message),
        other => panic!("expected a message, got {other:?}"),
    }
}

pub async fn closed(events: &mut Events) -> Flow {
    match event(events).await {
        Event::Closed { flow } => flow,
        other => panic!("expected the flow to close, got {other:?}"),
    }
}

pub fn transmit(flow: Flow, text: impl Into<Vec<u8>>) -> Transmit {
    Transmit {
        flow,
        bytes: Bytes::from(text.into()),
    }
}

/// Reads until `needle` has come.
pub async fn read_until(stream: &mut (impl AsyncReadExt + Unpin), needle: &str) -> String {
    let mut text = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&text).contains(needle) {
            assert_ne!(
                stream.read_buf(&mut text).await.unwrap(),
                0,
                "closed after {:?}",
                String::from_utf8_lossy(&text)
            );
        }
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("an answer in time");
    String::from_utf8(text).unwrap()
}

/// Reads until the peer closes; a reset counts as closed.
pub async fn read_to_close(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut text = Vec::new();
    let read = async { while let Ok(1..) = stream.read_buf(&mut text).await {} };
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("closed in time");
    String::from_utf8(text).unwrap()
}

pub async fn write(stream: &mut (impl AsyncWriteExt + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}
