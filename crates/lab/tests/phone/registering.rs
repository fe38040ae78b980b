use std::time::Duration;

use domain::Generation;
use lab::phone::{PhoneConfig, PhoneError, PhoneEvent};
use serde_json::json;
use sip::Uri;
use sip::endpoint::Transport;
use sip::push::PushRequest;

use crate::registrar::{Heard, Order};
use crate::world::{World, android, iphone};

fn registered(round_trips: u32) -> PhoneEvent {
    PhoneEvent::Registered {
        expires: 3600,
        round_trips,
    }
}

async fn contact(world: &World) -> String {
    match world
        .registrar
        .hears(1, |heard| matches!(heard, Heard::Registered { .. }))
        .await
    {
        Heard::Registered { contact, .. } => contact,
        _ => unreachable!(),
    }
}

#[tokio::test]
async fn the_first_registration_takes_two_round_trips_and_a_resumed_one_takes_one() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let world = World::new(transport, iphone(), |config| config).await;
        world.phone.register().await.unwrap();
        world.sees_event(registered(2)).await;
        world.phone.suspend().await.unwrap();
        world.phone.resume().await.unwrap();
        world.sees_event(registered(1)).await;
    }
}

#[tokio::test]
async fn a_nonce_that_the_server_forgot_costs_one_more_round_trip() {
    let world = World::registered(iphone(), |config| config).await;
    world.registrar.order(Order::NewKey);
    world.phone.suspend().await.unwrap();
    let mark = world.phone.mark();
    world.phone.tap().await.unwrap();
    let again = |event: &PhoneEvent| *event == registered(2);
    world
        .phone
        .wait_for_since(mark, again, Duration::from_secs(5))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_said() {
    let change = |config| PhoneConfig {
        password: "guess".to_owned(),
        ..config
    };
    let world = World::new(Transport::Tcp, iphone(), change).await;
    let error = world.phone.register().await.unwrap_err();
    assert!(
        matches!(error, PhoneError::Refused { status: 401, .. }),
        "{error}"
    );
    assert!(world.has_seen(|event| matches!(event, PhoneEvent::RegistrationFailed { .. })));
}

#[tokio::test]
async fn the_contact_carries_the_tokens_of_platform_and_generation() {
    let dual = World::registered(iphone(), |config| config).await;
    let single = World::registered(iphone(), |config| {
        config.generation(Generation::SingleChannel)
    })
    .await;
    let droid = World::registered(android(), |config| config).await;
    for (world, param, services) in [
        (
            &dual,
            "TEAM123456.com.example.phone.voip&remote",
            vec![Some("voip"), Some("remote")],
        ),
        (
            &single,
            "TEAM123456.com.example.phone.voip",
            vec![Some("voip")],
        ),
        (&droid, "example-droid", vec![None]),
    ] {
        let contact = contact(world).await;
        let PushRequest::Wake(params) = PushRequest::of(&Uri::parse(&contact).unwrap()) else {
            panic!("no push parameters in {contact}");
        };
        assert_eq!(params.param, param);
        let given: Vec<_> = params.tokens().iter().map(|token| token.service).collect();
        assert_eq!(given, services);
        assert_eq!(params.tokens()[0].token, world.phone.config().tokens.voip);
        assert_eq!(
            params.tokens().last().unwrap().token,
            world.phone.config().tokens.message
        );
    }
}

#[tokio::test]
async fn suspending_closes_the_connection_and_backgrounding_does_not() {
    let world = World::registered(iphone(), |config| config).await;
    world.phone.background().await.unwrap();
    world.phone.resume().await.unwrap();
    assert!(!world.registrar.heard().contains(&Heard::Closed));
    world.phone.suspend().await.unwrap();
    world
        .registrar
        .hears(1, |heard| *heard == Heard::Closed)
        .await;
}

#[tokio::test]
async fn a_foreground_app_whose_connection_breaks_registers_again() {
    let world = World::registered(iphone(), |config| config).await;
    world.registrar.order(Order::Disconnect);
    world.sees_event(PhoneEvent::ConnectionLost).await;
    world.sees_event(registered(1)).await;
}

#[tokio::test]
async fn a_crashed_app_has_forgotten_its_nonce() {
    let world = World::registered(android(), |config| config).await;
    world.phone.crash().await.unwrap();
    world
        .registrar
        .hears(1, |heard| *heard == Heard::Closed)
        .await;
    world.phone.resume().await.unwrap();
    world
        .registrar
        .hears(2, |heard| *heard == Heard::Challenged)
        .await;
}

#[tokio::test]
async fn signing_out_takes_the_contact_back() {
    let world = World::registered(android(), |config| config).await;
    world.phone.unregister().await.unwrap();
    world
        .registrar
        .hears(1, |heard| {
            matches!(heard, Heard::Registered { expires: 0, .. })
        })
        .await;
    world.sees_event(PhoneEvent::Unregistered).await;
}

#[tokio::test]
async fn nobody_to_register_with_is_an_error_and_not_a_hang() {
    let world = World::new(Transport::Tcp, iphone(), |mut config| {
        config.server.1 = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        config
    })
    .await;
    let error = world.phone.register().await.unwrap_err();
    assert!(
        matches!(
            error,
            PhoneError::Refused { status: 503, .. } | PhoneError::NotRunning
        ),
        "{error}"
    );
}

#[tokio::test]
async fn the_device_api_gets_tokens_key_and_modes() {
    let mut url = String::new();
    let world = World::registered(iphone(), |mut config| {
        url = config.lab.clone().unwrap();
        config.device_api = Some(url.clone());
        config
    })
    .await;
    world.phone.background().await.unwrap();
    let config = world.phone.config();
    let told = world.cloud.told();
    assert_eq!(told[0].0, "sign in");
    assert_eq!(told[0].1["username"], "bob");
    assert_eq!(told[1].0, config.instance);
    let device = &told[1].1;
    assert_eq!(device["app"], "com.example.phone");
    assert_eq!(
        device["tokens"],
        json!({ "voip": config.tokens.voip, "message": config.tokens.message })
    );
    assert_eq!(
        device["encryption"]["p256dh"],
        config.keys.as_ref().unwrap().public().p256dh
    );
    assert!(
        told.iter()
            .any(|(_, body)| *body == json!({ "mode": "suspended" })),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_phone_that_is_shut_down_is_off() {
    let world = World::registered(iphone(), |config| config).await;
    world.phone.shutdown().await;
    assert!(matches!(world.phone.resume().await, Err(PhoneError::Off)));
    world
        .registrar
        .hears(1, |heard| *heard == Heard::Closed)
        .await;
}
