//! `kill -9` in the middle of backups, restores, migrations and first starts. The child is this test binary, started again; it says
//! when it begins and when a round is over, so that the kills spread over a whole round of its work and beyond, however
//! fast the machine is.

use crate::world::*;
use rusqlite::Connection;
use std::{
    fs,
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    time::{Duration, Instant},
};

/// Tells the child in which directory to work, and at what.
const DIRECTORY: &str = "REVEILLE_TEST_KILLED_DIRECTORY";
const WORK: &str = "REVEILLE_TEST_KILLED_WORK";

/// What the child says.
const BEGUN: &str = "begun";
const ROUND: &str = "a round is over";

/// Children that are killed at one kind of work.
const KILLS: u32 = 24;

/// As version 0.1.0 made it.
const FIRST: &str = include_str!("../../src/sqlite/migrations/0001.sql");

/// Accounts in the database that is copied, put back and brought up to date.
const USERS: u32 = 3_000;
/// And in the one that is replaced.
const FEW: u32 = 7;

#[test]
#[ignore = "the child of the tests: works until it is killed"]
fn child_that_is_killed() {
    let directory = PathBuf::from(std::env::var_os(DIRECTORY).expect("started by a test"));
    let work = std::env::var(WORK).expect("started by a test");
    let (db, copy) = (directory.join("db"), directory.join("copy"));
    let say = |what| writeln!(std::io::stderr(), "{what}").unwrap();
    say(BEGUN);
    for round in 0_u64.. {
        match work.as_str() {
            "backup" => {
                store::backup(&url(&db), &copy.with_extension(round.to_string())).unwrap();
            }
            "restore" => {
                store::restore(&url(&db), &copy).unwrap();
            }
            "migration" | "first start" => drop(store::open(&url(&db)).unwrap()),
            other => panic!("{other}"),
        }
        say(ROUND);
        if work == "first start" {
            for file in fs::read_dir(&directory).unwrap() {
                fs::remove_file(file.unwrap().path()).unwrap();
            }
        }
    }
}

/// A child at its work.
struct Working {
    child: Child,
    says: Lines<BufReader<ChildStderr>>,
}

impl Working {
    /// A child that has begun.
    fn begun(work: &str, directory: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::child_that_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env(DIRECTORY, directory)
            .env(WORK, work)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut working = Self { child, says };
        working.wait_for(BEGUN);
        working
    }

    fn wait_for(&mut self, what: &str) {
        let said = self.says.next().expect("a child that works").unwrap();
        assert_eq!(said, what);
    }

    /// Kills it, and says whether a round had come through.
    fn killed(mut self) -> bool {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        let said: Vec<_> = self.says.map_while(Result::ok).collect();
        assert_eq!(status.code(), None, "it ended by itself: {said:?}");
        said.iter().any(|line| line == ROUND)
    }
}

/// Has children killed at their work, each in a directory of its own that was prepared, and looks at what they leave. `look`
/// hears whether a round came through.
async fn killed_at_any_moment(
    work: &str,
    prepare: impl Fn(&Path),
    look: impl AsyncFn(&Path, bool),
) {
    let prepared = || {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path());
        directory
    };
    let directory = prepared();
    let mut child = Working::begun(work, directory.path());
    let began = Instant::now();
    child.wait_for(ROUND);
    let round = began.elapsed();
    child.killed();
    look(directory.path(), true).await;
    for kill in 0..KILLS {
        let directory = prepared();
        let child = Working::begun(work, directory.path());
        std::thread::sleep(patience(round, kill));
        look(directory.path(), child.killed()).await;
    }
}

/// How long a child may work: from not at all to half as long again as a round took.
fn patience(round: Duration, kill: u32) -> Duration {
    round * 3 / 2 * kill / KILLS
}

fn old_database(path: &Path, users: u32) {
    let old = Connection::open(path).unwrap();
    old.execute_batch(FIRST).unwrap();
    let fill = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
        INSERT INTO users SELECT 'u' || n || '@example.org', 'U', 'md5', 'sha256', NULL FROM n";
    old.execute(fill, [users]).unwrap();
    old.execute_batch("PRAGMA application_id = 0x52564c4c; PRAGMA user_version = 1")
        .unwrap();
    old.close().unwrap();
}

/// The files in a directory whose names begin so.
fn files(directory: &Path, begin: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let named = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    files.filter(|it| named(it).starts_with(begin)).collect()
}

#[tokio::test]
async fn a_backup_that_is_killed_at_any_moment_is_whole_or_not_there() {
    let prepare = |directory: &Path| old_database(&directory.join("db"), USERS);
    killed_at_any_moment("backup", prepare, async |directory, through| {
        let mut copies = files(directory, "copy.");
        copies.retain(|copy| !copy.to_string_lossy().contains(".part"));
        assert!(!(through && copies.is_empty()), "none came through");
        for copy in copies {
            let found = store::check(&url(&copy)).unwrap().unwrap();
            assert_eq!(found.structure, [""; 0]);
            assert_eq!(users(&copy).await, USERS);
        }
        assert_eq!(users(&directory.join("db")).await, USERS);
    })
    .await;
}

#[tokio::test]
async fn a_restore_that_is_killed_at_any_moment_loses_nothing() {
    let prepare = |directory: &Path| {
        old_database(&directory.join("copy"), USERS);
        old_database(&directory.join("db"), FEW);
        drop(sqlite(&directory.join("db")));
    };
    killed_at_any_moment("restore", prepare, async |directory, through| {
        let db = directory.join("db");
        let finished = store::finish_restore(&url(&db)).unwrap();
        let mut there = vec![users(&db).await];
        if finished.is_some() || through {
            assert_eq!(there, [USERS], "decided, and not done");
        }
        let mut aside = files(directory, "db.before-");
        aside.retain(|path| {
            let name = path.to_string_lossy();
            !name.ends_with("-wal") && !name.ends_with(".made")
        });
        for aside in aside {
            there.push(users(&aside).await);
        }
        let first = there.iter().filter(|users| **users == FEW).count();
        assert_eq!(first, 1, "the first one is there, or aside: {there:?}");
        assert!(
            there.iter().all(|it| [FEW, USERS].contains(it)),
            "{there:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_migration_that_is_killed_at_any_moment_is_done_again() {
    let prepare = |directory: &Path| old_database(&directory.join("db"), USERS);
    killed_at_any_moment("migration", prepare, async |directory, _| {
        assert_eq!(users(&directory.join("db")).await, USERS);
    })
    .await;
}

#[tokio::test]
async fn a_first_start_that_is_killed_at_any_moment_can_be_done_again() {
    killed_at_any_moment(
        "first start",
        |_| {},
        async |directory, _| {
            // The child removes the mark before the database, or after it.
            let db = directory.join("db");
            if !db.exists() {
                for end in [".made", "-wal", "-shm"] {
                    let _ = fs::remove_file(directory.join(format!("db{end}")));
                }
            }
            assert_eq!(users(&db).await, 0);
        },
    )
    .await;
}
