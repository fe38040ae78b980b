//! Who holds on to what is everybody's: streams that stand still, floods, and peers that do not read cost little, and keep
//! nobody out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reveille_e2e::{
    HEADER, Heard, Reveille, SOON, STARTTLS, Slixmpp, Tls, XmppClient, nonsense, poll, xml,
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

/// So many stanzas a user's clients may begin in a minute with others (`limits.stanzas_per_user_minute`).
const A_MINUTE: usize = 6_000;
/// So many somebody begins here, in breaths of so many: fewer than 32 for one user, who takes no more at
/// once.
const TO_EVERYBODY: usize = 2 * A_MINUTE;
const BREATH: usize = 400;
/// So many addresses may be told for themselves that a client is there (`behaviour.md` 14.9).
const DIRECTED: usize = 100;

/// Who have accounts and no clients.
const ASLEEP: [&str; 2] = ["dave", "erin"];

/// Something for one of those, or for an address that nobody has.
fn to_somebody(number: usize) -> String {
    let asleep = ASLEEP[number / 8 % 2];
    match number % 8 {
        0 => format!(
            "<message type='chat' to='{asleep}@localhost' id='{number}'><body>{number}</body></message>"
        ),
        1..=3 => format!(
            "<message type='chat' to='user{number}@localhost' id='{number}'><body>hi</body></message>"
        ),
        4 | 5 => format!("<presence to='user{number}@localhost/desk' id='{number}'/>"),
        _ => format!(
            "<iq type='get' to='user{number}@localhost' id='{number}'><vCard xmlns='vcard-temp'/></iq>"
        ),
    }
}

/// Which stanzas came back, and why.
fn refusals(items: &[String]) -> impl Iterator<Item = (usize, &'static str)> {
    let errors = items
        .iter()
        .filter(|it| xml::attribute(it, "type") == Some("error"));
    errors.map(|item| {
        let why = ["service-unavailable", "resource-constraint"];
        let why = why.into_iter().find(|it| item.contains(&format!("<{it} ")));
        let number = xml::attribute(item, "id").and_then(|it| it.parse().ok());
        (
            number.expect("one of hers"),
            why.unwrap_or_else(|| panic!("{item}")),
        )
    })
}

/// Those of these kinds (by what [`to_somebody`] makes of them) that did not come back.
fn unanswered(told: &BTreeMap<usize, &str>, kinds: &[usize]) -> Vec<usize> {
    let is_one = |it: &usize| kinds.contains(&(it % 8)) && !told.contains_key(it);
    (0..TO_EVERYBODY).filter(is_one).collect()
}

/// How many were refused for this reason, as the operator sees it.
fn refused(server: &Reveille, reason: &str) -> usize {
    let name = format!("reveille_refused_total{{reason=\"{reason}\"}} ");
    let metrics = server.metrics();
    let count = metrics.lines().find_map(|line| line.strip_prefix(&name));
    count.and_then(|it| it.parse().ok()).expect("a counter")
}

/// Alice speaks to everybody, while Bob writes to Carol. Says what came back.
fn everybody_is_spoken_to(
    server: &mut Reveille,
    alice: &mut XmppClient,
) -> BTreeMap<usize, &'static str> {
    let mut bob = XmppClient::available(server, "bob", "phone");
    let mut carol = XmppClient::available(server, "carol", "tablet");
    let (mut told, mut before) = (BTreeMap::new(), 0);
    for from in (0..TO_EVERYBODY).step_by(BREATH) {
        let breath: String = (from..from + BREATH).map(to_somebody).collect();
        alice.send(&breath);
        bob.send(&format!(
            "<message type='chat' to='carol@localhost'><body>at {from}</body></message>"
        ));
        carol.expect(&format!("<body>at {from}</body>"));
        told.extend(refusals(&alice.ping()));
        if from == 2 * BREATH {
            before = server.process().resident_kib();
        }
    }
    let grown = server.process().resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB, "it has grown by {grown} KiB");
    // Whoever is not there is nobody to write to, or to ask.
    let answered = poll(SOON, || {
        told.extend(refusals(&alice.ping()));
        unanswered(&told, &[1, 2, 3, 6, 7]).is_empty().then_some(())
    });
    answered.expect("an answer to each");
    told
}

#[test]
fn who_speaks_to_everybody_is_held_back_and_nobody_else_is() {
    let mut server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    let begun = Instant::now();
    let told = everybody_is_spoken_to(&mut server, &mut alice);
    let refilled = u128::try_from(A_MINUTE).expect("a number") * begun.elapsed().as_millis();
    let most = A_MINUTE + 1 + usize::try_from(refilled / 60_000).expect("a number");
    let is_held_back = |why: &&&str| **why == "resource-constraint";
    let held_back = told.values().filter(is_held_back).count();
    assert!(
        TO_EVERYBODY - held_back <= most,
        "{held_back} were held back, and {most} may pass"
    );
    assert!(held_back < told.len(), "some were asked, and are not there");
    assert_eq!(unanswered(&told, &[4, 5]).len(), DIRECTED);
    // What was not held back is kept, and all of it comes.
    let kept = unanswered(&told, &[0]);
    assert!(!kept.is_empty());
    for (index, user) in ASLEEP.into_iter().enumerate() {
        let mut client = XmppClient::available(&server, user, "desk");
        for number in kept.iter().filter(|it| *it / 8 % 2 == index) {
            client.expect(&format!("<body>{number}</body>"));
        }
    }
    // Counted as more than she may, or as more than the line before one user takes at once.
    let counted = || refused(&server, "requests") + refused(&server, "overloaded");
    poll(SOON, || (held_back == counted()).then_some(()))
        .unwrap_or_else(|| panic!("{held_back} were held back: {}", server.metrics()));
    // The command says by its status that one stands.
    let alarms = || String::from_utf8_lossy(&server.run(&["alarms"]).stdout).into_owned();
    let alarm = || alarms().contains("user_floods").then_some(());
    poll(SOON, alarm).expect("an alarm for the operator");
    server.assert_healthy();
}
