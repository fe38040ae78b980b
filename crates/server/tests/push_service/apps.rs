//! Apps and their credentials while the service runs: in the store by the command line, and in the configuration by a reload.

use crate::world::{APP, World, ask, until};
use lab::cloud::DevCredentials;
use serde_json::json;
use std::{
    io::{Read, Write},
    net::TcpListener,
};

/// What a server says that takes its component's secret, whatever it is (XEP-0114 §3).
const COMPONENT_LET_IN: &str = "<stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' from='push.example.org' id='1'><handshake/>";

/// The words that put the app into the store, with the key of this file.
fn add(world: &World, verb: &str, file: &str) -> Vec<String> {
    let file = world.path().join(file);
    let (team, key) = (world.keys.apns_team(), world.keys.apns_key_id());
    let endpoint = world.endpoint();
    let words = ["push", "app", verb, APP, "--team-id", team, "--key-id", key];
    let rest = [
        "--key-file",
        file.to_str().unwrap(),
        "--endpoint",
        &endpoint,
    ];
    words.iter().chain(&rest).map(ToString::to_string).collect()
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn with_key(world: &World) -> String {
    let at = world.path().display();
    format!("credentials_key_file = \"{at}/credentials.key\"\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_put_in_rotated_and_removed_while_the_service_runs() {
    let world = World::new();
    let clouds = world.clouds().await;
    world.configure(&with_key(&world));
    let secret = world.tenant("pbx");
    let service = world.serve();
    let token = service.token("pbx", &secret);
    assert_eq!(service.push(&token, "1")["outcome"], "refused");
    world.said(&words(&add(&world, "add", "key.p8")));
    assert_eq!(service.push(&token, "2")["outcome"], "accepted");
    let again = world.complaint(&words(&add(&world, "add", "key.p8")));
    assert!(again.contains("push app rotate"), "{again}");
    // It is shown without its secret, and lies nowhere in the clear.
    let pem = world.keys.apns_key_pem();
    let secret_line = pem.lines().nth(1).unwrap();
    let shown = world.said(&["push", "app", "list", "--json"]);
    assert!(shown.contains(world.keys.apns_key_id()), "{shown}");
    assert!(!shown.contains(secret_line), "{shown}");
    for name in ["reveille.db", "reveille.db-wal"] {
        let bytes = std::fs::read(world.path().join(name)).unwrap_or_default();
        let secret_line = secret_line.as_bytes();
        let is_there = bytes.windows(secret_line.len()).any(|it| it == secret_line);
        assert!(!is_there, "{name}");
    }
    // A key that Apple does not know, then the good one.
    world.write("other.p8", DevCredentials::new().apns_key_pem());
    world.said(&words(&add(&world, "rotate", "other.p8")));
    assert_eq!(service.push(&token, "3")["outcome"], "unauthorized");
    assert!(
        world
            .alarms()
            .contains(&format!("push_credentials_refused {APP}"))
    );
    world.said(&words(&add(&world, "rotate", "key.p8")));
    assert_eq!(service.push(&token, "4")["outcome"], "accepted");
    assert!(world.alarms().is_empty(), "{:?}", world.alarms());
    // It is there after a restart, and gone once it is removed.
    assert!(service.stop());
    let service = world.serve();
    assert_eq!(service.push(&token, "5")["outcome"], "accepted");
    world.said(&["push", "app", "remove", APP]);
    assert_eq!(service.push(&token, "6")["outcome"], "refused");
    assert_eq!(world.said(&["push", "app", "list", "--json"]).trim(), "[]");
    assert!(service.stop());
    clouds.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_key_or_with_another_a_start_and_a_check_say_what_helps() {
    let world = World::new();
    world.configure("");
    let none = world.complaint(&words(&add(&world, "add", "key.p8")));
    assert!(none.contains("push.credentials_key_file"), "{none}");
    world.configure(&with_key(&world));
    // While nothing runs, too.
    world.said(&words(&add(&world, "add", "key.p8")));
    assert!(world.said(&["check"]).contains(APP));
    world.write("credentials.key", &"66".repeat(32));
    for words in [&["check"][..], &["serve"]] {
        let wrong = world.complaint(words);
        assert!(wrong.contains("sealed with another key"), "{wrong}");
    }
    world.configure("");
    for words in [&["check"][..], &["serve"]] {
        let missing = world.complaint(words);
        assert!(missing.contains("openssl rand -hex 32"), "{missing}");
    }
    // Nobody needs the key to be rid of it.
    world.said(&["push", "app", "remove", APP]);
    world.said(&["check"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_nothing_else_reads_its_configuration_again() {
    let world = World::new();
    let clouds = world.clouds().await;
    world.configure("");
    let secret = world.tenant("pbx");
    let service = world.serve();
    let token = service.token("pbx", &secret);
    assert_eq!(service.push(&token, "1")["outcome"], "refused");
    world.configure_app();
    let taken = world.said(&["reload"]);
    assert!(taken.contains("push.app"), "{taken}");
    assert_eq!(service.push(&token, "2")["outcome"], "accepted");
    // A file that is wrong changes nothing.
    world.configure(&world.app().replace("key.p8", "nothing.p8"));
    let wrong = world.complaint(&["reload"]);
    assert!(wrong.contains("nothing has changed"), "{wrong}");
    assert_eq!(service.push(&token, "3")["outcome"], "accepted");
    // By the signal as well.
    world.configure("");
    service.signal("-HUP");
    let number = std::cell::Cell::new(3);
    until("the app is gone", || {
        number.set(number.get() + 1);
        service.push(&token, &number.get().to_string())["outcome"] == "refused"
    })
    .await;
    assert!(service.stop());
    clouds.shutdown().await;
}

/// What a homeserver hears that pushes to the app.
fn homeserver(world: &crate::world::Service) -> u16 {
    let device = json!({ "app_id": "ios", "pushkey": "a".repeat(64), "pushkey_ts": 1 });
    let event = json!({ "notification": { "event_id": "$1", "devices": [device] } });
    let head = "POST /_matrix/push/v1/notify HTTP/1.1";
    ask(world.rest, head, &event.to_string()).0
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pushes_through_us_is_another_after_a_reload() {
    let world = World::new();
    let clouds = world.clouds().await;
    world.configure_app();
    world.tenant("pbx");
    let service = world.serve();
    assert_eq!(homeserver(&service), 404);
    // A homeserver's app, and two XMPP servers that we are the component of.
    let servers = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, other] = servers.each_ref().map(|it| it.local_addr().unwrap());
    world.write("component.secret", "secret");
    let at = world.path().display();
    let component = |server| {
        format!(
            "[[push.component]]\ndomain = \"push.example.org\"\nserver = \"{server}\"\nsecret_file = \"{at}/component.secret\"\n"
        )
    };
    let app = world.app();
    let gateway = format!(
        "[[push.matrix]]\napp_id = \"ios\"\napp = \"{APP}\"\ntenant = \"pbx\"\nhomeservers = [\"127.0.0.1\"]\n"
    );
    world.configure(&format!("{app}{gateway}{}", component(one)));
    let taken = world.said(&["reload"]);
    for key in ["push.matrix", "push.component"] {
        assert!(taken.contains(key), "{taken}");
    }
    assert_eq!(homeserver(&service), 200);
    let (mut first, _) = servers[0].accept().unwrap();
    let mut octets = [0; 64];
    first.read_exact(&mut octets).unwrap();
    // It is let in, so that nothing but a reload ends it.
    first.write_all(COMPONENT_LET_IN.as_bytes()).unwrap();
    // What stays is not touched, what is new is dialled.
    world.configure(&format!("{app}{}{}", component(one), component(other)));
    world.said(&["reload"]);
    servers[1].accept().unwrap();
    assert_eq!(homeserver(&service), 404);
    first.set_nonblocking(true).unwrap();
    let mut rest = Vec::new();
    let still = first.read_to_end(&mut rest).unwrap_err();
    assert_eq!(still.kind(), std::io::ErrorKind::WouldBlock);
    // A file that is wrong changes nothing; what is gone is hung up on.
    world.configure(&format!(
        "{app}{}",
        component(one).replace("component.secret", "nothing")
    ));
    let wrong = world.complaint(&["reload"]);
    assert!(wrong.contains("nothing has changed"), "{wrong}");
    world.configure(&format!("{app}{}", component(other)));
    world.said(&["reload"]);
    first.set_nonblocking(false).unwrap();
    first.read_to_end(&mut rest).unwrap();
    assert!(service.stop());
    clouds.shutdown().await;
}
