use std::time::Duration;

use lab::phone::chat::{Account, Event, Input, Link, Order, Pushes, Show};
use xmpp::sasl::Hash;
use xmpp::sasl::scram::StoredKeys;

use crate::peer::{Peer, account, id_of};

#[test]
fn a_client_signs_in_shows_itself_and_asks_whom_it_knows() {
    let mut peer = Peer::signed_in("s1");
    let signed_in = Event::SignedIn {
        resumed: false,
        round_trips: 6,
    };
    assert_eq!(peer.went_through(), [signed_in]);
    peer.stanza("jabber:iq:roster");
    peer.stanza("<presence/>");
    assert!(peer.client.is_ready());
    peer.order(Order::Show(Show::Away));
    peer.stanza("<show>away</show>");
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_trusted_and_tried_again() {
    let mut peer = Peer::new();
    peer.order(Order::Open);
    let keys = StoredKeys::of(Hash::Sha256, "another", [7; 16], 8).unwrap();
    peer.signs_in_with(&keys);
    let refused = Event::Refused {
        why: "not-authorized".to_owned(),
    };
    assert_eq!(peer.went_through(), [refused]);
    assert_eq!((peer.number, peer.gone.len()), (None, 1));
    peer.wait(Duration::from_secs(1));
    assert!(peer.number.is_some(), "it tries again");
}

#[test]
fn a_server_that_says_nothing_is_left_and_the_pauses_grow() {
    let mut peer = Peer::new();
    peer.order(Order::Open);
    peer.handle(Input::Link(Link::Opened(peer.number.unwrap())));
    peer.wait(Duration::from_mins(10));
    let tries = peer.gone.len();
    assert!((10..25).contains(&tries), "{tries}");
    // Asleep it does not try.
    peer.order(Order::Sleep);
    let tries = peer.gone.len();
    peer.wait(Duration::from_mins(10));
    assert_eq!(peer.gone.len(), tries);
}

#[test]
fn whoever_wants_to_see_its_user_may_and_is_shown() {
    let mut peer = Peer::signed_in("s1");
    peer.takes();
    peer.says("<presence from='alice@localhost' to='bob@localhost' type='subscribe'/>");
    let answer = peer.stanza("subscribed");
    assert!(answer.contains("to='alice@localhost'"), "{answer}");
    peer.went_through();
    peer.says("<presence from='alice@localhost/desk'><show>dnd</show></presence>");
    let seen = Event::Presence {
        from: "alice@localhost/desk".to_owned(),
        show: Show::DoNotDisturb,
    };
    assert_eq!(peer.went_through(), [seen]);
}

#[test]
fn questions_are_answered() {
    let mut peer = Peer::signed_in("s1");
    peer.takes();
    peer.says("<iq type='get' id='1' from='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert!(peer.stanza("id='1'").contains("type='result'"));
    peer.says("<iq type='get' id='2' from='localhost'><query xmlns='jabber:iq:version'/></iq>");
    assert!(peer.stanza("id='2'").contains("service-unavailable"));
}

#[test]
fn a_client_hands_its_tokens_over_with_each_new_session() {
    let token = "0123456789abcdef".to_owned();
    let mut peer = Peer::of(Account {
        pushes: Some(Pushes {
            app: "com.example.phone".to_owned(),
            voip: token.clone(),
            message: token.clone(),
            key: None,
        }),
        ..account()
    });
    peer.order(Order::Open);
    peer.signs_in();
    peer.begins("s1");
    let enable = peer.stanza("urn:xmpp:push:0");
    assert!(
        enable.contains("jid='push.localhost' node='phone'"),
        "{enable}"
    );
    assert_eq!(enable.matches(&token).count(), 2);
    peer.went_through();
    peer.says(&format!("<iq type='result' id='{}'/>", id_of(&enable)));
    assert_eq!(peer.went_through(), [Event::PushesEnabled(Ok(()))]);
    // A session that goes on has them.
    peer.order(Order::Move);
    peer.takes();
    peer.signs_in();
    peer.says("<resumed {sm} previd='s1' h='3'/>");
    assert!(!peer.heard.iter().any(|it| it.contains("urn:xmpp:push:0")));
}
