//! Who knows the tokens that users sign in with in place of a password: the rule is the same for every door.

use crate::Accounts;
use domain::{Address, Timestamp, User};
use std::{fmt, sync::Arc};

/// Tells whose a token is. Clones know the same tokens.
#[derive(Clone)]
pub struct Bearers {
    /// Whose a token is that we have made and that is not too old, and of what that user signs in with it was made. Accounts are not
    /// looked up for any other: by how long that takes nobody is to learn of them.
    pub made: Made,
    /// Whether a user still signs in with that.
    pub is_of: IsOf,
}

/// See [`Bearers::made`].
pub type Made = Arc<dyn Fn(&str, Timestamp) -> Option<(Address, String)> + Send + Sync>;
/// See [`Bearers::is_of`].
pub type IsOf = Arc<dyn Fn(&str, &User) -> bool + Send + Sync>;

impl Bearers {
    /// The user whom a token lets in now, if there is one.
    pub fn user(&self, token: &str, accounts: &Accounts, now: Timestamp) -> Option<Arc<User>> {
        let (user, of) = (self.made)(token, now)?;
        let user = accounts.get(&user)?;
        (self.is_of)(&of, &user).then_some(user)
    }
}

impl fmt::Debug for Bearers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearers(…)")
    }
}
