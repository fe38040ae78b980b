//! Edges that are processes of their own, in what has nothing to do with shards: one of two insides is lost, clocks are wrong, the
//! configuration is read again, and a client outside is let into a TURN server.

use reveille_e2e::scram::{Scram, Signed};
use reveille_e2e::{
    Account, Coturn, Edge, Linphone, PASSWORD, Pjsua, Reveille, SOON, Tls, Transport, XmppClient,
    https_as, iphone, new_token, poll, wait_tunnels, with_edge_that,
};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// Longer than a tunnel is missed (12 s), and than a phone that was sent away waits.
const BACK: Duration = Duration::from_mins(1);

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
    const HOUR: i64 = 3_600;
    for (clock, ahead, takes_tokens) in [
        ("+1h", HOUR, true),
        ("+2d", 48 * HOUR, false),
        ("-1h", -HOUR, true),
        ("-2d", -48 * HOUR, true),
    ] {
        let mut inside = Reveille::new();
        let mut edge = Edge::of(&inside).off_by(clock);
        edge.start();
        inside = inside.with("edge", "edges", &edge.line());
        inside.start();
        wait_tunnels(&inside, &[true]);
        let said = edge.process().expect_anywhere("a tunnel is up", SOON);
        let off = seconds(said.split_whitespace().next().expect("a time")) - seconds("now");
        assert!((off - ahead).abs() < 60, "{clock}: it is off by {off} s");
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
        // Whatever is wrong with its certificate, a pair can be ended.
        edge.knows_nobody();
        edge.process().hang_up();
        wait_tunnels(&inside, &[false]);
        inside.assert_healthy();
    }
}

/// What GNU's `date` makes of a date, in seconds since the Unix epoch.
fn seconds(date: &str) -> i64 {
    let output = Command::new("date").args(["-d", date, "+%s"]).output();
    let said = String::from_utf8(output.expect("date").stdout).expect("text");
    said.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{date}: {said}"))
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
    let (mut inside, mut edge) = with_edge_that(|edge| {
        edge.rewrites("#! issuer = \"\"", "issuer = \"https://localhost\"");
    });
    let (start, ca) = (Tls::Direct, edge.ca());
    let (mut there, _) = XmppClient::offered_at(edge.xmpp(start), start, &ca);
    there.authenticate("alice");
    there.bind("alice", "phone");
    let metadata = "/.well-known/oauth-authorization-server";
    let ca_file = edge.ca_file();
    let ask = |at| https_as((at, &*ca_file), "GET", metadata, "", None);
    let shown = ask(edge.device_api()).body;
    assert!(shown.contains("\"password\""), "{shown}");
    edge.rewrites("#! passwords = true", "passwords = false");
    edge.rewrites("https://localhost", "https://other.localhost");
    edge.rewrites("node = \"localhost\"", "node = \"other.localhost\"");
    let told = edge.asks(&["reload"]);
    assert!(told.contains("edge.passwords"), "{told}");
    let late = "server.node: \"localhost\" -> \"other.localhost\" needs a restart";
    edge.process().expect(late, SOON);
    assert!(told.contains("server.node"), "{told}");
    // The issuer is one for all, and an inside takes another one by a restart.
    assert!(told.contains("oauth.issuer"), "{told}");
    let shown = ask(edge.device_api()).body;
    assert!(
        shown.contains("https://localhost/oauth/token") && !shown.contains("\"password\""),
        "{shown}"
    );
    // Nobody comes in by a password any more, and who is in stays.
    let (mut late, offered) = XmppClient::offered_at(edge.xmpp(start), start, &ca);
    assert!(
        offered.contains("OAUTHBEARER") && !offered.contains("SCRAM"),
        "{offered}"
    );
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
fn a_client_outside_gets_by_the_edge_what_lets_it_into_coturn() {
    let coturn = Coturn::started();
    let secret = coturn.secret_file();
    let mut inside = Reveille::new();
    let mut edge = Edge::of(&inside);
    edge.start();
    inside = inside
        .with("edge", "edges", &edge.line())
        .with("turn", "urls", &coturn.url())
        .with("turn", "secret_file", &secret.to_string_lossy());
    inside.start();
    let (at, path) = ((edge.device_api(), &*edge.ca_file()), "/api/v1/me/turn");
    let who = json!({"grant_type": "password", "username": "alice", "password": PASSWORD});
    // Until the tunnel is up it is told to come again.
    let tokens = poll(SOON, || {
        let told = https_as(at, "POST", "/oauth/token", "", Some(&who));
        (told.status == 200).then_some(told.body)
    });
    let tokens: Value = serde_json::from_str(&tokens.expect("tokens")).expect("JSON");
    let token = tokens["access_token"].as_str().expect("a token");
    for nobody in ["", "nonsense"] {
        assert_eq!(https_as(at, "GET", path, nobody, None).status, 401);
    }
    let told = https_as(at, "GET", path, token, None);
    assert_eq!(told.status, 200, "{}", told.body);
    let told: Value = serde_json::from_str(&told.body).expect("JSON");
    assert_eq!(told["uris"], json!([coturn.url()]));
    let text = |key: &str| told[key].as_str().expect("a text").to_owned();
    assert!(coturn.relays(&text("username"), &text("password")));
    assert!(!coturn.relays(&text("username"), "wrong"));
    inside.assert_healthy();
}
