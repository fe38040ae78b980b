//! Steps, which stand or fall as a whole, notes and retention: each change to the file of its aggregate.

use super::state::State;
use crate::{Pruned, StoreError};
use domain::{Change, Note, Timestamp};

impl State {
    /// All of a step's changes, or none.
    pub(super) fn step(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        let done = changes
            .into_iter()
            .try_for_each(|change| self.apply(change));
        if done.is_ok() {
            self.keep();
        } else {
            self.take_back();
        }
        done
    }

    fn apply(&mut self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::PutUser(user) => self.users.put(user.address.clone(), *user),
            Change::RemoveUser(address) => self.remove_user(&address),
            Change::PutContact(contact) => self.put_contact(*contact)?,
            Change::RemoveContact { user, peer } => {
                self.contacts.remove(&(user, peer.into()));
            }
            Change::PutDevice(device) => self.put_device(*device)?,
            Change::RemoveDevice(id) => self.remove_device(&id),
            Change::PutDoor(door) => self.put_door(*door)?,
            Change::RemoveDoor(id) => {
                self.doors.remove(&(id.device, id.number));
            }
            Change::Archive(message) => self.archive(&message),
            Change::Enqueue { device, message } => self.enqueue(device, &message)?,
            Change::EnqueueForUser { user, message } => self.enqueue_for_user(user, &message)?,
            Change::ReturnQueue(device) => self.return_queue(&device),
            Change::AdoptQueue { user, device } => self.adopt(&user, &device)?,
            Change::Delivered { device, message } => self.delivered(device, &message),
            Change::Owe(push) => self.owe(*push)?,
            Change::Settle(id) => self.settle(&id),
        }
        Ok(())
    }

    /// Keeps what can be kept; says how many notes were dropped.
    pub(super) fn note(&mut self, notes: Vec<Note>) -> u64 {
        let mut dropped = 0;
        for note in notes {
            match note {
                Note::Story(event) => self.tell(event),
                Note::History(entry) if self.devices.has(&entry.device) => self.remember(entry),
                Note::History(_) => dropped += 1,
            }
        }
        self.keep();
        dropped
    }

    /// Retention, in the order of arrival; what waits for somebody stays.
    pub(super) fn prune(&mut self, before: Timestamp) -> Pruned {
        let pruned = Pruned {
            stories: self.prune_stories(before),
            messages: self.prune_messages(before),
            history: self.prune_history(before),
        };
        self.keep();
        pruned
    }
}
