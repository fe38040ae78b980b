//! Presence between SIP and XMPP (`behaviour.md` 15), with real clients.

use reveille_e2e::{Linphone, Reveille, SOON, Slixmpp, Transport, android, new_token};
use serde_json::json;

#[test]
fn a_linphone_and_a_client_see_each_other_and_chat() {
    let server = Reveille::started();
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    alice.tell(&json!({"do": "roster"}));
    alice.expect("roster", &json!({"count": 0}));
    let mut phone = server.account("carol", Transport::Tcp, android(&new_token()));
    phone.friends = vec!["alice".to_owned()];
    let mut carol = Linphone::registered(phone);

    // Linphone subscribes, and is asked about like a client.
    alice.expect(
        "presence",
        &json!({"type": "subscribe", "from": "carol@localhost"}),
    );
    alice.tell(&json!({"do": "presence", "to": "carol@localhost", "type": "subscribed"}));
    carol.expect("<sip:alice@localhost> is Online", SOON);

    // Who subscribes lets themselves be seen.
    alice.tell(&json!({"do": "presence", "to": "carol@localhost", "type": "subscribe"}));
    alice.expect(
        "presence",
        &json!({"type": "subscribed", "from": "carol@localhost"}),
    );
    alice.expect(
        "presence",
        &json!({"type": "", "from": "carol@localhost/telephone"}),
    );

    alice.tell(&json!({"do": "presence", "show": "away"}));
    carol.expect("<sip:alice@localhost> is Away", SOON);
    alice.tell(&json!({"do": "presence", "show": "dnd"}));
    carol.expect("<sip:alice@localhost> is Busy", SOON);

    alice.message("carol@localhost", "to a Linphone");
    carol.expect("to a Linphone", SOON);
    carol
        .process()
        .say("chat sip:alice@localhost from a Linphone");
    alice.expect(
        "message",
        &json!({"body": "from a Linphone", "from": "carol@localhost"}),
    );

    carol.kill();
    alice.expect(
        "presence",
        &json!({"show": "away", "from": "carol@localhost/telephone"}),
    );
}
