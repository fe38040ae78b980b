//! An app's own push server, which is a component beside ours (XEP-0114), and a client that is pushed to by way of it (XEP-0357): both
//! are slixmpp.

use reveille_e2e::{Login, Reveille, SOON, Slixmpp, XmppClient, poll};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const DOMAIN: &str = "push.app.example";
/// By which the component is known.
const SECRET: &str = "component-secret-7f3a";
/// What is to be said at the node of Bob's phone.
const OPTION: &str = "publish-secret-91bc";

/// A server that knows the component, before it is started; and the file of its secret.
fn server() -> (Reveille, NamedTempFile) {
    let file = NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), SECRET).expect("a file of our own");
    let path = file.path().display();
    let component = format!("[{{ domain = \"{DOMAIN}\", secret_file = \"{path}\" }}]");
    let server = Reveille::new()
        .with("im", "component", &component)
        .with("observe", "log", "debug");
    (server, file)
}

fn app_server(server: &Reveille) -> Slixmpp {
    let mut app_server = Slixmpp::app_server(server, DOMAIN, SECRET, &json!({"node-1": OPTION}));
    app_server.expect("connected", &json!({}));
    app_server
}

fn enables(phone: &mut Slixmpp, secret: &str) {
    phone.tell(&json!({"do": "enable_push", "jid": DOMAIN, "node": "node-1", "secret": secret}));
    phone.expect("done", &json!({"of": "enable_push"}));
}

/// Bob's phone, which sleeps, and is pushed to with this secret.
fn asleep(server: &Reveille, secret: &str) -> Slixmpp {
    let mut phone = Slixmpp::start(server, &Login::new("bob", "phone").resuming());
    phone.expect("signed_in", &json!({}));
    enables(&mut phone, secret);
    phone.be_available();
    phone.tell(&json!({"do": "lose"}));
    phone.expect("disconnected", &json!({}));
    phone
}

fn chat(body: &str) -> String {
    format!("<message to='bob@localhost' type='chat' id='{body}'><body>{body}</body></message>")
}

fn count(published: &Value) -> &str {
    let count = published["summary"]["message-count"].as_str();
    count.expect("how many messages wait")
}

#[test]
fn a_sleeping_client_is_pushed_to_by_its_apps_own_server_which_learns_nothing_more() {
    let (mut server, _file) = server();
    server.start();
    let mut app_server = app_server(&server);
    let mut phone = asleep(&server, OPTION);
    let mut alice = XmppClient::available(&server, "alice", "desk");
    alice.send(&chat("a-word-for-bob"));
    let published = app_server.expect("published", &json!({"node": "node-1", "secret": OPTION}));
    assert_eq!(published["from"], "localhost");
    assert_eq!(count(&published), "1");
    let whole = published["whole"].as_str().expect("a stanza");
    for told in ["a-word", "alice", "bob"] {
        assert!(!whole.contains(told), "{whole}");
    }
    // A call waits in no window.
    alice.send(
        "<message to='bob@localhost' type='chat' id='c'><propose xmlns='urn:xmpp:jingle-message:0' id='c1'>\
         <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose><store xmlns='urn:xmpp:hints'/></message>",
    );
    let published = app_server.expect("published", &json!({"secret": OPTION}));
    assert_eq!(count(&published), "2");
    phone.tell(&json!({"do": "sign_in"}));
    phone.expect("resumed", &json!({}));
    phone.expect("message", &json!({"body": "a-word-for-bob"}));
    phone.expect("propose", &json!({"id": "c1"}));
    // What was accepted is not published again.
    app_server.tell(&json!({"do": "ping", "to": "localhost"}));
    app_server.expect("done", &json!({"of": "ping"}));
    assert_eq!(app_server.count("published", &json!({})), 2);
    // It may also write to users, and is asked what it is.
    app_server.tell(&json!({"do": "message", "to": "bob@localhost", "body": "news"}));
    let from = format!("news@{DOMAIN}");
    phone.expect("message", &json!({"body": "news", "from": from}));
    phone.tell(&json!({"do": "disco", "to": DOMAIN}));
    phone.expect("done", &json!({"category": "pubsub", "kind": "push"}));
    let said = server.process().output();
    for secret in [SECRET, OPTION] {
        assert!(!said.contains(secret), "a secret is in the log");
    }
}

#[test]
fn an_error_for_good_ends_the_token_and_the_client_hears_of_it() {
    let (mut server, _file) = server();
    server.start();
    let mut app_server = app_server(&server);
    drop(asleep(&server, "wrong"));
    let mut alice = XmppClient::available(&server, "alice", "desk");
    alice.send(&chat("one"));
    app_server.expect("published", &json!({"secret": "wrong"}));
    let dead = poll(SOON, || {
        let told = server.ask(&["device", "history", "xmpp:bob@localhost/phone"]);
        told.contains("is dead: forbidden").then_some(())
    });
    assert!(dead.is_some(), "the token is not dead");
    // Another session of the same client: it is told, and enables again.
    let mut phone = Slixmpp::start(&server, &Login::new("bob", "phone").resuming());
    phone.expect("signed_in", &json!({}));
    phone.be_available();
    phone.expect("message", &json!({"body": "one"}));
    phone.expect("push_disabled", &json!({"from": DOMAIN, "node": "node-1"}));
    enables(&mut phone, OPTION);
    phone.tell(&json!({"do": "lose"}));
    phone.expect("disconnected", &json!({}));
    alice.send(&chat("two"));
    app_server.expect("published", &json!({"secret": OPTION}));
    assert_eq!(
        app_server.count("published", &json!({"secret": "wrong"})),
        1
    );
    let metrics = server.metrics();
    assert!(
        metrics.contains("provider=\"app_server\",channel=\"message\",outcome=\"token_dead\"} 1"),
        "{metrics}"
    );
}

#[test]
fn what_an_app_server_could_not_take_it_gets_later_and_both_sides_may_restart() {
    let (mut server, _file) = server();
    server.start();
    let mut app_server = app_server(&server);
    let _phone = asleep(&server, OPTION);
    let mut alice = XmppClient::available(&server, "alice", "desk");
    app_server
        .tell(&json!({"do": "trouble", "type": "wait", "condition": "internal-server-error"}));
    app_server.expect("done", &json!({"of": "trouble"}));
    alice.send(&chat("one"));
    app_server.expect("published", &json!({}));
    app_server.process().kill();
    drop(app_server);
    // Another one, which has no trouble.
    let mut app_server = self::app_server(&server);
    app_server.expect("published", &json!({"secret": OPTION}));

    server.kill();
    app_server.expect("disconnected", &json!({}));
    server.start();
    app_server.expect("connected", &json!({}));
    let mut alice = XmppClient::available(&server, "alice", "desk");
    alice.send(&chat("two"));
    let published = app_server.expect("published", &json!({"secret": OPTION}));
    assert_eq!(count(&published), "2");
}

#[test]
fn who_does_not_know_the_secret_is_no_component_and_who_knows_it_takes_the_place_of_the_one_before()
{
    let (mut server, _file) = server();
    server.start();
    let mut stranger = Slixmpp::app_server(&server, DOMAIN, "guessed", &json!({}));
    stranger.expect("stream_error", &json!({"condition": "not-authorized"}));
    assert_eq!(stranger.count("connected", &json!({})), 0);
    drop(stranger);
    let mut first = app_server(&server);
    let _second = app_server(&server);
    first.expect("stream_error", &json!({"condition": "conflict"}));
}
