//! What peers write: requests, answers, dialogs, registrations. A test decides what is in them.

use crate::{settings::PASSWORD, world::World};
use sip::{
    Contacts, Flow, HeaderName, Limits, Message, Method, ResponseBuilder,
    digest::{Challenge, Login},
    reason_phrase,
};

pub(crate) fn message(text: &str) -> Message {
    let text = text.replace('\n', "\r\n");
    Message::parse(text.into(), &Limits::default()).unwrap()
}

/// What a message is, in a word or two: `INVITE`, `180`, `200 BYE`.
pub(crate) fn what(message: &Message) -> String {
    match (message.status(), message.method()) {
        (None, Some(method)) => method.to_string(),
        (status, _) => {
            let status = status.unwrap();
            let method = message.cseq().unwrap().method;
            match method {
                Method::Invite => status.to_string(),
                _ => format!("{status} {method}"),
            }
        }
    }
}

/// One side of a dialog.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    local: String,
    remote: String,
    call: String,
    target: String,
    routes: Vec<String>,
    contact: String,
}

fn routes(message: &Message) -> Vec<String> {
    let values = message.values(HeaderName::RecordRoute);
    values
        .map(|value| String::from_utf8(value.to_vec()).unwrap())
        .collect()
}

fn contact(message: &Message) -> String {
    let Ok(Contacts::List(contacts)) = message.contacts() else {
        panic!("no contact");
    };
    contacts[0].uri.as_str().to_owned()
}

fn text(message: &Message, name: HeaderName<'_>) -> String {
    message.header_text(name).unwrap().to_owned()
}

impl Dialog {
    /// The caller's, by the answer that it got.
    pub(crate) fn of_caller(answer: &Message) -> Self {
        let mut routes = routes(answer);
        routes.reverse();
        Self {
            local: text(answer, HeaderName::From),
            remote: text(answer, HeaderName::To),
            call: text(answer, HeaderName::CallId),
            target: contact(answer),
            routes,
            contact: String::new(),
        }
    }

    /// The callee's, by the request that it got and its own tag.
    pub(crate) fn of_callee(invite: &Message, tag: &str) -> Self {
        Self {
            local: format!("{};tag={tag}", text(invite, HeaderName::To)),
            remote: text(invite, HeaderName::From),
            call: text(invite, HeaderName::CallId),
            target: contact(invite),
            routes: routes(invite),
            contact: String::new(),
        }
    }

    /// What its requests say from now on of where it is reached.
    pub(crate) fn at(mut self, contact: &str) -> Self {
        self.contact = format!("Contact: <{contact}>\n");
        self
    }

    /// Where its requests go from now on (target refresh).
    pub(crate) fn to(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// The other side moved or not: its target is what this request said.
    pub(crate) fn refreshed_by(self, request: &Message) -> Self {
        let target = contact(request);
        self.to(&target)
    }

    fn request(&self, method: &str, flow: Flow, number: u32) -> Message {
        let routes = lines("Route", &self.routes);
        message(&format!(
            "{method} {} SIP/2.0\nVia: {}\n{routes}Max-Forwards: 70\nFrom: {}\nTo: {}\n\
             Call-ID: {}\nCSeq: {number} {method}\n{}Content-Length: 0\n\n",
            self.target,
            via(flow, number),
            self.local,
            self.remote,
            self.call,
            self.contact,
        ))
    }
}

/// A header field line for each value.
fn lines(name: &str, values: &[impl AsRef<str>]) -> String {
    let line = |value: &_| [name, ": ", AsRef::as_ref(value), "\n"].concat();
    values.iter().map(line).collect()
}

pub(crate) fn via(flow: Flow, number: u32) -> String {
    let transport = flow.transport.as_str();
    format!(
        "SIP/2.0/{transport} {};branch=z9hG4bKpeer{number}",
        flow.remote
    )
}

/// The Contact of a peer that is at a flow.
pub(crate) fn uri(user: &str, flow: Flow) -> String {
    let suffix = flow.transport.uri_suffix();
    format!("sip:{user}@{}{suffix}", flow.remote)
}

/// Push parameters for a token, to stand in a Contact's URI (RFC 8599).
pub(crate) fn pn(token: &str) -> String {
    format!(
        ";pn-provider=apns;pn-param={}.voip&remote;pn-prid={token}:voip&{token}m:remote",
        crate::settings::APP
    )
}

/// What answers our challenge.
pub(crate) fn credentials(challenged: &Message, user: &str, uri: &str) -> String {
    let header = match challenged.status() {
        Some(401) => HeaderName::WwwAuthenticate,
        _ => HeaderName::ProxyAuthenticate,
    };
    let values = challenged.headers(header);
    let challenge = Challenge::strongest(values).unwrap();
    let login = Login {
        user,
        password: PASSWORD,
    };
    let method = challenged.cseq().unwrap().method;
    challenge.answer(login, method, uri, 1, "cnonce")
}

/// The response of a peer to a request.
pub(crate) fn response(request: &Message, status: u16, tag: &str, contact: &str) -> Message {
    let mut response = ResponseBuilder::to(request, status, reason_phrase(status));
    if status > 100 {
        response = response.to_tag(tag);
        for route in request.headers(HeaderName::RecordRoute) {
            response = response.header(HeaderName::RecordRoute, route);
        }
        response = response.header(HeaderName::Contact, format!("<{contact}>"));
    }
    response.build()
}

impl World {
    /// A request outside a dialog. `extra`: whole lines.
    pub(crate) fn request(
        &mut self,
        method: &str,
        flow: Flow,
        from: &str,
        to: &str,
        extra: &str,
    ) -> Message {
        let number = self.number();
        message(&format!(
            "{method} sip:{to}@r.example SIP/2.0\nVia: {}\nMax-Forwards: 70\n\
             From: <sip:{from}@r.example>;tag={from}{number}\nTo: <sip:{to}@r.example>\nCall-ID: call{number}\n\
             CSeq: 1 {method}\n{extra}Content-Length: 0\n\n",
            via(flow, number),
        ))
    }

    /// Sends an INVITE.
    pub(crate) fn invite(&mut self, flow: Flow, from: &str, to: &str) -> Message {
        let contact = format!("Contact: <{}>\n", uri(from, flow));
        let invite = self.request("INVITE", flow, from, to, &contact);
        self.send(flow, invite.clone());
        invite
    }

    /// Takes an INVITE back.
    pub(crate) fn cancel(&mut self, flow: Flow, invite: &Message) {
        let text = String::from_utf8_lossy(invite.bytes()).replace("INVITE", "CANCEL");
        let cancel = Message::parse(text.into_bytes().into(), &Limits::default()).unwrap();
        self.send(flow, cancel);
    }

    /// Sends a MESSAGE, and says how it is answered.
    pub(crate) fn message(&mut self, flow: Flow, from: &str, to: &str) -> Option<u16> {
        let request = self.request("MESSAGE", flow, from, to, "Content-Type: text/plain\n");
        self.send(flow, request.clone());
        let answers = self.inbox(flow);
        let ours = answers.iter().find(|it| it.call_id() == request.call_id());
        ours.and_then(Message::status)
    }

    /// A peer answers a request that it got.
    pub(crate) fn answer(&mut self, flow: Flow, request: &Message, status: u16, contact: &str) {
        self.send(flow, response(request, status, "callee", contact));
    }

    /// A peer sends a request in a dialog.
    pub(crate) fn within(&mut self, dialog: &Dialog, method: &str, flow: Flow) {
        let request = self.written(dialog, method, flow);
        self.send(flow, request);
    }

    /// What a peer would send in a dialog.
    pub(crate) fn written(&mut self, dialog: &Dialog, method: &str, flow: Flow) -> Message {
        let number = 100 + self.number();
        dialog.request(method, flow, number)
    }

    /// Registers with a password; the final answer. `contacts`: header field values.
    pub(crate) fn register(&mut self, flow: Flow, user: &str, contacts: &[&str]) -> Message {
        self.register_with(flow, user, contacts, "")
            .expect("an answer")
    }

    pub(crate) fn register_with(
        &mut self,
        flow: Flow,
        user: &str,
        contacts: &[&str],
        extra: &str,
    ) -> Option<Message> {
        let first = self.registration(flow, user, contacts, extra);
        let challenged = self.exchange(flow, first)?;
        assert_eq!(what(&challenged), "401 REGISTER");
        let answer = credentials(&challenged, user, "sip:r.example");
        let extra = format!("Authorization: {answer}\n{extra}");
        let second = self.registration(flow, user, contacts, &extra);
        self.exchange(flow, second)
    }

    fn registration(&mut self, flow: Flow, user: &str, contacts: &[&str], extra: &str) -> Message {
        let number = self.number();
        let contacts = lines("Contact", contacts);
        message(&format!(
            "REGISTER sip:r.example SIP/2.0\nVia: {}\nMax-Forwards: 70\n\
             From: <sip:{user}@r.example>;tag={number}\nTo: <sip:{user}@r.example>\n\
             Call-ID: register-{user}-{}\nCSeq: {number} REGISTER\n\
             Supported: path, outbound\n{contacts}{extra}Content-Length: 0\n\n",
            via(flow, number),
            flow.remote,
        ))
    }

    /// Sends a request; its answer, and nothing else that came, is taken out of the inbox.
    fn exchange(&mut self, flow: Flow, request: Message) -> Option<Message> {
        let (call, number) = (
            request.call_id().unwrap().to_owned(),
            request.cseq().unwrap().number,
        );
        self.send(flow, request);
        let is_answer = |it: &Message| {
            it.status().is_some_and(|status| status >= 200)
                && it.call_id() == Ok(&*call)
                && it.cseq().is_ok_and(|cseq| cseq.number == number)
        };
        self.take_if(flow, is_answer)
    }

    /// Takes the first message of that kind out of an inbox.
    #[track_caller]
    pub(crate) fn take(&mut self, flow: Flow, wanted: &str) -> Message {
        let there = self.there(flow);
        let taken = self.take_if(flow, |message| what(message) == wanted);
        taken.unwrap_or_else(|| panic!("no {wanted} at {}: {there:?}", flow.remote))
    }

    /// Empties an inbox, and says what was in it.
    pub(crate) fn heard(&mut self, flow: Flow) -> Vec<String> {
        self.inbox(flow).iter().map(what).collect()
    }

    /// A call that is up: the callee's phone is at `to` already. Both sides of it.
    #[track_caller]
    pub(crate) fn call(&mut self, from: (Flow, &str), to: (Flow, &str)) -> (Dialog, Dialog) {
        self.invite(from.0, from.1, to.1);
        let invite = self.take(to.0, "INVITE");
        let contact = uri(to.1, to.0);
        self.answer(to.0, &invite, 200, &contact);
        let answer = self.take(from.0, "200");
        let caller = Dialog::of_caller(&answer).at(&uri(from.1, from.0));
        let callee = Dialog::of_callee(&invite, "callee").at(&contact);
        self.within(&caller, "ACK", from.0);
        self.take(to.0, "ACK");
        self.inbox(from.0);
        (caller, callee)
    }
}
