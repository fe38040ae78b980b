//! The flows of RFC 6121 §3, and what becomes of them when the store refuses.

use super::town::{Town, at};
use crate::world::StoreMood;
use domain::roster::Request::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};
use hub::NotDone;

#[test]
fn who_asks_is_let_in_and_both_lists_say_so() {
    let mut town = Town::new();
    assert_eq!(town.requests("romeo", Subscribe, "juliet"), Some(Ok(())));
    assert_eq!(
        town.shown(),
        ["romeo: [juliet none, asked]", "juliet: romeo Subscribe"]
    );
    assert_eq!(town.requests("juliet", Subscribed, "romeo"), Some(Ok(())));
    assert_eq!(
        town.shown(),
        [
            "juliet: [romeo from]",
            "romeo: juliet Subscribed",
            "romeo: [juliet to]"
        ]
    );
    town.requests("juliet", Subscribe, "romeo");
    town.requests("romeo", Subscribed, "juliet");
    assert_eq!(town.state("romeo", "juliet"), "both");
    assert_eq!(town.state("juliet", "romeo"), "both");
}

#[test]
fn who_is_turned_down_is_told_and_nothing_is_left_of_the_request() {
    let mut town = Town::new();
    town.requests("romeo", Subscribe, "juliet");
    town.hush();
    town.requests("juliet", Unsubscribed, "romeo");
    assert_eq!(
        town.shown(),
        ["romeo: juliet Unsubscribed", "romeo: [juliet none]"]
    );
    assert_eq!(town.state("romeo", "juliet"), "none");
    assert_eq!(town.state("juliet", "romeo"), "-");
}

#[test]
fn a_subscription_is_cancelled_by_who_is_seen() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.requests("juliet", Unsubscribed, "romeo");
    assert_eq!(
        town.shown(),
        [
            "juliet: [romeo to]",
            "romeo: juliet Unsubscribed",
            "romeo: [juliet from]"
        ]
    );
}

#[test]
fn a_subscription_is_ended_by_who_sees() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.requests("romeo", Unsubscribe, "juliet");
    assert_eq!(
        town.shown(),
        [
            "romeo: [juliet from]",
            "juliet: romeo Unsubscribe",
            "juliet: [romeo to]"
        ]
    );
    assert_eq!(town.state("juliet", "romeo"), "to");
}

#[test]
fn a_request_that_is_taken_back_is_forgotten() {
    let mut town = Town::new();
    town.requests("romeo", Subscribe, "juliet");
    assert_eq!(town.state("juliet", "romeo"), "none+in");
    town.requests("romeo", Unsubscribe, "juliet");
    assert_eq!(town.state("romeo", "juliet"), "none");
    assert_eq!(town.state("juliet", "romeo"), "-");
}

#[test]
fn who_is_approved_before_they_ask_is_let_in_at_once() {
    let mut town = Town::new();
    town.requests("juliet", Subscribed, "romeo");
    assert_eq!(town.shown(), ["juliet: [romeo none, approved]"]);
    assert_eq!(town.state("romeo", "juliet"), "-", "nobody was told");
    town.requests("romeo", Subscribe, "juliet");
    assert_eq!(
        town.shown(),
        [
            "romeo: [juliet none, asked]",
            "juliet: [romeo from, approved]",
            "romeo: juliet Subscribed",
            "romeo: [juliet to]"
        ]
    );
}

#[test]
fn who_is_subscribed_and_asks_again_is_answered_by_the_server() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    // Romeo's server lost its view.
    let contact = town.kept.get_mut(&(at("romeo"), at("juliet"))).unwrap();
    contact.to = domain::roster::Direction::None;
    town.restarts();
    town.requests("romeo", Subscribe, "juliet");
    assert_eq!(
        town.shown(),
        [
            "romeo: [juliet from, asked]",
            "romeo: juliet Subscribed",
            "romeo: [juliet both]"
        ]
    );
}

#[test]
fn a_request_is_shown_to_each_client_that_comes_until_it_is_answered() {
    let mut town = Town::new();
    town.requests_of("romeo", Subscribe, at("juliet"), b"it is me");
    town.requests("romeo", Subscribe, "juliet");
    town.restarts();
    town.hush();
    town.comes("juliet", "balcony");
    town.comes("juliet", "chamber");
    let asks: Vec<_> = town.shown();
    let asks = asks.iter().filter(|it| it.contains("Subscribe"));
    assert_eq!(
        asks.collect::<Vec<_>>(),
        [
            "juliet/balcony: romeo Subscribe",
            "juliet/chamber: romeo Subscribe"
        ]
    );
    let kept = &town.kept[&(at("juliet"), at("romeo"))];
    assert_eq!(&kept.asked[..], b"it is me");
    assert_eq!(town.roster("juliet").unwrap().contacts, []);
    town.requests("juliet", Subscribed, "romeo");
    town.hush();
    town.comes("juliet", "garden");
    assert!(!town.shown().iter().any(|it| it.contains("Subscribe")));
}

#[test]
fn who_is_taken_off_the_list_is_told_what_that_means() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    assert_eq!(town.unlists("romeo", "juliet"), Some(Ok(())));
    assert_eq!(
        town.shown(),
        [
            "romeo: [no juliet]",
            "juliet: romeo Unsubscribe",
            "juliet: [romeo to]",
            "juliet: romeo Unsubscribed",
            "juliet: [romeo none]"
        ]
    );
    assert_eq!(town.state("romeo", "juliet"), "-");
    assert_eq!(town.unlists("romeo", "juliet"), Some(Err(NotDone::Missing)));
}

#[test]
fn who_leaves_is_subscribed_to_nobody_and_nobody_to_them() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    town.requests("nurse", Subscribe, "romeo");
    town.restarts();
    town.hush();
    town.leaves("romeo");
    assert_eq!(
        town.shown(),
        [
            "juliet: romeo Unsubscribe",
            "juliet: [romeo to]",
            "juliet: romeo Unsubscribed",
            "juliet: [romeo none]",
            "nurse: romeo Unsubscribed",
            "nurse: [romeo none]"
        ]
    );
    assert_eq!(town.state("juliet", "romeo"), "none");
    assert_eq!(town.state("romeo", "juliet"), "-");
}

#[test]
fn a_list_has_names_and_groups_and_its_version_changes_with_them() {
    let mut town = Town::new();
    let empty = town.roster("romeo").unwrap();
    assert_eq!(empty.contacts, []);
    town.lists_in(
        "romeo",
        "juliet",
        "My love",
        &["Verona", "Friends", "Verona"],
    );
    assert_eq!(town.shown(), ["romeo: [juliet none]"]);
    let first = town.roster("romeo").unwrap();
    assert_eq!(first.contacts[0].name, "My love");
    assert_eq!(first.contacts[0].groups, ["Friends", "Verona"]);
    town.lists("romeo", "juliet", "Juliet");
    let second = town.roster("romeo").unwrap();
    assert!(second.version != first.version && first.version != empty.version);
    town.restarts();
    assert_eq!(town.roster("romeo").unwrap(), second);
    // The same once more changes nothing.
    let saves = town.saves;
    assert_eq!(town.lists("romeo", "juliet", "Juliet"), Some(Ok(())));
    assert_eq!(town.saves, saves);
}

#[test]
fn what_the_store_refuses_has_not_been_said() {
    let mut town = Town::new();
    town.befriends("romeo", "juliet");
    let kept = town.kept.clone();
    town.mood = StoreMood::Refuses;
    let failed = |answer| matches!(answer, Some(Err(NotDone::Failed(_))));
    assert!(failed(town.requests("romeo", Unsubscribe, "juliet")));
    assert!(failed(town.requests("romeo", Subscribe, "nurse")));
    assert!(failed(town.lists("romeo", "nurse", "Nurse")));
    assert!(failed(town.unlists("romeo", "juliet")));
    assert_eq!(town.shown(), [""; 0]);
    town.mood = StoreMood::Saves;
    let roster = town.roster("romeo").unwrap();
    assert_eq!(
        roster.contacts,
        [kept[&(at("romeo"), at("juliet"))].clone()]
    );
    assert_eq!(town.kept, kept);
}

#[test]
fn nobody_is_told_before_it_is_saved_and_what_comes_next_waits() {
    let mut town = Town::new();
    town.mood = StoreMood::Waits;
    assert_eq!(town.requests("romeo", Subscribe, "juliet"), None);
    assert_eq!(town.requests("romeo", Unsubscribe, "juliet"), None);
    assert_eq!(town.shown(), [""; 0]);
    town.answers();
    // Juliet's side waits for its own.
    assert_eq!(town.shown(), ["romeo: [juliet none, asked]"]);
    town.mood = StoreMood::Saves;
    town.answers();
    assert_eq!(town.state("romeo", "juliet"), "none");
    assert_eq!(town.state("juliet", "romeo"), "-");
}

#[test]
fn a_refusal_that_crosses_a_second_request_leaves_both_of_one_mind() {
    let mut town = Town::new();
    town.requests("romeo", Subscribe, "juliet");
    town.slow = true;
    town.requests("romeo", Unsubscribe, "juliet");
    town.requests("romeo", Subscribe, "juliet");
    town.requests("juliet", Unsubscribed, "romeo");
    // Hers arrives last.
    town.slow = false;
    town.pass(1);
    assert_eq!(town.state("romeo", "juliet"), "none");
    assert_eq!(town.state("juliet", "romeo"), "-");
}

#[test]
fn a_word_that_was_lost_is_made_up_for_when_the_next_client_comes() {
    // Juliet lets Romeo in, and his side cannot keep that.
    let mut town = Town::new();
    town.requests("romeo", Subscribe, "juliet");
    town.slow = true;
    town.requests("juliet", Subscribed, "romeo");
    town.mood = StoreMood::Refuses;
    town.slow = false;
    town.pass(1);
    assert_eq!(town.state("romeo", "juliet"), "none+out");
    town.mood = StoreMood::Saves;
    town.comes("romeo", "garden");
    assert_eq!(town.state("romeo", "juliet"), "to");

    // She cancels it, and his side does not hear.
    town.slow = true;
    town.requests("juliet", Unsubscribed, "romeo");
    town.wire.clear();
    town.slow = false;
    town.comes("romeo", "orchard");
    assert_eq!(town.state("romeo", "juliet"), "none");
}
