//! REGISTER with digest authentication, as a phone refreshes it: the nonce of the last challenge with its count going up.

use super::{DOMAIN, Load, PASSWORD, Taken, scattered};
use crate::{
    socket::{Phones, address},
    wire::{Message, Start, number, parameter},
};
use anyhow::{Context, Result, bail};
use md5::{Digest as _, Md5};
use std::io::Write;

/// The client's own nonce (RFC 7616 §3.4); its worth is not what is measured here.
const CNONCE: &str = "0a4f113b";
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

type Hex = [u8; 32];

struct Client {
    /// `MD5(user:realm:password)` (RFC 7616 §3.4.2).
    a1: Hex,
    nonce: Box<[u8]>,
    /// Uses of this nonce.
    count: u32,
    /// Of the latest REGISTER.
    cseq: u32,
    waiting: bool,
}

impl Registers {
    /// Phones of the users `u0` and up that have not registered yet, and may be woken by push or not.
    pub(crate) fn new(users: u32, wakeable: bool) -> Self {
        let client = |user| Client {
            a1: hash(&[format!("u{user}:{DOMAIN}:{PASSWORD}").as_bytes()]),
            nonce: Box::default(),
            count: 0,
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

    /// Sends a REGISTER of this user.
    pub(super) fn register(&mut self, user: u32, phones: &mut Phones) -> Result<()> {
        let client = self
            .clients
            .get_mut(user as usize)
            .with_context(|| format!("there is no user u{user}"))?;
        client.cseq += 1;
        client.waiting = true;
        let cseq = client.cseq;
        let (ip, port) = (address(user), phones.port());
        self.buffer.clear();
        write!(
            self.buffer,
            "REGISTER {URI} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bKr{user}-{cseq}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:u{user}@{DOMAIN}>;tag=f{user}\r\n\
             To: <sip:u{user}@{DOMAIN}>\r\n\
             Call-ID: r-{user}@bench\r\n\
             CSeq: {cseq} REGISTER\r\n\
             Contact: {}\r\n\
             Expires: 3600\r\n\
             User-Agent: bench\r\n",
            contact(user, port, self.wakeable)
        )?;
        if !client.nonce.is_empty() {
            client.authorize(user, &self.a2, &mut self.buffer)?;
        }
        self.buffer.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        phones.send(ip, &self.buffer)
    }
}

impl Client {
    fn authorize(&mut self, user: u32, a2: &Hex, into: &mut Vec<u8>) -> Result<()> {
        self.count += 1;
        let nc = format!("{:08x}", self.count);
        let tail = format!(":{nc}:{CNONCE}:auth:");
        let response = hash(&[&self.a1, b":", &self.nonce, tail.as_bytes(), a2]);
        write!(
            into,
            "Authorization: Digest username=\"u{user}\", realm=\"{DOMAIN}\", nonce=\""
        )?;
        into.extend_from_slice(&self.nonce);
        write!(into, "\", uri=\"{URI}\", response=\"")?;
        into.extend_from_slice(&response);
        write!(
            into,
            "\", algorithm=MD5, qop=auth, nc={nc}, cnonce=\"{CNONCE}\"\r\n"
        )?;
        Ok(())
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
                client.nonce = nonce(answer).context("a challenge without MD5 and qop")?;
                client.count = 0;
                self.register(user, phones)?;
                Ok(Taken::Challenged)
            }
            _ => bail!("REGISTER was refused: {}", datagram.escape_ascii()),
        }
    }
}

/// Of the challenge for MD5, which both servers offer.
fn nonce(challenged: Message<'_>) -> Option<Box<[u8]>> {
    let challenge = challenged.headers("WWW-Authenticate").find(|challenge| {
        parameter(challenge, "algorithm").is_none_or(|name| name.eq_ignore_ascii_case(b"MD5"))
            && parameter(challenge, "qop").is_some()
    })?;
    Some(parameter(challenge, "nonce")?.into())
}

/// The Contact of a phone; of one that may be woken an iPhone's, as Linphone writes it (RFC 8599 §10).
pub(crate) fn contact(user: u32, port: u16, wakeable: bool) -> String {
    let ip = address(user);
    let push = if wakeable {
        format!(";pn-provider=apns;pn-param=TEAM123456.com.example.phone.voip;pn-prid={user:064x}")
    } else {
        String::new()
    };
    format!(
        "<sip:u{user}@{ip}:{port}{push}>;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{user:012x}>\""
    )
}

fn hash(parts: &[&[u8]]) -> Hex {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part);
    }
    let digest = md5.finalize();
    std::array::from_fn(|at| {
        let octet = digest[at / 2];
        DIGITS[usize::from(if at % 2 == 0 { octet >> 4 } else { octet & 15 })]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of RFC 7616 §3.9.1, for MD5.
    #[test]
    fn a_challenge_is_answered_as_the_rfc_does() {
        let a1 = hash(&[b"Mufasa:http-auth@example.org:Circle of Life"]);
        let a2 = hash(&[b"GET:/dir/index.html"]);
        let response = hash(&[
            &a1,
            b":7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth:",
            &a2,
        ]);
        assert_eq!(&response, b"8ca523f5e9506fed4657c9700eebdbec");
    }
}
