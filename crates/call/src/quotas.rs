//! How many calls one caller and one callee may have that wait to be answered, and begin a minute. A call gives its place
//! back as soon as its caller has the final answer.

use crate::{
    gate::Sender,
    settings::{CallLimits, is_spiral},
};
use domain::{
    Address, Refusal,
    guard::Source,
    quota::{Exceeded, Quota},
};
use sip::Flow;
use std::time::Instant;

/// Who is counted as a caller.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Caller {
    /// One of our users, wherever they call from.
    User(Address),
    /// A stranger, where strangers are let in, by where they come from.
    Source(Source),
    /// A server that the operator trusts, which calls for many.
    Server(Source),
}

impl Caller {
    /// Who sent this. `None`: it comes from ourselves, and was counted before.
    pub(crate) fn of(sender: &Sender, flow: Flow, trusted: bool) -> Option<Self> {
        let source = || Source::of(flow.remote.ip());
        match sender {
            _ if is_spiral(flow) => None,
            _ if trusted => Some(Self::Server(source())),
            Sender::User(user) => Some(Self::User(user.clone())),
            Sender::Outside(_) => Some(Self::Source(source())),
        }
    }
}

/// The place of a call.
#[derive(Debug)]
pub(crate) struct Place {
    caller: Option<Caller>,
    callee: Address,
}

/// All places.
#[derive(Debug)]
pub(crate) struct Quotas {
    callers: Quota<Caller>,
    servers: Quota<Caller>,
    callees: Quota<Address>,
    taken: usize,
}

impl Quotas {
    pub(crate) fn new(limits: CallLimits) -> Self {
        Self {
            callers: Quota::new(limits.per_caller),
            servers: Quota::new(limits.per_server),
            callees: Quota::new(limits.per_callee),
            taken: 0,
        }
    }

    /// Who has more than is let now keeps it, and gets no more.
    pub(crate) fn reconfigure(&mut self, limits: CallLimits) {
        self.callers.allow(limits.per_caller);
        self.callees.allow(limits.per_callee);
    }

    /// How many places are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// What counts for such a caller.
    fn of(&mut self, caller: &Caller) -> &mut Quota<Caller> {
        match caller {
            Caller::Server(_) => &mut self.servers,
            Caller::User(_) | Caller::Source(_) => &mut self.callers,
        }
    }

    /// Takes a place.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        caller: Option<Caller>,
        callee: &Address,
    ) -> Result<Place, (Refusal, Exceeded)> {
        if let Some(caller) = &caller {
            let taken = self.of(caller).take(now, caller.clone());
            taken.map_err(|exceeded| (Refusal::Caller, exceeded))?;
        }
        if let Err(exceeded) = self.callees.take(now, callee.clone()) {
            if let Some(caller) = &caller {
                self.of(caller).give_back(caller);
            }
            return Err((Refusal::Callee, exceeded));
        }
        self.taken += 1;
        Ok(Place {
            caller,
            callee: callee.clone(),
        })
    }

    /// Gives a place back.
    pub(crate) fn give_back(&mut self, place: &Place) {
        if let Some(caller) = &place.caller {
            self.of(caller).give_back(caller);
        }
        self.callees.give_back(&place.callee);
        self.taken -= 1;
    }
}
