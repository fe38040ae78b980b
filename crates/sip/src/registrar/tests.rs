use super::*;
use crate::{HeaderName, Message, Method, RequestBuilder};

const NOW: u64 = 1_800_000_000_000;
const HOUR: u64 = 3_600_000;
const PHONE: &str = "<sip:anna@192.0.2.7:5070>";

/// A REGISTER of the client `call_id`, with more header fields.
fn register(call_id: &str, cseq: u32, headers: &[(HeaderName<'_>, &str)]) -> Message {
    let start = RequestBuilder::new(Method::Register, "sip:reveille.example")
        .header(
            HeaderName::Via,
            "SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bKr1",
        )
        .header(HeaderName::From, "<sip:anna@reveille.example>;tag=r1")
        .header(HeaderName::To, "<sip:anna@reveille.example>")
        .header(HeaderName::CallId, call_id)
        .header(HeaderName::CSeq, format!("{cseq} REGISTER"));
    headers
        .iter()
        .fold(start, |request, (name, value)| request.header(*name, value))
        .build()
}

fn contact(call_id: &str, cseq: u32, value: &str) -> Message {
    register(call_id, cseq, &[(HeaderName::Contact, value)])
}

/// What an address has after these, one after the other at `NOW`.
fn after(requests: &[Message]) -> Vec<Binding> {
    requests.iter().fold(Vec::new(), |bindings, request| {
        apply(&bindings, request, NOW, &Policy::default())
            .unwrap()
            .bindings
    })
}

fn outcome(existing: &[Binding], request: &Message) -> Result<Outcome, Reject> {
    apply(existing, request, NOW, &Policy::default())
}

fn contacts(bindings: &[Binding]) -> Vec<&str> {
    bindings
        .iter()
        .map(|binding| binding.contact.as_str())
        .collect()
}

#[test]
fn the_wish_for_a_lifetime_is_granted_in_the_order_of_the_rfc() {
    let table: &[(&str, Option<&str>, u64)] = &[
        ("<sip:anna@192.0.2.7>;expires=120", Some("600"), 120),
        ("<sip:anna@192.0.2.7>", Some("600"), 600),
        ("<sip:anna@192.0.2.7>", None, 3600),
        ("<sip:anna@192.0.2.7>;expires=soon", None, 3600),
        ("<sip:anna@192.0.2.7>", Some("soon"), 3600),
        (
            "<sip:anna@192.0.2.7>;expires=99999999999999999999",
            None,
            3600,
        ),
        ("<sip:anna@192.0.2.7>", Some("4294967295"), 30 * 24 * 3600),
        ("<sip:anna@192.0.2.7>;expires=60", None, 60),
    ];
    for (contact, expires, seconds) in table {
        let mut headers = vec![(HeaderName::Contact, *contact)];
        headers.extend(expires.map(|expires| (HeaderName::Expires, expires)));
        let bindings = after(&[register("c1", 1, &headers)]);
        assert_eq!(
            bindings[0].expires_at_ms,
            NOW + seconds * 1000,
            "{contact} {expires:?}"
        );
    }
}

#[test]
fn a_wish_below_the_minimum_is_too_brief() {
    let reject = outcome(&[], &contact("c1", 1, "<sip:anna@192.0.2.7>;expires=59")).unwrap_err();
    assert_eq!((reject.status, reject.min_expires), (423, Some(60)));
    let answer = reject.response(&contact("c1", 1, PHONE)).build();
    assert_eq!(answer.header_text(HeaderName::MinExpires), Some("60"));
}

#[test]
fn an_hour_or_more_is_never_too_brief() {
    let policy = Policy {
        min_expires: 7200,
        ..Policy::default()
    };
    let hour = contact("c1", 1, "<sip:anna@192.0.2.7>;expires=3600");
    assert!(apply(&[], &hour, NOW, &policy).is_ok());
}

#[test]
fn removing_is_never_too_brief() {
    let bindings = after(&[contact("c1", 1, PHONE)]);
    let removed = outcome(
        &bindings,
        &contact("c1", 2, "<sip:anna@192.0.2.7:5070>;expires=0"),
    )
    .unwrap();
    assert_eq!(removed.changes, [Change::Removed(bindings[0].clone())]);
    assert_eq!(removed.bindings, []);
}

#[test]
fn removing_what_is_not_there_changes_nothing() {
    let removed = outcome(&[], &contact("c1", 1, "<sip:anna@192.0.2.7>;expires=0")).unwrap();
    assert_eq!((removed.bindings.len(), removed.changes.len()), (0, 0));
}

#[test]
fn without_a_contact_the_client_only_asks() {
    let bindings = after(&[contact("c1", 1, PHONE)]);
    let asked = outcome(&bindings, &register("other", 1, &[])).unwrap();
    assert_eq!(asked.changes, []);
    let answer = asked.response(&register("other", 1, &[]), NOW).build();
    assert_eq!(answer.status(), Some(200));
    assert_eq!(
        answer.header_text(HeaderName::Contact),
        Some("<sip:anna@192.0.2.7:5070>;expires=3600")
    );
}

#[test]
fn star_removes_everything_only_with_expires_zero_and_alone() {
    let bindings = after(&[
        contact("c1", 1, PHONE),
        contact("c2", 7, "<sip:anna@192.0.2.8>"),
    ]);
    let star = |headers: &[(HeaderName<'_>, &str)]| {
        let all = [&[(HeaderName::Contact, "*")], headers].concat();
        outcome(&bindings, &register("c3", 1, &all))
    };
    let gone = star(&[(HeaderName::Expires, "0")]).unwrap();
    assert_eq!((gone.bindings.len(), gone.changes.len()), (0, 2));
    for headers in [
        &[][..],
        &[(HeaderName::Expires, "3600")],
        &[(HeaderName::Expires, "never")],
        &[(HeaderName::Expires, "0"), (HeaderName::Contact, PHONE)],
    ] {
        assert_eq!(star(headers).unwrap_err().status, 400, "{headers:?}");
    }
}

#[test]
fn requests_of_one_client_count_in_order_only() {
    let bindings = after(&[contact("c1", 5, PHONE)]);
    let zero = (HeaderName::Expires, "0");
    let table = [
        (contact("c1", 5, PHONE), false),
        (contact("c1", 4, PHONE), false),
        (contact("c1", 6, PHONE), true),
        (contact("c2", 1, PHONE), true),
        (
            register("c1", 5, &[(HeaderName::Contact, "*"), zero]),
            false,
        ),
        (register("c1", 6, &[(HeaderName::Contact, "*"), zero]), true),
        (register("c2", 1, &[(HeaderName::Contact, "*"), zero]), true),
    ];
    for (request, accepted) in table {
        let result = outcome(&bindings, &request);
        assert_eq!(result.is_ok(), accepted, "{request:?}");
        if let Err(reject) = result {
            assert_eq!(reject.status, 500);
        }
    }
}

#[test]
fn a_request_is_applied_wholly_or_not_at_all() {
    let bindings = after(&[contact("c1", 5, PHONE)]);
    let both = contact("c1", 5, "<sip:anna@192.0.2.9>, <sip:anna@192.0.2.7:5070>");
    assert_eq!(outcome(&bindings, &both).unwrap_err().status, 500);
    assert_eq!(contacts(&bindings), ["sip:anna@192.0.2.7:5070"]);
}

#[test]
fn several_contacts_each_have_their_own_parameters() {
    let both = contact(
        "c1",
        1,
        "\"One, two\" <sip:anna@192.0.2.7>;q=0.5;expires=100, <sip:anna@192.0.2.8>;q=1.0;mobility=\"fixed\"",
    );
    let done = outcome(&[], &both).unwrap();
    assert_eq!(
        done.bindings
            .iter()
            .map(|binding| binding.q)
            .collect::<Vec<_>>(),
        [500, 1000]
    );
    assert_eq!(
        done.contacts(NOW),
        [
            "<sip:anna@192.0.2.7>;expires=100;q=0.500",
            "<sip:anna@192.0.2.8>;mobility=\"fixed\";expires=3600",
        ]
    );
}

#[test]
fn the_same_contact_in_other_words_is_refreshed() {
    let bindings = after(&[contact("c1", 1, "<sip:%61nna@Phone.example;transport=tcp>")]);
    let again = outcome(
        &bindings,
        &contact("c1", 2, "<sip:anna@phone.EXAMPLE;transport=TCP>;expires=90"),
    )
    .unwrap();
    assert!(matches!(&again.changes[..], [Change::Refreshed { .. }]));
    assert_eq!(again.bindings.len(), 1);
    assert_eq!(again.bindings[0].expires_at_ms, NOW + 90_000);
}

#[test]
fn a_contact_given_twice_is_refused() {
    let twice = contact("c1", 1, "<sip:anna@192.0.2.7>, <sip:anna@192.0.2.7>;q=0.1");
    assert_eq!(outcome(&[], &twice).unwrap_err().status, 400);
}

#[test]
fn expired_bindings_are_forgotten() {
    let bindings = after(&[contact("c1", 9, PHONE)]);
    let later = apply(
        &bindings,
        &register("c1", 1, &[]),
        NOW + HOUR,
        &Policy::default(),
    )
    .unwrap();
    assert_eq!(later.bindings, []);
    // An expired binding has no say in the order either.
    let again = apply(
        &bindings,
        &contact("c1", 1, PHONE),
        NOW + HOUR,
        &Policy::default(),
    )
    .unwrap();
    assert!(matches!(&again.changes[..], [Change::Added(_)]));
}

#[test]
fn the_number_of_bindings_is_bounded() {
    let policy = Policy {
        max_bindings: 2,
        ..Policy::default()
    };
    let three = contact(
        "c1",
        1,
        "<sip:a@192.0.2.1>, <sip:a@192.0.2.2>, <sip:a@192.0.2.3>",
    );
    assert_eq!(apply(&[], &three, NOW, &policy).unwrap_err().status, 403);
    let two = contact("c1", 1, "<sip:a@192.0.2.1>, <sip:a@192.0.2.2>");
    let full = apply(&[], &two, NOW, &policy).unwrap().bindings;
    let third = contact("c2", 1, "<sip:a@192.0.2.3>");
    assert_eq!(apply(&full, &third, NOW, &policy).unwrap_err().status, 403);
    assert!(apply(&full, &contact("c1", 2, "<sip:a@192.0.2.1>"), NOW, &policy).is_ok());
    assert!(
        apply(
            &full,
            &contact("c1", 2, "<sip:a@192.0.2.1>;expires=0"),
            NOW,
            &policy
        )
        .is_ok()
    );
}

#[test]
fn a_device_under_a_new_uri_replaces_its_old_binding() {
    let old = "<sip:anna@192.0.2.7:5070;pn-provider=apns;pn-param=T.b.voip;pn-prid=0a>";
    let table: &[(&str, &str, &str)] = &[
        (
            "same instance",
            "<sip:anna@192.0.2.7:5070>;+sip.instance=\"<urn:uuid:1>\"",
            "<sip:anna@198.51.100.9:40001>;+sip.instance=\"<urn:uuid:1>\"",
        ),
        (
            "same token",
            old,
            "<sip:anna@198.51.100.9:40001;pn-provider=apns;pn-param=T.b.voip;pn-prid=0a>",
        ),
        (
            "same token, although the app forgot its instance",
            "<sip:anna@192.0.2.7;pn-provider=fcm;pn-prid=1>;+sip.instance=\"<urn:uuid:1>\"",
            "<sip:anna@192.0.2.8;pn-provider=fcm;pn-prid=1>;+sip.instance=\"<urn:uuid:2>\"",
        ),
    ];
    for (case, old, new) in table {
        let bindings = after(&[contact("c1", 1, old)]);
        let done = outcome(&bindings, &contact("c2", 1, new)).unwrap();
        assert!(
            matches!(&done.changes[..], [Change::Replaced { .. }]),
            "{case}"
        );
        assert_eq!(contacts(&done.bindings).len(), 1, "{case}");
    }
}

#[test]
fn a_late_request_does_not_bring_back_a_replaced_binding() {
    let instance = ";+sip.instance=\"<urn:uuid:1>\"";
    let bindings = after(&[
        contact("c1", 1, &format!("<sip:anna@192.0.2.7>{instance}")),
        contact("c1", 2, &format!("<sip:anna@192.0.2.8>{instance}")),
    ]);
    let late = contact("c1", 1, &format!("<sip:anna@192.0.2.7>{instance}"));
    assert_eq!(outcome(&bindings, &late).unwrap_err().status, 500);
}

#[test]
fn different_devices_do_not_replace_each_other() {
    let table: &[(&str, &str, &str)] = &[
        (
            "two phones with one private address behind two routers",
            "<sip:anna@192.168.1.5:5060>;+sip.instance=\"<urn:uuid:1>\"",
            "<sip:anna@192.168.1.5:5060>;+sip.instance=\"<urn:uuid:2>\"",
        ),
        (
            "two flows of one instance",
            "<sip:anna@192.0.2.7>;+sip.instance=\"<urn:uuid:1>\";reg-id=1",
            "<sip:anna@192.0.2.7>;+sip.instance=\"<urn:uuid:1>\";reg-id=2",
        ),
        (
            "two tokens",
            "<sip:anna@192.0.2.7;pn-provider=fcm;pn-prid=1>",
            "<sip:anna@192.0.2.8;pn-provider=fcm;pn-prid=2>",
        ),
        (
            "one token, two providers",
            "<sip:anna@192.0.2.7;pn-provider=fcm;pn-prid=1>",
            "<sip:anna@192.0.2.8;pn-provider=apns;pn-prid=1>",
        ),
    ];
    for (case, one, other) in table {
        let bindings = after(&[contact("c1", 1, one), contact("c2", 1, other)]);
        assert_eq!(bindings.len(), 2, "{case}");
        assert_ne!(bindings[0].key(), bindings[1].key(), "{case}");
    }
}

#[test]
fn one_instance_may_have_two_contacts_in_one_request() {
    let both = |port| {
        let instance = "+sip.instance=\"<urn:uuid:1>\"";
        format!(
            "<sip:anna@192.0.2.7:{port}>;{instance}, <sip:anna@[2001:db8::7]:{port}>;{instance}"
        )
    };
    let bindings = after(&[
        contact("c1", 1, &both(5060)),
        contact("c1", 2, &both(5060)),
        contact("c1", 3, &both(5070)),
    ]);
    assert_eq!(
        contacts(&bindings),
        ["sip:anna@192.0.2.7:5070", "sip:anna@[2001:db8::7]:5070"]
    );
}

#[test]
fn a_refresh_without_a_token_ends_the_pushes() {
    let with = "<sip:anna@192.0.2.7;pn-provider=apns;pn-param=T.b.voip;pn-prid=0a>";
    let bindings = after(&[contact("c1", 1, with)]);
    assert_eq!(bindings[0].push.as_ref().unwrap().prid, "0a");
    let bindings = after(&[
        contact("c1", 1, with),
        contact("c1", 2, "<sip:anna@192.0.2.7;pn-provider=apns>"),
    ]);
    assert_eq!((bindings.len(), bindings[0].push.as_ref()), (1, None));
}

#[test]
fn a_new_token_for_the_same_contact_takes_the_place_of_the_old() {
    let token = |prid| format!("<sip:anna@192.0.2.7;pn-provider=fcm;pn-param=p;pn-prid={prid}>");
    let bindings = after(&[contact("c1", 1, &token("old"))]);
    let done = outcome(&bindings, &contact("c1", 2, &token("new"))).unwrap();
    assert_eq!(done.bindings.len(), 1);
    assert_eq!(done.bindings[0].push.as_ref().unwrap().prid, "new");
}

#[test]
fn the_path_is_kept_and_told_to_a_client_that_can_read_it() {
    let request = register(
        "c1",
        1,
        &[
            (HeaderName::Contact, PHONE),
            (
                HeaderName::Path,
                "<sip:edge1.example;lr>, <sip:edge2.example;lr>",
            ),
            (HeaderName::Supported, "path, outbound"),
        ],
    );
    let done = outcome(&[], &request).unwrap();
    assert_eq!(
        done.bindings[0].path,
        ["<sip:edge1.example;lr>", "<sip:edge2.example;lr>"]
    );
    let answer = done.response(&request, NOW).build();
    assert_eq!(answer.values(HeaderName::Path).count(), 2);
}

#[test]
fn a_malformed_contact_is_refused() {
    for value in [
        "sip:anna@192.0.2.7?Route=x",
        "<sip:anna@192.0.2.7",
        "anna",
        "",
        "<sip:>",
        "<sip:a@b>, ",
    ] {
        assert_eq!(
            outcome(&[], &contact("c1", 1, value)).unwrap_err().status,
            400,
            "{value}"
        );
    }
}

#[test]
fn parameters_that_we_do_not_know_come_back_in_the_answer() {
    let linphone = "<sip:anna@192.0.2.7>;+sip.instance=\"<urn:uuid:1>\";+org.linphone.specs=\"groupchat,lime\"";
    let done = outcome(&[], &contact("c1", 1, linphone)).unwrap();
    assert_eq!(done.contacts(NOW), [format!("{linphone};expires=3600")]);
}
