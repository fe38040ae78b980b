//! Nothing that is secret is written where others read it: whatever comes through every door, at the most talkative level of
//! the log.

use std::fs;
use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD as STANDARD};
use reveille_e2e::{
    Answer, PASSWORD, Reveille, SOON, SipClient, Tls, Transport, XmppClient, http,
    iphone_with_two_tokens, new_token, poll,
};
use serde_json::{Value, json};

/// What is planted, by what it is; each stands nowhere else.
#[derive(Default)]
struct Planted(Vec<(&'static str, String)>);

impl Planted {
    fn plant(&mut self, what: &'static str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 8, "{what}: {secret} may stand anywhere");
        self.0.push((what, secret.clone()));
        secret
    }

    fn assert_not_in(&self, place: &str, text: &str) {
        for (what, secret) in &self.0 {
            let at = text.find(secret.as_str());
            let around = at.map(|at| text[..at].rsplit('\n').next().unwrap_or_default());
            assert!(at.is_none(), "{place} has {what}, after {around:?}");
        }
    }

    /// As octets, wherever they stand in the files of a directory.
    fn assert_not_in_files(&self, folder: &Path, which: &[&str]) {
        for entry in fs::read_dir(folder).expect("the data directory") {
            let path = entry.expect("a file").path();
            let Ok(octets) = fs::read(&path) else {
                continue;
            };
            for (what, secret) in self.0.iter().filter(|(what, _)| which.contains(what)) {
                let found = octets
                    .windows(secret.len())
                    .any(|it| it == secret.as_bytes());
                assert!(!found, "{} has {what}", path.display());
            }
        }
    }
}

fn asked(server: &Reveille, method: &str, path: &str, token: &str, body: Option<&Value>) -> Answer {
    reveille_e2e::http_as(server.address("admin"), method, path, token, body).expect("an answer")
}

/// Accounts, sign-ins and devices by the API.
fn by_the_api(server: &Reveille, planted: &mut Planted) {
    let password = planted.plant("a new user's password", "zebra-password-of-frank");
    server.ask(&["user", "add", "frank", "--password", &password]);
    let wrong = planted.plant("a wrong password", "zebra-wrong-password");
    let sign_in = |password: &str| {
        let body = json!({"grant_type": "password", "username": "frank", "password": password});
        http(server.address("admin"), "POST", "/oauth/token", Some(&body)).expect("an answer")
    };
    assert_eq!(sign_in(&wrong).status, 400);
    let tokens: Value = serde_json::from_str(&sign_in(&password).body).expect("tokens");
    let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    let access = planted.plant("an access token", token("access_token"));
    planted.plant("a refresh token", token("refresh_token"));
    let [voip, message] = [(); 2].map(|()| new_token());
    planted.plant("a push token", &voip);
    planted.plant("a push token", &message);
    // Any point of the curve: the one that its standard has as base.
    let key =
        "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";
    let auth = planted.plant("what pushes are sealed with", "emVicmEtYXV0aC16ZWJyYQ");
    let device = json!({
        "app": "com.example.phone", "platform": "ios", "os": "17",
        "tokens": {"voip": voip, "message": message},
        "encryption": {"p256dh": planted.plant("a device's key", key), "auth": auth},
    });
    let answer = asked(
        server,
        "PUT",
        "/api/v1/me/devices/zebra",
        &access,
        Some(&device),
    );
    assert_eq!(answer.status / 100, 2, "{}", answer.body);
    let refused = asked(
        server,
        "GET",
        "/api/v1/me/devices/zebra",
        "zebra-no-token",
        None,
    );
    assert_eq!(refused.status, 401);
    planted.plant("a token that is none", "zebra-no-token");
}

/// Calls, messages and registrations over SIP.
fn by_sip(server: &Reveille, planted: &mut Planted) {
    let [voip, remote] = [(); 2].map(|()| planted.plant("a push token", new_token()));
    let mut phone = SipClient::tcp("bob", server.sip(Transport::Tcp)).expect("a connection");
    let answer = phone.register(&iphone_with_two_tokens(&voip, &remote).in_uri());
    assert_eq!(answer.status, 200, "{}", answer.text);
    let text = planted.plant("a message's text", "zebra text of alice to bob");
    let mut alice = SipClient::udp("alice", server.sip(Transport::Udp));
    let answer = alice.message("bob", &text).expect("an answer");
    assert_eq!(answer.status, 202, "{}", answer.text);
    let came = phone.wait_incoming(SOON).expect("the message");
    assert_eq!(came.body(), text);
    phone.reply(&came, "200 OK");
    server.wait_delivered("bob");
    // Asleep, so that a push is on its way.
    drop(phone);
    let text = planted.plant("a message's text", "zebra text for who sleeps");
    poll(SOON, || {
        let answer = alice.message("bob", &text).expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.text);
        (!server.lab().pushes(&remote, "message").is_empty()).then_some(())
    })
    .expect("a push");
}

/// Sign-ins and messages over XMPP.
fn by_xmpp(server: &Reveille, planted: &mut Planted) {
    let mut client = XmppClient::in_tls(server, Tls::Starttls);
    let wrong = planted.plant("a wrong password", "zebra-wrong-over-xmpp");
    let plain = planted.plant(
        "a wrong password",
        STANDARD.encode(format!("\0carol\0{wrong}")),
    );
    client.send(&format!(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"
    ));
    client.expect("<not-authorized");
    let right = STANDARD.encode(format!("\0carol\0{PASSWORD}"));
    planted.plant("a password", right);
    client.authenticate("carol");
    client.send("<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    client.expect("jid");
    let text = planted.plant("a message's text", "zebra text of carol to dave");
    client.send(&format!(
        "<message to='dave@localhost' type='chat'><body>{text}</body></message>"
    ));
    let token = planted.plant("a push token", new_token());
    client.send(&format!(
        "<iq type='set' id='2'><enable xmlns='urn:xmpp:push:0' jid='push.localhost'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
         <field var='app'><value>com.example.phone</value></field><field var='message'><value>{token}</value></field>\
         </x></enable></iq>"
    ));
    client.expect("id='2'");
    let mut dave = XmppClient::available(server, "dave", "desk");
    dave.expect(&text);
}

#[test]
fn no_secret_and_no_text_is_in_the_log_or_in_what_operators_are_shown() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let data_dir = data.path().to_str().expect("its path").to_owned();
    let mut server = Reveille::new()
        .with("server", "data_dir", &data_dir)
        .with("observe", "log", "trace");
    server.start();
    let mut planted = Planted::default();
    by_the_api(&server, &mut planted);
    by_sip(&server, &mut planted);
    by_xmpp(&server, &mut planted);
    for story in server.stories() {
        planted.assert_not_in("a story", &story);
    }
    for arguments in [
        &["device", "list"][..],
        &["device", "list", "--json"],
        &["user", "list"],
        &["ban", "list"],
    ] {
        planted.assert_not_in(&arguments.join(" "), &server.ask(arguments));
    }
    let metrics = http(server.health(), "GET", "/metrics", None).expect("metrics");
    planted.assert_not_in("the metrics", &metrics.body);
    server.stop();
    let log = server.process().output();
    assert!(log.contains("DEBUG"), "it says much: {log}");
    planted.assert_not_in("the log", &log);
    // What must be kept to be of use is in the store; what one signs in with is not.
    planted.assert_not_in_files(
        data.path(),
        &[
            "a new user's password",
            "a wrong password",
            "a password",
            "an access token",
            "a refresh token",
        ],
    );
}
