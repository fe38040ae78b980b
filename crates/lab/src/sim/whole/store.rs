//! What the store keeps, as a plain model: what is in it survives every restart of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::push::OwedPush;
use domain::roster::Contact;
use domain::{
    Address, ArchivePage, ArchiveQuery, Card, Change, Class, Device, DeviceId, Door, KeptSession,
    Message, MessageId, NotificationId, Record, Timestamp, Unread, User,
};

/// Everything that was committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    pub(super) users: BTreeMap<Address, User>,
    pub(super) rosters: BTreeMap<(Address, Address), Contact>,
    blocks: BTreeSet<(Address, Box<str>)>,
    pub(super) cards: BTreeMap<Address, Card>,
    sessions: BTreeMap<(Address, String), KeptSession>,
    pub(super) devices: BTreeMap<DeviceId, Device>,
    pub(super) doors: BTreeMap<(DeviceId, u32), Door>,
    pub(super) owed: BTreeMap<NotificationId, OwedPush>,
    /// The archive, in the order of arrival.
    pub(super) archive: Vec<Arc<Message>>,
    numbers: BTreeMap<MessageId, usize>,
    /// What each says, and where it stands, the first of those that say the same.
    texts: BTreeMap<String, usize>,
    /// Which stanza each is, by its `id`.
    stanzas: BTreeMap<String, usize>,
    /// Devices in whose queues each was, with those from which it went back to its user.
    ever_queued: BTreeMap<usize, BTreeSet<DeviceId>>,
    /// How often a device was given back what waited for it already, since the server began.
    pub(super) twice: BTreeMap<DeviceId, u64>,
    /// What a device was given of another one that is gone, and had been given before.
    again: BTreeSet<(DeviceId, usize)>,
    /// What it was given of one that is gone, behind what came later and it had in its queue before: there it comes out of order.
    late: BTreeSet<(DeviceId, usize)>,
    /// What was read by whom it is for.
    read: BTreeSet<usize>,
    /// Each time that somebody had read something.
    pub(super) reads: Vec<Read>,
    queues: BTreeSet<(DeviceId, usize)>,
    /// How much of what waited for its user each device was given, beside what may wait for it.
    pub(super) adopted: BTreeMap<DeviceId, u64>,
    /// Messages that went over since a queue was full.
    over: BTreeSet<(DeviceId, usize)>,
    unclaimed: BTreeSet<(Address, usize)>,
    /// What went from a queue because its device or its user went.
    pub(super) dropped: BTreeSet<MessageId>,
}

/// Somebody has read what a writer wrote, up to a message.
#[derive(Clone, Debug)]
pub(super) struct Read {
    user: Address,
    writer: Box<str>,
    pub(super) up_to: MessageId,
}

impl Read {
    /// The name of the conversation.
    pub(super) fn conversation(&self) -> String {
        super::setting::conversation(&self.writer, &self.user)
    }
}

/// What a message says, whichever protocol it came by.
pub(super) fn text(message: &Message) -> Option<String> {
    if message.content_type == im::STANZA {
        return im::text(message);
    }
    Some(String::from_utf8_lossy(&message.body).into_owned())
}

/// The `id` of the stanza that a message is.
fn stanza(message: &Message) -> Option<String> {
    if message.content_type != im::STANZA {
        return None;
    }
    let read = xmpp::xml::document(&message.body, &xmpp::xml::Limits::default()).ok()?;
    read.attr("id").map(str::to_owned)
}

/// Whatever a change is about is not there.
#[derive(Debug)]
pub(super) struct Missing;

impl Store {
    /// All of a step's changes, or none.
    pub(super) fn step(&mut self, changes: Vec<Change>) -> Result<(), Missing> {
        let before = self.clone();
        let done = changes.into_iter().try_for_each(|it| self.apply(it));
        if done.is_err() {
            *self = before;
        }
        done
    }

    /// Whom a user knows, by address.
    pub(super) fn roster(&self, user: &Address) -> impl Iterator<Item = &Contact> {
        let of = self.rosters.iter().filter(move |((it, _), _)| it == user);
        of.map(|(_, contact)| contact)
    }

    fn apply(&mut self, change: Change) -> Result<(), Missing> {
        match change {
            Change::PutUser(user) => drop(self.users.insert(user.address.clone(), *user)),
            Change::RemoveUser(user) => self.remove_user(&user),
            Change::PutContact(contact) => {
                self.users.get(&contact.user).ok_or(Missing)?;
                self.rosters
                    .insert((contact.user.clone(), contact.peer.clone()), *contact);
            }
            Change::RemoveContact { user, peer } => drop(self.rosters.remove(&(user, peer))),
            Change::Block { user, peer } => {
                self.users.get(&user).ok_or(Missing)?;
                self.blocks.insert((user, peer));
            }
            Change::Unblock { user, peer } => drop(self.blocks.remove(&(user, peer))),
            // Nobody is invited there, nor hands in pushes for others.
            Change::Invite(_)
            | Change::Redeem(_)
            | Change::PutTenant(_)
            | Change::RemoveTenant(_)
            | Change::PutPushApp(_)
            | Change::RemovePushApp(_)
            | Change::QueuePush(_)
            | Change::SettlePush(_) => return Err(Missing),
            Change::PutCard { user, card } => {
                self.users.get(&user).ok_or(Missing)?;
                self.cards.insert(user, *card);
            }
            // Nobody here signs in by tokens.
            Change::PutGrant(_) | Change::RemoveGrant(..) | Change::PutSignInTokens(_) => {}
            Change::PutSession(session) => self.put_session(*session)?,
            Change::PutDevice(device) => self.put_device(*device)?,
            Change::RemoveDevice(device) => self.remove(&device),
            Change::PutDoor(door) => {
                self.devices.get(&door.id.device).ok_or(Missing)?;
                let key = (door.id.device.clone(), door.id.number);
                self.doors.insert(key, *door);
            }
            Change::RemoveDoor(it) => drop(self.doors.remove(&(it.device, it.number))),
            Change::Archive(message) => {
                if !self.numbers.contains_key(&message.id) {
                    self.archive(message);
                }
            }
            Change::Enqueue { device, message } => self.enqueue(device, &message)?,
            Change::GoOver { device, message } => self.go_over(device, &message)?,
            Change::Refill { device, most } => self.refill(&device, most),
            Change::EnqueueForUser { user, message } => {
                let number = *self.numbers.get(&message).ok_or(Missing)?;
                self.users.get(&user).ok_or(Missing)?;
                self.unclaimed.insert((user, number));
            }
            Change::ReturnQueue(device) => self.return_queue(&device),
            Change::AdoptQueue { user, device } => self.adopt(&user, &device)?,
            Change::Delivered { device, message } => {
                if let Some(number) = self.numbers.get(&message) {
                    self.queues.remove(&(device, *number));
                }
            }
            Change::Read {
                user,
                writer,
                up_to,
            } => self.mark_read(user, writer, up_to),
            Change::Owe(push) => {
                self.devices.get(&push.device).ok_or(Missing)?;
                self.owed.insert(push.id.clone(), *push);
            }
            Change::Settle(id) => drop(self.owed.remove(&id)),
        }
        Ok(())
    }

    fn enqueue(&mut self, device: DeviceId, message: &MessageId) -> Result<(), Missing> {
        let number = *self.numbers.get(message).ok_or(Missing)?;
        self.devices.get(&device).ok_or(Missing)?;
        let ever = self.ever_queued.entry(number).or_default();
        ever.insert(device.clone());
        self.queues.insert((device, number));
        Ok(())
    }

    fn go_over(&mut self, device: DeviceId, message: &MessageId) -> Result<(), Missing> {
        let number = *self.numbers.get(message).ok_or(Missing)?;
        self.devices.get(&device).ok_or(Missing)?;
        self.over.insert((device, number));
        Ok(())
    }

    /// The next ones wait in the queue again.
    fn refill(&mut self, device: &DeviceId, most: u64) {
        let theirs = self.over.iter().filter(|(of, _)| of == device);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let next: Vec<_> = theirs.take(most).cloned().collect();
        for (device, number) in next {
            self.over.remove(&(device.clone(), number));
            let ever = self.ever_queued.entry(number).or_default();
            ever.insert(device.clone());
            self.queues.insert((device, number));
        }
    }

    /// How many messages of a device went over.
    pub(super) fn over(&self, device: &DeviceId) -> u64 {
        self.over.iter().filter(|(of, _)| of == device).count() as u64
    }

    fn put_session(&mut self, session: KeptSession) -> Result<(), Missing> {
        let key = (session.user.clone(), session.name.clone());
        self.sessions.remove(&key);
        if !session.data.is_empty() {
            self.users.get(&session.user).ok_or(Missing)?;
            self.sessions.insert(key, session);
        }
        Ok(())
    }

    fn remove_user(&mut self, user: &Address) {
        let theirs = self.devices.values().filter(|it| it.user == *user);
        let theirs: Vec<_> = theirs.map(|it| it.id.clone()).collect();
        for device in &theirs {
            self.remove(device);
        }
        self.users.remove(user);
        self.rosters.retain(|(of, _), _| of != user);
        self.blocks.retain(|(of, _)| of != user);
        self.cards.remove(user);
        self.sessions.retain(|(of, _), _| of != user);
        let theirs = self.unclaimed.extract_if(.., |(of, _)| of == user);
        let theirs: Vec<_> = theirs.map(|(_, number)| number).collect();
        self.drop_messages(&theirs);
    }

    fn put_device(&mut self, device: Device) -> Result<(), Missing> {
        self.users.get(&device.user).ok_or(Missing)?;
        self.devices.insert(device.id.clone(), device);
        Ok(())
    }

    fn archive(&mut self, message: Arc<Message>) {
        let number = self.archive.len();
        self.numbers.insert(message.id.clone(), number);
        if let Some(text) = text(&message) {
            self.texts.entry(text).or_insert(number);
        }
        if let Some(stanza) = stanza(&message) {
            self.stanzas.entry(stanza).or_insert(number);
        }
        self.archive.push(message);
    }

    fn adopt(&mut self, user: &Address, device: &DeviceId) -> Result<(), Missing> {
        let (theirs, others) = std::mem::take(&mut self.unclaimed)
            .into_iter()
            .partition::<BTreeSet<_>, _>(|(of, _)| of == user);
        self.unclaimed = others;
        if !theirs.is_empty() {
            self.devices.get(device).ok_or(Missing)?;
        }
        let adopted = self.adopted.entry(device.clone()).or_default();
        *adopted += theirs.len() as u64;
        let had = self.ever_queued.iter().rev();
        let mut had = had.filter(|(_, devices)| devices.contains(device));
        let latest = had.next().map(|(number, _)| *number);
        for (_, number) in theirs {
            if latest.is_some_and(|latest| number < latest) {
                self.late.insert((device.clone(), number));
            }
            let ever = self.ever_queued.entry(number).or_default();
            let is_new = ever.insert(device.clone());
            if !self.queues.insert((device.clone(), number)) {
                *self.twice.entry(device.clone()).or_default() += 1;
            }
            if !is_new {
                self.again.insert((device.clone(), number));
            }
        }
        Ok(())
    }

    fn return_queue(&mut self, device: &DeviceId) {
        let Some(user) = self.devices.get(device).map(|it| it.user.clone()) else {
            return;
        };
        let theirs = self.queues.extract_if(.., |(of, _)| of == device);
        for (_, number) in theirs {
            if let Some(ever) = self.ever_queued.get_mut(&number) {
                ever.remove(device);
            }
            self.unclaimed.insert((user.clone(), number));
        }
    }

    fn mark_read(&mut self, user: Address, writer: Box<str>, up_to: MessageId) {
        if let Some(last) = self.numbers.get(&up_to) {
            let archive = self.archive.iter().enumerate().take(last + 1);
            let theirs = archive.filter(|(_, it)| it.to == user && it.from == *writer);
            self.read.extend(theirs.map(|(number, _)| number));
            self.reads.push(Read {
                user,
                writer,
                up_to,
            });
        }
    }

    /// Whether a message came to a device behind later ones, since another device had left it.
    pub(super) fn is_late(&self, device: &DeviceId, number: usize) -> bool {
        self.late.contains(&(device.clone(), number))
    }

    /// Whether a message waits or waited for a device: what its client reads in the archive beside that comes when that is read.
    pub(super) fn is_for(&self, device: &DeviceId, number: usize) -> bool {
        self.meant(number).any(|it| it == device)
    }

    /// Whether a device was given a message again, which another one that is gone had not got.
    pub(super) fn is_given_again(&self, device: &DeviceId, message: &str) -> bool {
        let number = self.numbers.get(&MessageId::from(message));
        number.is_some_and(|number| self.again.contains(&(device.clone(), *number)))
    }

    /// What waits for a device and somebody is still to read.
    pub(super) fn unread(&self, device: &DeviceId, message: Option<&MessageId>) -> Unread {
        let writer = message.and_then(|id| self.numbers.get(id));
        let writer = writer.and_then(|number| self.archive.get(*number));
        let theirs = self
            .queues
            .range((device.clone(), 0)..=(device.clone(), usize::MAX));
        let unread = theirs.filter(|(_, number)| !self.read.contains(number));
        let unread = unread.filter_map(|(_, number)| self.archive.get(*number));
        let mut counts = Unread::default();
        for message in unread.filter(|it| it.class == Class::Chat) {
            counts.all += 1;
            counts.of_writer += u32::from(writer.is_some_and(|it| it.from == message.from));
        }
        counts
    }

    fn remove(&mut self, device: &DeviceId) {
        self.devices.remove(device);
        self.twice.remove(device);
        self.doors.retain(|(of, _), _| of != device);
        let theirs = self.queues.extract_if(.., |(of, _)| of == device);
        let mut theirs: Vec<_> = theirs.map(|(_, number)| number).collect();
        let over = self.over.extract_if(.., |(of, _)| of == device);
        theirs.extend(over.map(|(_, number)| number));
        self.adopted.remove(device);
        self.drop_messages(&theirs);
        self.owed.retain(|_, push| push.device != *device);
    }

    fn drop_messages(&mut self, numbers: &[usize]) {
        let messages = numbers.iter().filter_map(|it| self.archive.get(*it));
        self.dropped.extend(messages.map(|it| it.id.clone()));
    }

    /// Whether whom a message is for has written to its writer since.
    pub(super) fn is_answered(&self, message: &MessageId) -> bool {
        let Some((number, asked)) = self
            .numbers
            .get(message)
            .and_then(|number| Some((number, self.archive.get(*number)?)))
        else {
            return false;
        };
        let mut later = self.archive.iter().skip(*number);
        later.any(|it| it.from == asked.to.as_str() && it.to.as_str() == asked.from)
    }

    /// Where a text stands in the archive.
    pub(super) fn number_of(&self, text: &str) -> Option<usize> {
        self.texts.get(text).copied()
    }

    /// The text that was written as the stanza of this `id`, with its place.
    pub(super) fn text_of_stanza(&self, id: &str) -> Option<(usize, String)> {
        let number = *self.stanzas.get(id)?;
        Some((number, text(self.archive.get(number)?)?))
    }

    /// Whether a message waits in any queue, or behind one that is full.
    pub(super) fn is_queued(&self, number: usize) -> bool {
        let users = self.unclaimed.iter().map(|(_, it)| it);
        let devices = self.queues.iter().chain(&self.over).map(|(_, it)| it);
        let mut all = devices.chain(users);
        all.any(|it| *it == number)
    }

    /// The devices that were to get a message, and have not gone before they had it.
    pub(super) fn meant(&self, number: usize) -> impl Iterator<Item = &DeviceId> {
        self.ever_queued.get(&number).into_iter().flatten()
    }

    /// A page of a user's archive (XEP-0313).
    pub(super) fn page(&self, user: &Address, query: &ArchiveQuery) -> Option<ArchivePage> {
        let is_theirs = |message: &&Arc<Message>| {
            let mut of = domain::archive::sides(&message.from, &message.to);
            of.any(|(owner, _)| owner == *user)
        };
        let theirs: Vec<_> = self.archive.iter().filter(is_theirs).cloned().collect();
        query.page(user, &theirs)
    }

    /// Whether a message waits for a user of whom no device is known.
    pub(super) fn is_unclaimed(&self, message: &MessageId) -> bool {
        let number = self.numbers.get(message);
        let mut all = self.unclaimed.iter();
        number.is_some_and(|number| all.any(|(_, it)| it == number))
    }

    /// The messages that wait for a device.
    pub(super) fn queue(&self, device: &DeviceId) -> impl Iterator<Item = &Arc<Message>> {
        let all = (device.clone(), 0)..=(device.clone(), usize::MAX);
        let numbers = self.queues.range(all).map(|(_, number)| *number);
        numbers.filter_map(|number| self.archive.get(number))
    }

    /// The numbers of a device's doors, with their ends.
    pub(super) fn doors_of(&self, device: &DeviceId) -> Vec<(u32, Timestamp)> {
        let theirs = self.doors.values().filter(|it| it.id.device == *device);
        theirs.map(|it| (it.id.number, it.expires_at)).collect()
    }

    /// Whether a door of a device leads to this place.
    pub(super) fn has_door_to(&self, device: &DeviceId, place: &[u8]) -> bool {
        let mut theirs = self.doors.values().filter(|it| it.id.device == *device);
        theirs.any(|door| door.data.windows(place.len()).any(|it| it == place))
    }

    /// How many messages wait for a user without a device.
    pub(super) fn unclaimed(&self, user: &Address) -> u64 {
        self.unclaimed.iter().filter(|(of, _)| of == user).count() as u64
    }

    /// What a start reads, each record with the user whom it is about; accounts are for all.
    pub(super) fn records(&self) -> Vec<(Option<Address>, Record)> {
        let users = self
            .users
            .values()
            .map(|it| (None, Record::User(it.clone())));
        let mut records: Vec<_> = users.collect();
        let blocks = self.blocks.iter().cloned();
        records.extend(blocks.map(|(user, peer)| (None, Record::Blocked(user, peer))));
        let avatar = |(user, card): (&Address, &Card)| {
            let avatar = Record::Avatar(user.clone(), card.avatar?);
            Some((None, avatar))
        };
        records.extend(self.cards.iter().filter_map(avatar));
        for session in self.sessions.values() {
            let user = Some(session.user.clone());
            records.push((user, Record::Session(session.clone())));
        }
        for device in self.devices.values() {
            let mut of_device = vec![Record::Device(device.clone())];
            let doors = self.doors.values().filter(|it| it.id.device == device.id);
            of_device.extend(doors.cloned().map(Record::Door));
            let waiting = self.queue(&device.id).count() as u64;
            if waiting > 0 {
                of_device.push(Record::Queued(device.id.clone(), waiting));
            }
            let over = self.over(&device.id);
            if over > 0 {
                of_device.push(Record::Over(device.id.clone(), over));
            }
            let owed = self.owed.values().filter(|it| it.device == device.id);
            of_device.extend(owed.cloned().map(Record::Owed));
            let user = Some(device.user.clone());
            records.extend(of_device.into_iter().map(|it| (user.clone(), it)));
        }
        for user in self.users.keys() {
            let waiting = self.unclaimed(user);
            if waiting > 0 {
                let unclaimed = Record::Unclaimed(user.clone(), waiting);
                records.push((Some(user.clone()), unclaimed));
            }
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, to: &Address) -> Arc<Message> {
        Arc::new(Message {
            id: id.into(),
            tracking: id.into(),
            from: "alice@sim.example".to_owned(),
            from_name: String::new(),
            to: to.clone(),
            at: domain::Timestamp(0),
            class: domain::Class::Chat,
            content_type: "text/plain".to_owned(),
            body: bytes::Bytes::from_static(b"x"),
            about: None,
        })
    }

    /// Seed 2866 of 29 November 2026: a session that ended left a text to a device that had had later ones.
    #[test]
    fn what_a_device_is_left_behind_later_messages_is_late_there() {
        let bob: Address = "bob@sim.example".parse().unwrap();
        let mut store = Store::default();
        let user = crate::sim::whole::setting::user("bob").unwrap();
        let message = |id: &str| message(id, &bob);
        let device = |id: &str| {
            let device = Device::new(id.into(), bob.clone(), domain::Timestamp(0));
            Change::PutDevice(Box::new(device))
        };
        let enqueue = |device: &str, message: &str| Change::Enqueue {
            device: device.into(),
            message: message.into(),
        };
        let before = vec![
            Change::PutUser(Box::new(user)),
            device("gone"),
            Change::Archive(message("m1")),
            enqueue("gone", "m1"),
            device("here"),
            Change::Archive(message("m2")),
            enqueue("here", "m2"),
            Change::Archive(message("m3")),
            enqueue("gone", "m3"),
        ];
        store.step(before).unwrap();
        let left = vec![
            Change::ReturnQueue("gone".into()),
            Change::AdoptQueue {
                user: bob.clone(),
                device: "here".into(),
            },
        ];
        store.step(left).unwrap();
        let here = "here".into();
        assert!(store.is_late(&here, 0));
        assert!(!store.is_late(&here, 1) && !store.is_late(&here, 2));
    }

    /// Seed 1759 of 29 November 2026: a client read in the archive what had come to another device before it was one.
    #[test]
    fn what_another_device_alone_was_given_is_for_that_one() {
        let bob: Address = "bob@sim.example".parse().unwrap();
        let mut store = Store::default();
        let user = crate::sim::whole::setting::user("bob").unwrap();
        let device = |id: &str| {
            let device = Device::new(id.into(), bob.clone(), domain::Timestamp(0));
            Change::PutDevice(Box::new(device))
        };
        let message = message("m1", &bob);
        let steps = vec![
            Change::PutUser(Box::new(user)),
            device("first"),
            Change::Archive(message),
            Change::Enqueue {
                device: "first".into(),
                message: "m1".into(),
            },
            device("second"),
            Change::Delivered {
                device: "first".into(),
                message: "m1".into(),
            },
        ];
        store.step(steps).unwrap();
        assert!(store.is_for(&"first".into(), 0) && !store.is_for(&"second".into(), 0));
    }
}
