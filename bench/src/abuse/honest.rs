//! Honest phones, one of which registers, and is woken for a call, after the other; and how long that took.

use super::{
    messages::{Draft, answer, status},
    times::Times,
};
use crate::{
    sink::Pushed,
    wire::{Message, Start},
};
use anyhow::{Context, Result};
use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::{Duration, Instant},
};

/// What takes longer has failed: a phone would go elsewhere.
const PATIENCE: Duration = Duration::from_secs(4);
/// An answer that does not come is asked for again (RFC 3261 §17.1.1.2, timer A).
const AGAIN: Duration = Duration::from_millis(500);
/// Between one phone and the next: so many calls begin a minute that no caller reaches their limit.
const PAUSE: Duration = Duration::from_millis(12);

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// From a REGISTER, which is challenged, to its 200.
    pub(crate) registers: Times,
    /// From an INVITE, which is challenged, by the push and the REGISTER of the phone, to the INVITE there.
    pub(crate) wakes: Times,
}

/// The phones of the users `u0` and up, each at an address of its own.
pub(crate) struct Honest {
    phones: Vec<UdpSocket>,
    /// Where the push cloud says who was pushed to.
    pushes: UdpSocket,
    /// So many of them register and call by themselves.
    busy: usize,
    /// Whose turn it is.
    turn: usize,
    /// Requests so far.
    number: u32,
}

impl Honest {
    /// Phones of so many users, of whom so many are to be busy.
    pub(crate) fn new(users: u32, busy: usize) -> Result<Self> {
        let phone = |user: u32| -> Result<_> {
            let [.., high, low] = (user + 1).to_be_bytes();
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 200, high, low), 0))?;
            socket.set_read_timeout(Some(AGAIN))?;
            Ok(socket)
        };
        let pushes = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        pushes.set_read_timeout(Some(AGAIN))?;
        Ok(Self {
            phones: (0..users).map(phone).collect::<Result<_>>()?,
            pushes,
            busy,
            turn: 0,
            number: 0,
        })
    }

    /// The port to which the push cloud says who was pushed to.
    pub(crate) fn port(&self) -> Result<u16> {
        Ok(self.pushes.local_addr()?.port())
    }

    /// They are the server's that is there, and all register.
    pub(crate) fn join(&mut self, server: SocketAddrV4) -> Result<()> {
        for user in 0..self.phones.len() {
            self.phones[user].connect(server)?;
            self.registers(user)?.context("a phone cannot register")?;
        }
        Ok(())
    }

    /// Phones register and are woken for so long.
    pub(crate) fn go_on(&mut self, time: Duration) -> Result<Seen> {
        let (mut seen, begun) = (Seen::default(), Instant::now());
        while begun.elapsed() < time {
            self.turn += 1;
            let user = self.turn % self.busy;
            seen.registers.add(self.registers(user)?);
            seen.wakes.add(self.wakes(user)?);
            std::thread::sleep(PAUSE);
        }
        Ok(seen)
    }

    fn draft(&mut self, method: &'static str, from: usize, to: usize) -> Result<Draft> {
        self.number += 1;
        Ok(Draft {
            method,
            transport: "UDP",
            from: format!("u{from}"),
            to: format!("u{to}"),
            id: format!("h{}{}", self.number, method.to_lowercase()),
            at: self.phones[from].local_addr()?,
            wakeable: Some(from),
        })
    }

    /// A phone registers anew, with a challenge.
    fn registers(&mut self, user: usize) -> Result<Option<Duration>> {
        let begun = Instant::now();
        Ok(self.signs_in(user, |_| ())?.then(|| begun.elapsed()))
    }

    /// The same; what else the phone hears meanwhile is told.
    fn signs_in(&mut self, user: usize, mut other: impl FnMut(&[u8])) -> Result<bool> {
        let draft = self.draft("REGISTER", user, user)?;
        let challenge = self.exchange(user, &draft, &draft.text(0, ""), &mut other)?;
        let Some(challenge) = challenge else {
            return Ok(false);
        };
        let signed = draft.signed(&challenge).unwrap_or_default();
        let answer = self.exchange(user, &draft, &draft.text(1, &signed), other)?;
        Ok(answer.and_then(|it| status(&it, &draft.id)) == Some(200))
    }

    /// The phone sleeps, and is called by the one before it; it is woken, and is busy.
    fn wakes(&mut self, callee: usize) -> Result<Option<Duration>> {
        let caller = (callee + self.busy - 1) % self.busy;
        let draft = self.draft("INVITE", caller, callee)?;
        let begun = Instant::now();
        let challenge = self.exchange(caller, &draft, &draft.text(0, ""), |_| ())?;
        let Some(challenge) = challenge else {
            return Ok(None);
        };
        let ack = Draft {
            method: "ACK",
            ..draft.clone()
        };
        self.phones[caller].send(ack.text(1, "").as_bytes())?;
        let signed = draft.signed(&challenge).unwrap_or_default();
        self.phones[caller].send(draft.text(1, &signed).as_bytes())?;
        if !self.is_pushed_to(callee, begun)? {
            return Ok(None);
        }
        let mut invite = None;
        let is_in = self.signs_in(callee, |heard| {
            if invite.is_none() && is_invite(heard, &draft) {
                invite = Some((begun.elapsed(), heard.to_vec()));
            }
        })?;
        if is_in && invite.is_none() {
            invite = self.rings(callee, &draft, begun);
        }
        let Some((rang, invite)) = invite else {
            return Ok(None);
        };
        self.phones[callee].send(&answer(&invite, "486 Busy Here"))?;
        // The caller's last answer, and its ACK.
        if self.last_of(caller, &draft) {
            self.phones[caller].send(ack.text(2, "").as_bytes())?;
        }
        Ok(Some(rang))
    }

    fn is_pushed_to(&self, user: usize, begun: Instant) -> Result<bool> {
        let mut buffer = [0; 100];
        while begun.elapsed() < PATIENCE {
            let Ok(length) = self.pushes.recv(&mut buffer) else {
                continue;
            };
            // One may be late, and there are phones that somebody else has called.
            let pushed = Pushed::read(&buffer[..length]).context("a word of the push cloud")?;
            if pushed.user as usize == user {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn rings(&self, callee: usize, draft: &Draft, begun: Instant) -> Option<(Duration, Vec<u8>)> {
        let mut buffer = [0; 4096];
        while begun.elapsed() < PATIENCE {
            if let Ok(length) = self.phones[callee].recv(&mut buffer)
                && is_invite(&buffer[..length], draft)
            {
                return Some((begun.elapsed(), buffer[..length].to_vec()));
            }
        }
        None
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

    /// Sends a request, again and again as a phone does; its final answer. What else came is told.
    fn exchange(
        &self,
        user: usize,
        draft: &Draft,
        text: &str,
        mut other: impl FnMut(&[u8]),
    ) -> Result<Option<Vec<u8>>> {
        let phone = &self.phones[user];
        let mut buffer = [0; 4096];
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            phone.send(text.as_bytes())?;
            let sent = Instant::now();
            while sent.elapsed() < AGAIN {
                let Ok(length) = phone.recv(&mut buffer) else {
                    break;
                };
                if status(&buffer[..length], &draft.id).is_some_and(|status| status >= 200) {
                    return Ok(Some(buffer[..length].to_vec()));
                }
                other(&buffer[..length]);
            }
        }
        Ok(None)
    }
}

/// Whether this is the INVITE of that call.
fn is_invite(heard: &[u8], draft: &Draft) -> bool {
    let message = Message::new(heard);
    let id = message.header("Call-ID");
    id.is_some_and(|id| id.starts_with(draft.id.as_bytes()))
        && message.start() == Some(Start::Request(b"INVITE"))
}
