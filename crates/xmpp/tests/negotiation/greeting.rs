//! A client that does what it should, up to its first step of signing in.

use xmpp::ns;
use xmpp::stream::{Framing, Greeted, Greeter, Then};

use crate::client::{ANSWER, Client, HEADER, OPEN, domains, message, offer};

const FEATURES: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>PLAIN</mechanism></mechanisms>\
    <authentication xmlns='urn:xmpp:sasl:2'><mechanism>SCRAM-SHA-1</mechanism>\
    <inline><sm xmlns='urn:xmpp:sm:3'/></inline></authentication>\
    <sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>\
    </sasl-channel-binding></stream:features>";

fn answer_to_juliet() -> String {
    ANSWER.replace("id='i1'", "id='i1' to='juliet@im.example.com'")
}

fn greeted(then: Then) -> Greeted {
    match then {
        Then::Greeted(greeted) => *greeted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_in_the_clear_is_offered_tls_and_nothing_else() {
    let mut client = Client::new();
    let (sent, then) = client.says(HEADER);
    let features = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";
    assert_eq!(sent, answer_to_juliet() + features);
    assert_eq!(then, Then::Read);
    let (sent, then) = client.says("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(sent, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(then, Then::StartTls);
    client.reader.restart_for_tls().unwrap();
    client.greeter.secured(offer());
    let (sent, _) = client.says(HEADER);
    assert_eq!(sent, answer_to_juliet() + "<stream:features>" + FEATURES);
}

#[test]
fn whoever_begins_to_sign_in_is_handed_over_with_what_the_header_said() {
    for element in [
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>",
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-1'><initial-response/></authenticate>",
    ] {
        let mut client = Client::secure();
        client.says(HEADER);
        for _ in 0..2 {
            // It may fail, and be tried again.
            let (sent, then) = client.says(&format!("\n{element}"));
            assert_eq!(sent, "");
            let greeted = greeted(then);
            assert_eq!(greeted.opened.to.as_str(), "im.example.com");
            assert_eq!(
                greeted.opened.from.unwrap().as_str(),
                "juliet@im.example.com"
            );
            assert_eq!(greeted.opened.lang.as_deref(), Some("de"));
            assert!(greeted.secure && greeted.element.attr("mechanism").is_some());
        }
    }
}

#[test]
fn over_websocket_each_answer_is_a_message_by_itself() {
    let mut greeter = Greeter::new(Framing::WebSocket, domains());
    greeter.secured(offer());
    let (sent, then) = message(&mut greeter, OPEN);
    assert_eq!(
        sent,
        [
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='im.example.com' id='i1' version='1.0' xml:lang='en'/>",
            &format!("<stream:features xmlns:stream='http://etherx.jabber.org/streams'>{FEATURES}"),
        ]
    );
    assert_eq!(then, Then::Read);
    let (_, then) = message(
        &mut greeter,
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
    );
    assert!(greeted(then).element.is(ns::SASL, "auth"));
    let (sent, then) = message(
        &mut greeter,
        "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
    );
    assert_eq!(
        sent,
        ["<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"]
    );
    assert_eq!(then, Then::Close);
}

#[test]
fn a_client_that_closes_is_closed() {
    let mut client = Client::new();
    client.says(HEADER);
    assert_eq!(
        client.says("</stream:stream>"),
        ("</stream:stream>".to_owned(), Then::Close)
    );
}

#[test]
fn a_header_of_another_style_or_a_newer_version_will_do() {
    for header in [
        "<stream xmlns='http://etherx.jabber.org/streams' to='im.example.com' version='1.0'>",
        "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' to='IM.Example.com.' version='1.0'>",
        "<s:stream xmlns:s='http://etherx.jabber.org/streams' to='im.example.com' version='2.13'>",
        "<s:stream xmlns:s='http://etherx.jabber.org/streams' to='im.example.com' version='1.0' from='@'>",
    ] {
        let (sent, then) = Client::secure().says(header);
        assert!(sent.starts_with(ANSWER), "{header}: {sent}");
        assert_eq!(then, Then::Read);
    }
}
