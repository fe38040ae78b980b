//! The wake of a call: from the caller's INVITE until somebody answers or nobody will. One [`Wake`] a call. It decides
//! which device is rung over its connection, which is pushed to, which is waited for, and when that is hopeless
//! (`behaviour.md` 5). It sends nothing itself.

mod party;
mod vocabulary;

pub use vocabulary::{
    Candidate, Effect, Failure, Input, PlatformRules, Pushable, Stage, Timers, Verdict,
};

use crate::{Behaviour, DeviceId, Outcome, trace::Step};
use party::{Elapsed, Leg, Party, Push};
use std::time::Instant;

/// What becomes due in a wake; each once.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Clock {
    /// The caller has waited long enough without hearing anything.
    Ringing,
    /// Whoever is preferred has had their turn.
    Turn,
    /// Who has not come back will not.
    Wake,
    /// Who rings will not answer.
    NoAnswer,
    /// The call is over for so long that no device need be told any more.
    Closing,
}

/// The wake of one call. Drive it with [`Wake::step`] and [`Wake::timeout`].
#[derive(Debug)]
pub struct Wake {
    timers: Timers,
    started: Instant,
    parties: Vec<Party>,
    clocks: Vec<(Instant, Clock)>,
    elapsed: Elapsed,
    /// The caller hears ringing, from a device or from us.
    heard_ringing: bool,
    /// A device rings.
    rang: bool,
    /// A device said no, for itself.
    declined: bool,
    verdict: Option<Verdict>,
}

impl Wake {
    /// The call comes in for these devices.
    pub fn start(
        now: Instant,
        candidates: Vec<Candidate>,
        behaviour: &Behaviour,
        timers: Timers,
    ) -> (Self, Vec<Effect>) {
        let mut effects = Vec::new();
        let parties = candidates
            .into_iter()
            .map(|candidate| Party::new(candidate, behaviour, &mut effects))
            .collect();
        let clocks = vec![
            (now + timers.ringing, Clock::Ringing),
            (now + timers.turn, Clock::Turn),
            (now + timers.wake, Clock::Wake),
        ];
        let mut wake = Self {
            timers,
            started: now,
            parties,
            clocks,
            elapsed: Elapsed::default(),
            heard_ringing: false,
            rang: false,
            declined: false,
            verdict: None,
        };
        wake.start_next_group(now, &mut effects);
        wake.give_up_if_hopeless(now, &mut effects);
        (wake, effects)
    }

    /// Whether the call still looks for somebody to answer it.
    pub fn is_waking(&self) -> bool {
        self.verdict.is_none()
    }

    /// Whether nothing can happen to it any more.
    pub fn is_finished(&self) -> bool {
        !self.is_waking() && self.clocks.is_empty()
    }

    /// Nobody need be told any more that it is over.
    pub fn forget(&mut self) {
        if !self.is_waking() {
            self.clocks.clear();
            self.parties.clear();
        }
    }

    /// Whether it knows that a device is back.
    pub fn has_returned(&self, device: &DeviceId) -> bool {
        let mut parties = self.parties.iter();
        parties.any(|party| party.device == *device && party.returned)
    }

    /// How it ended, if it has.
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// When [`Wake::timeout`] wants to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.clocks.iter().map(|(at, _)| *at).min()
    }

    /// Time passed.
    pub fn timeout(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(at) = self.clocks.iter().position(|(at, _)| *at <= now) {
            let (_, clock) = self.clocks.swap_remove(at);
            match clock {
                Clock::Ringing => self.ring(&mut effects),
                Clock::Turn => self.elapsed.turn = true,
                Clock::Wake => self.wake_is_over(&mut effects),
                Clock::NoAnswer => self.elapsed.no_answer = true,
                Clock::Closing => self.parties.clear(),
            }
        }
        if self.is_waking() {
            self.start_next_group(now, &mut effects);
            self.give_up_if_hopeless(now, &mut effects);
        }
        effects
    }

    /// Something happened.
    pub fn step(&mut self, now: Instant, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.is_waking() {
            self.step_waking(now, input, &mut effects);
        } else {
            self.step_over(input, &mut effects);
        }
        effects
    }

    fn step_waking(&mut self, now: Instant, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Returned { device, fresh } => self.returned(now, &device, fresh, effects),
            Input::Progress { device, ringing } => self.progress(now, &device, ringing, effects),
            Input::Pushed { device, outcome } => self.pushed(now, &device, &outcome, effects),
            Input::Failed {
                device,
                why,
                failure,
            } => self.failed(now, &device, why, failure, effects),
            Input::Answered(device) => {
                if let Some(party) = self.party(&device) {
                    party.leg = Leg::Ended;
                }
                effects.push(Effect::Trace(Step::Answered, Some(device), String::new()));
                self.end(now, Verdict::Answered, effects);
            }
            Input::CallerCancelled => {
                effects.push(Effect::Trace(Step::CallerCancelled, None, String::new()));
                self.end(now, Verdict::Cancelled, effects);
            }
            Input::Over => self.end(now, Verdict::Over, effects),
        }
    }

    /// The call is over: who has yet to learn so?
    fn step_over(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Returned { device, fresh } => self.show_ended(&device, fresh, effects),
            // Its own last word: it has seen the end. That the way to it failed says nothing.
            Input::Failed {
                device, failure, ..
            } if failure != Failure::Unreachable => {
                if let Some(party) = self.party(&device) {
                    party.leg = Leg::Ended;
                }
                self.close_if_all_know();
            }
            _ => {}
        }
    }

    fn close_if_all_know(&mut self) {
        if !self.parties.iter().any(Party::is_unaware) {
            self.clocks.clear();
        }
    }

    /// The device is back: the call goes to its new contact at once, unless it has the call already.
    fn returned(
        &mut self,
        now: Instant,
        device: &DeviceId,
        fresh: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(party) = self.party(device).filter(|party| party.rule.keep) else {
            return;
        };
        let effect = match party.leg {
            Leg::Held | Leg::Later => Effect::Fork(device.clone()),
            Leg::Sent | Leg::Alive if fresh => Effect::Fork(device.clone()),
            Leg::Sent => Effect::Repeat(device.clone()),
            Leg::Alive | Leg::Ended => return,
        };
        if let (Push::Accepted(at), false) = (&party.push, party.returned) {
            effects.push(Effect::Measured(Stage::PushToRegister, now - *at));
        }
        party.returned = true;
        party.leg = Leg::Sent;
        let whence = if fresh {
            "registered at a new place"
        } else {
            "registered at the same place"
        };
        let how = match effect {
            Effect::Fork(_) => "to its new contact",
            _ => "once more",
        };
        for (step, detail) in [(Step::DeviceReturned, whence), (Step::InviteSent, how)] {
            let trace = Effect::Trace(step, Some(device.clone()), detail.to_owned());
            effects.push(trace);
        }
        effects.push(effect);
    }

    fn progress(
        &mut self,
        now: Instant,
        device: &DeviceId,
        ringing: bool,
        effects: &mut Vec<Effect>,
    ) {
        let reached = |party: &&mut Party| matches!(party.leg, Leg::Sent | Leg::Alive);
        let Some(party) = self.party(device).filter(reached) else {
            return;
        };
        party.leg = Leg::Alive;
        let no_answer = |(_, clock): &(Instant, Clock)| *clock == Clock::NoAnswer;
        if !self.clocks.iter().any(no_answer) && !self.elapsed.no_answer {
            self.clocks
                .push((now + self.timers.no_answer, Clock::NoAnswer));
        }
        if !ringing {
            return;
        }
        effects.push(Effect::Trace(
            Step::Ringing,
            Some(device.clone()),
            String::new(),
        ));
        if !self.rang {
            effects.push(Effect::Measured(Stage::InviteToRing, now - self.started));
        }
        self.rang = true;
        self.heard_ringing = true;
    }

    /// A refused push is known within a round trip: the wake of that device fails then, and not after a timer.
    fn pushed(
        &mut self,
        now: Instant,
        device: &DeviceId,
        outcome: &Outcome,
        effects: &mut Vec<Effect>,
    ) {
        let pending = |party: &&mut Party| party.push == Push::Pending;
        let Some(party) = self.party(device).filter(pending) else {
            return;
        };
        if matches!(outcome, Outcome::Accepted { .. }) {
            party.push = Push::Accepted(now);
            return;
        }
        party.push = Push::Failed;
        if party.leg == Leg::Held {
            let why = format!("the push failed: {} {}", outcome.name(), outcome.reason());
            effects.push(Effect::Trace(Step::WakeFailed, Some(device.clone()), why));
        }
        self.give_up_if_hopeless(now, effects);
    }

    fn failed(
        &mut self,
        now: Instant,
        device: &DeviceId,
        why: String,
        failure: Failure,
        effects: &mut Vec<Effect>,
    ) {
        self.declined |= failure == Failure::Declined;
        let going_on = |party: &&mut Party| party.leg != Leg::Ended;
        if let Some(party) = self.party(device).filter(going_on) {
            let sleeps_on = failure == Failure::Unreachable && party.rule.keep;
            party.leg = if sleeps_on { Leg::Held } else { Leg::Ended };
            party.returned = false;
            effects.push(Effect::Trace(Step::Declined, Some(device.clone()), why));
        }
        if failure == Failure::DeclinedEverywhere {
            self.end(now, Verdict::Declined, effects);
            return;
        }
        self.start_next_group(now, effects);
        self.give_up_if_hopeless(now, effects);
    }

    fn ring(&mut self, effects: &mut Vec<Effect>) {
        if !self.heard_ringing {
            self.heard_ringing = true;
            effects.push(Effect::Ring);
            effects.push(Effect::Trace(Step::CallerHearsRinging, None, String::new()));
        }
    }

    /// From here on only devices that have come back count.
    fn wake_is_over(&mut self, effects: &mut Vec<Effect>) {
        self.elapsed.wake = true;
        for party in self.parties.iter().filter(|party| party.slept_through()) {
            let why = format!("not back within {} s", self.timers.wake.as_secs());
            effects.push(Effect::Trace(
                Step::WakeFailed,
                Some(party.device.clone()),
                why,
            ));
        }
    }

    /// Gives up as soon as there is no device left that may yet answer.
    fn give_up_if_hopeless(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let elapsed = self.elapsed;
        if !self.is_waking() || self.parties.iter().any(|party| party.may_answer(elapsed)) {
            return;
        }
        let verdict = if elapsed.no_answer {
            Verdict::NoAnswer
        } else if self.declined {
            Verdict::Declined
        } else {
            Verdict::Unreachable
        };
        effects.push(Effect::CancelAll);
        self.end(now, verdict, effects);
        effects.push(Effect::GiveUp);
    }

    /// Rings the next group of devices with a live connection, by preference (RFC 3261 §16.6), once nobody of the
    /// group before is about to answer. Devices that are woken do not take turns: they ring when they return.
    fn start_next_group(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let elapsed = self.elapsed;
        let later = || self.parties.iter().filter(|party| party.leg == Leg::Later);
        let Some(q) = later().map(|party| party.q).max() else {
            return;
        };
        if self.parties.iter().any(|party| party.has_its_turn(elapsed)) {
            return;
        }
        if std::mem::take(&mut self.elapsed.turn) {
            self.clocks.push((now + self.timers.turn, Clock::Turn));
        }
        let next = |party: &&mut Party| party.leg == Leg::Later && party.q == q;
        for party in self.parties.iter_mut().filter(next) {
            party.leg = Leg::Sent;
            let (device, mode) = (party.device.clone(), party.mode.name().to_owned());
            effects.push(Effect::Trace(Step::InviteSent, Some(device.clone()), mode));
            effects.push(Effect::Fork(device));
        }
    }

    /// It is over: devices that may be waking up are told so in the way that their platform has for it.
    fn end(&mut self, now: Instant, verdict: Verdict, effects: &mut Vec<Effect>) {
        self.verdict = Some(verdict);
        self.clocks.clear();
        let missed = match verdict {
            Verdict::Cancelled | Verdict::NoAnswer | Verdict::Unreachable => true,
            Verdict::Answered | Verdict::Declined | Verdict::Over => false,
        };
        if verdict == Verdict::Cancelled {
            effects.push(Effect::CancelAll);
        }
        for party in &mut self.parties {
            let device = party.device.clone();
            if matches!(party.leg, Leg::Sent | Leg::Alive) {
                let why = verdict.name().to_owned();
                effects.push(Effect::Trace(
                    Step::DeviceCancelled,
                    Some(device.clone()),
                    why,
                ));
            }
            let cancel_push = party.platform.is_some_and(|platform| platform.cancel_push);
            if party.was_called_but_not_reached() && cancel_push {
                effects.push(Effect::PushCancelled(device.clone()));
            }
            if missed && party.slept_through() {
                effects.push(Effect::PushMissed(device.clone()));
            }
            if party.leg == Leg::Later && party.must_see_the_end() {
                // It is there and was only waiting for its turn.
                party.is_shown_the_end();
                effects.push(Effect::ShowEnded(device));
            }
        }
        if self.parties.iter().any(Party::is_unaware) {
            self.clocks
                .push((now + self.timers.closing, Clock::Closing));
        }
        effects.push(Effect::Ended(verdict));
    }

    /// A device that was woken for a call which is over sees the call and its end. So does one that rang and fell asleep
    /// before it said that it knows of the end; where the platform does not demand that, only the end follows it.
    fn show_ended(&mut self, device: &DeviceId, fresh: bool, effects: &mut Vec<Effect>) {
        let Some(party) = self.party(device).filter(|party| party.is_unaware()) else {
            return;
        };
        let rang = party.leg == Leg::Alive;
        if rang && !fresh {
            return;
        }
        let effect = if party.must_see_the_end() {
            Effect::ShowEnded(device.clone())
        } else {
            Effect::EndFollows(device.clone())
        };
        party.is_shown_the_end();
        let why = "the call is over".to_owned();
        let trace = Effect::Trace(Step::DeviceReturned, Some(device.clone()), why);
        effects.extend([trace, effect]);
    }

    fn party(&mut self, device: &DeviceId) -> Option<&mut Party> {
        self.parties
            .iter_mut()
            .find(|party| party.device == *device)
    }
}

#[cfg(test)]
mod tests;
