//! The contract: every test runs against every backend.

/// The tests of a file, which take a store that is new.
macro_rules! contract {
    ($($test:ident,)+) => {
        mod memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(store::open("memory:").unwrap()).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                let directory = tempfile::tempdir().unwrap();
                super::$test(crate::world::sqlite(&directory.path().join("db"))).await;
            })+
        }
    };
}

mod archive;
mod blocks;
mod cards;
mod forgetting;
mod grants;
mod invitations;
mod messages;
mod overflow;
mod people;
mod push_apps;
mod pushes;
mod records;
mod rosters;
mod sessions;
mod sign_ins;
mod steps;
