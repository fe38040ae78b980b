//! The trait that every backend implements, and what it answers with.

use crate::StoreError;
use domain::{
    Address, Change, Device, DeviceId, Message, MessageId, Timestamp, TraceEvent, TrackingId, User,
    change::HistoryEntry, push::OwedPush, trace::Step,
};
use std::{pin::Pin, time::Duration};

/// What a store answers with, later.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Where users, devices, messages, queues, owed pushes and traces live.
///
/// A call takes effect when it is made, not when its answer is polled: calls of one caller keep their order, and
/// dropping an answer takes nothing back. A read that starts after a commit was answered sees it. Reads never wait for
/// writes. A `limit` above [`limits::READ_ROWS`](crate::limits::READ_ROWS) counts as that.
pub trait Store: Send + Sync + 'static {
    /// Saves all changes of one step, or none of them. Answered when they survive `kill -9` and a power cut; what
    /// arrives while one commit runs goes into the next together. A change that speaks of something that does not exist
    /// fails its step, and its step alone ([`StoreError::Missing`]); removing what is not there is no failure. An empty
    /// step is answered when everything before it, notes included, is saved.
    fn commit(&self, changes: Vec<Change>) -> Answer<()>;

    /// Saves changes for which nobody waits (traces, history). Dropped and counted when the store has much to do or the
    /// changes fail.
    fn note(&self, changes: Vec<Change>);

    /// Everything that a server keeps in memory, as of one moment. For start-up, and after
    /// [`changed_elsewhere`](Self::changed_elsewhere).
    fn load(&self) -> Answer<Snapshot>;

    /// The account of an address.
    fn user(&self, address: &Address) -> Answer<Option<User>>;

    /// All accounts, by address.
    fn users(&self) -> Answer<Vec<User>>;

    /// A device.
    fn device(&self, id: &DeviceId) -> Answer<Option<Device>>;

    /// The devices of a user, or all of them, by id.
    fn devices(&self, user: Option<&Address>) -> Answer<Vec<Device>>;

    /// The history of a device, newest line first.
    fn history(&self, device: &DeviceId, limit: usize) -> Answer<Vec<HistoryEntry>>;

    /// The messages that wait for a device, in the order in which they were queued.
    fn queued(&self, device: &DeviceId, limit: usize) -> Answer<Vec<Message>>;

    /// How many messages wait for a device.
    fn queue_length(&self, device: &DeviceId) -> Answer<u64>;

    /// How many messages wait for a device, by who wrote them; who has waited longest comes first.
    fn unread(&self, device: &DeviceId) -> Answer<Vec<Unread>>;

    /// A message in the archive.
    fn message(&self, id: &MessageId) -> Answer<Option<Message>>;

    /// The newest messages from and to a user, newest first; with `before`, those that came before that message (none, if
    /// it is not in the archive).
    fn archive(
        &self,
        user: &Address,
        before: Option<&MessageId>,
        limit: usize,
    ) -> Answer<Vec<Message>>;

    /// The story of a tracking id, first step first. A call's own id finds it as well.
    fn trace(&self, id: &str) -> Answer<Vec<TraceEvent>>;

    /// The stories that began last, newest first.
    fn recent_traces(&self, limit: usize) -> Answer<Vec<Story>>;

    /// Retention: removes the stories that began before `before`, and the archived messages and lines of history that are
    /// older. A message that still waits for somebody stays. Works in small transactions while its answer is polled, so that
    /// commits get in between.
    fn prune(&self, before: Timestamp) -> Answer<Pruned>;

    /// Whether another process (the command line) has written to the database since this was asked last, or since the
    /// store was opened.
    fn changed_elsewhere(&self) -> Answer<bool>;

    /// How the store is doing, for metrics and alarms. Costs nothing.
    fn stats(&self) -> Stats;

    /// Ends the store: what was handed to it before is saved, everything after is answered with [`StoreError::Closed`].
    /// Dropping the store does the same without waiting.
    fn close(&self) -> Answer<()>;
}

/// What a server keeps in memory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Snapshot {
    /// All accounts, by address.
    pub users: Vec<User>,
    /// All devices, by id.
    pub devices: Vec<Device>,
    /// The pushes that are owed, those due first first.
    pub owed: Vec<OwedPush>,
    /// How many messages wait, for each device for which any do, by id.
    pub queues: Vec<(DeviceId, u64)>,
    /// How many messages wait for users of whom no device is known, by address.
    pub unclaimed: Vec<(Address, u64)>,
}

/// How many messages of one writer wait for a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unread {
    /// Who wrote them.
    pub from: String,
    /// How many.
    pub messages: u64,
}

/// A line in the list of stories.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Story {
    /// Whose story it is.
    pub tracking: TrackingId,
    /// When it began.
    pub began: Timestamp,
    /// How it began: the first step.
    pub first: Step,
    /// The first step in words.
    pub summary: String,
    /// How far it came: the last step.
    pub last: Step,
}

/// What retention removed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pruned {
    /// Stories.
    pub stories: u64,
    /// Archived messages.
    pub messages: u64,
    /// Lines of device history.
    pub history: u64,
}

impl std::ops::AddAssign for Pruned {
    fn add_assign(&mut self, more: Self) {
        self.stories += more.stories;
        self.messages += more.messages;
        self.history += more.history;
    }
}

/// How the store is doing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Steps that wait for the writer now; [`limits::WRITE_QUEUE`](crate::limits::WRITE_QUEUE) is the most.
    pub waiting: usize,
    /// Steps saved since the store was opened.
    pub steps: u64,
    /// Transactions in which they were saved.
    pub groups: u64,
    /// Steps that failed.
    pub failed: u64,
    /// Notes that were dropped.
    pub notes_dropped: u64,
    /// Messages that left a full queue ([`limits::QUEUE_PER_DEVICE`](crate::limits::QUEUE_PER_DEVICE)) unread.
    pub overflowed: u64,
    /// How long the last transaction took, from its first change to the disk's word.
    pub last_commit: Duration,
}
