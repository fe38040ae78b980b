//! Presence: who sees what of whom, and when (RFC 6121 §4).

use super::town::{Town, at};
use domain::{
    Timestamp,
    presence::Show,
    roster::Request::{Subscribe, Subscribed, Unsubscribe, Unsubscribed},
};

const NOTHING: [&str; 0] = [];

#[test]
fn who_comes_is_seen_by_contacts_and_sees_them() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.comes("juliet", "balcony");
    assert_eq!(
        town.shown(),
        [
            "juliet: juliet/balcony Available",
            "juliet/balcony: romeo/ gone"
        ]
    );
    town.comes_as("romeo", "garden", Show::Chat);
    assert_eq!(
        town.shown(),
        [
            "romeo: romeo/garden Chat",
            "juliet: romeo/garden Chat",
            "romeo/garden: juliet/balcony Available"
        ]
    );
    town.comes_as("romeo", "garden", Show::Away);
    assert_eq!(
        town.shown(),
        ["romeo: romeo/garden Away", "juliet: romeo/garden Away"]
    );
    town.goes("romeo", "garden");
    assert_eq!(
        town.shown(),
        ["romeo: romeo/garden gone", "juliet: romeo/garden gone"]
    );
    town.goes("romeo", "garden");
    assert_eq!(town.shown(), NOTHING);
}

#[test]
fn a_second_client_sees_the_first_and_what_it_asked_for_is_shown_to_it_alone() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.comes("juliet", "balcony");
    town.comes("romeo", "garden");
    town.hush();
    town.comes("romeo", "street");
    assert_eq!(
        town.shown(),
        [
            "romeo: romeo/street Available",
            "romeo/street: romeo/garden Available",
            "juliet: romeo/street Available",
            "romeo/street: juliet/balcony Available"
        ]
    );
}

#[test]
fn who_is_not_there_was_seen_last_then() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.comes("juliet", "balcony");
    town.millis = 7_000;
    town.goes("juliet", "balcony");
    town.hush();
    town.millis = 9_000;
    town.comes("romeo", "garden");
    assert_eq!(
        town.shown(),
        [
            "romeo: romeo/garden Available",
            "romeo/garden: juliet/ gone"
        ]
    );
    let presence = |name| town.hub(name).presence(&at(name));
    assert_eq!(presence("juliet"), Err(Some(Timestamp(7_000))));
    assert_eq!(presence("romeo"), Ok(Show::Available));
    assert_eq!(presence("nurse"), Err(None));
}

#[test]
fn only_who_is_let_in_sees_anything() {
    let mut town = Town::new();
    town.requests("romeo", Subscribe, "juliet");
    town.comes("romeo", "garden");
    town.comes("juliet", "balcony");
    assert!(
        !town
            .shown()
            .iter()
            .any(|it| it.contains("juliet/balcony") && it.starts_with("romeo"))
    );
    town.requests("juliet", Subscribed, "romeo");
    assert_eq!(
        town.shown(),
        [
            "juliet: [romeo from]",
            "romeo: juliet Subscribed",
            "romeo: [juliet to]",
            "romeo: juliet/balcony Available"
        ]
    );
    // She does not see him.
    town.comes_as("romeo", "garden", Show::Away);
    assert_eq!(town.shown(), ["romeo: romeo/garden Away"]);
    town.requests("juliet", Unsubscribed, "romeo");
    assert_eq!(
        town.shown(),
        [
            "juliet: [romeo none]",
            "romeo: juliet/balcony gone",
            "romeo: juliet Unsubscribed",
            "romeo: [juliet none]"
        ]
    );
    town.goes("juliet", "balcony");
    assert_eq!(town.shown(), ["juliet: juliet/balcony gone"]);
}

#[test]
fn who_does_not_want_to_see_any_more_is_shown_nothing() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.comes("romeo", "garden");
    town.comes("juliet", "balcony");
    town.requests("romeo", Unsubscribe, "juliet");
    town.hush();
    town.comes_as("juliet", "balcony", Show::Chat);
    assert_eq!(town.shown(), ["juliet: juliet/balcony Chat"]);
}

#[test]
fn a_user_all_of_whose_clients_sleep_is_away_and_nothing_flaps() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.comes("juliet", "balcony");
    town.comes_as("romeo", "phone", Show::Chat);
    town.comes("romeo", "desk");
    town.hush();
    town.sleeps("romeo", "phone", true);
    town.pass(10_000);
    assert_eq!(town.shown(), NOTHING);
    for _ in 0..3 {
        town.sleeps("romeo", "desk", true);
        town.pass(1_999);
        town.sleeps("romeo", "desk", false);
        town.pass(10_000);
    }
    assert_eq!(town.shown(), NOTHING);
    town.sleeps("romeo", "desk", true);
    town.pass(2_000);
    assert_eq!(
        town.shown(),
        ["juliet: romeo/phone Away*", "juliet: romeo/desk Away*"]
    );
    assert_eq!(town.hub("romeo").presence(&at("romeo")), Ok(Show::Away));
    // Who looks now sees the same.
    town.comes("juliet", "chamber");
    let shown = town.shown();
    assert!(shown.contains(&"juliet/chamber: romeo/phone Away*".to_owned()));
    town.sleeps("romeo", "phone", false);
    assert_eq!(
        town.shown(),
        ["juliet: romeo/phone Chat", "juliet: romeo/desk Available"]
    );
    assert_eq!(town.hub("romeo").load().steps, 0);
}

#[test]
fn nothing_is_read_or_shown_for_who_is_not_there() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.restarts();
    let fetches = town.fetches;
    town.comes("romeo", "garden");
    town.goes("romeo", "garden");
    // His own, and hers for what he asked.
    assert_eq!(town.fetches, fetches + 2);
    assert!(!town.shown().iter().any(|it| it.starts_with("juliet")));
    assert_eq!(town.hub("juliet").load().available, 0);
}

#[test]
fn who_has_no_account_any_more_is_seen_to_go_and_is_forgotten() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.comes("juliet", "balcony");
    town.comes("romeo", "garden");
    town.hush();
    town.dies("romeo");
    assert_eq!(town.shown()[0], "juliet: romeo/garden gone");
    town.comes("romeo", "garden");
    assert_eq!(town.shown(), NOTHING);
    let load = town.hub("romeo").load();
    assert_eq!((load.rosters, load.available, load.steps), (0, 0, 0));
}

#[test]
fn who_has_no_account_any_more_and_was_not_in_memory_is_missed_by_who_looks() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.restarts();
    town.dies("romeo");
    town.comes("juliet", "chamber");
    assert_eq!(town.state("juliet", "romeo"), "from");
}
