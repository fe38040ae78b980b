//! Two at one database (the server and the command line), and a writer that is held up.

use crate::world::*;
use rusqlite::Connection;
use std::{
    path::PathBuf,
    sync::Barrier,
    task::{Context, Poll, Waker},
};
use store::{Answer, StoreError, limits};
use tempfile::TempDir;

fn database() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    (directory, path)
}

fn poll<T>(answer: &mut Answer<T>) -> Poll<Result<T, StoreError>> {
    answer
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn each_sees_what_the_other_wrote_and_is_told_once() {
    let (_directory, path) = database();
    let (server, tool) = (sqlite(&path), sqlite(&path));
    assert!(!server.changed_elsewhere().await.unwrap());

    save(&tool, [put_user("alice")]).await;
    assert_eq!(server.users().await.unwrap(), [user("alice")]);
    assert!(server.changed_elsewhere().await.unwrap());
    assert!(!server.changed_elsewhere().await.unwrap());

    save(&server, [put_user("bob")]).await;
    assert!(!server.changed_elsewhere().await.unwrap(), "its own");
    assert!(tool.changed_elsewhere().await.unwrap());
}

#[tokio::test]
async fn both_write_at_once_and_nothing_is_lost() {
    let (_directory, path) = database();
    let stores = [sqlite(&path), sqlite(&path)];
    for round in 0..20 {
        let answers: Vec<_> = (0..10)
            .flat_map(|n| [(0, n), (1, n)])
            .map(|(by, n)| stores[by].commit(vec![vec![put_user(&format!("u-{round}-{n}-{by}"))]]))
            .collect();
        for answer in answers {
            answer.await.unwrap();
        }
    }
    assert_eq!(stores[0].users().await.unwrap().len(), 400);
}

#[test]
fn a_new_database_may_be_opened_by_two_at_the_same_moment() {
    let (_directory, path) = database();
    let start = Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                sqlite(&path);
            });
        }
    });
}

#[tokio::test]
async fn a_commit_waits_for_the_other_and_reads_do_not() {
    let (_directory, path) = database();
    let store = sqlite(&path);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut answer = store.commit(vec![vec![put_user("alice")]]);
    assert_eq!(store.users().await.unwrap(), []);
    assert!(poll(&mut answer).is_pending());
    other.execute_batch("COMMIT").unwrap();
    answer.await.unwrap();
    assert_eq!(store.users().await.unwrap(), [user("alice")]);
}

/// Takes as long as the store waits ([`limits::BUSY`]).
#[tokio::test]
async fn a_commit_fails_when_the_other_never_ends_and_the_next_succeeds() {
    let (_directory, path) = database();
    let store = sqlite(&path);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.commit(vec![vec![put_user("alice")]]).await;
    assert_eq!(refused, Err(StoreError::Busy));
    other.execute_batch("COMMIT").unwrap();
    save(&store, [put_user("bob")]).await;
    assert_eq!(store.users().await.unwrap(), [user("bob")]);
}

#[tokio::test]
async fn a_writer_that_is_held_up_takes_so_much_and_turns_the_rest_away() {
    let (_directory, path) = database();
    let store = sqlite(&path);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    // One group may be on its way to the database already.
    let most = limits::WRITE_QUEUE / 2 + limits::GROUP / 2;
    let mut taken = Vec::new();
    let refused = loop {
        let mut answer = store.commit(vec![vec![], vec![]]);
        match poll(&mut answer) {
            Poll::Pending => taken.push(answer),
            Poll::Ready(answer) => break answer,
        }
        assert!(taken.len() <= most, "no end to it");
    };
    assert_eq!(refused, Err(StoreError::Overloaded));
    assert!(taken.len() >= limits::WRITE_QUEUE / 2);
    // It may have gone on its way since.
    let waiting = store.stats().waiting;
    assert!(waiting >= limits::WRITE_QUEUE - limits::GROUP, "{waiting}");

    other.execute_batch("COMMIT").unwrap();
    for answer in taken {
        answer.await.unwrap();
    }
    assert!(store.stats().groups < 100, "they went in groups");
}

#[tokio::test]
async fn what_was_handed_in_before_the_end_is_in_the_database() {
    let (_directory, path) = database();
    let store = sqlite(&path);
    for n in 0..100 {
        drop(store.commit(vec![vec![put_user(&format!("user{n}"))]]));
    }
    store.close().await.unwrap();
    assert_eq!(sqlite(&path).users().await.unwrap().len(), 100);
}
