//! What happens on the connections to a provider: bursts, SETTINGS, GOAWAY, resets, silence.

mod support;

use domain::Outcome;
use reveille_push::{Limits, Pusher};
use std::{sync::Arc, time::Duration};
use support::{
    Diary, all_accepted, burst, call,
    frames::{Listener, Seen},
    iphone, limits, message, play, pusher, tls,
};
use tokio::time::Instant;

const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;

async fn world(limits: Limits) -> (Listener, Pusher) {
    let tls = tls();
    let cloud = Listener::bind(tls.acceptor).await;
    let pusher = pusher(vec![iphone(cloud.port())], tls.roots, limits);
    (cloud, pusher)
}

#[tokio::test]
async fn a_first_burst_of_100_uses_one_stream_until_it_is_authorised_and_loses_nothing() {
    let (cloud, pusher) = world(limits()).await;
    let all = burst(&pusher, 100);
    let apple = async {
        // SETTINGS allow many at once; the rule of one stream holds all the same.
        let mut connection = cloud.accept(1000).await;
        let first = connection.request().await.unwrap();
        // Whatever else the client wanted to send is sent by the time that it acknowledges this.
        connection.settings(1000).await;
        connection.settings_taken().await;
        assert_eq!(connection.open, [first]);
        connection.accept(first).await;
        // Now they come together: the second is not answered before the last is there.
        while connection.open.len() < 99 {
            connection.request().await.unwrap();
        }
        for stream in connection.open.clone() {
            connection.accept(stream).await;
        }
        connection
    };
    let (outcomes, _connection) = play(all, apple).await;
    assert_eq!(outcomes.len(), 100);
    assert!(all_accepted(&outcomes), "{outcomes:?}");
}

#[tokio::test]
async fn settings_that_fall_to_one_in_the_middle_are_kept_and_lose_nothing() {
    let one = Limits {
        connections: 1,
        ..limits()
    };
    let (cloud, pusher) = world(one).await;
    let all = burst(&pusher, 60);
    let apple = async {
        let mut connection = cloud.accept(10).await;
        let first = connection.request().await.unwrap();
        connection.accept(first).await;
        while connection.open.len() < 10 {
            connection.request().await.unwrap();
        }
        connection.settings(1).await;
        connection.settings_taken().await;
        for stream in connection.open.clone() {
            connection.accept(stream).await;
        }
        let mut answered = 11;
        while answered < 60 {
            let stream = connection.request().await.unwrap();
            assert_eq!(connection.open, [stream], "one at a time");
            connection.accept(stream).await;
            answered += 1;
        }
        connection
    };
    let (outcomes, _connection) = play(all, apple).await;
    assert!(all_accepted(&outcomes), "{outcomes:?}");
}

#[tokio::test]
async fn settings_that_rise_let_those_who_wait_go_on() {
    let one = Limits {
        connections: 1,
        ..limits()
    };
    let (cloud, pusher) = world(one).await;
    let all = burst(&pusher, 30);
    let apple = async {
        let mut connection = cloud.accept(1).await;
        let first = connection.request().await.unwrap();
        connection.accept(first).await;
        connection.request().await.unwrap();
        // Nothing is answered: SETTINGS alone must wake them.
        connection.settings(1000).await;
        while connection.open.len() < 29 {
            connection.request().await.unwrap();
        }
        for stream in connection.open.clone() {
            connection.accept(stream).await;
        }
        connection
    };
    let (outcomes, _connection) = play(all, apple).await;
    assert!(all_accepted(&outcomes), "{outcomes:?}");
}

#[tokio::test]
async fn another_connection_opens_when_streams_run_out() {
    let (cloud, pusher) = world(limits()).await;
    let all = burst(&pusher, 6);
    let apple = async {
        let mut first = cloud.accept(2).await;
        let stream = first.request().await.unwrap();
        first.accept(stream).await;
        while first.open.len() < 2 {
            first.request().await.unwrap();
        }
        // The first one is full, and stays so until the other has served somebody.
        let mut second = cloud.accept(2).await;
        let stream = second.request().await.unwrap();
        second.accept(stream).await;
        tokio::spawn(first.accept_all());
        tokio::spawn(second.accept_all());
    };
    let (outcomes, ()) = play(all, apple).await;
    assert!(all_accepted(&outcomes), "{outcomes:?}");
}

#[tokio::test]
async fn go_away_in_a_burst_loses_nothing_and_sends_nothing_twice() {
    let (cloud, pusher) = world(limits()).await;
    let all = burst(&pusher, 50);
    let apple = async {
        let mut first = cloud.accept(20).await;
        let stream = first.request().await.unwrap();
        first.accept(stream).await;
        while first.open.len() < 20 {
            first.request().await.unwrap();
        }
        // Half of what is open was looked at, and is answered; the rest was not.
        let looked_at: Vec<u32> = first.open.iter().copied().take(10).collect();
        first.go_away(*looked_at.last().unwrap(), "Shutdown").await;
        for stream in looked_at {
            first.accept(stream).await;
        }
        let mut second = cloud.accept(1000).await;
        for _ in 0..50 - 11 {
            let stream = second.request().await.unwrap();
            second.accept(stream).await;
        }
        assert!(second.open.is_empty());
        (first, second)
    };
    let (outcomes, _connections) = play(all, apple).await;
    assert!(all_accepted(&outcomes), "{outcomes:?}");
}

#[tokio::test]
async fn a_spare_connection_that_says_goodbye_is_replaced_at_once_and_its_reason_is_told() {
    let tls = tls();
    let cloud = Listener::bind(tls.acceptor).await;
    let diary = Arc::new(Diary::default());
    let two = Limits {
        warm_connections: 2,
        ..limits()
    };
    let pusher = Pusher::new(vec![iphone(cloud.port())], tls.roots, two, diary.clone()).unwrap();
    let apple = async {
        let first = cloud.accept(1000).await;
        let second = cloud.accept(1000).await;
        (first, second)
    };
    let ((), (_first, mut second)) = play(pusher.warm(), apple).await;
    assert_eq!(diary.entries(), ["connected", "connected"]);
    second.go_away(0, "IdleTimeout").await;
    let (third, ()) = play(cloud.accept(1000), async {}).await;
    drop(third);
    assert!(
        diary
            .entries()
            .iter()
            .any(|entry| entry.contains("IdleTimeout")),
        "{:?}",
        diary.entries()
    );
}

#[tokio::test]
async fn a_reset_before_any_answer_is_tried_once_more_on_another_connection() {
    let (cloud, pusher) = world(limits()).await;
    let apple = async {
        let mut first = cloud.accept(1000).await;
        let stream = first.request().await.unwrap();
        first.reset(stream, INTERNAL_ERROR).await;
        let mut second = cloud.accept(1000).await;
        let stream = second.request().await.unwrap();
        second.accept(stream).await;
        (first, second)
    };
    let (outcome, _connections) = play(pusher.push(call(1)), apple).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_before_any_answer_is_tried_once_more_on_another_connection() {
    let (cloud, pusher) = world(limits()).await;
    let apple = async {
        let mut first = cloud.accept(1000).await;
        first.request().await.unwrap();
        drop(first);
        let mut second = cloud.accept(1000).await;
        let stream = second.request().await.unwrap();
        second.accept(stream).await;
        second
    };
    let (outcome, _connection) = play(pusher.push(call(1)), apple).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}

#[tokio::test]
async fn what_is_lost_twice_is_unavailable_and_not_tried_a_third_time() {
    let (cloud, pusher) = world(limits()).await;
    let apple = async {
        for _ in 0..2 {
            let mut connection = cloud.accept(1000).await;
            connection.request().await.unwrap();
        }
        tokio::select! {
            _ = cloud.accept(1000) => panic!("a third attempt"),
            () = std::future::pending() => {}
        }
    };
    let outcome = tokio::select! {
        outcome = pusher.push(call(1)) => outcome,
        () = apple => unreachable!("it never ends"),
    };
    let Outcome::Unavailable { retry_after, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(retry_after >= Duration::from_secs(10));
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_on_the_same_connection() {
    let (cloud, pusher) = world(limits()).await;
    let apple = async {
        let mut connection = cloud.accept(1000).await;
        for _ in 0..3 {
            let stream = connection.request().await.unwrap();
            connection.reset(stream, REFUSED_STREAM).await;
        }
        let stream = connection.request().await.unwrap();
        connection.accept(stream).await;
        connection
    };
    let (outcome, _connection) = play(pusher.push(call(1)), apple).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_ends_at_the_deadline() {
    let short = Limits {
        deadline: Duration::from_millis(300),
        ..limits()
    };
    let (cloud, pusher) = world(short).await;
    let apple = async {
        let mut connection = cloud.accept(1000).await;
        let stream = connection.request().await.unwrap();
        // The client gives the stream up, so that it does not count for ever.
        while connection.next().await.unwrap() != Seen::Reset(stream) {}
    };
    let started = Instant::now();
    let (outcome, ()) = play(pusher.push(call(1)), apple).await;
    let Outcome::Unavailable {
        reason,
        retry_after,
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason, "no answer within 300ms");
    assert!(retry_after >= Duration::from_secs(10));
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_connection_that_has_died_in_silence_is_found_out_and_the_push_takes_another() {
    let quick = Limits {
        patience: Duration::from_millis(50),
        ping: Duration::from_millis(50),
        ..limits()
    };
    let (cloud, pusher) = world(quick).await;
    let apple = async {
        let mut first = cloud.accept(1000).await;
        first.answer_pings = false;
        first.request().await.unwrap();
        let mut second = cloud.accept(1000).await;
        let stream = second.request().await.unwrap();
        second.accept(stream).await;
        (first, second)
    };
    let (outcome, _connections) = play(pusher.push(call(1)), apple).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_connection_that_answers_only_pings_gets_nothing_new() {
    let quick = Limits {
        patience: Duration::from_millis(50),
        ..limits()
    };
    let (cloud, pusher) = world(quick).await;
    let all = async { tokio::join!(pusher.push(call(1)), pusher.push(call(2))) };
    let apple = async {
        let mut first = cloud.accept(1000).await;
        let unanswered = first.request().await.unwrap();
        first.settings_taken().await;
        let mut second = tokio::select! {
            second = cloud.accept(1000) => second,
            // Answers PINGs.
            seen = first.next() => panic!("{seen:?}"),
        };
        let stream = second.request().await.unwrap();
        second.accept(stream).await;
        // Late is not too late.
        first.accept(unanswered).await;
        (first, second)
    };
    let ((one, two), _connections) = play(all, apple).await;
    assert!(all_accepted(&[one, two]));
}

#[tokio::test]
async fn nobody_listening_is_unavailable_at_once_and_heals() {
    let tls = tls();
    let closed = Listener::bind(tls.acceptor.clone()).await;
    let port = closed.port();
    drop(closed);
    let diary = Arc::new(Diary::default());
    let pusher = Pusher::new(vec![iphone(port)], tls.roots, limits(), diary.clone()).unwrap();
    for _ in 0..5 {
        let outcome = pusher.push(call(1)).await;
        assert!(
            matches!(outcome, Outcome::Unavailable { .. }),
            "{outcome:?}"
        );
    }
    // The first push tries twice; the others come within the pause after that.
    let attempts = diary
        .entries()
        .iter()
        .filter(|entry| entry.starts_with("unreachable"))
        .count();
    assert!((2..=6).contains(&attempts), "{attempts}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_trusted() {
    let (cloud, stranger) = (Listener::bind(tls().acceptor).await, tls());
    let pusher = pusher(vec![iphone(cloud.port())], stranger.roots, limits());
    let apple = async {
        loop {
            cloud.accept_in_vain().await;
        }
    };
    let outcome = tokio::select! {
        outcome = pusher.push(call(1)) => outcome,
        () = apple => unreachable!("it never ends"),
    };
    assert!(outcome.reason().contains("certificate"), "{outcome:?}");
    assert_eq!(outcome.name(), "unavailable");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let narrow = Limits {
        queue: 3,
        deadline: Duration::from_millis(500),
        ..limits()
    };
    let (_cloud, pusher) = world(narrow).await;
    let outcomes = burst(&pusher, 10).await;
    let full = |outcome: &&Outcome| outcome.reason().contains("too many pushes wait");
    assert_eq!(outcomes.iter().filter(full).count(), 7, "{outcomes:?}");
}

#[tokio::test]
async fn shutdown_lets_what_is_under_way_finish_and_takes_nothing_new() {
    let (cloud, pusher) = world(limits()).await;
    let apple = async {
        let mut connection = cloud.accept(1000).await;
        let stream = connection.request().await.unwrap();
        let closing = tokio::spawn({
            let pusher = pusher.clone();
            async move { pusher.shutdown().await }
        });
        // It takes nothing new before what is under way is answered.
        let refused = loop {
            let outcome = pusher.push(call(2)).await;
            if outcome.name() == "unavailable" {
                break outcome;
            }
        };
        assert_eq!(refused.reason(), "shutting down");
        connection.accept(stream).await;
        assert_eq!(connection.request().await, None);
        closing.await.unwrap();
    };
    let (outcome, ()) = play(pusher.push(call(1)), apple).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_call_goes_before_messages_that_have_waited_longer() {
    let one = Limits {
        connections: 1,
        ..limits()
    };
    let (cloud, pusher) = world(one).await;
    let served = std::sync::Mutex::new(Vec::new());
    let push = async |name: &'static str, push| {
        assert_eq!(pusher.push(push).await.name(), "accepted");
        served.lock().unwrap().push(name);
    };
    let all = async {
        tokio::join!(
            push("message 1", message()),
            push("message 2", message()),
            push("message 3", message()),
            push("call", call(1)),
        )
    };
    let apple = async {
        let mut connection = cloud.accept(1).await;
        for _ in 0..4 {
            let stream = connection.request().await.unwrap();
            connection.accept(stream).await;
        }
        connection
    };
    let (_, _connection) = play(all, apple).await;
    let served = served.into_inner().unwrap();
    assert_eq!(served, ["call", "message 1", "message 2", "message 3"]);
}

#[tokio::test]
async fn a_provider_that_hangs_up_at_once_is_not_hammered() {
    let one = Limits {
        warm_connections: 1,
        ..limits()
    };
    let (cloud, pusher) = world(one).await;
    let apple = async {
        drop(cloud.accept(1000).await);
        let first = Instant::now();
        for _ in 0..3 {
            drop(cloud.accept(1000).await);
        }
        // Nothing, 100 ms, 200 ms.
        assert!(first.elapsed() >= Duration::from_millis(250));
    };
    play(pusher.warm(), apple).await;
}

#[tokio::test]
async fn goodbyes_in_a_row_lose_nothing() {
    let (cloud, pusher) = world(limits()).await;
    let apple = async {
        for _ in 0..4 {
            let mut connection = cloud.accept(1000).await;
            connection.request().await.unwrap();
            connection.go_away(0, "Shutdown").await;
        }
        let mut connection = cloud.accept(1000).await;
        let stream = connection.request().await.unwrap();
        connection.accept(stream).await;
        connection
    };
    let (outcome, _connection) = play(pusher.push(call(1)), apple).await;
    assert_eq!(outcome.name(), "accepted", "{outcome:?}");
}
