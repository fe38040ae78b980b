//! The one task of a phone: hands the machine what happens, one thing at a time, and does what it says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use sip::Uri;
use sip::endpoint::{Flow, Transport};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::device_api::DeviceApi;
use super::inbox::Inbox;
use super::link::{Link, Server};
use super::log::Log;
use super::made_up;
use super::stream::Streams;
use crate::phone::chat;
use crate::phone::machine::{
    self, ConnectionId, Done, Input, Link as Happened, Order, OrderId, Output, Push, WordId,
};
use crate::phone::{PhoneConfig, PhoneError, Place};

/// Pushes that wait for the phone; the inbox waits when it is full.
const PUSHES: usize = 256;

/// Orders that wait for their answers; a further one is refused.
const MOST_ORDERS: usize = 1_000;

pub(super) type Reply = oneshot::Sender<Result<Done, PhoneError>>;

/// What the handle asks for.
pub(super) struct Command {
    pub(super) order: Order,
    /// Where the phone is from now on.
    pub(super) place: Option<Place>,
    pub(super) reply: Reply,
}

type Told = (WordId, Result<(), String>);

pub(super) struct Actor {
    config: Arc<PhoneConfig>,
    /// Where it registers.
    server: Server,
    /// Where the push that wakes it wants it to register; or why it cannot.
    pushed: Option<Result<Server, String>>,
    machine: machine::Phone,
    log: Log,
    link: Option<Link>,
    streams: Streams,
    device_api: Option<DeviceApi>,
    /// Orders so far.
    orders: u64,
    replies: BTreeMap<OrderId, Reply>,
    commands: mpsc::Receiver<Command>,
    pushes: mpsc::Receiver<Push>,
    inboxes: JoinSet<()>,
    /// What is being told to the device API.
    telling: JoinSet<Told>,
}

/// What the task woke up for.
enum Wake {
    Command(Option<Command>),
    Push(Push),
    Net(Option<net::Event>),
    Chat(chat::Link),
    Told(Told),
    Time,
}

impl Actor {
    pub(super) async fn new(
        config: Arc<PhoneConfig>,
        log: Log,
        commands: mpsc::Receiver<Command>,
    ) -> Result<Self, PhoneError> {
        let (sender, pushes) = mpsc::channel(PUSHES);
        let mut inboxes = JoinSet::new();
        if let Some(lab) = &config.lab {
            for (token, channel) in config.token_channels() {
                let inbox =
                    Inbox::open(lab, token, channel, (&config.service, config.keys.clone()));
                let inbox = inbox.await?;
                inboxes.spawn(inbox.run(sender.clone()));
            }
        }
        Ok(Self {
            machine: machine::Phone::new(Instant::now(), config.clone(), made_up::seed()),
            device_api: DeviceApi::of(&config),
            streams: Streams::of(&config),
            server: config.server,
            pushed: None,
            config,
            log,
            link: None,
            orders: 0,
            replies: BTreeMap::new(),
            commands,
            pushes,
            inboxes,
            telling: JoinSet::new(),
        })
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.wake().await {
                Wake::Command(Some(command)) => {
                    let last = command.order == Order::SwitchOff;
                    self.command(command);
                    if last {
                        self.perform().await;
                        self.inboxes.shutdown().await;
                        self.streams.shutdown().await;
                        return self.telling.shutdown().await;
                    }
                }
                Wake::Command(None) => return,
                Wake::Push(push) => {
                    if self.config.registers_where_pushed {
                        self.pushed = Some(self.found(push.register_at.as_deref()));
                    }
                    self.handle(Input::Push(push));
                    self.perform().await;
                    // One that has not woken it says nothing of the next time.
                    self.pushed = None;
                }
                Wake::Net(Some(event)) => self.on_net(event),
                Wake::Net(None) => self.link = None,
                Wake::Chat(link) => self.handle(Input::Chat(link)),
                Wake::Told((word, result)) => {
                    self.handle(Input::Told { word, result });
                }
                Wake::Time => self.handle(Input::Time),
            }
            self.perform().await;
        }
    }

    async fn wake(&mut self) -> Wake {
        let due = self.machine.next_timeout();
        let time = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        let net = async {
            match &mut self.link {
                Some(link) => link.recv().await,
                None => std::future::pending().await,
            }
        };
        // What has happened comes before what is wanted, so that an order finds the phone as it is.
        tokio::select! {
            biased;
            event = net => Wake::Net(event),
            Some(link) = self.streams.recv() => Wake::Chat(link),
            Some(Ok(told)) = self.telling.join_next() => Wake::Told(told),
            Some(push) = self.pushes.recv() => Wake::Push(push),
            command = self.commands.recv() => Wake::Command(command),
            () = time => Wake::Time,
        }
    }

    fn handle(&mut self, input: Input) {
        self.machine.handle(Instant::now(), input);
    }

    fn command(
        &mut self,
        Command {
            order,
            place,
            reply,
        }: Command,
    ) {
        if let Some(place) = &place {
            self.move_to(place);
        }
        if self.replies.len() == MOST_ORDERS {
            let busy = format!("{MOST_ORDERS} orders wait for their answers already");
            return drop(reply.send(Err(PhoneError::Busy(busy))));
        }
        self.orders += 1;
        let id = OrderId(self.orders);
        self.replies.insert(id, reply);
        self.handle(Input::Order { id, order });
    }

    fn move_to(&mut self, place: &Place) {
        (self.server, self.pushed) = (place.server, None);
        self.streams.move_to(place.xmpp);
        if let (Some(api), Some(url)) = (&mut self.device_api, &place.device_api) {
            api.move_to(url);
        }
    }

    /// Where a SIP URI leads from here: the server's name to the host that we know.
    fn found(&self, uri: Option<&str>) -> Result<Server, String> {
        let no = || format!("the push wants it to register at {uri:?}");
        let uri = uri.and_then(Uri::parse).filter(|uri| uri.scheme == "sip");
        let uri = uri.ok_or_else(no)?;
        let (transport, port) = Transport::for_uri(&uri);
        let is_server = uri.host.eq_ignore_ascii_case(&self.config.domain);
        let ip = if is_server {
            self.server.1.ip()
        } else {
            let literal = uri.host.trim_matches(['[', ']']).parse();
            literal.map_err(|_| no())?
        };
        Ok((transport, SocketAddr::new(ip, port)))
    }

    fn on_net(&mut self, event: net::Event) {
        let happened = match event {
            net::Event::Message { flow, message } => Happened::Received { flow, message },
            net::Event::Closed { flow } => Happened::Closed { flow },
            net::Event::Malformed { reason, .. } => {
                return tracing::warn!(reason, "the phone got a malformed message");
            }
            // A phone serves none.
            net::Event::Xmpp(..) => return,
        };
        self.handle(Input::Link(happened));
    }

    /// Does all that the machine wants done.
    async fn perform(&mut self) {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Transmit(transmit) => {
                    if let Some(link) = &self.link {
                        link.send(transmit);
                    }
                }
                Output::Chat(output) => self.chat(output),
                Output::Connect { connection } => self.connect(connection).await,
                // A socket cannot be left without a FIN; over UDP the two are the same.
                Output::Close { .. } | Output::Abandon { .. } => {
                    if let Some(link) = self.link.take() {
                        link.close().await;
                    }
                }
                Output::Tell { id, word } => {
                    if let Some(api) = self.device_api.clone() {
                        self.telling
                            .spawn(async move { (id, api.tell(word).await) });
                    }
                }
                Output::Done { order, result } => {
                    if let Some(reply) = self.replies.remove(&order) {
                        // Who asked may be gone.
                        let _ = reply.send(result);
                    }
                }
                Output::Event(event) => self.log.write(event),
            }
        }
        if let Some(link) = &self.link {
            link.flush();
        }
    }

    fn chat(&mut self, output: chat::Output) {
        match output {
            chat::Output::Connect(number) => self.streams.connect(number),
            chat::Output::Write(number, octets) => self.streams.write(number, octets),
            // A socket cannot be left without a FIN.
            chat::Output::Close(number) | chat::Output::Abandon(number) => {
                self.streams.close(number);
            }
            // The machine has put it into its own words.
            chat::Output::Event(_) => {}
        }
    }

    async fn connect(&mut self, connection: ConnectionId) {
        let opened = match self.pushed.take().unwrap_or(Ok(self.server)) {
            Ok(server) => self.open(server).await,
            Err(why) => Err(why),
        };
        self.handle(Input::Link(match opened {
            Ok(flow) => Happened::Opened { connection, flow },
            Err(why) => Happened::NotOpened { connection, why },
        }));
    }

    async fn open(&mut self, server: Server) -> Result<Flow, String> {
        if self.link.is_none() {
            let opened = Link::open(server, &self.config).await;
            self.link = Some(opened.map_err(|error| error.to_string())?);
        }
        let link = self.link.as_ref().ok_or("it was opened")?;
        Ok(link.connect(server, &self.config))
    }
}
