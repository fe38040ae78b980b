//! The traits that every backend implements, one for each aggregate, and what they answer with.

use crate::{Damage, StoreError, Times};
use domain::{
    Address, ArchivePage, ArchiveQuery, Card, Change, Device, DeviceId, Door, Feedback, Grant,
    Invitation, KeptSession, Message, MessageId, Note, NotificationId, QueuedPush, Record,
    SealedApp, SignInTokens, Tenant, TenantId, Timestamp, TraceEvent, TrackingId, Unread, User,
    change::HistoryEntry,
    push::OwedPush,
    roster::Contact,
    trace::{Named, Step},
};
use std::pin::Pin;

/// What a store answers with, later.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Where [`Store::load`] puts what it reads. It is called on a thread of the store, must not ask the store anything, and is
/// gone before the load is answered.
pub type Sink = Box<dyn FnMut(Record) + Send>;

/// What is read of accounts.
pub trait Accounts {
    /// The account of an address.
    fn user(&self, address: &Address) -> Answer<Option<User>>;

    /// All accounts, by address.
    fn users(&self) -> Answer<Vec<User>>;
}

/// What is read of rosters.
pub trait Rosters {
    /// Whom a user knows, by address: at most [`limits::CONTACTS`](crate::limits::CONTACTS).
    fn roster(&self, user: &Address) -> Answer<Vec<Contact>>;
}

/// What is read of whom users block.
pub trait Blocks {
    /// The addresses that a user has blocked, in order: at most [`limits::BLOCKS`](crate::limits::BLOCKS).
    fn blocked(&self, user: &Address) -> Answer<Vec<Box<str>>>;
}

/// What is read of what users say of themselves.
pub trait Cards {
    /// A user's card.
    fn card(&self, user: &Address) -> Answer<Option<Card>>;
}

/// What is read of tokens that clients sign in with.
pub trait SignIns {
    /// Those of an installation of a user's client. A user has at most
    /// [`limits::SIGN_IN_TOKENS`](crate::limits::SIGN_IN_TOKENS) such.
    fn sign_in_tokens(&self, user: &Address, client: &str) -> Answer<Option<SignInTokens>>;
}

/// What is read of grants, by which clients get tokens.
pub trait Grants {
    /// One of a user's, who has at most [`limits::GRANTS`](crate::limits::GRANTS).
    fn grant(&self, user: &Address, id: &str) -> Answer<Option<Grant>>;

    /// Those that nobody has used since then, in no order that means anything, at most so many.
    fn old_grants(&self, before: Timestamp, limit: usize) -> Answer<Vec<Grant>>;
}

/// What is read of sessions whose clients have no connection.
pub trait Sessions {
    /// Those of a user, by name: at most [`limits::SESSIONS`](crate::limits::SESSIONS).
    fn sessions(&self, user: &Address) -> Answer<Vec<KeptSession>>;
}

/// What is read of invitations.
pub trait Invitations {
    /// An invitation, by its digest ([`domain::invitation::digest`]).
    fn invitation(&self, token: &str) -> Answer<Option<Invitation>>;
}

/// What is read of devices and their doors.
pub trait Devices {
    /// A device.
    fn device(&self, id: &DeviceId) -> Answer<Option<Device>>;

    /// The devices of a user, or all of them, by id.
    fn devices(&self, user: Option<&Address>) -> Answer<Vec<Device>>;

    /// The doors of a device, by number.
    fn doors(&self, device: &DeviceId) -> Answer<Vec<Door>>;

    /// The history of a device, newest entry first; the notes that were handed in before it included.
    fn history(&self, device: &DeviceId, limit: usize) -> Answer<Vec<HistoryEntry>>;
}

/// What is read of messages.
pub trait Messages {
    /// A message in the archive.
    fn message(&self, id: &MessageId) -> Answer<Option<Message>>;

    /// A page of what a user wrote and got, in the order in which it came: all that was archived while they had their account,
    /// both of them theirs and their peers', but nothing transient. `None`: a message that the query names is not in it.
    fn archive(&self, user: &Address, query: &ArchiveQuery) -> Answer<Option<ArchivePage>>;

    /// How many of them somebody is still to read: all, and those of who wrote this message.
    fn unread(&self, device: &DeviceId, message: Option<&MessageId>) -> Answer<Unread>;

    /// The messages that wait for a device, in the order of the archive: the order in which they came.
    fn queued(&self, device: &DeviceId, limit: usize) -> Answer<Vec<Message>>;
}

/// What is read of pushes.
pub trait Outbox {
    /// The pushes that are owed to a device, by id.
    fn owed(&self, device: &DeviceId) -> Answer<Vec<OwedPush>>;
}

/// What is read of the push service.
pub trait Pushes {
    /// All tenants, by name.
    fn tenants(&self) -> Answer<Vec<Tenant>>;

    /// What is in the queue behind this one, or from the first, by tenant and id.
    fn push_queue(
        &self,
        after: Option<(TenantId, NotificationId)>,
        limit: usize,
    ) -> Answer<Vec<QueuedPush>>;

    /// What became of a push that was queued, for a day ([`limits::PUSH_ENDS_MILLIS`](crate::limits::PUSH_ENDS_MILLIS)).
    fn push_end(&self, tenant: &TenantId, id: &NotificationId) -> Answer<Option<Feedback>>;

    /// What became of the pushes of a tenant that were queued, behind this number, in the order in which they ended.
    fn push_ends(&self, tenant: &TenantId, after: u64, limit: usize) -> Answer<Vec<Feedback>>;
}

/// What is read of apps whose credentials are kept.
pub trait PushApps {
    /// All of them, by name.
    fn push_apps(&self) -> Answer<Vec<SealedApp>>;
}

/// What is read of stories. Both see the notes that were handed in before them.
pub trait Stories {
    /// The story of a tracking id, first step first. A call's own id finds it as well.
    fn trace(&self, id: &str) -> Answer<Vec<TraceEvent>>;

    /// The names of stories that begin so: tracking ids, and calls' own ids; each once, in no order.
    fn story_names(&self, beginning: &str, limit: usize) -> Answer<Vec<String>>;

    /// The stories that began last, newest first.
    fn recent_traces(&self, limit: usize) -> Answer<Vec<Story>>;

    /// The stories that somebody is named in, in the order in which they came; of so many behind this one
    /// ([`limits::LOOK`](crate::limits::LOOK)), from the first if it is nought.
    fn stories_of(&self, who: &Named, after: u64) -> Answer<Told>;
}

/// Where users, devices and their doors, messages, queues, owed pushes and stories live: what is written, and what
/// concerns the whole.
///
/// A call takes effect when it is made, not when its answer is polled: calls of one caller keep their order, and
/// dropping an answer takes nothing back. A read that starts after a commit was answered sees it. Reads never wait for
/// commits. A `limit` above [`limits::READ_ROWS`](crate::limits::READ_ROWS) counts as that.
pub trait Store:
    Accounts
    + Rosters
    + Blocks
    + Cards
    + SignIns
    + Grants
    + Sessions
    + Invitations
    + Devices
    + Messages
    + Outbox
    + PushApps
    + Pushes
    + Stories
    + Send
    + Sync
    + 'static
{
    /// Saves steps, each of them as a whole or not at all, and answers for each, in their order, when those that stand
    /// survive `kill -9` and a power cut. A change that speaks of something that does not exist fails its step, and its
    /// step alone ([`StoreError::Missing`]); removing what is not there is no failure.
    ///
    /// An error instead of the list: none of the steps is known to be saved. [`StoreError::Overloaded`] and
    /// [`StoreError::Closed`] before the steps were taken; else the transaction failed, and with it all that was in it.
    fn commit(&self, steps: Vec<Vec<Change>>) -> Answer<Vec<Result<(), StoreError>>>;

    /// Keeps what is worth keeping and not worth waiting for. Written in batches, apart from commits and without waiting
    /// for the disk; a crash may lose the last of them. Dropped and counted when too many wait, when they cannot be
    /// written, and when they are about a device that is gone.
    fn note(&self, notes: Vec<Note>);

    /// Answered when the notes that were handed in before are written or dropped.
    fn flush(&self) -> Answer<()>;

    /// Everything that a server keeps in memory, one by one and as of one moment. For start-up, and after
    /// [`changed_elsewhere`](Self::changed_elsewhere).
    ///
    /// First the users, by address, then whom they block, then which images are on their cards, then the
    /// sessions of their clients. Then the devices in no order that means anything, each at once followed by what is
    /// its: its doors by number, how many messages wait for it and how many went over, if any did, and the pushes owed to it. Last how many wait
    /// for each user of whom no device is known.
    fn load(&self, sink: Sink) -> Answer<()>;

    /// Retention, in the order of arrival up to the first that is not older than `before`: removes stories by when they
    /// began, archived messages, entries of history, and invitations by when they ended. A message that still waits for somebody stays. Works in small
    /// transactions while its answer is polled, so that commits get in between.
    fn prune(&self, before: Timestamp) -> Answer<Pruned>;

    /// Who has no account any more is forgotten: stories that they are named in go, and messages that they wrote or got and that are in
    /// nobody's archive now. One that still waits for somebody stays. What was there is overwritten. Works in small transactions while
    /// its answer is polled.
    fn forget(&self, who: &Named) -> Answer<Forgotten>;

    /// Moves out of the way what [`load`](Self::load) cannot read, with what goes with it, and says what that was: a damaged
    /// row keeps nobody else's devices from their calls. What is set aside can be put back. All of it, or nothing.
    fn set_aside(&self) -> Answer<Vec<Damage>>;

    /// Writes as much as an ordinary step does ([`limits::PROBE`](crate::limits::PROBE)) until the disk has it, and removes it
    /// again: whether commits can be saved, before there is one to save.
    fn probe(&self) -> Answer<()>;

    /// Whether another process (the command line) has written to the database since this was asked last, or since the
    /// store was opened.
    fn changed_elsewhere(&self) -> Answer<bool>;

    /// How the store is doing, for metrics and alarms. Costs next to nothing.
    fn stats(&self) -> Stats;

    /// Ends the store: what was handed to it before is saved, everything after is answered with [`StoreError::Closed`].
    /// Dropping the store does the same without waiting.
    fn close(&self) -> Answer<()>;
}

/// Stories that somebody is named in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Told {
    /// Each with its steps, first step first.
    pub stories: Vec<Vec<TraceEvent>>,
    /// Behind which one there may be more.
    pub next: Option<u64>,
}

/// What was forgotten of somebody.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Forgotten {
    /// Stories.
    pub stories: u64,
    /// Messages.
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
    /// Entries of device history.
    pub history: u64,
}

/// How the store is doing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Steps that wait for the writer now; [`limits::WRITE_QUEUE`](crate::limits::WRITE_QUEUE) is the most.
    pub waiting: usize,
    /// Notes that wait for the writer now; [`limits::NOTES`](crate::limits::NOTES) is the most.
    pub notes_waiting: usize,
    /// Steps saved since the store was opened.
    pub steps: u64,
    /// Transactions in which they were saved.
    pub groups: u64,
    /// Steps that failed.
    pub failed: u64,
    /// Notes that were dropped.
    pub notes_dropped: u64,
    /// How long transactions took, from their first change to the disk's word.
    pub commits: Times,
    /// How often it was the store's fault, and not that of what was asked, that something was not saved.
    pub failures: u64,
    /// What the last of these was.
    pub last_failure: Option<StoreError>,
    /// How often what was read was damaged.
    pub unreadable: u64,
    /// What was said of the last of these.
    pub last_unreadable: Option<StoreError>,
    /// How large the database and its log are on the disk, in octets.
    pub octets: u64,
}
