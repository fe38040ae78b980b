//! The listeners: whether each answers on this host, and whether those for phones answer at the address that phones are given.

use super::report::Report;
use crate::config::{Addresses, Config};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    net::{TcpStream, UdpSocket},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(3);

/// Who is to reach a listener.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    /// Phones, from anywhere.
    All,
    /// Whoever is meant: a proxy, an operator, a component.
    Some,
}

pub(super) async fn look(config: &Config, report: &mut Report) {
    let listen = &config.listen;
    let device = ("listen.device", &listen.device, For::Some);
    let mut all: Vec<(&str, &Addresses, For)> =
        vec![device, ("listen.health", &listen.health, For::Some)];
    if config.has_role("call") {
        all.extend([
            ("listen.sip_tcp", &listen.sip_tcp, For::All),
            ("listen.sip_tls", &listen.sip_tls, For::All),
            ("listen.xmpp_tcp", &listen.xmpp_tcp, For::All),
            ("listen.xmpp_tls", &listen.xmpp_tls, For::All),
            ("listen.xmpp_wss", &listen.xmpp_wss, For::All),
            ("listen.device_tls", &listen.device_tls, For::All),
            ("listen.xmpp_ws", &listen.xmpp_ws, For::Some),
        ]);
        for address in known(&listen.sip_udp) {
            datagrams(*address, report).await;
        }
    }
    if config.has_role("push") {
        all.push(("listen.push_tls", &listen.push_tls, For::All));
        all.push(("listen.push", &listen.push, For::Some));
    }
    for (key, addresses, whose) in all {
        for address in known(addresses) {
            here(key, *address, report).await;
        }
        let mut outside = known(addresses).filter(|it| !it.ip().is_loopback());
        if let Some(address) = outside.next().filter(|_| whose == For::All) {
            there(key, config.node(), address.port(), report).await;
        }
    }
}

/// A port that the system chose is not known here; nor is there an IPv6 address where the host has no IPv6.
fn known(addresses: &Addresses) -> impl Iterator<Item = &SocketAddr> {
    let there = |it: &&SocketAddr| {
        it.port() != 0 && (it.is_ipv4() || std::net::UdpSocket::bind((near(**it).ip(), 0)).is_ok())
    };
    addresses.0.iter().filter(there)
}

/// How a listener is reached from this host.
pub(super) fn near(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn here(key: &str, address: SocketAddr, report: &mut Report) {
    let near = near(address);
    match connect(near).await {
        Ok(()) => report.ok("ports", format!("{key}: {near} takes connections")),
        Err(error) => report.fail(
            "ports",
            format!("{key}: {near} takes no connection: {error}"),
            "was it changed since the server started? then restart it; else the log says why",
        ),
    }
}

async fn there(key: &str, node: &str, port: u16, report: &mut Report) {
    let Ok(found) = net::resolve(node, port).await else {
        // The records say so.
        return;
    };
    for address in found {
        match connect(address).await {
            Ok(()) => report.ok("ports", format!("{key}: {node} takes connections at {address}")),
            Err(error) => report.warn(
                "ports",
                format!("{key}: {node} takes no connection at {address}: {error}"),
                "open the port in the firewall, and forward it where there is NAT; some routers let nobody inside try that",
            ),
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<()> {
    timeout(PATIENCE, TcpStream::connect(address))
        .await?
        .map(drop)
}

/// SIP over UDP answers whoever asks what it can do (RFC 3261 §11).
async fn datagrams(address: SocketAddr, report: &mut Report) {
    let near = near(address);
    match options(near).await {
        Ok(()) => report.ok("ports", format!("listen.sip_udp: {near} answers OPTIONS")),
        Err(error) => report.fail(
            "ports",
            format!("listen.sip_udp: {near} does not answer OPTIONS: {error}"),
            "is another program at this port (`ss -ulpn`)? else the log says why",
        ),
    }
}

async fn options(address: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind((near_unspecified(address), 0)).await?;
    socket.connect(address).await?;
    let (local, name) = (socket.local_addr()?, crate::entropy::fresh());
    // As long as its answer may be: strangers get no more than twice what they asked with.
    let request = format!(
        "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{name};rport\r\n\
         Max-Forwards: 1\r\nFrom: <sip:doctor@{local}>;tag={name}\r\nTo: <sip:{address}>\r\n\
         Call-ID: {name}\r\nCSeq: 1 OPTIONS\r\nUser-Agent: reveille doctor\r\nContent-Length: 0\r\n\r\n"
    );
    let mut answer = [0; 64];
    // A datagram may be lost.
    for _ in 0..2 {
        socket.send(request.as_bytes()).await?;
        if let Ok(heard) = timeout(PATIENCE / 2, socket.recv(&mut answer)).await {
            let length = heard?;
            return if answer[..length].starts_with(b"SIP/2.0 200") {
                Ok(())
            } else {
                let line = String::from_utf8_lossy(&answer[..length]);
                let line = line.lines().next().unwrap_or_default();
                Err(io::Error::other(format!("it says {line}")))
            };
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn near_unspecified(address: SocketAddr) -> IpAddr {
    match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
