//! Everything has a limit, and there are those who cannot be told anything.

use super::town::{Town, at};
use bytes::Bytes;
use domain::roster::Request::{Subscribe, Subscribed};
use hub::{NotDone, What, Word};

#[test]
fn nobody_is_their_own_contact() {
    let mut town = Town::new();
    let oneself = Some(Err(NotDone::Oneself));
    assert_eq!(town.requests("romeo", Subscribe, "romeo"), oneself);
    assert_eq!(town.lists("romeo", "romeo", "me"), oneself);
}

#[test]
fn there_is_no_way_to_other_domains_but_they_can_be_listed() {
    let mut town = Town::new();
    let far = "tybalt@example.org".parse().unwrap();
    assert_eq!(
        town.requests_of("romeo", Subscribe, far, b""),
        Some(Err(NotDone::NoSuchDomain))
    );
    assert!(town.kept.is_empty() && town.wire.is_empty());
}

#[test]
fn who_has_no_account_hears_nothing_and_is_not_seen() {
    let mut town = Town::new();
    town.requests("romeo", Subscribe, "paris");
    assert_eq!(town.shown(), ["romeo: [paris none, asked]"]);
    // Somebody who was there once and let us in.
    let contact = town.kept.get_mut(&(at("romeo"), at("paris"))).unwrap();
    contact.to = domain::roster::Direction::Subscribed;
    town.restarts();
    town.comes("romeo", "garden");
    assert_eq!(
        town.shown(),
        [
            "romeo: romeo/garden Available",
            "romeo: paris Unsubscribed",
            "romeo: [paris none]"
        ]
    );
    assert_eq!(
        town.requests("paris", Subscribe, "romeo"),
        Some(Err(NotDone::Missing))
    );
}

#[test]
fn a_list_is_full_when_it_is_and_those_on_it_stay() {
    let mut town = Town::with(|config| config.people.contacts = 2);
    town.lists("romeo", "juliet", "");
    town.lists("romeo", "mercutio", "");
    let full = Some(Err(NotDone::TooManyContacts));
    assert_eq!(town.lists("romeo", "nurse", ""), full);
    assert_eq!(town.requests("romeo", Subscribe, "nurse"), full);
    assert_eq!(town.requests("romeo", Subscribed, "nurse"), full);
    assert_eq!(town.requests("romeo", Subscribe, "juliet"), Some(Ok(())));
    assert_eq!(town.lists("romeo", "mercutio", "Friend"), Some(Ok(())));
    town.unlists("romeo", "mercutio");
    assert_eq!(town.lists("romeo", "nurse", ""), Some(Ok(())));
}

#[test]
fn names_and_groups_are_short_few_and_in_one_piece() {
    let mut town = Town::with(|config| {
        config.people.name = 8;
        config.people.groups = 2;
    });
    let bad = Some(Err(NotDone::BadName));
    assert_eq!(town.lists("romeo", "juliet", "far too long"), bad);
    for groups in [
        &["a", "b", "c"][..],
        &["far too long"],
        &[""],
        &["a\u{1f}b"],
    ] {
        assert_eq!(town.lists_in("romeo", "juliet", "", groups), bad);
    }
    assert_eq!(
        town.lists_in("romeo", "juliet", "Juliet", &["a", "b", "a"]),
        Some(Ok(()))
    );
}

/// A stranger asks for a user's presence.
fn asks(town: &mut Town, stranger: &str, words: &'static [u8]) {
    let what = What::Request(Subscribe, Bytes::from_static(words));
    let word = Word {
        from: at(stranger),
        what,
    };
    town.wire.push_back((0, at("juliet"), word));
    town.pass(0);
}

#[test]
fn strangers_beyond_the_limit_are_not_heard_and_cost_nothing() {
    let mut town = Town::with(|config| config.people.requests = 2);
    town.lists("juliet", "romeo", "");
    for stranger in ["a", "b", "c", "d"] {
        asks(&mut town, stranger, b"");
    }
    assert_eq!(town.saves, 3);
    assert_eq!(town.state("juliet", "c"), "-");
    // Whom she lists is no stranger.
    town.requests("romeo", Subscribe, "juliet");
    assert_eq!(town.state("juliet", "romeo"), "none+in");
    town.requests("juliet", Subscribed, "a");
    asks(&mut town, "c", b"");
    assert_eq!(town.state("juliet", "c"), "none+in");
}

#[test]
fn a_request_of_many_words_is_kept_without_them() {
    let mut town = Town::with(|config| config.people.asked = 8);
    asks(&mut town, "a", b"short");
    asks(&mut town, "b", b"not short");
    let asked = |town: &Town, who| town.kept[&(at("juliet"), at(who))].asked.clone();
    assert_eq!(&asked(&town, "a")[..], b"short");
    assert!(asked(&town, "b").is_empty());
}

#[test]
fn a_roster_that_cannot_be_read_is_not_empty() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.restarts();
    town.reads = false;
    assert!(matches!(town.roster("romeo"), Err(NotDone::Failed(_))));
    let failed = town.lists("romeo", "nurse", "");
    assert!(matches!(failed, Some(Err(NotDone::Failed(_)))));
    // What a client says of itself is so all the same.
    town.comes("romeo", "garden");
    assert!(town.hub("romeo").presence(&at("romeo")).is_ok());
    town.goes("romeo", "garden");
    assert!(town.hub("romeo").presence(&at("romeo")).is_err());
    town.reads = true;
    assert_eq!(town.roster("romeo").unwrap().contacts.len(), 1);
    assert_eq!(town.hub("romeo").load().steps, 0);
}

#[test]
fn the_roster_that_was_used_longest_ago_makes_room() {
    let mut town = Town::with(|config| config.people.rosters = 1);
    // Both are on one hub.
    town.lists("romeo", "juliet", "");
    town.lists("nurse", "juliet", "");
    assert_eq!(town.fetches, 2);
    assert_eq!(town.hub("romeo").load().rosters, 1);
    town.lists("nurse", "peter", "");
    assert_eq!(town.fetches, 2);
    assert_eq!(town.roster("romeo").unwrap().contacts.len(), 1);
    assert_eq!(town.fetches, 3);
    assert_eq!(town.roster("nurse").unwrap().contacts.len(), 2);
}

#[test]
fn contacts_in_memory_are_counted_over_all_rosters() {
    let mut town = Town::with(|config| config.people.known = 3);
    town.lists("romeo", "juliet", "");
    town.lists("romeo", "nurse", "");
    town.unlists("romeo", "nurse");
    town.lists("nurse", "juliet", "");
    town.lists("nurse", "peter", "");
    assert_eq!((town.fetches, town.hub("romeo").load().rosters), (2, 2));
    town.lists("nurse", "romeo", "");
    assert_eq!((town.fetches, town.hub("romeo").load().rosters), (2, 1));
    town.leaves("nurse");
    town.leaves("romeo");
    assert_eq!(town.hub("romeo").load().rosters, 0);
    assert_eq!(town.roster("juliet").unwrap().contacts, []);
}

#[test]
fn a_roster_with_a_step_under_way_stays() {
    use crate::world::StoreMood;
    let mut town = Town::with(|config| config.people.rosters = 1);
    town.mood = StoreMood::Waits;
    town.lists("romeo", "juliet", "");
    town.lists("nurse", "juliet", "");
    assert_eq!(town.hub("romeo").load().rosters, 2);
    town.answers();
    assert_eq!(town.shown().len(), 2);
    assert_eq!(town.hub("romeo").load().rosters, 1);
    town.mood = StoreMood::Saves;
    assert_eq!(town.roster("romeo").unwrap().contacts.len(), 1);
    assert_eq!(town.roster("nurse").unwrap().contacts.len(), 1);
}

#[test]
fn what_others_ask_of_a_user_keeps_no_client_of_the_user_out() {
    use crate::world::StoreMood;
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.mood = StoreMood::Waits;
    assert_eq!(town.lists("romeo", "nurse", ""), None);
    for _ in 0..100 {
        assert_eq!(town.is_seen_by("romeo", "tybalt"), None);
    }
    assert_eq!(town.lists("romeo", "peter", ""), None, "it waits its turn");
    town.mood = StoreMood::Saves;
    town.answers();
    assert_eq!(town.is_seen_by("romeo", "juliet"), Some(Ok(())));
    let missing = Some(Err(NotDone::Missing));
    assert_eq!(town.is_seen_by("romeo", "tybalt"), missing);
    town.blocks("romeo", vec!["juliet@localhost".into()]);
    assert_eq!(town.is_seen_by("romeo", "juliet"), missing);
}

#[test]
fn so_many_addresses_are_blocked_and_no_more() {
    let mut town = Town::new();
    let all = |many: usize| {
        (0..many)
            .map(|it| format!("u{it}@far").into())
            .collect::<Vec<Box<str>>>()
    };
    let most = domain::block::MOST;
    assert_eq!(town.blocks("romeo", all(most)), Some(Ok(())));
    let (saves, full) = (town.saves, Some(Err(NotDone::TooManyBlocks)));
    assert_eq!(town.blocks("romeo", vec!["one@more".into()]), full);
    // Twice is once.
    assert_eq!(town.blocks("romeo", all(1)), Some(Ok(())));
    assert_eq!(town.saves, saves);
    assert_eq!(town.unblocks("romeo", all(1)), Some(Ok(())));
    assert_eq!(town.blocks("romeo", vec!["one@more".into()]), Some(Ok(())));
}

#[test]
fn what_the_store_refuses_is_not_blocked() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.comes("romeo", "garden");
    town.comes("juliet", "balcony");
    town.hush();
    town.mood = crate::world::StoreMood::Refuses;
    let blocked = town.blocks("romeo", vec![at("juliet").as_str().into()]);
    assert!(
        matches!(blocked, Some(Err(NotDone::Failed(_)))),
        "{blocked:?}"
    );
    assert_eq!(town.shown(), Vec::<String>::new());
    town.goes("juliet", "balcony");
    assert_eq!(
        town.shown(),
        ["juliet: juliet/balcony gone", "romeo: juliet/balcony gone"]
    );
}
