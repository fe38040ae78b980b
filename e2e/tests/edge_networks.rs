//! Outside, a DMZ with two edges, inside, and a firewall that lets nothing be opened inwards: phones and clients outside are
//! served all the same, whatever breaks on the way.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use reveille_e2e::{
    Account, ENOUGH, Edge, Forward, Host, Linphone, Login, Networks, PASSWORD, Pjsua, Reveille,
    Rtpengine, SOON, Slixmpp, Tls, Transport, heard, iphone, is_answered, new_token, poll,
};
use serde_json::json;

/// Longer than a tunnel is missed (12 s), and than the longest wait before it is dialled again (15 s).
const BACK: Duration = Duration::from_secs(40);

/// So much later is there what is said over a bad way, each way.
const LONG_WAY: Duration = Duration::from_millis(200);

/// What Linphone says when it is registered, again as well.
const REGISTERED: &str = "to [LinphoneRegistrationOk]";

/// An inside, with both edges of its DMZ.
struct World {
    networks: Networks,
    inside: Reveille,
    edges: [Edge; 2],
}

impl World {
    /// `None` outside of the networks, where the test is over when it is inside.
    fn enter(test: &str) -> Option<Self> {
        Some(Self::made(Networks::enter(test)?, Reveille::new()))
    }

    /// The same with a media relay in the DMZ, which the inside asks.
    fn enter_with_relay(test: &str) -> Option<(Self, Rtpengine)> {
        let networks = Networks::enter(test)?;
        let relay = Rtpengine::on(&networks.dmz(), networks.relay());
        networks.relays(relay.control().port(), relay.ports());
        let inside = Reveille::new()
            .with("call", "media", "rtpengine")
            .with("media", "rtpengine", &relay.control().to_string())
            .with("media", "inside", "inside")
            .with("media", "outside", "outside");
        Some((Self::made(networks, inside), relay))
    }

    fn made(networks: Networks, inside: Reveille) -> Self {
        let (dmz, at) = (|| networks.dmz(), |number| networks.edge(number));
        let first = Edge::on(&inside, dmz(), at(0), None);
        let second = Edge::on(&inside, dmz(), at(1), Some(&first));
        let mut edges = [first, second];
        networks.tunnel(edges[0].tunnel().port());
        for edge in &mut edges {
            edge.start();
        }
        let lines = edges.each_ref().map(Edge::line).join(",");
        let mut inside = inside.with("edge", "edges", &lines);
        inside.start();
        let world = Self {
            networks,
            inside,
            edges,
        };
        world.wait_tunnels(2);
        world
    }

    /// Waits until so many tunnels are up.
    fn wait_tunnels(&self, wanted: usize) {
        let seen = poll(BACK, || {
            let told = self.inside.ask(&["edge", "status", "--json"]);
            let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
            let all = told.as_array().expect("a list").iter();
            (all.filter(|it| it["up"] == true).count() == wanted).then_some(())
        });
        assert!(seen.is_some(), "{}", self.inside.ask(&["edge", "status"]));
    }

    /// Waits until so many messages have been acknowledged by the phone.
    fn wait_delivered(&self, wanted: usize) {
        let all = || self.inside.ask(&["trace"]);
        let count = || all().matches("message_delivered").count();
        let seen = poll(SOON, || (count() == wanted).then_some(()));
        assert!(seen.is_some(), "{}", all());
    }

    /// A Linphone outside that is registered by the first edge.
    fn phone(&self, user: &str, token: &str) -> Linphone {
        let ca = self.edges.each_ref().map(Edge::ca).concat();
        let at = self.edges[0].sip_tls();
        let account = account(user, token, (Transport::Tls, at), Some(ca));
        let mut phone = Linphone::installed(account).on(self.networks.outside());
        phone.start();
        phone.wait_registered();
        phone
    }

    /// A phone at a desk inside. The server itself listens on loopback alone.
    fn desk_phone(&self, user: &str) -> (Linphone, Forward) {
        let server = self.inside.sip(Transport::Tcp);
        // At its port: a phone may answer by a connection of its own (RFC 3261 §18.2.2).
        let at = SocketAddr::from((self.networks.inside(), server.port()));
        let way = Forward::started(&Host::default(), at, server, Duration::ZERO);
        let account = account(user, &new_token(), (Transport::Tcp, at), None);
        (Linphone::registered(account), way)
    }

    /// Bob's phone outside has registered by the first edge, and both are gone: it is killed, and so is that.
    fn lost_with_its_edge(&mut self, token: &str) -> Linphone {
        let mut bob = self.phone("bob", token);
        bob.kill();
        self.edges[0].kill();
        self.networks.leads_to(1);
        self.wait_tunnels(1);
        bob
    }

    /// Bob's phone is woken for a call, and comes back by the other edge.
    fn wakes(&self, bob: &mut Linphone, token: &str) {
        let push = self.inside.lab().wait_for_push(token, "call", SOON);
        let port = self.edges[0].sip_tls().port();
        assert_eq!(
            push.data("register_at"),
            format!("sip:localhost:{port};transport=tls")
        );
        bob.start();
        bob.wait_registered();
        bob.wait_ringing(SOON);
    }

    /// So much has gone by all these ways of audio.
    fn assert_heard(&self, ways: &[&str], none: &[&str]) {
        let packets = |way: &&str| self.networks.packets(way);
        for way in ways {
            assert!(packets(way) >= ENOUGH, "{way}: {}", packets(way));
        }
        for way in none {
            assert_eq!(packets(way), 0, "{way}");
        }
    }

    /// Nothing was opened inwards, and nothing but tunnels was opened at all.
    fn assert_closed(&self) {
        let packets = |counter| self.networks.packets(counter);
        assert_eq!(packets("inwards"), 0);
        assert_eq!(packets("besides"), 0);
        assert!(packets("tunnel") > 0);
        // They would have been seen.
        let (outside, dmz) = (self.networks.outside(), self.networks.dmz());
        let port = self.inside.sip(Transport::Tcp).port();
        for from in [outside, dmz] {
            let before = packets("inwards");
            assert!(!self.networks.gets_inside(&from, port));
            assert!(packets("inwards") > before);
        }
    }
}

#[test]
fn a_phone_outside_comes_back_by_the_other_edge_and_nothing_is_opened_inwards() {
    let name = "a_phone_outside_comes_back_by_the_other_edge_and_nothing_is_opened_inwards";
    let Some(mut world) = World::enter(name) else {
        return;
    };
    let token = new_token();
    let mut bob = world.lost_with_its_edge(&token);
    let mut alice = Pjsua::registered(&world.inside, "alice", Transport::Udp);
    alice.call("sip:bob@localhost");
    world.wakes(&mut bob, &token);
    alice.expect("CALL EARLY 180", SOON);
    bob.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    bob.hang_up();
    alice.expect("CALL DISCONNECTED", SOON);
    world.inside.assert_healthy();
    world.assert_closed();
}

#[test]
fn a_phone_that_was_woken_by_the_other_edge_is_heard_at_a_desk_through_a_relay_in_the_dmz() {
    let name =
        "a_phone_that_was_woken_by_the_other_edge_is_heard_at_a_desk_through_a_relay_in_the_dmz";
    let Some((mut world, mut relay)) = World::enter_with_relay(name) else {
        return;
    };
    let token = new_token();
    let mut bob = world.lost_with_its_edge(&token);
    let (mut alice, _way) = world.desk_phone("alice");
    alice.uses_files();
    alice.call("sip:bob@localhost");
    world.wakes(&mut bob, &token);
    bob.uses_files();
    is_answered(&mut alice, &mut bob);
    heard(&mut relay, [&mut bob, &mut alice]);
    world.assert_heard(
        &["audio_in", "audio_out", "audio_up", "audio_down"],
        &["unrelayed"],
    );
    assert!(world.networks.packets("control") > 0);
    world.inside.assert_healthy();
    world.assert_closed();
}

#[test]
fn two_phones_outside_one_of_them_woken_hear_each_other_through_the_relay_and_nothing_of_it_comes_in()
 {
    let name = "two_phones_outside_one_of_them_woken_hear_each_other_through_the_relay_and_nothing_of_it_comes_in";
    let Some((mut world, mut relay)) = World::enter_with_relay(name) else {
        return;
    };
    let token = new_token();
    let mut bob = world.lost_with_its_edge(&token);
    let mut carol = world.phone("carol", &new_token());
    carol.uses_files();
    carol.call("sip:bob@localhost");
    world.wakes(&mut bob, &token);
    bob.uses_files();
    is_answered(&mut carol, &mut bob);
    heard(&mut relay, [&mut bob, &mut carol]);
    world.assert_heard(
        &["audio_in", "audio_out"],
        &["audio_up", "audio_down", "early", "unrelayed"],
    );
    world.inside.assert_healthy();
    world.assert_closed();
}

#[test]
fn a_client_outside_goes_on_by_the_other_edge_where_it_was() {
    let name = "a_client_outside_goes_on_by_the_other_edge_where_it_was";
    let Some(mut world) = World::enter(name) else {
        return;
    };
    let login = Login::new("alice", "phone").resuming();
    let at = world.edges[0].xmpp(Tls::Direct);
    let cas = world.edges.each_ref().map(Edge::ca).concat();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, cas).expect("a file of ours");
    let login = Login {
        tls: Tls::Direct,
        ..login
    };
    let mut outside = Slixmpp::start_on(&world.networks.outside(), at, &login, &ca);
    outside.expect("signed_in", &json!({}));
    outside.be_available();
    let mut desk = Pjsua::registered(&world.inside, "bob", Transport::Udp);
    desk.message("sip:alice@localhost", "first");
    outside.expect("message", &json!({"body": "first"}));

    world.edges[0].kill();
    outside.expect("disconnected", &json!({}));
    desk.message("sip:alice@localhost", "meanwhile");
    desk.expect("SENT 20", SOON);
    let at = world.networks.edge(1).to_string();
    outside.tell(&json!({"do": "sign_in", "at": at}));
    outside.expect("resumed", &json!({}));
    outside.expect("message", &json!({"body": "meanwhile"}));
    for body in ["first", "meanwhile"] {
        assert_eq!(
            outside.count("message", &json!({"body": body})),
            1,
            "{body}"
        );
    }
    world.inside.assert_healthy();
    world.assert_closed();
}

#[test]
fn whatever_breaks_on_the_way_a_phone_outside_rings_and_no_message_is_lost_or_doubled() {
    let name = "whatever_breaks_on_the_way_a_phone_outside_rings_and_no_message_is_lost_or_doubled";
    let Some(mut world) = World::enter(name) else {
        return;
    };
    let mut bob = world.phone("bob", &new_token());
    let mut alice = Pjsua::registered(&world.inside, "alice", Transport::Udp);
    let mut said = Vec::new();
    let mut says = |alice: &mut Pjsua, text: &str| {
        alice.message("sip:bob@localhost", text);
        alice.expect("SENT 20", SOON);
        said.push(text.to_owned());
    };
    says(&mut alice, "all is well");
    bob.expect("all is well", SOON);

    // A second without the tunnel: it stays, and so does the phone's connection.
    let registered = bob.process().count(REGISTERED);
    world.networks.cut();
    says(&mut alice, "cut for a moment");
    wait(Duration::from_secs(1));
    world.networks.mend();
    bob.expect("cut for a moment", BACK);
    // What is cut off before the phone's answer comes is said again.
    world.wait_delivered(2);
    assert_eq!(bob.process().count(REGISTERED), registered);

    // So long that both sides give it up, before it is mended or after: the phone is sent away, and comes back by itself.
    for (seconds, text, delivered) in [(10, "cut for long", 3), (60, "cut for a minute", 4)] {
        world.networks.cut();
        says(&mut alice, text);
        wait(Duration::from_secs(seconds));
        world.networks.mend();
        bob.expect(text, BACK);
        world.wait_tunnels(2);
        world.wait_delivered(delivered);
    }

    // An inside that starts again has what it acknowledged.
    world.inside.stop();
    world.inside.start();
    world.wait_tunnels(2);
    let mut alice = Pjsua::registered(&world.inside, "alice", Transport::Udp);
    says(&mut alice, "after a restart");
    bob.expect("after a restart", BACK);

    // Of a hundred packets outside five are lost: TCP sees to that.
    world.networks.loses(5);
    for number in 0..20 {
        says(&mut alice, &format!("through loss {number:02}"));
    }
    bob.expect("through loss 19", BACK);
    alice.call("sip:bob@localhost");
    bob.wait_ringing(BACK);
    bob.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    bob.hang_up();
    alice.expect("CALL DISCONNECTED", BACK);
    assert!(world.networks.packets("lost") > 0);
    world.networks.mend();

    for text in &said {
        let times = bob.times_received(text);
        // What the phone had and could not acknowledge in time comes again, under the same Call-ID: it need not show it twice, and may.
        let most = if text == "cut for long" { 2 } else { 1 };
        assert!((1..=most).contains(&times), "{text}: {times}");
    }
    world.inside.assert_healthy();
    world.assert_closed();
}

/// How long TLS with whoever listens there takes, once there is a connection, from this host.
fn handshake(from: &Host, at: SocketAddr) -> Duration {
    let mut curl = Command::new("curl");
    curl.args(["-sk", "--max-time", "10", "-o", "/dev/null"]);
    curl.args(["-w", "%{time_connect} %{time_appconnect}"]);
    curl.arg(format!("https://{at}/"));
    let said = from.runs(curl).output().expect("curl").stdout;
    let said = String::from_utf8(said).expect("text");
    let times = said.split_whitespace().map(str::parse::<f64>);
    let times: Vec<_> = times.map(|it| it.expect("seconds")).collect();
    let [connected, secured] = times[..] else {
        panic!("{said}");
    };
    assert!(secured > 0.0, "no TLS: {said}");
    Duration::from_secs_f64(secured - connected)
}

#[test]
fn at_the_end_of_a_long_way_that_loses_packets_a_phone_is_woken_rings_and_loses_no_message() {
    let name =
        "at_the_end_of_a_long_way_that_loses_packets_a_phone_is_woken_rings_and_loses_no_message";
    let Some(mut world) = World::enter(name) else {
        return;
    };
    let edge = world.edges[0].sip_tls();
    let at = SocketAddr::from((world.networks.on_the_way(), edge.port()));
    let _way = Forward::started(&world.networks.dmz(), at, edge, LONG_WAY);
    // The handshake of TLS is there and back at least, which is none of the two ends' doing.
    let took = handshake(&world.networks.outside(), at);
    let round = Duration::from_millis(400);
    assert!(took >= round, "{took:?}");
    world.networks.leads(world.networks.on_the_way());
    world.networks.loses(5);
    let token = new_token();
    let mut bob = world.phone("bob", &token);
    let mut alice = Pjsua::registered(&world.inside, "alice", Transport::Udp);
    bob.kill();
    alice.call("sip:bob@localhost");
    world.wakes(&mut bob, &token);
    alice.expect("CALL EARLY 180", SOON);
    bob.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    bob.hang_up();
    alice.expect("CALL DISCONNECTED", SOON);
    for number in 0..10 {
        alice.message("sip:bob@localhost", &format!("from afar {number}"));
        alice.expect("SENT 20", SOON);
    }
    bob.expect("from afar 9", BACK);
    world.wait_delivered(10);
    for number in 0..10 {
        let text = format!("from afar {number}");
        assert_eq!(bob.times_received(&text), 1, "{text}");
    }
    assert!(world.networks.packets("lost") > 0);
    world.inside.assert_healthy();
    world.assert_closed();
}

#[test]
fn a_phone_that_rings_when_its_edge_is_killed_rings_on_and_stops_when_the_caller_gives_up() {
    let name =
        "a_phone_that_rings_when_its_edge_is_killed_rings_on_and_stops_when_the_caller_gives_up";
    let Some(mut world) = World::enter(name) else {
        return;
    };
    let mut bob = world.phone("bob", &new_token());
    let mut alice = Pjsua::registered(&world.inside, "alice", Transport::Udp);
    alice.call("sip:bob@localhost");
    bob.wait_ringing(SOON);
    alice.expect("CALL EARLY 180", SOON);
    world.networks.leads_to(1);
    world.edges[0].kill();
    // It has this call already.
    bob.expect("SIP/2.0 486 Busy here", BACK);
    bob.expect(REGISTERED, BACK);
    assert_eq!(bob.process().count("to LinphoneCallReleased"), 0);
    alice.hang_up();
    bob.wait_call_over(SOON);
    alice.expect("CALL DISCONNECTED", SOON);
    world.inside.assert_healthy();
    world.assert_closed();
}

#[test]
fn an_edge_that_is_stopped_waits_for_a_call_and_a_second_signal_ends_that() {
    let name = "an_edge_that_is_stopped_waits_for_a_call_and_a_second_signal_ends_that";
    let Some(mut world) = World::enter(name) else {
        return;
    };
    let mut bob = world.phone("bob", &new_token());
    let mut carol = world.phone("carol", &new_token());
    let mut alice = Pjsua::registered(&world.inside, "alice", Transport::Udp);
    alice.call("sip:bob@localhost");
    bob.wait_ringing(SOON);
    bob.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    world.networks.leads_to(1);
    let [bobs, carols] = [&mut bob, &mut carol].map(|it| it.process().count(REGISTERED));
    world.edges[0].process().ask_to_end();
    // Another phone, which is in no call, is sent away and back: this one is not, and is waited for.
    let back = poll(BACK, || {
        (carol.process().count(REGISTERED) > carols).then_some(())
    });
    assert!(back.is_some(), "{}", carol.process().tail());
    let edge = world.edges[0].process();
    assert!(edge.is_running());
    assert_eq!(bob.process().count(REGISTERED), bobs);
    edge.terminate(SOON);
    // The call is up all the same: its phone comes back, and whoever hangs up is heard.
    bob.expect(REGISTERED, BACK);
    alice.hang_up();
    bob.wait_call_over(BACK);
    world.inside.assert_healthy();
    world.assert_closed();
}

fn account(
    user: &str,
    token: &str,
    (transport, server): (Transport, SocketAddr),
    ca: Option<String>,
) -> Account {
    Account {
        user: user.to_owned(),
        password: PASSWORD.to_owned(),
        transport,
        server,
        push: Some(iphone(token)),
        ca,
        friends: Vec::new(),
    }
}

/// A time that is the fault itself.
fn wait(time: Duration) {
    std::thread::sleep(time);
}
