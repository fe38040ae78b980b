//! Calls of 13 messages: INVITE, 100, 180, 200, ACK, BYE, 200, each but the 100 on both sides of the server. Callees have
//! registered; callers stand at addresses that the server trusts, or are users as well and sign their INVITE.

use super::{
    DOMAIN, Load, Taken, answer, caller,
    digest::{Asked, Credentials, hash},
};
use crate::{
    socket::{Phones, address},
    stats::float,
    wire::{Message, Start},
};
use anyhow::{Context, Result, bail};
use std::{io::Write, net::Ipv4Addr, time::Instant};

/// Datagrams that a call brings to the phones when nothing is sent twice: four answers, three requests.
pub(crate) const RECEIVED: u64 = 7;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

/// Callers and callees.
pub(crate) struct Calls {
    users: u32,
    /// What callers sign with who are users; else none of them is asked.
    credentials: Vec<Credentials>,
    states: Vec<State>,
    /// Milliseconds from each INVITE to its arrival at the callee.
    arrivals: Vec<f64>,
    buffer: Vec<u8>,
}

/// Who calls.
struct Caller {
    /// The user part and the host of its address.
    name: String,
    ip: Ipv4Addr,
    port: u16,
}

#[derive(Default)]
struct State {
    /// When it began.
    began: Option<Instant>,
    /// What came already, a bit each.
    seen: u16,
    /// What the caller has learned from the 200.
    dialog: Option<Box<Dialog>>,
}

struct Dialog {
    /// Request-URI of what the caller sends (RFC 3261 §12.1.2).
    target: Vec<u8>,
    /// Its Route header fields.
    routes: Vec<u8>,
    /// The callee's To, with its tag.
    to: Vec<u8>,
}

/// What can come, in the order of its bits.
const STEPS: [(Start<'static>, &[u8]); 7] = [
    (Start::Request(b"INVITE"), b"INVITE"),
    (Start::Response(100), b"INVITE"),
    (Start::Response(180), b"INVITE"),
    (Start::Response(200), b"INVITE"),
    (Start::Request(b"ACK"), b"ACK"),
    (Start::Request(b"BYE"), b"BYE"),
    (Start::Response(200), b"BYE"),
];

impl Calls {
    /// Calls to the users `u0` and up.
    pub(crate) fn new(users: u32) -> Self {
        Self {
            users,
            credentials: Vec::new(),
            states: Vec::new(),
            arrivals: Vec::new(),
            buffer: Vec::with_capacity(4096),
        }
    }

    /// Calls of users among each other, with these credentials.
    pub(crate) fn among(credentials: Vec<Credentials>) -> Result<Self> {
        let users = u32::try_from(credentials.len())?;
        Ok(Self {
            credentials,
            ..Self::new(users)
        })
    }

    /// Milliseconds from INVITE to INVITE, of all calls since this was asked last.
    pub(crate) fn take_arrivals(&mut self) -> Vec<f64> {
        std::mem::take(&mut self.arrivals)
    }

    /// Who makes this call: with users among each other somebody half a round away.
    fn caller(&self, number: u32, phones: &mut Phones) -> Result<Caller> {
        let (name, ip) = if self.credentials.is_empty() {
            let name = "caller@pbx.example".to_owned();
            (name, caller(number, self.users))
        } else {
            let user = self.calling(number);
            (format!("u{user}@{DOMAIN}"), address(user))
        };
        let port = phones.port_of(ip)?;
        Ok(Caller { name, ip, port })
    }

    fn calling(&self, number: u32) -> u32 {
        (number + self.users / 2) % self.users
    }

    fn invite(&mut self, number: u32, phones: &mut Phones) -> Result<()> {
        let Caller { name, ip, port } = self.caller(number, phones)?;
        let user = number % self.users;
        let uri = format!("sip:u{user}@{DOMAIN}");
        self.buffer.clear();
        write!(
            self.buffer,
            "INVITE {uri} SIP/2.0\r\n\
             Via: SIP/2.0/{} {ip}:{port};branch=z9hG4bKi{number}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:{name}>;tag=a{number}\r\n\
             To: <sip:u{user}@{DOMAIN}>\r\n\
             Call-ID: c-{number}@bench\r\n\
             CSeq: 1 INVITE\r\n\
             Contact: <sip:caller@{ip}:{port}{}>\r\n\
             User-Agent: bench\r\n",
            phones.transport(),
            phones.parameter()
        )?;
        let calling = self.calling(number) as usize;
        if let Some(credentials) = self.credentials.get_mut(calling) {
            let asked = Asked {
                field: "Proxy-Authorization",
                uri: &uri,
                a2: &hash(&[b"INVITE:", uri.as_bytes()]),
            };
            credentials.sign(&asked, &mut self.buffer)?;
        }
        write!(
            self.buffer,
            "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        )?;
        phones.send(ip, &self.buffer)
    }

    /// The callee rings and is answered at once.
    fn ring_and_answer(
        &mut self,
        number: u32,
        invite: Message<'_>,
        phones: &mut Phones,
    ) -> Result<()> {
        let user = number % self.users;
        let ip = address(user);
        let (port, parameter) = (phones.port_of(ip)?, phones.parameter());
        let tag = format!(";tag=b{number}");
        answer(invite, "180 Ringing", &tag, &mut self.buffer);
        write!(
            self.buffer,
            "Contact: <sip:u{user}@{ip}:{port}{parameter}>\r\nContent-Length: 0\r\n\r\n"
        )?;
        phones.send(ip, &self.buffer)?;
        answer(invite, "200 OK", &tag, &mut self.buffer);
        write!(
            self.buffer,
            "Contact: <sip:u{user}@{ip}:{port}{parameter}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        )?;
        phones.send(ip, &self.buffer)
    }

    /// A request of the caller inside the dialog.
    fn in_dialog(&mut self, number: u32, method: &str, phones: &mut Phones) -> Result<()> {
        let Caller { name, ip, port } = self.caller(number, phones)?;
        let call = self.states.get(number as usize);
        let dialog = call
            .and_then(|call| call.dialog.as_deref())
            .context("a request in a dialog before its 200")?;
        let cseq = if method == "ACK" { 1 } else { 2 };
        self.buffer.clear();
        write!(self.buffer, "{method} ")?;
        self.buffer.extend_from_slice(&dialog.target);
        write!(
            self.buffer,
            " SIP/2.0\r\nVia: SIP/2.0/{} {ip}:{port};branch=z9hG4bK{method}{number}\r\n",
            phones.transport()
        )?;
        self.buffer.extend_from_slice(&dialog.routes);
        write!(
            self.buffer,
            "Max-Forwards: 70\r\nFrom: <sip:{name}>;tag=a{number}\r\nTo: "
        )?;
        self.buffer.extend_from_slice(&dialog.to);
        write!(
            self.buffer,
            "\r\nCall-ID: c-{number}@bench\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
        )?;
        phones.send(ip, &self.buffer)
    }

    fn bye_answered(&mut self, number: u32, bye: Message<'_>, phones: &mut Phones) -> Result<()> {
        answer(bye, "200 OK", "", &mut self.buffer);
        self.buffer.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        phones.send(address(number % self.users), &self.buffer)
    }
}

impl Load for Calls {
    fn begin(&mut self, number: u32, phones: &mut Phones) -> Result<()> {
        self.states.resize_with(number as usize + 1, State::default);
        self.states[number as usize].began = Some(Instant::now());
        self.invite(number, phones)
    }

    fn take(&mut self, datagram: &[u8], phones: &mut Phones) -> Result<Taken> {
        let message = Message::new(datagram);
        let (Some(start), Some(number), Some(method)) =
            (message.start(), message.number(), message.method())
        else {
            bail!("no message of a call: {}", datagram.escape_ascii());
        };
        let step = STEPS.iter().position(|step| *step == (start, method));
        let (Some(step), Some(call)) = (step, self.states.get_mut(number as usize)) else {
            bail!("unexpected in a call: {}", datagram.escape_ascii());
        };
        if call.seen >> step & 1 == 1 {
            return Ok(Taken::Again);
        }
        call.seen |= 1 << step;
        match STEPS[step] {
            (Start::Request(b"INVITE"), _) => {
                if let Some(took) = call.began.map(|began| began.elapsed()) {
                    let micros = u64::try_from(took.as_micros())?;
                    self.arrivals.push(float(micros) / 1000.0);
                }
                self.ring_and_answer(number, message, phones)?;
            }
            (Start::Response(200), b"INVITE") => {
                call.dialog = Some(Box::new(dialog(message)?));
                self.in_dialog(number, "ACK", phones)?;
            }
            (Start::Request(b"ACK"), _) => self.in_dialog(number, "BYE", phones)?,
            (Start::Request(b"BYE"), _) => self.bye_answered(number, message, phones)?,
            (Start::Response(200), _) => {
                call.dialog = None;
                return Ok(Taken::Finished);
            }
            _ => {}
        }
        Ok(Taken::Step)
    }
}

/// The caller's side of the dialog (RFC 3261 §12.1.2): the route set is the Record-Route in reverse.
fn dialog(answered: Message<'_>) -> Result<Dialog> {
    let contact = answered
        .header("Contact")
        .context("a 200 without Contact")?;
    let uri = contact
        .strip_prefix(b"<")
        .and_then(|rest| rest.split(|octet| *octet == b'>').next());
    let mut routes = Vec::new();
    let recorded: Vec<_> = answered
        .headers("Record-Route")
        .flat_map(|value| value.split(|octet| *octet == b','))
        .collect();
    for route in recorded.iter().rev() {
        routes.extend_from_slice(b"Route: ");
        routes.extend_from_slice(route.trim_ascii());
        routes.extend_from_slice(b"\r\n");
    }
    let to = answered.header("To").context("a 200 without To")?;
    Ok(Dialog {
        target: uri.context("a Contact without <>")?.to_vec(),
        routes,
        to: to.to_vec(),
    })
}
