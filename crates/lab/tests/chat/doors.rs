//! A phone that has an XMPP door, alone or beside its SIP door.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use lab::phone::chat::{self, Link};
use lab::phone::machine::{Input, Order, OrderId, Output, Phone};
use lab::phone::{PhoneConfig, PhoneError, PhoneEvent, PushService, XmppDoor};
use lab::rng::Rng;
use sip::endpoint::Transport;

const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 5060);

fn phone(sip: bool) -> (Phone, Instant) {
    let (now, server) = (Instant::now(), SocketAddr::from(SERVER));
    let service = PushService::Fcm {
        project: "p".to_owned(),
        package: "example.droid".to_owned(),
    };
    let mut rng = Rng::new(1);
    let way = (Transport::Tcp, server);
    let config = PhoneConfig {
        sip,
        xmpp: Some(XmppDoor::new(server)),
        ..PhoneConfig::drawn("bob", "wakeup", "localhost", way, service, &mut rng)
    };
    (Phone::new(now, Arc::new(config), 1), now)
}

/// What comes of an order, in the words of the doors.
fn order(phone: &mut Phone, now: Instant, order: Order) -> Vec<Output> {
    let id = OrderId(1);
    phone.handle(now, Input::Order { id, order });
    std::iter::from_fn(|| phone.poll()).collect()
}

fn connects(outputs: &[Output]) -> (bool, bool) {
    let sip = |it: &Output| matches!(it, Output::Connect { .. });
    let xmpp = |it: &Output| matches!(it, Output::Chat(chat::Output::Connect(_)));
    (outputs.iter().any(sip), outputs.iter().any(xmpp))
}

#[test]
fn a_phone_opens_the_doors_that_it_has() {
    let (mut both, now) = phone(true);
    assert_eq!(
        connects(&order(&mut both, now, Order::Register)),
        (true, true)
    );
    let (mut alone, now) = phone(false);
    assert_eq!(
        connects(&order(&mut alone, now, Order::Register)),
        (false, true)
    );
}

#[test]
fn all_doors_close_when_the_app_sleeps_and_open_when_it_wakes() {
    let (mut phone, now) = phone(true);
    order(&mut phone, now, Order::Register);
    let outputs = order(&mut phone, now, Order::Suspend);
    let closes = |it: &&Output| {
        matches!(
            it,
            Output::Close { .. } | Output::Chat(chat::Output::Close(_))
        )
    };
    assert_eq!(outputs.iter().filter(closes).count(), 2, "{outputs:?}");
    assert_eq!(
        connects(&order(&mut phone, now, Order::Resume)),
        (true, true)
    );
}

#[test]
fn a_frozen_app_reads_nothing_and_sees_later_that_it_moved() {
    let (mut phone, now) = phone(false);
    let outputs = order(&mut phone, now, Order::Register);
    let number = outputs.iter().find_map(|it| match it {
        Output::Chat(chat::Output::Connect(number)) => Some(*number),
        _ => None,
    });
    let number = number.unwrap();
    phone.handle(now, Input::Chat(Link::Opened(number)));
    order(&mut phone, now, Order::Background);
    let nonsense = Link::Received(number, "nonsense".into());
    phone.handle(now, Input::Chat(nonsense));
    assert!(phone.poll().is_none());
    assert_eq!(phone.next_timeout(), None);
    let outputs = order(&mut phone, now, Order::ChangeNetwork);
    let abandons = |it: &Output| matches!(it, Output::Chat(chat::Output::Abandon(_)));
    assert!(outputs.iter().any(abandons), "{outputs:?}");
    let outputs = order(&mut phone, now, Order::Resume);
    let fails = |it: &Output| matches!(it, Output::Event(PhoneEvent::SignInFailed { .. }));
    assert!(outputs.iter().any(fails), "{outputs:?}");
    assert_eq!(connects(&outputs), (false, true));
}

#[test]
fn a_phone_that_does_not_run_writes_nothing() {
    let (mut phone, now) = phone(false);
    let outputs = order(
        &mut phone,
        now,
        Order::Send {
            uri: "xmpp:alice@localhost".to_owned(),
            text: "hello".to_owned(),
        },
    );
    assert!(
        matches!(
            &outputs[..],
            [Output::Done {
                result: Err(PhoneError::NotRunning),
                ..
            }]
        ),
        "{outputs:?}"
    );
}
