//! A phone that speaks SIP: it registers, writes, and takes what is written to it.

use crate::{
    script::Shown,
    users::{DOMAIN, PASSWORD},
    world::World,
};
use bytes::Bytes;
use shard::{Input, steer};
use sip::{
    Contacts, Flow, HeaderName, Limits, Message, Method, ResponseBuilder, Transport,
    digest::{Challenge, Login},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
};

/// The instance of each user's phone: none is another user's, whatever it calls itself.
const INSTANCE: &str = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";

#[derive(Default)]
pub(crate) struct Phones {
    of: BTreeMap<String, Flow>,
    flows: u64,
    answers: VecDeque<Message>,
    texts: BTreeMap<SocketAddr, VecDeque<String>>,
    /// Where nothing arrives.
    out_of_reach: BTreeSet<SocketAddr>,
    /// The call that each has begun, by what its 200 says.
    calls: BTreeMap<String, Message>,
    /// How many calls came to each.
    rang: BTreeMap<SocketAddr, usize>,
    /// The subscription that each has to somebody, likewise.
    pub(crate) watched: BTreeMap<(String, String), Message>,
    /// What each was told in NOTIFYs.
    pub(crate) told: BTreeMap<SocketAddr, VecDeque<String>>,
    /// Connections that we have closed.
    pub(crate) closed: BTreeSet<u64>,
    /// The tag of what each has published.
    pub(crate) published: BTreeMap<String, String>,
}

impl World {
    pub(crate) fn phone_takes_envelopes(&mut self, user: &str) -> Result<(), String> {
        let flow = self.phone_comes(user, Transport::Udp);
        self.phone_binds(user, flow, ";type=\"text/plain,<message/cpim>\"")
    }

    pub(crate) fn phone_registers(
        &mut self,
        user: &str,
        transport: Transport,
    ) -> Result<(), String> {
        let flow = self.phone_comes(user, transport);
        self.phone_binds(user, flow, "")
    }

    fn phone_comes(&mut self, user: &str, transport: Transport) -> Flow {
        self.phones.flows += 1;
        let number = self.phones.flows;
        let port = 40_000 + u16::try_from(number).unwrap();
        let flow = Flow {
            transport,
            local: SocketAddr::from(([10, 0, 0, 1], 5060)),
            remote: SocketAddr::from(([10, 0, 0, 30], port)),
            id: if transport == Transport::Udp {
                0
            } else {
                number
            },
        };
        self.phones.of.insert(user.to_owned(), flow);
        flow
    }

    fn phone_binds(&mut self, user: &str, flow: Flow, params: &str) -> Result<(), String> {
        // One that goes over a connection waits behind a proxy: it is not dialled.
        let reg = if flow.transport == Transport::Udp {
            ""
        } else {
            ";reg-id=1"
        };
        let contact = format!(
            "Supported: outbound, path\r\nContact: {};+sip.instance=\"<urn:uuid:{INSTANCE}>\"{reg}{params}\r\n",
            contact(user, flow)
        );
        let uri = format!("sip:{DOMAIN}");
        self.asks(flow, "REGISTER", &uri, (user, user), &contact, "", 200)
            .map(drop)
    }

    pub(crate) fn phone_unregisters(&mut self, user: &str) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        self.phone_binds(user, flow, ";expires=0")
    }

    pub(crate) fn phone_sleeps(&mut self, user: &str) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        for shard in 0..self.shards.len() {
            self.inputs.push_back((shard, Input::FlowClosed(flow)));
        }
        self.settle();
        Ok(())
    }

    pub(crate) fn phone_is_out_of_reach(&mut self, user: &str) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        self.phones.out_of_reach.insert(flow.remote);
        Ok(())
    }

    pub(crate) fn flow_of(&self, user: &str) -> Result<Flow, String> {
        let flow = self.phones.of.get(user).copied();
        flow.ok_or_else(|| "no phone".to_owned())
    }

    pub(crate) fn phone_calls(&mut self, user: &str, to: &str) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        let uri = format!("sip:{to}@{DOMAIN}");
        let headers = format!("Contact: {}\r\n", contact(user, flow));
        let answer = self.asks(flow, "INVITE", &uri, (user, to), &headers, "", 200)?;
        self.phones.calls.insert(user.to_owned(), answer);
        self.phone_says_in_dialog(user, "ACK")
    }

    pub(crate) fn phone_is_hung_up_on(&self, user: &str) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        let is_closed = self.phones.closed.contains(&flow.id);
        is_closed.then_some(()).ok_or("it is not".to_owned())
    }

    pub(crate) fn phone_rang(&self, user: &str, times: usize) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        let rang = self.phones.rang.get(&flow.remote).copied();
        let rang = rang.unwrap_or_default();
        (rang == times).then_some(()).ok_or(format!("but {rang}"))
    }

    pub(crate) fn phone_hangs_up(&mut self, user: &str) -> Result<(), String> {
        self.phone_says_in_dialog(user, "BYE")?;
        let answer = self.phones.answers.pop_front().ok_or("no answer")?;
        match answer.status() {
            Some(200) => Ok(()),
            status => Err(format!("answered {status:?}")),
        }
    }

    /// The caller's request within its dialog.
    fn phone_says_in_dialog(&mut self, user: &str, method: &str) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        let answer = self.phones.calls.get(user).ok_or("no call")?;
        let text = |name| answer.header_text(name).unwrap_or_default();
        let Ok(Contacts::List(contacts)) = answer.contacts() else {
            return Err("no contact".to_owned());
        };
        let target = contacts[0].uri.as_str();
        let mut routes: Vec<String> = answer
            .values(HeaderName::RecordRoute)
            .map(|it| String::from_utf8_lossy(it).into_owned())
            .collect();
        routes.reverse();
        let routes = routes.join(", ");
        self.numbers += 1;
        let number = self.numbers;
        let request = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {number} {method}\r\nRoute: {routes}\r\nContent-Length: 0\r\n\r\n",
            flow.transport.name(),
            flow.remote,
            text(HeaderName::From),
            text(HeaderName::To),
            text(HeaderName::CallId),
        );
        let request = Message::parse(request.into(), &Limits::default()).unwrap();
        self.phone_sends(flow, request);
        Ok(())
    }

    pub(crate) fn phone_writes(&mut self, user: &str, to: &str, text: &str) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        let (to, about) = to.split_once(" about ").unwrap_or((to, ""));
        let about = about
            .split_once(" in ")
            .map(|(subject, lang)| format!("Subject: {subject}\r\nContent-Language: {lang}\r\n"));
        let about = about.unwrap_or_default();
        let fields = format!("Content-Type: text/plain\r\n{about}");
        let uri = format!("sip:{to}@{DOMAIN}");
        self.asks(flow, "MESSAGE", &uri, (user, to), &fields, text, 202)
            .map(drop)
    }

    pub(crate) fn phone_is_refused(
        &mut self,
        user: &str,
        status: u16,
        method: &str,
        to: &str,
    ) -> Result<(), String> {
        let flow = self.phones.of.get(user).copied().ok_or("no phone")?;
        let uri = format!("sip:{to}@{DOMAIN}");
        let contact = format!("Contact: <sip:{user}@{}>\r\n", flow.remote);
        self.asks(flow, method, &uri, (user, to), &contact, "", status)
            .map(drop)
    }

    pub(crate) fn phone_receives(&mut self, user: &str, text: &str) -> Result<(), String> {
        let flow = self.phones.of.get(user).ok_or("no phone")?;
        let texts = self.phones.texts.entry(flow.remote).or_default();
        match texts.pop_front() {
            Some(got) if got == text => Ok(()),
            got => Err(format!("but {got:?}")),
        }
    }

    /// Shows a token, and is answered so.
    pub(crate) fn phone_shows(&mut self, user: &str, shown: &Shown) -> Result<(), String> {
        let flow = self.phone_comes(user, shown.transport);
        // From where nobody is trusted.
        let flow = Flow {
            remote: SocketAddr::from(([192, 0, 2, 30], flow.remote.port())),
            ..flow
        };
        self.phones.of.insert(user.to_owned(), flow);
        self.numbers += 1;
        let (number, method) = (self.numbers, &*shown.method);
        let (field, asks) = match method {
            "REGISTER" => ("Authorization", HeaderName::WwwAuthenticate),
            _ => ("Proxy-Authorization", HeaderName::ProxyAuthenticate),
        };
        let text = format!(
            "{method} sip:{to}@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{DOMAIN}>;tag={number}\r\nTo: <sip:{to}@{DOMAIN}>\r\nCall-ID: {number}\r\n\
             CSeq: {number} {method}\r\nContact: {}\r\n{field}: Bearer {}\r\nContent-Type: text/plain\r\n\
             Content-Length: 2\r\n\r\nhi",
            flow.transport.as_str(),
            flow.remote,
            contact(user, flow),
            shown.token,
            to = shown.to,
        );
        let request = Message::parse(text.into(), &Limits::default()).unwrap();
        self.phone_sends(flow, request);
        let answer = self.phones.answers.pop_front().ok_or("no answer")?;
        let asked = answer.header_text(asks);
        let status = answer.status().unwrap_or_default().to_string();
        let told = asked.map_or(status.clone(), |asked| format!("{status} {asked}"));
        let is_so = match shown.answer.strip_suffix('*') {
            Some(begins) => told.starts_with(begins),
            None => told == shown.answer,
        };
        is_so.then_some(()).ok_or(format!("answered {told}"))
    }

    /// Sends a request, and once more with the password.
    #[expect(clippy::too_many_arguments, reason = "the parts of a request")]
    pub(crate) fn asks(
        &mut self,
        flow: Flow,
        method: &str,
        uri: &str,
        (from, to): (&str, &str),
        headers: &str,
        body: &str,
        wanted: u16,
    ) -> Result<Message, String> {
        let number = self.numbers + 1;
        let dialog = [
            format!("<sip:{from}@{DOMAIN}>;tag={number}"),
            format!("<sip:{to}@{DOMAIN}>"),
            format!("{method}-{from}-{to}-{number}"),
        ];
        self.asks_within(flow, method, uri, from, &dialog, headers, body, wanted)
    }

    /// The same with this From, To and Call-ID.
    #[expect(clippy::too_many_arguments, reason = "the parts of a request")]
    pub(crate) fn asks_within(
        &mut self,
        flow: Flow,
        method: &str,
        uri: &str,
        from: &str,
        [from_field, to_field, call_id]: &[String; 3],
        headers: &str,
        body: &str,
        wanted: u16,
    ) -> Result<Message, String> {
        let mut login = String::new();
        for _ in 0..2 {
            self.numbers += 1;
            let number = self.numbers;
            let text = format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
                 From: {from_field}\r\nTo: {to_field}\r\nCall-ID: {call_id}\r\n\
                 CSeq: {number} {method}\r\n{headers}{login}Content-Length: {}\r\n\r\n{body}",
                flow.transport.name(),
                flow.remote,
                body.len()
            );
            let request = Message::parse(text.into(), &Limits::default()).unwrap();
            self.phone_sends(flow, request);
            let mut answer = self.phones.answers.pop_front().ok_or("no answer")?;
            while answer.status().is_some_and(|status| status < 200) {
                answer = self.phones.answers.pop_front().ok_or("no final answer")?;
            }
            let status = answer.status().unwrap_or_default();
            if status == wanted {
                return Ok(answer);
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
        if self.phones.out_of_reach.contains(&flow.remote) {
            return;
        }
        let message = Message::parse(bytes, &Limits::default()).unwrap();
        if call::is_spiral(flow) {
            let shard = steer(&crate::users::call_settings(), &message, self.shards.len());
            let received = Input::Received(flow, message);
            return self.inputs.push_back((shard, received));
        }
        if message.status().is_some() {
            return self.phones.answers.push_back(message);
        }
        let answer = ResponseBuilder::to(&message, 200, "OK").to_tag("t");
        let answer = match message.method() {
            Some(Method::Message) => {
                let mut text = crate::receipts::in_short(&message);
                if let Some(subject) = message.header_text(HeaderName::Subject) {
                    let lang = message.header_text(HeaderName::ContentLanguage);
                    text = format!("({subject} in {}) {text}", lang.unwrap_or_default());
                }
                let texts = self.phones.texts.entry(flow.remote).or_default();
                texts.push_back(text);
                answer
            }
            Some(Method::Invite) => {
                *self.phones.rang.entry(flow.remote).or_default() += 1;
                let route = message.header(HeaderName::RecordRoute).unwrap_or_default();
                let contact = contact("phone", flow);
                answer
                    .header(HeaderName::RecordRoute, route)
                    .header(HeaderName::Contact, contact)
            }
            Some(Method::Ack) => return,
            Some(Method::Notify) => {
                let told = self.phones.told.entry(flow.remote).or_default();
                told.push_back(crate::watching::told(&message));
                answer
            }
            _ => answer,
        };
        let answer = answer.build();
        let shard = steer(&crate::users::call_settings(), &answer, self.shards.len());
        self.inputs
            .push_back((shard, Input::Received(flow, answer)));
    }
}

/// Where a phone is.
pub(crate) fn contact(user: &str, flow: Flow) -> String {
    let suffix = flow.transport.uri_suffix();
    format!("<sip:{user}@{}{suffix}>", flow.remote)
}
