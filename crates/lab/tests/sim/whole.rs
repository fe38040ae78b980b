//! Whole worlds: a few as they are, and six with something taken out of the product that the model must miss.

use std::time::Instant;

use lab::sim::whole::{Switch, play};

/// The first failure among the worlds of so many seeds.
fn failure(switch: Switch, seeds: u64) -> Option<String> {
    failure_like(switch, seeds, "")
}

/// The first that says this.
fn failure_like(switch: Switch, seeds: u64, says: &str) -> Option<String> {
    let start = Instant::now();
    let stories = (1..=seeds).map(|seed| (seed, play(seed, switch, start, false)));
    let failures = stories.filter_map(|(seed, it)| Some((seed, it.failure?)));
    let mut wanted = failures.filter(|(_, failure)| failure.contains(says));
    wanted
        .next()
        .map(|(seed, failure)| format!("seed {seed}: {failure}"))
}

#[test]
fn nothing_is_wrong_in_a_handful_of_worlds() {
    assert_eq!(failure(Switch::None, 25), None);
}

#[test]
fn a_seed_plays_the_same_world_every_time() {
    let start = Instant::now();
    // In the second the server stops with several sessions of XMPP, each of which is kept or not.
    for seed in [21, 5_318] {
        let stories = [(); 4].map(|()| play(seed, Switch::None, start, true));
        assert!(!stories[0].lines.is_empty());
        assert!(stories.iter().all(|it| *it == stories[0]), "seed {seed}");
    }
}

#[test]
fn without_the_late_fork_phones_come_in_vain() {
    let failure = failure(Switch::LateFork, 1_000).unwrap();
    assert!(failure.contains("was not sent it"), "{failure}");
}

#[test]
fn without_the_callkit_rule_an_app_is_killed() {
    let failure = failure(Switch::CallKit, 1_000).unwrap();
    assert!(failure.contains("was killed"), "{failure}");
}

#[test]
fn without_the_time_for_an_acknowledgement_who_does_not_answer_counts_as_awake() {
    let failure = failure_like(Switch::AckWindow, 1_000, "counts as awake");
    assert!(failure.is_some());
}

#[test]
fn without_the_rule_for_dead_connections_one_is_believed_in() {
    let failure = failure(Switch::DeadConnection, 1_000).unwrap();
    assert!(failure.contains("is believed in"), "{failure}");
}

#[test]
fn when_a_call_that_is_proposed_again_is_another_one_it_wakes_twice() {
    let failure = failure_like(Switch::CallsAgain, 1_000, "twice");
    assert!(failure.is_some());
}

#[test]
fn without_the_wait_for_the_commit_something_is_promised_that_is_not_kept() {
    let failure = failure(Switch::Commit, 1_000).unwrap();
    assert!(failure.contains("not kept"), "{failure}");
}
