//! Audio of phones outside, through Debian's rtpengine: packets counted at both ends and in between. And what lets clients use
//! Debian's coturn.

use reveille_e2e::{
    Account, Coturn, Edge, Linphone, PASSWORD, Reveille, Rtpengine, SOON, Transport, XmppClient,
    heard, http, http_as, iphone, new_token, poll, talk, xml,
};
use serde_json::{Value, json};

/// An inside with an edge, both up, whose calls go by these relays.
fn with_relays(relays: &[&Rtpengine]) -> (Reveille, Edge) {
    let mut inside = Reveille::new();
    let mut edge = Edge::of(&inside);
    edge.start();
    let at: Vec<_> = relays.iter().map(|it| it.control().to_string()).collect();
    inside = inside
        .with("edge", "edges", &edge.line())
        .with("call", "media", "rtpengine")
        .with("media", "rtpengine", &at.join(","))
        .with("media", "inside", "inside")
        .with("media", "outside", "outside");
    inside.start();
    let up = poll(SOON, || {
        inside
            .ask(&["edge", "status"])
            .contains(" up ")
            .then_some(())
    });
    assert!(up.is_some(), "{}", inside.ask(&["edge", "status"]));
    (inside, edge)
}

/// A phone that plays a file into its calls.
fn phone(user: &str, server: (Transport, std::net::SocketAddr), ca: Option<String>) -> Linphone {
    let (transport, server) = server;
    let mut phone = Linphone::registered(Account {
        user: user.to_owned(),
        password: PASSWORD.to_owned(),
        transport,
        server,
        push: Some(iphone(&new_token())),
        ca,
        friends: Vec::new(),
    });
    phone.uses_files();
    phone
}

fn outside(edge: &Edge, user: &str) -> Linphone {
    phone(user, (Transport::Tls, edge.sip_tls()), Some(edge.ca()))
}

fn inside_phone(inside: &Reveille, user: &str) -> Linphone {
    phone(user, (Transport::Tcp, inside.sip(Transport::Tcp)), None)
}

#[test]
fn phones_hear_each_other_through_a_relay_if_one_or_both_are_outside() {
    let mut relay = Rtpengine::started();
    let (mut inside, edge) = with_relays(&[&relay]);
    let mut bob = outside(&edge, "bob");
    let mut alice = inside_phone(&inside, "alice");
    let mut carol = outside(&edge, "carol");
    for other in [&mut alice, &mut carol] {
        talk(other, &mut bob, "sip:bob@localhost");
        heard(&mut relay, [&mut bob, other]);
    }
    inside.assert_healthy();
}

#[test]
fn a_relay_that_is_killed_in_a_call_ends_no_call_and_another_takes_the_next() {
    let mut relays = [Rtpengine::started(), Rtpengine::started()];
    let (mut inside, edge) = with_relays(&[&relays[0], &relays[1]]);
    let mut bob = outside(&edge, "bob");
    let mut alice = inside_phone(&inside, "alice");
    talk(&mut alice, &mut bob, "sip:bob@localhost");
    bob.wait_hearing(SOON);
    let its = relays.iter().position(Rtpengine::has_relayed);
    let its = its.expect("one of them has it");
    relays[its].kill();
    bob.hang_up();
    alice.wait_call_over(SOON);
    bob.wait_call_over(SOON);

    talk(&mut alice, &mut bob, "sip:bob@localhost");
    heard(&mut relays[1 - its], [&mut bob, &mut alice]);
    let alarm = "reveille_alarm_active{name=\"media_relay_down\"} 1";
    let stands = poll(SOON, || inside.metrics().contains(alarm).then_some(()));
    assert!(stands.is_some(), "{}", inside.metrics());

    relays[1 - its].kill();
    alice.call("sip:bob@localhost");
    alice.expect("SIP/2.0 503 No Media Relay", SOON);
    inside.assert_healthy();
}

#[test]
fn what_users_are_given_for_coturn_lets_them_in_and_nothing_else_does() {
    let coturn = Coturn::started();
    let secret = coturn.secret_file();
    let mut inside = Reveille::new().with("turn", "urls", &coturn.url()).with(
        "turn",
        "secret_file",
        &secret.to_string_lossy(),
    );
    inside.start();

    let admin = inside.address("admin");
    let who = json!({"grant_type": "password", "username": "alice", "password": PASSWORD});
    let tokens = http(admin, "POST", "/oauth/token", Some(&who)).expect("an answer");
    let tokens: Value = serde_json::from_str(&tokens.body).expect("JSON");
    let token = tokens["access_token"].as_str().expect("a token");
    let nobody = http(admin, "GET", "/api/v1/me/turn", None).expect("an answer");
    assert_eq!(nobody.status, 401);
    let told = http_as(admin, "GET", "/api/v1/me/turn", token, None).expect("an answer");
    let told: Value = serde_json::from_str(&told.body).expect("JSON");
    assert_eq!(told["uris"], json!([coturn.url()]));
    assert_eq!(told["ttl"], 86_400);
    let text = |key: &str| told[key].as_str().expect("a text").to_owned();
    assert!(coturn.relays(&text("username"), &text("password")));
    assert!(!coturn.relays(&text("username"), "wrong"));

    // The same by XMPP (XEP-0215).
    let mut client = XmppClient::available(&inside, "bob", "page");
    let services = "<services xmlns='urn:xmpp:extdisco:2'/>";
    client.send(&format!(
        "<iq type='get' id='s' to='localhost'>{services}</iq>"
    ));
    let heard = client.expect("urn:xmpp:extdisco:2");
    let service = &heard[heard.find("<service ").expect("a service")..];
    let shown = |name: &str| xml::attribute(service, name).expect("shown").to_owned();
    assert!(shown("username").ends_with(":bob@localhost"));
    assert!(coturn.relays(&shown("username"), &shown("password")));
    inside.assert_healthy();
}
