//! How somebody comes to have an account over XMPP (XEP-0077): by an invitation (XEP-0445), and by nothing else.

use reveille_e2e::{Login, Reveille, Slixmpp};
use serde_json::json;

#[test]
fn an_account_is_made_by_who_was_invited_and_by_nobody_else() {
    let server = Reveille::started();
    let frank = Login::new("frank", "desk");
    let mut stranger = Slixmpp::start(&server, &frank.clone().invited(""));
    stranger.expect(
        "failed",
        &json!({"of": "registration", "condition": "forbidden"}),
    );
    stranger.expect("refused", &json!({"condition": "not-authorized"}));

    let link = server.ask(&["user", "invite", "--from", "alice"]);
    let (_, word) = link.split_once("preauth=").expect("a link");
    let word = word.split_whitespace().next().expect("a word");
    let mut guest = Slixmpp::start(&server, &frank.clone().invited(word));
    guest.expect("invited", &json!({"type": "result"}));
    guest.expect("registration", &json!({"fields": ["password", "username"]}));
    guest.expect("registered", &json!({}));
    guest.expect("signed_in", &json!({"jid": "frank@localhost/desk"}));
    // Who invited is a contact.
    guest.tell(&json!({"do": "roster"}));
    let roster = guest.expect("roster", &json!({"count": 1}));
    assert_eq!(roster["items"][0]["jid"], "alice@localhost");
    guest.does("password", &json!({"password": "another one"}));
    guest.is_refused("remove_account", &json!({}), "not-allowed");

    let mut before = Slixmpp::start(&server, &frank.clone());
    before.expect("refused", &json!({"condition": "not-authorized"}));
    let mut now = Slixmpp::start(&server, &frank.with_password("another one"));
    now.expect("signed_in", &json!({}));
    // The word has been used.
    let mut late = Slixmpp::start(&server, &Login::new("grace", "desk").invited(word));
    late.expect("invited", &json!({"type": "error"}));
    late.expect(
        "failed",
        &json!({"of": "registration", "condition": "forbidden"}),
    );
}
