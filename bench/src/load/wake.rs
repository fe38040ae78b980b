//! Calls to phones that sleep: each registers when the push sink says that it was pushed to, and is called then.

use super::{Calls, Load, Registers, Taken};
use crate::{
    sink,
    socket::Phones,
    stats::float,
    wire::{Message, Start},
};
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// Datagrams that a woken call brings to the phones when nothing is sent twice: those of the call, the sink's word that
/// there was a push, and the answer to the REGISTER.
pub(crate) const RECEIVED: u64 = super::call::RECEIVED + 2;

/// Callers, and callees that sleep.
pub(crate) struct Wakes {
    users: u32,
    calls: Calls,
    registers: Registers,
    times: Vec<Times>,
    /// The call that each user is wanted for.
    wanted: Vec<u32>,
    began: Instant,
}

/// Since the beginning of all.
#[derive(Copy, Clone, Default)]
struct Times {
    invited: Duration,
    pushed: Duration,
    registered: Duration,
    called: Duration,
    /// The call is over, and the REGISTER answered.
    done: u8,
}

/// What callers wait for, in milliseconds, each sorted by call.
pub(crate) struct Latencies {
    /// INVITE sent to push arrived.
    pub(crate) push: Vec<f64>,
    /// REGISTER sent to INVITE arrived.
    pub(crate) fork: Vec<f64>,
}

impl Wakes {
    /// Phones that have registered before, and sleep.
    pub(crate) fn new(users: u32, registers: Registers, began: Instant) -> Self {
        Self {
            users,
            calls: Calls::new(users),
            registers,
            times: Vec::new(),
            wanted: vec![0; users as usize],
            began,
        }
    }

    /// Of the calls from this number on.
    pub(crate) fn latencies(&self, first: u32) -> Latencies {
        let calls = self.times.get(first as usize..).unwrap_or_default();
        let milliseconds = |from: Duration, to: Duration| {
            let micros = to.saturating_sub(from).as_micros();
            float(u64::try_from(micros).unwrap_or(u64::MAX)) / 1000.0
        };
        Latencies {
            push: calls
                .iter()
                .map(|call| milliseconds(call.invited, call.pushed))
                .collect(),
            fork: calls
                .iter()
                .map(|call| milliseconds(call.registered, call.called))
                .collect(),
        }
    }

    fn pushed(&mut self, pushed: &sink::Pushed, phones: &mut Phones) -> Result<Taken> {
        let call = self
            .wanted
            .get(pushed.user as usize)
            .and_then(|number| self.times.get_mut(*number as usize))
            .context("a push for no user of ours")?;
        if call.pushed != Duration::ZERO {
            return Ok(Taken::Again);
        }
        call.pushed = pushed.at;
        call.registered = self.began.elapsed();
        self.registers.register(pushed.user, phones)?;
        Ok(Taken::Step)
    }

    /// One of the two things that end a wake.
    fn half_done(&mut self, number: u32) -> Result<Taken> {
        let call = self.times.get_mut(number as usize);
        let call = call.context("an answer for no call")?;
        call.done += 1;
        Ok(if call.done == 2 {
            Taken::Finished
        } else {
            Taken::Step
        })
    }
}

impl Load for Wakes {
    fn begin(&mut self, number: u32, phones: &mut Phones) -> Result<()> {
        self.times.resize(number as usize + 1, Times::default());
        self.wanted[(number % self.users) as usize] = number;
        self.times[number as usize].invited = self.began.elapsed();
        self.calls.begin(number, phones)
    }

    fn take(&mut self, datagram: &[u8], phones: &mut Phones) -> Result<Taken> {
        if let Some(pushed) = sink::Pushed::read(datagram) {
            return self.pushed(&pushed, phones);
        }
        let message = Message::new(datagram);
        let number = message.number().context("a message of no call")?;
        if message.method() == Some(b"REGISTER") {
            return match self.registers.take(datagram, phones)? {
                Taken::Finished => self.half_done(self.wanted[number as usize]),
                other => Ok(other),
            };
        }
        if message.start() == Some(Start::Request(b"INVITE"))
            && let Some(call) = self.times.get_mut(number as usize)
            && call.called == Duration::ZERO
        {
            call.called = self.began.elapsed();
        }
        match self.calls.take(datagram, phones)? {
            Taken::Finished => self.half_done(number),
            other => Ok(other),
        }
    }
}
