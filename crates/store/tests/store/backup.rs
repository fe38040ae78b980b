//! Backups of a store that is in use, restores, migrations; and `kill -9` in the middle of each of them.

use crate::world::*;
use rusqlite::Connection;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use store::BackupError;

/// Tells the child in which directory to work, and at what.
const DIRECTORY: &str = "REVEILLE_TEST_BACKUP_DIRECTORY";
const WORK: &str = "REVEILLE_TEST_BACKUP_WORK";

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

async fn users(path: &Path) -> u32 {
    let store = sqlite(path);
    let users = store.users().await.unwrap().len();
    store.close().await.unwrap();
    u32::try_from(users).unwrap()
}

#[tokio::test]
async fn a_backup_is_one_moment_of_a_store_that_is_in_use_and_overwrites_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (path, copy) = (directory.path().join("db"), directory.path().join("copy"));
    assert!(matches!(
        store::backup(&url(&path), &copy),
        Err(BackupError::Nothing(_))
    ));
    assert!(!path.exists());
    let store = sqlite(&path);
    save(&store, [put_user("alice")]).await;
    let copied = store::backup(&url(&path), &copy).unwrap();
    assert_eq!(copied.octets, fs::metadata(&copy).unwrap().len());
    save(&store, [put_user("bob")]).await;
    assert_eq!(users(&copy).await, 1);

    let before = fs::read(&copy).unwrap();
    let again = store::backup(&url(&path), &copy).unwrap_err();
    assert!(matches!(again, BackupError::Exists(_)), "{again}");
    assert_eq!(fs::read(&copy).unwrap(), before);
    let nowhere = store::backup(&url(&path), &directory.path().join("no/copy")).unwrap_err();
    assert!(matches!(nowhere, BackupError::Write { .. }), "{nowhere}");
}

#[tokio::test]
async fn a_restore_keeps_the_old_one_aside_and_refuses_what_is_no_backup() {
    let directory = tempfile::tempdir().unwrap();
    let (path, copy) = (directory.path().join("db"), directory.path().join("copy"));
    let store = sqlite(&path);
    save(&store, [put_user("alice")]).await;
    store::backup(&url(&path), &copy).unwrap();
    save(&store, [put_user("bob")]).await;
    store.close().await.unwrap();

    let letter = directory.path().join("letter");
    fs::write(&letter, "no backup".repeat(999)).unwrap();
    for bad in [&letter, &directory.path().join("nothing")] {
        store::restore(&url(&path), bad).unwrap_err();
        assert_eq!(users(&path).await, 2, "{}", bad.display());
    }
    let restored = store::restore(&url(&path), &copy).unwrap();
    assert_eq!(users(&path).await, 1);
    assert_eq!(users(&restored.aside.unwrap()).await, 2);
    assert!(copy.exists());

    // One that is gone or cut short is replaced as well.
    for damage in [
        |path: &Path| fs::remove_file(path).unwrap(),
        |path: &Path| {
            fs::write(path, "").unwrap();
        },
    ] {
        damage(&path);
        store::restore(&url(&path), &copy).unwrap();
        assert_eq!(users(&path).await, 1);
    }
}

/// As version 0.1.0 made it.
const FIRST: &str = include_str!("../../src/sqlite/migrations/0001.sql");

/// Accounts in the database that is copied, put back and brought up to date.
const USERS: u32 = 3_000;

/// A child that does one thing over and over, in this directory.
fn child(work: &str, directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "backup::child_that_is_killed", "--ignored"])
        .env(DIRECTORY, directory)
        .env(WORK, work)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "the child of the tests: works until it is killed"]
fn child_that_is_killed() {
    let directory = PathBuf::from(std::env::var_os(DIRECTORY).expect("started by a test"));
    let (db, copy) = (directory.join("db"), directory.join("copy"));
    match std::env::var(WORK).expect("started by a test").as_str() {
        "backup" => loop {
            let _ = fs::remove_file(&copy);
            store::backup(&url(&db), &copy).unwrap();
        },
        "restore" => loop {
            store::restore(&url(&db), &copy).unwrap();
        },
        "migration" => {
            drop(store::open(&url(&db)).unwrap());
        }
        "first start" => loop {
            drop(store::open(&url(&db)).unwrap());
            for file in fs::read_dir(&directory).unwrap() {
                fs::remove_file(file.unwrap().path()).unwrap();
            }
        },
        other => panic!("{other}"),
    }
}

/// Kills the child after so long.
fn killed_after(mut child: Child, patience: Duration) {
    std::thread::sleep(patience);
    // It may have ended by itself.
    let _ = child.kill();
    child.wait().unwrap();
}

/// How long a child may work, from not at all to long enough for a whole round: its start is in it.
fn patience(round: u64) -> Duration {
    Duration::from_micros(4_000 + round * 1_700)
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

#[tokio::test]
async fn a_backup_that_is_killed_at_any_moment_is_whole_or_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let (db, copy) = (directory.path().join("db"), directory.path().join("copy"));
    old_database(&db, USERS);
    let mut whole = 0;
    for round in 0..40 {
        killed_after(child("backup", directory.path()), patience(round));
        if copy.exists() {
            let found = store::check(&url(&copy)).unwrap().unwrap();
            assert_eq!(found.structure, [""; 0]);
            assert_eq!(users(&copy).await, USERS, "round {round}");
            whole += 1;
        }
    }
    assert!(whole > 0, "none came through");
    assert_eq!(users(&db).await, USERS);
}

#[tokio::test]
async fn a_restore_that_is_killed_at_any_moment_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (db, copy) = (directory.path().join("db"), directory.path().join("copy"));
    old_database(&copy, USERS);
    old_database(&db, 7);
    drop(sqlite(&db));
    for round in 0..40 {
        killed_after(child("restore", directory.path()), patience(round));
        let finished = store::finish_restore(&url(&db)).unwrap();
        let there = users(&db).await;
        assert!(
            there == USERS || (there == 7 && finished.is_none()),
            "round {round}: {there}"
        );
    }
    assert_eq!(users(&db).await, USERS, "none came through");
    let aside = fs::read_dir(directory.path()).unwrap();
    let aside = aside.map(|file| file.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("db.before-") && !name.contains("-wal") && !name.ends_with(".made")
    });
    let mut first = 0;
    for aside in aside.collect::<Vec<_>>() {
        first += usize::from(users(&aside).await == 7);
    }
    assert_eq!(first, 1, "the first one is aside");
}

#[tokio::test]
async fn a_migration_that_is_killed_at_any_moment_is_done_again() {
    let directory = tempfile::tempdir().unwrap();
    let db = directory.path().join("db");
    for round in 0..30 {
        for file in fs::read_dir(directory.path()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        old_database(&db, USERS);
        killed_after(child("migration", directory.path()), patience(round));
        assert_eq!(users(&db).await, USERS, "round {round}");
    }
}

#[tokio::test]
async fn a_first_start_that_is_killed_at_any_moment_can_be_done_again() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..30 {
        killed_after(child("first start", directory.path()), patience(round));
        // The child removes the mark before the database, or after it.
        let db = directory.path().join("db");
        if !db.exists() {
            for end in ["made", "wal", "shm"] {
                let _ = fs::remove_file(directory.path().join(format!("db.{end}")));
                let _ = fs::remove_file(directory.path().join(format!("db-{end}")));
            }
        }
        assert_eq!(users(&db).await, 0, "round {round}");
    }
}
