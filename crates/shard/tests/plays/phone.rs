//! A phone that speaks SIP: it registers, writes, and takes what is written to it.

use crate::{
    users::{DOMAIN, PASSWORD, address},
    world::World,
};
use bytes::Bytes;
use shard::{Input, steer};
use sip::{
    Flow, HeaderName, Limits, Message, Method, ResponseBuilder, Transport,
    digest::{Challenge, Login},
};
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

#[derive(Default)]
pub(crate) struct Phones {
    of: BTreeMap<String, Flow>,
    answers: VecDeque<Message>,
    texts: BTreeMap<SocketAddr, VecDeque<String>>,
}

impl World {
    pub(crate) fn phone_registers(&mut self, user: &str) -> Result<(), String> {
        let port = 40_000 + u16::try_from(self.phones.of.len()).unwrap();
        let flow = Flow {
            transport: Transport::Udp,
            local: SocketAddr::from(([10, 0, 0, 1], 5060)),
            remote: SocketAddr::from(([10, 0, 0, 30], port)),
            id: 0,
        };
        self.phones.of.insert(user.to_owned(), flow);
        let contact = format!(
            "Contact: <sip:{user}@{}>;+sip.instance=\"<urn:uuid:{user}>\"\r\n",
            flow.remote
        );
        let uri = format!("sip:{DOMAIN}");
        self.asks(flow, "REGISTER", &uri, (user, user), &contact, "", 200)
    }

    pub(crate) fn phone_writes(&mut self, user: &str, to: &str, text: &str) -> Result<(), String> {
        let flow = self.phones.of.get(user).copied().ok_or("no phone")?;
        let uri = format!("sip:{to}@{DOMAIN}");
        let kind = "Content-Type: text/plain\r\n";
        self.asks(flow, "MESSAGE", &uri, (user, to), kind, text, 202)
    }

    pub(crate) fn phone_receives(&mut self, user: &str, text: &str) -> Result<(), String> {
        let flow = self.phones.of.get(user).ok_or("no phone")?;
        let texts = self.phones.texts.entry(flow.remote).or_default();
        match texts.pop_front() {
            Some(got) if got == text => Ok(()),
            got => Err(format!("but {got:?}")),
        }
    }

    /// Sends a request, and once more with the password.
    #[expect(clippy::too_many_arguments, reason = "the parts of a request")]
    fn asks(
        &mut self,
        flow: Flow,
        method: &str,
        uri: &str,
        (from, to): (&str, &str),
        headers: &str,
        body: &str,
        wanted: u16,
    ) -> Result<(), String> {
        let mut login = String::new();
        for _ in 0..2 {
            self.numbers += 1;
            let number = self.numbers;
            let text = format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
                 From: <sip:{from}@{DOMAIN}>;tag={number}\r\nTo: <sip:{to}@{DOMAIN}>\r\nCall-ID: {method}-{from}\r\n\
                 CSeq: {number} {method}\r\n{headers}{login}Content-Length: {}\r\n\r\n{body}",
                flow.remote,
                body.len()
            );
            let request = Message::parse(text.into(), &Limits::default()).unwrap();
            self.phone_sends(flow, request);
            let answer = self.phones.answers.pop_front().ok_or("no answer")?;
            let status = answer.status().unwrap_or_default();
            if status == wanted {
                return Ok(());
            }
            let (header, name) = match status {
                401 => (HeaderName::WwwAuthenticate, "Authorization"),
                407 => (HeaderName::ProxyAuthenticate, "Proxy-Authorization"),
                _ => return Err(format!("answered {status}")),
            };
            let challenge = Challenge::strongest(answer.headers(header)).unwrap();
            let (user, password) = (from, PASSWORD);
            let who = Login { user, password };
            let asked = answer.cseq().unwrap().method;
            let answer = challenge.answer(who, asked, uri, 1, "cnonce");
            login = format!("{name}: {answer}\r\n");
        }
        Err("not let in".to_owned())
    }

    fn phone_sends(&mut self, flow: Flow, message: Message) {
        let shard = steer(&crate::users::call_settings(), &message, self.shards.len());
        let received = Input::Received(flow, message);
        self.inputs.push_back((shard, received));
        self.settle();
    }

    /// A phone gets something: a message it takes.
    pub(crate) fn phone_gets(&mut self, flow: Flow, bytes: Bytes) {
        let message = Message::parse(bytes, &Limits::default()).unwrap();
        if call::is_spiral(flow) {
            let shard = steer(&crate::users::call_settings(), &message, self.shards.len());
            let received = Input::Received(flow, message);
            return self.inputs.push_back((shard, received));
        }
        if message.status().is_some() {
            return self.phones.answers.push_back(message);
        }
        if message.method() == Some(Method::Message) {
            let text = String::from_utf8_lossy(message.body()).into_owned();
            let texts = self.phones.texts.entry(flow.remote).or_default();
            texts.push_back(text);
            let answer = ResponseBuilder::to(&message, 200, "OK").to_tag("t").build();
            let user = self.phones.of.iter().find(|(_, it)| **it == flow);
            let shard = user.map_or(0, |(user, _)| self.shard_of(&address(user)));
            self.inputs
                .push_back((shard, Input::Received(flow, answer)));
        }
    }
}
