//! `kill -9` in the middle of commits. The child is this test binary, started again for the one test that writes.

use crate::world::*;
use domain::Change;
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Tells the child which database to write to.
const DATABASE: &str = "REVEILLE_TEST_CRASH_DATABASE";

/// Steps that wait at once in the child: several go into one transaction.
const AT_ONCE: u64 = 16;

#[tokio::test]
async fn what_was_answered_survives_kill_9_and_nothing_is_half_done() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let mut answered = Vec::new();
    // Every round goes on with what the last one left.
    for patience in [1, 20, 150, 400] {
        answered.extend(write_until_killed(&path, patience));
        let store = sqlite(&path);
        let waiting = queue(&store, "d1").await;
        let lost: Vec<_> = answered.iter().filter(|id| !waiting.contains(id)).collect();
        assert_eq!(lost, [""; 0], "answered, and gone");
        let mut sorted = waiting.clone();
        sorted.sort_by_key(|id| id.parse::<u64>().unwrap());
        assert_eq!(waiting, sorted, "each writer's order");

        let owed = store.owed(&device_id("d1")).await.unwrap();
        let pushes: Vec<String> = owed.iter().map(|push| push.id.to_string()).collect();
        assert_eq!(
            waiting, pushes,
            "a message without its push, or a push without its message"
        );
        store.close().await.unwrap();
    }
}

/// The ids that a child was answered for, until it was killed after `patience` of them.
fn write_until_killed(database: &Path, patience: usize) -> Vec<String> {
    let mut child = start_child(database);
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut answered = Vec::new();
    // What it wrote before it died is still in the pipe.
    for line in output.lines().map_while(Result::ok) {
        let Some(id) = line.strip_prefix("answered ") else {
            continue;
        };
        answered.push(id.to_owned());
        if answered.len() == patience {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "it ended by itself: {status}");
    assert!(answered.len() >= patience);
    answered
}

fn start_child(database: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::child_that_writes",
            "--ignored",
            "--nocapture",
        ])
        .env(DATABASE, database)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "the child of the crash test: writes until it is killed"]
async fn child_that_writes() {
    let database = std::env::var_os(DATABASE).map(PathBuf::from);
    let store = sqlite(&database.expect("started by the crash test"));
    save(&store, [put_user("alice"), put_device("d1", "alice")]).await;
    let mut next = queue(&store, "d1").await.len() as u64;
    loop {
        let waiting: Vec<_> = (next..next + AT_ONCE)
            .map(|n| {
                let id = format!("{n:09}");
                (
                    id.clone(),
                    store.commit(vec![message_with_its_push(&id, n)]),
                )
            })
            .collect();
        next += AT_ONCE;
        for (id, answer) in waiting {
            assert_eq!(answer.await.unwrap(), [Ok(())]);
            writeln!(std::io::stdout(), "answered {id}").unwrap();
        }
    }
}

fn message_with_its_push(id: &str, n: u64) -> Vec<Change> {
    vec![
        archive(id, "bob", "alice"),
        enqueue("d1", id),
        owe(owed(id, "d1", n)),
    ]
}
