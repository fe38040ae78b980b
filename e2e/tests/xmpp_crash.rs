//! `kill -9` and a clean stop in the midst of XMPP: what was kept comes once, and what was answered is so.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use reveille_e2e::{Heard, Reveille, SOON, SipClient, Transport, XmppClient, http, poll, xml};

/// Messages that are written while the server is killed.
const BURST: usize = 200;

/// So many are on their way to one user at once: more are refused.
const AT_ONCE: usize = 32;

/// So many are kept when it is.
const KEPT: usize = 40;

/// How many messages the server says that it has kept; `None` if it says nothing any more.
fn stored(health: SocketAddr) -> Option<usize> {
    let metrics = http(health, "GET", "/metrics", None).ok()?.body;
    let stored = metrics
        .lines()
        .find_map(|line| line.strip_prefix("reveille_messages_total{outcome=\"stored\"} "));
    Some(stored.and_then(|count| count.parse().ok()).unwrap_or(0))
}

fn write_until_dead(alice: &mut XmppClient, health: SocketAddr) {
    for number in 0..BURST {
        if number % AT_ONCE == 0 {
            let ready = || match stored(health) {
                Some(kept) => (kept >= number).then_some(true),
                None => Some(false),
            };
            if poll(SOON, ready) != Some(true) {
                return;
            }
        }
        if alice.send_raw(letter(number).as_bytes()).is_err() {
            return;
        }
    }
}

fn all_texts() -> Vec<String> {
    (0..BURST)
        .map(|number| format!("text {number:04}"))
        .collect()
}

fn letter(number: usize) -> String {
    format!(
        "<message to='bob@localhost' type='chat' id='m{number}'><body>text {number:04}</body></message>"
    )
}

/// Signs bob in, and returns the texts that have waited for him: all before the one that is written to him now.
fn texts_of_bob(server: &Reveille, last: &str) -> Vec<String> {
    let mut bob = XmppClient::available(server, "bob", "phone");
    let mut carol = XmppClient::available(server, "carol", "tablet");
    carol.send(&format!(
        "<message to='bob@localhost' type='chat'><body>{last}</body></message>"
    ));
    let mut texts = Vec::new();
    loop {
        match bob.next(SOON) {
            Heard::Item(item) if item.starts_with("<message") => {
                let text = xml::text(&item, "body").expect("a text");
                if text == last {
                    // Delivered, and the server knows it for good.
                    server.wait_delivered("bob");
                    return texts;
                }
                texts.push(text);
            }
            Heard::Item(_) => {}
            other => panic!("{other:?} after {texts:#?}"),
        }
    }
}

#[test]
fn what_was_kept_before_kill_9_comes_once_and_in_order() {
    let mut server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    let health = server.health();
    let kept = thread::scope(|scope| {
        scope.spawn(|| write_until_dead(&mut alice, health));
        let kept = poll(SOON, || stored(health).filter(|kept| *kept >= KEPT));
        server.kill();
        kept
    });
    let kept = kept.expect("the server keeps messages");
    server.start();

    let texts = texts_of_bob(&server, "the last one");
    assert!(
        texts.len() >= kept,
        "{kept} were kept, {} came",
        texts.len()
    );
    // None twice, none out of order, and none is lost before one that came.
    assert_eq!(texts, all_texts()[..texts.len()]);
    // What was delivered is not delivered again.
    assert_eq!(
        texts_of_bob(&server, "behind the last one"),
        Vec::<String>::new()
    );
}

#[test]
fn what_sip_was_answered_before_kill_9_comes_by_xmpp() {
    let mut server = Reveille::started();
    let mut alice = SipClient::udp("alice", server.sip(Transport::Udp));
    let answered: Vec<String> = (0..20)
        .map(|number| format!("text {number:04}"))
        .take_while(|text| alice.message("bob", text).expect("an answer").status == 202)
        .collect();
    assert_eq!(answered.len(), 20);
    server.kill();
    server.start();
    assert_eq!(texts_of_bob(&server, "the last one"), answered);
    server.kill();
    server.start();
    assert_eq!(
        texts_of_bob(&server, "behind the last one"),
        Vec::<String>::new()
    );
}

#[test]
fn a_roster_that_was_answered_for_outlives_kill_9() {
    let mut server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    alice.send(
        "<iq type='set' id='set'><query xmlns='jabber:iq:roster'><item jid='bob@localhost' name='Bob'>\
         <group>Friends</group></item></query></iq>",
    );
    alice.expect("id='set'");
    alice.send("<presence to='bob@localhost' type='subscribe'/>");
    let mut bob = XmppClient::available(&server, "bob", "phone");
    let request = bob.expect("type='subscribe'");
    assert_eq!(xml::attribute(&request, "from"), Some("alice@localhost"));
    server.kill();
    server.start();

    let mut alice = XmppClient::available(&server, "alice", "desk");
    alice.send("<iq type='get' id='get'><query xmlns='jabber:iq:roster'/></iq>");
    let roster = alice.expect("id='get'");
    for part in [
        "bob@localhost",
        "name='Bob'",
        "<group>Friends</group>",
        "ask='subscribe'",
    ] {
        assert!(roster.contains(part), "{part}: {roster}");
    }
    // Nobody has answered it, so it is asked again (RFC 6121 §3.1.3).
    let mut bob = XmppClient::available(&server, "bob", "phone");
    bob.expect("type='subscribe'");
    bob.send("<presence to='alice@localhost' type='subscribed'/>");
    alice.expect("type='subscribed'");
    alice.expect("from='bob@localhost/phone'");
}

#[test]
fn a_clean_stop_says_why_and_keeps_what_was_read() {
    let mut server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    for number in 0..AT_ONCE {
        alice.send(&letter(number));
    }
    // All of them have been read.
    alice.ping();
    server.stop();
    let ended = alice.stream_error(Duration::from_secs(5));
    assert_eq!(ended, "system-shutdown");
    server.start();
    assert_eq!(
        texts_of_bob(&server, "the last one"),
        all_texts()[..AT_ONCE]
    );
}
