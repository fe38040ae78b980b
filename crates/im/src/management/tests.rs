use super::*;
use bytes::Bytes;
use xmpp::{
    jid::Jid,
    xml::{Limits, document},
};

const POLICY: Policy = Policy {
    ask_after_items: 10,
    ask_after: Duration::ZERO,
    dead_after: Duration::from_secs(15),
    max_items: 6,
    max_octets: 1000,
};

fn base() -> Instant {
    Instant::now()
}

fn managed(now: Instant) -> Management {
    let mut it = Management::default();
    let resumable = Some(("id".to_owned(), Duration::from_mins(1)));
    it.enable(now, (POLICY, Answering::default()), resumable);
    it
}

fn written(text: &str, kind: Kind) -> Written {
    Written {
        octets: Bytes::copy_from_slice(text.as_bytes()),
        kind,
    }
}

fn kept(id: &str) -> Written {
    written(id, Kind::Kept(id.into()))
}

fn had(id: &str) -> Had {
    Had {
        id: id.into(),
        elsewhere: false,
    }
}

fn presence(from: &str, text: &str) -> Written {
    written(text, Kind::Presence(from.into()))
}

fn state(from: &str, text: &str) -> Written {
    written(text, Kind::State(from.into()))
}

fn texts(given: &Given) -> Vec<&str> {
    let text = |it| std::str::from_utf8(it).unwrap();
    given.octets.iter().map(|it| text(it)).collect()
}

#[test]
fn a_session_without_management_writes_and_keeps_nothing() {
    let (mut it, now) = (Management::default(), base());
    assert_eq!(texts(&it.give(now, kept("m1"))), ["m1"]);
    assert!(!it.has(&"m1".into()) && it.next_timeout().is_none());
    assert_eq!(it.poll(now), None);
    assert!(it.arrived().unwrap().is_none());
}

#[test]
fn messages_are_the_clients_when_it_says_so_and_in_order() {
    let now = base();
    let mut it = managed(now);
    for id in ["m1", "m2", "m3"] {
        it.give(now, kept(id));
    }
    assert!(it.has(&"m1".into()));
    assert_eq!(it.poll(now), Some(Say::Ask));
    assert_eq!(it.poll(now), None);
    let got = it.acknowledged(now, 2).unwrap();
    assert_eq!(got.messages, ["m1", "m2"].map(had));
    assert!(!it.has(&"m1".into()) && it.has(&"m3".into()));
    let error = it.acknowledged(now, 4).unwrap_err();
    assert_eq!((error.handled, error.sent), (4, 3));
}

#[test]
fn a_client_that_does_not_answer_is_dead_after_fifteen_seconds() {
    let now = base();
    let mut it = managed(now);
    it.give(now, kept("m1"));
    assert_eq!(it.poll(now), Some(Say::Ask));
    let at = it.next_timeout().unwrap();
    assert_eq!(at - now, Duration::from_secs(15));
    assert_eq!(it.poll(at), Some(Say::Dead));
    it.suspend();
    assert_eq!((it.poll(at), it.next_timeout()), (None, None));
}

#[test]
fn all_that_is_not_acknowledged_is_written_again_wherever_the_connection_broke() {
    let now = base();
    for handled in 0..=3_u32 {
        let mut it = managed(now);
        let all = ["m1", "p", "m2"];
        it.give(now, kept("m1"));
        it.give(now, presence("bob", "p"));
        it.give(now, kept("m2"));
        it.suspend();
        let goes_on = it.resume(now, handled).unwrap();
        let handled = usize::try_from(handled).unwrap();
        assert_eq!(texts(&goes_on.given), all[handled..]);
        let acknowledged: Vec<_> = all[..handled]
            .iter()
            .filter(|it| **it != "p")
            .map(|it| had(it))
            .collect();
        assert_eq!(goes_on.messages, acknowledged);
    }
}

#[test]
fn of_what_went_elsewhere_the_client_says_less_than_that_it_is_done() {
    let now = base();
    let mut it = managed(now);
    for id in ["m1", "m2", "m3"] {
        it.give(now, kept(id));
    }
    it.suspend();
    assert!(it.withdraw(&"m1".into()) && !it.withdraw(&"m1".into()));
    assert!(it.takes_over(&"m2".into()) && !it.takes_over(&"m1".into()));
    assert!(it.has(&"m1".into()) && !it.has(&"m2".into()));
    let goes_on = it.resume(now, 1).unwrap();
    // The hub has no hand in the second any more, but the client gets it.
    assert_eq!(texts(&goes_on.given), ["m2", "m3"]);
    let went = Had {
        elsewhere: true,
        ..had("m1")
    };
    assert_eq!(goes_on.messages, [went]);
    let got = it.acknowledged(now, 3).unwrap();
    assert_eq!(got.messages, [had("m3")]);
}

#[test]
fn what_was_written_behind_something_that_went_elsewhere_does_not_overtake_it() {
    let now = base();
    let mut it = managed(now);
    for id in ["m1", "m2", "m3"] {
        it.give(now, kept(id));
    }
    it.give(now, written("iq", Kind::Needed));
    it.suspend();
    it.withdraw(&"m2".into());
    let goes_on = it.resume(now, 0).unwrap();
    assert_eq!(texts(&goes_on.given), ["m1", "iq"]);
    // The hub gives it again, behind the second.
    assert!(!it.has(&"m2".into()) && !it.has(&"m3".into()));
}

#[test]
fn a_session_goes_on_when_all_that_arrived_is_settled() {
    let now = base();
    let mut it = managed(now);
    let seq = it.arrived().unwrap().unwrap();
    it.suspend();
    assert!(!it.is_settled());
    assert!(matches!(it.resume(now, 0), Err(CannotResume::NotYet)));
    it.settled(seq);
    assert_eq!(it.resume(now, 0).unwrap().handled, 1);
}

#[test]
fn while_nobody_is_there_the_last_presence_of_each_waits_and_chat_states_do_not() {
    let now = base();
    let mut it = managed(now);
    it.suspend();
    for written in [
        presence("bob", "b1"),
        state("bob", "typing"),
        presence("carol", "c1"),
        written("iq", Kind::Needed),
        presence("bob", "b2"),
    ] {
        assert_eq!(it.give(now, written), Given::default());
    }
    let goes_on = it.resume(now, 0).unwrap();
    assert_eq!(texts(&goes_on.given), ["iq", "c1", "b2"]);
}

#[test]
fn of_what_there_is_no_room_for_each_kind_has_its_own_end() {
    let now = base();
    let head = || Box::new(Element::new(xmpp::ns::CLIENT, "iq"));
    for (kind, is_lost) in [
        (Kind::Kept("m".into()), true),
        (Kind::Question(head()), true),
        (Kind::Needed, true),
        (Kind::Passing, false),
        (Kind::State("bob".into()), false),
        (Kind::Presence("bob".into()), false),
    ] {
        let mut it = managed(now);
        for _ in 0..POLICY.max_items {
            it.give(now, written("x", Kind::Needed));
        }
        let given = it.give(now, written("y", kind.clone()));
        assert!(given.octets.is_empty(), "{kind:?}");
        assert_eq!(given.lost.len(), usize::from(is_lost), "{kind:?}");
        // Presence waits until there is room.
        let got = it.acknowledged(now, 1).unwrap();
        let waited = matches!(kind, Kind::Presence(_));
        assert_eq!(texts(&got.given).len(), usize::from(waited), "{kind:?}");
    }
}

#[test]
fn while_nobody_looks_presence_and_chat_states_wait_for_the_next_message_or_for_somebody() {
    let now = base();
    for is_managed in [false, true] {
        let mut it = Management::default();
        if is_managed {
            it = managed(now);
        }
        assert!(it.looks(now, false).0);
        assert!(!it.looks(now, false).0);
        for written in [
            presence("bob", "b1"),
            state("bob", "typing"),
            state("bob", "paused"),
            presence("bob", "b2"),
        ] {
            assert_eq!(it.give(now, written), Given::default());
        }
        let given = it.give(now, kept("m1"));
        assert_eq!(texts(&given), ["paused", "b2", "m1"]);
        it.give(now, presence("bob", "b3"));
        let (is_news, given) = it.looks(now, true);
        assert!(is_news);
        assert_eq!(texts(&given), ["b3"]);
        assert_eq!(texts(&it.give(now, presence("bob", "b4"))), ["b4"]);
    }
}

#[test]
fn that_nobody_looks_is_forgotten_with_the_connection() {
    let now = base();
    let mut it = managed(now);
    it.looks(now, false);
    it.suspend();
    it.resume(now, 0).unwrap();
    assert!(!it.is_inactive());
    assert_eq!(texts(&it.give(now, presence("bob", "b"))), ["b"]);
}

#[test]
fn what_is_held_back_has_a_limit() {
    let now = base();
    let mut it = managed(now);
    it.suspend();
    let large = "x".repeat(100 * 1024);
    for from in ["bob", "carol", "dave"] {
        it.give(now, presence(from, &large));
    }
    it.suspend();
    let held: Vec<_> = it.held.take().map(|it| it.kind).collect();
    assert_eq!(
        held,
        [
            Kind::Presence("carol".into()),
            Kind::Presence("dave".into())
        ]
    );

    // With somebody there to write to, what is over is written.
    let mut it = Management::default();
    it.looks(now, false);
    for from in ["bob", "carol"] {
        assert!(it.give(now, presence(from, &large)).octets.is_empty());
    }
    assert_eq!(it.give(now, presence("dave", &large)).octets.len(), 3);
}

#[test]
fn questions_of_others_are_told_that_nobody_is_there() {
    let now = base();
    let mut it = managed(now);
    let me = Jid::parse("alice@localhost/desk").unwrap();
    for (text, kind) in KINDS {
        let element = document(text.as_bytes(), &Limits::default()).unwrap();
        let of = Kind::of(&element, &me);
        let name = format!("{of:?}");
        assert!(name.starts_with(kind), "{text} is {name}");
        it.give(now, written("x", of));
    }
    let asked: Vec<_> = it.unanswered().collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].attr("from"), Some("bob@localhost/phone"));
}

const KINDS: [(&str, &str); 10] = [
    (
        "<iq xmlns='jabber:client' type='get' id='1' from='bob@localhost/phone'><q xmlns='q'/></iq>",
        "Question",
    ),
    (
        "<iq xmlns='jabber:client' type='set' id='1' from='alice@localhost'><q xmlns='q'/></iq>",
        "Needed",
    ),
    (
        "<iq xmlns='jabber:client' type='result' id='1' from='bob@localhost/phone'/>",
        "Needed",
    ),
    (
        "<presence xmlns='jabber:client' from='bob@localhost/phone'/>",
        "Presence",
    ),
    (
        "<presence xmlns='jabber:client' type='unavailable' from='bob@localhost/phone'/>",
        "Presence",
    ),
    (
        "<presence xmlns='jabber:client' type='subscribe' from='bob@localhost'/>",
        "Needed",
    ),
    (
        "<presence xmlns='jabber:client' type='error' from='bob@localhost'/>",
        "Passing",
    ),
    (
        "<message xmlns='jabber:client' from='b@localhost/p'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
        "State",
    ),
    (
        "<message xmlns='jabber:client' from='b@localhost/p'><composing xmlns='http://jabber.org/protocol/chatstates'/><body>x</body></message>",
        "Passing",
    ),
    (
        "<message xmlns='jabber:client' type='error' from='b@localhost/p'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
        "Passing",
    ),
];
