//! The push service with a disk that is full: what was promised is kept, what cannot be kept is not promised, and whoever waits for an answer has one.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use reveille_e2e::{Reveille, SOON, free_port, poll, push_token};
use serde_json::{Value, json};

const IOS: &str = "com.example.phone";
const DROID: &str = "com.example.droid";
const BATCH: u64 = 100;
/// More than a disk of four MiB holds.
const MOST: u64 = 20_000;

/// The device of a push.
fn token(number: u64) -> String {
    format!("{number:064x}")
}

fn push(app: &str, number: u64) -> Value {
    json!({"id": format!("{app}-{number}"), "app": app, "token": token(number), "channel": "message",
        "kind": "message", "ttl": 3600})
}

/// What the service says of pushes, which it is to keep or to answer at once.
fn hand_in(to: SocketAddr, bearer: &str, pushes: &[Value], keep: bool) -> Vec<Value> {
    let mut curl = Command::new("curl");
    curl.args(["-s", "-H", &format!("Authorization: Bearer {bearer}")]);
    if keep {
        curl.args(["-H", "Prefer: respond-async"]);
    }
    curl.args(["-H", "Content-Type: application/json", "-d"]);
    curl.arg(Value::from(pushes.to_vec()).to_string());
    curl.arg(format!("http://{to}/v1/notifications/batch"));
    let said = curl
        .output()
        .expect("curl: `cargo xtask test --only peers` installs it");
    let said: Value = serde_json::from_slice(&said.stdout).expect("what the service says");
    said.as_array().expect("one each").clone()
}

/// Whether the operator is told of the disk, and what to do.
fn is_told(server: &Reveille) -> bool {
    // Some alarm stands: the command says so by how it ends.
    let said = server.run(&["alarms"]).stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    said.contains("store_failed") && said.contains("free space")
}

#[test]
fn a_full_disk_loses_no_promise_and_holds_up_nobody_who_waits() {
    let rest = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut server = Reveille::new()
        .with("server", "roles", "call,push")
        .with("listen", "push", &rest.to_string())
        .on_a_disk_of(4);
    server.start();
    let bearer = push_token(rest);
    // Apple's cloud takes nothing, so that all is kept.
    server.lab().fault("apns", "http_503", 100_000);
    let mut promised = BTreeSet::new();
    let mut refused = None;
    for first in (0..MOST).step_by(100) {
        let pushes: Vec<_> = (first..first + BATCH).map(|it| push(IOS, it)).collect();
        for (number, said) in (first..).zip(hand_in(rest, &bearer, &pushes, true)) {
            if said["outcome"] == "queued" {
                promised.insert(number);
            } else {
                refused = Some(said);
            }
        }
        if refused.is_some() {
            break;
        }
    }
    let refused = refused.expect("a disk that is full");
    assert_eq!(refused["outcome"], "unavailable", "{refused}");
    assert!(
        refused.to_string().contains("nothing is promised"),
        "{refused}"
    );
    poll(SOON, || is_told(&server).then_some(())).expect("an alarm that names the disk");
    // Nothing has to be kept of a push that is waited for.
    let said = hand_in(rest, &bearer, &[push(DROID, MOST)], false);
    assert_eq!(said[0]["outcome"], "accepted", "{said:?}");

    server.resize_disk(256);
    server.lab().no_faults();
    let lab = server.lab();
    let taken = |number: u64| {
        let pushes = lab.notifications(&token(number));
        pushes.iter().filter(|push| push.status() == 200).count()
    };
    let last = *promised.last().expect("something was promised");
    for number in [0, last / 2, last] {
        poll(SOON * 6, || (taken(number) > 0).then_some(())).expect("what was promised arrives");
    }
    let drained = || {
        let page = server.metrics();
        page.lines()
            .any(|line| line == "reveille_push_queue 0")
            .then_some(())
    };
    poll(SOON * 6, drained).expect("nothing waits");
    for number in &promised {
        assert_eq!(taken(*number), 1, "{number}");
    }
    poll(SOON, || (!is_told(&server)).then_some(())).expect("an alarm that is over");
    server.assert_healthy();
}
