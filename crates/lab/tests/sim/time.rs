use std::time::{Duration, Instant};

use lab::sim::{Alarms, Clock, Queue};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn events_happen_in_the_order_of_their_times_and_of_one_time_in_which_they_were_put() {
    let start = Instant::now();
    let mut queue = Queue::default();
    queue.push(start + SECOND, "second");
    queue.push(start + SECOND, "third");
    let taken_back = queue.push(start + SECOND, "never");
    queue.push(start, "first");
    assert_eq!(queue.cancel(taken_back), Some("never"));
    assert_eq!(queue.cancel(taken_back), None);
    assert_eq!(queue.next(), Some(start));
    assert_eq!(queue.pop(start), Some("first"));
    assert_eq!(queue.pop(start), None, "not yet");
    assert_eq!(queue.pop(start + SECOND), Some("second"));
    assert_eq!(queue.pop(start + SECOND), Some("third"));
    assert!(queue.is_empty());
}

#[test]
fn a_machine_is_woken_at_the_last_time_that_it_named_and_once() {
    let start = Instant::now();
    let mut alarms = Alarms::default();
    alarms.set(2, Some(start + 3 * SECOND));
    alarms.set(1, Some(start + 3 * SECOND));
    alarms.set(2, Some(start + SECOND));
    alarms.set(2, Some(start + 2 * SECOND));
    alarms.set(3, Some(start));
    alarms.set(3, None);
    assert_eq!(alarms.next(), Some(start + 2 * SECOND));
    assert_eq!(alarms.pop(start + SECOND), None);
    assert_eq!(alarms.pop(start + 3 * SECOND), Some(2));
    assert_eq!(alarms.pop(start + 3 * SECOND), Some(1));
    assert_eq!(alarms.next(), None);
}

#[test]
fn time_moves_on_only_when_it_is_moved_and_never_back() {
    let start = Instant::now();
    let mut clock = Clock::new(start);
    let began = clock.timestamp();
    clock.advance_to(start + SECOND);
    clock.advance_to(start);
    assert_eq!(clock.now(), start + SECOND);
    assert_eq!(clock.elapsed(), SECOND);
    assert_eq!(clock.timestamp().since(began), SECOND);
}
