//! The Unix socket of the admin API: whoever the file's permissions let in is an operator.

use crate::config::Listen;
use anyhow::{Context, Result, bail};
use std::{
    io::ErrorKind,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};
use tokio::net::UnixListener;

/// A request came over the socket: no token is needed.
#[derive(Copy, Clone, Debug)]
pub(crate) struct OverSocket;

/// It listens; with it the file goes.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    path: PathBuf,
}

impl AdminSocket {
    /// Opens the socket that the configuration names, if it names one.
    ///
    /// # Errors
    /// Another server has it, or it cannot be made.
    pub(crate) fn open(listen: &Listen) -> Result<Option<(Self, UnixListener)>> {
        let path = &listen.admin_socket;
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        let failed = || {
            format!(
                "cannot listen at {}: move listen.admin_socket to a directory that this user may write",
                path.display()
            )
        };
        let mode = mode(&listen.admin_socket_mode)?;
        remove_stale(path)?;
        // Nobody gets in before its permissions are what they are to be.
        let fresh = path.with_extension("new");
        remove_stale(&fresh)?;
        let listener = UnixListener::bind(&fresh).with_context(failed)?;
        std::fs::set_permissions(&fresh, PermissionsExt::from_mode(mode)).with_context(failed)?;
        std::fs::rename(&fresh, path).with_context(failed)?;
        let socket = Self { path: path.clone() };
        Ok(Some((socket, listener)))
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // What is left of it is taken away at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Its owner alone, or its group as well.
pub(crate) fn mode(text: &str) -> Result<u32> {
    match text {
        "0600" => Ok(0o600),
        "0660" => Ok(0o660),
        _ => bail!(
            "listen.admin_socket_mode is {text:?}: write \"0600\" (its owner) or \"0660\" (its group, too)"
        ),
    }
}

/// A socket that nobody listens at any more is removed; anything else there is somebody's.
fn remove_stale(path: &Path) -> Result<()> {
    let is_socket = match std::fs::symlink_metadata(path) {
        Ok(there) => there.file_type().is_socket(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("{}", path.display())),
    };
    if !is_socket {
        bail!(
            "{} is there and no socket: move listen.admin_socket",
            path.display()
        );
    }
    if UnixStream::connect(path).is_ok() {
        bail!(
            "another server listens at {}: end it, or move listen.admin_socket",
            path.display()
        );
    }
    std::fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(path: &Path, mode: &str) -> Listen {
        Listen {
            admin_socket: path.to_owned(),
            admin_socket_mode: mode.to_owned(),
            ..Listen::default()
        }
    }

    #[tokio::test]
    async fn only_its_owner_or_group_gets_in_and_only_one_server_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        assert!(AdminSocket::open(&Listen::default()).unwrap().is_none());
        for (text, expected) in [("0600", 0o600), ("0660", 0o660)] {
            let opened = AdminSocket::open(&listen(&path, text)).unwrap().unwrap();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, expected);
            let error = AdminSocket::open(&listen(&path, text)).unwrap_err();
            assert!(error.to_string().contains("another server"), "{error}");
            drop(opened);
            assert!(!path.exists());
        }
        // A server that was killed leaves its socket behind.
        let (socket, listener) = AdminSocket::open(&listen(&path, "0600")).unwrap().unwrap();
        drop(listener);
        std::mem::forget(socket);
        assert!(path.exists());
        drop(AdminSocket::open(&listen(&path, "0600")).unwrap());
        assert!(AdminSocket::open(&listen(&path, "0666")).is_err());
        std::fs::write(&path, "somebody's").unwrap();
        assert!(AdminSocket::open(&listen(&path, "0600")).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's");
    }
}
