use super::*;
use crate::sqlite::{WRITES, accounts, open};
use domain::{Address, User, user::Secrets};

fn put(name: &str, bytes: usize) -> Vec<Change> {
    vec![Change::PutUser(Box::new(User {
        address: Address::new(name, "example.org").unwrap(),
        display_name: "x".repeat(bytes),
        secrets: Secrets {
            md5: String::new(),
            sha256: String::new(),
            scram: None,
            mark: 0,
        },
        forward: None,
    }))]
}

struct World {
    directory: tempfile::TempDir,
    writer: Writer,
}

/// A writer whose connection was tampered with.
fn world(tamper: impl FnOnce(&Connection)) -> World {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let connection = open::for_writing(&path).unwrap();
    tamper(&connection);
    let writer = Writer::start(WRITES, connection, &path).unwrap();
    World { directory, writer }
}

impl World {
    async fn saved(&self) -> Vec<String> {
        self.writer.close(async {}).await;
        let connection = open::for_reading(&self.directory.path().join("db")).unwrap();
        let mut database = Database::new(&connection);
        let users = database.all(Sql::Users, [], accounts::user).unwrap();
        let names = users.iter().map(|user| user.address.name().to_owned());
        names.collect()
    }

    /// Keeps the writer busy until the sender is used, so that what follows is one group.
    async fn busy(&self) -> std::sync::mpsc::Sender<()> {
        let (running, runs) = oneshot::channel();
        let (go, wait) = std::sync::mpsc::channel();
        drop(self.writer.work(move |_| {
            running.send(()).unwrap();
            wait.recv().map_err(|_| StoreError::Closed)
        }));
        runs.await.unwrap();
        go
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_whole_group_and_not_the_next() {
    let world = world(|connection| {
        let pages = "PRAGMA page_count";
        let pages: i64 = connection.query_row(pages, [], |row| row.get(0)).unwrap();
        let most = ("max_page_count", pages + 4);
        connection.pragma_update(None, most.0, most.1).unwrap();
    });
    let go = world.busy().await;
    let commit = |steps| world.writer.commit(steps);
    let answers = [
        commit(vec![put("small", 1)]),
        commit(vec![put("beside", 1), put("large", 1_000_000)]),
        commit(vec![put("after", 1)]),
    ];
    go.send(()).unwrap();
    for answer in answers {
        assert_eq!(answer.await, Err(StoreError::DiskFull));
    }
    assert_eq!(commit(vec![put("next", 1)]).await, Ok(vec![Ok(())]));
    assert_eq!(world.saved().await, ["next"]);
}

#[tokio::test]
async fn a_disk_with_room_for_small_rows_alone_does_not_pass_for_well() {
    let world = world(|connection| {
        let pages = "PRAGMA page_count";
        let pages: i64 = connection.query_row(pages, [], |row| row.get(0)).unwrap();
        let most = ("max_page_count", pages + 4);
        connection.pragma_update(None, most.0, most.1).unwrap();
    });
    let commit = |steps| world.writer.commit(steps);
    let probe = || world.writer.work(crate::sqlite::probe::probe);
    let large = commit(vec![put("large", 1_000_000)]).await;
    assert_eq!(large, Err(StoreError::DiskFull));
    assert_eq!(commit(vec![put("small", 1)]).await, Ok(vec![Ok(())]));
    let stats = world.writer.stats();
    assert_eq!(stats.last_failure, Some(StoreError::DiskFull));
    assert_eq!((stats.failures, stats.commits.count()), (1, 2));
    assert_eq!(probe().await, Err(StoreError::DiskFull));
    let more = world.writer.work(|database| {
        let connection = database.connection();
        let most = connection.pragma_update(None, "max_page_count", 1_000_000);
        most.map_err(store_error)
    });
    more.await.unwrap();
    assert_eq!(probe().await, Ok(()));
    let left = world.writer.work(|database| {
        let left = "SELECT COUNT(*) FROM probes";
        let left = database.connection().query_row(left, [], |row| row.get(0));
        left.map_err(store_error)
    });
    assert_eq!(left.await, Ok(0));
}

#[tokio::test]
async fn a_database_that_cannot_be_written_says_so_each_time() {
    let world = world(|connection| {
        connection.pragma_update(None, "query_only", true).unwrap();
    });
    for _ in 0..2 {
        let answer = world.writer.commit(vec![put("alice", 1)]).await;
        assert_eq!(answer, Err(StoreError::ReadOnly));
    }
    assert_eq!(world.writer.stats().failed, 2);
    let probe = world.writer.work(crate::sqlite::probe::probe);
    assert_eq!(probe.await, Err(StoreError::ReadOnly));
    assert_eq!(world.saved().await, [""; 0]);
}

#[tokio::test]
async fn a_step_that_cannot_stand_falls_alone_in_its_group() {
    let world = world(|_| ());
    let go = world.busy().await;
    let nobodys = domain::Device::new(
        "d1".into(),
        Address::new("nobody", "example.org").unwrap(),
        domain::Timestamp(0),
    );
    let mut bad = put("bad", 1);
    bad.push(Change::PutDevice(Box::new(nobodys)));
    let first = world.writer.commit(vec![put("first", 1), bad]);
    let second = world.writer.commit(vec![put("second", 1)]);
    go.send(()).unwrap();
    let words = first.await.unwrap();
    assert_eq!(words[0], Ok(()));
    assert!(matches!(
        words[1],
        Err(StoreError::Missing { kind: "user", .. })
    ));
    assert_eq!(second.await, Ok(vec![Ok(())]));
    assert_eq!(world.writer.stats().groups, 1);
    assert_eq!(world.saved().await, ["first", "second"]);
}

#[tokio::test]
async fn notes_that_are_old_enough_are_written_with_nothing_else_to_do() {
    let world = world(|_| ());
    let event = domain::TraceEvent {
        tracking: "t1".into(),
        at: domain::Timestamp(1),
        step: domain::trace::Step::CallReceived,
        alias: None,
        device: None,
        detail: String::new(),
    };
    world.writer.note(vec![Note::Story(event)]);
    while world.writer.stats().notes_waiting > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.writer.stats().notes_dropped, 0);
}
