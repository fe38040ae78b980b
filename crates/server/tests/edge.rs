//! Phones outside: they register, sleep, are pushed and come back by one edge or another, and nothing of a stranger gets in.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use domain::Behaviour;
use lab::{
    cloud::{Ca, DevCredentials},
    phone::{Phone, PhoneConfig, PhoneEvent, PushService, XmppDoor},
};
use net::http::request;
use reveille::{
    app::Options,
    config::{Addresses, Client, Config, Words},
    dev::{self, Dev},
    edge_role::EdgeRole,
};
use serde_json::Value;
use sip::Transport;
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tunnel::{Arrival, EdgeAddress, Identity, Inside};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where clients get tokens, as they are told.
const ISSUER: &str = "https://sip.localhost";

/// What the server is called, and what each edge is.
const INSIDE: &str = "sip.localhost";
const EDGE: &str = "edge.localhost";

/// For so long nothing more is taken of who is slowed down.
const STILL: Duration = Duration::from_secs(1);

/// A directory with a key in it, by which the other side knows us.
fn keyed() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let pem = Identity::generate().unwrap();
    fs::write(directory.path().join("tunnel.key"), &pem).unwrap();
    let key = Identity::from_pem(&pem).unwrap().fingerprint();
    (directory, key.to_string())
}

/// A user asks for tokens.
fn by_password(user: &str) -> Value {
    serde_json::json!({
        "grant_type": "password", "username": user, "password": dev::PASSWORD,
    })
}

struct World {
    dev: Dev,
    edges: Vec<(EdgeRole, TempDir)>,
    inside: TempDir,
}

async fn edge(ca: &Ca, at: (&Path, &str), insides: &[&str], passwords: bool) -> EdgeRole {
    let options = options_of_edge(ca, at, insides, passwords);
    EdgeRole::start(options).await.unwrap()
}

/// What such an edge is started with.
fn options_of_edge(
    ca: &Ca,
    (at, tunnel): (&Path, &str),
    insides: &[&str],
    passwords: bool,
) -> Options {
    let nowhere = Addresses::of(&[]);
    let mut config = Config::default();
    config.server.roles = Words::of(&["edge"]);
    at.clone_into(&mut config.server.data_dir);
    EDGE.clone_into(&mut config.server.node);
    config.listen.sip_udp = nowhere.clone();
    config.listen.sip_tcp = nowhere;
    config.listen.sip_tls = Addresses::of(&["127.0.0.1:0"]);
    config.listen.xmpp_tls = Addresses::of(&["127.0.0.1:0"]);
    config.listen.device_tls = Addresses::of(&["127.0.0.1:0"]);
    config.listen.admin = Addresses::of(&["127.0.0.1:0"]);
    config.listen.health = Addresses::of(&["127.0.0.1:0"]);
    config.listen.tunnel = Addresses::of(&[tunnel]);
    config.edge.insides = Words::of(insides);
    ISSUER.clone_into(&mut config.oauth.issuer);
    config.oauth.client = vec![app_of_the_page()];
    config.edge.passwords = passwords;
    let certificate = ca.issue(&["localhost"]).unwrap();
    let (chain, key) = (certificate.chain_pem, certificate.key_pem);
    let tls = net::TlsSource::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    Options {
        config,
        behaviour: Behaviour::default(),
        apps: Vec::new(),
        route: ca.root_store().into(),
        tls: Some(tls),
        client_tls: None,
        admin_token: dev::ADMIN_TOKEN.to_owned(),
        origin: None,
        users: Vec::new(),
        tenants: Vec::new(),
    }
}

impl World {
    /// An inside and so many edges, all tunnels up.
    async fn start(edges: usize) -> Self {
        Self::letting_in(edges, true).await
    }

    /// The same, whose edges let in by password or by token alone.
    async fn letting_in(edges: usize, passwords: bool) -> Self {
        let ca = Ca::new().unwrap();
        let (inside, key) = keyed();
        let (mut known, mut running) = (Vec::new(), Vec::new());
        for _ in 0..edges {
            let (at, of_edge) = keyed();
            let edge = edge(&ca, (at.path(), "127.0.0.1:0"), &[&key], passwords).await;
            known.push(format!("{}#{of_edge}", edge.tunnel()));
            running.push((edge, at));
        }
        let mut config = dev::on_free_ports();
        inside.path().clone_into(&mut config.server.data_dir);
        INSIDE.clone_into(&mut config.server.node);
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        config.edge.edges = Words::of(&known);
        ISSUER.clone_into(&mut config.oauth.issuer);
        config.oauth.client = vec![app_of_the_page()];
        let users = dev::USERS.map(str::to_owned).to_vec();
        let credentials = DevCredentials::new();
        let table = Behaviour::default();
        let dev = Dev::start_with(config, table, ca, credentials, users, None);
        let world = Self {
            dev: dev.await.unwrap(),
            edges: running,
            inside,
        };
        world.tunnels(|up| up.iter().all(|up| *up)).await;
        world
    }

    /// Waits until the inside says so of its tunnels.
    async fn tunnels(&self, wanted: impl Fn(&[bool]) -> bool) {
        let url = self.admin("/api/v1/tunnels");
        let is_so = async {
            loop {
                let told = request(http::Method::GET, &url, Some(dev::ADMIN_TOKEN), None);
                let told: Value = serde_json::from_slice(&told.await.unwrap().1).unwrap();
                let told = told.as_array().unwrap();
                let up: Vec<_> = told.iter().map(|it| it["up"] == true).collect();
                if wanted(&up) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, is_so).await.unwrap();
    }

    /// Waits until the first tunnel carries so many clients.
    async fn carries(&self, wanted: u64) {
        let url = self.admin("/api/v1/tunnels");
        let does = async {
            loop {
                let told = request(http::Method::GET, &url, Some(dev::ADMIN_TOKEN), None);
                let told: Value = serde_json::from_slice(&told.await.unwrap().1).unwrap();
                if told[0]["clients"] == wanted {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, does).await.unwrap();
    }

    /// Waits until a story has a step of this name that says all of this.
    async fn tells(&self, step: &str, says: &[&str]) {
        let ask = async |path: &str| {
            let url = self.admin(path);
            let told = request(http::Method::GET, &url, Some(dev::ADMIN_TOKEN), None);
            let told: Value = serde_json::from_slice(&told.await.unwrap().1).unwrap();
            told.as_array().unwrap().clone()
        };
        let is_it = |it: &Value| {
            let detail = it["detail"].as_str().unwrap_or_default();
            it["step"] == step && says.iter().all(|said| detail.contains(said))
        };
        let does = async {
            loop {
                for story in ask("/api/v1/traces").await {
                    let tracking = story["tracking"].as_str().unwrap();
                    let steps = ask(&format!("/api/v1/traces/{tracking}")).await;
                    if steps.iter().any(is_it) {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let told = timeout(PATIENCE, does).await;
        assert!(told.is_ok(), "no {step} that says {says:?}");
    }

    /// So many tokens the first edge has refused by itself.
    async fn bad_tokens(&self) -> u64 {
        let at = self.edges[0].0.bound().health[0];
        let url = format!("http://{at}/metrics");
        let told = request(http::Method::GET, &url, None, None)
            .await
            .unwrap()
            .1;
        let told = String::from_utf8(told.to_vec()).unwrap();
        let line = told.lines().find(|it| it.contains("\"bad_token\""));
        line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    /// Ends the first edge, and starts it again where it was; it knows these insides, too.
    async fn edge_again(&mut self, others: &[&str]) {
        let (gone, at) = self.edges.remove(0);
        let tunnel = gone.tunnel().to_string();
        gone.shutdown().await;
        self.tunnels(|up| up == [false]).await;
        let key = fs::read_to_string(self.inside.path().join("tunnel.key")).unwrap();
        let key = Identity::from_pem(&key).unwrap().fingerprint().to_string();
        let insides = [&[&*key], others].concat();
        let again = edge(&self.dev.ca, (at.path(), &tunnel), &insides, true).await;
        self.tunnels(|up| up == [true]).await;
        self.edges.insert(0, (again, at));
    }

    /// An access token and a refresh token of this user, from inside, where passwords are taken.
    async fn tokens(&self, user: &str) -> [String; 2] {
        let url = self.admin("/oauth/token");
        let told = request(http::Method::POST, &url, None, Some(&by_password(user))).await;
        let tokens: Value = serde_json::from_slice(&told.unwrap().1).unwrap();
        ["access_token", "refresh_token"].map(|it| tokens[it].as_str().unwrap().to_owned())
    }

    /// What clients that know nothing of us are told there; and inside, but for who may try a password.
    async fn tells_what_clients_of_oauth_need(&self, https: SocketAddr, grants: &[&str]) {
        let asks = async |path: &str| {
            let stranger = Stranger::comes(self, https).await;
            let (status, told) = stranger.asks(&format!("GET {path}"), None, "").await;
            assert_eq!(status, 200, "{path}: {told}");
            let inside = request(http::Method::GET, &self.admin(path), None, None).await;
            let inside: Value = serde_json::from_slice(&inside.unwrap().1).unwrap();
            [serde_json::from_str(&told).unwrap(), inside]
        };
        let [mut told, inside] = asks("/.well-known/oauth-authorization-server").await;
        assert_eq!(told["issuer"], ISSUER);
        assert_eq!(told["token_endpoint"], format!("{ISSUER}/oauth/token"));
        assert_eq!(told["grant_types_supported"], serde_json::json!(grants));
        // What goes with passwords.
        for key in [
            "grant_types_supported",
            "authorization_endpoint",
            "response_types_supported",
            "response_modes_supported",
            "code_challenge_methods_supported",
            "authorization_response_iss_parameter_supported",
        ] {
            assert!(!inside[key].is_null(), "{key}");
            told[key] = inside[key].clone();
        }
        assert_eq!(told, inside);
        let [told, inside] = asks("/oauth/jwks").await;
        assert_eq!(told, inside);
        let x = told["keys"][0]["x"].as_str().unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(x).unwrap().len(), 32);
    }

    /// An operator has tokens signed by another key.
    async fn rotates(&self, how: &Value) {
        let url = self.admin("/api/v1/tokens/keys");
        let admin = Some(dev::ADMIN_TOKEN);
        let post = request(http::Method::POST, &url, admin, Some(how)).await;
        assert!(post.unwrap().0.is_success());
    }

    /// Waits until an edge tells clients of so many keys.
    async fn edge_knows(&self, edge: usize, keys: usize) {
        let https = self.edges[edge].0.bound().device_tls[0];
        let does = async {
            loop {
                let stranger = Stranger::comes(self, https).await;
                let (_, told) = stranger.asks("GET /oauth/jwks", None, "").await;
                let told: Value = serde_json::from_str(&told).unwrap();
                if told["keys"].as_array().unwrap().len() == keys {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, does).await.unwrap();
    }

    /// An operator gives a user another password.
    async fn new_password(&self, user: &str) {
        let another = serde_json::json!({"password": "another"});
        let url = self.admin(&format!("/api/v1/users/{user}@localhost"));
        let admin = Some(dev::ADMIN_TOKEN);
        let put = request(http::Method::PUT, &url, admin, Some(&another)).await;
        assert!(put.unwrap().0.is_success());
    }

    fn admin(&self, path: &str) -> String {
        format!("http://{}{path}", self.dev.server.bound().admin[0])
    }

    fn edge(&self, number: usize) -> SocketAddr {
        self.edges[number].0.bound().sip.tls[0]
    }

    /// A client of XMPP alone, which finds its server there.
    async fn client(&self, user: &str, server: SocketAddr) -> Phone {
        let mut config = self.config(user, (Transport::Tls, server));
        config.sip = false;
        config.device_api = None;
        config.xmpp = Some(XmppDoor {
            pushes: true,
            ..XmppDoor::new(server)
        });
        Phone::start(config).await.unwrap()
    }

    async fn phone(&self, user: &str, server: (Transport, SocketAddr)) -> Phone {
        Phone::start(self.config(user, server)).await.unwrap()
    }

    fn config(&self, user: &str, server: (Transport, SocketAddr)) -> PhoneConfig {
        let service = PushService::Apns {
            team: "TEAM123456".to_owned(),
            bundle: "com.example.webex".to_owned(),
        };
        let mut config = PhoneConfig::new(user, dev::PASSWORD, "localhost", server, service);
        let bound = self.dev.server.bound();
        config.ca = Some(self.dev.ca.ca_pem().to_owned());
        config.lab = Some(format!("http://{}", self.dev.clouds.addresses().control));
        config.device_api = Some(format!("http://{}", bound.admin[0]));
        config
    }

    async fn shutdown(self) {
        self.dev.shutdown().await;
        for (edge, _) in self.edges {
            edge.shutdown().await;
        }
    }
}

/// What the name of our edges leads to: one of them, and then another.
async fn name_of(first: SocketAddr) -> (SocketAddr, watch::Sender<SocketAddr>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (leads_to, where_to) = watch::channel(first);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let where_to = where_to.clone();
            tokio::spawn(async move {
                let edge = *where_to.borrow();
                let mut edge = TcpStream::connect(edge).await?;
                copy_bidirectional(&mut client, &mut edge).await
            });
        }
    });
    (at, leads_to)
}

async fn sees(phone: &Phone, wanted: impl FnMut(&PhoneEvent) -> bool) {
    phone.wait_for(wanted, PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_outside_is_woken_and_comes_back_by_another_edge() {
    let world = World::start(2).await;
    let (at, leads_to) = name_of(world.edge(0)).await;
    let outside = world.phone("bob", (Transport::Tls, at)).await;
    outside.register().await.unwrap();
    outside.suspend().await.unwrap();
    leads_to.send_replace(world.edge(1));

    let udp = world.dev.server.bound().sip.udp[0];
    let inside = world.phone("alice", (Transport::Udp, udp)).await;
    inside.register().await.unwrap();
    let call = inside.call("sip:bob@localhost").await.unwrap();
    sees(
        &outside,
        |event| matches!(event, PhoneEvent::Pushed { kind, .. } if kind == "call"),
    )
    .await;
    sees(&outside, |event| {
        matches!(event, PhoneEvent::Ringing { .. })
    })
    .await;
    sees(&inside, |event| {
        matches!(event, PhoneEvent::Progress { status: 180, .. })
    })
    .await;
    let rings = outside
        .events()
        .into_iter()
        .find_map(|entry| match entry.event {
            PhoneEvent::Ringing { call } => Some(call),
            _ => None,
        });
    outside.answer(&rings.unwrap()).await.unwrap();
    sees(&outside, |event| {
        matches!(event, PhoneEvent::Connected { .. })
    })
    .await;
    // Both ways within the call, and a text.
    inside.hangup(&call).await.unwrap();
    sees(&outside, |event| matches!(event, PhoneEvent::Ended { .. })).await;
    assert_eq!(
        outside
            .send_message("sip:alice@localhost", "back")
            .await
            .unwrap(),
        202
    );
    sees(
        &inside,
        |event| matches!(event, PhoneEvent::MessageReceived { text, .. } if text == "back"),
    )
    .await;
    let by = format!("by the edge {}", world.edge(1));
    world.tells("by_edge", &["to tls 127.0.0.1:", &by]).await;
    world.tells("by_edge", &["from tls 127.0.0.1:", &by]).await;

    outside.shutdown().await;
    inside.shutdown().await;
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_outside_goes_on_by_another_edge_when_its_own_is_gone() {
    let mut world = World::start(2).await;
    let xmpp = |edge: &EdgeRole| edge.bound().sip.xmpp_tls[0];
    let (at, leads_to) = name_of(xmpp(&world.edges[0].0)).await;
    let outside = world.client("bob", at).await;
    outside.register().await.unwrap();
    sees(&outside, |event| {
        matches!(event, PhoneEvent::SignedIn { resumed: false, .. })
    })
    .await;
    let udp = world.dev.server.bound().sip.udp[0];
    let inside = world.phone("alice", (Transport::Udp, udp)).await;
    inside.register().await.unwrap();
    let says = |text: &'static str| move |event: &PhoneEvent| matches!(event, PhoneEvent::MessageReceived { text: heard, .. } if heard == text);
    inside
        .send_message("sip:bob@localhost", "first")
        .await
        .unwrap();
    sees(&outside, says("first")).await;
    outside
        .send_message("sip:alice@localhost", "and back")
        .await
        .unwrap();
    sees(&inside, says("and back")).await;
    let by = format!("by the edge {}", xmpp(&world.edges[0].0));
    world.tells("by_edge", &["from XMPP 127.0.0.1:", &by]).await;
    world.tells("by_edge", &["to XMPP 127.0.0.1:", &by]).await;

    leads_to.send_replace(xmpp(&world.edges[1].0));
    let (gone, _at) = world.edges.remove(0);
    gone.shutdown().await;
    inside
        .send_message("sip:bob@localhost", "meanwhile")
        .await
        .unwrap();
    sees(&outside, |event| {
        matches!(event, PhoneEvent::SignedIn { resumed: true, .. })
    })
    .await;
    sees(&outside, says("meanwhile")).await;
    let heard = outside.events().into_iter();
    let heard = heard.filter(|entry| matches!(entry.event, PhoneEvent::MessageReceived { .. }));
    assert_eq!(heard.count(), 2, "each once");

    outside.shutdown().await;
    inside.shutdown().await;
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_is_told_to_stop_sends_clients_away_and_nobody_in_a_call() {
    let world = World::start(2).await;
    let (at, leads_to) = name_of(world.edge(0)).await;
    let talking = world.phone("bob", (Transport::Tls, at)).await;
    let idle = world.phone("carol", (Transport::Tls, at)).await;
    for phone in [&talking, &idle] {
        phone.register().await.unwrap();
    }
    let udp = world.dev.server.bound().sip.udp[0];
    let inside = world.phone("alice", (Transport::Udp, udp)).await;
    inside.register().await.unwrap();
    let call = inside.call("sip:bob@localhost").await.unwrap();
    let rings = |event: &PhoneEvent| matches!(event, PhoneEvent::Ringing { .. });
    sees(&talking, rings).await;
    let mut ringing = talking.events().into_iter();
    let ringing = ringing.find_map(|entry| match entry.event {
        PhoneEvent::Ringing { call } => Some(call),
        _ => None,
    });
    talking.answer(&ringing.unwrap()).await.unwrap();
    let is_up = |event: &PhoneEvent| matches!(event, PhoneEvent::Connected { .. });
    sees(&talking, is_up).await;

    leads_to.send_replace(world.edge(1));
    let is_lost = |event: &PhoneEvent| matches!(event, PhoneEvent::ConnectionLost);
    let mut drained = Box::pin(world.edges[0].0.drain());
    let moves = async {
        sees(&idle, is_lost).await;
        idle.register().await.unwrap();
    };
    tokio::select! {
        () = &mut drained => panic!("a call was cut"),
        () = moves => {}
    }
    let device_tls = world.edges[0].0.bound().device_tls[0];
    for nobody_listens_at in [world.edge(0), device_tls] {
        assert!(TcpStream::connect(nobody_listens_at).await.is_err());
    }
    let heard = talking.events().into_iter();
    assert_eq!(heard.filter(|entry| is_lost(&entry.event)).count(), 0);
    inside.hangup(&call).await.unwrap();
    timeout(PATIENCE, drained).await.unwrap();
    sees(&talking, |event| matches!(event, PhoneEvent::Ended { .. })).await;
    sees(&talking, is_lost).await;

    for phone in [talking, idle, inside] {
        phone.shutdown().await;
    }
    world.shutdown().await;
}

/// An inside that reads when it likes, by the only edge that there is; and a phone that it has let in.
async fn with_lazy_inside() -> (EdgeRole, TempDir, Inside, Arrival, Stranger) {
    let ca = Ca::new().unwrap();
    let inside = Identity::from_pem(&Identity::generate().unwrap()).unwrap();
    let (at, _) = keyed();
    let key = inside.fingerprint().to_string();
    let edge = edge(&ca, (at.path(), "127.0.0.1:0"), &[&key], true).await;
    let pem = fs::read_to_string(at.path().join("tunnel.key")).unwrap();
    let edges = [EdgeAddress {
        at: edge.tunnel().to_string().into(),
        key: Identity::from_pem(&pem).unwrap().fingerprint(),
    }];
    let rest: (tunnel::Limits, tunnel::Clock) = (<_>::default(), Arc::new(SystemTime::now));
    let (_, told) = watch::channel([7; 32][..].into());
    let (inside, mut arrivals) = Inside::dial(("inside", told), &inside, &edges, rest).unwrap();
    // The edge must know of it: it may hear of the other's name later than that of its own.
    let url = format!("http://{}/api/v1/tunnels", edge.bound().admin[0]);
    let is_up = async {
        loop {
            let told = request(http::Method::GET, &url, Some(dev::ADMIN_TOKEN), None).await;
            let told: Value = serde_json::from_slice(&told.unwrap().1).unwrap();
            if told[0]["up"] == true {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, is_up).await.unwrap();
    let mut phone = Stranger::trusting(ca.ca_pem(), edge.bound().sip.tls[0]).await;
    phone.sends("REGISTER", ("mallory", "mallory"), "").await;
    let mut arrival = timeout(PATIENCE, arrivals.recv()).await.unwrap().unwrap();
    let answer = "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bKREGISTER\r\n\
                  From: <sip:mallory@localhost>;tag=1\r\nTo: <sip:mallory@localhost>;tag=2\r\n\
                  Call-ID: REGISTER\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n";
    arrival.stream.write_all(answer.as_bytes()).await.unwrap();
    assert!(phone.hears("", "\r\n\r\n").await.contains("200 OK"));
    (edge, at, inside, arrival, phone)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_faster_than_the_tunnel_is_slowed_down_and_loses_nothing() {
    let (edge, _at, inside, arrival, phone) = with_lazy_inside().await;
    let (mut reads, mut writes) = tokio::io::split(phone.0);
    let body = "x".repeat(8_000);
    let message = format!(
        "MESSAGE sip:alice@localhost SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK2\r\n\
         Max-Forwards: 70\r\nFrom: <sip:mallory@localhost>;tag=1\r\nTo: <sip:alice@localhost>\r\n\
         Call-ID: 2\r\nCSeq: 1 MESSAGE\r\nContent-Length: 8000\r\n\r\n{body}"
    );
    // More than all buffers on the way can have.
    let (many, length) = (3_000, message.len());
    let (said, mut so_many) = watch::channel(0);
    let says = tokio::spawn(async move {
        for number in 1..=many {
            writes.write_all(message.as_bytes()).await.unwrap();
            said.send_replace(number);
        }
        writes.flush().await.unwrap();
        writes
    });
    // So much would have ended its connection, had it been kept.
    let waited = so_many.wait_for(|said| *said * length > 2 << 20);
    timeout(PATIENCE, waited).await.unwrap().unwrap();
    // Nobody reads: what is taken stands still before it is all.
    let until = Instant::now() + PATIENCE;
    while let Ok(Ok(())) = timeout(STILL, so_many.changed()).await {
        assert!(Instant::now() < until, "it does not stand still");
    }
    let taken = *so_many.borrow();
    assert!(taken < many, "all {many} were taken, and nobody has read");
    let (mut hears, mut answers) = tokio::io::split(arrival.stream);
    let mut buffer = vec![0; 1 << 16];
    let (mut heard, all) = (0, many * length);
    // Behind the REGISTER.
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n\r\n") {
        line.push(timeout(PATIENCE, hears.read_u8()).await.unwrap().unwrap());
    }
    while heard < all {
        let read = timeout(PATIENCE, hears.read(&mut buffer)).await;
        let read = read.unwrap().unwrap();
        assert!(read > 0, "{heard} of {all}");
        heard += read;
    }
    assert_eq!(heard, all);
    answers.write_all(b"SIP/2.0 200 OK\r\n\r\n").await.unwrap();
    let mut last = [0; 7];
    let read = timeout(PATIENCE, reads.read_exact(&mut last)).await;
    read.unwrap().unwrap();
    assert_eq!(&last, b"SIP/2.0");
    drop(says.await.unwrap());
    inside.shutdown().await;
    edge.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_is_gone_is_dialled_until_it_is_there_again() {
    let mut world = World::start(1).await;
    world.edge_again(&[]).await;
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_an_inside_that_may_be_away_is_not_called_bad() {
    let mut world = World::start(1).await;
    let (_away, away) = keyed();
    world.edge_again(&[&away]).await;
    let [token, refresh] = world.tokens("alice").await;
    let https = world.edges[0].0.bound().device_tls[0];
    let of_another = forged(&token);
    for (token, status) in [(&token, 404), (&refresh, 401), (&of_another, 503)] {
        let stranger = Stranger::comes(&world, https).await;
        let asked = stranger.asks("GET /api/v1/me/devices/tablet", Some(token), "");
        assert_eq!(asked.await.0, status, "{token}");
    }
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_cannot_start_leaves_no_listener_behind() {
    let ca = Ca::new().unwrap();
    let (at, _) = keyed();
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let tunnel = taken.local_addr().unwrap().to_string();
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let [sip, device] = [free(), free()];
    let mut options = options_of_edge(&ca, (at.path(), &tunnel), &[], true);
    options.config.listen.sip_tls = Addresses::of(&[&sip]);
    options.config.listen.device_tls = Addresses::of(&[&device]);
    let Err(error) = EdgeRole::start(options).await else {
        panic!("it listens where somebody else does");
    };
    assert!(format!("{error:#}").contains(&tunnel), "{error:#}");
    for at in [sip, device] {
        std::net::TcpListener::bind(&at).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_an_alarm_until_it_is_right() {
    let ca = Ca::new().unwrap();
    let inside = Identity::from_pem(&Identity::generate().unwrap()).unwrap();
    let (at, of_edge) = keyed();
    let key = inside.fingerprint().to_string();
    let edge = edge(&ca, (at.path(), "127.0.0.1:0"), &[&key], true).await;
    let edges = [EdgeAddress {
        at: edge.tunnel().to_string().into(),
        key: of_edge.parse().unwrap(),
    }];
    let wrong = Arc::new(AtomicU32::new(37));
    let behind = wrong.clone();
    let clock: tunnel::Clock = Arc::new(move || {
        SystemTime::now() - Duration::from_secs(behind.load(Ordering::Relaxed).into())
    });
    let (_, told) = watch::channel([7; 32][..].into());
    let rest = (tunnel::Limits::default(), clock);
    let (inside, _arrivals) = Inside::dial(("inside", told), &inside, &edges, rest).unwrap();
    let asks = async |path: &str| -> Value {
        let url = format!("http://{}{path}", edge.bound().admin[0]);
        let told = request(http::Method::GET, &url, Some(dev::ADMIN_TOKEN), None).await;
        serde_json::from_slice(&told.unwrap().1).unwrap()
    };
    let stands = async |wanted: bool| {
        let is_so = async {
            loop {
                let all = asks("/api/v1/alarms").await;
                let alarms = all.as_array().unwrap();
                let it = alarms.iter().find(|it| it["name"] == "clocks_differ");
                if it.is_some() == wanted {
                    return it.cloned().unwrap_or_default();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, is_so).await.unwrap()
    };
    let alarm = stands(true).await;
    assert_eq!(alarm["subject"], key);
    assert_eq!(alarm["severity"], "warning");
    let detail = alarm["detail"].as_str().unwrap();
    assert!(detail.contains("37 s behind ours"), "{detail}");
    let tunnels = asks("/api/v1/tunnels").await;
    let ahead = tunnels[0]["clock_ahead_ms"].as_i64().unwrap();
    assert!((-38_000..-36_000).contains(&ahead), "{tunnels}");
    wrong.store(0, Ordering::Relaxed);
    stands(false).await;
    inside.shutdown().await;
    edge.shutdown().await;
}

/// The same token with another signature.
fn forged(token: &str) -> String {
    let (says, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    format!("{says}.{other}{}", &signature[1..])
}

/// How a client of XMPP begins.
const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";

/// It signs in by this token (RFC 7628 §3.1).
fn bears(token: &str) -> String {
    let message = STANDARD.encode(format!("n,,\x01auth=Bearer {token}\x01\x01"));
    format!(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='OAUTHBEARER'>{message}</auth>"
    )
}

/// A client that says what it likes.
struct Stranger(tokio_rustls::client::TlsStream<TcpStream>);

impl Stranger {
    async fn comes(world: &World, to: SocketAddr) -> Self {
        Self::trusting(world.dev.ca.ca_pem(), to).await
    }

    async fn trusting(ca: &str, to: SocketAddr) -> Self {
        let config = net::client_config(ca.as_bytes()).unwrap();
        let stream = TcpStream::connect(to).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
        Self(connector.connect(name, stream).await.unwrap())
    }

    /// Says this, and hears all up to that.
    async fn hears(&mut self, says: &str, until: &str) -> String {
        self.0.write_all(says.as_bytes()).await.unwrap();
        let mut heard = String::new();
        while !heard.contains(until) {
            let mut chunk = [0; 4_096];
            let read = timeout(PATIENCE, self.0.read(&mut chunk)).await;
            let read = read.unwrap().unwrap();
            assert!(read > 0, "no {until:?} in {heard:?}");
            heard.push_str(&String::from_utf8_lossy(&chunk[..read]));
        }
        heard
    }

    /// Waits until nothing more comes.
    async fn hears_the_end(&mut self) {
        let mut rest = Vec::new();
        // Without a goodbye of TLS it is an end as well.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut rest))
            .await
            .unwrap();
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }

    /// One request of HTTP, and its answer.
    async fn asks(mut self, head: &str, token: Option<&str>, body: &str) -> (u16, String) {
        let token = token.map(|it| format!("Authorization: Bearer {it}\r\n"));
        let text = format!(
            "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             {}Content-Length: {}\r\n\r\n{body}",
            token.unwrap_or_default(),
            body.len()
        );
        self.0.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Without a goodbye of TLS it is an end as well.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut answer))
            .await
            .unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, body.to_owned())
    }

    /// A form that a browser sends from a page there, and the whole answer.
    async fn submits(mut self, path: &str, origin: &str, form: &str) -> String {
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: {origin}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        self.0.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Without a goodbye of TLS it is an end as well.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut answer))
            .await
            .unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn says(&mut self, method: &str, headers: &str) -> String {
        self.asks_sip(method, ("mallory", "mallory"), headers).await
    }

    /// One request of SIP that says to be of this user and for that one, and its answer.
    async fn asks_sip(&mut self, method: &str, whose: (&str, &str), headers: &str) -> String {
        self.sends(method, whose, headers).await;
        let mut answer = vec![0; 4_096];
        let read = timeout(PATIENCE, self.0.read(&mut answer)).await;
        String::from_utf8_lossy(&answer[..read.unwrap().unwrap()]).into_owned()
    }

    /// `whose`: from whom, at which host if not at the domain, and to whom.
    async fn sends(&mut self, method: &str, (from, to): (&str, &str), headers: &str) {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let number = ASKED.fetch_add(1, Ordering::Relaxed) + 1;
        let (from, host) = from.split_once('@').unwrap_or((from, "localhost"));
        let text = format!(
            "{method} sip:{to}@localhost SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{from}@{host}>;tag=1\r\nTo: <sip:{to}@localhost>\r\n\
             Call-ID: {number}\r\nCSeq: {number} {method}\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        self.0.write_all(text.as_bytes()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_stranger_gets_in_but_an_attempt_to_sign_in() {
    let world = World::start(1).await;
    for method in ["INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE"] {
        let mut stranger = Stranger::comes(&world, world.edge(0)).await;
        let answer = stranger.says(method, "").await;
        assert!(answer.starts_with("SIP/2.0 403 Register first"), "{answer}");
    }
    // The tunnel carries nobody yet.
    world.carries(0).await;
    let mut stranger = Stranger::comes(&world, world.edge(0)).await;
    let answer = stranger.says("REGISTER", "").await;
    assert!(answer.starts_with("SIP/2.0 401"), "{answer}");
    // Which lets nothing else through.
    let answer = stranger.says("INVITE", "").await;
    assert!(answer.starts_with("SIP/2.0 403 Register first"), "{answer}");
    world.shutdown().await;
}

#[tokio::test]
async fn who_says_something_and_does_not_sign_in_is_sent_away() {
    let ca = Ca::new().unwrap();
    let (at, _) = keyed();
    let edge = edge(&ca, (at.path(), "127.0.0.1:0"), &[], false).await;
    let to = edge.bound().sip.tls[0];
    let mut asked = Stranger::trusting(ca.ca_pem(), to).await;
    let answer = asked.says("REGISTER", "").await;
    assert!(answer.starts_with("SIP/2.0 401"), "{answer}");
    let mut acknowledges = Stranger::trusting(ca.ca_pem(), to).await;
    let ack = "ACK sip:a@localhost SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
               From: <sip:a@localhost>;tag=1\r\nTo: <sip:a@localhost>;tag=edge\r\nCall-ID: 1\r\nCSeq: 1 ACK\r\n\
               Content-Length: 0\r\n\r\n";
    // Behind it, whether it is there (RFC 5626 §3.5.1).
    acknowledges.hears(&format!("{ack}\r\n\r\n"), "\r\n").await;
    let mut babbles = Stranger::trusting(ca.ca_pem(), to).await;
    let no_message = "no message\r\nContent-Length: 0\r\n\r\n\r\n\r\n";
    babbles.hears(no_message, "\r\n").await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    for Stranger(mut stream) in [asked, acknowledges, babbles] {
        // Without a goodbye of TLS it is an end as well.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    let took = begun.elapsed().as_secs();
    assert!((25..=32).contains(&took), "{took} s");
    tokio::time::resume();
    edge.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_inside_a_client_is_told_to_come_again() {
    let world = World::start(1).await;
    let edge = world.edge(0);
    let ca = world.dev.ca.ca_pem().to_owned();
    let World {
        dev,
        edges,
        inside: _inside,
    } = world;
    dev.shutdown().await;
    let mut stranger = Stranger::trusting(&ca, edge).await;
    let answer = stranger.says("REGISTER", "").await;
    assert!(answer.starts_with("SIP/2.0 503"), "{answer}");
    assert!(answer.contains("Retry-After: 5"), "{answer}");
    for (edge, _) in edges {
        edge.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_device_api_is_there_for_clients_outside_and_nothing_beside_it() {
    let world = World::start(1).await;
    let edge = world.edges[0].0.bound().device_tls[0];
    let (head, body) = ("POST /oauth/token", |password: &str| {
        format!(r#"{{"grant_type":"password","username":"alice","password":"{password}"}}"#)
    });
    let stranger = || Stranger::comes(&world, edge);
    let told = stranger().await.asks(head, None, &body("wrong")).await;
    assert_eq!(told.0, 400, "{}", told.1);
    let told = stranger()
        .await
        .asks(head, None, &body(dev::PASSWORD))
        .await;
    assert_eq!(told.0, 200, "{}", told.1);
    let tokens: Value = serde_json::from_str(&told.1).unwrap();
    let token = tokens["access_token"].as_str();
    let device = "/api/v1/me/devices/tablet";
    let put = stranger()
        .await
        .asks(&format!("PUT {device}"), token, "{}")
        .await;
    assert_eq!(put.0, 204, "{}", put.1);
    let shown = stranger()
        .await
        .asks(&format!("GET {device}"), token, "")
        .await;
    assert_eq!(shown.0, 200, "{}", shown.1);
    let refresh = serde_json::json!({
        "grant_type": "refresh_token",
        "refresh_token": tokens["refresh_token"],
    });
    let again = stranger()
        .await
        .asks(head, None, &refresh.to_string())
        .await;
    assert_eq!(again.0, 200, "{}", again.1);

    for (head, token, body, status) in [
        (format!("GET {device}"), None, String::new(), 401),
        (
            format!("GET {device}"),
            Some("nonsense"),
            String::new(),
            401,
        ),
        (format!("PUT {device}"), token, "x".repeat(20_000), 413),
        (
            "GET /api/v1/users".to_owned(),
            Some(dev::ADMIN_TOKEN),
            String::new(),
            404,
        ),
        ("DELETE /oauth/token".to_owned(), token, String::new(), 405),
        (head.to_owned(), None, "nonsense".to_owned(), 400),
        (
            format!("GET /api/v1/me/devices/{}", "x".repeat(10_240)),
            token,
            String::new(),
            431,
        ),
        // What nobody looks at does not go on.
        (
            head.to_owned(),
            Some(&*"x".repeat(20_000)),
            body("wrong"),
            400,
        ),
    ] {
        let told = stranger().await.asks(&head, token, &body).await;
        assert_eq!(told.0, status, "{head}: {}", told.1);
    }
    let told = stranger()
        .await
        .asks("GET /.well-known/reveille.json", None, "")
        .await;
    let told: Value = serde_json::from_str(&told.1).unwrap();
    let bound = world.edges[0].0.bound();
    assert_eq!(told["sip_tls"], bound.sip.tls[0].port());
    assert_eq!(told["xmpp_tls"], bound.sip.xmpp_tls[0].port());
    assert_eq!(
        told["device_api"],
        format!("https://{EDGE}:{}", edge.port())
    );
    let World {
        dev,
        edges,
        inside: _inside,
    } = world;
    let ca = dev.ca.ca_pem().to_owned();
    dev.shutdown().await;
    let late = Stranger::trusting(&ca, edge).await;
    let told = late.asks(head, None, &body(dev::PASSWORD)).await;
    assert_eq!(told.0, 503, "{}", told.1);
    for (edge, _) in edges {
        edge.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_sign_in_slowly_keeps_nobody_at_that_address_out() {
    let world = World::start(1).await;
    let https = world.edges[0].0.bound().device_tls[0];
    let mut slow = Vec::new();
    // As many as may sign in from there at once.
    for path in ["/oauth/token", "/oauth/authorize"] {
        for _ in 0..8 {
            let mut one = Stranger::comes(&world, https).await;
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\
                 Content-Length: 100\r\n\r\n"
            );
            // The body is waited for.
            one.hears(&head, "100 Continue\r\n\r\n").await;
            slow.push(one);
        }
    }
    let honest = Stranger::comes(&world, https).await;
    let body = by_password("alice").to_string();
    let told = honest.asks("POST /oauth/token", None, &body).await;
    assert_eq!(told.0, 200, "{}", told.1);
    drop(slow);
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_without_passwords_lets_in_by_tokens_that_it_can_tell_from_others() {
    let world = World::letting_in(1, false).await;
    let [token, refresh] = &world.tokens("alice").await;
    let (token, refresh) = (token.as_str(), refresh.as_str());
    let (password, forged) = (by_password("alice"), forged(token));

    let bound = world.edges[0].0.bound();
    let (https, xmpp) = (bound.device_tls[0], bound.sip.xmpp_tls[0]);
    let head = "GET /api/v1/me/devices/tablet";
    let again = serde_json::json!({"grant_type": "refresh_token", "refresh_token": refresh});
    let stolen = serde_json::json!({"grant_type": "refresh_token", "refresh_token": token});
    for (head, token, body, status) in [
        ("POST /oauth/token", None, password.to_string(), 400),
        ("POST /oauth/token", None, stolen.to_string(), 400),
        ("POST /oauth/token", None, again.to_string(), 200),
        (head, Some(&*forged), String::new(), 401),
        (head, Some(refresh), String::new(), 401),
        // The inside has answered that there is none.
        (head, Some(token), String::new(), 404),
    ] {
        let stranger = Stranger::comes(&world, https).await;
        let told = stranger.asks(head, token, &body).await;
        assert_eq!(told.0, status, "{head} {body}: {}", told.1);
        let is_by_password = body.contains(r#""grant_type":"password""#);
        let is_named = told.1.contains(r#""error":"unsupported_grant_type""#);
        assert_eq!(is_named, is_by_password, "{}", told.1);
    }

    let mut stranger = Stranger::comes(&world, xmpp).await;
    let offered = stranger.hears(HEADER, "</stream:features>").await;
    assert!(
        offered.contains("<mechanism>OAUTHBEARER</mechanism>"),
        "{offered}"
    );
    assert!(
        !offered.contains("PLAIN") && !offered.contains("SCRAM"),
        "{offered}"
    );
    // RFC 7628 §3.2.3: what is wrong, and then that it has failed.
    stranger.hears(&bears(&forged), "</challenge>").await;
    let response = "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AQ==</response>";
    stranger
        .hears(response, "<not-authorized/></failure>")
        .await;
    // Nothing of it got in.
    world.carries(0).await;
    world
        .tells_what_clients_of_oauth_need(https, &["refresh_token", "authorization_code"])
        .await;
    stranger.hears(&bears(token), "<success").await;
    world.carries(1).await;
    let mut stranger = Stranger::comes(&world, xmpp).await;
    stranger.hears(HEADER, "</stream:features>").await;
    let plain = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>";
    stranger.hears(plain, "<not-authorized").await;
    world.carries(1).await;
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_has_signed_counts_at_every_edge_until_that_key_is_dropped() {
    let world = World::letting_in(2, false).await;
    let [old, refresh] = world.tokens("alice").await;
    let shows =
        format!("Contact: <sip:alice@192.0.2.1;transport=tls>\r\nAuthorization: Bearer {old}\r\n");
    let mut phone = Stranger::comes(&world, world.edge(0)).await;
    let told = phone.asks_sip("REGISTER", ("alice", "alice"), &shows).await;
    assert!(told.starts_with("SIP/2.0 200"), "{told}");
    let asks = async |edge: usize, head: &str, token: Option<&str>, body: &str| {
        let https = world.edges[edge].0.bound().device_tls[0];
        let stranger = Stranger::comes(&world, https).await;
        stranger.asks(head, token, body).await.0
    };
    let device = "GET /api/v1/me/devices/tablet";
    let again = serde_json::json!({"grant_type": "refresh_token", "refresh_token": refresh});
    let again = again.to_string();
    world.rotates(&serde_json::json!({"later": 0})).await;
    let [new, _] = world.tokens("alice").await;
    for edge in [0, 1] {
        world.edge_knows(edge, 2).await;
        for token in [&old, &new] {
            // The inside has answered that there is none.
            assert_eq!(asks(edge, device, Some(token), "").await, 404);
        }
        assert_eq!(asks(edge, "POST /oauth/token", None, &again).await, 200);
    }
    world.rotates(&serde_json::json!({"drop_old": true})).await;
    let [newest, _] = world.tokens("alice").await;
    for edge in [0, 1] {
        world.edge_knows(edge, 1).await;
        for (token, status) in [(&old, 401), (&new, 401), (&newest, 404)] {
            assert_eq!(asks(edge, device, Some(token), "").await, status);
        }
        // It was made a moment ago: its key could be one of which the edge has not heard yet.
        assert_eq!(asks(edge, "POST /oauth/token", None, &again).await, 503);
    }
    // The inside knows.
    let token = world.admin("/oauth/token");
    let again = serde_json::from_str(&again).unwrap();
    let told = request(http::Method::POST, &token, None, Some(&again)).await;
    assert_eq!(told.unwrap().0, 400);
    // No key waits for years.
    let url = world.admin("/api/v1/tokens/keys");
    for how in [
        serde_json::json!({"later": 86_400 * 30 + 1}),
        serde_json::json!({"later": 1, "drop_old": true}),
    ] {
        let post = request(http::Method::POST, &url, Some(dev::ADMIN_TOKEN), Some(&how)).await;
        assert_eq!(post.unwrap().0, 422, "{how}");
    }
    // Nor does what came before go on.
    let told = phone.asks_sip("REGISTER", ("alice", "alice"), &shows).await;
    assert!(told.starts_with("SIP/2.0 401"), "{told}");
    world.shutdown().await;
}

/// An app whose users sign in by the page.
fn app_of_the_page() -> Client {
    Client {
        id: "org.example.phone".to_owned(),
        name: "Phone".to_owned(),
        redirect_uris: Words::of(&["org.example.phone:/in"]),
    }
}

/// The challenge of RFC 7636, Appendix B, and what it is made of.
const PKCE: [&str; 2] = [
    "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
];

/// What an app asks of the page.
fn asked_of_the_page() -> String {
    format!(
        "response_type=code&client_id=org.example.phone&redirect_uri=org.example.phone%3A%2Fin\
         &state=s&code_challenge={}&code_challenge_method=S256",
        PKCE[0]
    )
}

impl World {
    /// The page's form, as somebody has filled it in for alice, and the whole answer.
    async fn signs_in_by_page(&self, origin: &str, password: &str) -> String {
        let stranger = Stranger::comes(self, self.edges[0].0.bound().device_tls[0]).await;
        let asked = asked_of_the_page();
        let form = format!("{asked}&username=alice&password={password}");
        stranger.submits("/oauth/authorize", origin, &form).await
    }

    /// Somebody wants tokens by what they show.
    async fn gives_for(&self, shown: Value) -> (u16, String) {
        let stranger = Stranger::comes(self, self.edges[0].0.bound().device_tls[0]).await;
        let shown = shown.to_string();
        stranger.asks("POST /oauth/token", None, &shown).await
    }
}

/// The code with which this answer sends the browser on.
fn code_in(told: &str) -> String {
    assert!(told.starts_with("HTTP/1.1 303"), "{told}");
    let to = told.lines().find_map(|it| it.strip_prefix("location: "));
    let code = to.unwrap().strip_prefix("org.example.phone:/in?code=");
    let (code, rest) = code.unwrap().split_once('&').unwrap();
    assert_eq!(rest, "state=s&iss=https%3A%2F%2Fsip.localhost");
    code.to_owned()
}

/// What its app shows with a code.
fn redemption(code: &str, verifier: &str) -> Value {
    serde_json::json!({
        "grant_type": "authorization_code", "code": code, "code_verifier": verifier,
        "client_id": "org.example.phone", "redirect_uri": "org.example.phone:/in",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_outside_signs_in_by_the_page_of_an_edge_that_lets_passwords_through() {
    let world = World::letting_in(1, true).await;
    let https = world.edges[0].0.bound().device_tls[0];
    let stranger = Stranger::comes(&world, https).await;
    let page = format!("GET /oauth/authorize?{}", asked_of_the_page());
    let (status, told) = stranger.asks(&page, None, "").await;
    assert!(
        status == 200 && told.contains("<form method=\"post\""),
        "{told}"
    );
    // Nothing of that got in.
    world.carries(0).await;
    let elsewhere = world.signs_in_by_page("https://evil.example", dev::PASSWORD);
    assert!(elsewhere.await.starts_with("HTTP/1.1 400"));
    let stranger = Stranger::comes(&world, https).await;
    let long = "x".repeat(20_000);
    let told = stranger.submits("/oauth/authorize", ISSUER, &long).await;
    assert!(
        told.starts_with("HTTP/1.1 413") && told.contains("<h1>You cannot sign in here</h1>"),
        "{told}"
    );
    let told = world.signs_in_by_page(ISSUER, "another").await;
    assert!(
        told.starts_with("HTTP/1.1 403") && told.contains("role=\"alert\""),
        "{told}"
    );
    assert!(
        told.contains("content-security-policy: default-src 'none'"),
        "{told}"
    );
    let code = code_in(&world.signs_in_by_page(ISSUER, dev::PASSWORD).await);
    let (status, told) = world.gives_for(redemption(&code, PKCE[1])).await;
    assert_eq!(status, 200, "{told}");
    let tokens: Value = serde_json::from_str(&told).unwrap();
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let stranger = Stranger::comes(&world, https).await;
    let form = format!("grant_type=refresh_token&refresh_token={refresh}");
    let told = stranger.submits("/oauth/token", ISSUER, &form).await;
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    for field in ["cache-control: no-store", "pragma: no-cache"] {
        assert!(told.contains(field), "{told}");
    }
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_says_at_an_edge_ends_no_code_and_no_token() {
    let world = World::letting_in(1, true).await;
    let code = code_in(&world.signs_in_by_page(ISSUER, dev::PASSWORD).await);
    let gives_for = async |shown: Value| world.gives_for(shown).await.0;
    // Somebody has read the code, and is first: its client gets its tokens all the same.
    let bad_tokens = world.bad_tokens().await;
    let guess = redemption(&code, &"x".repeat(43));
    assert_eq!(gives_for(guess).await, 400);
    assert_eq!(world.bad_tokens().await, bad_tokens);
    let (status, told) = world.gives_for(redemption(&code, PKCE[1])).await;
    assert_eq!(status, 200, "{told}");
    let tokens: Value = serde_json::from_str(&told).unwrap();
    let refresh = &tokens["refresh_token"];
    // What makes no sense takes nothing from whoever says it.
    let senseless = serde_json::json!({"refresh_token": refresh});
    assert_eq!(gives_for(senseless).await, 400);
    // What is looked at is what the inside would look at.
    let mut both = redemption(&forged(&code), PKCE[1]);
    both["refresh_token"] = refresh.clone();
    assert_eq!(gives_for(both).await, 400);
    assert_eq!(world.bad_tokens().await, bad_tokens + 1);
    let renews = async |token: &Value| {
        let shown = serde_json::json!({"grant_type": "refresh_token", "refresh_token": token});
        world.gives_for(shown).await
    };
    let (status, told) = renews(refresh).await;
    assert_eq!(status, 200, "{told}");
    let tokens: Value = serde_json::from_str(&told).unwrap();
    // The code a second time: all that followed on it ends.
    assert_eq!(gives_for(redemption(&code, PKCE[1])).await, 400);
    assert_eq!(renews(&tokens["refresh_token"]).await.0, 400);
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_without_passwords_has_no_page_to_give_one_away_by() {
    let world = World::letting_in(1, false).await;
    let https = world.edges[0].0.bound().device_tls[0];
    let stranger = Stranger::comes(&world, https).await;
    let (status, told) = stranger
        .asks("GET /oauth/authorize?client_id=x", None, "")
        .await;
    assert!(status == 403 && !told.contains("<form"), "{told}");
    let stranger = Stranger::comes(&world, https).await;
    let told = stranger
        .submits("/oauth/authorize", ISSUER, "username=alice&password=x")
        .await;
    assert!(told.starts_with("HTTP/1.1 403"), "{told}");
    world.carries(0).await;
    let stranger = Stranger::comes(&world, https).await;
    let path = "GET /.well-known/oauth-authorization-server";
    let (_, told) = stranger.asks(path, None, "").await;
    assert!(!told.contains("authorization_endpoint"), "{told}");
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_signed_out_is_sent_away_through_the_edge() {
    let world = World::letting_in(1, false).await;
    let bound = world.edges[0].0.bound();
    let (sip, xmpp) = (bound.sip.tls[0], bound.sip.xmpp_tls[0]);
    for (user, how) in [
        ("alice", "password"),
        ("carol", "sign-out"),
        ("bob", "removal"),
    ] {
        let [token, _] = world.tokens(user).await;
        let mut phone = Stranger::comes(&world, sip).await;
        let shows = format!(
            "Contact: <sip:{user}@192.0.2.1;transport=tls>\r\nAuthorization: Bearer {token}\r\n"
        );
        let told = phone.asks_sip("REGISTER", (user, user), &shows).await;
        assert!(told.starts_with("SIP/2.0 200"), "{told}");
        let mut client = Stranger::comes(&world, xmpp).await;
        client.hears(HEADER, "</stream:features>").await;
        client.hears(&bears(&token), "<success").await;
        client.hears(HEADER, "</stream:features>").await;
        // Others have never registered; one of them comes to the inside itself.
        let shows_to_proxy =
            format!("Proxy-Authorization: Bearer {token}\r\nContent-Type: text/plain\r\n");
        let mut writers = Vec::new();
        for at in [sip, world.dev.server.bound().sip.tls[0]] {
            let mut writer = Stranger::comes(&world, at).await;
            let told = writer.asks_sip("MESSAGE", (user, "dave"), &shows_to_proxy);
            let told = told.await;
            assert!(told.starts_with("SIP/2.0 202"), "{told}");
            writers.push(writer);
        }
        world.carries(3).await;
        let (method, body) = match how {
            "password" => (
                http::Method::PUT,
                Some(serde_json::json!({"password": "another"})),
            ),
            "sign-out" => (
                http::Method::PUT,
                Some(serde_json::json!({"sign_out": true})),
            ),
            _ => (http::Method::DELETE, None),
        };
        let url = world.admin(&format!("/api/v1/users/{user}@localhost"));
        let asked = Instant::now();
        let done = request(method, &url, Some(dev::ADMIN_TOKEN), body.as_ref()).await;
        assert!(done.unwrap().0.is_success());
        client.hears("", "<stream:error").await;
        phone.hears_the_end().await;
        for mut writer in writers {
            writer.hears_the_end().await;
        }
        println!("{how}: all are gone after {:?}", asked.elapsed());
        world.carries(0).await;
        // Nor does the token let anybody in again.
        let mut phone = Stranger::comes(&world, sip).await;
        let told = phone.asks_sip("REGISTER", (user, user), &shows).await;
        assert!(told.starts_with("SIP/2.0 401"), "{told}");
    }
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_once_and_who_shows_a_copy_ends_it_for_both() {
    let world = World::start(1).await;
    let https = world.edges[0].0.bound().device_tls[0];
    let [_, first] = world.tokens("alice").await;
    let [_, of_another_client] = world.tokens("alice").await;
    let renews = async |token: &str| {
        let stranger = Stranger::comes(&world, https).await;
        let asks = serde_json::json!({"grant_type": "refresh_token", "refresh_token": token});
        let asks = asks.to_string();
        let (status, told) = stranger.asks("POST /oauth/token", None, &asks).await;
        let told: Value = serde_json::from_str(&told).unwrap_or_default();
        (
            status,
            told["refresh_token"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    let (status, second) = renews(&first).await;
    assert_eq!(status, 200);
    // Its answer may have been lost: the same comes again.
    assert_eq!(renews(&first).await.0, 200);
    let (status, third) = renews(&second).await;
    assert_eq!(status, 200);
    // Two before the one that counts: somebody has a copy, and nobody knows who.
    assert_eq!(renews(&first).await.0, 400);
    assert_eq!(renews(&third).await.0, 400);
    let (status, next) = renews(&of_another_client).await;
    assert_eq!(status, 200);

    // A client that signs out gives its token back; by nonsense nothing ends, and nobody is told.
    for token in ["nonsense", &forged(&next), &next] {
        let stranger = Stranger::comes(&world, https).await;
        let says = serde_json::json!({"token": token}).to_string();
        assert_eq!(
            stranger.asks("POST /oauth/revoke", None, &says).await.0,
            200
        );
        let is_good = token != next;
        if is_good {
            assert_eq!(renews(&of_another_client).await.0, 200, "{token}");
        }
    }
    assert_eq!(renews(&next).await.0, 400);
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_given_back_is_said_at_an_edge_as_inside_and_counts_for_nothing_bad() {
    let world = World::start(1).await;
    let https = world.edges[0].0.bound().device_tls[0];
    let [access, refresh] = world.tokens("alice").await;
    let inside = world.admin("/oauth/revoke");
    let token = |token: &str| serde_json::json!({"token": token});
    for (says, status, error) in [
        (token(&access), 400, "unsupported_token_type"),
        (serde_json::json!({"other": "x"}), 400, "invalid_request"),
        (serde_json::json!("nonsense"), 400, "invalid_request"),
        (token(&refresh), 200, ""),
    ] {
        let stranger = Stranger::comes(&world, https).await;
        let (told, body) = stranger
            .asks("POST /oauth/revoke", None, &says.to_string())
            .await;
        assert!(
            told == status && body.contains(error),
            "{says}: {told} {body}"
        );
        let (told, body) = request(http::Method::POST, &inside, None, Some(&says))
            .await
            .unwrap();
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(
            told == status && body.contains(error),
            "{says}: {told} {body}"
        );
    }
    assert_eq!(world.bad_tokens().await, 0);
    world.shutdown().await;
}

/// A phone's way back.
const CONTACT: &str = "Contact: <sip:alice@192.0.2.1;transport=tls>\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_registers_by_a_token_where_no_password_is_taken_and_speaks_for_its_user_alone() {
    let world = World::letting_in(1, false).await;
    let [token, _] = world.tokens("alice").await;
    let [of_bob, _] = world.tokens("bob").await;
    let shows = |field: &str, token: &str| format!("{CONTACT}{field}: Bearer {token}\r\n");
    let alice = ("alice", "alice");
    let mut phone = Stranger::comes(&world, world.edge(0)).await;
    let asked = format!("Bearer realm=\"localhost\", authz_server=\"{ISSUER}\"");
    // It is told where tokens are given, and what was wrong with one: nothing of it gets in.
    let told = phone.asks_sip("REGISTER", alice, CONTACT).await;
    assert!(
        told.starts_with("SIP/2.0 401") && told.contains(&asked),
        "{told}"
    );
    let bad = shows("Authorization", &forged(&token));
    let told = phone.asks_sip("REGISTER", alice, &bad).await;
    let why = format!("{asked}, error=\"invalid_token\"");
    assert!(
        told.starts_with("SIP/2.0 401") && told.contains(&why),
        "{told}"
    );
    assert_eq!(world.bad_tokens().await, 1);
    world.carries(0).await;
    let told = phone
        .asks_sip("REGISTER", alice, &shows("Authorization", &token))
        .await;
    assert!(told.starts_with("SIP/2.0 200"), "{told}");
    world.carries(1).await;
    let text = format!(
        "{}Content-Type: text/plain\r\n",
        shows("Proxy-Authorization", &token)
    );
    let told = phone.asks_sip("MESSAGE", ("alice", "bob"), &text).await;
    assert!(told.starts_with("SIP/2.0 202"), "{told}");
    // By this connection nobody is anybody else, whatever they show.
    for headers in [
        CONTACT,
        &shows("Authorization", &token),
        &shows("Authorization", &of_bob),
    ] {
        let mut phone = Stranger::comes(&world, world.edge(0)).await;
        let told = phone
            .asks_sip("REGISTER", alice, &shows("Authorization", &token))
            .await;
        assert!(told.starts_with("SIP/2.0 200"), "{told}");
        let told = phone.asks_sip("MESSAGE", ("bob", "alice"), headers).await;
        assert!(told.starts_with("SIP/2.0 403 From Is Not Yours"), "{told}");
    }
    // By the name of the server inside it is the same user; by the edge's own, or another one, nobody.
    for (host, said) in [(INSIDE, "202"), (EDGE, "403"), ("other.localhost", "403")] {
        let mut phone = Stranger::comes(&world, world.edge(0)).await;
        let from = format!("alice@{host}");
        let told = phone.asks_sip("MESSAGE", (&from, "bob"), &text).await;
        assert!(
            told.starts_with(&format!("SIP/2.0 {said}")),
            "{host}: {told}"
        );
    }
    // A request other than REGISTER gets in by a token as well, a password does not.
    let mut phone = Stranger::comes(&world, world.edge(0)).await;
    let told = phone.asks_sip("MESSAGE", ("alice", "bob"), &text).await;
    assert!(told.starts_with("SIP/2.0 202"), "{told}");
    let guess = "Proxy-Authorization: Digest username=\"alice\", realm=\"localhost\"\r\n";
    let told = phone.asks_sip("MESSAGE", ("alice", "bob"), guess).await;
    assert!(told.starts_with("SIP/2.0 403 Register first"), "{told}");
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_inside_has_refused_once_the_edge_refuses() {
    let world = World::start(1).await;
    let [[token, refresh], [of_bob, _]] = [world.tokens("alice").await, world.tokens("bob").await];
    for user in ["alice", "bob"] {
        world.new_password(user).await;
    }
    let bound = world.edges[0].0.bound();
    let (https, xmpp) = (bound.device_tls[0], bound.sip.xmpp_tls[0]);
    let head = "GET /api/v1/me/devices/tablet";
    let again = serde_json::json!({"grant_type": "refresh_token", "refresh_token": refresh});
    let mut known_bad = 0;
    for (head, token, body, status) in [
        ("POST /oauth/token", None, again.to_string(), 400),
        (head, Some(&*token), String::new(), 401),
    ] {
        for is_known in [0, 1] {
            let stranger = Stranger::comes(&world, https).await;
            assert_eq!(stranger.asks(head, token, &body).await.0, status);
            known_bad += is_known;
            assert_eq!(world.bad_tokens().await, known_bad, "{head}");
        }
    }
    for is_known in [0, 1] {
        let mut stranger = Stranger::comes(&world, xmpp).await;
        stranger.hears(HEADER, "</stream:features>").await;
        stranger.hears(&bears(&of_bob), "</challenge>").await;
        known_bad += is_known;
        assert_eq!(world.bad_tokens().await, known_bad);
    }
    // A phone's too: at the inside it is refused once.
    let [of_carol, _] = world.tokens("carol").await;
    world.new_password("carol").await;
    let shows = format!("Authorization: Bearer {of_carol}\r\n");
    for is_known in [0, 1] {
        let mut phone = Stranger::comes(&world, world.edge(0)).await;
        let told = phone.asks_sip("REGISTER", ("carol", "carol"), &shows).await;
        assert!(told.contains("error=\"invalid_token\""), "{told}");
        known_bad += is_known;
        assert_eq!(world.bad_tokens().await, known_bad);
    }
    world.shutdown().await;
}
