//! A message of our own for each case of RFC 4475, in `torture/`, with what becomes of it: a proxy is liberal in what
//! it need not understand, and refuses what makes framing, routing or matching ambiguous. Then thousands of
//! mutations of them, which may be refused in any way, but never panic, and survive forwarding if they are not.

use crate::exercise;
use crate::mutate::{Random, mutate};

use sip::registrar::{self, Binding, Policy, Registration};
use sip::{Contacts, HeaderName, Message};

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passes,
    /// Answered with this status and reason.
    Refused(u16, &'static str),
    /// Nobody is there to answer.
    Dropped,
}
use Verdict::{Dropped, Passes, Refused};

macro_rules! cases {
    ($($name:literal: $verdict:expr,)*) => {
        pub(crate) const CASES: &[(&str, &[u8], Verdict)] =
            &[$(($name, include_bytes!(concat!("../torture/", $name, ".sip")), $verdict)),*];
    };
}

cases! {
    // RFC 4475 §3.1.1: valid.
    "wsinv": Passes,
    "intmeth": Passes,
    "esc01": Passes,
    "escnull": Passes,
    "esc02": Passes,
    "lwsdisp": Passes,
    "longreq": Passes,
    "dblreq": Passes,
    "semiuri": Passes,
    "transports": Passes,
    "mpart01": Passes,
    "unreason": Passes,
    "noreason": Passes,
    // §3.1.2: invalid.
    "badinv01": Refused(400, "Malformed Via Header Field"),
    "clerr": Refused(400, "Content-Length Beyond Message"),
    "ncl": Refused(400, "Malformed Content-Length"),
    "scalar02": Refused(400, "Malformed CSeq Header Field"),
    "scalarlg": Dropped,
    "quotbal": Refused(400, "Malformed To Header Field"),
    "ltgtruri": Refused(400, "Malformed Request-URI"),
    "lwsruri": Refused(400, "Malformed Request-URI"),
    "lwsstart": Refused(400, "Malformed Request-URI"),
    "trws": Refused(400, "Malformed SIP Version"),
    "escruri": Refused(400, "Header Fields in Request-URI"),
    "baddate": Passes, // a proxy does not read Date
    "regbadct": Passes, // the registrar refuses it, see below
    "badaspec": Refused(400, "Malformed To Header Field"),
    "baddn": Refused(400, "Malformed From Header Field"),
    "badvers": Refused(505, "Version Not Supported"),
    "mismatch01": Refused(400, "CSeq Method Does Not Match"),
    "mismatch02": Refused(501, "Not Implemented"),
    "bigcode": Dropped,
    // §3.2 and §3.3: for the layers above; what they do is tested there.
    "badbranch": Passes,
    "insuf": Refused(400, "Missing From Header Field"),
    "unkscm": Passes,
    "novelsc": Passes,
    "unksm2": Passes,
    "bext01": Passes,
    "invut": Passes,
    "regaut01": Passes,
    "multi01": Refused(400, "Several From Header Fields"),
    "mcl01": Refused(400, "Different Content-Length Values"),
    "bcast": Passes,
    "zeromf": Passes,
    "cparam01": Passes,
    "cparam02": Passes,
    "regescrt": Passes,
    "sdp01": Passes,
    // §3.4: RFC 2543.
    "inv2543": Passes,
    // The fiftieth file of the RFC's archive: hardly SIP at all.
    "test": Dropped,
}

fn octets(name: &str) -> &'static [u8] {
    CASES
        .iter()
        .find(|(case, ..)| *case == name)
        .expect("a case of that name")
        .1
}

fn read(name: &str) -> Message {
    exercise::message(octets(name)).expect("a message that parses")
}

fn verdict(octets: &[u8]) -> Verdict {
    let result = exercise::message(octets).and_then(|message| message.validate());
    match result {
        Ok(()) => Passes,
        Err(error) if error.reply(octets).is_some() => Refused(error.status, error.reason),
        Err(_) => Dropped,
    }
}

#[test]
fn every_case_of_rfc_4475_is_passed_refused_or_dropped_as_it_should_be() {
    assert_eq!(CASES.len(), 50);
    for (name, octets, expected) in CASES {
        assert_eq!(verdict(octets), *expected, "{name}");
    }
}

#[test]
fn ten_thousand_mutations_harm_nobody() {
    let mut random = Random(0x5eed_4475);
    for round in 0..10_000 {
        let (name, octets, _) = &CASES[random.below(CASES.len())];
        let mut mutant = octets.to_vec();
        for _ in 0..=random.below(4) {
            mutate(&mut mutant, &mut random);
        }
        let shown = String::from_utf8_lossy(&mutant).into_owned();
        let caught = std::panic::catch_unwind(|| {
            let _ = exercise::message(&mutant);
            exercise::framer(&mutant);
        });
        assert!(caught.is_ok(), "round {round}, from {name}:\n{shown}");
    }
}

#[test]
fn a_folded_tortuous_invite_is_read_like_a_plain_one() {
    let invite = read("wsinv");
    assert_eq!(invite.to().unwrap().tag(), Some("a-old-tag"));
    assert_eq!(
        invite.from().unwrap().display_name().unwrap(),
        "Berta \\\"B\\\""
    );
    assert_eq!(invite.from().unwrap().tag(), Some("b-2"));
    assert_eq!(invite.max_forwards(), Ok(Some(33)));
    assert_eq!(invite.cseq().unwrap().number, 12);
    let branches: Vec<_> = invite
        .vias()
        .map(|via| via.unwrap().branch().unwrap())
        .collect();
    assert_eq!(branches, ["z9hG4bK-w1", "z9hG4bK-w2", "z9hG4bK-w3"]);
    let Ok(Contacts::List(contacts)) = invite.contacts() else {
        panic!("contacts")
    };
    assert_eq!(
        contacts[0].display_name().unwrap(),
        "Quoted, \"twice\"; even"
    );
    assert_eq!(contacts[0].param("q"), Some("0.25"));
    assert!(invite.routes().next().unwrap().unwrap().uri.is_loose());
    assert_eq!(invite.header(HeaderName::Subject), Some(&b""[..]));
    assert_eq!(
        invite.header(HeaderName::Other("x-no-grammar")),
        Some(&b",;,;;=,\""[..])
    );
}

#[test]
fn escapes_are_escapes_only_in_uris() {
    let invite = read("esc01");
    let uri = sip::Uri::parse(invite.request_uri()).unwrap();
    assert_eq!(
        (uri.user_decoded().unwrap().as_ref(), uri.host),
        ("sips:anna@elsewhere.example", "reveille.example")
    );
    assert_eq!(
        invite.to().unwrap().uri.address_of_record(),
        "sip:anna@reveille.example"
    );
    let Ok(Contacts::List(contacts)) = invite.contacts() else {
        panic!("contacts")
    };
    assert!(contacts[0].uri.is_loose());
    assert_eq!(contacts[0].uri.param("name"), Some("v%61lue%25%34%31"));

    let odd = read("esc02");
    assert_eq!(odd.method(), Some(sip::Method::Other("RE%47ISTER")));
    assert_eq!(odd.from().unwrap().display_name().unwrap(), "%41%5A");
    assert_eq!(odd.addresses(HeaderName::Contact).count(), 2);
}

#[test]
fn a_nul_ends_no_name() {
    let register = read("escnull");
    assert_eq!(
        register.to().unwrap().uri.address_of_record(),
        "sip:nul-\0-nul@reveille.example"
    );
    assert_eq!(bindings(&register).unwrap().len(), 2);
    assert_eq!(
        read("intmeth").to().unwrap().display_name().unwrap(),
        "BELL:\u{7} NUL:\0 DEL:\u{7f}"
    );
}

#[test]
fn octets_after_the_body_are_not_passed_on() {
    assert!(
        !read("dblreq")
            .bytes()
            .windows(6)
            .any(|part| part == b"INVITE")
    );
    assert_eq!(memchr::memchr_iter(0, read("mpart01").body()).count(), 4);
}

#[test]
fn a_parameter_in_the_user_part_belongs_to_the_user() {
    let options = read("semiuri");
    let uri = sip::Uri::parse(options.request_uri()).unwrap();
    assert_eq!(uri.user_decoded().unwrap(), "anna;line=2@desk");
    assert_eq!(options.values(HeaderName::Accept).count(), 4);
}

#[test]
fn a_request_of_rfc_2543_is_a_request() {
    let invite = read("inv2543");
    assert_eq!(invite.top_via().unwrap().branch(), None);
    assert_eq!(invite.from().unwrap().tag(), None);
    assert_eq!(invite.from().unwrap().uri.param("user"), Some("phone"));
    assert_eq!(
        invite.to().unwrap().param("user"),
        Some("phone"),
        "without brackets it is a header parameter"
    );
    assert!(
        invite.body().starts_with(b"v=0"),
        "the body runs to the end"
    );
}

#[test]
fn the_registrar_tells_parameters_of_the_contact_from_those_of_its_uri() {
    let listed = |name| {
        let register = read(name);
        bindings(&register).map(|bindings| {
            (
                bindings[0].contact().to_owned(),
                bindings[0].params().to_owned(),
            )
        })
    };
    let contact = "sip:+4930123456@198.51.100.4".to_owned();
    assert_eq!(
        listed("cparam01"),
        Ok((contact.clone(), ";oddparam".to_owned()))
    );
    assert_eq!(
        listed("cparam02"),
        Ok((contact + ";oddparam", String::new()))
    );
    let with_header = "sip:berta@198.51.100.4?Route=%3Csip:elsewhere.example%3E".to_owned();
    assert_eq!(listed("regescrt"), Ok((with_header, String::new())));
    assert_eq!(listed("regbadct"), Err(400));
    // Whose it is, is judged by whoever runs the registrar (RFC 3261 §10.3 step 5).
    assert_eq!(
        listed("unksm2"),
        Ok(("person:Berta_of_Accounts".to_owned(), String::new()))
    );
    assert!(listed("regaut01").is_ok());
}

fn bindings(register: &Message) -> Result<Vec<Binding>, u16> {
    let outcome = Registration::parse(register).and_then(|registration| {
        registrar::apply(&[], &registration, false, 0, &Policy::default())
    });
    outcome
        .map(|outcome| outcome.bindings().cloned().collect())
        .map_err(|reject| reject.status)
}
