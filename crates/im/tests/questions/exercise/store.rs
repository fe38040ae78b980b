//! A map as the store: what is kept of messages, cards and tokens. What goes over a queue's end is let go.

use bytes::Bytes;
use domain::{
    Address, ArchivePage, ArchiveQuery, Card, Change, DeviceId, Message, MessageId, archive::sides,
};
use std::{collections::BTreeMap, sync::Arc};

/// See above.
#[derive(Default)]
pub(super) struct Store {
    cards: BTreeMap<Address, Card>,
    /// What installations sign in with.
    tokens: BTreeMap<(Address, String), Bytes>,
    /// In the order in which they came.
    archive: Vec<Arc<Message>>,
    owners: BTreeMap<DeviceId, Address>,
    queues: BTreeMap<DeviceId, Vec<MessageId>>,
    /// What waits for users of whom no device is known.
    unclaimed: BTreeMap<Address, Vec<MessageId>>,
}

impl Store {
    pub(super) fn keeps(&mut self, change: Change) {
        match change {
            Change::PutCard { user, card } => {
                self.cards.insert(user, *card);
            }
            Change::PutSignInTokens(it) if it.data.is_empty() => {
                self.tokens.remove(&(it.user, it.client));
            }
            Change::PutSignInTokens(it) => {
                self.tokens.insert((it.user, it.client), it.data);
            }
            Change::PutDevice(device) => {
                self.owners.insert(device.id, device.user);
            }
            Change::RemoveDevice(device) => {
                self.queues.remove(&device);
            }
            Change::Archive(message) if self.message(&message.id).is_none() => {
                self.archive.push(message);
            }
            Change::Enqueue { device, message } => {
                let queue = self.queues.entry(device).or_default();
                if !queue.contains(&message) {
                    queue.push(message);
                }
            }
            Change::EnqueueForUser { user, message } => {
                self.unclaimed.entry(user).or_default().push(message);
            }
            Change::AdoptQueue { user, device } => {
                let waited = self.unclaimed.remove(&user).unwrap_or_default();
                self.queues.entry(device).or_default().extend(waited);
            }
            Change::ReturnQueue(device) => {
                let waited = self.queues.remove(&device).unwrap_or_default();
                if let Some(user) = self.owners.get(&device) {
                    self.unclaimed
                        .entry(user.clone())
                        .or_default()
                        .extend(waited);
                }
            }
            Change::Delivered { device, message } => {
                self.queues
                    .entry(device)
                    .or_default()
                    .retain(|it| *it != message);
            }
            _ => {}
        }
    }

    fn message(&self, id: &MessageId) -> Option<&Arc<Message>> {
        self.archive.iter().find(|it| it.id == *id)
    }

    /// The head of a device's queue.
    pub(super) fn head(&self, device: &DeviceId) -> Vec<Arc<Message>> {
        let queue = self.queues.get(device).into_iter().flatten();
        let head = queue.take(domain::delivery::BATCH);
        head.filter_map(|id| self.message(id).cloned()).collect()
    }

    /// A page of a user's archive.
    pub(super) fn page(&self, user: &Address, query: &ArchiveQuery) -> Option<ArchivePage> {
        let is_theirs = |message: &&Arc<Message>| {
            sides(&message.from, &message.to).any(|(owner, _)| owner == *user)
        };
        let theirs: Vec<_> = self.archive.iter().filter(is_theirs).cloned().collect();
        query.page(user, &theirs)
    }

    pub(super) fn card(&self, user: &Address) -> Option<Card> {
        self.cards.get(user).cloned()
    }

    pub(super) fn tokens(&self, user: Address, client: String) -> Option<Bytes> {
        self.tokens.get(&(user, client)).cloned()
    }
}
