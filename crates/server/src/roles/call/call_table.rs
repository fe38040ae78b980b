//! The calls that wait to be answered, or whose end some device has yet to be shown.

use super::dialog::Initiator;
use domain::{
    Address, DeviceId, TrackingId,
    wake::{Effect, Input, Verdict, Wake},
};
use sip::endpoint::{BranchId, ContextId};
use std::{
    collections::{BTreeSet, HashMap},
    time::Instant,
};

/// A call.
pub(super) struct Call {
    pub(super) tracking: TrackingId,
    /// The call's own id.
    pub(super) id: String,
    pub(super) caller: Initiator,
    /// As the caller calls themselves, for what is sealed.
    pub(super) caller_name: String,
    pub(super) caller_number: String,
    pub(super) received: Instant,
    /// Why nobody is to be woken for it, if that is so.
    pub(super) wakes_nobody: Option<&'static str>,
    /// The user whom it was for, then the one to whom it was forwarded; each with the wake of their devices.
    wakes: Vec<(Address, Wake)>,
    pub(super) branches: HashMap<BranchId, DeviceId>,
    /// The branch by which each device has the call now.
    pub(super) current: HashMap<DeviceId, BranchId>,
    pub(super) fallback: Fallback,
    /// The caller has the final answer.
    pub(super) done: bool,
    timeout: Option<Instant>,
}

/// How far a call got with its user's fallback.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Fallback {
    /// Not needed yet.
    Unused,
    /// It was looked for, or is another user of ours: their wake decides.
    Taken,
    /// It is called outside, by this branch: its answer is the call's.
    Called(BranchId),
}

impl Call {
    /// A call of which only the caller is known.
    pub(super) fn new(tracking: TrackingId, id: String, caller: Initiator, now: Instant) -> Self {
        Self {
            tracking,
            id,
            caller,
            caller_name: String::new(),
            caller_number: String::new(),
            received: now,
            wakes_nobody: None,
            wakes: Vec::new(),
            branches: HashMap::new(),
            current: HashMap::new(),
            fallback: Fallback::Unused,
            done: false,
            timeout: None,
        }
    }

    /// Whom it is for now.
    pub(super) fn callee(&self) -> Option<&Address> {
        self.wakes.last().map(|(callee, _)| callee)
    }

    /// Whether it is, or was, for this user.
    pub(super) fn is_for(&self, user: &Address) -> bool {
        self.wakes.iter().any(|(callee, _)| callee == user)
    }

    /// How the last wake ended.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.wakes.last().and_then(|(_, wake)| wake.verdict())
    }

    /// Tells every wake; one that is over hears only of devices that return.
    pub(super) fn step(&mut self, now: Instant, input: &Input) -> Vec<Effect> {
        let wakes = self.wakes.iter_mut();
        wakes
            .flat_map(|(_, wake)| wake.step(now, input.clone()))
            .collect()
    }

    /// Nothing can happen to it any more. A call at its fallback has no final answer yet: it stays until it has.
    pub(super) fn is_finished(&self) -> bool {
        self.done && self.wakes.iter().all(|(_, wake)| wake.is_finished())
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Calls {
    by_context: HashMap<ContextId, Call>,
    by_callee: HashMap<Address, Vec<ContextId>>,
    timeouts: BTreeSet<(Instant, ContextId)>,
}

impl Calls {
    pub(super) fn get(&self, context: ContextId) -> Option<&Call> {
        self.by_context.get(&context)
    }

    pub(super) fn get_mut(&mut self, context: ContextId) -> Option<&mut Call> {
        self.by_context.get_mut(&context)
    }

    pub(super) fn len(&self) -> usize {
        self.by_context.len()
    }

    /// The calls whose callers wait for an answer.
    pub(super) fn unanswered(&self) -> Vec<ContextId> {
        let waiting = self.by_context.iter().filter(|(_, call)| !call.done);
        waiting.map(|(context, _)| *context).collect()
    }

    /// The calls that are, or were, for a user.
    pub(super) fn of(&self, user: &Address) -> Vec<ContextId> {
        self.by_callee.get(user).cloned().unwrap_or_default()
    }

    pub(super) fn insert(&mut self, context: ContextId, call: Call) {
        self.by_context.insert(context, call);
    }

    /// The call is for this user now.
    pub(super) fn add_wake(&mut self, context: ContextId, callee: Address, wake: Wake) {
        if let Some(call) = self.by_context.get_mut(&context) {
            self.by_callee
                .entry(callee.clone())
                .or_default()
                .push(context);
            call.wakes.push((callee, wake));
        }
    }

    pub(super) fn remove(&mut self, context: ContextId) {
        let Some(call) = self.by_context.remove(&context) else {
            return;
        };
        if let Some(at) = call.timeout {
            self.timeouts.remove(&(at, context));
        }
        for (callee, _) in call.wakes {
            if let Some(contexts) = self.by_callee.get_mut(&callee) {
                contexts.retain(|known| *known != context);
                if contexts.is_empty() {
                    self.by_callee.remove(&callee);
                }
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.timeouts.first().map(|(at, _)| *at)
    }

    /// A call of which a wake wants to be called by now, with what the wakes say; call until there is none.
    pub(super) fn due(&mut self, now: Instant) -> Option<(ContextId, Vec<Effect>)> {
        self.next_timeout().filter(|at| *at <= now)?;
        let (_, context) = self.timeouts.pop_first()?;
        let call = self.by_context.get_mut(&context)?;
        call.timeout = None;
        let wakes = call.wakes.iter_mut();
        let effects = wakes.flat_map(|(_, wake)| wake.timeout(now)).collect();
        Some((context, effects))
    }

    /// Notes when the wakes of a call want to be called again.
    pub(super) fn reschedule(&mut self, context: ContextId) {
        let Some(call) = self.by_context.get_mut(&context) else {
            return;
        };
        if let Some(at) = call.timeout {
            self.timeouts.remove(&(at, context));
        }
        let wakes = call.wakes.iter();
        call.timeout = wakes.filter_map(|(_, wake)| wake.next_timeout()).min();
        self.timeouts.extend(call.timeout.map(|at| (at, context)));
    }
}
