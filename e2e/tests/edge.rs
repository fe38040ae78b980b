//! Clients outside, by edges that are processes of their own: Linphone registers, is woken, and comes back by another edge when the
//! first is gone; slixmpp goes on where it was; and nothing of who has not signed in gets in.

use reveille_e2e::scram::{Scram, Signed, offered};
use reveille_e2e::{
    Account, Edge, Linphone, Login, PASSWORD, Pjsua, Reveille, SOON, Slixmpp, Tls, Transport,
    XmppClient, android, iphone, new_token, poll, wait_tunnels, with_edge, xml,
};
use ring::digest::{SHA256, digest};
use serde_json::json;

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
