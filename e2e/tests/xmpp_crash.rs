//! `kill -9` and a clean stop in the midst of XMPP: what was kept comes once, and what was answered is so.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use reveille_e2e::{
    Heard, Login, Reveille, SOON, SipClient, Slixmpp, Tls, Transport, XmppClient, http, poll, xml,
};
use serde_json::json;

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

/// A client that counts what it sends and gets (XEP-0198), and goes on where it was.
struct Managed {
    client: XmppClient,
    user: &'static str,
    session: String,
    handled: u32,
    /// What it sent from the first on, and how much of it the server has.
    sent: Vec<String>,
    acknowledged: usize,
    /// The texts that it got.
    texts: Vec<String>,
}

impl Managed {
    fn available(server: &Reveille, user: &'static str) -> Self {
        let mut client = XmppClient::signed_in(server, user, "phone");
        client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        let enabled = client.expect("<enabled");
        let session = xml::attribute(&enabled, "id").expect("a name").to_owned();
        let mut it = Self {
            client,
            user,
            session,
            handled: 0,
            sent: Vec::new(),
            acknowledged: 0,
            texts: Vec::new(),
        };
        it.send("<presence/>");
        it.hear(|it| it.handled == 1);
        it
    }

    /// Says something that the connection may lose.
    fn send(&mut self, stanza: &str) {
        self.sent.push(stanza.to_owned());
        let _ = self.client.send_raw(stanza.as_bytes());
    }

    /// Reads until this is so.
    fn hear(&mut self, enough: impl Fn(&Self) -> bool) {
        while !enough(self) {
            let Heard::Item(item) = self.client.next(SOON) else {
                panic!("{} waits in vain: {:#?}", self.user, self.texts);
            };
            self.read(&item);
        }
    }

    fn read(&mut self, item: &str) {
        let count = || xml::attribute(item, "h").and_then(|it| it.parse().ok());
        if item.starts_with("<r ") {
            self.acknowledges();
        } else if item.starts_with("<a ") {
            self.acknowledged = count().expect("a count");
        } else if ["<message", "<presence", "<iq"]
            .iter()
            .any(|it| item.starts_with(it))
        {
            self.handled += 1;
            if item.starts_with("<message") {
                self.texts.push(xml::text(item, "body").expect("a text"));
            }
        }
    }

    fn acknowledges(&mut self) {
        let told = format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", self.handled);
        let _ = self.client.send_raw(told.as_bytes());
    }

    /// What has come until nothing comes any more, or the connection is gone.
    fn drain(&mut self, within: Duration) {
        while let Heard::Item(item) = self.client.next(within) {
            self.read(&item);
        }
    }

    /// Goes on over another connection; what the server does not have is sent again.
    fn resume(&mut self, server: &Reveille) {
        self.client = XmppClient::in_tls(server, Tls::Direct);
        self.client.authenticate(self.user);
        self.client.send(&format!(
            "<resume xmlns='urn:xmpp:sm:3' previd='{}' h='{}'/>",
            self.session, self.handled
        ));
        let resumed = self.client.expect("xmlns='urn:xmpp:sm:3'");
        assert!(resumed.starts_with("<resumed"), "{resumed}");
        let had = xml::attribute(&resumed, "h").and_then(|it| it.parse().ok());
        self.acknowledged = had.expect("a count");
        for stanza in &self.sent[self.acknowledged..] {
            self.client.send(stanza);
        }
        self.client.send("<r xmlns='urn:xmpp:sm:3'/>");
    }
}

#[test]
fn clients_go_on_over_a_clean_restart_under_load_with_another_number_of_shards() {
    let mut server = Reveille::new().with("server", "shards", "2");
    server.start();
    let mut alice = Managed::available(&server, "alice");
    let mut bob = Managed::available(&server, "bob");
    let mut expected = Vec::new();
    for (round, shards) in ["3", "1", "2"].into_iter().enumerate() {
        for number in 0..30 {
            let number = round * 30 + number;
            alice.send(&letter(number));
            expected.push(format!("text {number:04}"));
        }
        // In the midst of it: some are kept, some are on their way, some were never read.
        if round > 0 {
            bob.hear(|bob| bob.texts.len() >= round * 30 + 3);
        }
        server.stop();
        alice.drain(SOON);
        bob.drain(SOON);
        server = server.with("server", "shards", shards);
        server.start();
        alice.resume(&server);
        bob.resume(&server);
        bob.hear(|bob| bob.texts.len() >= expected.len());
        assert_eq!(bob.texts, expected);
        alice.hear(|alice| alice.acknowledged == alice.sent.len());
    }
    bob.acknowledges();
    server.wait_delivered("bob");
    let rest = bob.client.ping();
    assert!(
        !rest.iter().any(|it| it.starts_with("<message")),
        "{rest:#?}"
    );
}

#[test]
fn clients_without_a_connection_go_on_after_kill_9_under_load() {
    let mut server = Reveille::started();
    let mut bob = Managed::available(&server, "bob");
    let mut carol = Managed::available(&server, "carol");
    carol.send("<message to='alice@localhost' type='chat' id='c'><body>hi</body></message>");
    carol.client.send("<r xmlns='urn:xmpp:sm:3'/>");
    carol.hear(|carol| carol.acknowledged == 2);
    let mut alice = XmppClient::available(&server, "alice", "desk");
    alice.send(&letter(0));
    bob.hear(|bob| !bob.texts.is_empty());
    // The one says that it got that, the other one never does.
    for client in [&mut bob, &mut carol] {
        client.client = XmppClient::in_the_clear(&server);
    }
    let health = server.health();
    let kept = thread::scope(|scope| {
        scope.spawn(|| write_until_dead(&mut alice, health));
        let kept = poll(SOON, || stored(health).filter(|kept| *kept >= KEPT));
        server.kill();
        kept
    });
    let kept = kept.expect("the server keeps messages");
    server.start();
    bob.resume(&server);
    carol.resume(&server);
    assert_eq!(carol.acknowledged, 2);
    let mut other = XmppClient::available(&server, "carol", "desk");
    other.send("<message to='bob@localhost' type='chat'><body>the last one</body></message>");
    bob.hear(|bob| bob.texts.last().is_some_and(|it| it == "the last one"));
    bob.texts.pop();
    // The first one was written twice, as two messages.
    assert_eq!(bob.texts.remove(0), "text 0000");
    assert!(bob.texts.len() + 2 >= kept, "{kept}: {}", bob.texts.len());
    assert_eq!(bob.texts, all_texts()[..bob.texts.len()]);
}

#[test]
fn slixmpp_goes_on_over_a_clean_restart() {
    let mut server = Reveille::started();
    let mut phone = Slixmpp::start(&server, &Login::new("bob", "phone").resuming());
    phone.expect("signed_in", &json!({}));
    phone.be_available();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    let chat = |body: &str| {
        format!("<message to='bob@localhost' type='chat' id='{body}'><body>{body}</body></message>")
    };
    alice.send(&chat("one"));
    phone.expect("message", &json!({"body": "one"}));
    server.stop();
    phone.expect("disconnected", &json!({}));
    server = server.with("server", "shards", "3");
    server.start();
    // With `--dev` each start has a CA of its own, in the same file.
    server.ca_file();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    alice.send(&chat("two"));
    alice.ping();
    phone.tell(&json!({"do": "sign_in"}));
    phone.expect("resumed", &json!({}));
    phone.expect("message", &json!({"body": "two"}));
    phone.tell(&json!({"do": "ping", "to": "localhost"}));
    phone.expect("done", &json!({"of": "ping"}));
    for body in ["one", "two"] {
        assert_eq!(phone.count("message", &json!({"body": body})), 1, "{body}");
    }
    assert_eq!(phone.count("signed_in", &json!({})), 1, "it went on");
}
