//! A map as the store: it can refuse, and it can hold its answers back.

use domain::{
    Address, Card, Change, Class, Device, DeviceId, Door, DoorId, Invitation, KeptSession, Message,
    MessageId, NotificationId, Record, SignInTokens, Unread, User, push::OwedPush, roster::Contact,
};
use hub::{NotDone, SaveId};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Kept {
    pub(crate) users: BTreeMap<Address, User>,
    pub(crate) rosters: BTreeMap<(Address, Address), Contact>,
    pub(crate) blocks: BTreeSet<(Address, Box<str>)>,
    pub(crate) cards: BTreeMap<Address, Card>,
    pub(crate) sign_in_tokens: BTreeMap<(Address, String), SignInTokens>,
    pub(crate) sessions: BTreeMap<(Address, String), KeptSession>,
    pub(crate) invitations: BTreeMap<Box<str>, Invitation>,
    pub(crate) devices: BTreeMap<DeviceId, Device>,
    pub(crate) doors: BTreeMap<DoorId, Door>,
    pub(crate) archive: BTreeMap<MessageId, Arc<Message>>,
    /// The archive in the order in which it came, and what of it was read.
    pub(crate) came: Vec<MessageId>,
    pub(crate) read: BTreeSet<MessageId>,
    pub(crate) queues: BTreeMap<DeviceId, Vec<MessageId>>,
    /// Messages that went over, in the order in which they came.
    pub(crate) over: BTreeMap<DeviceId, Vec<MessageId>>,
    pub(crate) unclaimed: BTreeMap<Address, Vec<MessageId>>,
    pub(crate) owed: BTreeMap<NotificationId, OwedPush>,
}

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) kept: Kept,
    /// Said to every step while it is there.
    pub(crate) refuses: Option<NotDone>,
    /// Answers wait for [`Store::answers`].
    pub(crate) holds: bool,
    /// How often it was asked to save something, and to read a queue.
    pub(crate) asked: (usize, usize),
    held: VecDeque<(usize, SaveId, Result<(), NotDone>)>,
}

impl Store {
    /// Saves a step, and says so now or later.
    pub(crate) fn save(
        &mut self,
        shard: usize,
        id: SaveId,
        changes: Vec<Change>,
    ) -> Option<(usize, SaveId, Result<(), NotDone>)> {
        self.asked.0 += 1;
        let result = match &self.refuses {
            Some(why) => Err(why.clone()),
            None => self.apply(changes),
        };
        if self.holds {
            self.held.push_back((shard, id, result));
            return None;
        }
        Some((shard, id, result))
    }

    /// What it held back.
    pub(crate) fn answers(&mut self) -> Vec<(usize, SaveId, Result<(), NotDone>)> {
        self.holds = false;
        self.held.drain(..).collect()
    }

    /// It is killed: what it did not say yet it never says.
    pub(crate) fn dies(&mut self) {
        self.refuses = None;
        self.holds = false;
        self.held.clear();
    }

    /// All or nothing.
    fn apply(&mut self, changes: Vec<Change>) -> Result<(), NotDone> {
        let known = |change: &Change| match change {
            Change::Redeem(token) => self.kept.invitations.contains_key(token),
            _ => true,
        };
        if !changes.iter().all(known) {
            return Err(NotDone::Missing);
        }
        let (mut new, mut users) = (HashSet::new(), HashSet::new());
        for change in &changes {
            let (device, user) = match change {
                Change::PutUser(user) => {
                    users.insert(&user.address);
                    (None, None)
                }
                Change::PutDevice(device) => {
                    new.insert(&device.id);
                    (None, Some(&device.user))
                }
                Change::PutContact(contact) => (None, Some(&contact.user)),
                Change::Block { user, .. } | Change::PutCard { user, .. } => (None, Some(user)),
                Change::PutSignInTokens(tokens) => (None, Some(&tokens.user)),
                Change::PutGrant(grant) => (None, Some(&grant.user)),
                Change::PutSession(session) if !session.data.is_empty() => {
                    (None, Some(&session.user))
                }
                Change::PutDoor(door) => (Some(&door.id.device), None),
                Change::Enqueue { device, .. }
                | Change::GoOver { device, .. }
                | Change::AdoptQueue { device, .. } => (Some(device), None),
                Change::Owe(push) => (Some(&push.device), None),
                _ => (None, None),
            };
            let kept = &self.kept;
            let there = device.is_none_or(|it| new.contains(it) || kept.devices.contains_key(it));
            if !there || user.is_some_and(|it| !users.contains(it) && !kept.users.contains_key(it))
            {
                return Err(NotDone::Missing);
            }
        }
        for change in changes {
            self.kept.apply(change);
        }
        Ok(())
    }

    /// How many messages wait.
    pub(crate) fn queued(&self) -> u64 {
        let (queues, unclaimed) = (self.kept.queues.values(), self.kept.unclaimed.values());
        queues.chain(unclaimed).map(|it| it.len() as u64).sum()
    }

    /// The head of a device's queue.
    pub(crate) fn head(&mut self, device: &DeviceId) -> Vec<Arc<Message>> {
        self.asked.1 += 1;
        let queue = self.kept.queues.get(device).into_iter().flatten();
        let head = queue.take(domain::delivery::BATCH);
        head.map(|id| self.kept.archive[id].clone()).collect()
    }

    /// What of that somebody is still to read.
    pub(crate) fn unread(&self, device: &DeviceId, message: Option<&MessageId>) -> Unread {
        let kept = &self.kept;
        let writer = message.and_then(|id| kept.archive.get(id));
        let queue = kept.queues.get(device).into_iter().flatten();
        let unread = queue.filter(|id| !kept.read.contains(*id));
        let unread = unread.map(|id| &kept.archive[id]);
        let mut counts = Unread::default();
        for message in unread.filter(|it| it.class == Class::Chat) {
            counts.all += 1;
            counts.of_writer += u32::from(writer.is_some_and(|it| it.from == message.from));
        }
        counts
    }

    /// Whom a user knows.
    pub(crate) fn roster(&self, user: &Address) -> Vec<Contact> {
        let of = self.kept.rosters.values().filter(|it| it.user == *user);
        of.cloned().collect()
    }

    /// Everything, as it is read at start.
    pub(crate) fn records(&self) -> Vec<Record> {
        let kept = &self.kept;
        let mut records: Vec<Record> = kept.users.values().cloned().map(Record::User).collect();
        let blocks = kept.blocks.iter().cloned();
        records.extend(blocks.map(|(user, peer)| Record::Blocked(user, peer)));
        let avatar = |(user, card): (&Address, &Card)| {
            let avatar = card.avatar?;
            Some(Record::Avatar(user.clone(), avatar))
        };
        records.extend(kept.cards.iter().filter_map(avatar));
        records.extend(kept.sessions.values().cloned().map(Record::Session));
        let mut owed: HashMap<_, Vec<_>> = HashMap::new();
        for push in kept.owed.values() {
            owed.entry(&push.device).or_default().push(push);
        }
        for (id, device) in &kept.devices {
            records.push(Record::Device(device.clone()));
            let number = |number| DoorId {
                device: id.clone(),
                number,
            };
            let doors = kept.doors.range(number(0)..=number(u32::MAX));
            records.extend(doors.map(|(_, door)| Record::Door(door.clone())));
            if let Some(queue) = kept.queues.get(id) {
                records.push(Record::Queued(id.clone(), queue.len() as u64));
            }
            if let Some(over) = kept.over.get(id).filter(|it| !it.is_empty()) {
                records.push(Record::Over(id.clone(), over.len() as u64));
            }
            let owed = owed.remove(id).unwrap_or_default().into_iter();
            records.extend(owed.cloned().map(Record::Owed));
        }
        for (user, queue) in &kept.unclaimed {
            records.push(Record::Unclaimed(user.clone(), queue.len() as u64));
        }
        records
    }
}

impl Kept {
    fn apply(&mut self, change: Change) {
        match change {
            Change::PutUser(user) => drop(self.users.insert(user.address.clone(), *user)),
            Change::RemoveUser(user) => self.forget_user(&user),
            Change::PutContact(contact) => {
                let key = (contact.user.clone(), contact.peer.clone());
                self.rosters.insert(key, *contact);
            }
            Change::RemoveContact { user, peer } => drop(self.rosters.remove(&(user, peer))),
            Change::Block { user, peer } => drop(self.blocks.insert((user, peer))),
            Change::Unblock { user, peer } => drop(self.blocks.remove(&(user, peer))),
            Change::PutCard { user, card } => drop(self.cards.insert(user, *card)),
            // No API is here.
            Change::PutGrant(_) | Change::RemoveGrant(..) => {}
            Change::PutSignInTokens(tokens) => {
                let key = (tokens.user.clone(), tokens.client.clone());
                self.sign_in_tokens.insert(key, *tokens);
            }
            Change::PutSession(session) => {
                let key = (session.user.clone(), session.name.clone());
                self.sessions.remove(&key);
                if !session.data.is_empty() {
                    self.sessions.insert(key, *session);
                }
            }
            Change::Invite(it) => drop(self.invitations.insert(it.token.clone(), *it)),
            Change::Redeem(token) => drop(self.invitations.remove(&token)),
            Change::PutDevice(device) => {
                self.devices.insert(device.id.clone(), *device);
            }
            Change::RemoveDevice(device) => self.forget(&device),
            Change::PutDoor(door) => {
                self.doors.insert(door.id.clone(), *door);
            }
            Change::RemoveDoor(door) => drop(self.doors.remove(&door)),
            Change::Archive(message) => {
                if !self.archive.contains_key(&message.id) {
                    self.came.push(message.id.clone());
                    self.archive.insert(message.id.clone(), message);
                }
            }
            Change::Enqueue { device, message } => {
                queue(self.queues.entry(device).or_default(), message);
            }
            Change::GoOver { device, message } => {
                self.over.entry(device).or_default().push(message);
            }
            Change::Refill { device, most } => {
                let over = self.over.entry(device.clone()).or_default();
                let most = over.len().min(usize::try_from(most).unwrap());
                let next: Vec<_> = over.drain(..most).collect();
                self.queues.entry(device).or_default().extend(next);
            }
            Change::EnqueueForUser { user, message } => {
                queue(self.unclaimed.entry(user).or_default(), message);
            }
            Change::AdoptQueue { user, device } => {
                let adopted = self.unclaimed.remove(&user).unwrap_or_default();
                let ours = self.queues.entry(device).or_default();
                for message in adopted {
                    queue(ours, message);
                }
            }
            Change::ReturnQueue(device) => {
                let returned = self.queues.remove(&device).unwrap_or_default();
                if let Some(user) = self.devices.get(&device).map(|it| it.user.clone()) {
                    self.unclaimed.entry(user).or_default().extend(returned);
                }
            }
            Change::Delivered { device, message } => {
                let queue = self.queues.entry(device).or_default();
                queue.retain(|it| *it != message);
            }
            Change::Read {
                user,
                writer,
                up_to,
            } => self.mark_read(&user, &writer, &up_to),
            Change::Owe(push) => {
                self.owed.insert(push.id.clone(), *push);
            }
            Change::Settle(id) => drop(self.owed.remove(&id)),
            Change::PutTenant(_)
            | Change::RemoveTenant(_)
            | Change::PutPushApp(_)
            | Change::RemovePushApp(_)
            | Change::QueuePush(_)
            | Change::SettlePush(_) => unreachable!("the push service is no shard's"),
        }
    }

    fn forget_user(&mut self, user: &Address) {
        self.users.remove(user);
        self.unclaimed.remove(user);
        self.rosters.retain(|(of, _), _| of != user);
        self.blocks.retain(|(of, _)| of != user);
        self.cards.remove(user);
        self.sessions.retain(|(of, _), _| of != user);
        let devices = self.devices.values().filter(|it| it.user == *user);
        let devices: Vec<_> = devices.map(|it| it.id.clone()).collect();
        for device in &devices {
            self.forget(device);
        }
    }

    fn mark_read(&mut self, user: &Address, writer: &str, up_to: &MessageId) {
        let Some(last) = self.came.iter().position(|it| it == up_to) else {
            return;
        };
        let came = self.came.iter().take(last + 1).map(|id| &self.archive[id]);
        let theirs = came.filter(|it| it.to == *user && it.from == writer);
        self.read.extend(theirs.map(|it| it.id.clone()));
    }

    fn forget(&mut self, device: &DeviceId) {
        self.devices.remove(device);
        self.queues.remove(device);
        self.over.remove(device);
        self.doors.retain(|id, _| id.device != *device);
        self.owed.retain(|_, owed| owed.device != *device);
    }
}

fn queue(queue: &mut Vec<MessageId>, message: MessageId) {
    if !queue.contains(&message) {
        queue.push(message);
    }
}
