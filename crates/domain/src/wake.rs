//! The wake of a call: from the caller's INVITE until somebody answers or nobody will. One [`Wake`] a call. It decides
//! which device is rung over its connection, which is pushed to, which is waited for, and when that is hopeless
//! (`behaviour.md` 5). It sends nothing itself.

use crate::{Behaviour, DeviceId, Mode, Outcome, Rule, behaviour::Happening, trace::Step};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// The clocks of a wake, all counted from the INVITE but `no_answer`.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Timers {
    /// Nobody has answered provisionally: the caller hears ringing.
    pub ringing: Duration,
    /// No device came back: the wake has failed.
    pub wake: Duration,
    /// How long a device may ring, counted from the moment the first one does.
    pub no_answer: Duration,
    /// How long a device without a connection may keep silent before its contact counts as stale, once no push can
    /// reach it.
    pub stale: Duration,
    /// How long a device that was pushed to is still told of a call that is over.
    pub afterlife: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            ringing: Duration::from_secs(5),
            wake: Duration::from_secs(13),
            no_answer: Duration::from_mins(1),
            stale: Duration::from_secs(2),
            afterlife: Duration::from_mins(1),
        }
    }
}

/// A device that the call is for, as it is when the call comes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// Which.
    pub device: DeviceId,
    /// What it does.
    pub mode: Mode,
    /// Preference in thousandths: among devices rung directly, higher ones first (RFC 3261 §16.6).
    pub q: u16,
    /// Whether it can be pushed to.
    pub push: Pushable,
}

/// Whether a device can be pushed to for a call, and what else its platform allows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pushable {
    /// It cannot, and why, in words for the trace.
    No(String),
    /// It can.
    Yes(PlatformRules),
}

/// What a platform allows and demands once a call was pushed.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct PlatformRules {
    /// A push may tell the device that the call is over (Android).
    pub cancel_push: bool,
    /// A device that returns for a call which is over must still be shown it, so that its call screen can close
    /// (iOS 13 and newer: CallKit).
    pub must_see_call: bool,
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// The device registered. `fresh`: over another connection or from another contact than the call was sent to.
    Returned {
        /// Which.
        device: DeviceId,
        /// See above.
        fresh: bool,
    },
    /// A provisional answer: the device is there.
    Progress {
        /// Which.
        device: DeviceId,
        /// It rings (180) and does not only try.
        ringing: bool,
    },
    /// It took the call.
    Answered(DeviceId),
    /// It turned the call down, or the way to it failed.
    Failed {
        /// Which.
        device: DeviceId,
        /// Why, in words for the trace.
        why: String,
        /// How sure that is.
        failure: Failure,
    },
    /// What became of the push.
    Pushed {
        /// To which device.
        device: DeviceId,
        /// The provider's word.
        outcome: Outcome,
    },
    /// The caller gave up.
    CallerCancelled,
    /// The call ended for another reason: an answer of the fallback, a failure of ours.
    Over,
}

/// How a device failed a call.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The way to it failed: it may still be woken and return.
    Unreachable,
    /// The device itself said no, for itself.
    Declined,
    /// The user said no, on all devices.
    DeclinedEverywhere,
}

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Send the call to the device's present contact. An older branch to the same device is given up.
    Fork(DeviceId),
    /// The device is back where the call was sent to while it did not listen: send it there once more.
    Repeat(DeviceId),
    /// Push the call to the device, once.
    Push(DeviceId),
    /// Let the caller hear ringing.
    Ring,
    /// Take the call off every device that still has it; nobody answered.
    CancelAll,
    /// Nobody will take the call: send it to the user's fallback, else answer the caller with the best answer so far.
    /// Comes last of its step, after the call was taken off the devices.
    GiveUp,
    /// Tell a device by push that the call is over.
    PushCancelled(DeviceId),
    /// Tell a device by push that it missed a call.
    PushMissed(DeviceId),
    /// Show the device the call and that it is over, in one go.
    ShowEnded(DeviceId),
    /// A line of the story.
    Trace(Step, Option<DeviceId>, String),
    /// A stage took so long.
    Measured(Stage, Duration),
    /// The wake ended so. Comes once; the wake then only lingers for devices that return late.
    Ended(Verdict),
}

/// A stage of a wake that is measured.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq)]
pub enum Stage {
    /// From the provider taking the push to the device's registration.
    PushToRegister,
    /// From the caller's INVITE to a device ringing.
    InviteToRing,
}

/// How a wake ended.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// A device answered.
    Answered,
    /// The user said no.
    Declined,
    /// The caller gave up.
    Cancelled,
    /// A device rang and nobody answered.
    NoAnswer,
    /// No device came back, or none could be woken.
    Unreachable,
    /// It ended otherwise.
    Over,
}

impl Verdict {
    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
            Self::NoAnswer => "no_answer",
            Self::Unreachable => "unreachable",
            Self::Over => "over",
        }
    }
}

/// How far the call got with one device.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Leg {
    /// Not sent: the call waits for the device to return.
    Held,
    /// Not sent: devices that are preferred come first.
    Later,
    /// Sent; no answer of any kind yet.
    Sent,
    /// The device has answered provisionally.
    Alive,
    /// Over for this device.
    Ended,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Push {
    None,
    Pending,
    Accepted(Instant),
    Failed,
}

#[derive(Clone, Debug)]
struct Party {
    device: DeviceId,
    mode: Mode,
    q: u16,
    rule: Rule,
    platform: Option<PlatformRules>,
    leg: Leg,
    push: Push,
    returned: bool,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum State {
    Waking,
    /// Over; kept until then for devices that return late.
    Ended(Instant),
}

/// The wake of one call. Drive it with [`Wake::step`] and [`Wake::timeout`].
#[derive(Debug)]
pub struct Wake {
    timers: Timers,
    started: Instant,
    state: State,
    parties: Vec<Party>,
    /// The caller hears ringing, from a device or from us.
    heard_ringing: bool,
    /// A device rings.
    rang: bool,
    /// When the first device answered provisionally.
    alive_since: Option<Instant>,
    past_wake_timer: bool,
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
        let mut wake = Self {
            timers,
            started: now,
            state: State::Waking,
            parties,
            heard_ringing: false,
            rang: false,
            alive_since: None,
            past_wake_timer: false,
            verdict: None,
        };
        wake.start_next_group(&mut effects);
        wake.give_up_if_hopeless(now, &mut effects);
        (wake, effects)
    }

    /// Whether the call still looks for somebody to answer it.
    pub fn is_waking(&self) -> bool {
        self.state == State::Waking
    }

    /// Whether nothing can happen to it any more.
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Ended(_)) && !self.parties.iter().any(Party::may_return_late)
    }

    /// How it ended, if it has.
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// When [`Wake::timeout`] wants to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Ended(until) => Some(until),
            State::Waking => {
                let ringing = (!self.heard_ringing).then(|| self.started + self.timers.ringing);
                let wake = (!self.past_wake_timer).then(|| self.started + self.timers.wake);
                let no_answer = self.alive_since.map(|since| since + self.timers.no_answer);
                let stale = (self.parties.iter().any(Party::is_stale_suspect))
                    .then(|| self.started + self.timers.stale);
                [ringing, wake, no_answer, stale]
                    .into_iter()
                    .flatten()
                    .min()
            }
        }
    }

    /// Time passed.
    pub fn timeout(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        match self.state {
            State::Ended(until) => {
                if now >= until {
                    self.parties.clear();
                }
            }
            State::Waking => {
                if !self.heard_ringing && now >= self.started + self.timers.ringing {
                    self.heard_ringing = true;
                    effects.push(Effect::Ring);
                    effects.push(Effect::Trace(Step::CallerHearsRinging, None, String::new()));
                }
                self.decide_wake(now, &mut effects);
                self.give_up_if_hopeless(now, &mut effects);
            }
        }
        effects
    }

    /// Something happened.
    pub fn step(&mut self, now: Instant, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match (self.state, input) {
            (State::Waking, input) => self.step_waking(now, input, &mut effects),
            (State::Ended(until), Input::Returned { device, .. }) if now < until => {
                self.show_ended(&device, &mut effects);
            }
            (State::Ended(_), _) => {}
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
                    party.returned = true;
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

    /// The device is back: the call goes to its new contact at once, unless it has the call already.
    fn returned(
        &mut self,
        now: Instant,
        device: &DeviceId,
        fresh: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(party) = self.party(device) else {
            return;
        };
        if !party.rule.keep {
            return;
        }
        let effect = match party.leg {
            Leg::Held | Leg::Later => Effect::Fork(device.clone()),
            Leg::Sent | Leg::Alive if fresh => Effect::Fork(device.clone()),
            Leg::Sent => Effect::Repeat(device.clone()),
            Leg::Alive | Leg::Ended => return,
        };
        if let Push::Accepted(at) = party.push
            && !party.returned
        {
            effects.push(Effect::Measured(Stage::PushToRegister, now - at));
        }
        party.returned = true;
        party.leg = Leg::Sent;
        let whence = if fresh {
            "registered at a new place"
        } else {
            "registered at the same place"
        };
        effects.push(Effect::Trace(
            Step::DeviceReturned,
            Some(device.clone()),
            whence.to_owned(),
        ));
        let how = if matches!(effect, Effect::Fork(_)) {
            "to its new contact"
        } else {
            "once more"
        };
        effects.push(Effect::Trace(
            Step::InviteSent,
            Some(device.clone()),
            how.to_owned(),
        ));
        effects.push(effect);
    }

    fn progress(
        &mut self,
        now: Instant,
        device: &DeviceId,
        ringing: bool,
        effects: &mut Vec<Effect>,
    ) {
        let started = self.started;
        let first_to_ring = ringing && !self.rang;
        let Some(party) = self
            .party(device)
            .filter(|party| matches!(party.leg, Leg::Sent | Leg::Alive))
        else {
            return;
        };
        party.leg = Leg::Alive;
        self.alive_since.get_or_insert(now);
        if ringing {
            self.heard_ringing = true;
            self.rang = true;
            effects.push(Effect::Trace(
                Step::Ringing,
                Some(device.clone()),
                String::new(),
            ));
        }
        if first_to_ring {
            effects.push(Effect::Measured(Stage::InviteToRing, now - started));
        }
    }

    /// A refused push is known within a round trip: the wake of that device fails then, and not after a timer.
    fn pushed(
        &mut self,
        now: Instant,
        device: &DeviceId,
        outcome: &Outcome,
        effects: &mut Vec<Effect>,
    ) {
        let Some(party) = self
            .party(device)
            .filter(|party| party.push == Push::Pending)
        else {
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
        if let Some(party) = self.party(device).filter(|party| party.leg != Leg::Ended) {
            let sleeps_on = failure == Failure::Unreachable && party.rule.keep;
            party.leg = if sleeps_on { Leg::Held } else { Leg::Ended };
            effects.push(Effect::Trace(Step::Declined, Some(device.clone()), why));
        }
        if failure == Failure::DeclinedEverywhere {
            self.end(now, Verdict::Declined, effects);
            return;
        }
        self.start_next_group(effects);
        self.give_up_if_hopeless(now, effects);
    }

    /// After the wake timer only devices that have come back count.
    fn decide_wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.past_wake_timer || now < self.started + self.timers.wake {
            return;
        }
        self.past_wake_timer = true;
        for party in &self.parties {
            if matches!(party.leg, Leg::Held | Leg::Sent) && !party.returned {
                let why = format!("not back within {} s", self.timers.wake.as_secs());
                effects.push(Effect::Trace(
                    Step::WakeFailed,
                    Some(party.device.clone()),
                    why,
                ));
            }
        }
    }

    /// Gives up as soon as there is no device left that may yet answer.
    fn give_up_if_hopeless(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if !self.is_waking() {
            return;
        }
        let rang_out = self
            .alive_since
            .is_some_and(|since| now >= since + self.timers.no_answer);
        let stale = now >= self.started + self.timers.stale;
        if !rang_out
            && self
                .parties
                .iter()
                .any(|party| party.may_answer(self.past_wake_timer, stale))
        {
            return;
        }
        let verdict = match self.alive_since {
            Some(_) if rang_out => Verdict::NoAnswer,
            Some(_) => Verdict::Declined,
            None => Verdict::Unreachable,
        };
        self.end(now, verdict, effects);
        effects.push(Effect::GiveUp);
    }

    /// Rings the next group of devices with a live connection, by preference (RFC 3261 §16.6), once nobody of the
    /// group before is left. Devices that are woken do not take turns: they ring when they return.
    fn start_next_group(&mut self, effects: &mut Vec<Effect>) {
        if self
            .parties
            .iter()
            .any(|party| matches!(party.leg, Leg::Sent | Leg::Alive))
        {
            return;
        }
        let Some(q) = self
            .parties
            .iter()
            .filter(|party| party.leg == Leg::Later)
            .map(|party| party.q)
            .max()
        else {
            return;
        };
        for party in self
            .parties
            .iter_mut()
            .filter(|party| party.leg == Leg::Later && party.q == q)
        {
            party.leg = Leg::Sent;
            effects.push(Effect::Trace(
                Step::InviteSent,
                Some(party.device.clone()),
                party.mode.name().to_owned(),
            ));
            effects.push(Effect::Fork(party.device.clone()));
        }
    }

    fn end(&mut self, now: Instant, verdict: Verdict, effects: &mut Vec<Effect>) {
        if matches!(
            verdict,
            Verdict::Cancelled | Verdict::NoAnswer | Verdict::Unreachable
        ) {
            effects.push(Effect::CancelAll);
        }
        let missed = matches!(
            verdict,
            Verdict::Cancelled | Verdict::NoAnswer | Verdict::Unreachable
        );
        for party in self
            .parties
            .iter()
            .filter(|party| party.was_called_but_not_reached())
        {
            if party.platform.is_some_and(|platform| platform.cancel_push) {
                effects.push(Effect::PushCancelled(party.device.clone()));
            }
        }
        for party in self
            .parties
            .iter()
            .filter(|party| missed && party.slept_through())
        {
            effects.push(Effect::PushMissed(party.device.clone()));
        }
        self.state = State::Ended(now + self.timers.afterlife);
        self.verdict = Some(verdict);
        effects.push(Effect::Ended(verdict));
    }

    /// A device that was woken for a call which is over sees the call and its end, once.
    fn show_ended(&mut self, device: &DeviceId, effects: &mut Vec<Effect>) {
        let Some(party) = self.party(device).filter(|party| party.may_return_late()) else {
            return;
        };
        party.returned = true;
        effects.push(Effect::Trace(
            Step::DeviceReturned,
            Some(device.clone()),
            "the call is over".to_owned(),
        ));
        effects.push(Effect::ShowEnded(device.clone()));
    }

    fn party(&mut self, device: &DeviceId) -> Option<&mut Party> {
        self.parties
            .iter_mut()
            .find(|party| party.device == *device)
    }

    /// The devices that the call has reached or waits for.
    pub fn devices(&self) -> BTreeSet<&DeviceId> {
        self.parties.iter().map(|party| &party.device).collect()
    }
}

impl Party {
    fn new(candidate: Candidate, behaviour: &Behaviour, effects: &mut Vec<Effect>) -> Self {
        let Candidate {
            device,
            mode,
            q,
            push,
        } = candidate;
        let rule = behaviour.rule(mode, Happening::Call);
        let leg = if rule.direct { Leg::Later } else { Leg::Held };
        if leg == Leg::Held {
            effects.push(Effect::Trace(
                Step::InviteHeld,
                Some(device.clone()),
                mode.name().to_owned(),
            ));
        }
        let (platform, push) = match push {
            Pushable::Yes(platform) if rule.push => {
                effects.push(Effect::Push(device.clone()));
                (Some(platform), Push::Pending)
            }
            Pushable::Yes(platform) => (Some(platform), Push::None),
            Pushable::No(why) => {
                effects.push(Effect::Trace(Step::PushSkipped, Some(device.clone()), why));
                (None, Push::None)
            }
        };
        Self {
            device,
            mode,
            q,
            rule,
            platform,
            leg,
            push,
            returned: false,
        }
    }

    fn push_may_wake(&self) -> bool {
        matches!(self.push, Push::Pending | Push::Accepted(_))
    }

    /// Sent to a contact that nobody vouches for, and no push can help.
    fn is_stale_suspect(&self) -> bool {
        self.leg == Leg::Sent
            && self.mode == Mode::Unknown
            && !self.returned
            && !self.push_may_wake()
    }

    fn may_answer(&self, past_wake_timer: bool, stale: bool) -> bool {
        match self.leg {
            Leg::Alive | Leg::Later => true,
            Leg::Sent if self.returned => true,
            Leg::Sent => !(past_wake_timer || stale && self.is_stale_suspect()),
            Leg::Held => !past_wake_timer && self.push_may_wake(),
            Leg::Ended => false,
        }
    }

    /// It was pushed to and may be waking up right now, without having been sent the call.
    fn was_called_but_not_reached(&self) -> bool {
        self.push_may_wake() && !self.returned && matches!(self.leg, Leg::Held | Leg::Sent)
    }

    /// Nothing of the call was seen on it.
    fn slept_through(&self) -> bool {
        !self.returned && matches!(self.leg, Leg::Held | Leg::Sent)
    }

    fn may_return_late(&self) -> bool {
        self.was_called_but_not_reached()
            && self.platform.is_some_and(|platform| platform.must_see_call)
    }
}

#[cfg(test)]
mod tests;
