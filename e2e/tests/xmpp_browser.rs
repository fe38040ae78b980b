//! Web pages in Chromium, by the libraries that web clients are made of.

use reveille_e2e::{Browser, Library, Line, Reveille, Slixmpp, Tls, XmppClient};
use serde_json::json;

fn wss(port: u16) -> String {
    format!("wss://localhost:{port}/xmpp-websocket")
}

#[test]
fn a_page_by_xmpp_js_signs_in_writes_and_goes_on_where_its_line_broke() {
    let server = Reveille::started();
    let line = Line::to(server.xmpp(Tls::WebSocket));
    let mut bob = Slixmpp::available(&server, "bob", "phone");
    let mut alice = Browser::at_page(Library::XmppJs, "localhost");
    alice.sign_in(&wss(line.port()), "alice", "web");
    alice.expect("signed_in", &json!({}));
    alice.presence("at a page");
    alice.expect("presence", &json!({"status": "at a page"}));

    alice.message("bob@localhost", "Grüße aus dem Browser 👋");
    let heard = bob.expect("message", &json!({"body": "Grüße aus dem Browser 👋"}));
    let from = heard["from"].as_str().expect("an address").to_owned();
    assert!(from.starts_with("alice@localhost/"), "{from}");
    bob.message("alice@localhost", "and back <into> it & out");
    alice.expect("message", &json!({"body": "and back <into> it & out"}));

    line.cut();
    alice.expect("status", &json!({"status": "disconnect"}));
    bob.message("alice@localhost", "while the line was broken");
    alice.expect("resumed", &json!({}));
    alice.expect("message", &json!({"body": "while the line was broken"}));
    alice.message("bob@localhost", "and on it goes");
    // The same client: nobody has signed in anew.
    bob.expect("message", &json!({"body": "and on it goes", "from": from}));
    assert_eq!(alice.count("message", &json!({})), 2);
    let picture = alice.picture("web-xmppjs");
    println!("what it looked like: {}", picture.display());
    alice.stop();
    alice.expect("offline", &json!({}));
}

#[test]
fn a_page_by_strophe_signs_in_and_writes_both_ways() {
    let server = Reveille::started();
    let mut bob = XmppClient::available(&server, "bob", "phone");
    let mut alice = Browser::at_page(Library::Strophe, "localhost");
    alice.sign_in(&wss(server.xmpp(Tls::WebSocket).port()), "alice", "strophe");
    alice.expect("signed_in", &json!({"jid": "alice@localhost/strophe"}));
    alice.presence("at a page");
    alice.expect("presence", &json!({"status": "at a page"}));
    alice.message("bob@localhost", "Grüße 👋");
    bob.expect("Grüße 👋");
    bob.send("<message type='chat' to='alice@localhost/strophe'><body>and back</body></message>");
    alice.expect(
        "message",
        &json!({"from": "bob@localhost/phone", "body": "and back"}),
    );
    let picture = alice.picture("web-strophe");
    println!("what it looked like: {}", picture.display());
    alice.stop();
    alice.expect("offline", &json!({}));
    let again = XmppClient::available(&server, "alice", "strophe");
    drop(again);
}

#[test]
fn a_foreign_page_is_kept_out_and_finds_where_it_would_be() {
    let server = Reveille::started();
    let port = server.xmpp(Tls::WebSocket).port();
    // Its host is none of our domains.
    let mut foreign = Browser::at_page(Library::Strophe, "127.0.0.1");
    foreign.call("knock", &[json!(wss(port))]);
    foreign.expect("kept_out", &json!({}));
    foreign.call(
        "lookUp",
        &[json!(format!(
            "https://localhost:{port}/.well-known/host-meta.json"
        ))],
    );
    let found = foreign.expect("found", &json!({}));
    let text = found["text"].as_str().expect("a text");
    let found: serde_json::Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(found["links"][0]["href"], wss(port));
    let mut ours = Browser::at_page(Library::Strophe, "localhost");
    ours.call("knock", &[json!(wss(port))]);
    ours.expect("opened", &json!({"protocol": "xmpp"}));
}
