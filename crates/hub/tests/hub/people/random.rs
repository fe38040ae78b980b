//! Two users say random things to each other, their words cross, and their hubs forget what they have in memory. When all
//! is said and each has come once more, both sides see the same.

use super::town::{Town, at};
use crate::world::StoreMood;
use domain::roster::{Contact, Direction, Request};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Act {
    Requests(usize, Request),
    Lists(usize),
    Unlists(usize),
    Comes(usize),
    Goes(usize),
    Carries(usize),
    Waits,
    Saves,
    Restarts,
}

const NAMES: [&str; 2] = ["romeo", "juliet"];

fn act() -> impl Strategy<Value = Act> {
    use Request::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};
    let who = 0..2_usize;
    let requests = prop::sample::select(vec![Subscribe, Unsubscribe, Subscribed, Unsubscribed]);
    prop_oneof![
        8 => (who.clone(), requests).prop_map(|(who, request)| Act::Requests(who, request)),
        1 => who.clone().prop_map(Act::Lists),
        1 => who.clone().prop_map(Act::Unlists),
        1 => who.clone().prop_map(Act::Comes),
        1 => who.clone().prop_map(Act::Goes),
        8 => who.prop_map(Act::Carries),
        1 => Just(Act::Waits),
        2 => Just(Act::Saves),
        1 => Just(Act::Restarts),
    ]
}

fn does(town: &mut Town, act: Act) {
    let pair = |who: usize| (NAMES[who], NAMES[1 - who]);
    match act {
        Act::Requests(who, request) => {
            let (user, peer) = pair(who);
            town.requests(user, request, peer);
        }
        Act::Lists(who) => {
            let (user, peer) = pair(who);
            town.lists(user, peer, "you");
        }
        Act::Unlists(who) => {
            let (user, peer) = pair(who);
            town.unlists(user, peer);
        }
        Act::Comes(who) => town.comes(NAMES[who], "here"),
        Act::Goes(who) => town.goes(NAMES[who], "here"),
        Act::Carries(who) => drop(town.carry(who)),
        Act::Waits => town.mood = StoreMood::Waits,
        Act::Saves => saves(town),
        Act::Restarts => {
            // Nothing is under way in the hubs; what is on the wire stays there.
            saves(town);
            town.restarts();
        }
    }
}

fn saves(town: &mut Town) {
    town.mood = StoreMood::Saves;
    town.answers();
}

fn view(town: &Town, user: &str, peer: &str) -> Contact {
    let kept = town.kept.get(&(at(user), at(peer))).cloned();
    kept.unwrap_or_else(|| Contact::new(at(user), at(peer)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn both_sides_see_the_same_when_all_is_said(acts in prop::collection::vec(act(), 1..60)) {
        let mut town = Town::new();
        town.slow = true;
        for act in acts {
            does(&mut town, act);
        }
        saves(&mut town);
        town.slow = false;
        town.pass(0);
        for name in NAMES {
            town.comes(name, "once more");
        }
        let (romeo, juliet) = (view(&town, "romeo", "juliet"), view(&town, "juliet", "romeo"));
        prop_assert_eq!(romeo.to, juliet.from);
        prop_assert_eq!(juliet.to, romeo.from);
        prop_assert_eq!(town.wire.len(), 0);

        // Who sees the other sees that they are there.
        town.hush();
        for name in NAMES {
            town.comes(name, "once more");
        }
        let shown = town.shown();
        for (one, other, to) in [("romeo", "juliet", romeo.to), ("juliet", "romeo", juliet.to)] {
            let sees = shown.contains(&format!("{one}: {other}/once more Available"));
            prop_assert_eq!(sees, to == Direction::Subscribed);
        }
        // What is in memory is what the store has.
        for name in NAMES {
            let listed = town.kept.values().filter(|it| it.user == at(name) && it.is_listed);
            let listed: Vec<_> = listed.cloned().collect();
            prop_assert_eq!(town.roster(name).unwrap().contacts, listed);
            prop_assert_eq!(town.hub(name).load().steps, 0);
        }
    }
}
