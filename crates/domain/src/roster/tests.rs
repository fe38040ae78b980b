use super::*;
use Request::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};

/// RFC 6121 appendix A.1, in the order of its tables.
const STATES: [&str; 9] = [
    "none",
    "none+out",
    "none+in",
    "none+out+in",
    "to",
    "to+in",
    "from",
    "from+out",
    "both",
];

fn contact(state: &str) -> Contact {
    let direction = |subscribed: &[&str], pending: &str| {
        let mut parts = state.split('+');
        if subscribed.contains(&parts.next().unwrap()) {
            Direction::Subscribed
        } else if parts.any(|part| part == pending) {
            Direction::Pending
        } else {
            Direction::None
        }
    };
    let user = |name| Address::new(name, "localhost").unwrap();
    Contact {
        to: direction(&["to", "both"], "out"),
        from: direction(&["from", "both"], "in"),
        ..Contact::new(user("romeo"), user("juliet"))
    }
}

fn state(contact: &Contact) -> String {
    let mut state = contact.subscription().to_owned();
    for (direction, name) in [(contact.to, "+out"), (contact.from, "+in")] {
        if direction == Direction::Pending {
            state.push_str(name);
        }
    }
    state
}

/// The tables of RFC 6121: for each of [`STATES`], whether the stanza passes, and the new state ("" for no change).
type Table = [(bool, &'static str); 9];
const YES: bool = true;
const NO: bool = false;

#[rustfmt::skip]
const OUTBOUND: [(Request, Table); 4] = [
    (Subscribe, [(YES, "none+out"), (YES, ""), (YES, "none+out+in"), (YES, ""), (YES, ""), (YES, ""),
        (YES, "from+out"), (YES, ""), (YES, "")]),
    (Unsubscribe, [(YES, ""), (YES, "none"), (YES, ""), (YES, "none+in"), (YES, "none"), (YES, "none+in"),
        (YES, ""), (YES, "from"), (YES, "from")]),
    (Subscribed, [(NO, ""), (NO, ""), (YES, "from"), (YES, "from+out"), (NO, ""), (YES, "both"),
        (NO, ""), (NO, ""), (NO, "")]),
    (Unsubscribed, [(NO, ""), (NO, ""), (YES, "none"), (YES, "none+out"), (NO, ""), (YES, "to"),
        (YES, "none"), (YES, "none+out"), (YES, "to")]),
];

#[rustfmt::skip]
const INBOUND: [(Request, Table); 4] = [
    (Subscribe, [(YES, "none+in"), (YES, "none+out+in"), (NO, ""), (NO, ""), (YES, "to+in"), (NO, ""),
        (NO, ""), (NO, ""), (NO, "")]),
    (Unsubscribe, [(NO, ""), (NO, ""), (YES, "none"), (YES, "none+out"), (NO, ""), (YES, "to"),
        (YES, "none"), (YES, "none+out"), (YES, "to")]),
    (Subscribed, [(NO, ""), (YES, "to"), (NO, ""), (YES, "to+in"), (NO, ""), (NO, ""),
        (NO, ""), (YES, "both"), (NO, "")]),
    (Unsubscribed, [(NO, ""), (YES, "none"), (NO, ""), (YES, "none+in"), (YES, "none"), (YES, "none+in"),
        (NO, ""), (YES, "from"), (YES, "from")]),
];

fn check(tables: &[(Request, Table); 4], act: impl Fn(&mut Contact, Request) -> Outcome) {
    for (request, table) in tables {
        for (before, (passes, after)) in STATES.iter().zip(table) {
            let mut contact = contact(before);
            let outcome = act(&mut contact, *request);
            let after = if after.is_empty() { before } else { after };
            let found = (outcome.passes, state(&contact));
            assert_eq!(
                found,
                (*passes, (*after).to_owned()),
                "{request:?} in {before}"
            );
        }
    }
}

#[test]
fn what_the_user_says_follows_the_tables_of_the_rfc() {
    check(&OUTBOUND, Contact::says);
}

#[test]
fn what_the_contact_says_follows_the_tables_of_the_rfc() {
    check(&INBOUND, |contact, request| {
        contact.hears(request, Bytes::new())
    });
}

#[test]
fn who_is_subscribed_and_asks_again_is_answered_at_once() {
    for state in ["from", "from+out", "both"] {
        let outcome = contact(state).hears(Subscribe, Bytes::new());
        assert_eq!(outcome.answer, Some(Subscribed), "{state}");
    }
}

#[test]
fn who_unsubscribes_sees_nothing_any_more() {
    for (before, hides) in [
        ("none+in", None),
        ("from", Some(false)),
        ("both", Some(false)),
    ] {
        let outcome = contact(before).hears(Unsubscribe, Bytes::new());
        assert_eq!((outcome.answer, outcome.shows), (None, hides));
    }
}

#[test]
fn who_is_refused_or_let_in_unasked_says_so_and_both_sides_agree() {
    for (before, heard) in [
        ("none+out", Unsubscribed),
        ("both", Unsubscribed),
        ("none", Subscribed),
    ] {
        let outcome = contact(before).hears(heard, Bytes::new());
        assert_eq!(outcome.answer, Some(Unsubscribe), "{before}");
    }
    let known = contact("none").hears(Unsubscribed, Bytes::new());
    assert_eq!(known, Outcome::default());
}

#[test]
fn a_version_names_what_a_client_sees_and_nothing_else() {
    let all = ["both", "none"].map(|state| Contact {
        is_listed: true,
        ..contact(state)
    });
    let first = version(&all);
    let [mut both, none] = all;
    let mut stranger = contact("none+in");
    stranger.peer = Address::new("tybalt", "localhost").unwrap();
    assert_eq!(version([&both, &none, &stranger]), first);
    both.asked = Bytes::from_static(b"me");
    assert_eq!(version([&both, &none]), first);
    assert_ne!(version([&both]), first);
    both.groups.push("Friends".to_owned());
    let second = version([&both, &none]);
    assert_ne!(second, first);
    // Where a name ends and a group begins counts.
    both.groups = vec!["Frie".to_owned(), "nds".to_owned()];
    assert_ne!(version([&both, &none]), second);
}

#[test]
fn who_was_approved_before_they_asked_is_let_in_without_a_word_to_the_user() {
    let mut contact = contact("none");
    let approved = contact.says(Subscribed);
    assert!(approved.changed && !approved.passes && contact.approved);
    let outcome = contact.hears(Subscribe, Bytes::from_static(b"hello"));
    assert_eq!(outcome.answer, Some(Subscribed));
    assert_eq!((outcome.passes, outcome.shows), (false, Some(true)));
    assert_eq!(state(&contact), "from");
    assert!(contact.asked.is_empty());
}

#[test]
fn an_approval_is_taken_back_by_unsubscribed() {
    let mut contact = contact("to");
    contact.says(Subscribed);
    let outcome = contact.says(Unsubscribed);
    assert!(outcome.changed && !outcome.passes && !contact.approved);
}

#[test]
fn what_was_asked_is_kept_until_it_is_answered() {
    for answer in [Subscribed, Unsubscribed] {
        let mut contact = contact("none");
        contact.hears(Subscribe, Bytes::from_static(b"it is me"));
        assert_eq!(&contact.asked[..], b"it is me");
        assert!(!contact.is_listed && contact.is_worth_keeping());
        contact.says(answer);
        assert!(contact.asked.is_empty(), "{answer:?}");
    }
}

#[test]
fn who_is_taken_off_the_list_is_told_of_both_directions() {
    let told = |state| contact(state).removed().collect::<Vec<_>>();
    assert_eq!(told("none"), []);
    assert_eq!(told("to"), [Unsubscribe]);
    assert_eq!(told("none+in"), [Unsubscribed]);
    assert_eq!(told("both"), [Unsubscribe, Unsubscribed]);
}
