//! Whose a stream is.

use net::Limits;
use xmpp::ns;

use crate::common::{read_until, write};
use crate::world::{CHALLENGE, FAILURE, RESPONSE, auth, element, gone, greeting, world};

#[tokio::test]
async fn each_stream_comes_to_its_shard_and_stays_there() {
    let mut world = world(3, Limits::default()).await;
    let mut clients = Vec::new();
    for shard in [2, 0, 1] {
        clients.push((shard, world.signed_in(shard).await));
    }
    for (shard, (client, _)) in &mut clients {
        // What would be a sign-in is an element like any other now.
        let text = format!(
            "<message id='a{shard}'/>{}<message id='b{shard}'/>",
            auth(1)
        );
        write(client, &text).await;
        let events = &mut world.events[*shard];
        let first = element(events).await;
        assert_eq!(first.attr("id"), Some(&*format!("a{shard}")));
        assert!(element(events).await.is(ns::SASL, "auth"));
        let last = element(events).await;
        assert_eq!(last.attr("id"), Some(&*format!("b{shard}")));
    }
    for (shard, (client, id)) in clients {
        drop(client);
        assert_eq!(gone(&mut world.events[shard]).await, id);
    }
    for events in &mut world.events {
        assert!(events.try_recv().is_none());
    }
}

#[tokio::test]
async fn another_attempt_is_steered_anew() {
    let mut world = world(3, Limits::default()).await;
    let (mut client, id) = world.asking(1).await;
    world.say(id, CHALLENGE);
    read_until(&mut client, CHALLENGE).await;
    write(&mut client, RESPONSE).await;
    element(&mut world.events[1]).await;
    world.say(id, FAILURE);
    read_until(&mut client, FAILURE).await;

    // The same shard is asked again, and another one.
    write(&mut client, &auth(1)).await;
    assert_eq!(greeting(&mut world.events[1]).await.0, id);
    world.say(id, FAILURE);
    write(&mut client, &auth(2)).await;
    assert_eq!(gone(&mut world.events[1]).await, id);
    assert_eq!(greeting(&mut world.events[2]).await.0, id);
    world.say(id, CHALLENGE);
    write(&mut client, RESPONSE).await;
    assert!(element(&mut world.events[2]).await.is(ns::SASL, "response"));
    drop(client);
    world.say(id, FAILURE);
    assert_eq!(gone(&mut world.events[2]).await, id);
    assert!(world.events[0].try_recv().is_none());
    assert!(world.events[1].try_recv().is_none());
}

#[tokio::test]
async fn a_shard_beyond_the_last_wraps_around() {
    let mut world = world(3, Limits::default()).await;
    let mut client = world.greeted().await;
    write(&mut client, &auth(7)).await;
    greeting(&mut world.events[1]).await;
}
