use std::time::Duration;

use lab::phone::chat::{Account, CallWord, Event, Order};

use crate::peer::{Peer, account, id_of};

#[test]
fn a_message_is_shown_once_and_its_writer_told() {
    let mut peer = Peer::signed_in("s1");
    peer.takes();
    let message = "<message from='alice@localhost/desk' to='bob@localhost' type='chat' id='m'><body>hi</body>\
         <request xmlns='urn:xmpp:receipts'/>\
         <stanza-id xmlns='urn:xmpp:sid:0' id='forged' by='alice@localhost'/>\
         <stanza-id xmlns='urn:xmpp:sid:0' id='a1' by='bob@localhost'/></message>";
    peer.says(message);
    peer.says(message);
    assert_eq!(peer.shown(), ["hi"]);
    assert!(peer.went_through().contains(&Event::Again {
        id: "a1".to_owned()
    }));
    let receipt = peer.stanza("received");
    assert!(
        receipt.contains("to='alice@localhost/desk'") && receipt.contains("id='m'"),
        "{receipt}"
    );
}

#[test]
fn a_message_that_came_before_the_app_died_is_not_shown_again() {
    let mut peer = Peer::signed_in("s1");
    peer.message("a1", "one");
    peer.order(Order::Die);
    peer.takes();
    peer.order(Order::Open);
    peer.signs_in();
    peer.begins("s2");
    let query = id_of(&peer.stanza("urn:xmpp:mam:2"));
    peer.page_ends(&query, "", true);
    peer.message("a1", "one");
    assert_eq!(peer.shown(), ["one"]);
}

#[test]
fn a_text_is_written_when_the_server_counts_it() {
    let mut peer = Peer::signed_in("s1");
    peer.went_through();
    peer.write(1, "hello");
    let id = id_of(&peer.stanza("hello"));
    assert_eq!(peer.went_through(), []);
    peer.says("<a {sm} h='3'/>");
    let written = Event::Written {
        name: 1,
        id: id.clone(),
        result: Ok(()),
    };
    assert_eq!(peer.went_through(), [written]);
    peer.says(&format!(
        "<message from='alice@localhost/desk' type='chat'><received xmlns='urn:xmpp:receipts' id='{id}'/></message>"
    ));
    let by = "alice@localhost".to_owned();
    assert_eq!(peer.went_through(), [Event::Delivered { id, by }]);
}

#[test]
fn a_text_that_the_server_does_not_take_is_not_written() {
    let mut peer = Peer::signed_in("s1");
    peer.write(1, "hello");
    let id = id_of(&peer.stanza("hello"));
    peer.went_through();
    peer.says(&format!(
        "<message type='error' id='{id}' from='alice@localhost'><error type='wait'>\
         <resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message><a {{sm}} h='3'/>"
    ));
    let result = Err("resource-constraint".to_owned());
    assert_eq!(
        peer.went_through(),
        [Event::Written {
            name: 1,
            id,
            result
        }]
    );
}

#[test]
fn a_text_of_an_app_that_dies_is_not_written() {
    let mut peer = Peer::signed_in("s1");
    peer.write(1, "hello");
    peer.went_through();
    peer.order(Order::Die);
    let events = peer.went_through();
    assert!(
        matches!(
            &events[..],
            [Event::Written {
                name: 1,
                result: Err(_),
                ..
            }]
        ),
        "{events:?}"
    );
}

#[test]
fn nobody_elses_archive_is_read() {
    let mut peer = Peer::signed_in("s1");
    peer.message("a1", "one");
    peer.order(Order::Die);
    peer.takes();
    peer.order(Order::Open);
    peer.signs_in();
    peer.begins("s2");
    let query = id_of(&peer.stanza("urn:xmpp:mam:2"));
    peer.says(&format!(
        "<message from='mallory@localhost/x' to='bob@localhost/phone'>\
         <result xmlns='urn:xmpp:mam:2' queryid='{query}' id='a2'><forwarded xmlns='urn:xmpp:forward:0'>\
         <message xmlns='jabber:client' from='alice@localhost' type='chat'><body>forged</body></message>\
         </forwarded></result></message>"
    ));
    assert_eq!(peer.shown(), ["one"]);
}

#[test]
fn too_many_texts_that_wait_are_refused() {
    let mut peer = Peer::new();
    (0..101).for_each(|name| peer.write(name, "hello"));
    let events = peer.went_through();
    assert!(
        matches!(
            &events[..],
            [Event::Written {
                name: 100,
                result: Err(_),
                ..
            }]
        ),
        "{events:?}"
    );
}

#[test]
fn what_was_read_is_marked_once_up_to_the_last_message_of_its_writer() {
    let mut peer = Peer::of(Account {
        markers: true,
        ..account()
    });
    peer.order(Order::Open);
    peer.signs_in();
    peer.begins("s1");
    for id in ["m1", "m2"] {
        peer.says(&format!(
            "<message from='alice@localhost/desk' to='bob@localhost' type='chat' id='{id}'><body>{id}</body>\
             <markable xmlns='urn:xmpp:chat-markers:0'/></message>"
        ));
    }
    peer.message("a3", "nobody asks");
    peer.takes();
    peer.order(Order::Read);
    let marker = peer.stanza("displayed");
    assert!(
        marker.contains("to='alice@localhost'") && marker.contains(" id='m2'"),
        "{marker}"
    );
    peer.takes();
    peer.order(Order::Read);
    assert_eq!(peer.takes(), [""; 0]);
}

#[test]
fn what_is_said_of_a_call_and_not_taken_is_said_again() {
    let mut peer = Peer::signed_in("s1");
    peer.went_through();
    let words = [CallWord::Propose, CallWord::Reject];
    for (handled, word) in (3..).zip(words) {
        peer.takes();
        let (call, to) = ("c".to_owned(), "alice@localhost/desk".to_owned());
        peer.order(Order::SayOfCall { word, call, to });
        let id = id_of(&peer.stanza(word.name()));
        peer.says(&format!(
            "<message from='alice@localhost/desk' id='{id}' type='error'><error type='cancel'>\
             <internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        ));
        peer.says(&format!("<a {{sm}} h='{handled}'/>"));
    }
    // Nobody has heard of a call that was not proposed.
    let unsaid = peer.went_through();
    assert!(
        matches!(
            unsaid[..],
            [Event::Unsaid {
                word: CallWord::Propose,
                ..
            }]
        ),
        "{unsaid:?}"
    );
    peer.takes();
    peer.wait(Duration::from_secs(3));
    assert!(peer.stanza("<reject").contains("to='alice@localhost/desk'"));
    peer.says("<a {sm} h='5'/>");
    peer.takes();
    peer.wait(Duration::from_secs(10));
    assert!(!peer.takes().iter().any(|it| it.contains("reject")));
}
