//! What the store is asked to keep. A step's changes are saved in one transaction, effects owed included, before
//! anybody is told that it was done. Notes are kept when there is room, and nobody waits for them.

use crate::{
    Address, AppId, Avatar, Card, Device, DeviceId, Door, DoorId, Grant, Invitation, KeptSession,
    Message, MessageId, NotificationId, QueuedPush, SealedApp, SettledPush, SignInTokens, Tenant,
    TenantId, Timestamp, TraceEvent, User, push::OwedPush, roster::Contact,
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
    /// A user blocks an address.
    Block {
        /// Who.
        user: Address,
        /// Which, as [`Blocks`](crate::Blocks) has it.
        peer: Box<str>,
    },
    /// A user does not block it any more.
    Unblock {
        /// Who.
        user: Address,
        /// Which.
        peer: Box<str>,
    },
    /// Create or replace what a user says of themselves.
    PutCard {
        /// Whose.
        user: Address,
        /// What.
        card: Box<Card>,
    },
    /// Create, replace or remove what an installation of a user's client signs in with. A user has as many as the store
    /// says; one more takes the place of the one that was kept longest ago.
    PutSignInTokens(Box<SignInTokens>),
    /// Create or replace what a client gets tokens by. A user has as many as the store says; one more takes the place of the one that
    /// was used longest ago.
    PutGrant(Box<Grant>),
    /// A client gets no more tokens by this grant of a user's.
    RemoveGrant(Address, String),
    /// Create, replace or remove a session whose client has no connection.
    PutSession(Box<KeptSession>),
    /// Somebody is invited.
    Invite(Box<Invitation>),
    /// An invitation is used up; there must be one of that name.
    Redeem(Box<str>),
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
    /// An archived message is not queued for a device, since as many wait for it as may: it, and what comes behind it, is taken
    /// from the archive when there is room ([`Change::Refill`]).
    GoOver {
        /// For which device.
        device: DeviceId,
        /// Which message.
        message: MessageId,
    },
    /// Of what went over, the next messages in the order of the archive wait for the device again.
    Refill {
        /// For which device.
        device: DeviceId,
        /// So many at most.
        most: u64,
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
    /// A user has read what somebody wrote, up to this message: what of it still waits for the user's devices does not count
    /// as [`Unread`](crate::Unread) any more.
    Read {
        /// Who read.
        user: Address,
        /// Who wrote, as [`Message::from`] has it.
        writer: Box<str>,
        /// The last that was read.
        up_to: MessageId,
    },
    /// A push is owed (again, later: same id).
    Owe(Box<OwedPush>),
    /// A push is no longer owed.
    Settle(NotificationId),
    /// Create or replace a tenant of the push service.
    PutTenant(Box<Tenant>),
    /// Remove one, with its queue and what became of it.
    RemoveTenant(TenantId),
    /// Create or replace an app whose credentials are kept.
    PutPushApp(Box<SealedApp>),
    /// Remove one; nothing of it is left.
    RemovePushApp(AppId),
    /// The push service has promised to deliver this (again, later: same tenant and id).
    QueuePush(Box<QueuedPush>),
    /// It is delivered, or will not be: it leaves the queue, and what became of it can be read.
    SettlePush(Box<SettledPush>),
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
    /// An address that a user has blocked; the user came before.
    Blocked(Address, Box<str>),
    /// Which image is on a user's card; the user came before.
    Avatar(Address, Avatar),
    /// A session whose client may come back; its user came before.
    Session(KeptSession),
    /// A device.
    Device(Device),
    /// A door; its device came before it.
    Door(Door),
    /// So many messages wait for a device; it came before.
    Queued(DeviceId, u64),
    /// So many messages went over for a device; it came before.
    Over(DeviceId, u64),
    /// So many messages wait for a user of whom no device is known.
    Unclaimed(Address, u64),
    /// A push is owed; its device came before it.
    Owed(OwedPush),
}
