//! What the operator does to accounts and devices while everything runs.

use domain::{Address, User};
use hub::Question;

/// An order of the operator.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// Create an account or replace it, as by another password.
    Put(Box<User>),
    /// Remove an account with its devices.
    Remove(Address),
}

impl Order {
    /// Whose account it is about.
    pub(super) fn user(&self) -> &Address {
        match self {
            Self::Put(user) => &user.address,
            Self::Remove(user) => user,
        }
    }

    /// As the hub is asked.
    pub(super) fn question(&self) -> Question {
        match self.clone() {
            Self::Put(user) => Question::PutUser(user, 0),
            Self::Remove(user) => Question::RemoveUser(user),
        }
    }
}
