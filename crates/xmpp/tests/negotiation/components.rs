//! Components, and what they are told (XEP-0114 §3).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use xmpp::jid::Jid;
use xmpp::stream::{ComponentGreeter, Components, Then, handshake};
use xmpp::xml::{Limits, Reader};

const HEADER: &str = "<stream:stream xmlns='jabber:component:accept' \
     xmlns:stream='http://etherx.jabber.org/streams' to='push.app.example'>";
const OPEN: &str = "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
     xmlns='jabber:component:accept' from='push.app.example' id='3BF96D32'>";

fn components() -> Components {
    let all = [("push.app.example", "secret"), ("careless.example", "")];
    Components::new(all.map(|(domain, secret)| (domain.to_owned(), secret.to_owned()))).unwrap()
}

/// What a component is answered that sends this, and what becomes of it.
fn says(octets: &str) -> (String, Then) {
    let ours = Jid::parse("example.com").unwrap();
    let mut greeter = ComponentGreeter::new(components(), ours);
    let mut reader = Reader::new(Limits::before_authentication());
    reader.push(octets.as_bytes());
    let (mut answers, mut last) = (String::new(), Then::Read);
    while let Some(item) = reader.next().unwrap() {
        let (answer, then) = greeter.handle(&item, "3BF96D32");
        answers += &String::from_utf8(answer.pieces().concat()).unwrap();
        last = then;
    }
    (answers, last)
}

#[test]
fn a_component_shows_its_secret() {
    let shown = handshake("3BF96D32", "secret");
    let (answer, then) = says(&format!("{HEADER}<handshake>{shown}</handshake>"));
    assert_eq!(answer, OPEN);
    assert_eq!(then, Then::Component("push.app.example".into()));
    // As the document has it, of a secret that it does not name: in hexadecimal, in lower case.
    assert_eq!((shown.len(), shown.to_lowercase()), (40, shown.clone()));
    assert_eq!(
        handshake("", "abc"),
        "a9993e364706816aba3e25717850c26c9cd0d89d"
    );
}

#[test]
fn whoever_does_not_know_the_secret_hears_nothing_but_that() {
    let hash = handshake("3BF96D32", "secret");
    for wrong in [
        handshake("3BF96D32", "secret2"),
        handshake("", "secret"),
        hash.to_uppercase(),
        hash[..39].to_owned(),
        String::new(),
    ] {
        let (answer, then) = says(&format!("{HEADER}<handshake>{wrong}</handshake>"));
        assert!(answer.contains("<not-authorized"), "{answer}");
        assert!(
            answer.ends_with("</stream:error></stream:stream>"),
            "{answer}"
        );
        assert_eq!(then, Then::Close, "{wrong}");
    }
    let (answer, then) = says(&format!("{HEADER}<iq type='get' id='1' to='x'/>"));
    assert!(
        answer.contains("<not-authorized") && then == Then::Close,
        "{answer}"
    );
    // A secret that was forgotten to be set lets nobody in.
    let header = HEADER.replace("push.app", "careless");
    let shown = handshake("3BF96D32", "");
    let (_, then) = says(&format!("{header}<handshake>{shown}</handshake>"));
    assert_eq!(then, Then::Close);
}

#[test]
fn a_header_that_is_refused_is_answered_with_a_header_first() {
    for (from, to, condition) in [
        ("push.app.example", "other.example", "host-unknown"),
        ("to='push.app.example'", "", "host-unknown"),
        (
            "jabber:component:accept",
            "jabber:client",
            "invalid-namespace",
        ),
        (
            "jabber:component:accept",
            "jabber:component:connect",
            "invalid-namespace",
        ),
    ] {
        let (answer, then) = says(&HEADER.replace(from, to));
        assert!(
            answer.starts_with("<?xml version='1.0'?><stream:stream "),
            "{answer}"
        );
        assert!(answer.contains(&format!("<{condition} ")), "{answer}");
        assert_eq!(then, Then::Close, "{to}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", components());
    assert!(
        shown.contains("push.app.example") && !shown.contains("secret"),
        "{shown}"
    );
}
