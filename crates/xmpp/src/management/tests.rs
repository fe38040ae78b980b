//! Each end alone under virtual time.

use std::time::{Duration, Instant};

use super::*;

mod two_ends;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
fn start() -> Instant {
    Instant::now()
}

/// Has sent so many items, one a second.
fn sent(start: Instant, items: u32) -> Outbound<u32> {
    let mut outbound = Outbound::new(start, Policy::default());
    for item in 0..items {
        let at = start + seconds(item.into());
        outbound.sent(at, item, 1).expect("room");
    }
    outbound
}

#[test]
fn a_dead_connection_is_found_fifteen_seconds_after_the_first_message() {
    let start = start();
    let mut outbound = sent(start, 1);
    assert_eq!(outbound.poll(start + seconds(1)), None);
    assert_eq!(outbound.next_timeout(), Some(start + seconds(2)));
    assert_eq!(outbound.poll(start + seconds(2)), Some(Due::Ask));
    outbound.sent(start + seconds(9), 1, 1).expect("room");
    assert_eq!(
        outbound.poll(start + seconds(14)),
        None,
        "never two questions"
    );
    assert_eq!(outbound.next_timeout(), Some(start + seconds(15)));
    assert_eq!(outbound.poll(start + seconds(15)), Some(Due::Dead));
    outbound.suspend();
    assert_eq!(outbound.next_timeout(), None);
    assert_eq!(outbound.unacknowledged().len(), 2);
}

#[test]
fn a_question_that_is_late_leaves_the_peer_its_time() {
    let start = start();
    let mut outbound = sent(start, 1);
    assert_eq!(outbound.poll(start + seconds(60)), Some(Due::Ask));
    assert_eq!(outbound.poll(start + seconds(60)), None);
    assert_eq!(outbound.next_timeout(), Some(start + seconds(73)));
}

#[test]
fn any_answer_shows_that_somebody_is_there() {
    let start = start();
    let mut outbound = sent(start, 1);
    assert_eq!(outbound.poll(start + seconds(2)), Some(Due::Ask));
    assert_eq!(outbound.acknowledged(start + seconds(3), 0), Ok(vec![]));
    assert_eq!(outbound.next_timeout(), Some(start + seconds(18)));
    assert_eq!(outbound.poll(start + seconds(18)), Some(Due::Ask));
    assert_eq!(outbound.acknowledged(start + seconds(19), 1), Ok(vec![0]));
    assert_eq!(outbound.next_timeout(), None);
    assert_eq!(outbound.octets(), 0);
}

#[test]
fn many_items_are_asked_about_at_once() {
    let start = start();
    let mut outbound = Outbound::new(start, Policy::default());
    for item in 0..10 {
        assert_eq!(outbound.poll(start), None);
        outbound.sent(start, item, 1).expect("room");
    }
    assert_eq!(outbound.poll(start), Some(Due::Ask));
    assert_eq!(outbound.poll(start), None);
}

#[test]
fn counts_that_cannot_be() {
    let start = start();
    let mut outbound = sent(start, 3);
    let too_high = TooHigh {
        handled: 4,
        sent: 3,
    };
    assert_eq!(outbound.acknowledged(start, 4), Err(too_high));
    assert_eq!(outbound.acknowledged(start, 2), Ok(vec![0, 1]));
    assert_eq!(outbound.acknowledged(start, 1), Ok(vec![]), "went back");
    assert_eq!(outbound.acknowledged(start, 2), Ok(vec![]));
    outbound.suspend();
    assert!(
        outbound.resume(start, 1).is_err(),
        "it is not kept any more"
    );
    assert!(outbound.resume(start, 4).is_err());
    assert_eq!(outbound.resume(start, 2), Ok(vec![]));
    assert!(outbound.unacknowledged().eq([&2]));
}

#[test]
fn what_has_no_room_is_given_back_and_not_counted() {
    let start = start();
    let policy = Policy {
        max_items: 2,
        max_octets: 10,
        ..Policy::default()
    };
    let mut outbound = Outbound::new(start, policy);
    assert_eq!(outbound.sent(start, 'a', 11), Err(Overflow('a')));
    assert_eq!(outbound.sent(start, 'b', 4), Ok(()));
    assert_eq!(outbound.sent(start, 'c', 7), Err(Overflow('c')));
    assert_eq!(outbound.sent(start, 'd', 6), Ok(()));
    assert_eq!(outbound.sent(start, 'e', 0), Err(Overflow('e')));
    assert_eq!((outbound.count(), outbound.octets()), (2, 10));
    assert_eq!(outbound.acknowledged(start, 1), Ok(vec!['b']));
    assert_eq!(outbound.sent(start, 'f', 4), Ok(()));
}

#[test]
fn counts_begin_again_behind_the_last() {
    let start = start();
    let parts = OutboundParts {
        acknowledged: u32::MAX - 1,
        items: vec![(1, 1), (2, 1), (3, 1)],
    };
    let mut outbound = Outbound::from_parts(start, Policy::default(), parts);
    assert_eq!(outbound.resume(start, u32::MAX), Ok(vec![1]));
    assert_eq!(outbound.acknowledged(start, 0), Ok(vec![2]));
    assert_eq!(outbound.acknowledged(start, u32::MAX), Ok(vec![]));
    assert!(outbound.acknowledged(start, 2).is_err());
    assert_eq!(outbound.acknowledged(start, 1), Ok(vec![3]));

    let mut inbound = Inbound::new(Answering::default(), u32::MAX);
    let first = inbound.arrived().expect("room");
    let second = inbound.arrived().expect("room");
    inbound.kept(second);
    assert_eq!(inbound.handled(), u32::MAX);
    inbound.kept(first);
    assert_eq!(inbound.handled(), 1);
    inbound.kept(first);
    assert_eq!(inbound.handled(), 1, "twice is as good as once");
}

#[test]
fn an_answer_waits_for_the_store_but_not_for_long() {
    let start = start();
    let mut inbound = Inbound::new(Answering::default(), 0);
    inbound.asked(start);
    assert_eq!(inbound.poll(start), Some(0), "nothing to wait for");
    let seqs = [(); 3].map(|()| inbound.arrived().expect("room"));
    inbound.kept(seqs[0]);
    inbound.asked(start);
    assert_eq!(inbound.poll(start), None);
    assert_eq!(inbound.next_timeout(), Some(start + seconds(1)));
    assert_eq!(inbound.poll(start + seconds(1)), Some(1));
    assert_eq!(inbound.next_timeout(), None);
    inbound.kept(seqs[2]);
    assert_eq!(inbound.poll(start + seconds(2)), None);
    inbound.kept(seqs[1]);
    assert_eq!(inbound.poll(start + seconds(2)), Some(3), "the rest of it");
    assert_eq!(inbound.poll(start + seconds(2)), None);
}

#[test]
fn the_peer_is_told_unasked_after_so_many_and_they_are_limited() {
    let answering = Answering {
        unasked_after: 2,
        max_open: 3,
        ..Answering::default()
    };
    let mut inbound = Inbound::new(answering, 0);
    let seqs = [(); 3].map(|()| inbound.arrived().expect("room"));
    assert_eq!(inbound.arrived(), Err(TooMany));
    inbound.kept(seqs[0]);
    assert_eq!(inbound.poll(start()), None);
    inbound.kept(seqs[1]);
    assert_eq!(inbound.poll(start()), Some(2));
    assert!(inbound.arrived().is_ok());
}

#[test]
fn a_session_does_not_go_on_while_something_is_on_its_way_into_the_store() {
    let start = start();
    let mut session = Resumption::<u32>::new(start, Policy::default(), Answering::default());
    let seq = session.inbound.arrived().expect("room");
    session.suspend();
    assert_eq!(session.resume(start, 0), Err(CannotResume::NotYet));
    session.inbound.kept(seq);
    let handled = session.resume(start, 0).map(|goes_on| goes_on.handled);
    assert_eq!(handled, Ok(1));
}
