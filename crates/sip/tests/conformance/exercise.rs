//! What must hold of any octets whatever: used by the tests, by the replay of the fuzz corpora, and by the fuzz
//! targets themselves.

use bytes::Bytes;
use sip::registrar::{self, Binding, Outcome, Policy, Registration};
use sip::{Edit, Frame, Framer, HeaderName, Limits, Message, ParseError, ResponseBuilder, Uri};

const OUR_VIA: &str = "SIP/2.0/TLS proxy.reveille.example;branch=z9hG4bK-ours";

/// Octets as one datagram. Whatever they are, nothing panics; if they are a message, it survives being changed.
pub(crate) fn message(octets: &[u8]) -> Result<Message, ParseError> {
    let parsed = parse(octets);
    match &parsed {
        Ok(message) => {
            read_all(message);
            changes_keep_the_rest(message);
            answers_read_back(message);
        }
        Err(error) => {
            if let Some(reply) = error.reply(octets) {
                let reply = parse(&reply).expect("an answer that can be read");
                assert_eq!(reply.status(), Some(error.status));
                assert!(reply.has(HeaderName::Via), "an answer needs a way back");
            }
        }
    }
    parsed
}

/// Octets as a stream. However it is cut, the same frames come out; and they are the stream, octet for octet.
pub(crate) fn framer(octets: &[u8]) {
    let Some((first, stream)) = octets.split_first() else {
        return;
    };
    let limits = Limits {
        message_bytes: 4096,
        ..Limits::default()
    };
    let new = || {
        if first & 0x80 == 0 {
            Framer::new(limits)
        } else {
            Framer::client(limits)
        }
    };
    let whole = frames(new(), stream, stream.len().max(1));
    let cut = frames(new(), stream, usize::from(first & 0x7f) + 1);
    assert_eq!(whole, cut);
    let mut rest = stream;
    for frame in &whole.0 {
        let bytes = match frame {
            Frame::Message(message) => message.bytes(),
            Frame::Malformed(bytes, _) => bytes,
            Frame::Ping | Frame::Pong => continue,
        };
        while !rest.starts_with(bytes) {
            rest = rest
                .strip_prefix(b"\r\n")
                .expect("only line ends stand between messages");
        }
        rest = &rest[bytes.len()..];
        let _ = message(bytes);
    }
}

fn parse(octets: &[u8]) -> Result<Message, ParseError> {
    Message::parse(Bytes::copy_from_slice(octets), &Limits::default())
}

/// The frames, and whether the stream broke.
fn frames(mut framer: Framer, stream: &[u8], cut: usize) -> (Vec<Frame>, bool) {
    let mut taken = Vec::new();
    for piece in stream.chunks(cut) {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(Some(frame)) => taken.push(frame),
                Ok(None) => break,
                Err(_) => return (taken, true),
            }
        }
    }
    (taken, false)
}

/// Every view of it.
fn read_all(message: &Message) {
    let _ = (
        message.validate(),
        message.method(),
        message.status(),
        message.reason(),
    );
    let _ = (
        message.cseq(),
        message.call_id(),
        message.max_forwards(),
        message.expires(),
    );
    for via in message.vias().flatten() {
        let _ = (via.branch(), via.rport(), via.received());
    }
    for name in [
        HeaderName::From,
        HeaderName::To,
        HeaderName::Contact,
        HeaderName::Route,
        HeaderName::RecordRoute,
    ] {
        for address in message.addresses(name).flatten() {
            let _ = (
                address.display_name(),
                address.tag(),
                address.uri.address_of_record(),
            );
            assert!(address.uri.is_equivalent(&address.uri));
            let _ = sip::push::PushRequest::of(&address.uri);
        }
    }
    let _ = Uri::parse(message.request_uri()).map(|uri| uri.user_decoded().is_some());
    if let Ok(registration) = Registration::parse(message) {
        let outcome = registrar::apply(&[], &registration, true, 0, &Policy::default());
        for binding in outcome.iter().flat_map(Outcome::bindings) {
            let mut value = Vec::new();
            binding.encode(&mut value);
            assert_eq!(Binding::decode(&value).as_ref(), Some(binding));
        }
    }
    let _ = sip::steer::steer(message);
    assert!(message.bytes().ends_with(message.body()));
}

/// A Via on top changes nothing else, and can be taken off again; other changes leave a message that reads back.
fn changes_keep_the_rest(message: &Message) {
    let forwarded = Edit::new(message)
        .prepend(HeaderName::Via, OUR_VIA)
        .finish();
    reads_back(&forwarded);
    let line = format!("Via: {OUR_VIA}\r\n");
    let at = memchr::memmem::find(forwarded.bytes(), line.as_bytes()).expect("our Via");
    let without = [
        &forwarded.bytes()[..at],
        &forwarded.bytes()[at + line.len()..],
    ]
    .concat();
    assert_eq!(
        without,
        message.bytes()[..],
        "every other octet is unchanged"
    );
    assert_eq!(
        forwarded.top_via().map(|via| via.branch()),
        Ok(Some("z9hG4bK-ours"))
    );
    let back = Edit::new(&forwarded)
        .remove_first_value(HeaderName::Via)
        .finish();
    assert_eq!(back.bytes(), message.bytes());

    let changed = Edit::new(message)
        .request_uri("sip:anna@198.51.100.7:5061;transport=tls")
        .remove_first_value(HeaderName::Route)
        .replace_first_value(HeaderName::Via, OUR_VIA)
        .remove_all(HeaderName::RecordRoute)
        .set(HeaderName::MaxForwards, "5")
        .append(HeaderName::Other("X-Ours"), "yes")
        .map_values(HeaderName::Contact, |_| {
            Some(b"<sip:berta@198.51.100.4>"[..].into())
        })
        .body("text/plain", b"hello")
        .finish();
    reads_back(&changed);
    assert_eq!(changed.body(), b"hello");
    assert_eq!(changed.max_forwards(), Ok(Some(5)));
}

fn answers_read_back(message: &Message) {
    let answer = ResponseBuilder::to(message, 200, "OK").to_tag("t1").build();
    reads_back(&answer);
    assert_eq!(
        answer.headers(HeaderName::Via).count(),
        message.headers(HeaderName::Via).count()
    );
}

/// What the parser finds in a message that we wrote is what we believe that we wrote.
fn reads_back(message: &Message) {
    let again = parse(message.bytes()).expect("what we write can be read");
    assert_eq!(again.bytes(), message.bytes());
    assert!(again.all_headers().eq(message.all_headers()));
    assert_eq!(again.body(), message.body());
    assert_eq!(
        (again.status(), again.reason()),
        (message.status(), message.reason())
    );
    assert_eq!(
        (again.method(), again.request_uri()),
        (message.method(), message.request_uri())
    );
}
