//! Messages made to hurt, and ten thousand damaged ones of them: the server stays up and keeps answering.

use std::fs;
use std::path::Path;

use reveille_e2e::{Mutator, Reveille, SipClient, Transport, android, iphone, new_token};

/// How many damaged messages each transport gets.
const DAMAGED: usize = 10_000;

/// After so many, the server must answer something ordinary: it also keeps us from outrunning its sockets.
const BETWEEN_QUESTIONS: usize = 100;

/// The messages of RFC 4475 where they are at hand, and the project's own for each of those cases.
fn torture() -> Vec<Vec<u8>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut messages = Vec::new();
    for folder in [
        "../crates/sip/tests/torture",
        "../../shared/reference/rfc4475",
    ] {
        let Ok(entries) = here.join(folder).read_dir() else {
            continue;
        };
        let mut paths: Vec<_> = entries
            .map(|entry| entry.expect("readable").path())
            .collect();
        paths.sort();
        messages.extend(
            paths
                .iter()
                .filter(|path| path.is_file())
                .map(|path| fs::read(path).expect("readable")),
        );
    }
    assert!(
        messages.len() >= 40,
        "the project's own torture messages are missing: {} found",
        messages.len()
    );
    messages
}

/// Every one as it is, then the damaged ones.
fn barrage(seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let messages = torture();
    let mut mutator = Mutator::new(seed);
    let whole = messages.clone().into_iter();
    whole.chain(std::iter::repeat_with(move || mutator.damaged(&messages)).take(DAMAGED))
}

fn assert_answers(server: &mut Reveille, after: &str) {
    let mut client = SipClient::udp("dave", server.sip(Transport::Udp));
    let answer = client.request("OPTIONS", "sip:localhost", "sip:localhost", &[], "");
    assert_eq!(answer.status, 200, "OPTIONS after {after}: {}", answer.text);
    server.assert_healthy();
}

fn assert_works(server: &mut Reveille) {
    assert_answers(server, "all of it");
    for mut client in [
        SipClient::udp("dave", server.sip(Transport::Udp)),
        SipClient::tcp("dave", server.sip(Transport::Tcp)).expect("TCP connections are taken"),
    ] {
        let answer = client.register("");
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}

#[test]
fn damaged_datagrams_leave_the_server_up_and_answering() {
    let mut server = Reveille::started();
    let mut sender = SipClient::udp("mallory", server.sip(Transport::Udp));
    for (index, message) in barrage(4475).enumerate() {
        // What does not fit a datagram cannot be sent as one.
        let _ = sender.send_raw(&message);
        if index % BETWEEN_QUESTIONS == 0 {
            assert_answers(
                &mut server,
                &format!("damaged datagram {index}: {}", message.escape_ascii()),
            );
        }
    }
    assert_works(&mut server);
}

/// What a trusted server sends for bob: nobody asks it for a password, so its damage goes deeper.
fn requests_for_bob(serial: usize) -> Vec<Vec<u8>> {
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";
    let bodies = [
        ("INVITE", "application/sdp", sdp),
        ("MESSAGE", "text/plain", "good morning"),
        ("MESSAGE", "message/imdn+xml", "<imdn/>"),
        ("SUBSCRIBE", "", ""),
        ("OPTIONS", "", ""),
        ("CANCEL", "", ""),
        ("ACK", "", ""),
        ("WAKEUP", "", ""),
    ];
    bodies
        .into_iter()
        .map(|(method, media, body)| {
            format!(
                "{method} sip:bob@localhost SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5099;branch=z9hG4bK{serial};rport\r\n\
                 Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@localhost>;tag=deep\r\nTo: <sip:bob@localhost>\r\n\
                 Call-ID: deep{serial}\r\nCSeq: 1 {method}\r\nContact: <sip:alice@127.0.0.1:5099>\r\nContent-Type: {media}\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        })
        .collect()
}

#[test]
fn damaged_requests_of_a_trusted_server_leave_ours_up_and_answering() {
    let mut server = Reveille::new()
        .with("call", "trusted", "127.0.0.0/8")
        .with("call", "ringing_after", "500ms")
        .with("call", "wake_timeout", "1s")
        .with("limits", "calls_per_callee", "10000")
        .with("limits", "calls_per_callee_minute", "100000");
    server.start();
    let address = server.sip(Transport::Udp);
    let token = new_token();
    for phone in [android(&token), iphone(&new_token())] {
        let answer = SipClient::udp("bob", address).register(&phone.in_uri());
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let mut mutator = Mutator::new(8599);
    for index in 0..DAMAGED {
        // From many ports, as calls of their own.
        let mut sender = SipClient::udp("mallory", address);
        let message = mutator.damaged(&requests_for_bob(index));
        let _ = sender.send_raw(&message);
        if index % BETWEEN_QUESTIONS == 0 {
            assert_answers(
                &mut server,
                &format!("damaged request {index}: {}", message.escape_ascii()),
            );
        }
    }
    assert_works(&mut server);
    let woken = server.lab().pushes(&token, "call").len();
    assert!(woken > 100, "only {woken} of them went as deep as a wake");
}

#[test]
fn damaged_streams_leave_the_server_up_and_answering() {
    let mut server = Reveille::started();
    let address = server.sip(Transport::Tcp);
    let mut connection = SipClient::tcp("mallory", address).expect("TCP connections are taken");
    for (index, message) in barrage(5118).enumerate() {
        // A stream that the server has closed, or that waits for the rest of a message, is followed by a new one.
        if connection.send_raw(&message).is_err() || index % 3 == 0 {
            connection = SipClient::tcp("mallory", address).expect("TCP connections are taken");
            let _ = connection.send_raw(&message);
        }
        if index % BETWEEN_QUESTIONS == 0 {
            assert_answers(
                &mut server,
                &format!("damaged stream {index}: {}", message.escape_ascii()),
            );
        }
    }
    drop(connection);
    assert_works(&mut server);
}
