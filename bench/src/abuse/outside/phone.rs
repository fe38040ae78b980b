//! A connection over TLS to an edge, and what is asked over it, by the honest and the others.

use super::target::Target;
use crate::{
    abuse::messages::{Draft, status},
    load::DOMAIN,
    stream::Stream,
};
use anyhow::Result;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// What takes longer has failed: a phone would go elsewhere.
const PATIENCE: Duration = Duration::from_secs(4);

/// See the module.
pub(super) struct Phone {
    stream: Stream,
    at: SocketAddr,
    heard: Vec<u8>,
    /// Requests so far.
    pub(super) sent: u64,
    /// Octets of answers so far.
    pub(super) octets: usize,
}

impl Phone {
    /// Connects from there; TLS has begun then.
    pub(super) fn connect(from: Ipv4Addr, target: &Target) -> Result<Self> {
        let stream = Stream::connect(from, target.at, &target.tls, DOMAIN)?;
        let at = stream.socket().local_addr()?;
        Ok(Self {
            stream,
            at,
            heard: Vec::new(),
            sent: 0,
            octets: 0,
        })
    }

    /// A REGISTER of a user, `number` being unlike that of any other.
    pub(super) fn register(&self, user: u32, number: u32) -> Draft {
        Draft {
            method: "REGISTER",
            transport: "TLS",
            from: format!("u{user}"),
            to: format!("u{user}"),
            id: format!("o{number}"),
            at: self.at,
            wakeable: None,
        }
    }

    /// Registers by the password. False if it does not work.
    pub(super) fn signs_in(&mut self, user: u32, number: u32) -> bool {
        let draft = self.register(user, number);
        let Some(challenge) = self.asks(&draft, &draft.text(0, "")) else {
            return false;
        };
        let signed = draft.signed(&challenge).unwrap_or_default();
        let answer = self.asks(&draft, &draft.text(1, &signed));
        answer.and_then(|it| status(&it, &draft.id)) == Some(200)
    }

    /// Sends a request and waits for its answer; nothing if there is none.
    pub(super) fn asks(&mut self, draft: &Draft, text: &str) -> Option<Vec<u8>> {
        self.says(text).ok()?;
        let begun = Instant::now();
        self.heard.clear();
        while begun.elapsed() < PATIENCE {
            self.hears().ok()?;
            if status(&self.heard, &draft.id).is_some_and(|status| status >= 200)
                && self.heard.ends_with(b"\r\n\r\n")
            {
                return Some(std::mem::take(&mut self.heard));
            }
        }
        None
    }

    /// Sends, and waits for nothing.
    ///
    /// # Errors
    /// The edge does not read, or has ended the connection.
    pub(super) fn says(&mut self, text: &str) -> Result<()> {
        self.sent += 1;
        self.stream.say(text.as_bytes())?;
        self.stream.flush()
    }

    /// Waits a moment for octets.
    fn hears(&mut self) -> Result<()> {
        let mut readable = [PollFd::new(self.stream.socket().as_fd(), PollFlags::POLLIN)];
        poll(&mut readable, PollTimeout::from(50_u8))?;
        let before = self.heard.len();
        let heard = &mut self.heard;
        self.stream.read(|octets| heard.extend_from_slice(octets))?;
        self.octets += self.heard.len() - before;
        // The handshake may have more to say.
        self.stream.flush()
    }

    /// Waits until TLS is there, for a moment at most.
    pub(super) fn is_up(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if !self.stream.is_handshaking() {
                return true;
            }
            if self.hears().is_err() {
                return false;
            }
        }
        false
    }
}
