//! The files around a database: what they are called, whose they are, and how one comes to be whole or not at all.

use nix::sys::statvfs::statvfs;
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// The file beside a database whose name is the database's with this at its end.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Says that there was a database here: if it is missing, that is no first start.
pub(super) fn marker(path: &Path) -> PathBuf {
    beside(path, ".made")
}

/// The whole copy of a backup that is to take the place of the database.
pub(super) fn pending(path: &Path) -> PathBuf {
    beside(path, ".restored")
}

/// Whether there was a database here that is missing now. A log that is left alone is one's, too: a new database would
/// take it for its own.
pub(super) fn was_there(path: &Path) -> bool {
    is_there(&marker(path)) || is_there(&beside(path, "-wal"))
}

/// What the marker says to whoever finds it.
const MARKED: &str = "Reveille has made a database beside this file. While this file is here, a missing database is an \
error and not an empty server.\n";

/// Marks that there is a database.
pub(super) fn mark(path: &Path) -> io::Result<()> {
    let marker = marker(path);
    match private(&marker) {
        Ok(mut file) => {
            io::Write::write_all(&mut file, MARKED.as_bytes())?;
            give_to_owner_of_directory(&marker);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// A new file for its owner's eyes only: a database holds password verifiers and push tokens.
pub(super) fn private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// See [`crate::give_to_owner_of_directory`].
pub(crate) fn give_to_owner_of_directory(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, chown};
        let directory = path.parent().and_then(|it| fs::metadata(it).ok());
        if let (Some(directory), Ok(file)) = (directory, fs::metadata(path))
            && directory.uid() != file.uid()
        {
            let _ = chown(path, Some(directory.uid()), Some(directory.gid()));
        }
    }
}

/// The file is on the disk.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The directory in which a file lies.
pub(crate) fn directory_of(path: &Path) -> &Path {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    directory.unwrap_or(Path::new("."))
}

/// How many octets are free for us where a directory lies.
pub(crate) fn free_space(directory: &Path) -> io::Result<u64> {
    let found = statvfs(directory)?;
    Ok(found
        .blocks_available()
        .saturating_mul(found.fragment_size()))
}

/// What was renamed and removed in the directory of this file is on the disk.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    sync(directory_of(path))
}

/// Gives a whole file its name, unless there is one of that name ([`io::ErrorKind::AlreadyExists`]).
pub(super) fn publish(made: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(made, path) {
        Ok(()) => fs::remove_file(made)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        // A file system without hard links.
        Err(_) if path.symlink_metadata().is_ok() => {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Err(_) => fs::rename(made, path)?,
    }
    sync_directory(path)
}

/// How large a database and its log are.
pub(super) fn octets(path: &Path) -> u64 {
    let of = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    of(path) + of(&beside(path, "-wal"))
}

/// Whether there is such a file.
pub(super) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Removes a file that may be gone.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
