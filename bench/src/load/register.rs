//! REGISTER with digest authentication, as a phone refreshes it: the nonce of the last challenge with its count going up.

use super::{
    DOMAIN, Load, Taken,
    digest::{Asked, Credentials, Hex, hash},
    scattered,
};
use crate::{
    socket::{Phones, address},
    wire::{Message, Start, number},
};
use anyhow::{Context, Result, bail};
use std::io::Write;

/// What our credentials are for.
const URI: &str = "sip:localhost";

/// One phone for each user, all of which register again and again.
pub(crate) struct Registers {
    clients: Vec<Client>,
    /// `MD5(method:uri)` (RFC 7616 §3.4.3), the same for all.
    a2: Hex,
    wakeable: bool,
    buffer: Vec<u8>,
}

struct Client {
    credentials: Credentials,
    /// Of the latest REGISTER.
    cseq: u32,
    waiting: bool,
}

impl Registers {
    /// Phones of the users `u0` and up that have not registered yet, and may be woken by push or not.
    pub(crate) fn new(users: u32, wakeable: bool) -> Self {
        let client = |user| Client {
            credentials: Credentials::new(user),
            cseq: 0,
            waiting: false,
        };
        Self {
            clients: (0..users).map(client).collect(),
            a2: hash(&[b"REGISTER:", URI.as_bytes()]),
            wakeable,
            buffer: Vec::with_capacity(2048),
        }
    }

    /// What the users sign in with, for other requests of theirs.
    pub(crate) fn into_credentials(self) -> Vec<Credentials> {
        let clients = self.clients.into_iter();
        clients.map(|client| client.credentials).collect()
    }

    /// Sends a REGISTER of this user.
    pub(crate) fn register(&mut self, user: u32, phones: &mut Phones) -> Result<()> {
        let client = self
            .clients
            .get_mut(user as usize)
            .with_context(|| format!("there is no user u{user}"))?;
        client.cseq += 1;
        client.waiting = true;
        let cseq = client.cseq;
        let ip = address(user);
        let port = phones.port_of(ip)?;
        self.buffer.clear();
        write!(
            self.buffer,
            "REGISTER {URI} SIP/2.0\r\n\
             Via: SIP/2.0/{} {ip}:{port};branch=z9hG4bKr{user}-{cseq}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:u{user}@{DOMAIN}>;tag=f{user}\r\n\
             To: <sip:u{user}@{DOMAIN}>\r\n\
             Call-ID: r-{user}@bench\r\n\
             CSeq: {cseq} REGISTER\r\n\
             Contact: {}\r\n\
             Expires: 3600\r\n\
             User-Agent: bench\r\n",
            phones.transport(),
            contact(user, port, phones.parameter(), self.wakeable)
        )?;
        let asked = Asked {
            field: "Authorization",
            uri: URI,
            a2: &self.a2,
        };
        client.credentials.sign(&asked, &mut self.buffer)?;
        self.buffer.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        phones.send(ip, &self.buffer)
    }
}

impl Load for Registers {
    fn begin(&mut self, number: u32, phones: &mut Phones) -> Result<()> {
        let users = u32::try_from(self.clients.len())?;
        self.register(scattered(number, users), phones)
    }

    fn take(&mut self, datagram: &[u8], phones: &mut Phones) -> Result<Taken> {
        let answer = Message::new(datagram);
        let (Some(Start::Response(status)), Some(user)) = (answer.start(), answer.number()) else {
            bail!("no answer to a REGISTER: {}", datagram.escape_ascii());
        };
        let client = self
            .clients
            .get_mut(user as usize)
            .context("an answer for no user of ours")?;
        if !client.waiting || answer.header("CSeq").and_then(number) != Some(client.cseq) {
            return Ok(Taken::Again);
        }
        match status {
            200 => {
                client.waiting = false;
                Ok(Taken::Finished)
            }
            401 => {
                client.credentials.challenged(answer)?;
                self.register(user, phones)?;
                Ok(Taken::Challenged)
            }
            _ => bail!("REGISTER was refused: {}", datagram.escape_ascii()),
        }
    }
}

/// The Contact of a phone, with these parameters of its URI; of one that may be woken an iPhone's, as Linphone writes it (RFC 8599 §10).
pub(crate) fn contact(user: u32, port: u16, parameters: &str, wakeable: bool) -> String {
    let ip = address(user);
    let push = if wakeable {
        format!(";pn-provider=apns;pn-param=TEAM123456.com.example.phone.voip;pn-prid={user:064x}")
    } else {
        String::new()
    };
    format!(
        "<sip:u{user}@{ip}:{port}{parameters}{push}>;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{user:012x}>\""
    )
}
