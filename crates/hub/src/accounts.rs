//! Who has an account, whom they block and which image they show: read by every shard for every request, written rarely.

use crate::Guards;
use domain::{Address, Avatar, Blocks, IdMap, User};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// All accounts, shared by the shards. Clones are the same accounts.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    table: Arc<RwLock<Table>>,
    guards: Guards,
}

#[derive(Debug, Default)]
struct Table {
    users: IdMap<Address, Arc<User>>,
    /// Of those who block somebody.
    blocks: IdMap<Address, Arc<Blocks>>,
    /// Of those who show an image.
    avatars: IdMap<Address, Avatar>,
    /// Grows with every change.
    version: u64,
}

impl Accounts {
    /// Who may try a password for one.
    pub fn guards(&self) -> &Guards {
        &self.guards
    }

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
        table.blocks.remove(address);
        table.avatars.remove(address);
    }

    /// Whom a user blocks.
    pub fn blocks(&self, user: &Address) -> Arc<Blocks> {
        self.read().blocks.get(user).cloned().unwrap_or_default()
    }

    /// A user blocks these, and nobody else.
    pub fn put_blocks(&self, user: Address, blocks: Blocks) {
        let mut table = self.write();
        if blocks.is_empty() {
            table.blocks.remove(&user);
        } else {
            table.blocks.insert(user, Arc::new(blocks));
        }
    }

    /// Which image a user shows.
    pub fn avatar(&self, user: &Address) -> Option<Avatar> {
        self.read().avatars.get(user).copied()
    }

    /// A user shows this image, or none.
    pub fn put_avatar(&self, user: Address, avatar: Option<Avatar>) {
        let avatars = &mut self.write().avatars;
        match avatar {
            Some(avatar) => drop(avatars.insert(user, avatar)),
            None => drop(avatars.remove(&user)),
        }
    }

    /// A user blocks this address as well: as it is read at start.
    pub fn block(&self, user: Address, peer: &str) {
        let mut table = self.write();
        let blocks = table.blocks.entry(user).or_default();
        Arc::make_mut(blocks).insert(peer);
    }

    /// The one rule of blocking, whatever protocol asks: whether what comes from this address is kept away from a user, and what
    /// the user sends there is not sent. Nobody is kept away from themselves (XEP-0191 §5).
    pub fn bars(&self, user: &Address, peer: &str) -> bool {
        let table = self.read();
        let Some(blocks) = table.blocks.get(user) else {
            return false;
        };
        let bare = peer.split_once('/').map_or(peer, |(bare, _)| bare);
        bare != user.as_str() && blocks.bars(peer)
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

    /// Takes over who has an account, as it was read while they had changed so often; says who has none any more, and who signs in
    /// by something else. `None`: they have changed since, and are to be read again.
    pub fn replace(&self, version: u64, users: Vec<User>) -> Option<[Vec<Address>; 2]> {
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
        let Table {
            users,
            blocks,
            avatars,
            ..
        } = &mut *table;
        blocks.retain(|user, _| users.contains_key(user));
        avatars.retain(|user, _| users.contains_key(user));
        let is_another = |was: &User, is: &Arc<User>| was.secrets != is.secrets;
        let (mut gone, mut others) = (Vec::new(), Vec::new());
        for (address, was) in before {
            match users.get(&address) {
                None => gone.push(address),
                Some(is) if is_another(&was, is) => others.push(address),
                Some(_) => {}
            }
        }
        Some([gone, others])
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}
