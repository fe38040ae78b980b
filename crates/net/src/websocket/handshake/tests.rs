use super::*;

/// The request of RFC 6455 §1.3, as RFC 7395 §3.1 has it.
const REQUEST: &str = "GET /xmpp-websocket HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
                       Sec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn answered(request: &str) -> Outcome {
    let origins = Origins::new(&["example.com".to_owned()], &[]).unwrap();
    let documents = [Document {
        path: "/.well-known/host-meta",
        content_type: "application/xrd+xml",
        body: "<XRD/>".to_owned(),
    }];
    answer(
        request.as_bytes(),
        &Served {
            path: "/xmpp-websocket",
            protocol: "xmpp",
            origins: &origins,
            documents: &documents,
        },
    )
}

#[test]
fn a_request_is_agreed_to_as_the_rfc_has_it() {
    let Outcome::Agreed(answer, forwarded) = answered(REQUEST) else {
        panic!("refused");
    };
    assert_eq!(
        String::from_utf8(answer).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n"
    );
    assert!(forwarded.is_empty());
    for end in 0..REQUEST.len() {
        assert_eq!(answered(&REQUEST[..end]), Outcome::NeedsMore, "{end}");
    }
}

#[test]
fn what_browsers_and_proxies_write_otherwise_is_taken() {
    for (from, to) in [
        ("Upgrade: websocket", "UPGRADE: WebSocket"),
        ("Connection: Upgrade", "Connection: keep-alive, upgrade"),
        ("Protocol: xmpp", "Protocol: chat, xmpp"),
        (
            "Protocol: xmpp",
            "Protocol: chat\r\nSec-WebSocket-Protocol: xmpp",
        ),
        ("Origin: http://example.com\r\n", ""),
        ("/xmpp-websocket", "/xmpp-websocket?a=b"),
        (
            "Origin:",
            "Sec-WebSocket-Extensions: permessage-deflate\r\nOrigin:",
        ),
    ] {
        let request = REQUEST.replace(from, to);
        assert!(matches!(answered(&request), Outcome::Agreed(..)), "{to}");
    }
    let forwarded = REQUEST.replace(
        "Host",
        "X-Forwarded-For: a, b\r\nX-Forwarded-For: c\r\nHost",
    );
    let Outcome::Agreed(_, forwarded) = answered(&forwarded) else {
        panic!("refused");
    };
    assert_eq!(forwarded, ["a, b", "c"]);
}

#[test]
fn what_is_no_request_for_a_websocket_is_refused_in_the_words_of_http() {
    let cookies = format!("Cookie: {}\r\nHost", "a".repeat(MOST_OCTETS));
    let fields = format!("{}Host", "A: b\r\n".repeat(MOST_FIELDS));
    for (from, to, status) in [
        ("GET /", "<stream:stream>", 400),
        ("GET", "POST", 405),
        ("GET", "HEAD", 426),
        ("HTTP/1.1", "HTTP/1.0", 400),
        ("Host: example.com\r\n", "", 400),
        ("Host:", "Host: a\r\nHost:", 400),
        ("/xmpp-websocket", "/", 404),
        ("/xmpp-websocket", "/xmpp-websocket/", 404),
        ("Upgrade: websocket\r\n", "", 426),
        ("Connection: Upgrade", "Connection: close", 426),
        ("Version: 13", "Version: 8", 426),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhl", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "***", 400),
        (
            "Origin: http://example.com",
            "Origin: https://evil.example",
            403,
        ),
        ("Origin: http://example.com", "Origin: null", 403),
        ("Origin:", "Origin: https://evil.example\r\nOrigin:", 403),
        ("Protocol: xmpp", "Protocol: sip", 400),
        ("Protocol: xmpp", "Protocol: XMPP", 400),
        ("Sec-WebSocket-Protocol: xmpp\r\n", "", 400),
        ("Host", cookies.as_str(), 431),
        ("Host", fields.as_str(), 431),
        ("13\r\n\r\n", "13\r\n\r\n\u{1}", 400),
    ] {
        let request = REQUEST.replacen(from, to, 1);
        let Outcome::Refused(refusal) = answered(&request) else {
            panic!("{to}: it was not refused");
        };
        let answer = String::from_utf8(refusal.octets()).unwrap();
        let begin = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&begin), "{to}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("Content-Length: {}\r\n", body.len())),
            "{answer}"
        );
    }
}

#[test]
fn a_document_is_there_for_every_page() {
    for (method, body) in [("GET", "<XRD/>"), ("HEAD", "")] {
        let request = format!(
            "{method} /.well-known/host-meta HTTP/1.1\r\nHost: example.com\r\nOrigin: https://evil.example\r\n\r\n"
        );
        let Outcome::Answered(answer) = answered(&request) else {
            panic!("refused");
        };
        let answer = String::from_utf8(answer).unwrap();
        let (head, read) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(read, body);
        assert!(
            head.contains("\r\nContent-Type: application/xrd+xml\r\nContent-Length: 6\r\n"),
            "{head}"
        );
        assert!(
            head.contains("\r\nAccess-Control-Allow-Origin: *\r\n"),
            "{head}"
        );
    }
}
