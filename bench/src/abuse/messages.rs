//! The requests of honest phones and bad ones, as text; and what must be read of the answers.

use crate::{
    load::{DOMAIN, PASSWORD},
    wire::{Message, Start},
};
use sip::{
    Method,
    digest::{Challenge, Login},
};
use std::net::SocketAddr;

/// A request that is to be sent, perhaps with credentials.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) method: &'static str,
    pub(crate) transport: &'static str,
    pub(crate) from: String,
    pub(crate) to: String,
    /// Unlike any other's.
    pub(crate) id: String,
    pub(crate) at: SocketAddr,
    /// Which user's phone it is, if that may be woken by push.
    pub(crate) wakeable: Option<usize>,
}

impl Draft {
    fn uri(&self) -> String {
        match self.method {
            "REGISTER" => format!("sip:{DOMAIN}"),
            _ => format!("sip:{}@{DOMAIN}", self.to),
        }
    }

    /// The request as phones write it; `step` makes its branch another one.
    pub(crate) fn text(&self, step: u32, extra: &str) -> String {
        let Self {
            method,
            transport,
            from,
            to,
            id,
            at,
            wakeable,
        } = self;
        // As an iPhone's is.
        let (push, instance) = wakeable.map_or_else(Default::default, |user| {
            (
                format!(";pn-provider=apns;pn-param=TEAM123456.com.example.phone.voip;pn-prid={user:064x}"),
                format!(";+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{user:012x}>\""),
            )
        });
        let cseq = if *method == "ACK" || *method == "CANCEL" {
            step
        } else {
            step + 1
        };
        format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/{transport} {at};rport;branch=z9hG4bK{id}-{cseq}\r\nMax-Forwards: 70\r\n\
             From: \"A phone\" <sip:{from}@{DOMAIN}>;tag={id}\r\nTo: <sip:{to}@{DOMAIN}>\r\nCall-ID: {id}@{}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:{from}@{at}{push}>{instance}\r\nUser-Agent: a phone that says a little of itself\r\n\
             Supported: path, outbound, replaces\r\n{extra}Content-Length: 0\r\n\r\n",
            self.uri(),
            at.ip(),
        )
    }

    /// The header field that answers a challenge.
    pub(crate) fn credentials(&self, challenge: &[u8], password: &str) -> Option<String> {
        let message = Message::new(challenge);
        let (asks, answers) = match message.start()? {
            Start::Response(401) => ("WWW-Authenticate", "Authorization"),
            Start::Response(407) => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => return None,
        };
        let challenge = Challenge::strongest(message.headers(asks))?;
        let login = Login {
            user: &self.from,
            password,
        };
        let method = match self.method {
            "REGISTER" => Method::Register,
            _ => Method::Invite,
        };
        let value = challenge.answer(login, method, &self.uri(), 1, "0a4f113b");
        Some(format!("{answers}: {value}\r\n"))
    }

    /// The same with the right password.
    pub(crate) fn signed(&self, challenge: &[u8]) -> Option<String> {
        self.credentials(challenge, PASSWORD)
    }
}

/// The answer to a request, with these of its header fields.
pub(crate) fn answer(request: &[u8], status: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    let mut answer = format!("SIP/2.0 {status}\r\n");
    for line in text.lines().take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default();
        if ["Via", "From", "Call-ID", "CSeq"].contains(&name) {
            answer.push_str(line);
            answer.push_str("\r\n");
        } else if name == "To" {
            answer.push_str(line);
            answer.push_str(";tag=there\r\n");
        }
    }
    (answer + "Content-Length: 0\r\n\r\n").into_bytes()
}

/// Its status, if it is an answer in the transaction of this id.
pub(crate) fn status(datagram: &[u8], id: &str) -> Option<u16> {
    let message = Message::new(datagram);
    let call = message.header("Call-ID")?;
    let own = call.strip_prefix(id.as_bytes())?.first() == Some(&b'@');
    match message.start()? {
        Start::Response(status) if own => Some(status),
        _ => None,
    }
}
