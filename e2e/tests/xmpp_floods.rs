//! Who holds on to what is everybody's: streams that stand still, floods, and peers that do not read cost little, and keep
//! nobody out.

use std::time::{Duration, Instant};

use reveille_e2e::{
    HEADER, Heard, Reveille, SOON, STARTTLS, Slixmpp, Tls, XmppClient, nonsense, poll,
};

/// Whoever has not signed in after so long is sent away, and a little more.
const SIGN_IN: Duration = Duration::from_secs(40);

/// By how much the server may have grown when whatever was done to it is over: allocators give back late, but a leak of
/// what is done here would be far more.
const GROWTH_KIB: u64 = 24 * 1024;

#[test]
fn who_stops_halfway_is_sent_away_in_time() {
    let server = Reveille::started();
    let tcp = || XmppClient::connect(server.xmpp(Tls::Starttls)).expect("a connection");
    let mut half_header = tcp();
    half_header.send(&HEADER[..HEADER.len() / 2]);
    let mut no_handshake = XmppClient::in_the_clear(&server);
    no_handshake.send(STARTTLS);
    no_handshake.expect("<proceed");
    let mut half_element = XmppClient::in_tls(&server, Tls::Direct);
    half_element.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PL");
    let mut chatty = XmppClient::in_tls(&server, Tls::Direct);
    let mut clients = [
        ("says nothing", tcp()),
        (
            "says nothing where TLS begins at once",
            XmppClient::connect(server.xmpp(Tls::Direct)).expect("a connection"),
        ),
        ("half a header", half_header),
        ("a header", XmppClient::in_the_clear(&server)),
        ("no handshake", no_handshake),
        ("no sign-in", XmppClient::in_tls(&server, Tls::Direct)),
        ("half an element", half_element),
    ];
    let begun = Instant::now();
    // One that keeps the line busy gets no longer.
    let chatty_ended = poll(SIGN_IN, || {
        let sent = chatty.send_raw(b" ").is_ok();
        (!sent || chatty.next(Duration::from_millis(200)) == Heard::Gone).then_some(())
    });
    assert!(
        chatty_ended.is_some(),
        "blanks keep a stranger's stream open"
    );
    for (what, client) in &mut clients {
        let left = SIGN_IN
            .saturating_sub(begun.elapsed())
            .max(Duration::from_secs(1));
        let ended = poll(left, || match client.next(Duration::from_millis(200)) {
            Heard::Gone => Some(()),
            _ => None,
        });
        assert!(
            ended.is_some(),
            "{what}: still there after {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn a_thousand_who_say_nothing_keep_nobody_out() {
    let mut server = Reveille::started();
    // What is made once at the first of a kind is no growth.
    drop(Slixmpp::available(&server, "alice", "desk"));
    let before = server.process().resident_kib();
    let mut silent = Vec::new();
    for number in 0..1_000 {
        let start = if number % 2 == 0 {
            Tls::Starttls
        } else {
            Tls::Direct
        };
        let mut client = XmppClient::connect(server.xmpp(start)).expect("a connection");
        if number % 4 == 0 {
            client.send(HEADER);
        }
        silent.push(client);
    }
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    let mut bob = XmppClient::available(&server, "bob", "phone");
    alice.message("bob@localhost", "through the crowd");
    bob.expect("through the crowd");
    let with = server.process().resident_kib();
    assert!(
        with < before + GROWTH_KIB,
        "{before} KiB before a thousand came, {with} with them"
    );
    drop(silent);
    bob.ping();
    server.assert_healthy();
}

#[test]
fn a_flood_of_bad_streams_leaves_nothing_behind() {
    let mut server = Reveille::started();
    // The first rounds fill what is kept for later ones.
    flood(&server, 40);
    let before = server.process().resident_kib();
    flood(&server, 40);
    let after = server.process().resident_kib();
    assert!(
        after < before + GROWTH_KIB / 2,
        "{before} KiB before, {after} after"
    );
    server.assert_healthy();
}

fn flood(server: &Reveille, rounds: usize) {
    for _ in 0..rounds {
        for (octets, _) in nonsense::elements() {
            for mut client in [
                XmppClient::in_the_clear(server),
                XmppClient::signed_in(server, "alice", "desk"),
            ] {
                let _ = client.send_raw(&octets);
                client.rest(SOON);
            }
        }
    }
}

#[test]
fn who_does_not_read_is_let_go_and_costs_little() {
    let mut server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    let mut deaf = XmppClient::available(&server, "bob", "deaf");
    let mut carol = XmppClient::available(&server, "carol", "tablet");
    let before = server.process().resident_kib();
    // More than the kernel's buffers and ours hold together. A headline is kept nowhere.
    let body = "x".repeat(8_000);
    for number in 0..4_000 {
        alice.send(&format!(
            "<message type='headline' to='bob@localhost' id='{number}'><body>{body}</body></message>"
        ));
        if number % 100 == 0 {
            alice.ping();
        }
    }
    let grown = server.process().resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB, "it has grown by {grown} KiB");
    alice.send("<message type='chat' to='carol@localhost'><body>for who reads</body></message>");
    carol.expect("for who reads");
    let heard = deaf.rest(SOON).len();
    assert!(heard < 4_000, "it was never let go");
    server.assert_healthy();
}
