//! Who has an account: read by every shard for every request, written rarely.

use domain::{Address, IdMap, User};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// All accounts, shared by the shards. Clones are the same accounts.
#[derive(Clone, Debug, Default)]
pub struct Accounts(Arc<RwLock<Table>>);

#[derive(Debug, Default)]
struct Table {
    users: IdMap<Address, Arc<User>>,
    /// Grows with every change.
    version: u64,
}

impl Accounts {
    /// An account.
    pub fn get(&self, address: &Address) -> Option<Arc<User>> {
        self.read().users.get(address).cloned()
    }

    /// Whether there is one.
    pub fn has(&self, address: &Address) -> bool {
        self.read().users.contains_key(address)
    }

    /// Creates or replaces an account.
    pub fn put(&self, user: User) {
        let mut table = self.write();
        table.version += 1;
        table.users.insert(user.address.clone(), Arc::new(user));
    }

    /// Removes an account.
    pub fn remove(&self, address: &Address) {
        let mut table = self.write();
        table.version += 1;
        table.users.remove(address);
    }

    /// The same address as the account has it, so that it stands in memory once.
    pub fn own(&self, address: Address) -> Address {
        self.get(&address)
            .map_or(address, |user| user.address.clone())
    }

    /// How often they have changed.
    pub fn version(&self) -> u64 {
        self.read().version
    }

    /// Takes over who has an account, as it was read while they had changed so often; says who has none any more. `None`:
    /// they have changed since, and are to be read again.
    pub fn replace(&self, version: u64, users: Vec<User>) -> Option<Vec<Address>> {
        let now: IdMap<_, _> = users
            .into_iter()
            .map(|user| (user.address.clone(), Arc::new(user)))
            .collect();
        let mut table = self.write();
        if table.version != version {
            return None;
        }
        table.version += 1;
        let before = std::mem::replace(&mut table.users, now);
        let gone = before
            .into_keys()
            .filter(|it| !table.users.contains_key(it));
        Some(gone.collect())
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
