//! `reveille watch`, `push test`, `doctor` and ids by their beginning, as an operator types them.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
};

use reveille_e2e::{Reveille, SOON, SipClient, Transport, iphone, new_token, poll};
use serde_json::Value;

/// A command that goes on until it is ended.
struct Watching {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watching {
    /// Alice's refused calls are seen from when this returns.
    fn begun(server: &Reveille, arguments: &[&str]) -> Self {
        let mut command = server.command();
        let mut child = command
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the reveille binary");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line
    }

    /// How it ended.
    fn ended(&mut self) -> Option<i32> {
        let ended = || self.child.try_wait().expect("a child");
        poll(SOON, ended).expect("it ends").code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It has ended, as a rule.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn interrupt(child: &Child) {
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(status.expect("kill").success());
}

/// Calls nobody until a watcher has seen it: when it begins to watch is known to the server alone.
fn call_nobody(server: &Reveille) {
    let mut alice = SipClient::udp("alice", server.sip(Transport::Udp));
    assert_eq!(
        alice.message("nobody", "hello").expect("an answer").status,
        404
    );
}

#[test]
fn what_happens_is_shown_until_ctrl_c_or_until_nobody_reads() {
    let server = Reveille::started();
    for arguments in [&["watch"][..], &["watch", "--json"], &["trace", "--follow"]] {
        let mut watching = Watching::begun(&server, arguments);
        let (first, ()) = std::thread::scope(|scope| {
            let line = scope.spawn(|| watching.line());
            let seen = poll(SOON, || {
                call_nobody(&server);
                line.is_finished().then_some(())
            });
            (line.join().expect("a line"), seen.expect("an event"))
        });
        assert!(first.contains("message_refused"), "{first}");
        assert!(first.contains("nobody@localhost"), "{first}");
        interrupt(&watching.child);
        assert_eq!(watching.ended(), Some(0), "{arguments:?}");
        let mut rest = String::new();
        watching.lines.read_to_string(&mut rest).expect("text");
    }
    let mut child = server
        .command()
        .args(["watch"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the reveille binary");
    drop(child.stdout.take());
    let ended = poll(SOON, || child.try_wait().expect("a child"));
    assert_eq!(ended.expect("it ends with its reader").code(), Some(0));
}

#[test]
fn the_beginning_of_an_id_is_enough_and_of_several_the_candidates_are_named() {
    let server = Reveille::started();
    for _ in 0..2 {
        call_nobody(&server);
    }
    let listed = poll(SOON, || {
        let listed: Value = serde_json::from_str(&server.ask(&["trace", "--json"])).expect("JSON");
        (listed.as_array().expect("a list").len() == 2).then_some(listed)
    });
    let listed = listed.expect("two stories");
    let ids: Vec<&str> = (0..2)
        .map(|at| listed[at]["tracking"].as_str().expect("an id"))
        .collect();
    let common = ids[0]
        .bytes()
        .zip(ids[1].bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let story = server.ask(&["trace", &ids[0][..=common]]);
    assert!(
        story.contains(ids[0]) && story.contains("404 No Such User"),
        "{story}"
    );
    let several = server.run(&["trace", &ids[0][..common]]);
    assert_eq!(several.status.code(), Some(1));
    let said = String::from_utf8_lossy(&several.stderr);
    assert!(ids.iter().all(|id| said.contains(id)), "{said}");
}

#[test]
fn a_push_is_tested_by_the_beginning_of_a_devices_id_and_says_what_to_do() {
    let server = Reveille::started();
    let token = new_token();
    let contact = iphone(&token).in_uri();
    let registered = SipClient::udp("bob", server.sip(Transport::Udp)).register(&contact);
    assert_eq!(registered.status, 200);
    let id = server.devices("bob").remove(0);
    let said = server.ask(&["push", "test", "--device", &id[..6], "--channel", "voip"]);
    assert!(
        said.contains("HTTP 200") && said.contains("taken by the provider"),
        "{said}"
    );
    server.lab().fate(&token, 400, "BadDeviceToken", None);
    let refused = server.run(&["push", "test", "--device", &id, "--channel", "voip"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stdout);
    assert!(
        said.contains("what to do: the token is of Apple's other cloud"),
        "{said}"
    );
}

#[test]
fn the_doctor_looks_at_a_server_that_runs_and_at_one_that_does_not() {
    let mut server = Reveille::started();
    let found = |server: &Reveille| -> Vec<Value> {
        let output = server.run(&["doctor", "--json"]);
        serde_json::from_slice(&output.stdout).expect("a list in JSON")
    };
    let is = |found: &[Value], topic: &str, state: &str, words: &str| {
        let fits = |it: &&Value| it["topic"] == topic && it["state"] == state;
        let what = |it: &Value| it["what"].as_str().expect("words").contains(words);
        assert!(
            found.iter().filter(fits).any(what),
            "{topic} {state} {words}: {found:#?}"
        );
    };
    let running = found(&server);
    is(&running, "server", "ok", "it runs");
    is(&running, "ports", "ok", "answers OPTIONS");
    is(&running, "store", "ok", "5 users");
    server.assert_healthy();
    server.stop();
    is(&found(&server), "server", "warn", "no server answers");
}
