//! To whom a message goes (RFC 6121 §8.5), and what is left of a client that has gone for good.

use reveille_e2e::{Heard, Reveille, SOON, XmppClient, poll, xml};

/// Messages that one client says in one breath.
const BURST: usize = 200;

fn chat(to: &str, body: &str) -> String {
    format!("<message to='{to}' type='chat' id='{body}'><body>{body}</body></message>")
}

/// What has come until the server answers a question that was asked behind it all.
fn bodies(client: &mut XmppClient) -> Vec<String> {
    let before = client.ping();
    let messages = before.iter().filter(|item| item.starts_with("<message"));
    messages
        .filter_map(|item| xml::text(item, "body"))
        .collect()
}

#[test]
fn who_wants_no_messages_gets_none() {
    let server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    let mut shy = XmppClient::signed_in(&server, "bob", "shy");
    shy.send("<presence><priority>-1</priority></presence>");
    shy.expect("<presence");
    let mut mute = XmppClient::signed_in(&server, "bob", "mute");
    let mut open = XmppClient::available(&server, "bob", "open");
    alice.send(&chat("bob@localhost", "for all"));
    open.expect("for all");
    // RFC 6121 §8.5.2.1.1, §8.5.3.1: by its own name it is reached.
    alice.send(&chat("bob@localhost/shy", "for the shy one"));
    shy.expect("for the shy one");
    assert_eq!(bodies(&mut shy), Vec::<String>::new());
    assert_eq!(bodies(&mut mute), Vec::<String>::new());
    assert_eq!(bodies(&mut open), Vec::<String>::new());

    // With nobody else there, it waits until somebody takes it.
    open.send("</stream:stream>");
    open.rest(SOON);
    alice.send(&chat("bob@localhost", "for later"));
    alice.ping();
    shy.send("<presence><priority>1</priority></presence>");
    shy.expect("for later");
    assert_eq!(bodies(&mut mute), Vec::<String>::new());
}

#[test]
fn a_message_for_a_client_that_has_gone_is_for_its_user() {
    let server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    let mut phone = XmppClient::available(&server, "bob", "phone");
    // RFC 6121 §8.5.3.2.1.
    alice.send(&chat("bob@localhost/gone", "to the other"));
    phone.expect("to the other");
    alice
        .send("<message to='bob@localhost/gone' type='headline'><body>stale news</body></message>");
    alice.send(&chat("bob@localhost", "behind it"));
    let next = phone.expect("<message");
    assert_eq!(xml::text(&next, "body").as_deref(), Some("behind it"));
}

#[test]
fn a_room_is_nobody() {
    let server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    let _bob = XmppClient::available(&server, "bob", "phone");
    // RFC 6121 §8.5.2.1.1: groupchat to an account is an error.
    alice.send(
        "<message to='bob@localhost' type='groupchat' id='g'><body>all of you</body></message>",
    );
    let error = alice.expect("id='g'");
    assert!(error.contains("<service-unavailable "), "{error}");
}

#[test]
fn a_presence_for_one_is_seen_by_one() {
    let server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    let mut bob = XmppClient::available(&server, "bob", "phone");
    let mut other = XmppClient::available(&server, "bob", "laptop");
    // RFC 6121 §4.6.
    alice.send("<presence to='bob@localhost/phone'><status>just for you</status></presence>");
    bob.expect("just for you");
    assert!(
        !other
            .ping()
            .iter()
            .any(|item| item.contains("just for you"))
    );
    // Who was told that she is there is told that she has gone.
    alice.send("</stream:stream>");
    let gone = bob.expect("from='alice@localhost/desk'");
    assert_eq!(xml::attribute(&gone, "type"), Some("unavailable"));
}

#[test]
fn each_message_of_a_burst_comes_or_is_refused() {
    let server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    let mut bob = XmppClient::available(&server, "bob", "phone");
    burst(&mut alice, "bob");
    assert_all_accounted_for(&mut alice, &mut bob);
}

#[test]
fn a_burst_does_not_keep_its_reader_from_signing_in() {
    let server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    burst(&mut alice, "bob");
    let mut bob = XmppClient::available(&server, "bob", "phone");
    assert_all_accounted_for(&mut alice, &mut bob);
}

fn burst(from: &mut XmppClient, to: &str) {
    let to = format!("{to}@localhost");
    let all: String = texts().iter().map(|text| chat(&to, text)).collect();
    from.send(&all);
}

fn texts() -> Vec<String> {
    (0..BURST)
        .map(|number| format!("text {number:04}"))
        .collect()
}

/// Each text comes or is refused, and those that come do so once and in order.
fn assert_all_accounted_for(writer: &mut XmppClient, reader: &mut XmppClient) {
    let (mut came, mut refused) = (Vec::new(), Vec::new());
    let all = poll(SOON, || {
        came.extend(bodies(reader));
        let before = writer.ping();
        let errors = before
            .iter()
            .filter(|item| item.contains("<resource-constraint "));
        refused.extend(errors.filter_map(|item| xml::attribute(item, "id").map(str::to_owned)));
        (came.len() + refused.len() >= BURST).then_some(())
    });
    assert!(
        all.is_some(),
        "{} came, {} were refused",
        came.len(),
        refused.len()
    );
    assert!(came.is_sorted(), "{came:?}");
    let mut together = [came, refused].concat();
    together.sort();
    assert_eq!(together, texts());
}

#[test]
fn a_question_is_answered_by_the_client_that_it_is_for() {
    let server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    let mut bob = XmppClient::available(&server, "bob", "phone");
    // She may know that he is there (RFC 6121 §8.5.3.1).
    bob.send("<presence to='alice@localhost'/>");
    alice.expect("from='bob@localhost/phone'");
    alice.send("<iq to='bob@localhost/phone' type='get' id='q'><a xmlns='urn:example:a' b='ü'><c/></a></iq>");
    let question = bob.expect("urn:example:a");
    assert_eq!(
        xml::attribute(&question, "from"),
        Some("alice@localhost/desk")
    );
    assert!(
        question.contains("b='ü'") && question.contains("<c/>"),
        "{question}"
    );
    bob.send("<iq to='alice@localhost/desk' type='result' id='q'><a xmlns='urn:example:a'/></iq>");
    let answer = alice.expect("id='q'");
    assert_eq!(xml::attribute(&answer, "from"), Some("bob@localhost/phone"));
    assert_eq!(xml::attribute(&answer, "type"), Some("result"));
}

#[test]
fn what_comes_after_a_crash_does_not_wait_for_a_client_that_was_there_before_it() {
    let mut server = Reveille::started();
    let bob = XmppClient::available(&server, "bob", "before the crash");
    server.kill();
    drop(bob);
    server.start();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    alice.send(&chat("bob@localhost", "after the crash"));
    alice.ping();
    // Many clients make up another resource each time.
    let mut bob = XmppClient::available(&server, "bob", "another");
    bob.expect("after the crash");
}

#[test]
fn what_comes_after_a_client_broke_off_waits_for_the_next() {
    let server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    for round in 0..15 {
        let text = format!("round {round}");
        let mut bob = XmppClient::available(&server, "bob", &format!("resource {round}"));
        assert_eq!(bodies(&mut bob), Vec::<String>::new());
        alice.send(&chat("bob@localhost", &text));
        bob.expect(&text);
        drop(bob);
    }
    // What is written to a client that nobody knows to be gone is lost with it, unless it acknowledges (XEP-0198).
    poll(SOON, || server.devices("bob").is_empty().then_some(())).expect("the last one is gone");
    alice.send(&chat("bob@localhost", "the last"));
    let mut bob = XmppClient::available(&server, "bob", "last");
    bob.expect("the last");
    assert_eq!(
        server.devices("bob").len(),
        1,
        "{:?}",
        server.devices("bob")
    );
}

#[test]
fn each_of_many_clients_of_one_user_gets_its_messages_or_is_told_why_not() {
    let server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    let mut clients: Vec<XmppClient> = (0..14)
        .map(|number| XmppClient::available(&server, "bob", &format!("client {number}")))
        .collect();
    alice.send(&chat("bob@localhost", "for all of you"));
    for (number, client) in clients.iter_mut().enumerate() {
        loop {
            match client.next(SOON) {
                Heard::Item(item) if item.contains("for all of you") => break,
                Heard::Item(item) if item.starts_with("<stream:error") => break,
                Heard::Item(_) => {}
                other => panic!("client {number} gets nothing, and was not told: {other:?}"),
            }
        }
    }
}

#[test]
fn who_is_removed_is_sent_away() {
    let server = Reveille::started();
    let mut dave = XmppClient::available(&server, "dave", "desk");
    let mut alice = XmppClient::available(&server, "alice", "desk");
    server.ask(&["user", "remove", "dave"]);
    assert_eq!(dave.stream_error(SOON), "not-authorized");
    alice.send(&chat("dave@localhost", "still there?"));
    let error = alice.expect("type='error'");
    assert!(error.contains("<service-unavailable "), "{error}");
}
