//! Puts a backup in the place of a database, and the database aside. Once the copy of the backup is whole and has the
//! name [`files::pending`], the restore is decided: until it is finished nobody opens the database, and whoever is killed on the
//! way is followed by another that goes on where it was. Before that nothing has changed.

use super::{
    backup::{self, BackupError},
    files::{self, beside, pending},
    open,
};
use domain::Timestamp;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// What was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restored {
    /// Where the database is that was there before, if one was.
    pub aside: Option<PathBuf>,
}

/// Puts a backup in the place of a database. Nobody may have it open: the caller holds the lock.
pub(crate) fn restore(path: &Path, from: &Path) -> Result<Restored, BackupError> {
    // One that was cut short comes first, so that what it was to put aside is.
    finish(path)?;
    if open::for_looking(from)?.is_none() {
        return Err(BackupError::NoBackup(from.to_owned()));
    }
    let part = beside(path, ".restoring");
    let wrong = |error| cannot(path, &error);
    // Left by one that was killed.
    files::remove(&part).map_err(wrong)?;
    files::remove(&beside(&part, "-journal")).map_err(wrong)?;
    files::private(&part).map_err(wrong)?;
    files::give_to_owner_of_directory(&part);
    let copied = backup::copy(from, &part);
    if copied.is_err() {
        let _ = files::remove(&part);
    }
    copied?;
    fs::rename(&part, pending(path)).map_err(wrong)?;
    files::sync_directory(path).map_err(wrong)?;
    let restored = finish(path)?;
    Ok(restored.unwrap_or(Restored { aside: None }))
}

/// Finishes a restore that was cut short; `None` if there is none. Nobody may have the database open.
pub(crate) fn finish(path: &Path) -> Result<Option<Restored>, BackupError> {
    finish_in_steps(path, &mut || true).map_err(|error| cannot(path, &error))
}

/// `go_on` is asked before each step; once it says no, nothing more is done, as if the process had been killed there.
fn finish_in_steps(path: &Path, go_on: &mut dyn FnMut() -> bool) -> io::Result<Option<Restored>> {
    let pending = pending(path);
    if !files::is_there(&pending) {
        return Ok(None);
    }
    let aside = aside(path, &pending)?;
    // The log first: a database without its log would be an older one.
    for end in ["-wal", ""] {
        let (from, to) = (beside(path, end), beside(&aside, end));
        if !go_on() {
            return Ok(None);
        }
        if files::is_there(&from) {
            if files::is_there(&to) {
                let name = format!("{} is there already: move it away", to.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, name));
            }
            fs::rename(from, to)?;
        }
    }
    if !go_on() {
        return Ok(None);
    }
    // An index of the log, which is made anew.
    files::remove(&beside(path, "-shm"))?;
    files::sync_directory(path)?;
    if !go_on() {
        return Ok(None);
    }
    fs::rename(&pending, path)?;
    files::sync_directory(path)?;
    Ok(Some(Restored {
        aside: Some(aside).filter(|aside| files::is_there(aside)),
    }))
}

/// Where the old database goes. It is named after when the copy was made, so that each attempt calls it the same.
fn aside(path: &Path, pending: &Path) -> io::Result<PathBuf> {
    let made = fs::metadata(pending)?.modified()?;
    let millis = made.duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(millis.as_millis()).unwrap_or_default();
    let date = domain::date::iso8601(Timestamp(millis));
    let date: String = date.chars().filter(char::is_ascii_alphanumeric).collect();
    Ok(beside(path, &format!(".before-{date}")))
}

fn cannot(path: &Path, error: &io::Error) -> BackupError {
    BackupError::Write {
        path: path.to_owned(),
        detail: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::open;
    use rusqlite::Connection;

    fn with_user(path: &Path, user: &str) {
        let connection = open::for_writing(path).unwrap();
        let insert = "INSERT INTO users VALUES (?1, '', '', '', NULL, NULL, 0)";
        connection.execute(insert, [user]).unwrap();
        // Not closed well: what it wrote last is in its log.
        std::mem::forget(connection);
    }

    fn user(path: &Path) -> String {
        let connection = Connection::open(path).unwrap();
        let first = "SELECT address FROM users";
        connection.query_row(first, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_restore_that_is_cut_short_after_any_step_is_finished_by_the_next_start_and_loses_nothing()
    {
        for steps in 0..=4 {
            let directory = tempfile::tempdir().unwrap();
            let (old, new) = (directory.path().join("db"), directory.path().join("new"));
            with_user(&old, "old@example.org");
            with_user(&new, "new@example.org");
            backup::backup(&new, &pending(&old)).unwrap();

            let mut left = steps;
            let cut = finish_in_steps(&old, &mut || {
                left -= 1;
                left >= 0
            });
            assert_eq!(cut.unwrap().is_some(), steps == 4, "{steps}");
            if steps < 4 {
                let refused = open::for_writing(&old).err().unwrap();
                assert!(refused.to_string().contains("not finished"), "{refused}");
            }
            finish(&old).unwrap();
            assert_eq!(user(&old), "new@example.org", "{steps}");
            let aside = fs::read_dir(directory.path()).unwrap();
            let aside = aside.map(|file| file.unwrap().path()).find(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                name.starts_with("db.before-") && !name.ends_with("-wal")
            });
            assert_eq!(user(&aside.unwrap()), "old@example.org", "{steps}");
            open::for_writing(&old).unwrap();
        }
    }
}
