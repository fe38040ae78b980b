//! Backups of a store that is in use, and restores.

use crate::world::*;
use std::{fs, path::Path};
use store::BackupError;

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
