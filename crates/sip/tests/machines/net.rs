//! Several endpoints on a network that loses datagrams: a caller, a proxy, phones, each with an owner that does the
//! least that its part asks for. Everything happens under virtual time, so a run is told by what is lost in it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sip::endpoint::{ClientTxn, Endpoint, Event, Flow, Input, Load, ServerTxn, Target, Transport};
use sip::{HeaderName, Limits, Message, Method, RequestBuilder};

use crate::world::{RECORD_ROUTE, address, config, message, request, some_instant};

/// One way takes so long.
const LATENCY: Duration = Duration::from_millis(20);

/// What an agent does once its time has come.
enum Act {
    Accept(ServerTxn),
    HangUp(Message),
    /// The phone's own no-answer time.
    NoAnswer(ServerTxn),
    /// An INVITE that rings is never given up by itself.
    GiveUp(ClientTxn),
}

struct Node {
    name: &'static str,
    endpoint: Endpoint,
    acts: VecDeque<(Instant, Act)>,
    /// Statuses of final responses, and requests, in the order in which the owner heard of them.
    heard: Vec<String>,
}

pub(crate) struct Net {
    now: Instant,
    nodes: BTreeMap<SocketAddr, Node>,
    /// Under way: when it arrives, from where to where.
    wire: VecDeque<(Instant, SocketAddr, SocketAddr, Message)>,
    /// Messages sent so far.
    pub(crate) sent: usize,
    /// Is this message, the n-th, lost?
    lost: Box<dyn FnMut(usize) -> bool>,
}

impl Net {
    pub(crate) fn new(lost: impl FnMut(usize) -> bool + 'static) -> Self {
        let names = ["caller", "proxy", "phone", "tablet"];
        let nodes = names.iter().zip(1..).map(|(name, seed)| {
            let mut config = if *name == "proxy" {
                config()
            } else {
                sip::endpoint::Config::new([seed; 16])
            };
            config.seed = [seed; 16];
            let node = Node {
                name,
                endpoint: Endpoint::new(config),
                acts: VecDeque::new(),
                heard: Vec::new(),
            };
            (address(name), node)
        });
        Self {
            now: some_instant(),
            nodes: nodes.collect(),
            wire: VecDeque::new(),
            sent: 0,
            lost: Box::new(lost),
        }
    }

    /// The caller calls bob, who picks up after a second; then the caller hangs up after two.
    pub(crate) fn call(&mut self) {
        let text = request("INVITE", "x");
        let via = text.lines().nth(1).unwrap().to_owned();
        let invite = message(&text.replace(&format!("{via}\n"), ""));
        let (now, flow) = (self.now, flow("caller", address("proxy")));
        let caller = self.nodes.get_mut(&address("caller")).unwrap();
        let txn = caller.endpoint.request(now, flow, &invite).unwrap();
        caller
            .acts
            .push_back((now + Duration::from_mins(2), Act::GiveUp(txn)));
        self.collect();
    }

    /// Runs until nothing is due any more.
    pub(crate) fn run(&mut self) {
        for _ in 0..100_000 {
            let Some(next) = self.next() else { return };
            self.now = next;
            self.step();
        }
        panic!("it never ends");
    }

    pub(crate) fn heard(&self, name: &str) -> &[String] {
        &self.nodes[&address(name)].heard
    }

    pub(crate) fn assert_nothing_is_left(&self) {
        for node in self.nodes.values() {
            assert_eq!(
                node.endpoint.load(),
                Load::default(),
                "{} remembers something",
                node.name
            );
        }
    }

    fn next(&self) -> Option<Instant> {
        let arrival = self.wire.front().map(|(at, ..)| *at);
        let due = self.nodes.values().flat_map(|node| {
            let act = node.acts.iter().map(|(at, _)| *at).min();
            [node.endpoint.next_timeout(), act]
        });
        due.chain([arrival]).flatten().min()
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some((_, from, to, message)) = self.wire.pop_front_if(|(at, ..)| *at <= now) {
            let node = self.nodes.get_mut(&to).unwrap();
            let flow = flow(node.name, from);
            node.endpoint.handle(now, Input::Received { flow, message });
            self.collect();
        }
        for node in self.nodes.values_mut() {
            node.endpoint.handle_timeout(now);
            for _ in 0..node.acts.len() {
                match node.acts.pop_front() {
                    Some((at, act)) if at <= now => node.act(now, act),
                    Some(later) => node.acts.push_back(later),
                    None => {}
                }
            }
        }
        self.collect();
    }

    /// Lets the owners do their part, and takes to the wire what is to be sent.
    fn collect(&mut self) {
        let now = self.now;
        for (from, node) in &mut self.nodes {
            while let Some(event) = node.endpoint.poll_event() {
                match node.name {
                    "caller" => node.caller(now, event),
                    "proxy" => node.proxy(now, event),
                    _ => node.phone(now, event),
                }
            }
            while let Some(transmit) = node.endpoint.poll_transmit() {
                let message = Message::parse(transmit.bytes, &Limits::default()).unwrap();
                if !(self.lost)(self.sent) {
                    self.wire
                        .push_back((now + LATENCY, *from, transmit.flow.remote, message));
                }
                self.sent += 1;
            }
        }
    }
}

impl Node {
    fn caller(&mut self, now: Instant, event: Event) {
        match event {
            Event::Response { response, .. } => {
                let status = response.status().unwrap();
                let method = response.cseq().unwrap().method.as_str().to_owned();
                if method == "INVITE" && status == 200 {
                    let ack = in_dialog("ACK", 1, &response);
                    self.endpoint
                        .send_ack(flow("caller", address("proxy")), &ack);
                    if !self.heard.contains(&"200 INVITE".to_owned()) {
                        let bye = in_dialog("BYE", 2, &response);
                        self.acts
                            .push_back((now + Duration::from_secs(2), Act::HangUp(bye)));
                    }
                }
                if status >= 200 {
                    self.heard.push(format!("{status} {method}"));
                }
            }
            Event::Failed { status, .. } => self.heard.push(format!("failed {status}")),
            other => panic!("{other:?}"),
        }
    }

    /// INVITE goes to both phones, what is in a dialog to its Request-URI.
    fn proxy(&mut self, now: Instant, event: Event) {
        match event {
            Event::Request { txn, request, .. } => {
                let context = self.endpoint.open(now, txn).unwrap();
                let targets = match request.method() {
                    Some(Method::Invite) => vec!["10.0.0.21".to_owned(), "10.0.0.22".to_owned()],
                    _ => vec![host(&request)],
                };
                for host in targets {
                    let remote = SocketAddr::new(host.parse().unwrap(), 5060);
                    let mut target = Target::new(format!("sip:bob@{host}"), flow("proxy", remote));
                    target.record_route = Some(RECORD_ROUTE.to_owned());
                    self.endpoint.fork(now, context, &target).unwrap();
                }
            }
            Event::Ack { request, .. } => {
                let remote = SocketAddr::new(host(&request).parse().unwrap(), 5060);
                self.endpoint.proxy_ack(flow("proxy", remote), &request);
            }
            Event::ContextDone { status, .. } => self.heard.push(format!("done {status}")),
            _ => {}
        }
    }

    fn phone(&mut self, now: Instant, event: Event) {
        match event {
            Event::Request { txn, request, .. } => {
                let method = request.method().unwrap();
                self.heard.push(method.to_string());
                if method == Method::Invite {
                    self.endpoint.answer(now, txn, 180, "");
                    self.acts
                        .push_back((now + Duration::from_mins(3), Act::NoAnswer(txn)));
                    if self.name == "phone" {
                        self.acts
                            .push_back((now + Duration::from_secs(1), Act::Accept(txn)));
                    }
                } else {
                    self.endpoint.answer(now, txn, 200, "");
                }
            }
            Event::Ack { txn: Some(_), .. } => self.heard.push("ACK".to_owned()),
            Event::Cancelled { txn, .. } => {
                self.heard.push("CANCEL".to_owned());
                self.endpoint.answer(now, txn, 487, "");
            }
            other => self.heard.push(format!("{other:?}")),
        }
    }

    fn act(&mut self, now: Instant, act: Act) {
        match act {
            Act::Accept(txn) => {
                if let Some(response) = self.endpoint.response_to(txn, 200, "") {
                    let response = response
                        .header(
                            HeaderName::Contact,
                            format!("<sip:bob@{}>", address(self.name).ip()),
                        )
                        .header(HeaderName::RecordRoute, RECORD_ROUTE);
                    self.endpoint.respond(now, txn, &response.build());
                }
            }
            Act::NoAnswer(txn) => self.endpoint.answer(now, txn, 480, ""),
            Act::GiveUp(txn) => self.endpoint.cancel(now, txn, None),
            Act::HangUp(bye) => {
                self.endpoint
                    .request(now, flow("caller", address("proxy")), &bye)
                    .unwrap();
            }
        }
    }
}

fn flow(from: &str, remote: SocketAddr) -> Flow {
    Flow {
        transport: Transport::Udp,
        local: address(from),
        remote,
        id: 0,
    }
}

fn host(request: &Message) -> String {
    sip::Uri::parse(request.request_uri())
        .unwrap()
        .host
        .to_owned()
}

fn in_dialog(method: &str, number: u32, response: &Message) -> Message {
    let sip::Contacts::List(contacts) = response.contacts().unwrap() else {
        panic!("a star")
    };
    let mut request = RequestBuilder::new(Method::new(method), contacts[0].uri.as_str());
    for route in response.headers(HeaderName::RecordRoute) {
        request = request.header(HeaderName::Route, route);
    }
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId] {
        request = request.header(name, response.header(name).unwrap());
    }
    request
        .header(HeaderName::CSeq, format!("{number} {method}"))
        .build()
}
