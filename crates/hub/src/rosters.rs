//! Rosters of users, read from the store when they are needed and kept for as long as there is room. They change by
//! steps alone, so what is here is what the store has.

mod plan;

use crate::{People, Roster, Showing, Sight};
use domain::{
    Address, IdMap,
    roster::{Contact, version},
};
use std::collections::BTreeMap;

/// See above.
#[derive(Debug)]
pub(crate) struct Rosters {
    of: IdMap<Address, Kept>,
    /// The same by when they were used.
    used: BTreeMap<u64, Address>,
    uses: u64,
    /// Contacts in all of them.
    known: usize,
    limits: People,
}

#[derive(Debug, Default)]
struct Kept {
    contacts: BTreeMap<Address, Contact>,
    used: u64,
}

impl Rosters {
    pub(crate) fn new(limits: People) -> Self {
        Self {
            of: IdMap::default(),
            used: BTreeMap::new(),
            uses: 0,
            known: 0,
            limits,
        }
    }

    /// Whether a user's roster is here; it counts as used.
    pub(crate) fn uses(&mut self, user: &Address) -> bool {
        let Some(kept) = self.of.get_mut(user) else {
            return false;
        };
        self.uses += 1;
        let before = std::mem::replace(&mut kept.used, self.uses);
        if let Some(user) = self.used.remove(&before) {
            self.used.insert(self.uses, user);
        }
        true
    }

    /// Takes over a roster as the store has it.
    pub(crate) fn insert(&mut self, user: Address, contacts: Vec<Contact>) {
        self.remove(&user);
        let by_peer = contacts.into_iter().map(|it| (it.peer.clone(), it));
        self.uses += 1;
        let kept = Kept {
            contacts: by_peer.collect(),
            used: self.uses,
        };
        self.known += kept.contacts.len();
        self.used.insert(self.uses, user.clone());
        self.of.insert(user, kept);
    }

    /// Where there are too many, those go that were used longest ago, unless somebody `is_busy` with them.
    pub(crate) fn make_room(&mut self, is_busy: impl Fn(&Address) -> bool) {
        while self.of.len() > self.limits.rosters || self.known > self.limits.known {
            let Some(oldest) = self.used.values().find(|it| !is_busy(it)).cloned() else {
                break;
            };
            self.remove(&oldest);
        }
    }

    /// Forgets a roster.
    pub(crate) fn remove(&mut self, user: &Address) {
        if let Some(kept) = self.of.remove(user) {
            self.used.remove(&kept.used);
            self.known -= kept.contacts.len();
        }
    }

    /// Rosters in memory.
    pub(crate) fn len(&self) -> usize {
        self.of.len()
    }

    /// Somebody of whom a user knows something.
    pub(crate) fn contact(&self, user: &Address, peer: &Address) -> Option<&Contact> {
        self.of.get(user)?.contacts.get(peer)
    }

    /// All of whom a user knows something, by address.
    pub(crate) fn contacts(&self, user: &Address) -> impl Iterator<Item = &Contact> {
        let kept = self.of.get(user).into_iter();
        kept.flat_map(|it| it.contacts.values())
    }

    /// What clients see.
    pub(crate) fn view(&self, user: &Address) -> Roster {
        let listed = self.contacts(user).filter(|it| it.is_listed);
        Roster {
            contacts: listed.cloned().collect(),
            version: version(self.contacts(user)),
        }
    }

    /// A contact is this now: says what clients see of that.
    pub(crate) fn put(&mut self, contact: Contact) -> Option<Showing> {
        let kept = self.of.get_mut(&contact.user)?;
        let before = kept.contacts.insert(contact.peer.clone(), contact.clone());
        self.known += usize::from(before.is_none());
        if !contact.is_listed || before.is_some_and(|it| it.looks_like(&contact)) {
            return None;
        }
        let user = contact.user.clone();
        let version = version(self.contacts(&user));
        Some(Showing {
            sight: Sight::Contact(Box::new(contact), version),
            client: None,
            user,
        })
    }

    /// A contact is no more: says what clients see of that.
    pub(crate) fn take(&mut self, user: Address, peer: Address) -> Option<Showing> {
        let before = self.of.get_mut(&user)?.contacts.remove(&peer)?;
        self.known -= 1;
        let version = version(self.contacts(&user));
        before.is_listed.then_some(Showing {
            user,
            client: None,
            sight: Sight::NoContact(peer, version),
        })
    }
}
