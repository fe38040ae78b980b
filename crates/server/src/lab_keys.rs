//! The keys of the simulated clouds and the CA that vouches for them, kept from one start to the next: whoever has set up a push
//! client with them need not do so again.

use anyhow::{Context, Result};
use lab::cloud::{Ca, DevCredentials};
use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The CA, its key, the key for APNs, the key for Web Push.
const FILES: [&str; 4] = ["ca.pem", "ca-key.pem", "apns.p8", "vapid.pem"];

/// Where they are kept if nothing is said: the user's own state.
pub(crate) fn usual_place() -> Option<PathBuf> {
    let named = |name| std::env::var_os(name).filter(|it| !it.is_empty());
    let state = named("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(PathBuf::from(named("HOME")?).join(".local/state")))?;
    Some(state.join("reveille/lab"))
}

/// Those that are kept there; made if there are none.
///
/// # Errors
/// Some are missing or are not what they should be: names them.
pub(crate) fn kept(folder: &Path) -> Result<(Ca, DevCredentials)> {
    let paths = FILES.map(|name| folder.join(name));
    if paths.iter().any(|path| path.exists()) {
        return read(&paths).with_context(|| {
            format!(
                "the keys in {}: remove them, and new ones are made",
                folder.display()
            )
        });
    }
    let (ca, credentials) = (Ca::new()?, DevCredentials::new());
    let made = std::fs::create_dir_all(folder);
    made.with_context(|| format!("cannot create {}", folder.display()))?;
    let texts = [
        ca.ca_pem().to_owned(),
        ca.key_pem(),
        credentials.apns_key_pem().to_owned(),
        credentials.vapid_key_pem().to_owned(),
    ];
    for (path, text) in paths.iter().zip(texts) {
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok((ca, credentials))
}

fn read(paths: &[PathBuf; 4]) -> Result<(Ca, DevCredentials)> {
    let text = |at: usize| {
        let path = &paths[at];
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let ca = Ca::from_pem(&text(0)?, &text(1)?)?;
    let credentials = DevCredentials::from_pem(&text(2)?, &text(3)?);
    Ok((
        ca,
        credentials.context("apns.p8 and vapid.pem are no keys")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_start_has_the_keys_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("lab");
        let (ca, keys) = kept(&place).unwrap();
        let (same_ca, same_keys) = kept(&place).unwrap();
        assert_eq!(ca.ca_pem(), same_ca.ca_pem());
        assert_eq!(keys.apns_key_pem(), same_keys.apns_key_pem());
        assert_eq!(keys.vapid_public_key(), same_keys.vapid_public_key());
        std::fs::remove_file(place.join("apns.p8")).unwrap();
        let error = format!("{:#}", kept(&place).err().unwrap());
        assert!(
            error.contains("apns.p8") && error.contains("remove them"),
            "{error}"
        );
    }
}
