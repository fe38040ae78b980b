//! The demo's rows can fail: each rule that is taken away in the behaviour table is missed by the rows that it is for, and
//! by no others.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use domain::{Behaviour, Mode, behaviour::Incoming};
use reveille::{
    config::{Config, Span},
    demo::{Demo, Pace, Report},
    dev,
};
use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};
use tokio::sync::mpsc;

const CLIENTS: [&str; 6] = [
    "Jabber iOS 12",
    "Jabber iOS 13+",
    "Jabber Android",
    "Webex iOS 12",
    "Webex iOS 13+",
    "Webex Android",
];
const SITUATIONS: [&str; 9] = [
    "foreground call",
    "foreground message",
    "suspended call",
    "suspended message",
    "foreground XMPP message",
    "suspended XMPP message",
    "foreground XMPP call",
    "suspended XMPP call",
    "presence",
];
/// Rules that need the push of a call to wake a phone.
const RULES_OF_WAKING: [&str; 8] = [
    "No phone answers yet",
    "No phone wakes",
    "No phone wakes, with a forward",
    "The provider says: token dead",
    "Answered on another device",
    "The caller gives up",
    "XMPP: answered on another device",
    "XMPP: the caller gives up",
];
const OTHER_RULES: [&str; 4] = [
    "A burst of messages",
    "XMPP: a burst of messages",
    "Phones with one door and with both",
    "The platforms' own rules",
];

/// Shorter than the product's, and still apart by more than a busy machine is late.
const RINGING_AFTER: &str = "1s";
const WAKE_TIMEOUT: &str = "4s";
const MESSAGE_COLLAPSE: &str = "2s";

fn config() -> Config {
    let span = |text: &str| text.parse::<Span>().unwrap();
    let mut config = dev::on_free_ports();
    config.call.ringing_after = span(RINGING_AFTER);
    config.call.wake_timeout = span(WAKE_TIMEOUT);
    config.call.message_collapse = span(MESSAGE_COLLAPSE);
    config
}

async fn played_by(behaviour: Behaviour) -> Report {
    let pace = Pace {
        at_once: 8,
        patience: Duration::from_secs(6),
    };
    let demo = Demo::start(config(), behaviour, pace).await.unwrap();
    // Nobody listens: the report says it all. (The listener's end must be gone by now, or the plays wait for it.)
    let (told, _) = mpsc::channel(1);
    let report = demo.play(told).await;
    demo.shutdown().await;
    report
}

fn failed(report: &Report) -> BTreeSet<String> {
    let failed = report.rows.iter().filter(|row| !row.ok);
    failed.map(|row| row.name.to_string()).collect()
}

/// The rows of all clients in these situations.
fn rows_of(situations: &[&str]) -> BTreeSet<String> {
    let of_client = |client| {
        situations
            .iter()
            .map(move |situation| format!("{client}: {situation}"))
    };
    CLIENTS.iter().flat_map(of_client).collect()
}

fn rules(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What went wrong, for whoever has to mend it.
fn story(report: &Report) -> String {
    serde_json::to_string_pretty(report).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_ok() {
    let report = played_by(Behaviour::default()).await;
    assert_eq!(failed(&report), BTreeSet::new(), "{}", story(&report));
    assert!(report.ok);
    let played: BTreeSet<_> = report.rows.iter().map(|row| row.name.to_string()).collect();
    let all = &(&rows_of(&SITUATIONS) | &rules(&RULES_OF_WAKING)) | &rules(&OTHER_RULES);
    assert_eq!(played, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_push_of_a_call_nobody_is_woken() {
    let no_push = Behaviour::default().with(Mode::Suspended, Incoming::Call, |rule| {
        rule.push = false;
    });
    let report = played_by(no_push).await;
    let missed = &rows_of(&["suspended call", "suspended XMPP call"]) | &rules(&RULES_OF_WAKING);
    assert_eq!(failed(&report), missed, "{}", story(&report));
    assert!(!report.ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_pushed_in_the_foreground_is_noticed() {
    let pushed = Behaviour::default().with(Mode::Foreground, Incoming::Message, |rule| {
        rule.push = true;
    });
    let report = played_by(pushed).await;
    let missed = rows_of(&["foreground message", "foreground XMPP message"]);
    assert_eq!(failed(&report), missed, "{}", story(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_late_fork_phones_are_woken_for_nothing() {
    let no_fork = Behaviour::default().with(Mode::Suspended, Incoming::Call, |rule| {
        rule.keep = false;
    });
    let report = played_by(no_fork).await;
    let (failed, story) = (failed(&report), story(&report));
    assert!(failed.is_superset(&rows_of(&["suspended call"])), "{story}");
    // iOS kills an app whose pushed call never comes.
    assert!(failed.contains("The platforms' own rules"), "{story}");
    let untouched = rows_of(&["foreground call", "foreground message", "suspended message"]);
    assert!(failed.is_disjoint(&untouched), "{story}");
}

#[test]
fn who_is_stopped_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_reveille"))
        .arg("demo")
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(demo.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("reveille demo"), "{line}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    let process = demo.id().to_string();
    let asked = Command::new("kill").args(["-INT", &process]).status();
    assert!(asked.unwrap().success());
    assert_eq!(demo.wait().unwrap().code(), Some(130));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn for_machines_it_prints_one_document() {
    let output = Command::new(env!("CARGO_BIN_EXE_reveille"))
        .args(["demo", "--json"])
        .env("REVEILLE_CALL__RINGING_AFTER", RINGING_AFTER)
        .env("REVEILLE_CALL__WAKE_TIMEOUT", WAKE_TIMEOUT)
        .env("REVEILLE_CALL__MESSAGE_COLLAPSE", MESSAGE_COLLAPSE)
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], true, "{report:#}");
    assert!(output.status.success());
    let rows = report["rows"].as_array().unwrap();
    let tables = CLIENTS.len() * SITUATIONS.len();
    assert_eq!(
        rows.len(),
        tables + RULES_OF_WAKING.len() + OTHER_RULES.len()
    );
    for row in rows {
        for key in ["name", "expected", "seen"] {
            let text = row[key].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{key} of {row}");
        }
    }
    let is_call = |row: &&serde_json::Value| row["name"] == "Webex iOS 13+: suspended call";
    let steps = rows.iter().find(is_call).unwrap()["steps"]
        .as_array()
        .unwrap();
    assert!(steps.iter().any(|step| step["who"] == "Apple"), "{steps:?}");
}
