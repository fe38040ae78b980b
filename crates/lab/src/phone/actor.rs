//! The one task of a phone: takes commands, pushes, what the sockets say and timers, one at a time, and hands each to the
//! file that knows about it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use sip::Method;
use sip::endpoint::{ClientTxn, Event};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::calls::Calls;
use super::device_api::DeviceApi;
use super::event::Log;
use super::inbox::{Inbox, Push};
use super::messages::Seen;
use super::modes::Mode;
use super::pushes::Expected;
use super::registration::{Registration, Reply};
use super::requests::Outgoing;
use super::session::Session;
use super::timers::{Timer, Timers};
use super::{PhoneConfig, PhoneError, PhoneEvent};

/// Pushes that wait for the phone; the inbox waits when it is full.
const PUSHES: usize = 256;

/// What the handle asks for.
pub(super) enum Command {
    Order {
        order: Order,
        reply: Reply,
    },
    Call {
        uri: String,
        reply: oneshot::Sender<Result<String, PhoneError>>,
    },
    Send {
        uri: String,
        text: String,
        reply: oneshot::Sender<Result<u16, PhoneError>>,
    },
}

/// A command that answers with nothing but success.
pub(super) enum Order {
    Open,
    Suspend,
    Background,
    Crash,
    Unregister,
    Answer(String),
    Decline(String),
    Hangup(String),
    Shutdown,
}

pub(super) struct Actor {
    pub(super) phone: Arc<PhoneConfig>,
    pub(super) log: Log,
    pub(super) mode: Mode,
    pub(super) session: Option<Session>,
    pub(super) registration: Registration,
    pub(super) calls: Calls,
    /// Pushed calls whose INVITE is not here yet.
    pub(super) expected: Vec<Expected>,
    /// Messages that were delivered.
    pub(super) seen: Seen,
    /// iOS sends no `voip` pushes any more, for the app broke its rule.
    pub(super) voip_blocked: bool,
    pub(super) timers: Timers,
    pub(super) outgoing: HashMap<ClientTxn, Outgoing>,
    pub(super) device_api: Option<DeviceApi>,
    commands: mpsc::Receiver<Command>,
    pushes: mpsc::Receiver<Push>,
    inboxes: JoinSet<()>,
    /// What is being told to the device API.
    pub(super) telling: JoinSet<()>,
}

/// What the task woke up for.
enum Wake {
    Command(Option<Command>),
    Push(Push),
    Net(Option<net::Event>),
    Time,
}

impl Actor {
    pub(super) async fn new(
        phone: Arc<PhoneConfig>,
        log: Log,
        device_api: Option<DeviceApi>,
        commands: mpsc::Receiver<Command>,
    ) -> Result<Self, PhoneError> {
        let (sender, pushes) = mpsc::channel(PUSHES);
        let mut inboxes = JoinSet::new();
        if let Some(lab) = &phone.lab {
            for (token, channel) in phone.token_channels() {
                let inbox = Inbox::open(lab, token, channel, phone.keys.clone()).await?;
                inboxes.spawn(inbox.run(sender.clone()));
            }
        }
        Ok(Self {
            registration: Registration::new(&phone),
            phone,
            log,
            mode: Mode::Off,
            session: None,
            calls: Calls::default(),
            expected: Vec::new(),
            seen: Seen::default(),
            voip_blocked: false,
            timers: Timers::default(),
            outgoing: HashMap::new(),
            device_api,
            commands,
            pushes,
            inboxes,
            telling: JoinSet::new(),
        })
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.wake().await {
                Wake::Command(Some(Command::Order {
                    order: Order::Shutdown,
                    reply,
                })) => {
                    self.close_session().await;
                    self.inboxes.shutdown().await;
                    self.telling.shutdown().await;
                    let _ = reply.send(Ok(()));
                    return;
                }
                Wake::Command(Some(command)) => self.on_command(command).await,
                Wake::Command(None) => return,
                Wake::Push(push) => self.on_push(push).await,
                Wake::Net(Some(event)) => self.on_net(event),
                Wake::Net(None) => self.close_session().await,
                Wake::Time => self.on_time().await,
            }
            self.settle();
        }
    }

    async fn wake(&mut self) -> Wake {
        let frozen = self.mode == Mode::Background;
        let session_due = self
            .session
            .as_ref()
            .filter(|_| !frozen)
            .and_then(Session::next_timeout);
        let due = self.timers.next().into_iter().chain(session_due).min();
        let time = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        let net = async {
            match &mut self.session {
                Some(session) if !frozen => session.recv().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            command = self.commands.recv() => Wake::Command(command),
            Some(push) = self.pushes.recv() => Wake::Push(push),
            event = net => Wake::Net(event),
            () = time => Wake::Time,
        }
    }

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::Call { uri, reply } => drop(reply.send(self.call(&uri))),
            Command::Send { uri, text, reply } => self.send_message(&uri, &text, reply),
            Command::Order { order, reply } => match order {
                Order::Open => {
                    if let Err(error) = self.open(false).await {
                        let _ = reply.send(Err(error));
                    } else {
                        self.register(Some(reply));
                    }
                }
                Order::Unregister if self.session.is_some() => self.unregister(reply),
                order => drop(reply.send(self.on_order(order).await)),
            },
        }
    }

    async fn on_order(&mut self, order: Order) -> Result<(), PhoneError> {
        match order {
            Order::Suspend => self.suspend().await,
            Order::Background => self.background().await,
            Order::Crash => {
                self.log.write(PhoneEvent::Crashed);
                self.die().await;
                Ok(())
            }
            Order::Answer(call) => self.answer(&call),
            Order::Decline(call) => self.decline(&call),
            Order::Hangup(call) => self.hangup(&call),
            Order::Open | Order::Unregister | Order::Shutdown => Err(PhoneError::NotRunning),
        }
    }

    fn on_net(&mut self, event: net::Event) {
        let registering = self.registration.is_under_way();
        let lost = self
            .session
            .as_mut()
            .is_some_and(|session| session.handle(event));
        self.settle();
        if lost {
            self.log.write(PhoneEvent::ConnectionLost);
            // A registration that was under way has failed with the connection, and is tried again for that.
            if !registering {
                self.retry_registration();
            }
        }
    }

    async fn on_time(&mut self) {
        if let Some(session) = &mut self.session {
            session.handle_timeout();
        }
        while let Some(timer) = self.timers.pop(Instant::now()) {
            match timer {
                Timer::Register => {
                    if let Some(session) = &mut self.session {
                        session.reconnect(&self.phone);
                        self.register(None);
                    }
                }
                Timer::Answer(call) => drop(self.answer(&call)),
                Timer::Expected(call) => self.on_invite_missing(&call).await,
                Timer::Moment => self.sleep_on().await,
            }
        }
    }

    /// Acts on all that the transaction layer has to say, and sends what is due.
    pub(super) fn settle(&mut self) {
        while let Some(event) = self.session.as_mut().and_then(Session::poll) {
            self.on_sip(event);
        }
    }

    fn on_sip(&mut self, event: Event) {
        match event {
            Event::Request { txn, request, .. } => match request.method() {
                Some(Method::Invite) => self.on_invite(txn, &request),
                Some(Method::Bye) => self.on_bye(txn, &request),
                Some(Method::Message) => self.on_message(txn, &request),
                Some(Method::Options) => self.respond(txn, 200, ""),
                _ => self.respond(txn, 405, ""),
            },
            Event::Ack { txn: Some(txn), .. } => self.on_ack(txn),
            Event::AckMissing { txn } => self.on_ack_missing(txn),
            Event::Cancelled { txn, reason, .. } => self.on_cancelled(txn, reason.as_deref()),
            Event::Response { txn, response } => self.on_response(txn, &response),
            Event::Failed { txn, status } => {
                if let Some(sent) = self.outgoing.remove(&txn) {
                    self.on_failed(sent, status, sip::reason_phrase(status));
                }
            }
            // The rest concerns proxies.
            _ => {}
        }
    }

    pub(super) fn respond(&mut self, txn: sip::endpoint::ServerTxn, status: u16, reason: &str) {
        if let Some(session) = &mut self.session {
            session
                .endpoint()
                .answer(Instant::now(), txn, status, reason);
        }
    }
}
