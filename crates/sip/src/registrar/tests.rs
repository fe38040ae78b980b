mod devices;
mod stored;

use super::*;
use crate::push::PushRequest;
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

/// What a REGISTER came to.
#[derive(Debug)]
struct Done {
    bindings: Vec<Binding>,
    changes: Vec<Change>,
    answer: Message,
}

impl Done {
    /// The values of Contact in the answer.
    fn listed(&self) -> Vec<&str> {
        let values = self.answer.values(HeaderName::Contact);
        values
            .map(|value| std::str::from_utf8(value).unwrap())
            .collect()
    }
}

/// A registrar with its clock, its policy and what it knows of the flow.
#[derive(Clone, Copy)]
struct World {
    now_ms: u64,
    policy: Policy,
    flow_qualifies: bool,
    /// Since when each binding is out of reach, by its contact.
    out_of_reach: fn(&Binding) -> Option<u64>,
}

const WORLD: World = World {
    now_ms: NOW,
    policy: Policy {
        min_expires: 60,
        max_expires: 30 * 24 * 3600,
        default_expires: 3600,
        max_bindings: 16,
    },
    flow_qualifies: false,
    out_of_reach: |_| None,
};

impl World {
    fn apply(&self, existing: &[Binding], request: &Message) -> Result<Done, Reject> {
        let known: Vec<_> = existing
            .iter()
            .map(|binding| Known {
                binding,
                out_of_reach_since: (self.out_of_reach)(binding),
            })
            .collect();
        let registration = Registration::parse(request)?;
        let (qualifies, now) = (self.flow_qualifies, self.now_ms);
        let outcome = apply(&known, &registration, qualifies, now, &self.policy)?;
        Ok(Done {
            bindings: outcome.bindings().cloned().collect(),
            answer: outcome.response(request, &registration, now).build(),
            changes: outcome.changes,
        })
    }

    /// What an address has after these, one after the other.
    fn after(&self, requests: &[Message]) -> Vec<Binding> {
        requests.iter().fold(Vec::new(), |bindings, request| {
            self.apply(&bindings, request).unwrap().bindings
        })
    }
}

fn after(requests: &[Message]) -> Vec<Binding> {
    WORLD.after(requests)
}

fn outcome(existing: &[Binding], request: &Message) -> Result<Done, Reject> {
    WORLD.apply(existing, request)
}

fn contacts(bindings: &[Binding]) -> Vec<&str> {
    bindings.iter().map(Binding::contact).collect()
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
    let mut world = WORLD;
    world.policy.min_expires = 7200;
    let hour = contact("c1", 1, "<sip:anna@192.0.2.7>;expires=3600");
    assert!(world.apply(&[], &hour).is_ok());
}

#[test]
fn removing_is_never_too_brief() {
    let bindings = after(&[contact("c1", 1, PHONE)]);
    let removed = outcome(
        &bindings,
        &contact("c1", 2, "<sip:anna@192.0.2.7:5070>;expires=0"),
    )
    .unwrap();
    let why = Removal::Unregistered;
    assert_eq!(removed.changes, [Change::Removed { old: 0, why }]);
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
    assert_eq!(asked.answer.status(), Some(200));
    assert_eq!(asked.listed(), ["<sip:anna@192.0.2.7:5070>;expires=3600"]);
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
        done.listed(),
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
    let later = World {
        now_ms: NOW + HOUR,
        ..WORLD
    };
    let asked = later.apply(&bindings, &register("c1", 1, &[])).unwrap();
    assert_eq!(asked.bindings, []);
    // An expired binding has no say in the order either.
    let again = later.apply(&bindings, &contact("c1", 1, PHONE)).unwrap();
    assert!(matches!(&again.changes[..], [Change::Added(_)]));
}

#[test]
fn the_number_of_bindings_is_bounded() {
    let mut world = WORLD;
    world.policy.max_bindings = 2;
    let three = contact(
        "c1",
        1,
        "<sip:a@192.0.2.1>, <sip:a@192.0.2.2>, <sip:a@192.0.2.3>",
    );
    assert_eq!(world.apply(&[], &three).unwrap_err().status, 403);
    let two = contact("c1", 1, "<sip:a@192.0.2.1>, <sip:a@192.0.2.2>");
    let full = world.apply(&[], &two).unwrap().bindings;
    let third = contact("c2", 1, "<sip:a@192.0.2.3>");
    assert_eq!(world.apply(&full, &third).unwrap_err().status, 403);
    for known in ["<sip:a@192.0.2.1>", "<sip:a@192.0.2.1>;expires=0"] {
        assert!(world.apply(&full, &contact("c1", 2, known)).is_ok());
    }
}

#[test]
fn room_is_made_among_those_out_of_reach_for_longest() {
    let mut world = WORLD;
    world.policy.max_bindings = 3;
    world.out_of_reach = |binding| match binding.contact() {
        "sip:a@192.0.2.1" => Some(NOW - 1),
        "sip:a@192.0.2.2" => Some(NOW - 2),
        _ => None,
    };
    let three = "<sip:a@192.0.2.1>, <sip:a@192.0.2.2>, <sip:a@192.0.2.3>";
    let full = world.after(&[contact("c1", 1, three)]);
    let fourth = world
        .apply(&full, &contact("c2", 1, "<sip:a@192.0.2.4>"))
        .unwrap();
    let why = Removal::MadeRoom;
    assert_eq!(fourth.changes[1..], [Change::Removed { old: 1, why }]);
    let more = "<sip:a@192.0.2.5>, <sip:a@192.0.2.6>";
    let done = world.apply(&full, &contact("c2", 1, more)).unwrap();
    let left = ["sip:a@192.0.2.3", "sip:a@192.0.2.5", "sip:a@192.0.2.6"];
    assert_eq!(contacts(&done.bindings), left);
    assert_eq!(done.listed().len(), 3, "what is listed is what is bound");
}

#[test]
fn a_client_without_an_instance_may_come_back_again_and_again() {
    let mut world = WORLD;
    world.out_of_reach = |binding| (!binding.contact().ends_with(":4017")).then_some(0);
    let come = |port: u32| contact(&format!("c{port}"), 1, &format!("<sip:a@192.0.2.1:{port}>"));
    let requests: Vec<_> = (4000..4018).map(come).collect();
    let bindings = world.after(&requests);
    assert_eq!(bindings.len(), world.policy.max_bindings);
    assert_eq!(bindings[15].contact(), "sip:a@192.0.2.1:4017");
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
    let path: Vec<_> = done.bindings[0].path().collect();
    assert_eq!(path, ["<sip:edge1.example;lr>", "<sip:edge2.example;lr>"]);
    assert_eq!(done.answer.values(HeaderName::Path).count(), 2);
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
    assert_eq!(done.listed(), [format!("{linphone};expires=3600")]);
}

#[test]
fn a_registration_says_all_that_a_registrar_needs() {
    let request = register(
        "c1",
        7,
        &[
            (
                HeaderName::Contact,
                "<sip:anna@192.0.2.7;pn-provider=apns;pn-param=T.b.voip;pn-prid=0A>;reg-id=2;\
                 +sip.instance=\"<urn:uuid:1>\";+sip.pnsreg;q=0.25;expires=\"60\"",
            ),
            (HeaderName::Contact, "<sip:anna@192.0.2.8;pn-provider=fcm>"),
            (HeaderName::Expires, "600"),
            (HeaderName::Supported, "PATH"),
            (HeaderName::Supported, "gruu, outbound"),
            (HeaderName::FeatureCaps, "*;+sip.pns=\"apns\""),
        ],
    );
    let read = Registration::parse(&request).unwrap();

    assert_eq!(
        (read.call_id, read.cseq, read.expires),
        ("c1", 7, Some(600))
    );
    assert!(read.supports_path && read.supports_outbound && read.woken_upstream);
    let [one, two] = read.contacts() else {
        panic!("{read:?}")
    };
    assert_eq!(one.instance, Some("<urn:uuid:1>"));
    assert_eq!(one.reg_id.map(std::num::NonZero::get), Some(2));
    assert_eq!((one.q, one.refreshes_itself), (250, true));
    assert_eq!((read.wish(one), read.wish(two)), (Some(60), Some(600)));
    assert!(matches!(&one.push, PushRequest::Wake(push) if push.prid == "0A"));
    assert_eq!(two.push, PushRequest::Query(Some("fcm".into())));
}

#[test]
fn what_a_client_calls_itself_is_cut() {
    for (given, kept) in [
        ("Linphone", "Linphone".to_owned()),
        (&"ü".repeat(200), "ü".repeat(128)),
    ] {
        let request = register(
            "c1",
            1,
            &[(HeaderName::Contact, PHONE), (HeaderName::UserAgent, given)],
        );
        assert_eq!(after(&[request])[0].user_agent(), kept);
    }
}
