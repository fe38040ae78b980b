//! Who has an account: read by every shard for every request, written rarely.

use domain::{Address, User};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// All accounts, shared by the shards. Clones are the same accounts.
#[derive(Clone, Debug, Default)]
pub struct Accounts(Arc<RwLock<HashMap<Address, Arc<User>>>>);

impl Accounts {
    /// An account.
    pub fn get(&self, address: &Address) -> Option<Arc<User>> {
        self.read().get(address).cloned()
    }

    /// Whether there is one.
    pub fn has(&self, address: &Address) -> bool {
        self.read().contains_key(address)
    }

    /// Creates or replaces an account.
    pub fn put(&self, user: User) {
        self.write().insert(user.address.clone(), Arc::new(user));
    }

    /// Removes an account.
    pub fn remove(&self, address: &Address) {
        self.write().remove(address);
    }

    /// Takes over who has an account. Says who has none any more.
    pub fn replace(&self, users: Vec<User>) -> Vec<Address> {
        let now: HashMap<_, _> = users
            .into_iter()
            .map(|user| (user.address.clone(), Arc::new(user)))
            .collect();
        let mut accounts = self.write();
        let before = std::mem::replace(&mut *accounts, now);
        let gone = before.into_keys().filter(|it| !accounts.contains_key(it));
        gone.collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Address, Arc<User>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Address, Arc<User>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
