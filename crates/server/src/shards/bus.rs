//! Words between shards, and from APIs to shards. Within the process it is a channel to each shard.

use bytes::Bytes;
use call::{MediaId, ReachId, Relayed};
use domain::{
    Address, ArchivePage, DeviceId, Message as Chat, NotificationId, Slice, Timestamp, Unread,
    roster::Contact,
};
use hub::{Answer, DeviceView, NotDone, Pushed, Question, Ticket};
use sip::{Flow, Message};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Words that may wait for one shard; more make their sender wait.
const INBOX: usize = 4096;

/// What a shard is told by others than its sockets and its store.
#[derive(Debug)]
pub(super) enum Word {
    /// An API asks.
    Ask(Question, oneshot::Sender<Result<Answer, NotDone>>),
    /// The head of a device's queue was read.
    Fetched(DeviceId, Option<Vec<Arc<Chat>>>),
    /// What is unread on the device that a push is for was counted.
    Counted(NotificationId, Option<Unread>),
    /// Whom a user knows was read.
    RosterRead(Address, Option<Vec<Contact>>),
    /// A user's card was read.
    CardRead(Ticket, Result<Option<domain::Card>, NotDone>),
    /// What became of an order about an account.
    AccountDone(Ticket, Result<(), NotDone>),
    /// A user of another shard says something to one of ours.
    Told(Address, hub::Word),
    /// The same, of one XMPP role to another.
    Posted(Address, im::Post),
    /// The same, to the role that has this component.
    ForComponent(Box<str>, im::Post),
    /// What was read of an archive.
    PageRead(Ticket, Result<ArchivePage, NotDone>),
    /// What an installation of a client signs in with was read.
    TokensRead(Ticket, Result<Option<Bytes>, NotDone>),
    /// A push ended.
    Pushed(Pushed),
    /// The operator has decided otherwise.
    Reconfigure(Arc<Decided>),
    /// A flow that was asked for.
    Reached(ReachId, Option<Flow>),
    /// What a media relay made of a description.
    Relayed(MediaId, Result<Relayed, String>),
    /// A request or response of a shard of ours.
    Spiral(Flow, Message),
    /// Another shard looks for the device of a user of ours.
    Find {
        /// Who asks.
        shard: usize,
        /// To be told under this name.
        id: ReachId,
        /// Whose device.
        user: Address,
        /// Which, if that is known.
        device: Option<DeviceId>,
        /// Where it was.
        flow: Flow,
        /// Since when it must be where it is found.
        since: Timestamp,
    },
}

/// What the operator has decided otherwise, for every shard.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) hub: hub::Config,
    pub(crate) call: call::Settings,
    /// For the apps that there are now.
    pub(crate) pusher: push::Pusher,
}

/// The way to every shard.
#[derive(Clone)]
pub(super) struct Bus(Arc<[mpsc::Sender<Word>]>);

/// One shard's end of the bus.
pub(super) type Inbox = mpsc::Receiver<Word>;

impl Bus {
    /// Between so many shards.
    pub(super) fn new(shards: usize) -> (Self, Vec<Inbox>) {
        let (senders, inboxes): (Vec<_>, Vec<_>) =
            (0..shards.max(1)).map(|_| mpsc::channel(INBOX)).unzip();
        (Self(senders.into()), inboxes)
    }

    /// The shard of a user.
    pub(super) fn shard_of(&self, user: &Address) -> usize {
        Slice::of(user).shard(self.0.len())
    }

    /// The shard of a component.
    pub(super) fn shard_of_name(&self, domain: &str) -> usize {
        Slice::of_name(domain).shard(self.0.len())
    }

    /// Tells a shard, waiting for room; one that is gone hears nothing.
    pub(super) async fn tell(&self, shard: usize, word: Word) {
        if let Some(sender) = self.0.get(shard) {
            // It may have stopped.
            let _ = sender.send(word).await;
        }
    }

    /// Tells a shard at once, or in a task of its own if it is busy: a shard never waits for another.
    pub(super) fn tell_soon(&self, shard: usize, word: Word) {
        let Some(sender) = self.0.get(shard) else {
            return;
        };
        if let Err(mpsc::error::TrySendError::Full(word)) = sender.try_send(word) {
            let (bus, word) = (self.clone(), word);
            tokio::spawn(async move { bus.tell(shard, word).await });
        }
    }
}

/// The shards as APIs see them: a question goes to whose it is.
#[derive(Clone)]
pub struct Shards(Bus);

impl Shards {
    pub(super) fn new(bus: Bus) -> Self {
        Self(bus)
    }

    /// Asks, and waits for the answer. `None`: the server stops.
    pub async fn ask(&self, question: Question) -> Option<Result<Answer, NotDone>> {
        let user = match &question {
            Question::PutUser(user, _) | Question::Redeem(user, ..) => &user.address,
            Question::RemoveUser(user)
            | Question::Devices(Some(user))
            | Question::Device(user, _)
            | Question::ForgetDevice(Some(user), _)
            | Question::PutDevice(user, ..)
            | Question::SetMode(user, ..) => user,
            Question::Devices(None) => return self.all_devices().await,
            Question::ForgetDevice(None, device) => return self.forget(device).await,
            Question::ForgetGone(before) => {
                let before = *before;
                return self.tell_all(|_| Question::ForgetGone(before)).await;
            }
            Question::UsersGone(users) => {
                let of = |shard| Question::UsersGone(self.theirs(shard, users));
                return self.tell_all(of).await;
            }
            Question::SignOut(users) => {
                let of = |shard| Question::SignOut(self.theirs(shard, users));
                return self.tell_all(of).await;
            }
        };
        self.ask_shard(self.0.shard_of(user), question).await
    }

    /// Those that are a shard's.
    fn theirs(&self, shard: usize, users: &[Address]) -> Vec<Address> {
        let theirs = users.iter().filter(|user| self.0.shard_of(user) == shard);
        theirs.cloned().collect()
    }

    async fn ask_shard(&self, shard: usize, question: Question) -> Option<Result<Answer, NotDone>> {
        let (reply, answer) = oneshot::channel();
        self.0.tell(shard, Word::Ask(question, reply)).await;
        answer.await.ok()
    }

    /// Tells every shard what the operator has decided.
    pub(crate) async fn reconfigure(&self, decided: Decided) {
        let decided = Arc::new(decided);
        for shard in 0..self.0.0.len() {
            self.0.tell(shard, Word::Reconfigure(decided.clone())).await;
        }
    }

    async fn all_devices(&self) -> Option<Result<Answer, NotDone>> {
        let mut views: Vec<DeviceView> = Vec::new();
        for shard in 0..self.0.0.len() {
            match self.ask_shard(shard, Question::Devices(None)).await? {
                Ok(Answer::Devices(more)) => views.extend(more),
                Ok(Answer::Done) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(Answer::Devices(views)))
    }

    async fn forget(&self, device: &DeviceId) -> Option<Result<Answer, NotDone>> {
        for shard in 0..self.0.0.len() {
            let forget = Question::ForgetDevice(None, device.clone());
            match self.ask_shard(shard, forget).await? {
                Err(NotDone::Missing) => {}
                answer => return Some(answer),
            }
        }
        Some(Err(NotDone::Missing))
    }

    async fn tell_all(
        &self,
        question: impl Fn(usize) -> Question,
    ) -> Option<Result<Answer, NotDone>> {
        for shard in 0..self.0.0.len() {
            if let Err(error) = self.ask_shard(shard, question(shard)).await? {
                return Some(Err(error));
            }
        }
        Some(Ok(Answer::Done))
    }
}
