//! The one task of a phone: takes commands, pushes, what the sockets say and timers, one at a time, and hands each to the
//! file that knows about it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sip::endpoint::{ClientTxn, Event};
use sip::{Message, Method};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::calls::Calls;
use super::device_api::DeviceApi;
use super::event::Log;
use super::inbox::{Inbox, Push};
use super::messages::Seen;
use super::pushes::Expected;
use super::registration::{Registration, Reply};
use super::session::Session;
use super::{PhoneConfig, PhoneError, PhoneEvent};

/// Pushes that wait for the phone; the inbox waits when it is full.
const PUSHES: usize = 256;

/// Requests of ours without a final answer; a further one is refused.
const MOST_OUTGOING: usize = 256;

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

/// What the app is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// Not started, signed out, crashed or killed.
    Off,
    Foreground,
    Background,
    Suspended,
}

/// A request of ours that waits for its final answer.
pub(super) struct Outgoing {
    pub(super) request: Message,
    /// How often it was sent, each time with better credentials.
    pub(super) round_trips: u32,
    pub(super) purpose: Purpose,
}

pub(super) enum Purpose {
    Register,
    /// The INVITE of this call.
    Invite(String),
    Bye,
    Message {
        reply: oneshot::Sender<Result<u16, PhoneError>>,
    },
}

/// What becomes due.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Timer {
    /// Register again.
    Register,
    /// Answer this call by itself.
    Answer(String),
    /// The INVITE of this pushed call should be here.
    Expected(String),
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
    outgoing: HashMap<ClientTxn, Outgoing>,
    device_api: Option<DeviceApi>,
    commands: mpsc::Receiver<Command>,
    pushes: mpsc::Receiver<Push>,
    inboxes: JoinSet<()>,
    /// What is being told to the device API.
    telling: JoinSet<()>,
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

    /// Brings the app to the foreground, with a connection.
    pub(super) async fn open(&mut self, by_push: bool) -> Result<(), PhoneError> {
        if self.session.is_none() {
            self.session = Some(Session::open(&self.phone).await?);
        }
        if self.mode != Mode::Foreground {
            self.mode = Mode::Foreground;
            self.log.write(PhoneEvent::Resumed { by_push });
            self.tell_mode("foreground");
            self.catch_up();
        }
        Ok(())
    }

    /// Reads what came over the connection while the app was frozen; a connection that broke meanwhile is opened anew.
    fn catch_up(&mut self) {
        while let Some(event) = self.session.as_mut().and_then(Session::try_recv) {
            let lost = self
                .session
                .as_mut()
                .is_some_and(|session| session.handle(event));
            self.settle();
            if let (true, Some(session)) = (lost, &mut self.session) {
                self.log.write(PhoneEvent::ConnectionLost);
                session.reconnect(&self.phone);
            }
        }
    }

    async fn suspend(&mut self) -> Result<(), PhoneError> {
        if self.mode == Mode::Off {
            return Err(PhoneError::NotRunning);
        }
        self.mode = Mode::Suspended;
        self.close_session().await;
        self.log.write(PhoneEvent::Suspended);
        Ok(())
    }

    /// The app is frozen: the platform keeps its connection, but it reads nothing and no timer of it runs. The server is
    /// told before the phone says that it is there, so that who waits for that finds it so.
    async fn background(&mut self) -> Result<(), PhoneError> {
        if self.session.is_none() {
            return Err(PhoneError::NotRunning);
        }
        if let Some(api) = &self.device_api {
            // Only after what is being told already, or the server hears it in the wrong order.
            while self.telling.join_next().await.is_some() {}
            api.mode("suspended").await?;
        }
        self.mode = Mode::Background;
        self.timers.clear_but_expected();
        self.log.write(PhoneEvent::Backgrounded);
        Ok(())
    }

    /// The app's process ends: what it had in memory is gone.
    pub(super) async fn die(&mut self) {
        self.mode = Mode::Off;
        self.close_session().await;
        self.registration = Registration::new(&self.phone);
        self.expected.clear();
        self.calls = Calls::default();
    }

    async fn close_session(&mut self) {
        self.timers.clear_but_expected();
        self.outgoing.clear();
        self.registration.interrupt();
        self.drop_calls();
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    fn tell_mode(&mut self, mode: &'static str) {
        if let Some(api) = self.device_api.clone() {
            while self.telling.try_join_next().is_some() {}
            self.telling.spawn(async move {
                if let Err(error) = api.mode(mode).await {
                    tracing::debug!(%error, "the device API was not told the mode");
                }
            });
        }
    }

    pub(super) fn is_foreground(&self) -> bool {
        self.mode == Mode::Foreground
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
            }
        }
    }

    /// Acts on all that the transaction layer has to say, and sends what is due.
    fn settle(&mut self) {
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

    fn on_response(&mut self, txn: ClientTxn, response: &Message) {
        let status = response.status().unwrap_or_default();
        if let Some(Outgoing {
            purpose: Purpose::Invite(call),
            ..
        }) = self.outgoing.get(&txn)
        {
            let call = call.clone();
            match status {
                ..200 => return self.on_progress(&call, status),
                // Kept: a repeated 2xx wants its ACK again.
                200..300 => return self.on_answered(&call, response),
                300.. => {}
            }
        } else if status < 200 {
            return;
        }
        let Some(sent) = self.outgoing.remove(&txn) else {
            return;
        };
        match sent.purpose {
            Purpose::Register => self.on_register_response(sent, response),
            _ if matches!(status, 401 | 407) && sent.round_trips == 1 => {
                self.send_with_credentials(sent, response);
            }
            Purpose::Message { reply } if status < 300 => {
                self.on_message_sent(&sent.request, status, reply);
            }
            _ => self.on_failed(sent, status, &String::from_utf8_lossy(response.reason())),
        }
    }

    pub(super) fn on_failed(&mut self, sent: Outgoing, status: u16, reason: &str) {
        let reason = reason.to_owned();
        match sent.purpose {
            Purpose::Register => self.registration_failed(status, reason),
            Purpose::Invite(call) => self.on_call_failed(&call, status, reason),
            Purpose::Message { reply } => {
                drop(reply.send(Err(PhoneError::Refused { status, reason })));
            }
            Purpose::Bye => {}
        }
    }

    /// Sends a request of ours; what becomes of it finds its way by `purpose`.
    pub(super) fn send(&mut self, outgoing: Outgoing) -> Option<ClientTxn> {
        let session = self.session.as_mut()?;
        let sent = if self.outgoing.len() < MOST_OUTGOING {
            session.request(&outgoing.request).ok()
        } else {
            None
        };
        match sent {
            Some(txn) => {
                self.outgoing.insert(txn, outgoing);
            }
            None => self.on_failed(outgoing, 503, "Too Many Requests At Once"),
        }
        sent
    }

    /// The call's INVITE needs no more answers.
    pub(super) fn forget_invite(&mut self, call: &str) {
        self.outgoing
            .retain(|_, sent| !matches!(&sent.purpose, Purpose::Invite(of) if of == call));
    }

    pub(super) fn respond(&mut self, txn: sip::endpoint::ServerTxn, status: u16, reason: &str) {
        if let Some(session) = &mut self.session {
            session
                .endpoint()
                .answer(Instant::now(), txn, status, reason);
        }
    }
}

/// The phone's own timers; a handful at a time.
#[derive(Default)]
pub(super) struct Timers(Vec<(Instant, Timer)>);

impl Timers {
    /// Sets `timer`, instead of an equal one.
    pub(super) fn replace(&mut self, timer: Timer, after: Duration) {
        self.cancel(&timer);
        self.0.push((Instant::now() + after, timer));
    }

    pub(super) fn cancel(&mut self, timer: &Timer) {
        self.0.retain(|(_, set)| set != timer);
    }

    /// A sleeping app's timers do not run; that the platform waits for a call does not depend on the app.
    fn clear_but_expected(&mut self) {
        self.0
            .retain(|(_, timer)| matches!(timer, Timer::Expected(_)));
    }

    fn next(&self) -> Option<Instant> {
        self.0.iter().map(|(due, _)| *due).min()
    }

    fn pop(&mut self, now: Instant) -> Option<Timer> {
        let place = self.0.iter().position(|(due, _)| *due <= now)?;
        Some(self.0.swap_remove(place).1)
    }
}
