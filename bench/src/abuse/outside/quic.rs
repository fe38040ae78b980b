//! Strangers at the tunnel's port, who speak QUIC and have no key that the edge knows.

use super::{muted::Muted, target::Target};
use crate::abuse::attacker::{Done, Stands, address};
use anyhow::{Context, Result};
use quinn::{
    ClientConfig, Endpoint, EndpointConfig, Runtime, TokioRuntime, crypto::rustls::QuicClientConfig,
};
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};

/// What a tunnel says that it speaks.
const ALPN: &[u8] = b"reveille-tunnel/3";
/// Sources of handshakes, and how many each has under way.
const SOURCES: (u32, usize) = (32, 4);
/// A handshake goes no further after so long.
const GIVES_UP: Duration = Duration::from_millis(200);
/// Handshakes that are begun and left so, and whence.
const LEFT: (usize, u32) = (500, 250);
/// How long somebody who says nothing more stays; and what it says before: that it is there, and that it is where it says.
const STAYS: (Duration, usize) = (Duration::from_secs(4), 2);
/// First packets, each of a handshake of its own: of those with one connection id QUIC sees one. More than an edge has waiting, and
/// no multiple of the sources.
const PACKETS: usize = 1_009;
/// Between looks at them.
const PAUSE: Duration = Duration::from_millis(20);

/// First packets of handshakes, of which nothing follows (RFC 9000 §17.2.2): each costs the edge its keys, and an answer.
pub(super) fn first_packets(target: &Target) -> Result<Done> {
    let packets = runtime()?.block_on(first_packets_of(PACKETS))?;
    let mut packets = packets.iter().cycle();
    let sockets = (0..250)
        .map(|number| UdpSocket::bind((address(number), 0)))
        .collect::<std::io::Result<Vec<_>>>()?;
    for socket in &sockets {
        socket.set_nonblocking(true)?;
    }
    let (mut done, mut buffer) = (Done::default(), [0; 2048]);
    done.amplifies = true;
    while target.stands() {
        for (socket, packet) in sockets.iter().zip(&mut packets) {
            // Its buffer may be full for a moment.
            if socket.send_to(packet, target.tunnel).is_ok() {
                done.sends(packet.len());
            }
            while let Ok(length) = socket.recv(&mut buffer) {
                done.gets(length);
            }
        }
    }
    Ok(done)
}

/// What so many clients of QUIC say first.
async fn first_packets_of(clients: usize) -> Result<Vec<Vec<u8>>> {
    let nobody = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut packets = Vec::with_capacity(clients);
    for _ in 0..clients {
        // It says that once, and nothing when it goes.
        let client = endpoint(Ipv4Addr::LOCALHOST, 1)?;
        let connecting = client.connect(nobody.local_addr()?, "localhost")?;
        let mut packet = vec![0; 2048];
        let length = timeout(Duration::from_secs(5), nobody.recv(&mut packet)).await??;
        packet.truncate(length);
        packets.push(packet);
        drop(connecting);
    }
    Ok(packets)
}

/// Handshakes up to what the edge says of itself, which the client does not take.
pub(super) fn half_handshakes(target: &Target) -> Result<Done> {
    runtime()?.block_on(async {
        let endpoints = (0..SOURCES.0)
            .map(|number| endpoint(address(number), usize::MAX))
            .collect::<Result<Vec<_>>>()?;
        let (mut done, mut under_way) = (Done::default(), JoinSet::new());
        let mut turn = endpoints.iter().cycle();
        while target.stands() {
            while under_way.len() < endpoints.len() * SOURCES.1 {
                let endpoint = turn.next().context("an endpoint")?;
                let connecting = endpoint.connect(target.tunnel, "localhost")?;
                done.sent += 1;
                under_way.spawn(async move { timeout(GIVES_UP, connecting).await.is_ok() });
            }
            if let Some(Ok(true)) = under_way.join_next().await {
                done.got += 1;
            }
        }
        Ok(done)
    })
}

/// Handshakes up to where the edge has done its part of the work; then the client is silent, and does not say that it goes.
pub(super) fn half_open(target: &Target) -> Result<Done> {
    runtime()?.block_on(async {
        let (mut done, mut under_way) = (Done::default(), JoinSet::new());
        let mut turn = (0..LEFT.1).cycle();
        while target.stands() {
            while under_way.len() < LEFT.0 && target.stands() {
                let from = address(turn.next().context("a source")?);
                let endpoint = endpoint(from, STAYS.1)?;
                let connecting = endpoint.connect(target.tunnel, "localhost")?;
                done.sent += 1;
                under_way.spawn(async move {
                    let is_over = timeout(STAYS.0, connecting).await.is_ok();
                    drop(endpoint);
                    is_over
                });
            }
            if let Ok(Some(Ok(true))) = timeout(PAUSE, under_way.join_next()).await {
                done.got += 1;
            }
        }
        Ok(done)
    })
}

/// A client that trusts nobody, and sends so many packets at most.
fn endpoint(from: Ipv4Addr, packets: usize) -> Result<Endpoint> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let socket = UdpSocket::bind(SocketAddr::from((from, 0)))?;
    let socket = Muted::after(packets, TokioRuntime.wrap_udp_socket(socket)?);
    let mut endpoint = Endpoint::new_with_abstract_socket(
        EndpointConfig::default(),
        None,
        Arc::new(socket),
        Arc::new(TokioRuntime),
    )?;
    endpoint.set_default_client_config(config);
    Ok(endpoint)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime)
}
