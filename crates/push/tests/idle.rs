//! Connections that nobody needs any more.

mod support;

use reveille_push::Limits;
use std::time::Duration;
use support::{all_accepted, burst, call, frames::Listener, iphone, limits, play, pusher, tls};
use tokio::select;

#[tokio::test]
async fn a_connection_that_a_burst_opened_is_let_go_and_the_warm_one_is_kept() {
    let quick = Limits {
        keep_alive: Duration::from_millis(10),
        idle: Duration::ZERO,
        warm_connections: 1,
        ..limits()
    };
    let tls = tls();
    let cloud = Listener::bind(tls.acceptor).await;
    let pusher = pusher(vec![iphone(cloud.port())], tls.roots, quick);
    let ((), mut first) = play(pusher.warm(), cloud.accept(1)).await;
    let serve_one = async {
        let stream = first.request().await.unwrap();
        first.accept(stream).await;
    };
    let (outcome, ()) = play(pusher.push(call(0)), serve_one).await;
    assert_eq!(outcome.name(), "accepted", "{outcome:?}");

    // One stream each: the second push needs a second connection.
    let apple = async {
        let held = first.request().await.unwrap();
        let mut second = cloud.accept(1).await;
        let stream = second.request().await.unwrap();
        second.accept(stream).await;
        first.accept(held).await;
        second
    };
    let (outcomes, mut second) = play(burst(&pusher, 2), apple).await;
    assert!(all_accepted(&outcomes), "{outcomes:?}");
    let (ended, mut kept) = select! {
        ended = first.request() => (ended, second),
        ended = second.request() => (ended, first),
    };
    assert_eq!(ended, None, "nothing was sent, and it ended");

    let serve_one = async {
        let stream = kept.request().await.unwrap();
        kept.accept(stream).await;
    };
    let (outcome, ()) = play(pusher.push(call(9)), serve_one).await;
    assert_eq!(outcome.name(), "accepted", "{outcome:?}");
}
