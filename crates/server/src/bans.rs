//! Bans outlive the server: a file in its data directory, written anew whenever they have changed.

use crate::clock::now;
use anyhow::{Context, Result};
use domain::{
    Timestamp,
    guard::{Ban, Source},
};
use hub::Guards;
use serde::{Deserialize, Serialize};
use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// A ban as an operator sees it.
#[derive(Debug, Deserialize, Serialize)]
pub struct BanView {
    /// An IPv4 address, or the /64 of an IPv6 address.
    pub source: String,
    /// Until then.
    pub until: Timestamp,
    /// `operator`, or `guessing`.
    pub by: String,
}

impl BanView {
    /// Who banned a source that an operator did.
    pub const OPERATOR: &str = "operator";
}

impl From<Ban> for BanView {
    fn from(ban: Ban) -> Self {
        let by = if ban.by_operator {
            Self::OPERATOR
        } else {
            "guessing"
        };
        Self {
            source: ban.from.to_string(),
            until: ban.until,
            by: by.to_owned(),
        }
    }
}

/// See above.
#[derive(Debug)]
pub struct BanFile {
    /// None, where nothing is kept.
    path: Option<PathBuf>,
    /// What stands in it.
    kept: Mutex<Vec<Ban>>,
}

impl BanFile {
    /// The file in this data directory; those that it names are banned. Without a directory, bans end with the server.
    ///
    /// # Errors
    /// It cannot be read: whoever is banned must not come in for that.
    pub fn open(data_dir: &Path, guards: &Guards) -> Result<Self> {
        let path = data_dir.join("bans.json");
        let path = Some(path).filter(|_| !data_dir.as_os_str().is_empty());
        let text = path.as_ref().map(std::fs::read_to_string);
        let kept = match (text, &path) {
            (Some(Ok(text)), Some(path)) => read(&text).with_context(|| {
                let path = path.display();
                format!("{path} names the sources that are banned, and cannot be read: mend it, or remove it to lift all bans")
            })?,
            (Some(Err(error)), Some(path)) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
            _ => Vec::new(),
        };
        guards.restore(now(), kept.clone());
        Ok(Self {
            path,
            kept: Mutex::new(kept),
        })
    }

    /// Writes those that stand, if they are others than before. Waits for the disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, guards: &Guards) -> Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bans = guards.bans(now());
        if *kept != bans {
            write(path, &bans).with_context(|| format!("cannot write {}", path.display()))?;
            *kept = bans;
        }
        Ok(())
    }
}

fn read(text: &str) -> Result<Vec<Ban>> {
    let views: Vec<BanView> = serde_json::from_str(text)?;
    let ban = |view: BanView| {
        let address = view.source.strip_suffix("/64").unwrap_or(&view.source);
        Ok(Ban {
            from: Source::of(address.parse().context("no address")?),
            until: view.until,
            by_operator: view.by == BanView::OPERATOR,
        })
    };
    views.into_iter().map(ban).collect()
}

/// All of it or nothing, and for our eyes only: addresses are people's.
fn write(path: &Path, bans: &[Ban]) -> Result<()> {
    let views: Vec<_> = bans.iter().cloned().map(BanView::from).collect();
    let fresh = path.with_extension("json.new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(&serde_json::to_vec_pretty(&views)?)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::guard::Standing;
    use std::{net::IpAddr, time::Duration};

    #[test]
    fn bans_are_there_after_a_restart_and_what_was_lifted_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other, guesser]: [IpAddr; 3] =
            ["203.0.113.1", "2001:db8::1", "192.0.2.1"].map(|it| it.parse().unwrap());
        let started = || {
            let guards = Guards::default();
            let file = BanFile::open(folder.path(), &guards).unwrap();
            (guards, file)
        };
        let (guards, file) = started();
        let until = now().plus(Duration::from_mins(1));
        guards.ban(one, until);
        guards.ban(other, until);
        for _ in 0..200 {
            guards.wrong(now(), guesser, "bob@r.example");
        }
        guards.lift(one);
        file.keep(&guards).unwrap();
        let before = guards.bans(now());
        assert_eq!(before.len(), 2);
        let (guards, _) = started();
        assert_eq!(guards.bans(now()), before);
        assert!(guards.is_shut_out(now(), "2001:db8::2".parse().unwrap()));
        assert!(guards.is_banned(now(), guesser, "bob@r.example"));
        assert_eq!(guards.standing(now(), one), Standing::Stranger);
        // What ended meanwhile is not.
        guards.ban(other, now());
        assert_eq!(guards.bans(now()).len(), 1);
        std::fs::write(folder.path().join("bans.json"), "{").unwrap();
        let error = BanFile::open(folder.path(), &guards).unwrap_err();
        assert!(format!("{error:#}").contains("bans.json"));
    }
}
