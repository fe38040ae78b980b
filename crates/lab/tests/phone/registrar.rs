//! A registrar made of `sip::Endpoint`: it challenges, keeps the last contact, sends what a test tells it to, and writes
//! down what it hears.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use net::{Config, Events, Net};
use sip::digest::{Settings, Verifier, ha1};
use sip::endpoint::{self, ClientTxn, Endpoint, Event, Flow, Input, Transport};
use sip::{Contacts, HeaderName, Message, Method, RequestBuilder};
use tokio::sync::{mpsc, watch};

pub const PATIENCE: Duration = Duration::from_secs(10);

/// What the registrar heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A REGISTER that was authenticated.
    Registered { contact: String, expires: u32 },
    /// A REGISTER that was challenged.
    Challenged,
    /// Another request.
    Request {
        method: String,
        call: String,
        body: String,
    },
    /// A response to a request of ours.
    Answer { call: String, status: u16 },
    /// A connection closed.
    Closed,
}

pub enum Order {
    Invite {
        call: String,
    },
    Cancel {
        call: String,
        reason: String,
    },
    Bye {
        call: String,
    },
    Message {
        call: String,
        text: String,
    },
    /// Answer calls from the phone with this.
    AnswerWith(u16),
    /// Forget all nonces.
    NewKey,
    Disconnect,
}

#[derive(Clone)]
pub struct Registrar {
    pub address: SocketAddr,
    orders: mpsc::UnboundedSender<Order>,
    heard: Arc<Mutex<Vec<Heard>>>,
    from: Arc<Mutex<String>>,
    count: watch::Sender<usize>,
}

impl Registrar {
    pub async fn start(transport: Transport) -> Self {
        let loopback = vec!["127.0.0.1:0".parse().unwrap()];
        let (udp, tcp) = if transport == Transport::Udp {
            (loopback, vec![])
        } else {
            (vec![], loopback)
        };
        let (net, events) = Net::bind(Config {
            udp,
            tcp,
            ..Config::default()
        })
        .await
        .unwrap();
        let address = *net
            .addresses()
            .udp
            .first()
            .or(net.addresses().tcp.first())
            .unwrap();
        let (orders, inbox) = mpsc::unbounded_channel();
        let registrar = Self {
            address,
            orders,
            heard: Arc::default(),
            from: Arc::default(),
            count: watch::Sender::new(0),
        };
        let task = Task {
            registrar: registrar.clone(),
            net,
            endpoint: Endpoint::new(endpoint::Config::new([7; 16])),
            verifier: verifier(1),
            keys: 1,
            salt: 0,
            contact: None,
            calls: HashMap::new(),
            answer_with: 200,
        };
        tokio::spawn(task.run(events, inbox));
        registrar
    }

    pub fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// From of the last request, without its tag.
    pub fn last_from(&self) -> String {
        self.from.lock().unwrap().clone()
    }

    /// Waits until something was heard `times` times.
    pub async fn hears(&self, times: usize, mut wanted: impl FnMut(&Heard) -> bool) -> Heard {
        let mut count = self.count.subscribe();
        let wait = async {
            loop {
                if let Some(heard) = self
                    .heard()
                    .iter()
                    .filter(|heard| wanted(heard))
                    .nth(times - 1)
                {
                    return heard.clone();
                }
                count.changed().await.unwrap();
            }
        };
        let heard = tokio::time::timeout(PATIENCE, wait).await;
        heard.unwrap_or_else(|_| panic!("heard only {:?}", self.heard()))
    }

    pub async fn hears_answer(&self, of: &str, with: u16) {
        self.hears(1, |heard| matches!(heard, Heard::Answer { call, status } if call == of && *status == with)).await;
    }

    fn write(&self, heard: Heard) {
        let mut all = self.heard.lock().unwrap();
        all.push(heard);
        self.count.send_replace(all.len());
    }
}

fn verifier(key: u8) -> Verifier {
    Verifier::new([key; 32], Settings::new("localhost"))
}

struct Dialog {
    txn: ClientTxn,
    invite: Message,
    to: String,
}

struct Task {
    registrar: Registrar,
    net: Net,
    endpoint: Endpoint,
    verifier: Verifier,
    keys: u8,
    salt: u64,
    contact: Option<(String, Flow)>,
    calls: HashMap<String, Dialog>,
    answer_with: u16,
}

impl Task {
    async fn run(mut self, mut events: Events, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let due = self.endpoint.next_timeout();
            let time = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(order) = orders.recv() => self.on_order(order),
                Some(event) = events.recv() => self.on_net(event),
                () = time => self.endpoint.handle_timeout(Instant::now()),
                else => return,
            }
            self.settle();
        }
    }

    fn settle(&mut self) {
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.net.send(transmit);
            }
            match self.endpoint.poll_event() {
                Some(event) => self.on_sip(event),
                None => return,
            }
        }
    }

    fn on_net(&mut self, event: net::Event) {
        let now = Instant::now();
        match event {
            net::Event::Message { flow, message } => {
                self.endpoint.handle(now, Input::Received { flow, message });
            }
            net::Event::Closed { flow } => {
                self.endpoint.handle(now, Input::FlowFailed { flow });
                self.registrar.write(Heard::Closed);
            }
            net::Event::Malformed { reason, .. } => {
                panic!("the phone sent something malformed: {reason}")
            }
            net::Event::Xmpp(..) => unreachable!("a registrar serves no streams"),
        }
    }

    fn on_sip(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Request {
                txn, flow, request, ..
            } if request.method() == Some(Method::Register) => {
                self.on_register(txn, flow, &request);
            }
            Event::Request { txn, request, .. } => {
                let call = request.call_id().unwrap().to_owned();
                let method = request.method().unwrap();
                let body = String::from_utf8_lossy(request.body()).into_owned();
                let from = request.header_text(HeaderName::From).unwrap();
                let (from, _) = from.split_once(";tag").unwrap();
                *self.registrar.from.lock().unwrap() = String::from(from);
                self.registrar.write(Heard::Request {
                    method: method.to_string(),
                    call,
                    body,
                });
                let status = match method {
                    Method::Invite => self.answer_with,
                    Method::Message => 202,
                    _ => 200,
                };
                if method == Method::Invite {
                    self.endpoint.answer(now, txn, 180, "");
                    if status == 100 {
                        return;
                    }
                }
                let response = self.endpoint.response_to(txn, status, "").unwrap();
                let response = response.header(
                    HeaderName::Contact,
                    format!("<sip:far@{}>", self.registrar.address),
                );
                self.endpoint.respond(now, txn, &response.build());
            }
            Event::Ack { request, .. } => {
                let call = request.call_id().unwrap().to_owned();
                self.registrar.write(Heard::Request {
                    method: "ACK".to_owned(),
                    call,
                    body: String::new(),
                });
            }
            Event::Cancelled { txn, .. } => self.endpoint.answer(now, txn, 487, ""),
            Event::Response { response, .. } => self.on_response(&response),
            _ => {}
        }
    }

    fn on_register(&mut self, txn: endpoint::ServerTxn, flow: Flow, request: &Message) {
        let now = Instant::now();
        let credentials = request.headers(HeaderName::Authorization);
        let known = |user: &str, algorithm| {
            (user == "bob").then(|| ha1(algorithm, user, "localhost", "wakeup"))
        };
        if let Err(rejected) = self
            .verifier
            .verify(1_000, Method::Register, credentials, known)
        {
            self.registrar.write(Heard::Challenged);
            self.salt += 1;
            let mut response = self.endpoint.response_to(txn, 401, "").unwrap();
            for challenge in self
                .verifier
                .challenge(1_000, rejected.is_stale(), self.salt)
            {
                response = response.header(HeaderName::WwwAuthenticate, challenge);
            }
            return self.endpoint.respond(now, txn, &response.build());
        }
        let Ok(Contacts::List(contacts)) = request.contacts() else {
            panic!("no contact")
        };
        let contact = contacts[0].uri.as_str().to_owned();
        let expires = request.expires().unwrap().unwrap();
        self.contact = Some((contact.clone(), flow));
        self.registrar.write(Heard::Registered { contact, expires });
        let value = request.header_text(HeaderName::Contact).unwrap();
        let response = self.endpoint.response_to(txn, 200, "").unwrap();
        let response = response.header(HeaderName::Contact, format!("{value};expires={expires}"));
        self.endpoint.respond(now, txn, &response.build());
    }

    fn on_response(&mut self, response: &Message) {
        let call = response.call_id().unwrap().to_owned();
        let status = response.status().unwrap();
        self.registrar.write(Heard::Answer {
            call: call.clone(),
            status,
        });
        let Some(dialog) = self.calls.get_mut(&call) else {
            return;
        };
        if response.cseq().unwrap().method == Method::Invite && status / 100 == 2 {
            let to = response.header_text(HeaderName::To).unwrap();
            to.clone_into(&mut dialog.to);
            let ack = in_dialog(dialog, Method::Ack, 1);
            let (_, flow) = self.contact.clone().unwrap();
            self.endpoint.send_ack(flow, &ack);
        }
    }

    fn on_order(&mut self, order: Order) {
        let now = Instant::now();
        let (contact, flow) = self.contact.clone().expect("the phone has registered");
        match order {
            Order::Invite { call } => {
                let invite = begin(Method::Invite, &contact, &call)
                    .header(
                        HeaderName::Contact,
                        format!("<sip:alice@{}>", self.registrar.address),
                    )
                    .body("application/sdp", b"v=0\r\nm=audio 4000 RTP/AVP 8\r\n")
                    .build();
                let txn = self.endpoint.request(now, flow, &invite).unwrap();
                self.calls.insert(
                    call,
                    Dialog {
                        txn,
                        invite,
                        to: String::new(),
                    },
                );
            }
            Order::Cancel { call, reason } => {
                self.endpoint
                    .cancel(now, self.calls[&call].txn, Some(&reason));
            }
            Order::Bye { call } => {
                let bye = in_dialog(&self.calls[&call], Method::Bye, 2);
                self.endpoint.request(now, flow, &bye).unwrap();
            }
            Order::Message { call, text } => {
                let message = begin(Method::Message, &contact, &call)
                    .body("text/plain", text.as_bytes())
                    .build();
                self.endpoint.request(now, flow, &message).unwrap();
            }
            Order::AnswerWith(status) => self.answer_with = status,
            Order::NewKey => {
                self.keys += 1;
                self.verifier = verifier(self.keys);
            }
            Order::Disconnect => self.net.close(flow),
        }
    }
}

fn begin(method: Method<'_>, uri: &str, call: &str) -> RequestBuilder {
    RequestBuilder::new(method, uri)
        .header(
            HeaderName::From,
            "\"Alice A.\" <sip:alice@localhost>;tag=alice",
        )
        .header(HeaderName::To, "<sip:bob@localhost>")
        .header(HeaderName::CallId, call)
        .header(HeaderName::CSeq, format!("1 {method}"))
}

fn in_dialog(dialog: &Dialog, method: Method<'_>, cseq: u32) -> Message {
    RequestBuilder::new(method, dialog.invite.request_uri())
        .header(
            HeaderName::From,
            dialog.invite.header_text(HeaderName::From).unwrap(),
        )
        .header(HeaderName::To, &dialog.to)
        .header(HeaderName::CallId, dialog.invite.call_id().unwrap())
        .header(HeaderName::CSeq, format!("{cseq} {method}"))
        .build()
}
