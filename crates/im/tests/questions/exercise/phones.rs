//! What a phone writes to somebody who reads it over XMPP: a text, or an envelope (CPIM, RFC 3862) with a text, a receipt (IMDN, RFC 5438)
//! or a typing notice (RFC 3994).

use super::{BOB, world::World};
use bytes::Bytes;
use domain::{
    Address, Class, Message, Timestamp,
    cpim::{self, Envelope},
};
use std::sync::Arc;
use xmpp::{ns, xml::Element};

/// A media type up to a line's end, and a body. Says whether it could be said in a stanza.
pub(crate) fn phone(octets: &[u8]) -> bool {
    let mut parts = octets.splitn(2, |octet| *octet == b'\n');
    let media = parts.next().map(String::from_utf8_lossy);
    let body = parts.next().unwrap_or_default();
    let message = Message {
        id: "m1".into(),
        tracking: "t1".into(),
        from: "alice@here".to_owned(),
        from_name: String::new(),
        to: Address::new("bob", "here").expect("an address"),
        at: Timestamp(1_700_000_000_000),
        class: Class::Chat,
        content_type: media.unwrap_or_default().trim().to_owned(),
        body: Bytes::copy_from_slice(body),
        about: None,
    };
    // It is refused where phones are read: what is a stanza here was written by us.
    if message.content_type == im::STANZA {
        return false;
    }
    envelope(body);
    let is_sayable = im::is_sayable(&message);
    for takes_envelopes in [false, true] {
        let same = im::for_phone(&message, takes_envelopes);
        assert_eq!(same.as_ref(), Some(&message));
    }
    let mut world = World::new();
    world.comes(BOB, "bob");
    world.peer(BOB).forgets();
    if is_sayable {
        world.is_sent(Arc::new(message));
    }
    let came: Vec<&Element> = world.peer(BOB).got().collect();
    assert_eq!(came.len(), usize::from(is_sayable));
    for stanza in came {
        assert!(stanza.is(ns::CLIENT, "message"));
        assert_eq!(stanza.attr("from"), Some("alice@here"));
        assert_eq!(stanza.attr("to"), Some("bob@here"));
    }
    world.ends();
    is_sayable
}

/// What is taken out of an envelope is a piece of it, and what goes into one comes out again.
fn envelope(octets: &[u8]) {
    let Some(envelope) = cpim::open(octets) else {
        return;
    };
    assert!(octets.ends_with(envelope.body));
    for field in [envelope.id, envelope.subject, Some(envelope.content_type)] {
        assert!(!field.unwrap_or_default().contains('\n'));
    }
    let short = |text: &&str| text.len() < 1_000;
    let again = Envelope {
        id: envelope.id.filter(short),
        // A text that begins as one with its language is not the same when it is read again.
        subject: None,
        content_type: "x/y",
        ..envelope
    };
    let sealed = cpim::seal(("sip:a@h", "sip:b@h"), "", &again);
    let opened = cpim::open(&sealed).expect("what was sealed is opened");
    let is_kept = |text: &&str| !text.chars().any(char::is_control);
    let expected = Envelope {
        id: again.id.filter(is_kept),
        ..again
    };
    assert_eq!(opened, expected);
}
