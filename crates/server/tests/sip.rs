//! What a SIP client on the wire gets from the server: who may register, what of push is granted and taken back, what is
//! refused and in which words.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use domain::{Address, Behaviour};
use lab::cloud::TokenMode;
use net::http::request;
use reveille::{
    config::Words,
    dev::{self, Dev},
};
use serde_json::{Value, json};
use sip::{
    HeaderName, Message, Method,
    digest::{Challenge, Login},
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

struct World {
    dev: Dev,
}

impl World {
    async fn start() -> Self {
        Self::start_trusting(&[]).await
    }

    async fn start_trusting(trusted: &[&str]) -> Self {
        let mut config = dev::on_free_ports();
        config.call.trusted = Words::of(trusted);
        let dev = Dev::start(config, Behaviour::default()).await.unwrap();
        Self { dev }
    }

    async fn client(&self, user: &'static str) -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = self.dev.server.bound().sip.udp[0];
        socket.connect(server).await.unwrap();
        Client {
            socket,
            user,
            server,
            sent: 0,
        }
    }

    fn admin(&self, path: &str) -> String {
        format!("http://{}{path}", self.dev.server.bound().admin[0])
    }

    async fn devices(&self) -> Value {
        let url = self.admin("/api/v1/devices");
        let token = Some(dev::ADMIN_TOKEN);
        let (_, body) = request(http::Method::GET, &url, token, None).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

/// A SIP client of a user, over UDP.
struct Client {
    socket: UdpSocket,
    user: &'static str,
    server: SocketAddr,
    sent: u32,
}

impl Client {
    /// Sends a request and gives its final answer.
    async fn ask(&mut self, method: &str, to: &str, headers: &str, body: &str) -> Message {
        self.sent += 1;
        let (user, here, n) = (self.user, self.socket.local_addr().unwrap(), self.sent);
        let (uri, port, length) = (uri_of(method, to), here.port(), body.len());
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{method}{n};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@localhost>;tag=t{port}\r\nTo: <sip:{to}@localhost>\r\n\
             Call-ID: {method}-{port}\r\nCSeq: {n} {method}\r\n{headers}Content-Length: {length}\r\n\r\n{body}",
        );
        self.socket.send(text.as_bytes()).await.unwrap();
        let mut buffer = vec![0; 65_535];
        loop {
            let received = timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
            let length = received.unwrap().unwrap();
            let bytes = buffer[..length].to_vec().into();
            let answer = Message::parse(bytes, &sip::Limits::default()).unwrap();
            let ours = answer.cseq().is_ok_and(|cseq| cseq.number == n);
            if ours && answer.status().is_some_and(|status| status >= 200) {
                return answer;
            }
        }
    }

    /// The same with the user's password, after the challenge.
    async fn ask_with_password(
        &mut self,
        method: &str,
        to: &str,
        headers: &str,
        body: &str,
    ) -> Message {
        let challenged = self.ask(method, to, headers, body).await;
        let (challenge, credentials) = match challenged.status() {
            Some(401) => (HeaderName::WwwAuthenticate, "Authorization"),
            Some(407) => (HeaderName::ProxyAuthenticate, "Proxy-Authorization"),
            other => panic!("{other:?} from {}", self.server),
        };
        let challenge = Challenge::strongest(challenged.headers(challenge)).unwrap();
        let login = Login {
            user: self.user,
            password: dev::PASSWORD,
        };
        let uri = uri_of(method, to);
        let answer = challenge.answer(login, Method::new(method), &uri, 1, "c");
        let headers = format!("{headers}{credentials}: {answer}\r\n");
        self.ask(method, to, &headers, body).await
    }

    async fn register(&mut self, params: &str, expires: u32) -> Message {
        let here = self.socket.local_addr().unwrap();
        let user = self.user;
        let contact = format!("Contact: <sip:{user}@{here}{params}>;expires={expires}\r\n");
        self.ask_with_password("REGISTER", user, &contact, "").await
    }
}

fn uri_of(method: &str, to: &str) -> String {
    match method {
        "REGISTER" => "sip:localhost".to_owned(),
        _ => format!("sip:{to}@localhost"),
    }
}

const PUSH: &str = ";pn-provider=apns;pn-param=TEAM123456.com.example.phone.voip;pn-prid=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const PUSH_OF_NOBODY: &str =
    ";pn-provider=apns;pn-param=TEAM999999.com.example.none.voip;pn-prid=00";

#[tokio::test]
async fn a_trusted_address_writes_without_a_password_and_registers_with_one_only() {
    let world = World::start_trusting(&["127.0.0.0/8"]).await;
    let mut client = world.client("alice").await;
    let here = client.socket.local_addr().unwrap();
    let contact = format!("Contact: <sip:alice@{here}>\r\n");
    let answer = client.ask("REGISTER", "alice", &contact, "").await;
    assert_eq!(answer.status(), Some(401));
    let answer = client.ask("MESSAGE", "bob", "", "hello").await;
    assert_eq!(answer.status(), Some(202));
    world.dev.shutdown().await;
}

#[tokio::test]
async fn push_is_granted_by_name_and_taken_back_by_a_registration_without_it() {
    let world = World::start().await;
    let mut client = world.client("bob").await;
    let answer = client.register(PUSH, 600).await;
    assert_eq!(answer.status(), Some(200));
    let caps = answer.header_text(HeaderName::FeatureCaps);
    assert_eq!(caps, Some("*;+sip.pns=\"apns\""));
    let tokens = &world.devices().await[0]["device"]["tokens"];
    assert!(tokens["voip"]["value"].is_string(), "{tokens}");

    assert_eq!(client.register("", 600).await.status(), Some(200));
    let tokens = &world.devices().await[0]["device"]["tokens"];
    assert_eq!(tokens["voip"], Value::Null);
    world.dev.shutdown().await;
}

#[tokio::test]
async fn the_token_of_an_unknown_app_is_refused_and_leaving_with_it_is_not() {
    let world = World::start().await;
    let mut client = world.client("bob").await;
    let answer = client.register(PUSH_OF_NOBODY, 600).await;
    assert_eq!(answer.status(), Some(555));
    let answer = client.register(PUSH_OF_NOBODY, 0).await;
    assert_eq!(answer.status(), Some(200));
    world.dev.shutdown().await;
}

#[tokio::test]
async fn a_user_has_so_many_devices_and_the_one_gone_for_longest_makes_room() {
    let world = World::start().await;
    let mut client = world.client("carol").await;
    let here = client.socket.local_addr().unwrap();
    let carol: Address = "carol@localhost".parse().unwrap();
    let id =
        |n: usize| domain::DeviceId::of(&carol, &format!("sip:carol@{here};x={n}")).to_string();
    for n in 0..12 {
        let instance = format!(";x={n}");
        assert_eq!(client.register(&instance, 600).await.status(), Some(200));
        assert_eq!(client.register(&instance, 0).await.status(), Some(200));
    }
    let devices = world.devices().await;
    let ids = devices.as_array().unwrap().iter();
    let mut known: Vec<_> = ids
        .map(|view| view["device"]["id"].as_str().unwrap().to_owned())
        .collect();
    let mut expected: Vec<_> = (2..12).map(id).collect();
    known.sort();
    expected.sort();
    assert_eq!(known, expected);
    world.dev.shutdown().await;
}

#[tokio::test]
async fn a_client_without_an_instance_that_comes_back_again_and_again_is_not_locked_out() {
    let world = World::start().await;
    for _ in 0..12 {
        // Another port each time, as after each start of a phone without a fixed one.
        let mut client = world.client("carol").await;
        assert_eq!(client.register("", 600).await.status(), Some(200));
    }
    assert_eq!(world.devices().await.as_array().unwrap().len(), 10);
    world.dev.shutdown().await;
}

#[tokio::test]
async fn a_body_that_is_packed_is_refused_with_what_is_taken() {
    let world = World::start().await;
    let mut client = world.client("alice").await;
    let answer = client
        .ask_with_password("MESSAGE", "bob", "Content-Encoding: deflate\r\n", "x")
        .await;
    assert_eq!(answer.status(), Some(415));
    let encodings = answer.header_text(HeaderName::AcceptEncoding);
    assert_eq!(encodings, Some("identity"));
    world.dev.shutdown().await;
}

#[tokio::test]
async fn passwords_cannot_be_guessed_at_leisure() {
    let world = World::start().await;
    let url = world.admin("/oauth/token");
    let guess =
        |password: &str| json!({"grant_type": "password", "username": "bob", "password": password});
    for _ in 0..5 {
        let body = guess("wrong");
        let (status, _) = request(http::Method::POST, &url, None, Some(&body))
            .await
            .unwrap();
        assert_eq!(status, 400);
    }
    let body = guess(dev::PASSWORD);
    let (status, _) = request(http::Method::POST, &url, None, Some(&body))
        .await
        .unwrap();
    assert_eq!(status, 429);
    world.dev.shutdown().await;
}

#[tokio::test]
async fn a_fleet_that_dies_at_once_is_shown_to_the_operator_as_a_fault_of_the_settings() {
    let world = World::start().await;
    let lab = world.dev.clouds.handle();
    lab.set_token_mode(TokenMode::Known);
    let mut phones = Vec::new();
    for n in 0..10 {
        let mut phone = world.client("bob").await;
        let push = PUSH
            .replace(".voip", "")
            .replace("=0011", &format!("=001{n:x}"));
        assert_eq!(phone.register(&push, 600).await.status(), Some(200));
        phones.push(phone);
    }
    let mut alice = world.client("alice").await;
    let answer = alice.ask_with_password("MESSAGE", "bob", "", "hello").await;
    assert_eq!(answer.status(), Some(202));
    let get = async |url: String| {
        let token = Some(dev::ADMIN_TOKEN);
        let answer = request(http::Method::GET, &url, token, None).await;
        String::from_utf8_lossy(&answer.unwrap().1).into_owned()
    };
    let alarms = || get(world.admin("/api/v1/alarms"));
    let stands = async {
        while !alarms().await.contains("push_settings_suspect") {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, stands).await.unwrap();
    let alarms: Value = serde_json::from_str(&alarms().await).unwrap();
    assert_eq!(alarms.as_array().unwrap().len(), 1, "{alarms}");
    assert_eq!(alarms[0]["subject"], "com.example.phone");
    assert_eq!(alarms[0]["severity"], "critical");
    assert!(
        alarms[0]["remedy"]
            .as_str()
            .unwrap()
            .contains("[[push.app]]")
    );
    let health = world.dev.server.bound().health[0];
    let metrics = get(format!("http://{health}/metrics")).await;
    for (name, active) in [("push_settings_suspect", 1), ("tokens_dead", 0)] {
        let line = format!("reveille_alarm_active{{name=\"{name}\"}} {active}");
        assert!(metrics.contains(&line), "{line} not in {metrics}");
    }
    world.dev.shutdown().await;
}

/// A request over a connection, and its final answer.
async fn exchange(stream: &mut TcpStream, request: String) -> Message {
    stream.write_all(request.as_bytes()).await.unwrap();
    loop {
        let answer = whole(stream).await;
        if answer.status().is_some_and(|status| status >= 200) {
            return answer;
        }
    }
}

/// The next message of a connection, one without a body.
async fn whole(stream: &mut TcpStream) -> Message {
    let mut octets = Vec::new();
    while !octets.ends_with(b"\r\n\r\n") {
        let octet = timeout(PATIENCE, stream.read_u8()).await.unwrap();
        octets.push(octet.unwrap());
    }
    Message::parse(octets.into(), &sip::Limits::default()).unwrap()
}

#[tokio::test]
async fn a_phone_whose_connection_is_gone_is_dialled_at_its_contact() {
    let world = World::start().await;
    let desk = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = world.dev.server.bound().sip.tcp[0];
    let mut stream = TcpStream::connect(server).await.unwrap();
    let here = stream.local_addr().unwrap();
    let at = desk.local_addr().unwrap();
    let register = |number: u32, headers: &str| {
        format!(
            "REGISTER sip:localhost SIP/2.0\r\nVia: SIP/2.0/TCP {here};branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:bob@localhost>;tag=t\r\nTo: <sip:bob@localhost>\r\nCall-ID: dial\r\nCSeq: {number} REGISTER\r\n\
             Contact: <sip:bob@{at};transport=tcp>\r\n{headers}Content-Length: 0\r\n\r\n"
        )
    };
    let challenged = exchange(&mut stream, register(1, "")).await;
    let challenge = Challenge::strongest(challenged.headers(HeaderName::WwwAuthenticate)).unwrap();
    let login = Login {
        user: "bob",
        password: dev::PASSWORD,
    };
    let answer = challenge.answer(login, Method::Register, "sip:localhost", 1, "c");
    let answer = register(2, &format!("Authorization: {answer}\r\n"));
    assert_eq!(exchange(&mut stream, answer).await.status(), Some(200));
    drop(stream);
    let gone = async {
        while world.devices().await[0]["mode"] != "unknown" {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();

    let mut alice = world.client("alice").await;
    let asking = alice.ask_with_password("OPTIONS", "bob", "", "");
    let answering = async {
        let (mut stream, _) = timeout(PATIENCE, desk.accept()).await.unwrap().unwrap();
        let options = whole(&mut stream).await;
        assert_eq!(options.method(), Some(Method::Options));
        let answer = sip::ResponseBuilder::to(&options, 200, "OK").to_tag("desk");
        stream.write_all(answer.build().bytes()).await.unwrap();
        stream
    };
    let (answer, _stream) = tokio::join!(asking, answering);
    assert_eq!(answer.status(), Some(200));
    world.dev.shutdown().await;
}
