//! Steps, which stand or fall as a whole, notes and retention: each change to the file of its aggregate.

use super::state::State;
use crate::{Forgotten, Pruned, StoreError};
use domain::{Change, Note, Timestamp, trace::Named};

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
            Change::PutUser(user) => self.put_user(*user),
            Change::RemoveUser(address) => self.remove_user(&address),
            Change::PutContact(contact) => self.put_contact(*contact)?,
            Change::RemoveContact { user, peer } => {
                self.contacts.remove(&(user, peer.into()));
            }
            Change::Block { user, peer } => self.block(user, peer)?,
            Change::Unblock { user, peer } => {
                self.blocks.remove(&(user, peer));
            }
            Change::PutCard { user, card } => self.put_card(user, *card)?,
            Change::PutSignInTokens(tokens) => self.put_sign_in_tokens(*tokens)?,
            Change::PutGrant(grant) => self.put_grant(*grant)?,
            Change::RemoveGrant(user, id) => {
                self.grants.remove(&(user, id));
            }
            Change::PutSession(session) => self.put_session(*session)?,
            Change::Invite(invitation) => self.invite(*invitation)?,
            Change::Redeem(token) => self.redeem(&token)?,
            Change::PutDevice(device) => self.put_device(*device)?,
            Change::RemoveDevice(id) => self.remove_device(&id),
            Change::PutDoor(door) => self.put_door(*door)?,
            Change::RemoveDoor(id) => {
                self.doors.remove(&(id.device, id.number));
            }
            Change::Archive(message) => self.archive(&message),
            Change::Enqueue { device, message } => self.enqueue(device, &message)?,
            Change::GoOver { device, message } => self.go_over(device, &message)?,
            Change::Refill { device, most } => self.refill(&device, most),
            Change::EnqueueForUser { user, message } => self.enqueue_for_user(user, &message)?,
            Change::ReturnQueue(device) => self.return_queue(&device),
            Change::AdoptQueue { user, device } => self.adopt(&user, &device)?,
            Change::Delivered { device, message } => self.delivered(device, &message),
            Change::Read {
                user,
                writer,
                up_to,
            } => self.mark_read(&user, &writer, &up_to),
            Change::Owe(push) => self.owe(*push)?,
            Change::Settle(id) => self.settle(&id),
            Change::PutTenant(tenant) => self.tenants.put(tenant.id.clone(), *tenant),
            Change::RemoveTenant(tenant) => self.remove_tenant(&tenant),
            Change::PutPushApp(app) => self.push_apps.put(app.app.clone(), *app),
            Change::RemovePushApp(app) => {
                self.push_apps.remove(&app);
            }
            Change::QueuePush(queued) => self.queue_push(*queued)?,
            Change::SettlePush(settled) => self.settle_push(*settled)?,
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

    /// Who has no account any more is forgotten.
    pub(super) fn forget(&mut self, who: &Named) -> Forgotten {
        let forgotten = Forgotten {
            stories: self.forget_stories(who),
            messages: self.forget_messages(&who.user),
        };
        self.keep();
        forgotten
    }

    /// Retention, in the order of arrival; what waits for somebody stays.
    pub(super) fn prune(&mut self, before: Timestamp) -> Pruned {
        self.prune_invitations(before);
        let pruned = Pruned {
            stories: self.prune_stories(before),
            messages: self.prune_messages(before),
            history: self.prune_history(before),
        };
        self.keep();
        pruned
    }
}
