//! Strangers who fill all room that there is for them, and prove nothing: whoever comes from elsewhere has theirs, at each listener.

// By the name that it has everywhere else in the workspace.
extern crate reveille_net as net;

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{call_id, loopback, message, options, read_to_close, read_until, write};
use net::{
    Config, Events, Limits, Net, Standing, TlsSource, Visitor, WebSocketConfig, XmppConfig,
    client_config,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How many strangers have room, all of whom are to make room.
const ROOM: u8 = 8;

const HEADER: &str = "<stream:stream to='example.com' version='1.0' xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";

/// SIP and XMPP, of which each begins in the clear and in TLS.
struct World {
    net: Net,
    events: Events,
    certificate: rcgen::CertifiedKey<rcgen::KeyPair>,
    /// Whoever is at the address that ends in 1 has signed in.
    has_signed_in: Arc<AtomicBool>,
}

async fn world() -> World {
    world_with(|_| {}).await
}

/// With such limits beside those that it has.
#[expect(clippy::unwrap_used, reason = "a test that panics has failed")]
async fn world_with(change: impl FnOnce(&mut Limits)) -> World {
    let certificate = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap();
    let (chain, key) = (
        certificate.cert.pem(),
        certificate.signing_key.serialize_pem(),
    );
    let has_signed_in = Arc::new(AtomicBool::new(false));
    let one = has_signed_in.clone();
    let doorman = move |from| Visitor {
        source: from,
        standing: match from {
            IpAddr::V4(v4) if v4.octets()[3] == 1 && one.load(Ordering::Relaxed) => Standing::Known,
            _ => Standing::Stranger,
        },
    };
    let mut config = Config {
        tcp: vec![loopback()],
        tls: vec![loopback()],
        xmpp: Some(XmppConfig {
            tcp: vec![loopback()],
            tls: vec![loopback()],
            websocket: WebSocketConfig::default(),
            domains: xmpp::stream::Domains::new("example.com", &[]).unwrap(),
            offer: Arc::new(|_| Arc::default()),
            steer: Arc::new(|_| 0),
        }),
        server_tls: Some(TlsSource::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()),
        doorman: Some(Arc::new(doorman)),
        limits: Limits {
            connections: usize::from(ROOM) + 4,
            reserved: 4,
            silent: usize::from(ROOM),
            ..Limits::default()
        },
        ..Config::default()
    };
    change(&mut config.limits);
    let (net, events) = Net::bind(config).await.unwrap();
    World {
        net,
        events,
        certificate,
        has_signed_in,
    }
}

#[expect(clippy::unwrap_used, reason = "a test that panics has failed")]
async fn connected(last: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind((Ipv4Addr::new(127, 0, 8, last), 0).into())
        .unwrap();
    socket.connect(to).await.unwrap()
}

impl World {
    #[expect(clippy::unwrap_used, reason = "a test that panics has failed")]
    async fn in_tls(&self, stream: TcpStream) -> TlsStream<TcpStream> {
        let trusts = client_config(self.certificate.cert.pem().as_bytes()).unwrap();
        let name = "example.com".try_into().unwrap();
        TlsConnector::from(trusts)
            .connect(name, stream)
            .await
            .unwrap()
    }

    #[expect(clippy::unwrap_used, reason = "a test that panics has failed")]
    async fn until(&self, is_so: impl Fn(&net::Stats) -> bool) {
        let looked = async {
            while !is_so(&self.net.stats()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(common::PATIENCE, looked)
            .await
            .unwrap();
    }

    /// All room is taken by connections from there, over each of which this is said.
    async fn filled(&self, last: u8, to: SocketAddr, said: &[u8]) -> Vec<TcpStream> {
        let mut all = Vec::new();
        for number in 1..=ROOM {
            let mut stream = connected(last, to).await;
            tokio::io::AsyncWriteExt::write_all(&mut stream, said)
                .await
                .expect("it is open");
            self.until(|stats| stats.accepted == u64::from(number))
                .await;
            all.push(stream);
        }
        all
    }
}

#[expect(clippy::unwrap_used, reason = "a test that panics has failed")]
fn hello(world: &World) -> Vec<u8> {
    let trusts = client_config(world.certificate.cert.pem().as_bytes()).unwrap();
    let name = "example.com".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(trusts, name).unwrap();
    let mut octets = Vec::new();
    client.write_tls(&mut octets).unwrap();
    octets
}

type Said = fn(&World) -> Vec<u8>;

/// What somebody says who proves nothing by it, and where.
const NOTHING_PROVEN: [(usize, Said); 12] = [
    (0, |_| Vec::new()),
    (0, |_| b"O".to_vec()),
    (0, |_| b"OPTIONS sip:a SIP/2.0\r\nVia: ".to_vec()),
    (0, |_| b"\r\n\r\n".to_vec()),
    (0, |_| options("x", "").into_bytes()),
    (1, |_| vec![22]),
    (1, |world| hello(world)[..100].to_vec()),
    (1, hello),
    (2, |_| b"<".to_vec()),
    (2, |_| HEADER.as_bytes().to_vec()),
    (2, |_| {
        [
            HEADER,
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        ]
        .concat()
        .into_bytes()
    }),
    (3, |world| hello(world)[..100].to_vec()),
];

#[tokio::test]
async fn who_has_proven_nothing_makes_room_for_who_comes_from_elsewhere() {
    for (place, (port, said)) in NOTHING_PROVEN.into_iter().enumerate() {
        let mut world = world().await;
        let at = world.net.addresses().clone();
        let ports = [at.tcp[0], at.tls[0], at.xmpp_tcp[0], at.xmpp_tls[0]];
        let mut all = world.filled(1, ports[port], &said(&world)).await;
        // One more from there is one too many.
        read_to_close(&mut connected(1, ports[port]).await).await;
        let _phone = comes_in(&mut world, 2, at.tcp[0], "phone").await;
        let oldest = all.remove(0);
        ends(oldest).await;
        world.until(|stats| stats.silent == 1).await;
        let stats = world.net.stats();
        assert_eq!(
            (stats.refused, stats.open),
            (1, usize::from(ROOM)),
            "{place}"
        );
    }
}

/// Whatever it was told before, it is over.
async fn ends(mut stream: TcpStream) {
    let mut heard = Vec::new();
    let read = async {
        while let Ok(1..) = tokio::io::AsyncReadExt::read_buf(&mut stream, &mut heard).await {}
    };
    tokio::time::timeout(common::PATIENCE, read)
        .await
        .expect("it ends");
}

/// What is said, and over what, but of connections that have ended.
async fn message_after_closing(events: &mut Events) -> (sip::endpoint::Flow, sip::Message) {
    loop {
        if let net::Event::Message { flow, message } = common::event(events).await {
            return (flow, message);
        }
    }
}

/// Somebody comes from there, and what they say by this Call-ID is heard.
async fn comes_in(world: &mut World, last: u8, to: SocketAddr, says: &str) -> TcpStream {
    let mut phone = connected(last, to).await;
    write(&mut phone, &options(says, "")).await;
    while call_id(&message_after_closing(&mut world.events).await.1) != says {}
    phone
}

/// Whoever is still there is still heard.
async fn all_are_heard(world: &mut World, phones: &mut [TcpStream]) {
    for phone in phones {
        write(phone, &options("again", "")).await;
        let (_, heard) = message_after_closing(&mut world.events).await;
        assert_eq!(call_id(&heard), "again");
    }
}

#[tokio::test]
async fn who_has_signed_in_meanwhile_stays() {
    let mut world = world().await;
    let at = world.net.addresses().tcp[0];
    let mut phones = world.filled(1, at, options("x", "").as_bytes()).await;
    for _ in 0..ROOM {
        message(&mut world.events).await;
    }
    world.has_signed_in.store(true, Ordering::Relaxed);
    // They have all room that there is for strangers, and owe it to nobody.
    read_to_close(&mut connected(2, at).await).await;
    assert_eq!(world.net.stats().refused, 1);
    let mut known = connected(1, at).await;
    write(&mut known, &options("known", "")).await;
    assert_eq!(call_id(&message(&mut world.events).await.1), "known");
    all_are_heard(&mut world, &mut phones).await;
}

#[tokio::test]
async fn where_each_proves_who_it_is_nobody_is_spared_for_others_of_their_source() {
    let mut world = world_with(|limits| limits.each_proves = true).await;
    world.has_signed_in.store(true, Ordering::Relaxed);
    let at = world.net.addresses().tcp[0];
    let all = world.filled(1, at, options("x", "").as_bytes()).await;
    let (flow, _) = message(&mut world.events).await;
    world.net.is_proven(flow.id);
    for _ in 1..ROOM {
        message(&mut world.events).await;
    }
    // Another one for each that has proven nothing, from elsewhere and from there, which has the reserve as well.
    let mut others = Vec::new();
    for last in 2..ROOM {
        others.push(comes_in(&mut world, last, at, "phone").await);
    }
    let mut all = all.into_iter();
    let mut proven = all.next().into_iter().collect::<Vec<_>>();
    for other in all.by_ref().take(others.len()) {
        ends(other).await;
    }
    all_are_heard(&mut world, &mut proven).await;
    // Who has as many as anybody gets no other's place, but the known have the reserve.
    read_to_close(&mut connected(2, at).await).await;
    assert_eq!(world.net.stats().refused, 1);
    for _ in 0..4 {
        proven.push(comes_in(&mut world, 1, at, "known").await);
    }
    all_are_heard(&mut world, &mut proven).await;
    // In the reserve as well they go for whoever comes from elsewhere.
    comes_in(&mut world, 100, at, "stranger").await;
    assert_eq!(world.net.stats().open, usize::from(ROOM) + 4);
    drop(all);
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_of_a_source_who_has_proven_nothing_makes_room_for_who_comes_from_there() {
    let mut world = world_with(|limits| limits.connections_per_peer = 3).await;
    let at = world.net.addresses().tcp[0];
    let mut phones = Vec::new();
    for number in 0..4 {
        if number == 3 {
            // Nobody has had time for it.
            read_to_close(&mut connected(2, at).await).await;
            tokio::time::advance(Duration::from_secs(2)).await;
        }
        let mut phone = connected(2, at).await;
        write(&mut phone, &options("x", "")).await;
        let (flow, _) = message_after_closing(&mut world.events).await;
        // The first is somebody.
        if number == 0 {
            world.net.is_proven(flow.id);
        }
        phones.push(phone);
    }
    ends(phones.remove(1)).await;
    assert_eq!(world.net.stats().refused, 1);
    world.until(|stats| stats.open == 3).await;
    // Inside, those of a source that is known have all proven it.
    let mut known = Vec::new();
    world.has_signed_in.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        known.push(comes_in(&mut world, 1, at, "known").await);
    }
    read_to_close(&mut connected(1, at).await).await;
    all_are_heard(&mut world, &mut known).await;
}

#[tokio::test]
async fn who_has_proven_who_it_is_stays_though_nobody_else_of_its_source_has() {
    let mut world = world().await;
    let at = world.net.addresses().tcp[0];
    let mut phones = world.filled(1, at, options("x", "").as_bytes()).await;
    for _ in 0..ROOM {
        let (flow, _) = message(&mut world.events).await;
        world.net.is_proven(flow.id);
    }
    read_to_close(&mut connected(2, at).await).await;
    assert_eq!(world.net.stats().refused, 1);
    all_are_heard(&mut world, &mut phones).await;
}

#[tokio::test(start_paused = true)]
async fn there_are_ten_seconds_for_all_that_comes_before_the_first_message() {
    let limit = Limits::default().first_message;
    for of_xmpp in [false, true] {
        let mut world = world().await;
        let at = world.net.addresses();
        let at = if of_xmpp { at.xmpp_tls[0] } else { at.tls[0] };
        let stream = connected(1, at).await;
        world.until(|stats| stats.open == 1).await;
        let begun = Instant::now();
        tokio::time::advance(limit / 2).await;
        let mut stream = world.in_tls(stream).await;
        // Half of it, and no more.
        write(&mut stream, if of_xmpp { "<str" } else { "OPTIONS " }).await;
        read_to_close(&mut stream).await;
        let took = begun.elapsed();
        assert!(took <= limit + Duration::from_millis(100), "{took:?}");
        assert_eq!(world.net.stats().silent, 1);

        let mut late = connected(1, at).await;
        world.until(|stats| stats.open == 1).await;
        tokio::time::advance(limit / 2).await;
        let mut octets = [0; 1];
        assert_eq!(
            late.try_read(&mut octets).unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock
        );
        tokio::io::AsyncWriteExt::write_all(&mut late, &hello(&world)[..10])
            .await
            .expect("it is open");
        let begun = Instant::now();
        read_to_close(&mut late).await;
        assert!(begun.elapsed() <= limit / 2 + Duration::from_millis(100));
        world.net.shutdown().await;
        drop(world.events.try_recv());
    }
}

#[tokio::test]
async fn a_connection_counts_as_what_will_be_spoken_over_it_before_anything_is() {
    let world = world().await;
    let at = world.net.addresses();
    let _all = [
        connected(1, at.tcp[0]).await,
        connected(1, at.tls[0]).await,
        connected(1, at.xmpp_tcp[0]).await,
        connected(1, at.xmpp_tls[0]).await,
    ];
    world.until(|stats| stats.open == 4).await;
    let open_by = world.net.stats().open_by;
    let open: Vec<_> = open_by.all().filter(|(.., open)| *open > 0).collect();
    let expected = [
        ("sip", "tcp", 1),
        ("sip", "tls", 1),
        ("xmpp", "tcp", 1),
        ("xmpp", "tls", 1),
    ];
    assert_eq!(open, expected);
    let mut client = connected(2, at.xmpp_tcp[0]).await;
    write(&mut client, HEADER).await;
    read_until(&mut client, "</stream:features>").await;
}
