//! SIP messages to users who are there: accepted with 202 once they are kept, delivered, acknowledged.

use super::{DOMAIN, Load, Taken, answer, caller};
use crate::{
    socket::{Phones, address},
    wire::{Message, Start, number},
};
use anyhow::{Context, Result, bail};
use memchr::memmem;
use std::io::Write;

/// Datagrams that a message brings to the phones when nothing is sent twice: the 202, and the message.
pub(crate) const RECEIVED: u64 = 2;

/// Writers and readers.
pub(crate) struct Messages {
    users: u32,
    /// What came of each: bit 0 the 202, bit 1 the message.
    seen: Vec<u8>,
    buffer: Vec<u8>,
}

impl Messages {
    /// Messages to the users `u0` and up.
    pub(crate) fn new(users: u32) -> Self {
        Self {
            users,
            seen: Vec::new(),
            buffer: Vec::with_capacity(2048),
        }
    }

    fn note(&mut self, number: u32, bit: u8) -> Result<Taken> {
        let seen = self
            .seen
            .get_mut(number as usize)
            .context("a message of nobody")?;
        if *seen & bit != 0 {
            return Ok(Taken::Again);
        }
        *seen |= bit;
        Ok(if *seen == 3 {
            Taken::Finished
        } else {
            Taken::Step
        })
    }
}

impl Load for Messages {
    fn begin(&mut self, number: u32, phones: &mut Phones) -> Result<()> {
        self.seen.resize(number as usize + 1, 0);
        let (ip, port) = (caller(number, self.users), phones.port());
        let user = number % self.users;
        let text = format!("m-{number}: shall we meet at eight?");
        self.buffer.clear();
        write!(
            self.buffer,
            "MESSAGE sip:u{user}@{DOMAIN} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bKm{number}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:writer@pbx.example>;tag=a{number}\r\n\
             To: <sip:u{user}@{DOMAIN}>\r\n\
             Call-ID: m-{number}@bench\r\n\
             CSeq: 1 MESSAGE\r\n\
             Content-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n{text}",
            text.len()
        )?;
        phones.send(ip, &self.buffer)
    }

    fn take(&mut self, datagram: &[u8], phones: &mut Phones) -> Result<Taken> {
        let message = Message::new(datagram);
        match message.start() {
            Some(Start::Response(202)) => {
                let number = message.number().context("a 202 to nothing of ours")?;
                self.note(number, 1)
            }
            // Its Call-ID is the server's own: the text tells which it is.
            Some(Start::Request(b"MESSAGE")) => {
                let body = memmem::find(datagram, b"\r\n\r\nm-").context("not our text")?;
                let number: u32 = number(&datagram[body + 6..]).context("not our text")?;
                answer(
                    message,
                    "200 OK",
                    &format!(";tag=b{number}"),
                    &mut self.buffer,
                );
                self.buffer.extend_from_slice(b"Content-Length: 0\r\n\r\n");
                phones.send(address(number % self.users), &self.buffer)?;
                self.note(number, 2)
            }
            _ => bail!("unexpected for a message: {}", datagram.escape_ascii()),
        }
    }
}
