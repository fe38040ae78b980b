//! Clients outside, by edges that are processes of their own: Linphone registers, is woken, and comes back by another edge when the
//! first is gone; slixmpp goes on where it was; and nothing of who has not signed in gets in.

use reveille_e2e::scram::{Scram, Signed, offered};
use reveille_e2e::{
    Account, Edge, Linphone, Login, PASSWORD, Pjsua, Reveille, SOON, Slixmpp, Tls, Transport,
    XmppClient, android, https_as, iphone, new_token, poll, xml,
};
use ring::digest::{SHA256, digest};
use serde_json::json;
use std::time::Duration;

/// Longer than a tunnel is missed (12 s), and than a phone that was sent away waits.
const BACK: Duration = Duration::from_mins(1);

/// Waits until the tunnels of the inside are as they should be.
fn wait_tunnels(inside: &Reveille, wanted: &[bool]) {
    let seen = poll(SOON, || {
        let told = inside.ask(&["edge", "status", "--json"]);
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        let up = told.as_array().expect("a list").iter();
        let mut up: Vec<_> = up.map(|it| it["up"] == true).collect();
        up.sort_unstable();
        (up == wanted).then_some(())
    });
    assert!(seen.is_some(), "{}", inside.ask(&["edge", "status"]));
}

/// An inside with one edge, whose tunnel is up.
fn with_edge() -> (Reveille, Edge) {
    let mut inside = Reveille::new();
    let mut edge = Edge::of(&inside);
    edge.start();
    let line = edge.line();
    inside = inside.with("edge", "edges", &line);
    inside.start();
    wait_tunnels(&inside, &[true]);
    (inside, edge)
}

#[test]
fn linphone_outside_is_woken_and_comes_back_by_the_other_edge_when_its_own_is_killed() {
    let mut inside = Reveille::new();
    let mut edges = [Edge::of(&inside), Edge::of(&inside)];
    for edge in &mut edges {
        edge.start();
    }
    let lines = edges.each_ref().map(Edge::line).join(",");
    inside = inside.with("edge", "edges", &lines);
    inside.start();
    wait_tunnels(&inside, &[true, true]);

    let token = new_token();
    let mut bob = Linphone::registered(Account {
        user: "bob".to_owned(),
        password: PASSWORD.to_owned(),
        transport: Transport::Tls,
        server: edges[0].sip_tls(),
        push: Some(iphone(&token)),
        ca: Some(edges.each_ref().map(Edge::ca).concat()),
        friends: Vec::new(),
    });
    assert!(edges[0].status().contains(" up "), "{}", edges[0].status());
    bob.kill();
    edges[0].kill();
    wait_tunnels(&inside, &[false, true]);

    let mut alice = Pjsua::registered(&inside, "alice", Transport::Udp);
    alice.call("sip:bob@localhost");
    inside.lab().wait_for_push(&token, "call", SOON);
    bob.moves(edges[1].sip_tls());
    bob.start();
    bob.wait_registered();
    bob.wait_ringing(SOON);
    alice.expect("CALL EARLY 180", SOON);
    bob.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    // A BYE from outside finds the caller, and the way is that of the call.
    bob.hang_up();
    alice.expect("CALL DISCONNECTED", SOON);
    inside.assert_healthy();
}

#[test]
fn slixmpp_outside_chats_with_a_phone_inside_and_goes_on_where_it_was_whatever_breaks() {
    let (mut inside, edge) = with_edge();
    let mut phone = Linphone::registered(Account {
        user: "carol".to_owned(),
        password: PASSWORD.to_owned(),
        transport: Transport::Tcp,
        server: inside.sip(Transport::Tcp),
        push: Some(android(&new_token())),
        ca: None,
        friends: Vec::new(),
    });
    let mut desk = Pjsua::registered(&inside, "bob", Transport::Udp);
    let login = Login::new("alice", "phone").resuming();
    let mut outside = Slixmpp::start_at(edge.xmpp(Tls::Starttls), &login, &edge.ca_file());
    outside.expect("signed_in", &json!({}));
    outside.be_available();
    outside.message("carol@localhost", "from outside");
    phone.expect("from outside", SOON);
    let says = |desk: &mut Pjsua, text: &str| {
        desk.message("sip:alice@localhost", text);
        desk.expect("SENT 20", SOON);
    };
    says(&mut desk, "from inside");
    outside.expect("message", &json!({"body": "from inside"}));

    outside.tell(&json!({"do": "lose"}));
    outside.expect("disconnected", &json!({}));
    says(&mut desk, "while away");
    outside.tell(&json!({"do": "sign_in"}));
    outside.expect("resumed", &json!({}));
    outside.expect("message", &json!({"body": "while away"}));

    // An inside that stops sends its clients away; the edge dials nobody, and waits.
    inside.stop();
    outside.expect("disconnected", &json!({}));
    inside.start();
    wait_tunnels(&inside, &[true]);
    let mut desk = XmppClient::available(&inside, "bob", "desk");
    desk.send("<message type='chat' to='alice@localhost' id='a'><body>anew</body></message>");
    desk.ping();
    outside.tell(&json!({"do": "sign_in"}));
    outside.expect("message", &json!({"body": "anew"}));
    assert_eq!(outside.count("resumed", &json!({})), 2);
    assert_eq!(outside.count("signed_in", &json!({})), 1, "it went on");
    for body in ["from inside", "while away", "anew"] {
        let times = outside.count("message", &json!({"body": body}));
        assert_eq!(times, 1, "{body}");
    }
    inside.assert_healthy();
}

#[test]
fn who_signs_in_by_the_edge_binds_that_to_its_tls_with_the_edge() {
    let (_inside, edge) = with_edge();
    let (ca, mechanism) = (edge.ca(), "SCRAM-SHA-256-PLUS");
    for start in [Tls::Starttls, Tls::Direct, Tls::WebSocket] {
        let (other, _) = XmppClient::offered_at(edge.xmpp(start), start, &ca);
        for kind in ["tls-exporter", "tls-server-end-point"] {
            let (mut client, features) = XmppClient::offered_at(edge.xmpp(start), start, &ca);
            let binding = format!("<channel-binding type='{kind}'/>");
            assert!(features.contains(mechanism), "{features}");
            assert!(features.contains(&binding), "{features}");
            let channel = match kind {
                "tls-exporter" => client.exporter(),
                _ => digest(&SHA256, &client.certificate()).as_ref().to_vec(),
            };
            let bound_to = |channel: Vec<u8>| Scram {
                mechanism: mechanism.to_owned(),
                user: "alice".to_owned(),
                password: PASSWORD.to_owned(),
                flag: format!("p={kind}"),
                channel,
            };
            if kind == "tls-exporter" {
                let told = client.scram(&bound_to(other.exporter()));
                assert_eq!(told, Signed::Out("not-authorized".to_owned(), true));
            }
            let Signed::In(hash) = client.scram(&bound_to(channel)) else {
                panic!("{start} {kind}");
            };
            // XEP-0474: what the edge has offered is what the inside would have.
            assert_eq!(hash, Some(offered(&features)), "{features}");
            client.open();
            client.bind("alice", "outside");
            client.ping();
        }
    }
}

#[test]
fn over_a_websocket_an_edge_is_like_the_server() {
    let (inside, edge) = with_edge();
    let mut desk = XmppClient::available(&inside, "bob", "desk");
    let start = Tls::WebSocket;
    let (mut client, _) = XmppClient::offered_at(edge.xmpp(start), start, &edge.ca());
    client.authenticate("alice");
    client.bind("alice", "page");
    client.send("<presence/>");
    client.expect("<presence");
    let long = "Grüße ".repeat(2_000);
    desk.send(&format!(
        "<message type='chat' to='alice@localhost'><body>{long}</body></message>"
    ));
    let heard = client.expect("<body>");
    assert_eq!(xml::text(&heard, "body").as_deref(), Some(&*long));
    assert_eq!(xml::attribute(&heard, "xmlns"), Some("jabber:client"));
    client.send("<message type='chat' to='bob@localhost'><body>and back</body></message>");
    desk.expect("and back");
    client.send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
    let rest = client.rest(SOON);
    let close = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
    assert_eq!(rest.last().map(String::as_str), Some(close), "{rest:#?}");
    assert_eq!(client.close_code(), Some(1000));
    // Where pages find it.
    let mut page = XmppClient::connect(edge.xmpp(start)).expect("a connection");
    page.secure(&edge.ca());
    page.send("GET /.well-known/host-meta HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(page.http_head().starts_with("HTTP/1.1 200 "));
}

#[test]
fn nothing_gets_in_by_xmpp_of_who_has_not_signed_in() {
    let (mut inside, edge) = with_edge();
    let clients = || {
        let told = inside.ask(&["edge", "status", "--json"]);
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        told[0]["clients"].as_u64().expect("how many")
    };
    let stranger = || XmppClient::offered_at(edge.xmpp(Tls::Direct), Tls::Direct, &edge.ca()).0;
    let message = "<message to='alice@localhost'><body>let me in</body></message>";
    let mut silent = stranger();
    silent.send(message);
    assert_eq!(silent.stream_error(SOON), "not-authorized");
    assert_eq!(clients(), 0, "the inside has not seen it");
    // In the midst of signing in, and behind a failure.
    let auth = |word: &str| {
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{word}</auth>")
    };
    let mut wrong = stranger();
    wrong.send(&auth("AGFsaWNlAHdyb25n"));
    wrong.expect("<not-authorized");
    wrong.send(message);
    assert_eq!(wrong.stream_error(SOON), "not-authorized");
    let gone = poll(SOON, || (clients() == 0).then_some(()));
    assert!(gone.is_some(), "{} are left", clients());
    inside.stop();
    let mut late = stranger();
    late.send(&auth("AGFsaWNlAHdyb25n"));
    assert_eq!(late.stream_error(SOON), "remote-connection-failed");
}

#[test]
fn when_one_of_two_insides_is_lost_its_phones_go_over_to_the_other_and_what_it_kept_comes_later() {
    let mut insides = [Reveille::new(), Reveille::new()];
    let mut edge = Edge::between(&insides.each_ref());
    edge.start();
    let line = edge.line();
    insides = insides.map(|it| it.with("edge", "edges", &line));
    for inside in &mut insides {
        inside.start();
        wait_tunnels(inside, &[true]);
    }
    let mut bob = Linphone::registered(Account {
        user: "bob".to_owned(),
        password: PASSWORD.to_owned(),
        transport: Transport::Tls,
        server: edge.sip_tls(),
        push: Some(iphone(&new_token())),
        ca: Some(edge.ca()),
        friends: Vec::new(),
    });
    let [mut its, mut other] = insides;
    if its.devices("bob").is_empty() {
        std::mem::swap(&mut its, &mut other);
    }
    assert_eq!(its.devices("bob").len(), 1);
    assert!(other.devices("bob").is_empty());
    let says = |alice: &mut Pjsua, text: &str| {
        alice.message("sip:bob@localhost", text);
        alice.expect("SENT 20", SOON);
    };
    let mut alice = Pjsua::registered(&its, "alice", Transport::Udp);
    says(&mut alice, "at the first");
    bob.expect("at the first", SOON);

    // Its phone is sent away, and comes back by itself.
    its.kill();
    let over = poll(BACK, || (other.devices("bob").len() == 1).then_some(()));
    assert!(over.is_some(), "{}", bob.process().tail());
    let mut there = Pjsua::registered(&other, "alice", Transport::Udp);
    says(&mut there, "at the other");
    bob.expect("at the other", BACK);
    there.call("sip:bob@localhost");
    bob.wait_ringing(BACK);
    bob.answer();
    there.expect("CALL CONFIRMED 200", SOON);
    bob.hang_up();
    there.expect("CALL DISCONNECTED", SOON);

    // The first is there again, and keeps what is for its phone until that comes anew.
    its.start();
    wait_tunnels(&its, &[true]);
    let mut alice = Pjsua::registered(&its, "alice", Transport::Udp);
    says(&mut alice, "kept at the first");
    bob.kill();
    bob.start();
    bob.expect("kept at the first", BACK);
    its.wait_delivered("bob");
    assert_eq!(bob.times_received("kept at the first"), 1);
    its.assert_healthy();
    other.assert_healthy();
}

#[test]
fn an_edge_whose_clock_is_wrong_carries_all_and_refuses_tokens_that_it_takes_for_old() {
    for (clock, takes_tokens) in [("+1h", true), ("+2d", false), ("-1h", true), ("-2d", true)] {
        let mut inside = Reveille::new();
        let mut edge = Edge::of(&inside).off_by(clock);
        edge.start();
        inside = inside.with("edge", "edges", &edge.line());
        inside.start();
        wait_tunnels(&inside, &[true]);
        assert!(is_let_in(&edge, "bob"), "{clock}");
        let ca_file = edge.ca_file();
        let at = (edge.device_api(), &*ca_file);
        let who = json!({"grant_type": "password", "username": "bob", "password": PASSWORD});
        let told = https_as(at, "POST", "/oauth/token", "", Some(&who));
        assert_eq!(told.status, 200, "{clock}: {}", told.body);
        let told: serde_json::Value = serde_json::from_str(&told.body).expect("JSON");
        let token = told["access_token"].as_str().expect("a token");
        let put = https_as(at, "PUT", "/api/v1/me/devices/a", token, Some(&json!({})));
        assert_eq!(put.status, if takes_tokens { 204 } else { 401 }, "{clock}");
        // What the operator sees of it.
        let refused = "reveille_edge_refused_total{reason=\"bad_token\"} ";
        let refused = format!("{refused}{}\n", u8::from(!takes_tokens));
        assert!(
            edge.metrics().contains(&refused),
            "{clock}: {}",
            edge.metrics()
        );
        edge.process().hang_up();
        let certificate = if clock == "-2d" {
            "it has expired, or is not good yet"
        } else {
            "reload: nothing has changed"
        };
        edge.process().expect(certificate, SOON);
        inside.assert_healthy();
    }
}

/// Whether somebody is let in with a password by this edge.
fn is_let_in(edge: &Edge, user: &str) -> bool {
    let (mut client, _) = XmppClient::offered_at(edge.xmpp(Tls::Direct), Tls::Direct, &edge.ca());
    let signed = client.scram(&Scram {
        mechanism: "SCRAM-SHA-256".to_owned(),
        user: user.to_owned(),
        password: PASSWORD.to_owned(),
        flag: "n".to_owned(),
        channel: Vec::new(),
    });
    matches!(signed, Signed::In(_))
}

#[test]
fn an_edge_takes_what_it_can_of_another_configuration_and_names_what_needs_a_restart() {
    let (mut inside, mut edge) = with_edge();
    let (start, ca) = (Tls::Direct, edge.ca());
    let (mut there, _) = XmppClient::offered_at(edge.xmpp(start), start, &ca);
    there.authenticate("alice");
    there.bind("alice", "phone");
    let metadata = "/.well-known/oauth-authorization-server";
    let ca_file = edge.ca_file();
    let ask = |at| https_as((at, &*ca_file), "GET", metadata, "", None);
    assert_eq!(ask(edge.device_api()).status, 404);
    edge.rewrites("#! passwords = true", "passwords = false");
    edge.rewrites("#! issuer = \"\"", "issuer = \"https://localhost\"");
    edge.rewrites("node = \"localhost\"", "node = \"other.localhost\"");
    let told = edge.asks(&["reload"]);
    for taken in ["edge.passwords", "oauth.issuer"] {
        assert!(told.contains(taken), "{told}");
    }
    let late = "server.node: \"localhost\" -> \"other.localhost\" needs a restart";
    edge.process().expect(late, SOON);
    assert!(told.contains("server.node"), "{told}");
    let shown = ask(edge.device_api());
    assert!(
        shown.body.contains("https://localhost/oauth/token"),
        "{}",
        shown.body
    );
    // Nobody comes in by a password any more, and who is in stays.
    let (mut late, _) = XmppClient::offered_at(edge.xmpp(start), start, &ca);
    late.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGJvYgB3</auth>");
    assert_eq!(late.stream_error(SOON), "not-authorized");
    there.ping();

    // By a signal it is the same; and a configuration that is none changes nothing.
    edge.rewrites("passwords = false", "passwords = true");
    edge.process().hang_up();
    edge.process().expect("edge.passwords: false -> true", SOON);
    assert!(is_let_in(&edge, "bob"));
    edge.rewrites("passwords = true", "passwords = maybe");
    edge.process().hang_up();
    edge.process().expect("reload: nothing has changed", SOON);
    assert!(is_let_in(&edge, "bob"));
    there.ping();
    inside.assert_healthy();
}

#[test]
fn a_certificate_that_is_renewed_is_shown_to_who_comes_and_sends_nobody_away() {
    let (mut inside, mut edge) = with_edge();
    let (start, ca) = (Tls::Direct, edge.ca());
    let (mut there, _) = XmppClient::offered_at(edge.xmpp(start), start, &ca);
    there.authenticate("alice");
    there.bind("alice", "phone");
    there.send("<presence/>");
    there.expect("<presence");
    let other = Edge::of(&inside);
    edge.renew_from(&other);
    // It looks every 30 s; meanwhile it is busy.
    let mut desk = XmppClient::available(&inside, "bob", "desk");
    let mut said = 0;
    let renewed = poll(SOON * 3, || {
        said += 1;
        desk.send(&format!(
            "<message type='chat' to='alice@localhost'><body>number {said}.</body></message>"
        ));
        there.expect(&format!("<body>number {said}.</body>"));
        (edge.process().count("new certificate") > 0).then_some(())
    });
    assert!(renewed.is_some(), "{}", edge.process().tail());
    let (mut late, _) = XmppClient::offered_at(edge.xmpp(start), start, &other.ca());
    late.authenticate("alice");
    late.bind("alice", "tablet");
    there.ping();
    inside.assert_healthy();
}
