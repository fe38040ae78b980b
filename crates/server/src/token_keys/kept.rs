//! The keys of tokens in a file of the data directory, which is written anew, whole or not at all, before another key counts; and which
//! is read again when it is another one, as where an operator has copied it from a server that has the same keys.

use super::{Key, KeyView, Keys, OCTETS, Rotation};
use crate::{clock, entropy::random};
use anyhow::{Context, Result, anyhow};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::watch::{self as channel, Receiver};

/// The file.
pub(crate) const FILE: &str = "token-keys.json";

/// A key as it stands in the file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// What it is made of, in base64.
    seed: String,
    made: Timestamp,
    signs: Timestamp,
    /// Seconds.
    lasts: u64,
}

/// Why there is no other key.
#[derive(Debug)]
pub(crate) enum NotRotated {
    /// It would sign too late ([`Rotation::waits`]).
    TooLate,
    /// There are as many as there may be.
    TooMany,
    /// It cannot be kept.
    NotKept(anyhow::Error),
}

/// The keys that count, for all who make tokens and tell them from others.
#[derive(Debug)]
pub(crate) struct Kept {
    path: PathBuf,
    /// How long tokens are good that are made now.
    life: Duration,
    keys: RwLock<Arc<Keys>>,
    told: channel::Sender<Arc<[u8]>>,
    /// What stands in the file; held while that changes.
    text: Mutex<String>,
}

impl Kept {
    /// The keys of this data directory. Where there are none yet, the first is of this seed, by which older releases have signed, and
    /// was made then.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(crate) fn open(
        data_dir: &Path,
        (seed, made): ([u8; OCTETS], Timestamp),
        life: Duration,
    ) -> Result<Self> {
        let path = data_dir.join(FILE);
        let (text, mut keys) = match fs::read_to_string(&path) {
            Ok(text) => {
                let keys = read(&text).with_context(|| {
                    format!("{}: restore it from where you keep a copy, or move it away: the first key counts again then, and those after it end; and if one was ever dropped as stolen, `reveille tokens rotate --drop-old` at once", path.display())
                })?;
                (text, keys)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let first = Key::new(seed, (made, Duration::ZERO), life);
                (String::new(), Keys(vec![first]))
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let now = clock::now();
        let is_other = keys.last(now, life) | keys.drop_ended(now);
        let kept = Self {
            told: channel::Sender::new(keys.told().into()),
            keys: RwLock::new(Arc::new(keys.clone())),
            text: Mutex::new(text),
            path,
            life,
        };
        let mut text = kept.text();
        if is_other || text.is_empty() {
            kept.put(&mut text, keys)?;
        }
        drop(text);
        Ok(kept)
    }

    /// Those that count.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.clone()
    }

    /// Their public halves, one behind another, and whatever they are later.
    pub(crate) fn told(&self) -> Receiver<Arc<[u8]>> {
        self.told.subscribe()
    }

    /// How old the key is that signs.
    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        now.since(self.keys().signing(now).made)
    }

    /// For an operator.
    pub(crate) fn views(&self) -> Vec<KeyView> {
        self.keys().views(clock::now())
    }

    /// Adds a key. When this returns it is on the disk and counts. Waits for the disk.
    ///
    /// # Errors
    /// See [`NotRotated`]. Nothing has changed.
    pub(crate) fn rotate(&self, rotation: Rotation) -> Result<(), NotRotated> {
        let later = rotation.waits().ok_or(NotRotated::TooLate)?;
        let drop_old = rotation.drop_old;
        let mut text = self.text();
        // What an operator has copied there a moment ago stays; where all others are to go, so does what cannot be read.
        match self.found(&text) {
            Ok(Some((found, keys))) => {
                *text = found;
                self.take(keys);
            }
            Err(error) if !drop_old => return Err(NotRotated::NotKept(error)),
            Ok(None) | Err(_) => {}
        }
        let now = clock::now();
        let key = Key::new(random(), (now, later), self.life);
        let mut keys = (*self.keys()).clone();
        keys.drop_ended(now);
        let keys = keys.with(key, drop_old, now).ok_or(NotRotated::TooMany)?;
        self.put(&mut text, keys).map_err(NotRotated::NotKept)
    }

    /// Takes what stands in the file, if that is something else, and lets go of what has ended. True if anything has changed. Waits for
    /// the disk.
    ///
    /// # Errors
    /// The file cannot be read or written; the keys are those of before.
    pub(crate) fn look(&self, now: Timestamp) -> Result<bool> {
        let mut text = self.text();
        let found = self.found(&text)?;
        let is_found = found.is_some();
        let (found, mut keys) = match found {
            Some(found) => found,
            None => (String::new(), (*self.keys()).clone()),
        };
        if keys.drop_ended(now) | (is_found && keys.last(now, self.life)) {
            self.put(&mut text, keys)?;
        } else if is_found {
            *text = found;
            self.take(keys);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// What stands in the file, if that is something else than before.
    fn found(&self, before: &str) -> Result<Option<(String, Keys)>> {
        let path = self.path.display();
        let text = fs::read_to_string(&self.path).with_context(|| format!("cannot read {path}"))?;
        if text == before {
            return Ok(None);
        }
        let keys = read(&text).with_context(|| path.to_string())?;
        Ok(Some((text, keys)))
    }

    /// Writes them, and takes them when they are in their place.
    fn put(&self, text: &mut String, keys: Keys) -> Result<()> {
        let new = written(&keys)?;
        let sure = write(&self.path, &new).with_context(|| {
            format!(
                "cannot write {}: check that server.data_dir exists and this user may write it",
                self.path.display()
            )
        })?;
        *text = new;
        self.take(keys);
        if let Err(error) = sure {
            tracing::error!(%error, "the keys of tokens have changed, but that may not outlive a crash");
        }
        Ok(())
    }

    fn take(&self, keys: Keys) {
        let told = keys.told();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        self.told.send_replace(told.into());
    }

    fn text(&self) -> MutexGuard<'_, String> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(text: &str) -> Result<Keys> {
    let all: Vec<Written> = serde_json::from_str(text).context("it makes no sense")?;
    let key = |it: Written| {
        let seed = URL_SAFE_NO_PAD.decode(&it.seed).ok();
        let seed = seed.and_then(|seed| seed.try_into().ok());
        let seed = seed.context("a seed in it has not 32 octets")?;
        let lasts = Duration::from_secs(it.lasts);
        let later = it.signs.since(it.made);
        Ok(Key::new(seed, (it.made, later), lasts))
    };
    let all = all.into_iter().map(key).collect::<Result<_>>()?;
    Keys::of(all).ok_or_else(|| anyhow!("it has no key, too many, or one twice"))
}

fn written(keys: &Keys) -> Result<String> {
    let key = |key: &Key| Written {
        seed: URL_SAFE_NO_PAD.encode(key.seed),
        made: key.made,
        signs: key.signs,
        lasts: key.lasts.as_secs(),
    };
    let all: Vec<_> = keys.all().iter().map(key).collect();
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

/// All of it or nothing, and for our eyes only from the start. Says of what is in its place whether that is on the disk.
fn write(path: &Path, text: &str) -> std::io::Result<std::io::Result<()>> {
    let fresh = path.with_extension("json.new");
    // One that somebody else may read would stay so.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    store::give_to_owner_of_directory(&fresh);
    fs::rename(&fresh, path)?;
    let directory = fs::File::open(store::directory_of(path));
    Ok(directory.and_then(|it| it.sync_all()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_keys::KeyState;
    use std::os::unix::fs::PermissionsExt;

    const LIFE: Duration = Duration::from_hours(1);

    const AT_ONCE: Rotation = Rotation {
        later: Some(0),
        drop_old: false,
    };

    fn open(at: &Path) -> Kept {
        Kept::open(at, ([7; OCTETS], Timestamp(1_000)), LIFE).unwrap()
    }

    fn ids(kept: &Kept) -> Vec<String> {
        kept.views().into_iter().map(|it| it.id).collect()
    }

    #[test]
    fn keys_outlive_us_and_nobody_else_reads_them() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let kept = open(at);
        assert_eq!(kept.views()[0].made, Timestamp(1_000));
        kept.rotate(AT_ONCE).unwrap();
        kept.rotate(Rotation::default()).unwrap();
        let (before, views) = (ids(&kept), kept.views());
        let states: Vec<_> = views.iter().map(|it| it.state).collect();
        assert_eq!(states, [KeyState::Counts, KeyState::Signs, KeyState::Next]);
        assert_eq!(ids(&open(at)), before);
        let mode = fs::metadata(at.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(kept.told().borrow().len(), 3 * OCTETS);
        let drop_old = Rotation {
            drop_old: true,
            ..AT_ONCE
        };
        kept.rotate(drop_old).unwrap();
        let left = ids(&kept);
        assert!(left.len() == 1 && !before.contains(&left[0]));
        assert_eq!(ids(&open(at)), left);
        assert_eq!(kept.told().borrow().len(), OCTETS);
    }

    #[test]
    fn with_as_many_as_there_may_be_none_is_added_and_none_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let kept = open(directory.path());
        let added = std::iter::repeat_with(|| kept.rotate(AT_ONCE).is_ok());
        assert_eq!(
            added.take_while(|added| *added).count(),
            super::super::MOST - 1
        );
        let before = ids(&kept);
        assert!(matches!(kept.rotate(AT_ONCE), Err(NotRotated::TooMany)));
        assert_eq!(ids(&kept), before);
    }

    #[test]
    fn what_a_crash_has_left_is_in_nobodys_way_and_a_key_that_cannot_be_kept_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let kept = open(at);
        // As after a crash before the new file took the place of the old one.
        let fresh = at.join("token-keys.json.new");
        fs::write(&fresh, "[{").unwrap();
        assert_eq!(ids(&open(at)), ids(&kept));
        kept.rotate(AT_ONCE).unwrap();
        assert!(!fresh.exists() && ids(&open(at)) == ids(&kept));
        let before = ids(&kept);
        fs::create_dir(&fresh).unwrap();
        let failed = kept.rotate(AT_ONCE);
        assert!(matches!(failed, Err(NotRotated::NotKept(_))));
        assert_eq!((ids(&kept), ids(&open(at))), (before.clone(), before));
    }

    #[test]
    fn what_ends_is_let_go_of_and_what_another_server_has_written_is_taken() {
        let [ours, theirs] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let (kept, other) = (open(ours.path()), open(theirs.path()));
        other.rotate(AT_ONCE).unwrap();
        let now = clock::now();
        assert!(!kept.look(now).unwrap());
        fs::write(ours.path().join(FILE), "[").unwrap();
        assert!(kept.look(now).is_err(), "half a copy is none");
        assert_eq!(kept.views().len(), 1);
        let rotated = kept.rotate(AT_ONCE);
        assert!(matches!(rotated, Err(NotRotated::NotKept(_))));
        fs::copy(theirs.path().join(FILE), ours.path().join(FILE)).unwrap();
        assert!(kept.look(now).unwrap() && !kept.look(now).unwrap());
        assert_eq!(ids(&kept), ids(&other));
        let ended = kept.views()[0].until.unwrap();
        assert!(kept.look(ended).unwrap());
        assert_eq!(ids(&kept), ids(&other)[1..]);
        assert_eq!(ids(&open(ours.path())), ids(&kept));
    }

    #[test]
    fn a_file_that_makes_no_sense_is_said_to_be_so() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "[]").unwrap();
        let error = Kept::open(directory.path(), ([7; OCTETS], Timestamp(0)), LIFE).unwrap_err();
        assert!(format!("{error:#}").contains(FILE), "{error:#}");
    }
}
