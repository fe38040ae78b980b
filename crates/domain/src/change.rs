//! What the store is asked to keep. A step's changes are saved in one transaction, effects owed included, before
//! anybody is told that it was done. Notes are kept when there is room, and nobody waits for them.

use crate::{
    Address, Device, DeviceId, Door, DoorId, Message, MessageId, NotificationId, Timestamp,
    TraceEvent, User, push::OwedPush, roster::Contact,
};
use std::sync::Arc;

/// One change. All changes of one step stand or fall together.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Create or replace an account.
    PutUser(Box<User>),
    /// Remove an account with its devices, its queues and what is owed to them.
    RemoveUser(Address),
    /// Create or replace somebody in a user's roster.
    PutContact(Box<Contact>),
    /// Remove them from it.
    RemoveContact {
        /// Whose roster.
        user: Address,
        /// Whom.
        peer: Address,
    },
    /// Create or replace a device; its doors stay as they are.
    PutDevice(Box<Device>),
    /// Remove a device, its doors, its queue, its history and what is owed to it.
    RemoveDevice(DeviceId),
    /// Create or replace a door of a device.
    PutDoor(Box<Door>),
    /// Remove a door.
    RemoveDoor(DoorId),
    /// Keep a message (the archive). The same id again is ignored.
    Archive(Arc<Message>),
    /// Queue an archived message for a device, at the end. Twice the same is once.
    Enqueue {
        /// For which device.
        device: DeviceId,
        /// Which message.
        message: MessageId,
    },
    /// Queue an archived message for a user of whom no device is known; the first that is takes it.
    EnqueueForUser {
        /// For whom.
        user: Address,
        /// Which message.
        message: MessageId,
    },
    /// Everything queued for the user now waits for this device.
    AdoptQueue {
        /// Whose.
        user: Address,
        /// Which device.
        device: DeviceId,
    },
    /// Everything queued for the device now waits for its user.
    ReturnQueue(DeviceId),
    /// The device has the message: take it out of its queue.
    Delivered {
        /// Which device.
        device: DeviceId,
        /// Which message.
        message: MessageId,
    },
    /// A push is owed (again, later: same id).
    Owe(Box<OwedPush>),
    /// A push is no longer owed.
    Settle(NotificationId),
}

/// What is worth keeping, and not worth waiting for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// A step of a story.
    Story(TraceEvent),
    /// An entry in a device's history.
    History(HistoryEntry),
}

/// An entry in a device's history: what an operator wants to know when it stays silent.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HistoryEntry {
    /// Which device.
    pub device: DeviceId,
    /// When.
    pub at: Timestamp,
    /// What happened, in words.
    pub what: String,
}

/// One thing that the store has kept, as it is read at start.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// An account.
    User(User),
    /// A device.
    Device(Device),
    /// A door; its device came before it.
    Door(Door),
    /// So many messages wait for a device; it came before.
    Queued(DeviceId, u64),
    /// So many messages wait for a user of whom no device is known.
    Unclaimed(Address, u64),
    /// A push is owed; its device came before it.
    Owed(OwedPush),
}
