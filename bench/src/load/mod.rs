//! Load: machines that play phones and say what has been answered, and the loop that drives them. Nothing is sent
//! twice: a request that gets no answer fails the row, and what a server sends twice is counted.

mod call;
mod digest;
mod message;
mod register;
mod rest;
mod wake;
mod xmpp;

pub(crate) use call::{Calls, RECEIVED as CALL_RECEIVED};
pub(crate) use message::{Messages, RECEIVED as MESSAGE_RECEIVED};
pub(crate) use register::{Registers, contact};
pub(crate) use rest::{Answered, Tenant, grant};
pub(crate) use wake::{Latencies, RECEIVED as WAKE_RECEIVED, Wakes};
pub(crate) use xmpp::{At, Chat, Crowd, Seen, leave_word, write_to};

use crate::socket::{Inbox, Phones, address};
use anyhow::{Result, bail};
use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

/// The domain of every user.
pub(crate) const DOMAIN: &str = "localhost";
/// The password of every user.
pub(crate) const PASSWORD: &str = "wakeup";
/// No answer for so long: it is lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// Callers have addresses behind those of all phones.
const CALLERS: u32 = 0x40_0000;

/// What a datagram meant.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Taken {
    /// A step on the way.
    Step,
    /// A request has been answered for good.
    Finished,
    /// The server asked for (new) credentials.
    Challenged,
    /// We had that already: the server sent it twice.
    Again,
}

/// Phones that do one thing.
pub(crate) trait Load {
    /// Begins the request with this number; numbers go up from 0, over all runs.
    fn begin(&mut self, number: u32, phones: &mut Phones) -> Result<()>;

    /// Takes what came, and does what a phone does then.
    fn take(&mut self, datagram: &[u8], phones: &mut Phones) -> Result<Taken>;
}

/// How fast requests are begun.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Pace {
    /// So many a second; as fast as it goes otherwise.
    rate: Option<u32>,
    /// Most that are on their way at any time.
    most: u32,
}

impl Pace {
    /// So many are on their way at any time.
    pub(crate) fn window(most: u32) -> Self {
        Self { rate: None, most }
    }

    /// So many are begun a second, unless more than `most` are on their way.
    pub(crate) fn rate(rate: u32, most: u32) -> Self {
        let rate = Some(rate);
        Self { rate, most }
    }
}

/// What a run was.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Requests answered: as many as were begun.
    pub(crate) finished: u32,
    /// Datagrams to the server.
    pub(crate) sent: u64,
    /// Datagrams from the server and from the push sink.
    pub(crate) received: u64,
    /// Challenges among them.
    pub(crate) challenged: u64,
    /// Datagrams that the server sent twice.
    pub(crate) again: u64,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

/// Begins `requests` requests, the first with number `first`, and waits until all are answered.
pub(crate) fn run(
    load: &mut impl Load,
    phones: &mut Phones,
    first: u32,
    requests: u32,
    pace: Pace,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut inbox = Inbox::default();
    let (started, sent_before) = (Instant::now(), phones.sent);
    let (mut begun, mut heard) = (0, started);
    while tally.finished < requests {
        let due = pace
            .rate
            .map_or(requests, |rate| due_by(started.elapsed(), rate));
        let room = tally.finished + pace.most;
        while begun < due.min(requests).min(room) {
            load.begin(first + begun, phones)?;
            begun += 1;
        }
        let wait = match pace.rate {
            Some(rate) if begun < requests.min(room) => next_at(begun, rate, started),
            _ => PATIENCE,
        };
        phones.receive(wait, &mut inbox)?;
        for datagram in inbox.iter() {
            heard = Instant::now();
            tally.received += 1;
            match load.take(datagram, phones)? {
                Taken::Step => {}
                Taken::Finished => tally.finished += 1,
                Taken::Challenged => tally.challenged += 1,
                Taken::Again => tally.again += 1,
            }
        }
        if heard.elapsed() > PATIENCE {
            let lost = begun - tally.finished;
            bail!(
                "{lost} of {begun} requests got no answer: datagrams were lost, or the server hangs"
            );
        }
    }
    tally.took = started.elapsed();
    tally.sent = phones.sent - sent_before;
    Ok(tally)
}

/// Requests that should have begun by then.
fn due_by(elapsed: Duration, rate: u32) -> u32 {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    u32::try_from(micros.saturating_mul(u64::from(rate)) / 1_000_000 + 1).unwrap_or(u32::MAX)
}

/// How long until the next one.
fn next_at(begun: u32, rate: u32, started: Instant) -> Duration {
    let at = Duration::from_secs(1) * begun / rate;
    at.saturating_sub(started.elapsed())
}

/// The address that a request of this number is sent from, for callers and writers.
fn caller(number: u32, users: u32) -> Ipv4Addr {
    address(CALLERS + number % users)
}

/// A scattered order: each of `users` once in every round, neighbours far apart.
fn scattered(number: u32, users: u32) -> u32 {
    // A prime, so that it has no divisor in common with the number of users.
    const STRIDE: u64 = 2_654_435_761;
    let at = u64::from(number) * STRIDE % u64::from(users);
    u32::try_from(at).unwrap_or_default()
}

/// An answer to a request of the server, without its last line.
fn answer(request: crate::wire::Message<'_>, status: &str, tag: &str, into: &mut Vec<u8>) {
    into.clear();
    let mut line = |parts: &[&[u8]]| {
        for part in parts {
            into.extend_from_slice(part);
        }
        into.extend_from_slice(b"\r\n");
    };
    line(&[b"SIP/2.0 ", status.as_bytes()]);
    for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
        for value in request.headers(name) {
            let untagged = name == "To" && crate::wire::parameter(value, "tag").is_none();
            let tag: &[u8] = if untagged { tag.as_bytes() } else { b"" };
            line(&[name.as_bytes(), b": ", value, tag]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_user_has_a_turn_in_every_round() {
        for users in [1, 7, 1_000, 4_096] {
            let seen: HashSet<_> = (users..2 * users).map(|n| scattered(n, users)).collect();
            assert_eq!(seen.len(), users as usize);
        }
    }

    #[test]
    fn an_open_loop_keeps_its_rate() {
        assert_eq!(due_by(Duration::ZERO, 500), 1);
        assert_eq!(due_by(Duration::from_secs(2), 500), 1_001);
    }
}
