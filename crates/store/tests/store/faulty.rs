//! The testing aid itself: what it is told to do wrong, it does.

use crate::world::*;
use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};
use store::{
    Accounts, Store, StoreError,
    faulty::{Fault, Faulty},
};

fn faulty() -> (TheStore, Arc<Faulty>) {
    let disk = store::open("memory:").unwrap();
    (Arc::clone(&disk), Arc::new(Faulty::new(disk)))
}

#[tokio::test]
async fn what_is_refused_is_not_saved() {
    let (disk, faulty) = faulty();
    faulty.order(Fault::Refuse(StoreError::DiskFull));
    let answer = faulty.commit(vec![vec![put_user("alice")]]).await;
    assert_eq!(answer, Err(StoreError::DiskFull));
    faulty.order(Fault::RefuseSteps(StoreError::Busy));
    let answer = faulty.commit(vec![vec![put_user("alice")], vec![]]).await;
    assert_eq!(answer, Ok(vec![Err(StoreError::Busy); 2]));
    assert_eq!(faulty.probe().await, Err(StoreError::Busy));
    assert_eq!(faulty.stats().last_failure, Some(StoreError::Busy));
    assert_eq!(disk.users().await.unwrap(), []);

    faulty.order(Fault::None);
    assert_eq!(faulty.probe().await, Ok(()));
    let answer = faulty.commit(vec![vec![put_user("alice")]]).await;
    assert_eq!(answer, Ok(vec![Ok(())]));
    assert_eq!(faulty.users().await.unwrap(), [user("alice")]);
}

#[tokio::test]
async fn a_slow_answer_comes_with_the_next_order() {
    let (disk, faulty) = faulty();
    faulty.order(Fault::Slow);
    let mut answer = faulty.commit(vec![vec![put_user("alice")]]);
    let mut context = Context::from_waker(Waker::noop());
    assert!(answer.as_mut().poll(&mut context).is_pending());
    assert_eq!(disk.users().await.unwrap(), [user("alice")]);
    faulty.order(Fault::None);
    let answer = answer.as_mut().poll(&mut context);
    assert_eq!(answer, Poll::Ready(Ok(vec![Ok(())])));
}

#[tokio::test]
async fn who_dies_before_the_answer_has_saved_and_says_nothing() {
    for (fault, saved) in [(Fault::DieBeforeAnswer, 1), (Fault::DieBeforeCommit, 0)] {
        let (disk, faulty) = faulty();
        faulty.order(fault);
        let answer = faulty.commit(vec![vec![put_user("alice")]]).await;
        assert_eq!(answer, Err(StoreError::Closed));
        assert!(faulty.is_dead());
        faulty.order(Fault::None);
        let answer = faulty.commit(vec![vec![put_user("bob")]]).await;
        assert_eq!(answer, Err(StoreError::Closed), "for good");
        assert_eq!(faulty.users().await, Err(StoreError::Closed));

        let after_a_restart = Faulty::new(disk);
        assert_eq!(after_a_restart.users().await.unwrap().len(), saved);
    }
}
