//! How streams end.

use net::{Limits, XmppEvent};
use tokio::io::AsyncWriteExt;

use crate::common::{PATIENCE, read_to_close, read_until, write};
use crate::world::{END, HEADER, SUCCESS, element, gone, world, xmpp_event};

const SHUTDOWN: &str = "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";

#[tokio::test]
async fn both_sides_close_one_after_the_other() {
    let mut world = world(1, Limits::default()).await;
    let (mut client, id) = world.signed_in(0).await;
    write(&mut client, END).await;
    let (_, ended) = xmpp_event(&mut world.events[0]).await;
    assert!(matches!(ended, XmppEvent::Ended));
    world.say(id, "<presence/>");
    world.say(id, END);
    world.net.end(id);
    let answer = read_to_close(&mut client).await;
    assert_eq!(answer, format!("<presence/>{END}"));
    drop(client);
    assert_eq!(gone(&mut world.events[0]).await, id);
    assert_eq!(world.net.stats().open, 0);
}

#[tokio::test]
async fn last_words_arrive_although_not_all_is_read() {
    let limits = Limits {
        events: 1,
        shutdown: PATIENCE,
        ..Limits::default()
    };
    let mut world = world(1, limits).await;
    let (client, id) = world.signed_in(0).await;
    let (mut reader, mut writer) = tokio::io::split(client);
    // More than the shard takes, and more than the system keeps.
    let flood = "<presence/>".repeat(1 << 20);
    let flooding = tokio::spawn(async move { writer.write_all(flood.as_bytes()).await });
    element(&mut world.events[0]).await;
    world.say(id, END);
    world.net.end(id);
    assert_eq!(read_to_close(&mut reader).await, END);
    // All is taken from it, and the connection is not reset.
    let flooded = tokio::time::timeout(PATIENCE, flooding).await.unwrap();
    flooded.unwrap().unwrap();
    while !matches!(xmpp_event(&mut world.events[0]).await.1, XmppEvent::Gone) {}
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_new_header_gets_one_of_ours() {
    let mut world = world(1, Limits::default()).await;
    let (mut client, id) = world.asking(0).await;
    world.net.signed_in(id, true);
    world.say(id, SUCCESS);
    read_until(&mut client, SUCCESS).await;
    write(&mut client, "<!DOCTYPE stream>").await;
    let answer = read_to_close(&mut client).await;
    assert!(answer.contains("<stream:stream "), "{answer}");
    assert!(answer.contains("<stream:error>"), "{answer}");
    assert_eq!(gone(&mut world.events[0]).await, id);
}

#[tokio::test]
async fn shutting_down_tells_every_stream_and_leaves_no_task() {
    let mut world = world(1, Limits::default()).await;
    let mut silent = world.in_the_clear().await;
    let mut greeted = world.in_the_clear().await;
    write(&mut greeted, HEADER).await;
    read_until(&mut greeted, "</stream:features>").await;
    let (mut signed_in, id) = world.signed_in(0).await;
    let (mut ended, by_us) = world.signed_in(0).await;
    world.say(by_us, END);
    world.net.end(by_us);
    world.say(id, "<presence/>");
    tokio::time::timeout(PATIENCE, world.net.shutdown())
        .await
        .unwrap();
    let tasks = tokio::runtime::Handle::current().metrics();
    assert_eq!(tasks.num_alive_tasks(), 0);
    assert_eq!(read_to_close(&mut silent).await, "");
    assert_eq!(read_to_close(&mut greeted).await, SHUTDOWN);
    let last_words = read_to_close(&mut signed_in).await;
    assert_eq!(last_words, format!("<presence/>{SHUTDOWN}"));
    assert_eq!(read_to_close(&mut ended).await, END);
}
