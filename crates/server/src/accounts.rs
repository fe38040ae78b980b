//! Making accounts: what is kept of a password.

use crate::secret;
use domain::{Address, Change, User, user::Secrets};
use serde::{Deserialize, Serialize};
use sip::digest::{Algorithm, ha1};
use store::{Store, StoreError};

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
    /// Fail if the account exists.
    #[serde(default)]
    pub new: bool,
}

/// An account with this password.
pub fn user(address: Address, password: &str) -> User {
    let secrets = secrets(&address, password);
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

/// What a password is checked against.
pub fn secrets(address: &Address, password: &str) -> Secrets {
    let of = |algorithm| ha1(algorithm, address.name(), address.domain(), password);
    Secrets {
        md5: of(Algorithm::Md5),
        sha256: of(Algorithm::Sha256),
    }
}

/// Whether it is the password of the account.
pub fn is_password_of(user: &User, password: &str) -> bool {
    let given = secrets(&user.address, password);
    secret::same(given.sha256.as_bytes(), user.secrets.sha256.as_bytes())
}

/// Why an account cannot be as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Its domain is not ours.
    #[error("{0} is no domain of this server: see server.domains")]
    NotOurs(String),
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
    domains: &[String],
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
        (None, Some(password)) => self::user(address.clone(), password),
        (None, None) => return Err(AccountError::NoPassword(address.clone())),
    };
    if let Some(password) = &change.password {
        user.secrets = secrets(address, password);
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
