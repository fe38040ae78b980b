//! Databases that are not as they should be: each is refused or repaired, and says what the operator can do.

use crate::world::*;
use rusqlite::Connection;
use std::{
    fs,
    path::{Path, PathBuf},
};
use store::{OpenError, StoreError};
use tempfile::TempDir;

fn directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    (directory, path)
}

/// The error of a database that must not open. Its text names the file.
fn refused(path: &Path) -> OpenError {
    let url = url(path);
    let error = store::open(&url).err().expect("a database that is refused");
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()), "{text}");
    error
}

/// A database with one user, closed.
async fn written(path: &Path) {
    let store = sqlite(path);
    save(&store, [put_user("alice")]).await;
    store.close().await.unwrap();
}

#[test]
fn a_url_that_names_no_store_is_refused() {
    for url in [
        "",
        "sqlite",
        "sqlite:",
        "memory",
        "memory:x",
        "postgres:db",
        "/var/db",
    ] {
        let error = store::open(url).err().unwrap();
        assert!(matches!(error, OpenError::BadUrl(_)), "{url}: {error}");
        assert!(error.to_string().contains("sqlite:PATH"));
    }
}

#[test]
fn a_directory_that_is_missing_is_named() {
    let (directory, _) = directory();
    let missing = directory.path().join("not there");
    let error = refused(&missing.join("db"));
    assert!(
        matches!(&error, OpenError::NoDirectory { directory, .. } if *directory == missing),
        "{error}"
    );
}

#[test]
fn a_directory_is_no_database() {
    let (directory, _) = directory();
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::IsDirectory(_)), "{error}");
}

/// In a directory where nobody may create a file, root neither.
#[cfg(target_os = "linux")]
#[test]
fn a_place_where_we_may_not_write_says_so() {
    let error = refused(Path::new("/sys/kernel/reveille.db"));
    assert!(matches!(error, OpenError::Denied(_)), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let (_directory, path) = directory();
    let text = "not a database, but somebody's letters ".repeat(100);
    fs::write(&path, &text).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::NotADatabase(_)), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let (_directory, path) = directory();
    let theirs = Connection::open(&path).unwrap();
    theirs.execute_batch("CREATE TABLE letters (text)").unwrap();
    let before = fs::read(&path).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::NotOurs(_)), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let (_directory, path) = directory();
    written(&path).await;
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 4711).unwrap();
    drop(newer);
    let before = fs::read(&path).unwrap();
    let error = refused(&path);
    assert!(
        matches!(error, OpenError::Newer { found: 4711, .. }),
        "{error}"
    );
    let remedy = "install the version that wrote it";
    assert!(error.to_string().contains(remedy), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_database_that_is_locked_says_so() {
    let (_directory, path) = directory();
    written(&path).await;
    let other = Connection::open(&path).unwrap();
    let lock = "PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE";
    other.execute_batch(lock).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    sqlite(&path);
}

#[tokio::test]
async fn a_database_that_was_cut_short_is_reported() {
    let (_directory, path) = directory();
    written(&path).await;
    let length = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(length / 2).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_value_that_we_cannot_have_written_is_reported_and_nothing_else_suffers() {
    let (_directory, path) = directory();
    let store = sqlite(&path);
    let devices = [put_device("bad", "alice"), put_device("good", "alice")];
    save(&store, [put_user("alice")].into_iter().chain(devices)).await;
    let other = Connection::open(&path).unwrap();
    let spoil = "UPDATE devices SET created_at = -1 WHERE id = 'bad'";
    assert_eq!(other.execute(spoil, []).unwrap(), 1);

    let error = store.device(&device_id("bad")).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    assert!(store.device(&device_id("good")).await.unwrap().is_some());
}

/// What `url` says of the store at this path.
#[tokio::test]
async fn what_is_missing_or_empty_is_no_first_start() {
    let (_directory, path) = directory();
    assert_eq!(store::glance(&url(&path)).unwrap(), None, "a first start");
    written(&path).await;

    fs::write(&path, "").unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::Empty(_)), "{error}");
    assert!(store::check(&url(&path)).is_err());

    fs::remove_file(&path).unwrap();
    let error = refused(&path);
    let OpenError::Missing { marker, .. } = &error else {
        panic!("{error}")
    };
    assert!(error.to_string().contains("reveille restore"), "{error}");
    assert!(store::glance(&url(&path)).is_err());
    assert!(!path.exists(), "nobody made another one");

    // The operator wants to begin anew.
    fs::remove_file(marker).unwrap();
    assert_eq!(sqlite(&path).users().await.unwrap(), []);
}

#[tokio::test]
async fn looking_at_a_database_changes_nothing() {
    let (directory, path) = directory();
    let names = || {
        let files = fs::read_dir(directory.path()).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    store::glance(&url(&path)).unwrap();
    assert_eq!(names(), [""; 0]);
    written(&path).await;
    let before = (names(), fs::read(&path).unwrap());
    let found = store::check(&url(&path)).unwrap().unwrap();
    assert_eq!(
        (found.users, found.structure, found.damaged),
        (1, vec![], vec![])
    );
    assert_eq!((names(), fs::read(&path).unwrap()), before);
}

/// One row of each table that a start reads is damaged, and one of a table that it does not read.
#[tokio::test]
async fn damaged_rows_are_named_and_set_aside_and_the_rest_works() {
    let (_directory, path) = directory();
    let store = sqlite(&path);
    let good = [
        put_user("alice"),
        put_device("good", "alice"),
        archive("m1", "bob", "alice"),
    ];
    let bad = [
        put_device("bad", "alice"),
        put_door("bad", 0),
        enqueue("bad", "m1"),
    ];
    save(&store, good.into_iter().chain(bad)).await;
    let other = Connection::open(&path).unwrap();
    let spoil = "UPDATE devices SET created_at = -1 WHERE id = 'bad';
        UPDATE messages SET class = 'nonsense'";
    other.execute_batch(spoil).unwrap();

    let found = store::check(&url(&path)).unwrap().unwrap();
    let rows: Vec<_> = found
        .damaged
        .iter()
        .map(|it| (it.table, &*it.row))
        .collect();
    assert_eq!(
        rows,
        [("devices", "bad alice@example.org"), ("messages", "m1")]
    );
    assert!(
        found.damaged[0].why.starts_with("created_at: "),
        "{found:?}"
    );
    let error = store.load(Box::new(drop)).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");

    let aside = store.set_aside().await.unwrap();
    assert_eq!(aside.len(), 1, "what a start needs: {aside:?}");
    let left = loaded(&store).await;
    assert_eq!(left.devices, [device("good", "alice")]);
    assert_eq!((left.doors, left.queued), (vec![], vec![]));
    store.close().await.unwrap();
    assert_eq!(store::set_aside(&url(&path)).unwrap().len(), 1);
    let found = store::check(&url(&path)).unwrap().unwrap();
    assert_eq!((found.damaged, found.set_aside), (vec![], 4));

    put_back(&other);
    let store = sqlite(&path);
    assert_eq!(queue(&store, "bad").await, ["m1"], "nothing was lost");
    assert_eq!(loaded(&store).await.doors, [door("bad", 0)]);
}

/// Mends what was set aside, and puts it back.
fn put_back(connection: &Connection) {
    let mut aside = connection
        .prepare("SELECT CAST(back AS TEXT) FROM set_aside ORDER BY number")
        .unwrap();
    let statements = aside.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for statement in statements {
        let mended = statement
            .unwrap()
            .replace("-1", "1")
            .replace("nonsense", "chat");
        connection.execute(&mended, []).unwrap();
    }
}

/// An account goes with its devices, and they with what is theirs.
#[tokio::test]
async fn an_account_that_is_damaged_is_set_aside_with_all_that_hangs_on_it() {
    let (_directory, path) = directory();
    let store = sqlite(&path);
    let changes = [
        put_user("alice"),
        put_device("d1", "alice"),
        put_door("d1", 0),
        put_user("bob"),
    ];
    save(&store, changes).await;
    let other = Connection::open(&path).unwrap();
    let spoil = "UPDATE users SET md5 = CAST(X'ff' AS TEXT) WHERE address = 'alice@example.org'";
    other.execute(spoil, []).unwrap();
    assert_eq!(store.set_aside().await.unwrap().len(), 1);
    let left = loaded(&store).await;
    assert_eq!(left.users, [user("bob")]);
    assert_eq!(left.devices, []);
    let tables: String = other
        .query_row(
            "SELECT group_concat(source, ' ' ORDER BY number) FROM set_aside",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(tables, "users devices doors");
}

/// The log as a power cut in the middle of a write leaves it: only the transaction that was torn is gone.
#[tokio::test]
async fn a_log_that_was_torn_loses_its_last_transaction_and_no_other() {
    let (directory, path) = directory();
    let store = sqlite(&path);
    for name in ["alice", "bob", "carol"] {
        save(&store, [put_user(name)]).await;
    }
    let copy = directory.path().join("copy");
    let log = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
    fs::copy(&path, &copy).unwrap();
    fs::copy(log(&path), log(&copy)).unwrap();
    let torn = fs::OpenOptions::new().write(true).open(log(&copy)).unwrap();
    torn.set_len(fs::metadata(log(&copy)).unwrap().len() - 100)
        .unwrap();

    let users = sqlite(&copy).users().await.unwrap();
    assert_eq!(users, [user("alice"), user("bob")]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, path) = directory();
    let store = sqlite(&path);
    save(&store, [put_user("alice")]).await;
    let mut files = 0;
    for file in fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.path().display());
        files += 1;
    }
    assert_eq!(
        files, 4,
        "the database, its mark, its log and the log's index"
    );
}
