use std::time::Duration;

use lab::phone::chat::{Event, Order};

use crate::peer::{Peer, attribute, id_of};

/// The client is back, and wants to go on.
fn comes_back(peer: &mut Peer) -> String {
    peer.takes();
    peer.order(Order::Open);
    peer.signs_in();
    peer.stanza("<resume")
}

#[test]
fn a_client_that_slept_goes_on_where_it_was() {
    let mut peer = Peer::signed_in("s1");
    peer.message("a1", "one");
    peer.write(1, "mine");
    let sent = peer.stanza("mine");
    peer.order(Order::Sleep);
    assert_eq!(peer.gone, ["closed"]);
    let resume = comes_back(&mut peer);
    assert_eq!(attribute(&resume, "h"), "1");
    assert_eq!(attribute(&resume, "previd"), "s1");
    peer.takes();
    peer.went_through();
    // It has the roster, the presence, and not the text.
    peer.says("<resumed {sm} previd='s1' h='2'/>");
    assert_eq!(peer.stanza("mine"), sent, "the very same");
    let signed_in = Event::SignedIn {
        resumed: true,
        round_trips: 5,
    };
    assert_eq!(peer.went_through(), [signed_in]);
    peer.says("<a {sm} h='3'/>");
    let written = Event::Written {
        name: 1,
        id: id_of(&sent),
        result: Ok(()),
    };
    assert_eq!(peer.went_through(), [written]);
}

#[test]
fn what_is_asked_is_answered_with_what_it_has() {
    let mut peer = Peer::signed_in("s1");
    peer.message("a1", "one");
    peer.takes();
    peer.says("<r {sm}/>");
    assert_eq!(attribute(&peer.stanza("<a "), "h"), "1");
}

#[test]
fn a_server_that_does_not_answer_is_gone_after_15_s() {
    let mut peer = Peer::signed_in("s1");
    peer.says("<a {sm} h='2'/>");
    peer.takes();
    peer.write(1, "mine");
    peer.stanza("<r ");
    peer.wait(Duration::from_secs(14));
    assert!(peer.gone.is_empty());
    peer.wait(Duration::from_secs(2));
    assert_eq!(peer.gone, ["closed"]);
    assert!(peer.went_through().contains(&Event::Lost));
    assert!(peer.number.is_some(), "it is there again");
}

#[test]
fn an_app_that_comes_to_the_front_finds_a_dead_connection_in_5_s() {
    let mut peer = Peer::signed_in("s1");
    peer.says("<a {sm} h='2'/>");
    peer.takes();
    peer.order(Order::Open);
    peer.stanza("<r ");
    peer.wait(Duration::from_secs(6));
    assert_eq!(peer.gone, ["closed"]);
    // One that answers is kept.
    let mut peer = Peer::signed_in("s1");
    peer.says("<a {sm} h='2'/>");
    peer.order(Order::Open);
    peer.says("<a {sm} h='2'/>");
    peer.wait(Duration::from_mins(1));
    assert!(peer.gone.is_empty());
}

#[test]
fn on_another_network_it_goes_on_at_once() {
    let mut peer = Peer::signed_in("s1");
    peer.order(Order::Move);
    assert_eq!(peer.gone, ["abandoned"]);
    peer.signs_in();
    peer.stanza("<resume");
}

#[test]
fn a_client_that_nobody_looks_at_says_so_and_again_after_a_break() {
    let mut peer = Peer::signed_in("s1");
    peer.order(Order::Look(false));
    peer.stanza("<inactive");
    peer.breaks();
    peer.takes();
    peer.wait(Duration::from_secs(1));
    peer.signs_in();
    peer.says("<resumed {sm} previd='s1' h='2'/>");
    peer.stanza("<inactive");
    peer.order(Order::Look(true));
    peer.stanza("<active");
}

#[test]
fn a_session_that_is_gone_is_made_anew_and_what_was_missed_is_read_first() {
    let mut peer = Peer::signed_in("s1");
    peer.message("a1", "one");
    peer.order(Order::Sleep);
    comes_back(&mut peer);
    peer.takes();
    peer.says(
        "<failed {sm}><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
    );
    peer.begins("s2");
    let question = peer.stanza("urn:xmpp:mam:2");
    assert!(question.contains("<after>a1</after>"), "{question}");
    // What comes now waits for what came before.
    peer.message("a4", "four");
    assert_eq!(peer.shown(), ["one"]);
    let query = id_of(&question);
    peer.archived(&query, "alice@localhost/desk", "a2", "two");
    peer.takes();
    peer.page_ends(&query, "a2", false);
    let next = peer.stanza("urn:xmpp:mam:2");
    assert!(next.contains("<after>a2</after>"), "{next}");
    let query = id_of(&next);
    peer.archived(&query, "alice@localhost/desk", "a3", "three");
    peer.archived(&query, "alice@localhost/desk", "a4", "four");
    peer.page_ends(&query, "a4", true);
    assert_eq!(peer.shown(), ["one", "two", "three", "four"]);
    let events = peer.went_through();
    assert!(events.contains(&Event::CaughtUp { messages: 3 }));
    assert!(events.contains(&Event::Again {
        id: "a4".to_owned()
    }));
}

#[test]
fn a_page_that_cannot_be_read_is_asked_for_again() {
    let mut peer = Peer::signed_in("s1");
    peer.message("a1", "one");
    peer.order(Order::Die);
    peer.takes();
    peer.order(Order::Open);
    peer.signs_in();
    peer.begins("s2");
    let query = id_of(&peer.stanza("urn:xmpp:mam:2"));
    peer.says(&format!(
        "<iq type='error' id='{query}'><error type='wait'>\
         <internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ));
    peer.says("<a {sm} h='3'/>");
    peer.takes();
    peer.wait(Duration::from_secs(3));
    let query = id_of(&peer.stanza("urn:xmpp:mam:2"));
    peer.archived(&query, "alice@localhost/desk", "a2", "two");
    peer.page_ends(&query, "a2", true);
    assert_eq!(peer.shown(), ["one", "two"]);
}

#[test]
fn a_text_of_a_session_that_is_gone_is_sent_again_unless_it_is_in_the_archive() {
    let mut peer = Peer::signed_in("s1");
    peer.message("a1", "one");
    peer.write(1, "kept");
    peer.write(2, "lost");
    let kept = id_of(&peer.stanza("kept"));
    let lost = peer.stanza("lost");
    // It is shown something that came behind the text.
    peer.message("a3", "three");
    peer.breaks();
    peer.takes();
    peer.wait(Duration::from_secs(1));
    peer.signs_in();
    peer.says(
        "<failed {sm}><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
    );
    peer.begins("s2");
    let question = peer.stanza("urn:xmpp:mam:2");
    assert!(question.contains("<after>a1</after>"), "{question}");
    peer.went_through();
    let query = id_of(&question);
    peer.says(&format!(
        "<message from='bob@localhost' to='bob@localhost/phone'>\
         <result xmlns='urn:xmpp:mam:2' queryid='{query}' id='a2'><forwarded xmlns='urn:xmpp:forward:0'>\
         <message xmlns='jabber:client' from='bob@localhost/phone' to='alice@localhost' type='chat' id='{kept}'>\
         <body>kept</body></message></forwarded></result></message>"
    ));
    peer.archived(&query, "alice@localhost/desk", "a3", "three");
    assert!(!peer.heard.iter().any(|it| it.contains("lost")));
    peer.page_ends(&query, "a3", true);
    assert_eq!(peer.stanza("lost"), lost, "under the id that it had");
    let written = |name: u64, events: &[Event]| {
        let is_it = |it: &&Event| matches!(it, Event::Written { name: of, result: Ok(()), .. } if *of == name);
        events.iter().filter(is_it).count()
    };
    let events = peer.went_through();
    assert_eq!((written(1, &events), written(2, &events)), (1, 0));
    assert!(!events.iter().any(|it| matches!(it, Event::Message { .. })));
}
