//! Apps and their credentials while the service runs: in the store by the command line, and in the configuration by a reload.

use crate::world::{APP, World, until};
use lab::cloud::DevCredentials;

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
