//! One step about one user: what is to be saved, and what is so once it is.

use crate::{
    Answer, Doors, NotDone, Output, Said, Ticket, Word,
    door::OpenDoor,
    presences::Broadcast,
    vocabulary::{DeviceUpdate, Meant},
};
use domain::{
    Address, Avatar, Blocks, CallKind, Change, Class, Device, DeviceId, DoorId, KeptSession,
    Message, MessageId, Mode, Note, NotificationId, SignInTokens, Timestamp, User,
    delivery::{Landed, Stored},
    push::OwedPush,
    roster::Contact,
};
use std::sync::Arc;

/// What is to be done about a user, when it is its turn.
#[derive(Debug)]
pub(crate) enum Work {
    /// A role opens and closes doors.
    Doors(Doors),
    /// These doors have expired.
    Expired(Vec<DoorId>),
    /// A device is to be asked to register again.
    Refresh(DeviceId),
    /// A client says something of its device.
    Update(Asker, Address, DeviceId, Box<DeviceUpdate>),
    /// Clients' tokens are taken back, of one device or of all: what was handed over for calls of this kind.
    Disable(Ticket, Address, Meant, CallKind),
    /// A client states what its device does.
    State(Option<Ticket>, DeviceId, Mode),
    /// A provider says that a token is dead.
    TokenDead(DeviceId, Box<str>, Option<Timestamp>, String),
    /// A client has left through this door for good.
    Left(DoorId),
    /// A device is to be forgotten.
    Forget(Option<Ticket>, DeviceId),
    /// An account is created or replaced that had this mark when it was read.
    PutUser(Ticket, Box<User>, i64),
    /// An account is created by an invitation.
    Redeem(Ticket, Box<User>, Box<str>, Option<Address>),
    /// An account is removed.
    RemoveUser(Ticket, Address),
    /// An account was removed by another process.
    UserGone(Address),
    /// Whoever signed in as a user is nobody any more.
    SignOut(Address),
    /// A message came in.
    Message(Ticket, Arc<Message>),
    /// Messages are off our hands.
    Landed(DeviceId, Vec<Landed>),
    /// A message did not get through: a push may be owed for it.
    Announce(DeviceId, Arc<Message>),
    /// There is room for what went over of a device's messages.
    Refill(DeviceId),
    /// A user has read something.
    Read(Box<Read>),
    /// A push is owed.
    Owe(Box<OwedPush>),
    /// A client says something of its user's contacts.
    Said(Address, Said),
    /// What a client signs in with is to be kept.
    SignIn(Ticket, Box<SignInTokens>),
    /// A session of a client is to be kept, or not any more.
    Session(Ticket, Box<KeptSession>),
    /// Another user says something to this one.
    Told(Address, Word),
    /// Others are to see something of a user.
    Broadcast(Address, Broadcast),
}

impl Work {
    /// Who is told what becomes of it.
    pub(crate) fn asker(&self) -> Asker {
        match self {
            Self::Doors(doors) => Asker::Role(doors.ticket),
            Self::Update(asker, ..) => *asker,
            Self::Message(ticket, message) if message.class != Class::Transient => {
                Asker::Writer(*ticket)
            }
            Self::Message(ticket, _)
            | Self::Disable(ticket, ..)
            | Self::SignIn(ticket, _)
            | Self::Session(ticket, _)
            | Self::Said(
                _,
                Said::Lists(ticket, _)
                | Said::Unlists(ticket, _)
                | Said::ShowsCard(ticket, _)
                | Said::Blocks(ticket, _)
                | Said::Unblocks(ticket, _)
                | Said::IsSeenBy(ticket, _)
                | Said::Requests { ticket, .. },
            ) => Asker::Role(*ticket),
            Self::Said(_, Said::WantsRoster(ticket)) => Asker::Roster(*ticket),
            Self::Said(_, Said::IsLookedFor(ticket, _)) => Asker::Looks(*ticket),
            Self::Said(_, Said::Watches { ticket, .. }) => Asker::Watcher(*ticket),
            Self::State(Some(ticket), ..)
            | Self::PutUser(ticket, ..)
            | Self::Redeem(ticket, ..)
            | Self::RemoveUser(ticket, _)
            | Self::Forget(Some(ticket), _) => Asker::Api(*ticket),
            _ => Asker::Nobody,
        }
    }
}

/// What is so once a step is saved.
#[derive(Debug)]
pub(crate) enum Then {
    /// A device's record is this.
    Device(Box<Device>),
    /// A door of a device is open.
    Opened(DeviceId, Box<OpenDoor>),
    /// A door is gone.
    Closed(DoorId),
    /// A door is gone whose client has left: nobody behind it needs to hear that, and the next one may be at it already.
    Left(DoorId),
    /// A client stated what its device does.
    Stated(DeviceId, Mode),
    /// A device is no more.
    Forgotten(DeviceId),
    /// An account is this.
    Account(Box<User>),
    /// An account is no more.
    NoAccount(Address),
    /// A contact is this.
    Contact(Box<Contact>),
    /// A user's contact is no more.
    NoContact(Address, Address),
    /// A user blocks these.
    Blocks(Address, Box<Blocks>),
    /// A user shows this image, or none.
    Avatar(Address, Option<Avatar>),
    /// A user is seen by this other one from now on.
    Shows(Address, Address),
    /// A user is not seen by this other one any more.
    Hides(Address, Address),
    /// This is to be said.
    Say(Box<Output>),
    /// A message is kept, and goes to who is there.
    Stored(Box<Stored>),
    /// What waited for this device waits for its user now.
    Disowned(DeviceId),
    /// What waited for a user waits for this device now.
    Adopted(Address, DeviceId),
    /// So many messages left a device's queue.
    Landed(DeviceId, usize),
    /// So many messages that went over wait for a device again.
    Refilled(DeviceId, u64),
    /// A user has read something: what of it their other devices show is taken back.
    Read(Box<Read>),
    /// A push is owed.
    Owed(Box<OwedPush>),
    /// A push is not owed any more.
    Settled(NotificationId),
    /// A device was asked to register again before it expires then.
    Asked(DeviceId, Timestamp),
    /// A device came through this door; `true`: over another way than before. Its messages go to it.
    Returned(DoorId, bool),
    /// This is to be told.
    Note(Note),
    /// A token died: counted.
    TokenDied,
}

/// A user has read what somebody wrote.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) user: Address,
    /// On which device, if that is known.
    pub(crate) device: Option<DeviceId>,
    pub(crate) writer: Box<str>,
    /// The last that was read.
    pub(crate) up_to: MessageId,
}

/// What an owner wants done.
#[derive(Debug)]
pub(crate) enum Deed {
    /// Say this.
    Say(Output),
    /// Do this at the user's turn.
    Work(Address, Work),
    /// Save this, at nobody's turn: only the outbox waits for it.
    Save(Step),
}

impl From<Output> for Deed {
    fn from(output: Output) -> Self {
        Self::Say(output)
    }
}

/// How whoever asked hears that it is done.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Asker {
    /// Nobody asked.
    Nobody,
    /// A role.
    Role(Ticket),
    /// A role, for a message that is to be kept.
    Writer(Ticket),
    /// An API.
    Api(Ticket),
    /// A role, for a roster: the roster itself says that it is done.
    Roster(Ticket),
    /// A role, for when a user was there last: the same.
    Looks(Ticket),
    /// A role, for what becomes of its client's wish to watch somebody: likewise.
    Watcher(Ticket),
}

impl Asker {
    /// Tells it.
    pub(crate) fn tell(self, result: Result<(), NotDone>) -> Option<Deed> {
        match self {
            Self::Nobody => None,
            Self::Role(ticket) | Self::Writer(ticket) => Some(Output::Done(ticket, result).into()),
            Self::Roster(ticket) => {
                let error = result.err()?;
                Some(Output::Roster(ticket, Err(error)).into())
            }
            Self::Looks(ticket) => {
                let error = result.err()?;
                Some(Output::LastSeen(ticket, Err(error)).into())
            }
            Self::Watcher(ticket) => {
                let error = result.err()?;
                Some(Output::Watched(ticket, Err(error)).into())
            }
            Self::Api(ticket) => Some(Output::Answer(ticket, result.map(|()| Answer::Done)).into()),
        }
    }
}

/// One step.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) changes: Vec<Change>,
    pub(crate) then: Vec<Then>,
    pub(crate) asker: Asker,
}

impl Step {
    pub(crate) fn of(asker: Asker) -> Self {
        Self {
            changes: Vec::new(),
            then: Vec::new(),
            asker,
        }
    }

    /// Keeps a device's record as it will be.
    pub(crate) fn put_device(&mut self, device: Device) {
        self.changes
            .push(Change::PutDevice(Box::new(device.clone())));
        self.then.push(Then::Device(Box::new(device)));
    }

    /// What waits for a user waits for this device from then on.
    pub(crate) fn adopt(&mut self, user: &Address, device: &DeviceId) {
        let (user, device) = (user.clone(), device.clone());
        self.changes.push(Change::AdoptQueue {
            user: user.clone(),
            device: device.clone(),
        });
        self.then.push(Then::Adopted(user, device));
    }

    /// Owes a push.
    pub(crate) fn owe(&mut self, push: OwedPush) {
        self.changes.push(Change::Owe(Box::new(push.clone())));
        self.then.push(Then::Owed(Box::new(push)));
    }

    /// Tells something of a device, once the step is saved.
    pub(crate) fn history(&mut self, device: &DeviceId, at: Timestamp, what: String) {
        let device = device.clone();
        self.then
            .push(Then::Note(Note::History(domain::change::HistoryEntry {
                device,
                at,
                what,
            })));
    }
}
