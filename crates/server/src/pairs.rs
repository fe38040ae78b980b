//! Who knows whom: the keys of an edge and of its insides, and how they are written down.

use anyhow::{Context, Result};
use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use tunnel::{EdgeAddress, Fingerprint, Identity};

/// Where a tunnel's key lies in `server.data_dir`.
const KEY: &str = "tunnel.key";

/// The key file of this process.
pub(crate) fn key_file(data_dir: &Path) -> PathBuf {
    data_dir.join(KEY)
}

/// Our key, made when there is none.
pub(crate) fn identity(data_dir: &Path) -> Result<Identity> {
    let file = key_file(data_dir);
    let pem = match fs::read_to_string(&file) {
        Ok(pem) => pem,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => made(&file)?,
        Err(error) => {
            return Err(error).with_context(|| {
                format!("cannot read {}: check that this user may", file.display())
            });
        }
    };
    Identity::from_pem(&pem).with_context(|| {
        format!(
            "{} is no private key: move it away, and another one is made, with which you pair anew",
            file.display()
        )
    })
}

fn made(file: &Path) -> Result<String> {
    let pem = Identity::generate()?;
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut file| {
            file.write_all(pem.as_bytes())?;
            file.sync_all()
        });
    written
        .with_context(|| format!("cannot write {}: check that this user may", file.display()))?;
    store::give_to_owner_of_directory(file);
    Ok(pem)
}

/// An edge as it is written in `edge.edges`: `edge.example.org:4433#KEY`.
pub(crate) fn edge(text: &str) -> Result<EdgeAddress, String> {
    let wrong = |why: &str| {
        format!("{text:?} {why}: take the line that `reveille edge pair` prints at the edge")
    };
    let (at, key) = text.split_once('#').ok_or_else(|| wrong("has no key"))?;
    let (host, port) = at.rsplit_once(':').ok_or_else(|| wrong("has no port"))?;
    if host.is_empty() || port.parse::<u16>().is_err() {
        return Err(wrong("is no host and port"));
    }
    let key = key.parse().map_err(|_| wrong("has no key that can be"))?;
    Ok(EdgeAddress { at: at.into(), key })
}

/// An inside as it is written in `edge.insides`: its key.
pub(crate) fn inside(text: &str) -> Result<Fingerprint, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is no key: take the line that `reveille edge pair` prints inside")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let first = identity(directory.path()).unwrap().fingerprint();
        assert_eq!(identity(directory.path()).unwrap().fingerprint(), first);
        let file = key_file(directory.path());
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&file, "nonsense").unwrap();
        let error = identity(directory.path()).unwrap_err();
        assert!(format!("{error:#}").contains("pair anew"), "{error:#}");
    }

    #[test]
    fn an_edge_is_a_place_and_a_key() {
        let directory = tempfile::tempdir().unwrap();
        let key = identity(directory.path()).unwrap().fingerprint();
        let found = edge(&format!("edge.example.org:4433#{key}")).unwrap();
        assert_eq!((&*found.at, found.key), ("edge.example.org:4433", key));
        assert_eq!(inside(&key.to_string()), Ok(key));
        for wrong in [
            "edge.example.org:4433",
            "edge#x",
            ":1#x",
            "a:70000#x",
            "a:1#x",
        ] {
            assert!(edge(wrong).is_err(), "{wrong}");
        }
        assert!(inside("x").is_err());
    }
}
