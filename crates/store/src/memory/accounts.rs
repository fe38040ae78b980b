//! Accounts.

use super::{
    backend::MemoryStore,
    state::{State, under},
};
use crate::{Accounts, Answer};
use domain::{Address, DeviceId, User};

impl Accounts for MemoryStore {
    fn user(&self, address: &Address) -> Answer<Option<User>> {
        self.read(|state| state.users.get(address).cloned())
    }

    fn users(&self) -> Answer<Vec<User>> {
        self.read(|state| state.users.values().cloned().collect())
    }
}

impl State {
    pub(super) fn put_user(&mut self, user: User) {
        let before = self.users.get(&user.address);
        if before.is_some_and(|before| before.secrets.stamp() != user.secrets.stamp()) {
            // Tokens that follow on those from before would be no good.
            self.remove_grants(&user.address);
        }
        self.users.put(user.address.clone(), user);
    }

    pub(super) fn remove_user(&mut self, address: &Address) {
        let ids: Vec<DeviceId> = self.device_ids(address).cloned().collect();
        for id in &ids {
            self.remove_device(id);
        }
        self.disown(address);
        self.remove_roster(address);
        self.remove_blocks(address);
        self.remove_invitations(address);
        self.cards.remove(address);
        self.remove_sign_ins(address);
        self.remove_grants(address);
        self.remove_sessions(address);
        self.archive_of.remove_range(under(address));
        self.users.remove(address);
    }
}
