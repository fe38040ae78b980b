//! What a hub is told and what it says: the words between it and its roles, and between it and whoever performs.

use crate::{
    people::{LastSeen, Roster, Said, Showing, Talk, Word},
    ticket::Ticket,
};
use bytes::Bytes;
use domain::{
    Address, AppId, CallKind, Change, Channel, Device, DeviceId, DoorId, DoorState, KeptSession,
    Message, MessageId, Mode, Note, Notification, NotificationId, Outcome, Refusal, SignInTokens,
    Timestamp, TrackingId, Unread, User,
    device::SealingKey,
    roster::{Contact, Direction},
    wake::{Failure, Stage, Verdict},
};
use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

/// Names a call, by the choice of the role that took it.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallId(pub u64);

/// Names a step that waits for the store.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SaveId(pub u64);

/// Why something was not done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotDone {
    /// The store, or the line before it, is full.
    #[error("too much to do at once")]
    Overloaded,
    /// There is no such user or device.
    #[error("there is none of that name")]
    Missing,
    /// The user has as many devices as may be, and all are in use.
    #[error("too many devices")]
    TooManyDevices,
    /// As many messages wait for the user as may.
    #[error("the message queue is full")]
    QueueFull,
    /// The user lists as many contacts as may be.
    #[error("too many contacts")]
    TooManyContacts,
    /// Whoever asks is not let see that.
    #[error("not let see that")]
    NotLet,
    /// Somebody has that address already.
    #[error("there is an account of that name")]
    Exists,
    /// The user blocks as many addresses as may be.
    #[error("too many blocked addresses")]
    TooManyBlocks,
    /// A name or a group of a contact is too long, there are too many, or it holds what cannot be kept.
    #[error("a name or a group that cannot be kept")]
    BadName,
    /// Nobody there can be told anything.
    #[error("there is no way to that domain")]
    NoSuchDomain,
    /// No app of that name is configured.
    #[error("no such app is configured")]
    NoSuchApp,
    /// What was read of it is not so any more: read it again.
    #[error("it was changed meanwhile: try again")]
    Changed,
    /// The provider has declared the token dead more than once.
    #[error("the token is dead")]
    DeadToken,
    /// Nobody is their own contact.
    #[error("that is the user's own address")]
    Oneself,
    /// The store failed.
    #[error("not saved: {0}")]
    Failed(String),
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A role opens and closes doors of a user's devices.
    Doors(Doors),
    /// The connection behind a door is gone; what is known of the way now.
    DoorLost(DoorId, DoorState),
    /// A client of a user has left through a door and does not come back. A device that has no other, and that cannot be pushed
    /// to, is no device any more: what waits for it waits for its user.
    DoorLeft(Address, DoorId),
    /// Messages may wait for a device that its user's other devices were not given, though they wait for nothing.
    Alone(DeviceId),
    /// Somebody calls a user.
    Called(Box<NewCall>),
    /// A device answered a call provisionally; `ringing`: it rings and does not only try.
    Progress(CallId, DeviceId, bool),
    /// A device took a call.
    Answered(CallId, DeviceId),
    /// A device turned a call down, or the way to it failed; and why, in words.
    Failed(CallId, DoorId, Failure, String),
    /// The caller gave up.
    CallerCancelled(CallId),
    /// A call goes to its user's fallback, there.
    FallenBack(CallId, String),
    /// The caller has the final answer.
    CallDone(CallId, CallEnd),
    /// Somebody writes to a user.
    Arrived(Ticket, Arc<Message>),
    /// A device has a message; the last word: and all that were sent before it.
    Acknowledged(DeviceId, MessageId, bool),
    /// A client of a device has a message that went by another door of it meanwhile: if it is under way there still, it need not be.
    HadElsewhere(DeviceId, MessageId),
    /// A message did not get through a door, and why.
    Unacknowledged(DoorId, MessageId, String),
    /// Whoever is behind a door refuses a message for good, and why.
    Refused(DoorId, MessageId, String),
    /// A client states what its device does.
    Stated(Address, DeviceId, Mode),
    /// A user does something on a device.
    Used(DeviceId),
    /// A user has read on a device what this one wrote, or is about to: they write to them.
    Attends(Address, DeviceId, String),
    /// A user has read on a device, or on one that nobody names, what this one wrote: up to this message.
    Read(Address, Option<DeviceId>, String, MessageId),
    /// What is unread on the device that a push is for ([`Output::Count`]), or nothing if it could not be read.
    Counted(NotificationId, Option<Unread>),
    /// A client hands over what its device is pushed to by, until it says otherwise: [`DeviceUpdate::of`] is set.
    Enables(Ticket, Address, DeviceId, Box<DeviceUpdate>),
    /// A client takes back what clients handed over so, whose calls are of this kind.
    Disables(Ticket, Address, Meant, CallKind),
    /// What the store says of a step.
    Saved(SaveId, Result<(), NotDone>),
    /// The head of a device's queue, or nothing if it could not be read.
    Fetched(DeviceId, Option<Vec<Arc<Message>>>),
    /// A user's client says something of its user's contacts, or of itself.
    Said(Address, Said),
    /// A role has made what an installation of a user's client signs in with: it is to be kept.
    SignIn(Ticket, Box<SignInTokens>),
    /// A session of a user's client is to be kept, or not any more: whatever else the user's steps are. Answered by
    /// [`Output::Done`].
    Session(Ticket, Box<KeptSession>),
    /// Another user's hub says something to one of our users.
    Told(Address, Word),
    /// Whom a user knows, or nothing if that could not be read.
    RosterRead(Address, Option<Vec<Contact>>),
    /// Users of ours, whose hubs may be others, talk over the phone, for so long unless more is heard of it; or not any more.
    Talks(Vec<Address>, Talk, Option<Duration>),
    /// What became of a push.
    Pushed(Pushed),
    /// An API asks.
    Asked(Ticket, Question),
}

/// Which of the tokens that a user's clients have handed over are meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Meant {
    /// Those that we push to ourselves: of this device, or of all.
    Device(Option<DeviceId>),
    /// Those for an app's own server.
    AtServer {
        /// The app.
        app: AppId,
        /// How they begin.
        like: Box<str>,
        /// There must be one.
        exists: bool,
    },
}

/// What a role wants of the doors of one user's devices: one step.
#[derive(Debug)]
pub struct Doors {
    /// Answered by [`Output::Done`].
    pub ticket: Ticket,
    /// Whose.
    pub user: Address,
    /// Opened, or opened anew.
    pub opened: Vec<Opening>,
    /// Closed by the client, for good.
    pub closed: Vec<DoorId>,
}

/// A door to be opened.
#[derive(Debug)]
pub struct Opening {
    /// Which.
    pub door: DoorId,
    /// It leads over another way than before.
    pub fresh: bool,
    /// It is as it was: only its time is another.
    pub unchanged: bool,
    /// What its transport knows.
    pub state: DoorState,
    /// Until when it stands.
    pub expires_at: Timestamp,
    /// Which calls go through it; none: messages alone.
    pub rings: Option<CallKind>,
    /// Whoever is behind it says by themselves what they do ([`Said::Available`]); else it is seen by whether the door is open.
    pub speaks: bool,
    /// Preference in thousandths.
    pub q: u16,
    /// How many messages may be on their way through it at once.
    pub window: u16,
    /// Where the device is to register when it is woken.
    pub register_at: Arc<str>,
    /// What it says of pushes.
    pub push: PushOffer,
    /// What the role needs to find what is behind it after a restart.
    pub data: Bytes,
    /// For the device's history.
    pub history: Option<String>,
}

/// What a client says of pushes when it opens a door.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PushOffer {
    /// Push to these tokens of this app.
    Tokens(AppId, Vec<(Channel, Box<str>)>),
    /// Do not push any more to what was named through this door.
    None,
}

/// A call as it comes in.
#[derive(Debug)]
pub struct NewCall {
    /// Ours and the role's name for it.
    pub id: CallId,
    /// Only devices that take calls of this kind hear of it.
    pub kind: CallKind,
    /// Follows it through every part.
    pub tracking: TrackingId,
    /// The call's own id, by which clients tell duplicates.
    pub call: Arc<str>,
    /// For whom.
    pub callee: Address,
    /// Who calls, as they call themselves; goes nowhere but sealed.
    pub caller_name: String,
    /// Who calls, by address; in the clear only in the story.
    pub caller: String,
    /// Where it came from, in the words of its protocol; nothing, if nobody knows.
    pub whence: String,
    /// Why nobody is to be woken for it, if that is so.
    pub wakes_nobody: Option<&'static str>,
}

/// How a call ended for its caller, with what that heard of it in the words of its protocol.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CallEnd {
    /// Somebody answered.
    Connected(Cow<'static, str>),
    /// Nobody did.
    Failed(Cow<'static, str>),
}

/// What became of a push.
#[derive(Debug)]
pub struct Pushed {
    /// Which push.
    pub push: PushRef,
    /// To which device.
    pub device: DeviceId,
    /// To which of its tokens.
    pub token: Box<str>,
    /// The provider's word.
    pub outcome: Outcome,
}

/// What a push belongs to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum PushRef {
    /// A call that rings.
    Call(CallId),
    /// The outbox.
    Owed(NotificationId, TrackingId),
}

/// What an API asks or orders.
#[derive(Debug)]
pub enum Question {
    /// Create an account or replace it, if it still has the mark that was read of it ([`domain::user::Secrets::mark`]; 0: there was
    /// none): else what it signs in with has changed meanwhile, and what is put would undo that ([`NotDone::Changed`]).
    PutUser(Box<User>, i64),
    /// Create an account by an invitation of this token, which is used up; it becomes a contact of whoever invites.
    Redeem(Box<User>, Box<str>, Option<Address>),
    /// Remove an account with its devices.
    RemoveUser(Address),
    /// These accounts are gone from the store already: drop what belongs to them.
    UsersGone(Vec<Address>),
    /// By what these users sign in another process has changed in the store: whoever signed in before is nobody any more.
    SignOut(Vec<Address>),
    /// The devices of a user, or all.
    Devices(Option<Address>),
    /// One device of a user.
    Device(Address, DeviceId),
    /// Forget a device and what waits for it; only if it is this user's, if one is named.
    ForgetDevice(Option<Address>, DeviceId),
    /// Forget devices that have been out of reach since then.
    ForgetGone(Timestamp),
    /// Take what a client says of its device.
    PutDevice(Address, DeviceId, Box<DeviceUpdate>),
    /// Take the client's own statement on its mode.
    SetMode(Address, DeviceId, Mode),
}

/// What a client says of its device; what it leaves out stays.
#[derive(Clone, Debug, Default)]
pub struct DeviceUpdate {
    /// Which calls the client takes that says so; nobody knows if it is said by an API.
    pub of: Option<CallKind>,
    /// Its app; one that is configured.
    pub app: Option<AppId>,
    /// Its token for calls.
    pub voip: Option<String>,
    /// Its token for messages.
    pub message: Option<String>,
    /// Its key for sealed pushes.
    pub key: Option<SealingKey>,
    /// Foreground or suspended.
    pub mode: Option<Mode>,
}

/// A device as an operator sees it.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct DeviceView {
    /// The record.
    pub device: Device,
    /// Its doors.
    pub doors: Vec<DoorView>,
    /// What it does now.
    pub mode: Mode,
    /// When it was known to be there last.
    pub seen_at: Timestamp,
    /// Messages that wait for it.
    pub queued: u64,
}

/// A door as an operator sees it.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct DoorView {
    /// Its number.
    pub number: u32,
    /// What whoever is behind it does.
    pub mode: Mode,
    /// Until when it stands.
    pub expires_at: Timestamp,
    /// What is behind it, in the role's words.
    #[serde(default)]
    pub behind: String,
}

/// An answer to a [`Question`].
#[derive(Debug)]
pub enum Answer {
    /// It is done, and saved.
    Done,
    /// The devices.
    Devices(Vec<DeviceView>),
}

/// What to do.
#[derive(Debug)]
pub enum Output {
    /// For the role: what it asked for is done and saved, or not.
    Done(Ticket, Result<(), NotDone>),
    /// For the roles: what this user signed in with is no good any more, or the account is gone. Who has signed in with it is sent
    /// away, and what stands on it ends.
    SignedOut(Address),
    /// For the role: these doors are gone.
    Closed(Vec<DoorId>),
    /// For the role: a call goes to a device through this door. An earlier branch to the same device is given up.
    Ring(CallId, DoorId),
    /// For the role: the device is back where the call was sent to while it did not listen: send it there once more.
    RingAgain(CallId, DeviceId),
    /// For the role: show a device the call and that it is over, in one go.
    ShowEnded(CallId, DoorId, EndReason),
    /// For the role: a device that rang is back through this door: what takes the call off it goes there.
    EndFollows(CallId, DoorId),
    /// For the role: let the caller hear ringing.
    RingBack(CallId),
    /// For the role: take the call off every device that still has it; nobody answered.
    CallOff(CallId),
    /// For the role: nobody will take the call: send it to the user's fallback, else answer the caller.
    GiveUp(CallId, Verdict),
    /// For the role: nothing can happen to the call any more.
    CallOver(CallId),
    /// For the role: send a message through a door, and say what became of it.
    Send(DoorId, Arc<Message>),
    /// For the role: send it and forget it.
    Relay(DoorId, Arc<Message>),
    /// For the role: whoever is behind the door does not answer; its connection is dead, whatever the transport says.
    Hibernate(DoorId),
    /// For the role: the roster that it asked for.
    Roster(Ticket, Result<Roster, NotDone>),
    /// For the role: what it asked of another user, or why it is not told.
    LastSeen(Ticket, Result<LastSeen, NotDone>),
    /// For the role: how far the subscription is by which its client sees whom it watches.
    Watched(Ticket, Result<Direction, NotDone>),
    /// For the roles whose clients want to see it.
    Show(Box<Showing>),
    /// For the hub of this user, which may be another shard's: [`Input::Told`], in the order in which it is said.
    Tell(Address, Word),
    /// For the store: read whom a user knows, answered by [`Input::RosterRead`].
    FetchRoster(Address),
    /// For the store: one step, saved as a whole, answered by [`Input::Saved`].
    Save(SaveId, Vec<Change>),
    /// For the store, if there is room.
    Note(Note),
    /// For the store: read the head of a device's queue, answered by [`Input::Fetched`].
    Fetch(DeviceId),
    /// For the store: read what is unread on a device, of all and of whoever wrote this message, all that is saved by now included;
    /// answered by [`Input::Counted`].
    Count(NotificationId, DeviceId, Option<MessageId>),
    /// For the push client, answered by [`Input::Pushed`].
    Push(Box<PushOrder>),
    /// For whoever asked.
    Answer(Ticket, Result<Answer, NotDone>),
    /// For the metrics.
    Measured(Measure),
}

/// Why a call that a device is shown is over.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum EndReason {
    /// Another device took it.
    Elsewhere,
    /// It was turned down on another device.
    Declined,
    /// Nobody answered in time, or the caller gave up.
    NotAnswered,
}

/// A push to be sent.
#[derive(Debug)]
pub struct PushOrder {
    /// What it belongs to.
    pub push: PushRef,
    /// To which device.
    pub device: DeviceId,
    /// The push, unsealed.
    pub notification: Notification,
    /// The device's key, if it handed one over.
    pub key: Option<SealingKey>,
    /// What only the device may read.
    pub secret: Secret,
    /// When the call came in that it announces.
    pub since: Option<Instant>,
}

/// What of a push only the device may read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Secret {
    /// Nothing.
    None,
    /// Who calls.
    Caller {
        /// As they call themselves.
        name: String,
        /// By address.
        number: String,
    },
    /// Who wrote this message, and its beginning.
    Message(MessageId),
}

/// Something that is counted.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Measure {
    /// A stage of a wake took so long.
    WakeStage(Stage, Duration),
    /// A wake ended.
    WakeEnded(Verdict),
    /// Something became of a message: `stored` or `not_stored`; then, for each device, `delivered`, `refused` or
    /// `unacknowledged`.
    Message(&'static str),
    /// A token died.
    TokenDied,
    /// Something was refused, to protect the server or a user.
    Refused(Refusal),
}
