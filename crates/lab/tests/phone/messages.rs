use lab::phone::PhoneEvent;

use crate::registrar::{Heard, Order};
use crate::world::{World, iphone};

#[tokio::test]
async fn a_message_is_taken_and_shown_once_however_often_it_comes() {
    let world = World::registered(iphone(), |config| config).await;
    let message = || Order::Message {
        call: "m1".to_owned(),
        text: "hello".to_owned(),
    };
    world.registrar.order(message());
    let received = PhoneEvent::MessageReceived {
        from: "sip:alice@localhost".to_owned(),
        text: "hello".to_owned(),
        id: "m1".to_owned(),
    };
    world.sees_event(received).await;
    // Once more, after a sleep in which the phone could have forgotten it.
    world.phone.suspend().await.unwrap();
    world.phone.resume().await.unwrap();
    world.registrar.order(message());
    world
        .sees_event(PhoneEvent::DuplicateMessageDropped {
            id: "m1".to_owned(),
        })
        .await;
    let taken =
        |heard: &Heard| matches!(heard, Heard::Answer { call, status: 200 } if call == "m1");
    world.registrar.hears(2, taken).await;
    assert_eq!(world.order_of(&["message_received"]).len(), 1);
}

#[tokio::test]
async fn a_message_from_the_phone_says_what_the_server_made_of_it() {
    let world = World::registered(iphone(), |config| config).await;
    assert_eq!(
        world
            .phone
            .send_message("sip:alice@localhost", "grüße")
            .await
            .unwrap(),
        202
    );
    let sent = |heard: &Heard| matches!(heard, Heard::Request { method, body, .. } if method == "MESSAGE" && body == "grüße");
    world.registrar.hears(1, sent).await;
}
