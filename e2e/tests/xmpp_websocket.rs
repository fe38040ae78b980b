//! XMPP over WebSocket (RFC 7395): the same service through another door, and what its door must bear.

use reveille_e2e::{Heard, Reveille, SOON, Tls, XmppClient, http, nonsense, websocket, xml};

use websocket::{BEGINS, BINARY, CLOSES, ENDS, GOES_ON, PING, TEXT, frame};

#[test]
fn clients_of_both_doors_talk_and_a_broken_connection_loses_nothing() {
    let server = Reveille::started();
    let mut bob = XmppClient::available(&server, "bob", "phone");
    let mut alice = XmppClient::signed_in_by_websocket(&server, "alice", "web");
    alice.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    let enabled = alice.expect("<enabled ");
    let session = xml::attribute(&enabled, "id").expect("an id").to_owned();
    alice.send("<presence/>");
    alice.expect("<presence ");
    alice
        .send("<message type='chat' to='bob@localhost' id='m1'><body>Grüße &lt;3</body></message>");
    let heard = bob.expect("<body>");
    assert_eq!(xml::text(&heard, "body").as_deref(), Some("Grüße <3"));
    assert_eq!(xml::attribute(&heard, "from"), Some("alice@localhost/web"));
    bob.send("<message type='chat' to='alice@localhost' id='m2'><body>and back</body></message>");
    let heard = alice.expect("and back");
    // RFC 7395 §3.3.3: complete by itself.
    assert_eq!(xml::attribute(&heard, "xmlns"), Some("jabber:client"));
    alice.send("<a xmlns='urn:xmpp:sm:3' h='2'/>");

    // It goes without a word, and comes back.
    drop(alice);
    bob.send("<message type='chat' to='alice@localhost' id='m3'><body>while away</body></message>");
    bob.ping();
    let mut alice = XmppClient::in_tls(&server, Tls::WebSocket);
    alice.authenticate("alice");
    alice.send(&format!(
        "<resume xmlns='urn:xmpp:sm:3' h='2' previd='{session}'/>"
    ));
    alice.expect("<resumed ");
    alice.expect("while away");
    let again = alice.ping();
    assert!(!again.iter().any(|it| it.contains("<body>")), "{again:#?}");

    alice.send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
    let rest = alice.rest(SOON);
    let close = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
    assert_eq!(rest.last().map(String::as_str), Some(close), "{rest:#?}");
    assert_eq!(alice.close_code(), Some(1000));
}

#[test]
fn pages_find_where_the_websocket_is() {
    let server = Reveille::started();
    let wss = server.xmpp(Tls::WebSocket);
    let url = format!("wss://localhost:{}/xmpp-websocket", wss.port());
    let plain = server.address("xmpp_ws");
    let xrd = http(plain, "GET", "/.well-known/host-meta", None).expect("an answer");
    let link = format!("<Link rel='urn:xmpp:alt-connections:websocket' href='{url}'/>");
    assert!(xrd.status == 200 && xrd.body.contains(&link), "{xrd:?}");
    let json = http(plain, "GET", "/.well-known/host-meta.json", None).expect("an answer");
    let json: serde_json::Value = serde_json::from_str(&json.body).expect("JSON");
    assert_eq!(json["links"][0]["href"], url.as_str());
    // The same in TLS, where browsers look.
    let mut browser = XmppClient::at_websocket(&server);
    browser.send("GET /.well-known/host-meta HTTP/1.1\r\nHost: localhost\r\nOrigin: https://any.example\r\n\r\n");
    let head = browser.http_head();
    assert!(
        head.contains("\r\nAccess-Control-Allow-Origin: *\r\n"),
        "{head}"
    );
}

#[test]
fn what_is_no_xmpp_is_told_why_over_websocket_too() {
    let mut server = Reveille::started();
    let mut wrong = Vec::new();
    for (octets, condition) in nonsense::elements() {
        let clients = [
            XmppClient::in_tls(&server, Tls::WebSocket),
            XmppClient::signed_in_by_websocket(&server, "alice", "web"),
        ];
        for (mut client, stage) in clients.into_iter().zip(["stranger", "signed in"]) {
            let _ = client.send_raw(&octets);
            let ended = client.stream_error(SOON);
            if ended != condition {
                let what = String::from_utf8_lossy(&octets[..octets.len().min(60)]).into_owned();
                wrong.push((stage, what, ended, condition));
            }
        }
    }
    assert!(wrong.is_empty(), "how it ended, how it should: {wrong:#?}");
    server.assert_healthy();
}

/// What breaks the rules, and the code for that (RFC 6455 §7.4.1).
fn no_frames() -> Vec<(&'static str, Vec<u8>, u16)> {
    let unmasked = [&[TEXT, 11][..], b"<presence/>"].concat();
    // A length that nobody has so many octets for, and none of them.
    let giant = [&[TEXT, 0xff], &[0x7f; 8][..], &[0; 4]].concat();
    let parts = [frame(BEGINS, b"<a"), frame(GOES_ON, b"").repeat(5_000)].concat();
    vec![
        ("no mask", unmasked, 1002),
        ("an extension", frame(TEXT | 0x40, b"<presence/>"), 1002),
        ("no known kind", frame(0x83, b"<presence/>"), 1002),
        ("the end of nothing", frame(ENDS, b"/>"), 1002),
        (
            "a message in a message",
            frame(BEGINS, b"<a").repeat(2),
            1002,
        ),
        ("a long question", frame(PING, &[0; 126]), 1002),
        ("a reason that is none", frame(CLOSES, &[0, 0]), 1002),
        ("octets", frame(BINARY, b"<presence/>"), 1003),
        ("no UTF-8", frame(TEXT, b"<a>\xff</a>"), 1007),
        (
            "no UTF-8 at the end",
            frame(CLOSES, &[0x03, 0xe8, 0xff]),
            1007,
        ),
        ("thousands of parts", parts, 1008),
        ("a giant", giant, 1009),
        (
            "one that grows",
            [
                frame(BEGINS, &[b'<'; 200_000]),
                frame(GOES_ON, &[b'<'; 200_000]),
            ]
            .concat(),
            1009,
        ),
    ]
}

#[test]
fn what_is_no_websocket_is_told_why_and_leaves_nothing_behind() {
    let mut server = Reveille::started();
    let round = |server: &Reveille| {
        for (what, octets, code) in no_frames() {
            for mut client in [
                XmppClient::in_tls(server, Tls::WebSocket),
                XmppClient::signed_in_by_websocket(server, "alice", "web"),
            ] {
                // The server may be through with us before it has read all.
                let _ = client.send_octets(&octets);
                client.rest(SOON);
                assert_eq!(client.close_code(), Some(code), "{what}");
            }
        }
    };
    // The first rounds fill what is kept for later ones.
    (0..3).for_each(|_| round(&server));
    let before = server.process().resident_kib();
    (0..6).for_each(|_| round(&server));
    let after = server.process().resident_kib();
    assert!(
        after < before + 12 * 1024,
        "{before} KiB before, {after} after"
    );
    server.assert_healthy();
}

#[test]
fn what_is_no_handshake_is_refused_in_the_words_of_http() {
    let server = Reveille::started();
    let with = |from: &str, to: &str| websocket::handshake().replacen(from, to, 1);
    for (request, status) in [
        (with("Protocol: xmpp", "Protocol: chat"), 400),
        (with("Sec-WebSocket-Protocol: xmpp\r\n", ""), 400),
        (
            with("Upgrade: w", "Origin: https://evil.example\r\nUpgrade: w"),
            403,
        ),
        (with("Upgrade: w", "Origin: null\r\nUpgrade: w"), 403),
        (with("/xmpp-websocket", "/other"), 404),
        (with("GET", "POST"), 405),
        (with("Version: 13", "Version: 7"), 426),
        (with("Upgrade: w", "A: b\r\n".repeat(100).as_str()), 431),
        (
            with(
                "Host",
                format!("Cookie: {}\r\nHost", "a".repeat(20_000)).as_str(),
            ),
            431,
        ),
        ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400),
        (reveille_e2e::HEADER.to_owned(), 400),
    ] {
        let mut client = XmppClient::at_websocket(&server);
        let _ = client.send_raw(request.as_bytes());
        let head = client.http_head();
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {head}"
        );
    }
    // A page of ours may, and so may one that the operator names.
    let with_origin = |server: &Reveille, origin: &str| {
        let mut client = XmppClient::at_websocket(server);
        client.send(&with(
            "Upgrade: w",
            &format!("Origin: {origin}\r\nUpgrade: w"),
        ));
        client.http_head()
    };
    assert!(with_origin(&server, "http://localhost:8000").starts_with("HTTP/1.1 101 "));
    let mut server = Reveille::new().with("im", "websocket_origins", "https://chat.example.org");
    server.start();
    assert!(with_origin(&server, "https://chat.example.org").starts_with("HTTP/1.1 101 "));
    assert!(with_origin(&server, "https://evil.example").starts_with("HTTP/1.1 403 "));
}

#[test]
fn whoever_is_behind_a_proxy_is_banned_and_not_the_proxy() {
    let server = Reveille::started();
    server.ask(&["ban", "add", "192.0.2.66", "--for", "1h"]);
    let proxy = || XmppClient::connect(server.address("xmpp_ws")).expect("a connection");
    let refused = proxy().websocket_is_refused_for("192.0.2.66");
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    let mut other = proxy();
    other.begin_websocket_for("192.0.2.67");
    other.open();
    other.authenticate("alice");
}

#[test]
fn half_a_handshake_and_half_a_message_keep_nobody_out_and_are_sent_away() {
    let mut server = Reveille::started();
    drop(XmppClient::signed_in_by_websocket(&server, "alice", "web"));
    let before = server.process().resident_kib();
    let request = websocket::handshake();
    let mut waiting: Vec<XmppClient> = (0..400)
        .map(|number| {
            let mut client = XmppClient::connect(server.address("xmpp_ws")).expect("a connection");
            if number % 2 == 0 {
                client.send(&request[..number % request.len()]);
            } else {
                client.begin_websocket();
                let _ = client.send_octets(&frame(BEGINS, b"<a>")[..number % 9]);
            }
            client
        })
        .collect();
    let mut alice = XmppClient::signed_in_by_websocket(&server, "alice", "web");
    alice.ping();
    let with = server.process().resident_kib();
    assert!(
        with < before + 24 * 1024,
        "{before} KiB before, {with} with them"
    );
    // A handshake has ten seconds, a sign-in thirty.
    for client in waiting.iter_mut().take(2) {
        client.rest(std::time::Duration::from_secs(40));
    }
    drop(waiting);
    assert!(!matches!(
        alice.next(std::time::Duration::ZERO),
        Heard::Gone
    ));
    alice.ping();
    server.assert_healthy();
}
