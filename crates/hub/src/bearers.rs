//! Who knows the tokens that users sign in with in place of a password: the rule is the same for every door.

use crate::Accounts;
use domain::{Address, Timestamp, User};
use std::{fmt, sync::Arc};

/// Tells whose a token is. Clones know the same tokens.
#[derive(Clone)]
pub struct Bearers {
    /// Whose a token says to be, without looking anything up.
    pub claimed: fn(&str) -> Option<Address>,
    /// Whether it is one of this user, and good now.
    pub is_good: IsGood,
}

/// See [`Bearers::is_good`].
pub type IsGood = Arc<dyn Fn(&str, &User, Timestamp) -> bool + Send + Sync>;

impl Bearers {
    /// The user whom a token lets in now, if there is one.
    pub fn user(&self, token: &str, accounts: &Accounts, now: Timestamp) -> Option<Arc<User>> {
        let user = accounts.get(&(self.claimed)(token)?)?;
        (self.is_good)(token, &user, now).then_some(user)
    }
}

impl fmt::Debug for Bearers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearers(…)")
    }
}
