//! Seals what is kept of an app: AES-256-GCM, with a key that lies outside the store and the app's name as associated data, so
//! that nothing can be put in another's place.

use crate::{config, described::read, entropy::random, hex};
use anyhow::{Context, Result, bail, ensure};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// The environment variable that holds the key, if no file does.
pub(crate) const VARIABLE: &str = "REVEILLE_CREDENTIALS_KEY";
/// How a sealed app begins: what follows is a nonce, then what was sealed with its tag.
const FORM: u8 = 1;

/// The key. Few things are sealed with it, so that nonces by chance never meet.
pub(crate) struct SealingKey(LessSafeKey);

impl SealingKey {
    /// The one of the configuration, or of the environment.
    ///
    /// # Errors
    /// There is none, or it is no key; says how to make one.
    pub(crate) fn of(push: &config::Push) -> Result<Self> {
        let path = &push.credentials_key_file;
        let (text, place) = if path.as_os_str().is_empty() {
            let text = std::env::var(VARIABLE).ok().with_context(|| {
                format!("credentials of apps in the store need a key: name a file in push.credentials_key_file (`openssl rand -hex 32` makes one), or set {VARIABLE}")
            })?;
            (text, VARIABLE)
        } else {
            let key = "push.credentials_key_file";
            (read(path, key)?, key)
        };
        Self::from_hex(text.trim()).with_context(|| {
            format!("{place}: 64 hexadecimal digits are a key: `openssl rand -hex 32` makes one")
        })
    }

    fn from_hex(text: &str) -> Option<Self> {
        let key = UnboundKey::new(&AES_256_GCM, &hex::decode(text)?).ok()?;
        Some(Self(LessSafeKey::new(key)))
    }

    pub(crate) fn seal(&self, app: &str, mut text: Vec<u8>) -> Result<Vec<u8>> {
        let nonce = random::<NONCE_LEN>();
        let sealed = self.0.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(app.as_bytes()),
            &mut text,
        );
        ensure!(sealed.is_ok(), "the credentials of {app} are too long");
        Ok([&[FORM], &nonce[..], &text].concat())
    }

    /// # Errors
    /// It was sealed with another key, or for another app, or is damaged.
    pub(crate) fn open(&self, app: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let parts = sealed.split_first().and_then(|(form, rest)| {
            let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
            (*form == FORM).then_some((*nonce, text.to_vec()))
        });
        let Some((nonce, mut text)) = parts else {
            bail!(
                "the credentials of {app} in the store are of a form that this version does not know: `reveille push app remove {app}`, and put them in again"
            );
        };
        let aad = Aad::from(app.as_bytes());
        let nonce = Nonce::assume_unique_for_key(nonce);
        match self.0.open_in_place(nonce, aad, &mut text) {
            Ok(open) => Ok(open.to_vec()),
            Err(_) => bail!(
                "the credentials of {app} in the store were sealed with another key than push.credentials_key_file or {VARIABLE} has: put that one back, or `reveille push app remove {app}` and put them in again"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digit: &str) -> SealingKey {
        SealingKey::from_hex(&digit.repeat(64)).unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_by_its_key_for_its_app_alone() {
        let sealed = key("a").seal("app", b"PLANTED".to_vec()).unwrap();
        assert!(!sealed.windows(7).any(|it| it == b"PLANTED"));
        assert_eq!(key("a").open("app", &sealed).unwrap(), b"PLANTED");
        let error = key("b").open("app", &sealed).unwrap_err().to_string();
        assert!(error.contains("push app remove app"), "{error}");
        assert!(key("a").open("other", &sealed).is_err());
        let again = key("a").seal("app", b"PLANTED".to_vec()).unwrap();
        assert_ne!(again, sealed, "no nonce comes twice");
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key("a").open("app", &damaged).is_err(), "{at}");
            assert!(key("a").open("app", &sealed[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn a_key_that_is_none_says_how_to_make_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let push = config::Push {
            credentials_key_file: file.clone(),
            ..config::Push::default()
        };
        let said = || format!("{:#}", SealingKey::of(&push).err().unwrap());
        assert!(said().contains("cannot read"), "{}", said());
        std::fs::write(&file, "a".repeat(63)).unwrap();
        assert!(said().contains("openssl rand -hex 32"), "{}", said());
        std::fs::write(&file, "a".repeat(64) + "\n").unwrap();
        assert!(SealingKey::of(&push).is_ok());
    }
}
