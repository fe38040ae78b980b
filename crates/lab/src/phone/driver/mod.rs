//! A phone on real sockets: the machine, its sockets, its clock, its entropy, its pushes and its device API.

mod actor;
mod device_api;
mod inbox;
mod link;
mod log;
mod made_up;
mod stream;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::chat::Show;
use super::machine::{Done, Order};
use super::{PhoneConfig, PhoneError, PhoneEvent, Place};
use actor::{Actor, Command};
use log::Log;

pub use log::Entry;

/// Commands that may wait for the phone; a further one waits to be queued.
const COMMANDS: usize = 64;

/// A simulated phone. Clones speak of the same one; when the last is dropped, the phone is gone without a word.
#[derive(Clone)]
pub struct Phone {
    config: Arc<PhoneConfig>,
    commands: mpsc::Sender<Command>,
    log: Log,
}

impl Phone {
    /// A phone that is switched on, its app not yet started: [`Phone::register`] starts it. Pushes sent before this
    /// are not delivered.
    ///
    /// # Errors
    /// If the lab's control API does not answer.
    pub async fn start(config: PhoneConfig) -> Result<Self, PhoneError> {
        let config = Arc::new(config);
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let log = Log::new();
        let actor = Actor::new(config.clone(), log.clone(), inbox).await?;
        tokio::spawn(actor.run());
        Ok(Self {
            config,
            commands,
            log,
        })
    }

    /// What it is.
    pub fn config(&self) -> &PhoneConfig {
        &self.config
    }

    /// Starts the app as its user does: signs in with the device API (if there is one), connects, registers.
    pub async fn register(&self) -> Result<(), PhoneError> {
        self.order(Order::Register).await
    }

    /// The app goes to the background and is suspended: its connection closes, its registration stays.
    pub async fn suspend(&self) -> Result<(), PhoneError> {
        self.order(Order::Suspend).await
    }

    /// The app goes to the background and is frozen, its connection still up (`silent`): what comes over it waits until
    /// a push or the user brings the app back. With a device API it tells the server.
    pub async fn background(&self) -> Result<(), PhoneError> {
        self.order(Order::Background).await
    }

    /// The user opens the app: it connects if need be, registers, and gets what waited for it.
    pub async fn resume(&self) -> Result<(), PhoneError> {
        self.order(Order::Resume).await
    }

    /// The user taps on a notification: the app opens.
    pub async fn tap(&self) -> Result<(), PhoneError> {
        self.order(Order::Tap).await
    }

    /// Answers a call. One that rings by `CallKit` only is answered when its INVITE arrives.
    pub async fn answer(&self, call: &str) -> Result<(), PhoneError> {
        self.order(Order::Answer(call.to_owned())).await
    }

    /// Declines a call for all of the user's devices (`603`), one that rings by `CallKit` only when its INVITE arrives.
    pub async fn decline(&self, call: &str) -> Result<(), PhoneError> {
        self.order(Order::Decline(call.to_owned())).await
    }

    /// Ends a call: BYE, or CANCEL while it is not answered yet, or `603` while it rings here.
    pub async fn hangup(&self, call: &str) -> Result<(), PhoneError> {
        self.order(Order::Hangup(call.to_owned())).await
    }

    /// Calls somebody; gives the call's name at once. What becomes of it is an event.
    pub async fn call(&self, uri: &str) -> Result<String, PhoneError> {
        let uri = uri.to_owned();
        match self.command(Order::Call { uri }).await? {
            Done::Calling(call) => Ok(call),
            done => unreachable!("a call answered with {done:?}"),
        }
    }

    /// Sends a text message, over XMPP if `uri` is one of it or the phone has no other door; gives the server's status: 200 delivered, 202 kept.
    ///
    /// # Errors
    /// [`PhoneError::Refused`] with any other final status.
    pub async fn send_message(&self, uri: &str, text: &str) -> Result<u16, PhoneError> {
        let (uri, text) = (uri.to_owned(), text.to_owned());
        match self.command(Order::Send { uri, text }).await? {
            Done::Sent(status) => Ok(status),
            done => unreachable!("a message answered with {done:?}"),
        }
    }

    /// The phone leaves its network for another one, as it does from Wi-Fi to mobile data: its connection is gone, and it
    /// registers from another address or port.
    pub async fn change_network(&self) -> Result<(), PhoneError> {
        self.order(Order::ChangeNetwork).await
    }

    /// The same, into a network where its servers are found elsewhere.
    pub async fn move_to(&self, place: Place) -> Result<(), PhoneError> {
        let moved = self.commanded(Order::ChangeNetwork, Some(place));
        moved.await.map(drop)
    }

    /// Says in every call that is up where the phone is now (re-INVITE).
    pub async fn renew(&self) -> Result<(), PhoneError> {
        self.order(Order::Renew).await
    }

    /// The app dies: no word to the server, nothing remembered but what the platform and the disk keep. A call push
    /// starts it again.
    pub async fn crash(&self) -> Result<(), PhoneError> {
        self.order(Order::Crash).await
    }

    /// Shows the user so, over XMPP.
    pub async fn show(&self, show: Show) -> Result<(), PhoneError> {
        self.order(Order::Show(show)).await
    }

    /// Asks somebody to let us see them, over XMPP.
    pub async fn subscribe(&self, to: &str) -> Result<(), PhoneError> {
        let to = to.to_owned();
        self.order(Order::Subscribe { to }).await
    }

    /// Signs out: the server forgets the phone, the app closes.
    pub async fn unregister(&self) -> Result<(), PhoneError> {
        self.order(Order::Unregister).await
    }

    /// Switches the phone off, as a crash does, and returns when no task of it is left.
    pub async fn shutdown(&self) {
        // An error means that it is gone already.
        let _ = self.order(Order::SwitchOff).await;
        self.commands.closed().await;
    }

    /// Everything that happened, the oldest first (the last 10,000 entries).
    pub fn events(&self) -> Vec<Entry> {
        self.log.since(0)
    }

    /// What happened from entry number `seq` on.
    pub fn events_since(&self, seq: u64) -> Vec<Entry> {
        self.log.since(seq)
    }

    /// The number that the next entry will get: a mark for [`Phone::wait_for_since`].
    pub fn mark(&self) -> u64 {
        self.log.position()
    }

    /// The first entry that `wanted` takes, out of everything that happened and will happen within `patience`.
    ///
    /// # Errors
    /// [`PhoneError::Waited`] with what happened instead.
    pub async fn wait_for(
        &self,
        wanted: impl FnMut(&PhoneEvent) -> bool,
        patience: Duration,
    ) -> Result<Entry, PhoneError> {
        self.wait_for_since(0, wanted, patience).await
    }

    /// The same, out of what happened from entry number `seq` on.
    ///
    /// # Errors
    /// [`PhoneError::Waited`] with what happened instead.
    pub async fn wait_for_since(
        &self,
        seq: u64,
        wanted: impl FnMut(&PhoneEvent) -> bool,
        patience: Duration,
    ) -> Result<Entry, PhoneError> {
        let found = self.log.find(seq, patience, wanted).await;
        found.ok_or_else(|| PhoneError::Waited {
            patience,
            happened: self
                .log
                .since(seq)
                .into_iter()
                .map(|entry| entry.event)
                .collect(),
        })
    }

    /// Returns when there is an entry number `seq`.
    pub async fn changed(&self, seq: u64) {
        // Far away, but not so far that the clock overflows.
        self.log
            .find(seq, Duration::from_hours(24 * 365), |_| true)
            .await;
    }

    async fn order(&self, order: Order) -> Result<(), PhoneError> {
        self.command(order).await.map(drop)
    }

    async fn command(&self, order: Order) -> Result<Done, PhoneError> {
        self.commanded(order, None).await
    }

    async fn commanded(&self, order: Order, place: Option<Place>) -> Result<Done, PhoneError> {
        let (reply, answer) = oneshot::channel();
        let command = Command {
            order,
            place,
            reply,
        };
        let sent = self.commands.send(command).await;
        sent.map_err(|_| PhoneError::Off)?;
        answer.await.map_err(|_| PhoneError::Off)?
    }
}
