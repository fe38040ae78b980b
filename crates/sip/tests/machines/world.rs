//! A small world around one proxy: peers that are nothing but an inbox, so that a test decides every octet that they
//! send, and a clock that jumps.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sip::endpoint::{
    BranchId, Config, ContextId, Endpoint, Event, Flow, Input, Load, ServerTxn, Target, Transport,
};
use sip::{HeaderName, Limits, Message, ResponseBuilder, reason_phrase};

/// Our Record-Route value.
pub(crate) const RECORD_ROUTE: &str = "<sip:proxy.example;lr>";

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) proxy: Endpoint,
    pub(crate) transport: Transport,
    /// The owner makes every connection that a response waits for.
    pub(crate) redials: bool,
    events: VecDeque<Event>,
    inboxes: BTreeMap<SocketAddr, VecDeque<Message>>,
}

pub(crate) fn some_instant() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    Instant::now()
}

pub(crate) fn config() -> Config {
    let mut config = Config::new([7; 16]);
    config.is_ours = Arc::new(|host, port| host == "proxy.example" && port == 5060);
    config
}

pub(crate) fn address(peer: &str) -> SocketAddr {
    let host = match peer {
        "proxy" => 1,
        "caller" => 10,
        "phone" => 21,
        "tablet" => 22,
        "desk" => 23,
        _ => panic!("no peer {peer}"),
    };
    SocketAddr::from(([10, 0, 0, host], 5060))
}

pub(crate) fn message(text: &str) -> Message {
    let text = text.replace('\n', "\r\n");
    Message::parse(text.into(), &Limits::default()).unwrap()
}

/// A request of the caller to bob. Every `branch` is another transaction.
pub(crate) fn request(method: &str, branch: &str) -> String {
    format!(
        "{method} sip:bob@proxy.example SIP/2.0\n\
         Via: SIP/2.0/UDP 10.0.0.10:5060;branch=z9hG4bK{branch}\n\
         Max-Forwards: 70\n\
         From: <sip:alice@caller.example>;tag=alice\n\
         To: <sip:bob@proxy.example>\n\
         Call-ID: call@caller.example\n\
         CSeq: 1 {method}\n\
         Contact: <sip:alice@10.0.0.10>\n\
         Content-Length: 0\n\n"
    )
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn over_tcp() -> Self {
        let mut world = Self::new();
        world.transport = Transport::Tcp;
        world
    }

    pub(crate) fn with(config: Config) -> Self {
        Self {
            now: some_instant(),
            proxy: Endpoint::new(config),
            transport: Transport::Udp,
            redials: false,
            events: VecDeque::new(),
            inboxes: BTreeMap::new(),
        }
    }

    pub(crate) fn flow(&self, peer: &str) -> Flow {
        let reliable = self.transport.is_reliable();
        Flow {
            transport: self.transport,
            local: address("proxy"),
            remote: address(peer),
            id: if reliable {
                u64::from(address(peer).port())
            } else {
                0
            },
        }
    }

    /// A peer sends this text.
    pub(crate) fn send(&mut self, peer: &str, text: &str) {
        self.send_message(peer, message(text));
    }

    pub(crate) fn send_message(&mut self, peer: &str, message: Message) {
        let flow = self.flow(peer);
        self.proxy
            .handle(self.now, Input::Received { flow, message });
        self.drain();
    }

    pub(crate) fn flow_fails(&mut self, peer: &str) {
        let flow = self.flow(peer);
        self.proxy.handle(self.now, Input::FlowFailed { flow });
        self.drain();
    }

    /// The owner does something.
    pub(crate) fn owner<R>(&mut self, act: impl FnOnce(&mut Endpoint, Instant) -> R) -> R {
        let result = act(&mut self.proxy, self.now);
        self.drain();
        result
    }

    /// Time passes, and everything that is due on the way happens when it is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.proxy.next_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.proxy.handle_timeout(at);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn pass_ms(&mut self, milliseconds: u64) {
        self.pass(Duration::from_millis(milliseconds));
    }

    pub(crate) fn drain(&mut self) {
        while let Some(transmit) = self.proxy.poll_transmit() {
            let message = Message::parse(transmit.bytes, &Limits::default()).unwrap();
            // The answer to a bad request repeats what is bad in it.
            assert!(
                message.status() == Some(400) || message.validate().is_ok(),
                "{message:?}"
            );
            assert_eq!(transmit.flow.transport, self.transport);
            self.inboxes
                .entry(transmit.flow.remote)
                .or_default()
                .push_back(message);
        }
        while let Some(event) = self.proxy.poll_event() {
            if let (true, Event::ResponseStranded { txn, .. }) = (self.redials, &event) {
                self.proxy.move_response(*txn, self.flow("caller"));
                return self.drain();
            }
            self.events.push_back(event);
        }
    }

    /// The next message that a peer got.
    pub(crate) fn next(&mut self, peer: &str) -> Message {
        self.try_next(peer)
            .unwrap_or_else(|| panic!("nothing for {peer}"))
    }

    pub(crate) fn try_next(&mut self, peer: &str) -> Option<Message> {
        self.inboxes.get_mut(&address(peer))?.pop_front()
    }

    /// All that a peer got, in short: `INVITE`, `180`, and with a Reason `CANCEL SIP;cause=200`.
    pub(crate) fn seen(&mut self, peer: &str) -> Vec<String> {
        let inbox = self.inboxes.entry(address(peer)).or_default();
        inbox.drain(..).map(|message| summary(&message)).collect()
    }

    /// All that the owner was told.
    pub(crate) fn told(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// The transaction of the one new request that the owner was told of.
    pub(crate) fn arrived(&mut self) -> ServerTxn {
        let events = self.told();
        match &events[..] {
            [Event::Request { txn, .. }] => *txn,
            other => panic!("expected one request, not {other:?}"),
        }
    }

    /// The caller calls, and the owner opens a context.
    pub(crate) fn call(&mut self) -> ContextId {
        self.open(&request("INVITE", "call"))
    }

    pub(crate) fn open(&mut self, text: &str) -> ContextId {
        self.send("caller", text);
        let txn = self.arrived();
        self.owner(|proxy, now| proxy.open(now, txn)).unwrap()
    }

    pub(crate) fn target(&self, peer: &str) -> Target {
        let mut target = Target::new(format!("sip:bob@{}", address(peer).ip()), self.flow(peer));
        target.record_route = Some(RECORD_ROUTE.to_owned());
        target
    }

    pub(crate) fn fork(&mut self, context: ContextId, peer: &str) -> BranchId {
        let target = self.target(peer);
        self.owner(|proxy, now| proxy.fork(now, context, &target))
            .unwrap()
    }

    pub(crate) fn hold(&mut self, context: ContextId, held: bool) {
        self.owner(|proxy, now| proxy.hold(now, context, held));
    }

    /// A call that has been forked to these peers; returns the INVITE that each got.
    pub(crate) fn call_to(&mut self, peers: &[&str]) -> (ContextId, Vec<Message>) {
        let context = self.call();
        let invites = peers
            .iter()
            .map(|peer| {
                self.fork(context, peer);
                self.next(peer)
            })
            .collect();
        (context, invites)
    }

    /// A peer answers a request that it got.
    pub(crate) fn answer(&mut self, peer: &str, request: &Message, status: u16) {
        self.send_message(peer, response(peer, request, status));
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.proxy.next_timeout()
    }

    pub(crate) fn load(&self) -> Load {
        self.proxy.load()
    }

    /// Everything is over and forgotten once all timers have run.
    pub(crate) fn ends_clean(&mut self) {
        self.pass(Duration::from_mins(20));
        assert_eq!(self.load(), Load::default(), "something is left behind");
    }
}

/// The response of a peer to a request, as a phone makes it.
pub(crate) fn response(peer: &str, request: &Message, status: u16) -> Message {
    let mut response = ResponseBuilder::to(request, status, reason_phrase(status));
    if status > 100 {
        response = response.to_tag(peer);
        for route in request.headers(HeaderName::RecordRoute) {
            response = response.header(HeaderName::RecordRoute, route);
        }
        let contact = format!("<sip:bob@{};pn-prid=secret>", address(peer).ip());
        response = response.header(HeaderName::Contact, contact);
    }
    response.build()
}

/// A request in the dialog that the response established, from the caller.
pub(crate) fn in_dialog(method: &str, branch: &str, number: u32, response: &Message) -> String {
    let sip::Contacts::List(contacts) = response.contacts().unwrap() else {
        panic!("a star")
    };
    let to = response.header_text(HeaderName::To).unwrap();
    format!(
        "{method} {} SIP/2.0\n\
         Via: SIP/2.0/UDP 10.0.0.10:5060;branch=z9hG4bK{branch}\n\
         Route: {RECORD_ROUTE}\n\
         Max-Forwards: 70\n\
         From: <sip:alice@caller.example>;tag=alice\n\
         To: {to}\n\
         Call-ID: call@caller.example\n\
         CSeq: {number} {method}\n\
         Content-Length: 0\n\n",
        contacts[0].uri
    )
}

/// What the caller sends for its INVITE: CANCEL, or the ACK to a non-2xx.
pub(crate) fn for_invite(method: &str, extra: &str) -> String {
    request("INVITE", "call")
        .replace("INVITE", method)
        .replace("Content-Length", &format!("{extra}Content-Length"))
}

fn summary(message: &Message) -> String {
    let what = match message.status() {
        Some(status) => {
            let method = message.cseq().unwrap().method;
            if matches!(method, sip::Method::Invite) {
                status.to_string()
            } else {
                format!("{status} {method}")
            }
        }
        None => message.method().unwrap().to_string(),
    };
    match message.header_text(HeaderName::Reason) {
        Some(reason) => format!("{what} {}", reason.split(";text").next().unwrap()),
        None => what,
    }
}
