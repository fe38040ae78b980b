//! Streams over WebSocket (RFC 7395): how they begin, what they are made of, and how they end.

use std::time::Duration;

use net::{Document, Limits, WebSocketLimits, XmppEvent};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use xmpp::stream::Framing;

use crate::common::{PATIENCE, read_to_close, read_until, write};
use crate::world::{
    CHALLENGE, RESPONSE, SUCCESS, World, auth, element, gone, greeting, opened, world, xmpp_event,
};

const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.com' version='1.0'/>";
const CLOSE: &str = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
const TEXT: u8 = 0x81;
const CLOSING: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

const REQUEST: &str = "GET /xmpp-websocket HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: xmpp\r\n\
                       Sec-WebSocket-Version: 13\r\n\r\n";

/// A connection in the clear, as a proxy on this machine makes it.
async fn connected(world: &World) -> TcpStream {
    let address = world.net.addresses().xmpp_ws[0];
    TcpStream::connect(address).await.unwrap()
}

async fn begins<S: AsyncRead + AsyncWrite + Unpin>(client: &mut S, request: &str) {
    write(client, request).await;
    let answer = read_until(client, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
}

/// A WebSocket over which nothing has been said.
async fn begun(world: &World) -> TcpStream {
    let mut client = connected(world).await;
    begins(&mut client, REQUEST).await;
    client
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..126), _) => out.push(0x80 | length),
        (_, Ok(length)) => {
            out.push(0xfe);
            out.extend(length.to_be_bytes());
        }
        _ => {
            out.push(0xff);
            out.extend((payload.len() as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    out.extend(mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    out.extend(masked.map(|(octet, mask)| octet ^ mask));
    out
}

async fn says<S: AsyncWrite + Unpin>(client: &mut S, text: &str) {
    let frame = masked(TEXT, text.as_bytes());
    client.write_all(&frame).await.unwrap();
}

/// The next frame of ours, by its first octet; `None` at the end.
async fn frame<S: AsyncRead + Unpin>(client: &mut S) -> Option<(u8, Vec<u8>)> {
    let read = async {
        let mut head = [0; 2];
        client.read_exact(&mut head).await.ok()?;
        let length = match head[1] {
            126 => usize::from(client.read_u16().await.ok()?),
            127 => usize::try_from(client.read_u64().await.ok()?).unwrap(),
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        client.read_exact(&mut payload).await.ok()?;
        Some((head[0], payload))
    };
    tokio::time::timeout(PATIENCE, read).await.expect("in time")
}

async fn hears<S: AsyncRead + Unpin>(client: &mut S) -> String {
    match frame(client).await {
        Some((TEXT, text)) => String::from_utf8(text).unwrap(),
        other => panic!("no message but {other:?}"),
    }
}

/// What is still said, and the code of the last frame, with which the connection ends.
async fn ends<S: AsyncRead + Unpin>(client: &mut S) -> (Vec<String>, u16) {
    let mut heard = Vec::new();
    let code = loop {
        match frame(client).await {
            Some((TEXT, text)) => heard.push(String::from_utf8(text).unwrap()),
            Some((CLOSING, payload)) => break u16::from_be_bytes([payload[0], payload[1]]),
            other => panic!("no end but {other:?} after {heard:?}"),
        }
    };
    assert_eq!(frame(client).await, None);
    (heard, code)
}

/// One that has opened its stream, and knows what it is offered.
async fn greeted(world: &World) -> TcpStream {
    let mut client = begun(world).await;
    says(&mut client, OPEN).await;
    hears(&mut client).await;
    hears(&mut client).await;
    client
}

#[tokio::test]
async fn each_message_is_a_document_by_itself() {
    let mut world = world(2, Limits::default()).await;
    let mut client = begun(&world).await;
    says(&mut client, OPEN).await;
    let open = hears(&mut client).await;
    assert!(
        open.starts_with(
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='example.com' id='"
        ),
        "{open}"
    );
    let features = hears(&mut client).await;
    assert!(
        features.starts_with(
            "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><mechanisms "
        ),
        "{features}"
    );
    // RFC 7395 §3.9.
    assert!(!features.contains("starttls"), "{features}");

    // Who has not said who it is, is asked; and steered by what it says then.
    says(
        &mut client,
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
    )
    .await;
    assert_eq!(hears(&mut client).await, CHALLENGE);
    says(&mut client, &RESPONSE.replace("/>", ">1</response>")).await;
    let (id, _, link) = greeting(&mut world.events[1]).await;
    assert_eq!(link.framing, Framing::WebSocket);
    assert!(link.tls_exporter.is_none() && link.tls_server_end_point.is_none());
    world.net.signed_in(id, true);
    world.say(id, SUCCESS);
    assert_eq!(hears(&mut client).await, SUCCESS);

    // RFC 7395 §3.7.
    says(&mut client, OPEN).await;
    assert_eq!(opened(&mut world.events[1]).await.to(), Some("example.com"));
    world.say(id, "<open/>");
    world.say(id, "<features/>");
    assert_eq!(hears(&mut client).await, "<open/>");
    assert_eq!(hears(&mut client).await, "<features/>");
    says(
        &mut client,
        "<message xmlns='jabber:client'><body>Grüße</body></message>",
    )
    .await;
    assert!(
        element(&mut world.events[1])
            .await
            .is("jabber:client", "message")
    );

    says(&mut client, CLOSE).await;
    assert!(matches!(
        xmpp_event(&mut world.events[1]).await,
        (_, XmppEvent::Ended)
    ));
    world.say(id, CLOSE);
    world.net.end(id);
    assert_eq!(ends(&mut client).await, (vec![CLOSE.to_owned()], 1000));
    drop(client);
    assert_eq!(gone(&mut world.events[1]).await, id);
}

#[tokio::test]
async fn a_websocket_in_tls_can_be_bound_to() {
    let mut world = world(1, Limits::default()).await;
    let address = world.net.addresses().xmpp_wss[0];
    let tcp = TcpStream::connect(address).await.unwrap();
    let mut client = world.handshake(tcp, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    begins(&mut client, REQUEST).await;
    says(&mut client, OPEN).await;
    hears(&mut client).await;
    hears(&mut client).await;
    says(&mut client, &auth(0)).await;
    let (_, _, link) = greeting(&mut world.events[0]).await;
    assert_eq!(link.framing, Framing::WebSocket);
    assert!(link.tls_exporter.is_some() && link.tls_server_end_point.is_some());
}

#[tokio::test]
async fn a_stream_error_comes_behind_a_header_and_before_the_end() {
    let world = world(1, Limits::default()).await;
    for (said, condition) in [
        (OPEN.replace("example.com", "example.net"), "host-unknown"),
        (
            OPEN.replace("xmpp-framing", "xmpp-frames"),
            "invalid-namespace",
        ),
        (OPEN.replace("1.0", "0.9"), "unsupported-version"),
        ("<message/>".to_owned(), "bad-format"),
        (" ".to_owned(), "bad-format"),
        ("<a><b></a>".to_owned(), "not-well-formed"),
        (format!("{OPEN}{OPEN}"), "not-well-formed"),
        ("<!DOCTYPE a><a/>".to_owned(), "restricted-xml"),
        ("<a>".repeat(400), "policy-violation"),
    ] {
        let mut client = begun(&world).await;
        says(&mut client, &said).await;
        let (heard, code) = ends(&mut client).await;
        let [open, error, close] = &heard[..] else {
            panic!("{said}: {heard:?}");
        };
        assert!(open.starts_with("<open "), "{said}: {open}");
        let begin =
            format!("<stream:error xmlns:stream='http://etherx.jabber.org/streams'><{condition} ");
        assert!(error.starts_with(&begin), "{said}: {error}");
        assert_eq!((close.as_str(), code), (CLOSE, 1000), "{said}");
    }
}

#[tokio::test]
async fn what_is_no_websocket_ends_with_the_code_for_that() {
    let mut world = world(1, Limits::default()).await;
    let long = format!("<a>{}</a>", "x".repeat(20_000));
    for (octets, code, condition) in [
        (b"\x81\x05Hello".to_vec(), 1002, None),
        (masked(0xc1, b"<a/>"), 1002, None),
        (masked(0x82, b"<a/>"), 1003, None),
        (
            masked(TEXT, b"<a>\xff</a>"),
            1007,
            Some("unsupported-encoding"),
        ),
        (masked(0x01, b"<").repeat(2), 1002, None),
        (
            [masked(0x01, b"<"), masked(0x00, b"").repeat(400)].concat(),
            1008,
            Some("policy-violation"),
        ),
        (
            masked(TEXT, long.as_bytes()),
            1009,
            Some("policy-violation"),
        ),
        (
            vec![
                0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4,
            ],
            1009,
            Some("policy-violation"),
        ),
    ] {
        let mut client = greeted(&world).await;
        client.write_all(&octets).await.unwrap();
        let (heard, ended) = ends(&mut client).await;
        assert_eq!(ended, code, "{octets:?}: {heard:?}");
        match condition {
            Some(condition) => {
                assert!(heard[0].contains(&format!("<{condition} ")), "{heard:?}");
                assert_eq!(heard[1], CLOSE);
            }
            None => assert!(heard.is_empty(), "{heard:?}"),
        }
    }
    assert!(world.events[0].try_recv().is_none());
}

#[tokio::test]
async fn who_asks_whether_we_are_there_is_answered_once() {
    let world = world(1, Limits::default()).await;
    let mut client = greeted(&world).await;
    let asked = [
        masked(PING, b"one"),
        masked(0x01, b"<"),
        masked(PING, b"two"),
        masked(PONG, b""),
    ];
    client.write_all(&asked.concat()).await.unwrap();
    assert_eq!(frame(&mut client).await, Some((PONG, b"two".to_vec())));
}

#[tokio::test]
async fn who_is_silent_is_asked_and_then_gone() {
    let limits = Limits {
        websocket: WebSocketLimits {
            ping_after: Duration::from_millis(100),
            pong: Duration::from_secs(2),
            ..WebSocketLimits::default()
        },
        ..Limits::default()
    };
    let mut world = world(1, limits).await;
    let mut client = greeted(&world).await;
    says(&mut client, &auth(0)).await;
    let (id, _, _) = greeting(&mut world.events[0]).await;
    world.net.signed_in(id, false);
    world.say(id, SUCCESS);
    hears(&mut client).await;
    for _ in 0..3 {
        assert_eq!(frame(&mut client).await, Some((PING, Vec::new())));
        client.write_all(&masked(PONG, b"")).await.unwrap();
    }
    assert_eq!(frame(&mut client).await, Some((PING, Vec::new())));
    assert_eq!(frame(&mut client).await, None);
    assert_eq!(gone(&mut world.events[0]).await, id);
}

#[tokio::test]
async fn a_websocket_that_is_closed_leaves_the_session_to_go_on() {
    let mut world = world(1, Limits::default()).await;
    let mut client = greeted(&world).await;
    says(&mut client, &auth(0)).await;
    let (id, _, _) = greeting(&mut world.events[0]).await;
    world.net.signed_in(id, false);
    world.say(id, SUCCESS);
    hears(&mut client).await;
    client
        .write_all(&masked(CLOSING, &1001_u16.to_be_bytes()))
        .await
        .unwrap();
    assert_eq!(ends(&mut client).await, (Vec::new(), 1000));
    drop(client);
    // The stream has not ended, but its connection has.
    assert_eq!(gone(&mut world.events[0]).await, id);
}

#[tokio::test]
async fn who_is_there_when_we_stop_is_told() {
    let world = world(1, Limits::default()).await;
    let mut half = connected(&world).await;
    write(&mut half, &REQUEST[..20]).await;
    let mut begun = begun(&world).await;
    let mut client = greeted(&world).await;
    let net = world.net.clone();
    tokio::spawn(async move { net.shutdown().await });
    let (heard, code) = ends(&mut client).await;
    assert!(heard[0].contains("<system-shutdown "), "{heard:?}");
    assert_eq!((&heard[1..], code), (&[CLOSE.to_owned()][..], 1001));
    assert_eq!(ends(&mut begun).await, (Vec::new(), 1001));
    // Nothing that is no HTTP.
    assert_eq!(read_to_close(&mut half).await, "");
}

#[tokio::test]
async fn half_a_request_is_not_waited_for() {
    let limits = Limits {
        websocket: WebSocketLimits {
            handshake: Duration::from_millis(200),
            ..WebSocketLimits::default()
        },
        ..Limits::default()
    };
    let world = world(1, limits).await;
    for half in [0, 20, REQUEST.len() - 1] {
        let mut client = connected(&world).await;
        write(&mut client, &REQUEST[..half]).await;
        assert_eq!(read_to_close(&mut client).await, "");
    }
}

#[tokio::test]
async fn pages_that_nobody_named_are_kept_out() {
    let world = world(1, Limits::default()).await;
    let mut client = connected(&world).await;
    let request = REQUEST.replace("Upgrade: w", "Origin: https://evil.example\r\nUpgrade: w");
    write(&mut client, &request).await;
    let answer = read_to_close(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let mut client = connected(&world).await;
    let request = REQUEST.replace("Upgrade: w", "Origin: https://example.com\r\nUpgrade: w");
    begins(&mut client, &request).await;
}

#[tokio::test]
async fn whoever_is_behind_a_proxy_is_counted_for_themselves() {
    let limits = Limits {
        connections_per_peer: 2,
        ..Limits::default()
    };
    let mut world = world(1, limits).await;
    let of = |ip: &str| REQUEST.replace("Host", &format!("X-Forwarded-For: {ip}\r\nHost"));
    let mut clients = Vec::new();
    for ip in ["192.0.2.1", "192.0.2.1", "192.0.2.2"] {
        let mut client = connected(&world).await;
        begins(&mut client, &of(ip)).await;
        clients.push(client);
    }
    let mut one_more = connected(&world).await;
    write(&mut one_more, &of("192.0.2.1")).await;
    let answer = read_to_close(&mut one_more).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    // And that is who is said to sign in.
    let mut client = clients.pop().unwrap();
    says(&mut client, OPEN).await;
    says(&mut client, &auth(0)).await;
    let (_, _, link) = greeting(&mut world.events[0]).await;
    assert_eq!(link.remote.ip().to_string(), "192.0.2.2");
}

#[tokio::test]
async fn documents_are_there_for_who_asks() {
    let world = world(1, Limits::default()).await;
    let request = "GET /.well-known/host-meta HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let mut early = connected(&world).await;
    write(&mut early, request).await;
    assert!(read_to_close(&mut early).await.starts_with("HTTP/1.1 404 "));
    world.net.publish(vec![Document {
        path: "/.well-known/host-meta",
        content_type: "application/xrd+xml",
        body: "<XRD/>".to_owned(),
    }]);
    let mut client = connected(&world).await;
    write(&mut client, request).await;
    let answer = read_to_close(&mut client).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("<XRD/>"),
        "{answer}"
    );
}
