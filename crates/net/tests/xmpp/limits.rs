//! What a stream may cost, before and after its peer has signed in.

use std::time::Duration;

use net::{Limits, XmppEvent, XmppLimits};
use tokio::net::TcpStream;

use crate::common::{PATIENCE, closed, message, options, read_to_close, read_until, write};
use crate::world::{
    CHALLENGE, FAILURE, FEATURES_END, HEADER, PROCEED, STARTTLS, auth, element, gone, let_in,
    world, xmpp_event,
};

/// Enough for what is done at once, too short for what never comes.
const SHORT: Duration = Duration::from_millis(300);

fn limits(xmpp: XmppLimits) -> Limits {
    Limits {
        first_message: xmpp.sign_in,
        xmpp,
        ..Limits::default()
    }
}

fn nested(depth: usize) -> String {
    format!(
        "<message>{}{}</message>",
        "<a>".repeat(depth),
        "</a>".repeat(depth)
    )
}

#[tokio::test]
async fn a_flood_of_sign_ins_is_cut() {
    let mut world = world(1, Limits::default()).await;
    let mut client = world.greeted().await;
    write(&mut client, &auth(0).repeat(100)).await;
    let mut asked = 0;
    let last = loop {
        match xmpp_event(&mut world.events[0]).await {
            (id, XmppEvent::Greeted(..)) => world.say(id, FAILURE),
            (_, last) => break last,
        }
        asked += 1;
    };
    assert!(matches!(last, XmppEvent::Gone), "{last:?}");
    assert_eq!(asked, XmppLimits::default().tries);
    let answer = read_to_close(&mut client).await;
    assert_eq!(answer.matches(FAILURE).count(), asked);
    assert!(answer.contains("<policy-violation "), "{answer}");
}

#[tokio::test]
async fn who_fails_as_one_user_after_the_other_is_counted_too() {
    let mut world = world(2, Limits::default()).await;
    let mut client = world.greeted().await;
    for shard in [0, 1, 0] {
        write(&mut client, &auth(shard)).await;
        let id = loop {
            if let (id, XmppEvent::Greeted(..)) = xmpp_event(&mut world.events[shard]).await {
                break id;
            }
        };
        world.say(id, FAILURE);
        read_until(&mut client, FAILURE).await;
    }
    // A connection is read on when each shard has taken what is for it.
    gone(&mut world.events[1]).await;
    write(&mut client, &auth(1)).await;
    let answer = read_to_close(&mut client).await;
    assert!(answer.contains("<policy-violation "), "{answer}");
}

#[tokio::test]
async fn nothing_more_is_read_until_a_shard_has_answered() {
    let mut world = world(2, Limits::default()).await;
    let mut client = world.greeted().await;
    write(&mut client, &format!("{}{}", auth(0), auth(1))).await;
    let (id, first) = xmpp_event(&mut world.events[0]).await;
    assert!(matches!(first, XmppEvent::Greeted(..)));
    assert_eq!(world.net.stats().received, 1);
    world.say(id, FAILURE);
    assert_eq!(gone(&mut world.events[0]).await, id);
    let (same, second) = xmpp_event(&mut world.events[1]).await;
    assert!(matches!(second, XmppEvent::Greeted(..)));
    assert_eq!(same, id);
}

#[tokio::test]
async fn elements_4000_deep_end_the_stream_before_and_after_the_sign_in() {
    let mut world = world(1, Limits::default()).await;
    let mut stranger = world.in_the_clear().await;
    write(&mut stranger, &format!("{HEADER}{}", nested(4_000))).await;
    let answer = read_to_close(&mut stranger).await;
    assert!(answer.contains("<policy-violation "), "{answer}");
    assert!(world.events[0].try_recv().is_none());

    let (mut client, id) = world.signed_in(0).await;
    write(&mut client, &nested(60)).await;
    element(&mut world.events[0]).await;
    write(&mut client, &nested(4_000)).await;
    let answer = read_to_close(&mut client).await;
    assert!(answer.contains("<policy-violation "), "{answer}");
    assert_eq!(answer.matches("<stream:stream").count(), 0, "{answer}");
    assert_eq!(gone(&mut world.events[0]).await, id);
    assert_eq!(world.net.stats().malformed, 2);
}

#[tokio::test]
async fn who_has_signed_in_may_say_more() {
    let long = format!("<message><body>{}</body></message>", "x".repeat(100_000));
    let mut world = world(1, Limits::default()).await;
    let mut stranger = world.greeted().await;
    write(&mut stranger, &long).await;
    let answer = read_to_close(&mut stranger).await;
    assert!(answer.contains("<policy-violation "), "{answer}");

    let (mut client, _) = world.signed_in(0).await;
    write(&mut client, &long).await;
    let element = element(&mut world.events[0]).await;
    assert_eq!(element.children().next().unwrap().text().len(), 100_000);
}

#[tokio::test]
async fn half_open_streams_end() {
    let limits = Limits {
        // The time to sign in counts for this as well.
        tls_handshake: PATIENCE * 2,
        ..limits(XmppLimits {
            sign_in: Duration::from_secs(1),
            ..XmppLimits::default()
        })
    };
    let mut world = world(1, limits).await;
    let (mut unanswered, first) = world.asking(0).await;
    let (mut lost_heart, second) = world.asking(0).await;
    world.say(second, CHALLENGE);
    let mut silent = world.in_the_clear().await;
    let mut greeted = world.in_the_clear().await;
    write(&mut greeted, &format!("{HEADER} ")).await;
    let mut no_handshake = world.in_the_clear().await;
    write(&mut no_handshake, &format!("{HEADER}{STARTTLS}")).await;

    assert_eq!(gone(&mut world.events[0]).await, first);
    assert_eq!(gone(&mut world.events[0]).await, second);
    assert_eq!(read_to_close(&mut unanswered).await, "");
    assert_eq!(read_to_close(&mut lost_heart).await, CHALLENGE);
    assert_eq!(read_to_close(&mut silent).await, "");
    assert!(read_to_close(&mut greeted).await.ends_with(FEATURES_END));
    assert!(read_to_close(&mut no_handshake).await.ends_with(PROCEED));
    assert!(world.events[0].try_recv().is_none());
}

#[tokio::test]
async fn who_has_signed_in_may_be_silent_but_not_in_the_midst_of_an_element() {
    let mut world = world(
        1,
        limits(XmppLimits {
            sign_in: Duration::from_secs(2),
            element: SHORT,
            ..XmppLimits::default()
        }),
    )
    .await;
    let (mut client, id) = world.signed_in(0).await;
    // One that came later is out of time now.
    let mut later = world.in_the_clear().await;
    read_to_close(&mut later).await;
    write(&mut client, "<presence/>").await;
    element(&mut world.events[0]).await;
    write(&mut client, "<presence").await;
    assert_eq!(gone(&mut world.events[0]).await, id);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_when_its_queue_is_full() {
    let limits = Limits {
        send_queue_bytes: 100_000,
        ..Limits::default()
    };
    let mut world = world(1, limits).await;
    let (_client, id) = world.signed_in(0).await;
    world.say(id, &"x".repeat(60_000));
    world.say(id, &"x".repeat(60_000));
    assert_eq!(gone(&mut world.events[0]).await, id);
    world.say(id, "too late");
    assert_eq!(world.net.stats().dropped, 1);
}

#[tokio::test]
async fn sip_and_xmpp_share_one_limit_of_connections() {
    let limits = Limits {
        connections_per_peer: 2,
        ..Limits::default()
    };
    let mut world = world(1, limits).await;
    let sip = world.net.addresses().tcp[0];
    let mut phone = TcpStream::connect(sip).await.unwrap();
    write(&mut phone, &options("x", "")).await;
    message(&mut world.events[0]).await;
    let mut client = world.in_the_clear().await;
    write(&mut client, HEADER).await;
    read_until(&mut client, FEATURES_END).await;
    for address in [sip, world.starttls_address()] {
        let mut third = TcpStream::connect(address).await.unwrap();
        assert_eq!(read_to_close(&mut third).await, "");
    }
    assert_eq!(world.net.stats().refused, 2);
    drop(phone);
    closed(&mut world.events[0]).await;
    let_in(world.starttls_address()).await;
}
