//! The calls that were offered to the users of one shard by message (XEP-0353), and what messages say of calls.
//!
//! A call is known at its callee's role alone, from its proposal until some time after its end: so long it is told from the next
//! one, and so long a device that comes late hears who took it.

use domain::{Address, IdMap, Refusal, TrackingId};
use hub::CallId;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use xmpp::{ns, stanza::StanzaCondition, xml::Element};

/// Calls of this role have numbers from here on: no other role's have.
pub const CALL_IDS: u64 = 1 << 63;

/// A caller's calls count for so long.
const COUNTED: Duration = Duration::from_mins(1);
/// Calls that one caller may propose to one callee in that time; one more is refused.
const OF_CALLER: usize = 5;
/// Calls that are known of one callee; one more is refused.
const OF_CALLEE: usize = 32;
/// Calls that are known; one more is refused.
const MOST: usize = 20_000;
/// Longest id of a call, in bytes.
const ID_BYTES: usize = 256;

/// What a user says of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// The caller calls (XEP-0353 §3.1).
    Propose,
    /// A device of the callee's rings (XEP-0353 §3.2).
    Ringing,
    /// The caller gives up (XEP-0353 §3.3).
    Retract,
    /// A device of the callee's takes it (XEP-0353 §3.4).
    Proceed,
    /// The callee says no (XEP-0353 §3.5).
    Reject,
    /// Either side says that it is over (XEP-0353 §3.7).
    Finish,
}

impl Action {
    /// Whether it begins a call.
    pub(crate) fn begins(self) -> bool {
        self == Self::Propose
    }
}

/// Their names. `accept` is what earlier versions had a device tell its user's others.
const ACTIONS: [(&str, Action); 7] = [
    ("propose", Action::Propose),
    ("ringing", Action::Ringing),
    ("retract", Action::Retract),
    ("proceed", Action::Proceed),
    ("accept", Action::Proceed),
    ("reject", Action::Reject),
    ("finish", Action::Finish),
];

/// A call that is to begin when its proposal is kept.
#[derive(Debug)]
pub(crate) struct Proposal {
    pub(crate) callee: Address,
    pub(crate) caller: Address,
    pub(crate) caller_name: String,
    /// By which clients know it.
    pub(crate) id: Box<str>,
    pub(crate) tracking: TrackingId,
}

/// What a letter of the caller's does to a call when it is kept, in the order in which letters are.
#[derive(Debug)]
pub(crate) enum Kept {
    /// The call begins.
    Begins(Proposal),
    /// The caller says something of it.
    Says(Word),
}

/// What a caller says of a call.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) callee: Address,
    pub(crate) caller: Address,
    pub(crate) id: Box<str>,
    pub(crate) action: Action,
}

/// A call that is known.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) callee: Address,
    pub(crate) caller: Address,
    pub(crate) id: Box<str>,
    pub(crate) tracking: TrackingId,
    pub(crate) at: Instant,
    /// Its proposal is kept, and the hub knows of it.
    pub(crate) has_begun: bool,
    pub(crate) is_over: bool,
    /// What one of the callee's devices said to end the ringing of the others.
    pub(crate) end: Option<Box<Element>>,
}

/// The calls of one shard's callees.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// In the order in which they came.
    all: BTreeMap<u64, Call>,
    of: IdMap<Address, Vec<u64>>,
    last: u64,
}

impl Calls {
    fn of(&self, callee: &Address) -> impl Iterator<Item = (u64, &Call)> {
        let numbers = self.of.get(callee).into_iter().flatten();
        numbers.filter_map(|number| Some((*number, self.all.get(number)?)))
    }

    /// The call that both sides know by this id; its caller need not be named.
    pub(crate) fn find(&self, callee: &Address, caller: Option<&Address>, id: &str) -> Option<u64> {
        let is_it = |call: &Call| *call.id == *id && caller.is_none_or(|it| *it == call.caller);
        let mut all = self.of(callee).filter(|(_, call)| is_it(call));
        all.next().map(|(number, _)| number)
    }

    /// Why a call may not begin, if that is so. Who calls without end is refused before anybody is woken for it.
    pub(crate) fn admits(
        &self,
        now: Instant,
        callee: &Address,
        caller: &Address,
    ) -> Result<(), (Refusal, StanzaCondition)> {
        let counts = |call: &Call| call.caller == *caller && call.at + COUNTED > now;
        if self.of(callee).filter(|(_, call)| counts(call)).count() >= OF_CALLER {
            return Err((Refusal::Caller, StanzaCondition::PolicyViolation));
        }
        if self.of(callee).count() >= OF_CALLEE {
            return Err((Refusal::Callee, StanzaCondition::ResourceConstraint));
        }
        if self.all.len() >= MOST {
            return Err((Refusal::Calls, StanzaCondition::ResourceConstraint));
        }
        Ok(())
    }

    pub(crate) fn insert(&mut self, call: Call) -> u64 {
        self.last += 1;
        let of_callee = self.of.entry(call.callee.clone()).or_default();
        of_callee.push(self.last);
        self.all.insert(self.last, call);
        self.last
    }

    /// One of them.
    pub(crate) fn get(&self, number: u64) -> Option<&Call> {
        self.all.get(&number)
    }

    /// One of them, to be changed.
    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Call> {
        self.all.get_mut(&number)
    }

    /// When the oldest call is `known` for that long. One that has not begun waits for the store.
    pub(crate) fn next_timeout(&self, known: Duration) -> Option<Instant> {
        let (_, call) = self.all.first_key_value()?;
        call.has_begun.then_some(call.at + known)
    }

    /// The oldest call, if that is so.
    pub(crate) fn pop_old(&mut self, now: Instant, known: Duration) -> Option<(u64, Call)> {
        let number = *self.all.first_key_value()?.0;
        let is_old = self.next_timeout(known)? <= now;
        Some((number, is_old.then(|| self.remove(number))??))
    }

    /// Forgets a call.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Call> {
        let call = self.all.remove(&number)?;
        if let Some(numbers) = self.of.get_mut(&call.callee) {
            numbers.retain(|it| *it != number);
            if numbers.is_empty() {
                self.of.remove(&call.callee);
            }
        }
        Some(call)
    }
}

/// What a message says of a call, and of which.
pub(crate) fn read(message: &Element) -> Option<(Action, &str)> {
    let mut words = message
        .children()
        .filter(|it| it.namespace() == ns::JINGLE_MESSAGE);
    let word = words.next()?;
    let (_, action) = ACTIONS.iter().find(|(name, _)| *name == word.local())?;
    let id = word.attr("id").filter(|id| id.len() <= ID_BYTES)?;
    Some((*action, id))
}

/// What the hub knows a call by.
pub(crate) fn call_id(number: u64) -> CallId {
    CallId(CALL_IDS + number)
}
