//! Rosters.

use super::{backend::MemoryStore, state::State};
use crate::{Answer, Rosters, StoreError, limits};
use domain::{Address, roster::Contact};

impl Rosters for MemoryStore {
    fn roster(&self, user: &Address) -> Answer<Vec<Contact>> {
        self.read(|state| {
            let contacts = state.contacts_of(user).take(limits::CONTACTS);
            contacts.cloned().collect()
        })
    }
}

impl State {
    fn contacts_of(&self, user: &Address) -> impl Iterator<Item = &Contact> {
        let first = (user.clone(), String::new());
        let rows = self.contacts.range(first..);
        rows.take_while(move |((owner, _), _)| owner == user)
            .map(|(_, contact)| contact)
    }

    pub(super) fn put_contact(&mut self, contact: Contact) -> Result<(), StoreError> {
        self.needs_user(&contact.user)?;
        let key = (contact.user.clone(), contact.peer.as_str().to_owned());
        self.contacts.put(key, contact);
        Ok(())
    }

    pub(super) fn remove_roster(&mut self, user: &Address) {
        let peers: Vec<Address> = self.contacts_of(user).map(|it| it.peer.clone()).collect();
        for peer in peers {
            self.contacts.remove(&(user.clone(), peer.into()));
        }
    }
}
