//! The demo's rows can fail: each rule that is taken away in the behaviour table is missed by the rows that it is for, and
//! by no others.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use domain::{Behaviour, Mode, behaviour::Incoming};
use lab::cloud::Filter;
use reveille::{
    config::{Config, Span},
    demo::{Demo, Pace, Report},
    dev,
};
use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
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
/// A page, and what it can play: all that is not SIP.
const PAGE: &str = "Web page";
const OF_PAGES: [&str; 5] = [
    "foreground XMPP message",
    "suspended XMPP message",
    "foreground XMPP call",
    "suspended XMPP call",
    "presence",
];
/// Rules that need the push of a call to wake a phone.
const RULES_OF_WAKING: [&str; 10] = [
    "No phone answers yet",
    "No phone wakes",
    "No phone wakes, with a forward",
    "The provider says: token dead",
    "Answered on another device",
    "The caller gives up",
    "XMPP: answered on another device",
    "XMPP: the caller gives up",
    "A phone that moves: asleep",
    "A phone that moves: asleep, over XMPP",
];
/// Rules that go by without it.
const OTHER_RULES: [&str; 5] = [
    "A burst of messages",
    "XMPP: a burst of messages",
    "Phones with one door and with both",
    "A phone that moves: in a call",
    "A phone that moves: in front, both doors",
];
/// What is looked at once.
const OF_ALL: &str = "The platforms' own rules";
/// Where the phones are.
const SIDES: [&str; 2] = ["inside", "outside"];

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

const PACE: Pace = Pace {
    at_once: 8,
    patience: Duration::from_secs(6),
};

async fn played_by(behaviour: Behaviour) -> Report {
    let demo = Demo::start(config(), behaviour, PACE, None).await.unwrap();
    let report = played(&demo).await;
    demo.shutdown().await;
    report
}

async fn played(demo: &Demo) -> Report {
    // Nobody listens: the report says it all. (The listener's end must be gone by now, or the plays wait for it.)
    let (told, _) = mpsc::channel(1);
    demo.play(told).await
}

fn failed(report: &Report) -> BTreeSet<String> {
    let failed = report.rows.iter().filter(|row| !row.ok);
    failed.map(|row| row.name.to_string()).collect()
}

/// A row for each side.
fn on_both_sides(name: String) -> impl Iterator<Item = String> {
    SIDES.into_iter().map(move |side| format!("{name}, {side}"))
}

/// The rows of all clients in these situations.
fn rows_of(situations: &[&str]) -> BTreeSet<String> {
    let of_client = |client| {
        let its = situations
            .iter()
            .filter(move |it| client != PAGE || OF_PAGES.contains(it));
        its.map(move |situation| format!("{client}: {situation}"))
    };
    let clients = CLIENTS.into_iter().chain([PAGE]);
    clients
        .flat_map(of_client)
        .flat_map(on_both_sides)
        .collect()
}

fn rules(names: &[&str]) -> BTreeSet<String> {
    let names = names.iter().map(|name| (*name).to_owned());
    names.flat_map(on_both_sides).collect()
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
    assert_eq!(rows(&report), all_rows());
}

fn rows(report: &Report) -> BTreeSet<String> {
    report.rows.iter().map(|row| row.name.to_string()).collect()
}

fn all_rows() -> BTreeSet<String> {
    let mut all = &(&rows_of(&SITUATIONS) | &rules(&RULES_OF_WAKING)) | &rules(&OTHER_RULES);
    all.insert(OF_ALL.to_owned());
    all
}

/// What was pushed is counted by then.
const COUNTED: Duration = Duration::from_secs(10);

/// Pushes that a process has made, by its metrics.
async fn pushes(health: SocketAddr) -> f64 {
    let url = format!("http://{health}/metrics");
    let (_, page) = net::http::request(http::Method::GET, &url, None, None)
        .await
        .unwrap();
    let page = String::from_utf8(page.to_vec()).unwrap();
    let counters = page
        .lines()
        .filter(|line| line.starts_with("reveille_push_requests_total{"));
    let counts = counters.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap());
    counts.sum()
}

fn runs(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_ok_with_the_push_service_as_a_process_of_its_own() {
    let binary = Some(env!("CARGO_BIN_EXE_reveille").into());
    let demo = Demo::start(config(), Behaviour::default(), PACE, binary);
    let demo = demo.await.unwrap();
    let report = played(&demo).await;
    let beside = demo.dev().beside.as_ref().unwrap();
    let process = beside.process().unwrap();
    let at_clouds = demo.dev().clouds.notifications(&Filter::default()).len();
    assert!(at_clouds > 0);
    let at_clouds = f64::from(u32::try_from(at_clouds).unwrap());
    // A cloud has a push a little before whoever made it has the answer, and counts it.
    let all_counted = async {
        while pushes(beside.health).await < at_clouds {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let all_counted = tokio::time::timeout(COUNTED, all_counted).await;
    demo.shutdown().await;
    assert!(!runs(process));
    assert_eq!(failed(&report), BTreeSet::new(), "{}", story(&report));
    assert_eq!(rows(&report), all_rows());
    assert!(
        all_counted.is_ok(),
        "not all of {at_clouds} went through it"
    );
}

/// The process whose command line names something in `folder`.
fn process_of(folder: &Path) -> Option<u32> {
    let folder = folder.to_str().unwrap();
    let processes = Path::new("/proc").read_dir().unwrap().flatten();
    let mut numbers = processes.filter_map(|it| it.file_name().to_str()?.parse().ok());
    numbers.find(|number: &u32| {
        let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(folder)
    })
}

/// A demo of its own process, which has said its first line; what it leaves behind is in `folder`.
fn begun(arguments: &[&str], folder: &Path) -> Child {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_reveille"))
        .args(arguments)
        .env("TMPDIR", folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(demo.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("reveille demo"), "{line}");
    demo
}

#[test]
fn the_process_of_the_push_service_ends_with_the_demo_also_if_that_is_killed() {
    for signal in ["-INT", "-KILL"] {
        let folder = tempfile::tempdir().unwrap();
        let mut demo = begun(&["demo", "--split"], folder.path());
        let beside = process_of(folder.path()).expect("a push service");
        let process = demo.id().to_string();
        let asked = Command::new("kill").args([signal, &process]).status();
        assert!(asked.unwrap().success());
        demo.wait().unwrap();
        let began = Instant::now();
        while runs(beside) {
            assert!(began.elapsed() < Duration::from_secs(30), "{signal}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
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
    assert!(failed.contains(OF_ALL), "{story}");
    let untouched = rows_of(&["foreground call", "foreground message", "suspended message"]);
    assert!(failed.is_disjoint(&untouched), "{story}");
}

#[test]
fn who_is_stopped_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = begun(&["demo"], folder.path());
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
    let tables = CLIENTS.len() * SITUATIONS.len() + OF_PAGES.len();
    let behaviours = tables + RULES_OF_WAKING.len() + OTHER_RULES.len();
    assert_eq!(rows.len(), SIDES.len() * behaviours + 1);
    for row in rows {
        for key in ["name", "expected", "seen"] {
            let text = row[key].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{key} of {row}");
        }
        // Whoever moves comes by the edge once.
        let name = row["name"].as_str().unwrap();
        let by_edge = name.ends_with(", outside") || name.contains("moves");
        assert_eq!(row["edge"].is_string(), by_edge, "{row}");
    }
    let is_call =
        |row: &&serde_json::Value| row["name"] == "Webex iOS 13+: suspended call, outside";
    let steps = rows.iter().find(is_call).unwrap()["steps"]
        .as_array()
        .unwrap();
    assert!(steps.iter().any(|step| step["who"] == "Apple"), "{steps:?}");
}
