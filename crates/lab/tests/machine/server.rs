//! A registrar made of `sip::Endpoint`: it challenges, keeps the last contact of each user, holds a call until its callee
//! registers, and writes down what it hears.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use lab::sim::{Arrival, Network};
use sip::digest::{Settings, Verifier, ha1};
use sip::endpoint::{ClientTxn, Config, Endpoint, Event, Flow, Input, ServerTxn};
use sip::{Contacts, HeaderName, Limits, Message, Method, RequestBuilder};

pub const SERVER: &str = "192.0.2.1:5060";

pub fn address() -> SocketAddr {
    SERVER.parse().unwrap()
}

pub struct Server {
    endpoint: Endpoint,
    verifier: Verifier,
    salt: u64,
    /// Lifetime that it grants.
    pub grants: u32,
    /// What it says to a MESSAGE or an INVITE.
    pub says: u16,
    /// Where each user was heard last.
    contacts: BTreeMap<String, (String, Flow)>,
    /// Calls that wait for their callee, by user.
    held: BTreeMap<String, String>,
    calls: BTreeMap<String, (ClientTxn, String)>,
    /// Their side of each call that was answered, as it stands in To.
    dialogs: BTreeMap<String, String>,
    /// Every request that it answered but REGISTER.
    pub requests: Vec<Message>,
    /// `REGISTER bob 3600`, `401 bob`, `INVITE c1`, `180 c1`, one after the other.
    pub heard: Vec<String>,
    /// Where each REGISTER that was taken came from.
    pub places: Vec<SocketAddr>,
}

impl Server {
    pub fn new() -> Self {
        Self {
            endpoint: Endpoint::new(Config::new([7; 16])),
            verifier: Verifier::new([1; 32], Settings::new("localhost")),
            salt: 0,
            grants: 3_600,
            says: 200,
            contacts: BTreeMap::new(),
            held: BTreeMap::new(),
            calls: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            requests: Vec::new(),
            heard: Vec::new(),
            places: Vec::new(),
        }
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.endpoint.next_timeout()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    pub fn arrived(&mut self, now: Instant, arrival: Arrival) {
        let input = match arrival {
            Arrival::Message { flow, bytes } => Input::Received {
                flow,
                message: Message::parse(bytes, &Limits::default()).unwrap(),
            },
            Arrival::Closed { flow } => Input::FlowFailed { flow },
        };
        self.endpoint.handle(now, input);
    }

    pub fn perform(&mut self, now: Instant, network: &mut Network) {
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit() {
                network.send(now, transmit);
            }
            let Some(event) = self.endpoint.poll_event() else {
                return;
            };
            self.on_event(now, event);
        }
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Request {
                txn, flow, request, ..
            } if request.method() == Some(Method::Register) => {
                self.on_register(now, txn, flow, &request);
            }
            Event::Request { txn, request, .. } => {
                let method = request.method().unwrap();
                self.hears(&method.to_string(), &request);
                self.requests.push(request.clone());
                if method == Method::Invite {
                    self.endpoint.answer(now, txn, 180, "");
                }
                let status = match method {
                    Method::Invite | Method::Message => self.says,
                    _ => 200,
                };
                let response = self.endpoint.response_to(txn, status, "").unwrap();
                let contact = format!("<sip:far@{SERVER}>");
                let response = response.header(HeaderName::Contact, contact);
                self.endpoint.respond(now, txn, &response.build());
            }
            Event::Ack { request, .. } => self.hears("ACK", &request),
            Event::Cancelled { txn, .. } => self.endpoint.answer(now, txn, 487, ""),
            Event::Response { response, .. } => self.on_response(&response),
            _ => {}
        }
    }

    fn hears(&mut self, what: &str, message: &Message) {
        let call = message.call_id().unwrap();
        self.heard.push(format!("{what} {call}"));
    }

    fn on_register(&mut self, now: Instant, txn: ServerTxn, flow: Flow, request: &Message) {
        let user = request.to().unwrap().uri.user.unwrap().to_owned();
        let credentials = request.headers(HeaderName::Authorization);
        let known = |name: &str, algorithm| {
            (name == user).then(|| ha1(algorithm, name, "localhost", "wakeup"))
        };
        let verified = self
            .verifier
            .verify(1_000, Method::Register, credentials, known);
        if let Err(rejected) = verified {
            self.heard.push(format!("401 {user}"));
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
        let asked = request.expires().unwrap().unwrap();
        self.heard.push(format!("REGISTER {user} {asked}"));
        self.places.push(flow.remote);
        let contact = contacts[0].uri.as_str().to_owned();
        self.contacts.insert(user.clone(), (contact, flow));
        let value = request.header_text(HeaderName::Contact).unwrap();
        let expires = asked.min(self.grants);
        let response = self.endpoint.response_to(txn, 200, "").unwrap();
        let response = response.header(HeaderName::Contact, format!("{value};expires={expires}"));
        self.endpoint.respond(now, txn, &response.build());
        if let Some(call) = self.held.remove(&user) {
            self.invite(now, &user, &call);
        }
    }

    fn on_response(&mut self, response: &Message) {
        let status = response.status().unwrap();
        self.hears(&status.to_string(), response);
        let call = response.call_id().unwrap();
        let Some((_, user)) = self.calls.get(call) else {
            return;
        };
        if response.cseq().unwrap().method == Method::Invite && status / 100 == 2 {
            let to = response.header_text(HeaderName::To).unwrap().to_owned();
            self.dialogs.insert(call.to_owned(), to);
            let (contact, flow) = self.contacts[user].clone();
            let ack = begin(Method::Ack, &contact, response.call_id().unwrap())
                .header(HeaderName::To, response.header(HeaderName::To).unwrap());
            self.endpoint.send_ack(flow, &ack.build());
        }
    }

    /// The INVITE leaves when the user registers next.
    pub fn hold(&mut self, user: &str, call: &str) {
        self.held.insert(user.to_owned(), call.to_owned());
    }

    pub fn invite(&mut self, now: Instant, user: &str, call: &str) {
        let (contact, flow) = self.contacts[user].clone();
        let invite = begin(Method::Invite, &contact, call)
            .header(HeaderName::To, format!("<sip:{user}@localhost>"))
            .header(HeaderName::Contact, format!("<sip:alice@{SERVER}>"))
            .body("application/sdp", b"v=0\r\nm=audio 4000 RTP/AVP 8\r\n")
            .build();
        let txn = self.endpoint.request(now, flow, &invite).unwrap();
        self.calls.insert(call.to_owned(), (txn, user.to_owned()));
    }

    /// Says in a call that Alice is at `place` from now on.
    pub fn renew(&mut self, now: Instant, user: &str, call: &str, place: &str) {
        let (contact, flow) = self.contacts[user].clone();
        let invite = begin(Method::Invite, &contact, call)
            .header(HeaderName::To, &self.dialogs[call])
            .header(HeaderName::Contact, format!("<sip:alice@{place}>"))
            .body("application/sdp", b"v=0\r\nm=audio 4000 RTP/AVP 8\r\n")
            .build();
        self.endpoint.request(now, flow, &invite).unwrap();
    }

    pub fn cancel(&mut self, now: Instant, call: &str) {
        self.endpoint.cancel(now, self.calls[call].0, None);
    }

    pub fn message(&mut self, now: Instant, user: &str, id: &str) {
        let (contact, flow) = self.contacts[user].clone();
        let message = begin(Method::Message, &contact, id)
            .header(HeaderName::To, format!("<sip:{user}@localhost>"))
            .body("text/plain", b"hello")
            .build();
        self.endpoint.request(now, flow, &message).unwrap();
    }
}

fn begin(method: Method<'_>, uri: &str, call: &str) -> RequestBuilder {
    RequestBuilder::new(method, uri)
        .header(
            HeaderName::From,
            "\"Alice A.\" <sip:alice@localhost>;tag=alice",
        )
        .header(HeaderName::CallId, call)
        .header(HeaderName::CSeq, format!("1 {method}"))
}
