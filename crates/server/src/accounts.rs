//! Making accounts: what is kept of a password.

use crate::{config::Config, entropy::random};
use domain::{
    Address, Change, User,
    trace::Named,
    user::{BadAddress, Scram, ScramKeys, Secrets},
};
use ring::{digest as hash, hmac, pbkdf2};
use serde::{Deserialize, Serialize};
use sip::digest::{Algorithm, ha1};
use std::{collections::HashMap, num::NonZeroU32};
use store::{Store, StoreError};
use xmpp::{
    jid::Jid,
    sasl::{prep, scram::ITERATIONS},
};

/// What to set of an account; what is left out stays as it is.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// Needed for a new account.
    pub password: Option<String>,
    /// Their name.
    pub display_name: Option<String>,
    /// Where unanswered calls go, `sip:…`; empty: nowhere.
    pub forward: Option<String>,
    /// Whatever has signed in as them is signed out, and their tokens are no good any more.
    #[serde(default)]
    pub sign_out: bool,
    /// Fail if the account exists.
    #[serde(default)]
    pub new: bool,
}

/// Which ways to sign in an account is made for.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Ways {
    /// SIP and the APIs.
    Digest,
    /// XMPP too, whose keys take milliseconds to make.
    All,
}

impl Ways {
    /// What this configuration serves.
    pub fn of(config: &Config) -> Self {
        if config.listen.serves_xmpp() {
            Self::All
        } else {
            Self::Digest
        }
    }

    /// What of a password is kept for SCRAM.
    fn keys(self, password: &str) -> Option<Box<Scram>> {
        match self {
            Self::Digest => None,
            Self::All => scram(password).map(Box::new),
        }
    }
}

/// An account with this password.
pub fn user(address: Address, password: &str, ways: Ways) -> User {
    let keys = ways.keys(password);
    with_keys(address, password, keys)
}

/// Accounts of names with passwords. Those with the same password have the same keys: for a development server, which has many of
/// them, and where everybody knows it.
pub fn alike(users: Vec<(Address, String)>, ways: Ways) -> Vec<User> {
    let mut made = HashMap::new();
    let user = |(address, password): (Address, String)| {
        let keys = made.get(&password).cloned();
        let keys = keys.unwrap_or_else(|| ways.keys(&password));
        made.insert(password.clone(), keys.clone());
        with_keys(address, &password, keys)
    };
    users.into_iter().map(user).collect()
}

fn with_keys(address: Address, password: &str, keys: Option<Box<Scram>>) -> User {
    let secrets = secrets(&address, password, keys);
    User {
        address,
        display_name: String::new(),
        secrets,
        forward: None,
    }
}

/// Writes one change straight into a store: while no server runs on it.
pub async fn write(store: &dyn Store, change: Change) -> Result<(), StoreError> {
    let saved = store.commit(vec![vec![change]]).await?;
    saved.into_iter().collect()
}

/// Removes an account from a store, with all that is kept of it: while no server runs on it.
pub async fn remove(store: &dyn Store, address: &Address) -> Result<(), StoreError> {
    let who = named(store, address).await?;
    write(store, Change::RemoveUser(address.clone())).await?;
    store.forget(&who).await.map(drop)
}

/// A user as stories name them.
pub async fn named(store: &dyn Store, address: &Address) -> Result<Named, StoreError> {
    let devices = store.devices(Some(address)).await?;
    Ok(Named {
        user: address.clone(),
        devices: devices.into_iter().map(|it| it.id).collect(),
    })
}

/// What a password is checked against.
fn secrets(address: &Address, password: &str, keys: Option<Box<Scram>>) -> Secrets {
    let digest = |algorithm| ha1(algorithm, &address.plain_name(), address.domain(), password);
    Secrets {
        md5: digest(Algorithm::Md5),
        sha256: digest(Algorithm::Sha256),
        scram: keys,
        mark: mark(),
    }
}

/// See [`Secrets::mark`].
fn mark() -> i64 {
    i64::from_be_bytes(random()) | 1
}

/// Keys for SCRAM, each with a salt of its own (RFC 5802 §3). `None` for a password that nobody can sign in with there.
fn scram(password: &str) -> Option<Scram> {
    let password = prep::prepare(password).ok()?;
    Some(Scram {
        iterations: ITERATIONS,
        sha1: keys(
            pbkdf2::PBKDF2_HMAC_SHA1,
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            &password,
        ),
        sha256: keys(pbkdf2::PBKDF2_HMAC_SHA256, hmac::HMAC_SHA256, &password),
    })
}

/// The same as `StoredKeys::of`, by ring.
fn keys(stretch: pbkdf2::Algorithm, hmac: hmac::Algorithm, password: &str) -> ScramKeys {
    let iterations = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MIN);
    let salt = random::<{ Scram::SALT }>();
    let mut salted = vec![0; hmac.digest_algorithm().output_len()];
    pbkdf2::derive(stretch, iterations, &salt, password.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac, &salted);
    let client = hmac::sign(&key, b"Client Key");
    let stored = hash::digest(hmac.digest_algorithm(), client.as_ref());
    ScramKeys {
        salt: salt.to_vec(),
        stored: stored.as_ref().to_vec(),
        server: hmac::sign(&key, b"Server Key").as_ref().to_vec(),
    }
}

/// Whether it is the password of the account.
pub fn is_password_of(user: &User, password: &str) -> bool {
    user.secrets.is_of(&user.address, password)
}

/// Why an account cannot be as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Its domain is not ours.
    #[error("{0} is no domain of this server: see server.domains")]
    NotOurs(String),
    /// Only one of our protocols could have it.
    #[error(
        "{0} cannot be an address of XMPP: choose a name without controls, odd spaces and lone marks"
    )]
    NotForAll(Address),
    /// It was to be a new one.
    #[error("{0} exists: change its password with `reveille user passwd`")]
    Exists(Address),
    /// It is a new one.
    #[error("{0} is new: it needs a password")]
    NoPassword(Address),
    /// Not a place for calls to go to.
    #[error("{0:?} is no SIP URI: write it as sip:voicemail@example.org")]
    BadForward(String),
}

/// The account as it is after a change.
pub fn change(
    address: &Address,
    known: Option<User>,
    change: &UserChange,
    (domains, ways): (&[String], Ways),
) -> Result<User, AccountError> {
    if !domains
        .iter()
        .any(|domain| domain.eq_ignore_ascii_case(address.domain()))
    {
        return Err(AccountError::NotOurs(address.domain().to_owned()));
    }
    if change.new && known.is_some() {
        return Err(AccountError::Exists(address.clone()));
    }
    let mut user = match (known, &change.password) {
        (Some(user), _) => user,
        (None, Some(_)) if !is_for_all(address) => {
            return Err(AccountError::NotForAll(address.clone()));
        }
        (None, Some(password)) => self::user(address.clone(), password, ways),
        (None, None) => return Err(AccountError::NoPassword(address.clone())),
    };
    if let Some(password) = &change.password {
        user.secrets = secrets(address, password, ways.keys(password));
    } else if change.sign_out {
        user.secrets.mark = mark();
    }
    if let Some(name) = &change.display_name {
        user.display_name.clone_from(name);
    }
    if let Some(forward) = &change.forward {
        if !forward.is_empty() && sip::Uri::parse(forward).is_none_or(|uri| !uri.is_sip()) {
            return Err(AccountError::BadForward(forward.clone()));
        }
        user.forward = Some(forward.clone()).filter(|forward| !forward.is_empty());
    }
    Ok(user)
}

/// Whether every protocol can have an address, in the same form.
fn is_for_all(address: &Address) -> bool {
    let jid = Jid::parse(address.as_str());
    jid.is_ok_and(|jid| jid.as_str() == address.as_str())
}

/// The address that somebody means who writes it as a protocol may that allows any name (XEP-0106).
pub fn given(text: &str) -> Result<Address, BadAddress> {
    match text.rsplit_once('@') {
        Some((name, domain)) => Address::given(name, domain),
        None => text.parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp::sasl::{Hash, scram::StoredKeys};

    #[test]
    fn an_account_gets_an_address_that_every_protocol_can_have() {
        let made = |text: &str| {
            let asked = UserChange {
                password: Some("secret".to_owned()),
                ..UserChange::default()
            };
            let here = (&["h".to_owned()][..], Ways::Digest);
            let user = change(&given(text).ok()?, None, &asked, here).ok()?;
            Some(user.address.to_string())
        };
        assert_eq!(made("d'artagnan@h").as_deref(), Some("d\\27artagnan@h"));
        assert_eq!(made("a@b@h").as_deref(), Some("a\\40b@h"));
        assert_eq!(made("Bob@h").as_deref(), Some("bob@h"));
        // A fraction, which no name of XMPP's may hold (RFC 7622 §3.3).
        for none in [" a@h", "a\u{bd}@h"] {
            assert_eq!(made(none), None, "{none:?}");
        }
        let artagnan = given("d'artagnan@h").unwrap();
        let md5 = secrets(&artagnan, "secret", None).md5;
        assert_eq!(
            md5,
            ha1(Algorithm::Md5, "d'artagnan", "h", "secret"),
            "as phones say it"
        );
    }

    #[test]
    fn keys_are_those_that_sign_in_is_checked_against() {
        let password = "caf\u{e9}\u{a0}x";
        let made = scram(password).unwrap();
        for (hash, keys) in [(Hash::Sha1, made.sha1), (Hash::Sha256, made.sha256)] {
            let salt = std::array::from_fn(|at| keys.salt[at]);
            let known = StoredKeys::of(hash, password, salt, made.iterations).unwrap();
            assert_eq!(known.stored_key[..], keys.stored[..], "{hash:?}");
            assert_eq!(known.server_key[..], keys.server[..], "{hash:?}");
        }
    }
}
