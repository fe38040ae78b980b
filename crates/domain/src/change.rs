//! What the store is asked to change. A step's changes are saved in one transaction, effects owed included, before
//! anybody is told that it was done.

use crate::{
    Address, Device, DeviceId, Message, MessageId, NotificationId, TraceEvent, User, push::OwedPush,
};

/// One change. All changes of one step stand or fall together.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Create or replace an account.
    PutUser(User),
    /// Remove an account with its devices, its queues and what is owed to them.
    RemoveUser(Address),
    /// Create or replace a device.
    PutDevice(Box<Device>),
    /// Remove a device, its queue, its history and what is owed to it.
    RemoveDevice(DeviceId),
    /// A line in a device's history.
    History(HistoryEntry),
    /// Keep a message (the archive). The same id again is ignored.
    Archive(Message),
    /// Queue an archived message for a device, at the end. Twice the same is once.
    Enqueue {
        /// For which device.
        device: DeviceId,
        /// Which message.
        message: MessageId,
    },
    /// Queue an archived message for a user of whom no device is known; the first that registers takes it.
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
    /// The device has the message: take it out of its queue.
    Delivered {
        /// Which device.
        device: DeviceId,
        /// Which message.
        message: MessageId,
    },
    /// A push is owed (again, later: same id).
    Owe(OwedPush),
    /// A push is no longer owed.
    Settle(NotificationId),
    /// A step of a story.
    Trace(TraceEvent),
}

/// A line in a device's history: what an operator wants to know when it stays silent.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HistoryEntry {
    /// Which device.
    pub device: DeviceId,
    /// When.
    pub at: crate::Timestamp,
    /// What happened, in words.
    pub what: String,
}
