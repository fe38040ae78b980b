//! Rosters, subscriptions and presence (RFC 6121 §2 to §4), with a real client.

use reveille_e2e::{Reveille, Slixmpp};
use serde_json::json;

#[test]
fn a_change_of_the_roster_is_pushed_to_each_client_that_asked_for_it() {
    let server = Reveille::started();
    let mut desk = Slixmpp::available(&server, "alice", "desk");
    let mut phone = Slixmpp::available(&server, "alice", "phone");
    let mut deaf = Slixmpp::available(&server, "alice", "deaf");
    for client in [&mut desk, &mut phone] {
        client.tell(&json!({"do": "roster"}));
        client.expect("roster", &json!({"count": 0}));
    }
    let bob = json!({"jid": "bob@localhost", "name": "Bøb", "subscription": "none", "ask": "",
                     "groups": ["Friends & foes", "Work"]});
    desk.tell(
        &json!({"do": "roster_set", "jid": "bob@localhost", "name": "Bøb",
                      "groups": ["Work", "Friends & foes"]}),
    );
    desk.expect("done", &json!({"of": "roster_set"}));
    desk.expect("roster_push", &bob);
    phone.expect("roster_push", &bob);

    // RFC 6121 §2.3.2: another name is the same item.
    phone.tell(&json!({"do": "roster_set", "jid": "bob@localhost", "name": "Robert"}));
    let renamed = json!({"jid": "bob@localhost", "name": "Robert", "groups": []});
    desk.expect("roster_push", &renamed);
    phone.expect("roster_push", &renamed);
    deaf.tell(&json!({"do": "ping", "to": "localhost"}));
    deaf.expect("done", &json!({"of": "ping"}));
    assert_eq!(deaf.count("roster_push", &json!({})), 0);

    let mut late = Slixmpp::signed_in(&server, "alice", "late");
    late.tell(&json!({"do": "roster"}));
    let roster = late.expect("roster", &json!({"count": 1}));
    assert_eq!(roster["items"][0]["name"], "Robert");

    desk.tell(&json!({"do": "roster_set", "jid": "bob@localhost", "subscription": "remove"}));
    let gone = json!({"jid": "bob@localhost", "subscription": "remove"});
    for client in [&mut desk, &mut phone, &mut late] {
        client.expect("roster_push", &gone);
    }
    desk.tell(&json!({"do": "roster_set", "jid": "bob@localhost", "subscription": "remove"}));
    // RFC 6121 §2.5.3.
    desk.expect(
        "failed",
        &json!({"of": "roster_set", "condition": "item-not-found"}),
    );
}

#[test]
fn who_is_allowed_to_sees_who_is_there() {
    let server = Reveille::started();
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    let mut bob = Slixmpp::available(&server, "bob", "phone");
    let mut carol = Slixmpp::available(&server, "carol", "tablet");
    for client in [&mut alice, &mut bob] {
        client.tell(&json!({"do": "roster"}));
        client.expect("roster", &json!({}));
    }
    Slixmpp::subscribe(&mut alice, &mut bob, "alice", "bob", "to", "from");
    alice.expect(
        "presence",
        &json!({"from": "bob@localhost/phone", "type": ""}),
    );
    Slixmpp::subscribe(&mut bob, &mut alice, "bob", "alice", "both", "both");
    bob.expect(
        "presence",
        &json!({"from": "alice@localhost/desk", "type": ""}),
    );

    bob.tell(
        &json!({"do": "presence", "show": "dnd", "status": "in a Besprechung 🤫", "priority": 5}),
    );
    alice.expect(
        "presence",
        &json!({"from": "bob@localhost/phone", "show": "dnd", "status": "in a Besprechung 🤫", "priority": "5"}),
    );

    // Who comes later is shown what is so already (RFC 6121 §4.2.2, §4.3).
    let mut phone = Slixmpp::available(&server, "alice", "phone");
    phone.expect(
        "presence",
        &json!({"from": "bob@localhost/phone", "show": "dnd"}),
    );
    bob.expect(
        "presence",
        &json!({"from": "alice@localhost/phone", "type": ""}),
    );
    alice.expect(
        "presence",
        &json!({"from": "alice@localhost/phone", "type": ""}),
    );

    // One says goodbye, one closes its stream, and one is just gone.
    phone.tell(&json!({"do": "presence", "type": "unavailable", "status": "bye"}));
    let bye = json!({"from": "alice@localhost/phone", "type": "unavailable", "status": "bye"});
    bob.expect("presence", &bye);
    alice.expect("presence", &bye);
    bob.tell(&json!({"do": "sign_out"}));
    let gone = json!({"from": "bob@localhost/phone", "type": "unavailable"});
    alice.expect("presence", &gone);
    let mut bob = Slixmpp::available(&server, "bob", "phone");
    alice.expect(
        "presence",
        &json!({"from": "bob@localhost/phone", "type": "", "status": "there 1"}),
    );
    bob.process().kill();
    alice.expect("presence", &gone);

    // Carol is in nobody's roster. She sees herself, and nobody else.
    carol.tell(&json!({"do": "ping", "to": "localhost"}));
    carol.expect("done", &json!({"of": "ping"}));
    for user in ["alice", "bob"] {
        assert!(
            !carol.process().output().contains(user),
            "carol sees {user}"
        );
    }
}

#[test]
fn a_subscription_that_is_refused_or_ended_shows_nothing() {
    let server = Reveille::started();
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    let mut bob = Slixmpp::available(&server, "bob", "phone");
    for client in [&mut alice, &mut bob] {
        client.tell(&json!({"do": "roster"}));
        client.expect("roster", &json!({}));
    }
    alice.tell(&json!({"do": "presence", "to": "bob@localhost", "type": "subscribe"}));
    bob.expect("presence", &json!({"type": "subscribe"}));
    bob.tell(&json!({"do": "presence", "to": "alice@localhost", "type": "unsubscribed"}));
    alice.expect(
        "presence",
        &json!({"from": "bob@localhost", "type": "unsubscribed"}),
    );
    alice.expect(
        "roster_push",
        &json!({"jid": "bob@localhost", "subscription": "none", "ask": ""}),
    );
    assert_eq!(
        alice.count("presence", &json!({"from": "bob@localhost/phone"})),
        0
    );

    Slixmpp::subscribe(&mut alice, &mut bob, "alice", "bob", "to", "from");
    alice.expect(
        "presence",
        &json!({"from": "bob@localhost/phone", "type": ""}),
    );
    // RFC 6121 §3.2.1: whoever may not see him any more sees him go.
    bob.tell(&json!({"do": "presence", "to": "alice@localhost", "type": "unsubscribed"}));
    alice.expect(
        "presence",
        &json!({"from": "bob@localhost/phone", "type": "unavailable"}),
    );
    alice.expect(
        "presence",
        &json!({"from": "bob@localhost", "type": "unsubscribed"}),
    );
    bob.expect(
        "roster_push",
        &json!({"jid": "alice@localhost", "subscription": "none"}),
    );
}

#[test]
fn a_request_to_see_somebody_waits_for_a_user_who_is_not_there() {
    let server = Reveille::started();
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    alice.tell(&json!({"do": "roster"}));
    alice.expect("roster", &json!({}));
    alice.tell(&json!({"do": "presence", "to": "bob@localhost", "type": "subscribe"}));
    alice.expect(
        "roster_push",
        &json!({"jid": "bob@localhost", "ask": "subscribe"}),
    );
    // RFC 6121 §3.1.3.
    let mut bob = Slixmpp::available(&server, "bob", "phone");
    bob.expect(
        "presence",
        &json!({"from": "alice@localhost", "type": "subscribe"}),
    );
}
