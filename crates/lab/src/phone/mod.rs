//! A simulated phone: a real SIP client on real sockets, which sleeps, takes its pushes from the simulated clouds, and
//! keeps the platforms' rules (`behaviour.md` 4, 5, 7, 12). Nothing here trusts the server to be right: a phone that
//! iOS would kill says so.
//!
//! [`Phone`] is a cheap handle to one task, which is the app and the device's operating system in one: the session
//! (connection and transactions) lives only while the app runs, the inbox of pushes always does.
//!
//! ```text
//! inbox (long poll) ── pushes ──┐
//! Phone (handle) ── commands ───┼─> actor ──> session (net + sip::Endpoint) ──> server
//! timers ───────────────────────┘      └────> log of PhoneEvents
//! ```

mod actor;
mod auth;
mod call;
mod calls;
mod config;
mod device_api;
mod entropy;
mod event;
mod inbox;
mod messages;
mod modes;
mod pushes;
mod registration;
mod requests;
mod sdp;
mod session;
pub mod terminal;
mod timers;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use actor::{Actor, Command, Order};
use device_api::DeviceApi;
use event::Log;

pub use config::{PhoneConfig, PushService, Tokens};
pub use event::{Caller, Entry, PhoneEvent};

/// Commands that may wait for the phone; a further one waits to be queued.
const COMMANDS: usize = 64;

/// A simulated phone. Clones speak of the same one; when the last is dropped, the phone is gone without a word.
#[derive(Clone)]
pub struct Phone {
    config: Arc<PhoneConfig>,
    commands: mpsc::Sender<Command>,
    log: Log,
    device_api: Option<DeviceApi>,
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
        let device_api = DeviceApi::of(&config);
        let actor = Actor::new(config.clone(), log.clone(), device_api.clone(), inbox).await?;
        tokio::spawn(actor.run());
        Ok(Self {
            config,
            commands,
            log,
            device_api,
        })
    }

    /// What it is.
    pub fn config(&self) -> &PhoneConfig {
        &self.config
    }

    /// Starts the app as its user does: signs in with the device API (if there is one), connects, registers.
    pub async fn register(&self) -> Result<(), PhoneError> {
        if let Some(api) = &self.device_api {
            api.publish().await?;
        }
        self.order(Order::Open).await
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
        self.order(Order::Open).await
    }

    /// The user taps on a notification: the app opens.
    pub async fn tap(&self) -> Result<(), PhoneError> {
        self.log.write(PhoneEvent::Tapped);
        self.order(Order::Open).await
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
        let (reply, answer) = oneshot::channel();
        self.command(
            Command::Call {
                uri: uri.to_owned(),
                reply,
            },
            answer,
        )
        .await
    }

    /// Sends a text message; gives the server's status: 200 delivered, 202 kept.
    ///
    /// # Errors
    /// [`PhoneError::Refused`] with any other final status.
    pub async fn send_message(&self, uri: &str, text: &str) -> Result<u16, PhoneError> {
        let (reply, answer) = oneshot::channel();
        self.command(
            Command::Send {
                uri: uri.to_owned(),
                text: text.to_owned(),
                reply,
            },
            answer,
        )
        .await
    }

    /// The app dies: no word to the server, nothing remembered but what the platform and the disk keep. A call push
    /// starts it again.
    pub async fn crash(&self) -> Result<(), PhoneError> {
        self.order(Order::Crash).await
    }

    /// Signs out: the server forgets the phone, the app closes.
    pub async fn unregister(&self) -> Result<(), PhoneError> {
        self.order(Order::Unregister).await
    }

    /// Switches the phone off, as a crash does, and returns when no task of it is left.
    pub async fn shutdown(&self) {
        // An error means that it is gone already.
        let _ = self.order(Order::Shutdown).await;
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
        let (reply, answer) = oneshot::channel();
        self.command(Command::Order { order, reply }, answer).await
    }

    async fn command<T>(
        &self,
        command: Command,
        answer: oneshot::Receiver<Result<T, PhoneError>>,
    ) -> Result<T, PhoneError> {
        self.commands
            .send(command)
            .await
            .map_err(|_| PhoneError::Off)?;
        answer.await.map_err(|_| PhoneError::Off)?
    }
}

/// What a phone cannot do.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    /// It was shut down.
    #[error("the phone is switched off")]
    Off,
    /// The app is not running: resume it first.
    #[error("the app is not running; `resume` it first")]
    NotRunning,
    /// No call of that name, or not in a state for this.
    #[error("no such call, or not in a state for this: {0}")]
    NoSuchCall(String),
    /// The server refused, or did not answer (408), or the connection failed (503).
    #[error("the server answered {status} {reason}")]
    Refused {
        /// Its final status.
        status: u16,
        /// In words.
        reason: String,
    },
    /// Too much at once.
    #[error("{0}")]
    Busy(String),
    /// What was waited for did not happen.
    #[error("waited {patience:?} in vain; what happened: {happened:?}")]
    Waited {
        /// For so long.
        patience: Duration,
        /// Everything since the mark.
        happened: Vec<PhoneEvent>,
    },
    /// The lab's control API.
    #[error("the lab's control API: {0}")]
    Lab(String),
    /// The device API.
    #[error("the device API: {0}")]
    DeviceApi(String),
    /// An API does not answer.
    #[error(transparent)]
    Http(#[from] net::http::HttpError),
    /// No socket.
    #[error(transparent)]
    Bind(#[from] net::BindError),
}
