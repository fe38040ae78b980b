use std::time::{Duration, Instant};

use domain::Outcome;
use lab::rng::Rng;
use lab::sim::{Cloud, Fate, Said};

const SECOND: Duration = Duration::from_secs(1);

/// What is said to one push, with its time.
fn said(fate: Option<Fate>) -> Vec<(Duration, Said<&'static str>)> {
    let start = Instant::now();
    let mut cloud = Cloud::default();
    if let Some(fate) = fate {
        cloud.decide("bob's", fate);
    }
    cloud.push(start, 1, "bob's", &"a call");
    let mut all = Vec::new();
    while let Some(at) = cloud.next_timeout() {
        all.extend(cloud.poll(at).map(|said| (at - start, said)));
    }
    all
}

fn deliveries(said: &[(Duration, Said<&str>)]) -> Vec<Duration> {
    let delivered = said.iter().filter(
        |(_, said)| matches!(said, Said::Delivered { token, push: "a call" } if token == "bob's"),
    );
    delivered.map(|(at, _)| *at).collect()
}

fn answers(said: &[(Duration, Said<&str>)]) -> Vec<(Duration, &'static str)> {
    let answered = said.iter().filter_map(|(at, said)| match said {
        Said::Answered { id: 1, outcome } => Some((*at, outcome.name())),
        _ => None,
    });
    answered.collect()
}

#[test]
fn a_cloud_in_a_good_mood_accepts_and_delivers_once() {
    let said = said(None);
    assert_eq!(deliveries(&said).len(), 1);
    assert_eq!(answers(&said)[0].1, "accepted");
}

#[test]
fn a_push_is_delivered_late_twice_or_never_and_accepted_all_the_same() {
    for times in [vec![30 * SECOND], vec![SECOND, 2 * SECOND], vec![]] {
        let said = said(Some(Fate::delivered(times.clone())));
        assert_eq!(deliveries(&said), times);
        assert_eq!(answers(&said)[0].1, "accepted");
    }
}

#[test]
fn what_is_not_accepted_is_not_delivered_and_a_slow_cloud_says_so_late() {
    let unavailable = Outcome::Unavailable {
        reason: "InternalServerError".to_owned(),
        retry_after: SECOND,
    };
    let said_dead = said(Some(Fate::dead(None)));
    let said_slow = said(Some(Fate::refused(unavailable).slow(10 * SECOND)));
    assert!(deliveries(&said_dead).is_empty() && deliveries(&said_slow).is_empty());
    assert_eq!(answers(&said_dead)[0].1, "token_dead");
    assert_eq!(answers(&said_slow), [(10 * SECOND, "unavailable")]);
}

#[test]
fn every_push_has_one_answer_whatever_its_fate() {
    let mut rng = Rng::new(1);
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..500 {
        let said = said(Some(Fate::drawn(&mut rng)));
        let answers = answers(&said);
        assert_eq!(answers.len(), 1);
        names.insert(answers[0].1);
    }
    assert_eq!(names.len(), 5, "{names:?}");
}
