//! Honest phones, which register and call one after the other, and how long that took.

use super::messages::{Draft, answer, status};
use crate::wire::{Message, Start};
use anyhow::Result;
use std::{
    fmt,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::{Duration, Instant},
};

/// What takes longer has failed: a phone would go elsewhere.
const PATIENCE: Duration = Duration::from_secs(4);
/// An answer that does not come is asked for again (RFC 3261 §17.1.1.2, timer A).
const AGAIN: Duration = Duration::from_millis(500);
/// Between one and the next.
const PAUSE: Duration = Duration::from_millis(20);

/// How long something took each time that it worked.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub(crate) tried: usize,
    took: Vec<Duration>,
}

impl Times {
    fn add(&mut self, took: Option<Duration>) {
        self.tried += 1;
        self.took.extend(took);
    }

    /// The one in the middle.
    pub(crate) fn middle(&self) -> Duration {
        self.at(50)
    }

    /// How many took no longer.
    pub(crate) fn within(&self, limit: Duration) -> usize {
        self.took.iter().filter(|took| **took <= limit).count()
    }

    fn at(&self, percent: usize) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        let place = (took.len() * percent / 100).min(took.len().saturating_sub(1));
        took.get(place).copied().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [middle, late] = [50, 99].map(|percent| self.at(percent).as_secs_f64() * 1e3);
        let done = self.took.len();
        write!(
            f,
            "{done} of {}, median {middle:.1} ms, 99 % {late:.1} ms",
            self.tried
        )
    }
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) registers: Times,
    pub(crate) calls: Times,
}

/// The phones of the users `u0` and up.
pub(crate) struct Honest {
    server: SocketAddrV4,
    phones: Vec<UdpSocket>,
    number: u32,
}

impl Honest {
    pub(crate) fn new(server: SocketAddrV4, users: u32) -> Result<Self> {
        let phone = |user| {
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 200, 0, u8::try_from(user + 1)?), 0))?;
            socket.connect(server)?;
            socket.set_read_timeout(Some(AGAIN))?;
            Ok(socket)
        };
        Ok(Self {
            server,
            phones: (0..users).map(phone).collect::<Result<_>>()?,
            number: 0,
        })
    }

    /// Phones register and call for so long.
    pub(crate) fn go_on(&mut self, time: Duration) -> Result<Seen> {
        let (mut seen, begun) = (Seen::default(), Instant::now());
        while begun.elapsed() < time {
            self.number += 1;
            let registered = self.registers(self.number as usize % self.phones.len())?;
            seen.registers.add(registered);
            if registered.is_some() && self.number as usize > self.phones.len() {
                seen.calls.add(self.calls()?);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(seen)
    }

    fn draft(&self, method: &'static str, from: usize, to: usize) -> Result<Draft> {
        Ok(Draft {
            method,
            transport: "UDP",
            from: format!("u{from}"),
            to: format!("u{to}"),
            id: format!("h{}{}", self.number, method.to_lowercase()),
            at: self.phones[from].local_addr()?,
        })
    }

    /// A phone registers anew, with a challenge.
    fn registers(&self, user: usize) -> Result<Option<Duration>> {
        let draft = self.draft("REGISTER", user, user)?;
        let begun = Instant::now();
        let Some(challenge) = self.exchange(user, &draft, &draft.text(0, ""))? else {
            return Ok(None);
        };
        let signed = draft.signed(&challenge).unwrap_or_default();
        let answer = self.exchange(user, &draft, &draft.text(1, &signed))?;
        let good = answer.and_then(|it| status(&it, &draft.id)) == Some(200);
        Ok(good.then(|| begun.elapsed()))
    }

    /// The phone that has just registered is called by the one before it, and is busy.
    fn calls(&self) -> Result<Option<Duration>> {
        let count = self.phones.len();
        let callee = self.number as usize % count;
        let caller = (callee + count - 1) % count;
        let draft = self.draft("INVITE", caller, callee)?;
        let begun = Instant::now();
        let Some(challenge) = self.exchange(caller, &draft, &draft.text(0, ""))? else {
            return Ok(None);
        };
        let ack = Draft {
            method: "ACK",
            ..draft.clone()
        };
        self.phones[caller].send(ack.text(1, "").as_bytes())?;
        let signed = draft.signed(&challenge).unwrap_or_default();
        let invite = draft.text(1, &signed);
        self.phones[caller].send(invite.as_bytes())?;
        let rang = self.rings(callee, &draft, begun)?;
        // The caller's last answer, and its ACK.
        if rang.is_some() && self.last_of(caller, &draft) {
            self.phones[caller].send(ack.text(2, "").as_bytes())?;
        }
        Ok(rang)
    }

    fn rings(&self, callee: usize, draft: &Draft, begun: Instant) -> Result<Option<Duration>> {
        let mut buffer = [0; 4096];
        while begun.elapsed() < PATIENCE {
            let Ok(length) = self.phones[callee].recv(&mut buffer) else {
                continue;
            };
            let message = Message::new(&buffer[..length]);
            let ours = message
                .header("Call-ID")
                .is_some_and(|id| id.starts_with(draft.id.as_bytes()));
            if ours && message.start() == Some(Start::Request(b"INVITE")) {
                let rang = begun.elapsed();
                self.phones[callee].send(&answer(&buffer[..length], "486 Busy Here"))?;
                return Ok(Some(rang));
            }
        }
        Ok(None)
    }

    fn last_of(&self, user: usize, draft: &Draft) -> bool {
        let mut buffer = [0; 4096];
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Ok(length) = self.phones[user].recv(&mut buffer)
                && status(&buffer[..length], &draft.id).is_some_and(|status| status >= 480)
            {
                return true;
            }
        }
        false
    }

    /// Sends a request, again and again as a phone does; its final answer.
    fn exchange(&self, user: usize, draft: &Draft, text: &str) -> Result<Option<Vec<u8>>> {
        let phone = &self.phones[user];
        let mut buffer = [0; 4096];
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            anyhow::ensure!(self.server.port() > 0, "the server listens");
            phone.send(text.as_bytes())?;
            let sent = Instant::now();
            while sent.elapsed() < AGAIN {
                let Ok(length) = phone.recv(&mut buffer) else {
                    break;
                };
                if status(&buffer[..length], &draft.id).is_some_and(|status| status >= 200) {
                    return Ok(Some(buffer[..length].to_vec()));
                }
            }
        }
        Ok(None)
    }
}
