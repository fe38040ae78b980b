//! An operator's day: backups under load, restores, damage, the command line while the server is down.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use reveille_e2e::{Reveille, SOON, SipClient, Transport, android, http, new_token, poll};
use serde_json::Value;

/// Runs SQL on a database, as an operator who repairs something would.
fn sql(database: &Path, statement: &str) -> String {
    let program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(c.execute(sys.argv[2]).fetchall()); c.commit()";
    let output = Command::new("python3")
        .args(["-c", program])
        .arg(database)
        .arg(statement)
        .output()
        .expect("python3");
    assert!(output.status.success(), "{statement}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What a command that must fail says.
fn refused(server: &Reveille, arguments: &[&str]) -> String {
    let output = server.run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn a_backup_of_a_server_in_use_brings_back_what_was_there_when_it_was_made() {
    let mut server = Reveille::started();
    let copy = server.data().join("copy");
    let file = copy.to_str().expect("text");
    let mut alice = SipClient::udp("alice", server.sip(Transport::Udp));
    let carol = android(&new_token()).in_uri();
    let registered = SipClient::udp("carol", server.sip(Transport::Udp)).register(&carol);
    assert_eq!(registered.status, 200);
    let mut write =
        |text: &str| assert_eq!(alice.message("carol", text).expect("an answer").status, 202);
    write("before");
    server.ask(&["backup", file]);
    write("after");
    let again = refused(&server, &["backup", file]);
    assert!(again.contains("nothing is overwritten"), "{again}");

    let running = refused(&server, &["restore", file]);
    let process = format!("process {}", server.process().id());
    assert!(running.contains(&process), "{running}");
    server.kill();
    let said = server.ask(&["restore", file]);
    let aside = said.rsplit(' ').next().expect("a path").trim();
    let count = "SELECT COUNT(*) FROM messages";
    assert_eq!(sql(Path::new(aside), count).trim(), "[(2,)]", "{said}");
    server.start();
    let mut carol_again = SipClient::udp("carol", server.sip(Transport::Udp));
    assert_eq!(carol_again.register(&carol).status, 200);
    let next = || carol_again.wait_incoming(SOON);
    let text = std::iter::from_fn(next).find(|request| request.method == "MESSAGE");
    assert_eq!(text.expect("the message").body(), "before");
}

#[test]
fn stories_are_told_while_the_server_is_down() {
    let mut server = Reveille::started();
    let mut alice = SipClient::udp("alice", server.sip(Transport::Udp));
    assert_eq!(
        alice.message("bob", "hello").expect("an answer").status,
        202
    );
    let up = poll(SOON, || {
        Some(server.ask(&["trace"])).filter(|it| it.contains("alice@localhost"))
    });
    let up = up.expect("the story");
    server.stop();
    let down = server.ask(&["trace"]);
    assert_eq!(down, up);
    let id = down
        .lines()
        .nth(1)
        .expect("a story")
        .split("  ")
        .nth(1)
        .expect("its id");
    let story = server.ask(&["trace", id]);
    assert!(story.contains("message_stored"), "{story}");
}

#[test]
fn a_damaged_device_is_set_aside_and_everybody_else_is_served() {
    let mut server = Reveille::started();
    for user in ["bob", "carol"] {
        let phone = android(&new_token()).in_uri();
        let mut client = SipClient::udp(user, server.sip(Transport::Udp));
        assert_eq!(client.register(&phone).status, 200);
    }
    server.stop();
    let database = server.data().join("reveille.db");
    sql(
        &database,
        "UPDATE devices SET created_at = -1 WHERE user = 'bob@localhost'",
    );
    let found = server.run(&["store", "check"]);
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let found = String::from_utf8(found.stdout).expect("text");
    assert!(
        found.contains("DAMAGED  devices") && found.contains("bob@localhost"),
        "{found}"
    );
    assert!(found.contains("created_at"), "{found}");

    server.start();
    server
        .process()
        .expect_anywhere("a damaged row of the store is set aside", SOON);
    let metrics = http(server.health(), "GET", "/metrics", None)
        .expect("metrics")
        .body;
    assert!(
        metrics.contains("reveille_alarm_active{name=\"store_damaged\"} 1"),
        "{metrics}"
    );
    assert_eq!(server.devices("carol").len(), 1);
    assert_eq!(server.devices("bob").len(), 0);
    let found: Value =
        serde_json::from_str(&server.ask(&["store", "check", "--json"])).expect("JSON");
    assert_eq!(
        found["damaged"].as_array().map(Vec::len),
        Some(0),
        "{found}"
    );
    let aside = sql(
        &database,
        "SELECT DISTINCT source FROM set_aside ORDER BY 1",
    );
    assert_eq!(aside.trim(), "[('devices',), ('doors',), ('history',)]");
    assert!(sql(&database, "SELECT back FROM set_aside").contains("INSERT INTO"));
}

#[test]
fn a_database_that_is_gone_or_empty_is_no_empty_server() {
    let mut server = Reveille::started();
    server.stop();
    let database = server.data().join("reveille.db");
    for says in ["is empty", "is missing"] {
        match says {
            "is empty" => fs::write(&database, "").expect("ours"),
            _ => fs::remove_file(&database).expect("ours"),
        }
        let said = refused(&server, &["serve", "--dev"]);
        assert!(
            said.contains(says) && said.contains("reveille restore"),
            "{said}"
        );
    }
    assert!(!database.exists());
}

/// The reader of a command's output goes before all of it is written.
#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let mut server = Reveille::started();
    let _ = server.process();
    for arguments in [
        &["config", "example"][..],
        &["user", "list"],
        &["device", "list"],
        &["trace"],
        &["ban", "list"],
    ] {
        let mut child = server
            .command()
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the reveille binary");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("an end");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
}

/// What is not there is an error, and says where to look; a name is understood as people write it.
#[test]
fn names_are_understood_and_those_that_nobody_has_are_errors() {
    let server = Reveille::started();
    for (arguments, says) in [
        (&["device", "history", "nope"][..], "reveille device list"),
        (&["device", "forget", "nope"], "reveille device list"),
        (&["device", "list", "--user", "nope"], "reveille user list"),
        (&["user", "remove", "nope"], "reveille user list"),
        (&["ban", "lift", "192.0.2.1"], "reveille ban list"),
        (&["trace", "nope"], "reveille trace"),
        (&["user", "add", "a/b"], "no name for an account"),
    ] {
        let said = refused(&server, arguments);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    let added = server.ask(&["user", "add", "sip:henry@localhost"]);
    assert!(added.starts_with("added henry@localhost "), "{added}");
    let users: Value =
        serde_json::from_str(&server.ask(&["user", "list", "--json"])).expect("JSON");
    let names: Vec<_> = users
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| &it["address"])
        .collect();
    assert!(
        names.contains(&&Value::from("henry@localhost")),
        "{names:?}"
    );
    let phone = refused(&server, &["lab", "phone", "nobody"]);
    assert!(
        phone.contains("wrong user or password") && !phone.contains('{'),
        "{phone}"
    );
}

#[test]
fn a_development_server_tells_what_happens_and_keeps_the_keys_of_its_clouds() {
    let mut server = Reveille::started();
    let ca = server.lab().ca();
    let token = new_token();
    let mut bob = SipClient::udp("bob", server.sip(Transport::Udp));
    assert_eq!(bob.register(&android(&token).in_uri()).status, 200);
    let mut alice = SipClient::udp("alice", server.sip(Transport::Udp));
    assert_eq!(
        alice.message("bob", "hello").expect("an answer").status,
        202
    );
    for says in ["registered", "message_stored"] {
        server.process().expect_anywhere(says, SOON);
    }
    server.stop();
    server.start();
    assert_eq!(server.lab().ca(), ca);
}
