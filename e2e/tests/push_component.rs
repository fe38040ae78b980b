//! Prosody and ejabberd, as Debian ships them, push through our push service: it is a component of theirs (XEP-0114, XEP-0357).

use std::net::SocketAddr;

use reveille_e2e::{
    Login, Make, Reveille, SOON, Slixmpp, XmppServer, free_port, http_as, new_token, poll,
    push_token,
};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const DOMAIN: &str = "push.localhost";
const SECRET: &str = "component-secret-51d0";
const APP: &str = "com.example.droid";

/// A server of others, and our push service as its component.
struct World {
    theirs: XmppServer,
    ours: Reveille,
    rest: SocketAddr,
    _file: NamedTempFile,
}

fn world(make: Make) -> World {
    let theirs = XmppServer::started(make, DOMAIN, SECRET);
    let file = NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), SECRET).expect("a file of our own");
    let (path, at) = (file.path().display(), theirs.component());
    let component =
        format!("[{{ domain = \"{DOMAIN}\", server = \"{at}\", secret_file = \"{path}\" }}]");
    let rest = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut ours = Reveille::new()
        .with("server", "roles", "call,push")
        .with("listen", "push", &rest.to_string())
        .with("push", "component", &component);
    ours.start();
    ours.process().expect("an XMPP server is pushed for", SOON);
    World {
        theirs,
        ours,
        rest,
        _file: file,
    }
}

impl World {
    /// What the app's own backend gives its client: the node and the secret of its device.
    fn node(&self, token: &str) -> Value {
        let bearer = push_token(self.rest);
        let body = json!({"app": APP, "token": token});
        let answer = http_as(self.rest, "POST", "/v1/nodes", &bearer, Some(&body));
        let answer = answer.expect("the service answers");
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    }

    fn client(&self, login: &Login) -> Slixmpp {
        let at = (self.theirs.client(), self.theirs.ca_file());
        let mut client = Slixmpp::start_at(at.0, login, &at.1);
        client.expect("signed_in", &json!({}));
        client.tell(&json!({"do": "presence"}));
        client
    }

    /// Bob's phone, which has enabled pushes and sleeps.
    fn asleep(&self, node: &Value) -> Slixmpp {
        let mut phone = self.client(&Login::new("bob", "phone").resuming());
        let service = &node["services"][0];
        assert_eq!(*service, DOMAIN);
        phone.tell(&json!({"do": "disco", "to": DOMAIN}));
        phone.expect("done", &json!({"category": "pubsub", "kind": "push"}));
        phone.tell(&json!({"do": "enable_push", "jid": service, "node": node["node"], "secret": node["secret"]}));
        phone.expect("done", &json!({"of": "enable_push"}));
        phone.tell(&json!({"do": "lose"}));
        phone.expect("disconnected", &json!({}));
        phone
    }
}

/// What happens at either alike; then a dead token, upon which the server ends its pushes (Prosody as it is told to here; by itself after sixteen).
fn pushes(make: Make, words: &str) {
    let mut world = world(make);
    let token = new_token();
    let node = world.node(&token);
    let mut phone = world.asleep(&node);
    let mut alice = world.client(&Login::new("alice", "desk"));
    alice.message("bob@localhost", "planted-text");
    let push = world.ours.lab().wait_for_push(&token, "message", SOON);
    assert_eq!(push.violations(), Vec::<String>::new());
    for planted in ["planted", "alice", "bob"] {
        assert!(!push.text().contains(planted), "{}", push.text());
    }
    phone.tell(&json!({"do": "sign_in"}));
    phone.expect("message", &json!({"body": "planted-text"}));
    phone.tell(&json!({"do": "lose"}));
    phone.expect("disconnected", &json!({}));

    // The cloud has an outage: the server does not ask again, so the service tries again by itself.
    let before = world.ours.lab().pushes(&token, "message").len();
    world.ours.lab().fate(&token, 503, "UNAVAILABLE", Some(1));
    alice.message("bob@localhost", "second");
    let taken = poll(2 * SOON, || {
        let pushes = world.ours.lab().pushes(&token, "message");
        pushes[before..]
            .iter()
            .find(|it| it.status() == 200)
            .map(|_| ())
    });
    taken.unwrap_or_else(|| panic!("{:#?}", world.ours.lab().notifications(&token)));

    world.ours.lab().fate(&token, 404, "UNREGISTERED", None);
    alice.message("bob@localhost", "third");
    world.theirs.process().expect(words, SOON);
}

#[test]
fn prosody_pushes_through_us() {
    pushes(Make::Prosody, "Disabling push notifications");
}

#[test]
fn ejabberd_pushes_through_us() {
    pushes(Make::Ejabberd, "disabling push");
}

#[test]
fn a_server_that_starts_again_is_dialled_again_and_a_wrong_node_is_refused() {
    let mut world = world(Make::Prosody);
    let mut phone = world.client(&Login::new("bob", "phone"));
    let publish = |node: &str, secret: &str| {
        format!(
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'><item><notification xmlns='urn:xmpp:push:0'/>\
             </item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='secret'><value>{secret}</value>\
             </field></x></publish-options></pubsub>"
        )
    };
    let node = world.node(&new_token());
    let good = node["node"].as_str().expect("a node");
    for (node, condition) in [("made-up", "item-not-found"), (good, "forbidden")] {
        phone.tell(&json!({"do": "tell", "to": DOMAIN, "xml": publish(node, "guess")}));
        phone.expect("failed", &json!({"of": "tell", "condition": condition}));
    }
    world.theirs.restart();
    world
        .ours
        .process()
        .expect("an XMPP server is pushed for", SOON);
}
