//! One device in a wake: how far the call got with it, and what may yet come of it.

use super::{Candidate, Effect, PlatformRules, Pushable};
use crate::{Behaviour, DeviceId, Mode, Rule, behaviour::Incoming, trace::Step};
use std::time::Instant;

/// How far the call got with one device.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Leg {
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

/// How far the push got.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Push {
    None,
    Pending,
    Accepted(Instant),
    Failed,
}

/// Which clocks of the wake have run out.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Elapsed {
    /// Devices that are less preferred wait no longer for those that say nothing.
    pub(super) turn: bool,
    /// Only devices that have come back count.
    pub(super) wake: bool,
    /// Whoever rings has rung long enough.
    pub(super) no_answer: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) device: DeviceId,
    pub(super) mode: Mode,
    pub(super) q: u16,
    pub(super) rule: Rule,
    pub(super) platform: Option<PlatformRules>,
    pub(super) leg: Leg,
    pub(super) push: Push,
    /// It has registered since the call came, and nothing has shown since that it is gone again.
    pub(super) returned: bool,
}

impl Party {
    pub(super) fn new(
        candidate: Candidate,
        behaviour: &Behaviour,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let Candidate {
            device,
            mode,
            q,
            push,
        } = candidate;
        let rule = behaviour.rule(mode, Incoming::Call);
        let leg = if rule.direct { Leg::Later } else { Leg::Held };
        if leg == Leg::Held {
            let mode = mode.name().to_owned();
            effects.push(Effect::Trace(Step::InviteHeld, Some(device.clone()), mode));
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

    /// Whether it may yet answer.
    pub(super) fn may_answer(&self, elapsed: Elapsed) -> bool {
        match self.leg {
            Leg::Alive => !elapsed.no_answer,
            Leg::Later => true,
            Leg::Sent => self.returned || !elapsed.wake,
            Leg::Held => !elapsed.wake && self.push_may_wake(),
            Leg::Ended => false,
        }
    }

    /// Whether devices that are less preferred must wait for it: it rings, or may be about to.
    pub(super) fn has_its_turn(&self, elapsed: Elapsed) -> bool {
        match self.leg {
            Leg::Alive => true,
            Leg::Sent => self.returned || !elapsed.turn,
            _ => false,
        }
    }

    /// It was pushed to and may be waking up right now, without having said a word on the call.
    pub(super) fn was_called_but_not_reached(&self) -> bool {
        self.push_may_wake() && self.slept_through()
    }

    /// Nothing of the call was seen on it.
    pub(super) fn slept_through(&self) -> bool {
        !self.returned && matches!(self.leg, Leg::Held | Leg::Later | Leg::Sent)
    }

    /// Once the call is over: its call screen is up, and only INVITE and CANCEL can close it.
    pub(super) fn must_see_the_end(&self) -> bool {
        let unaware = self.slept_through() || self.leg == Leg::Alive;
        let has_screen = self.platform.is_some_and(|platform| platform.must_see_call);
        unaware && has_screen && self.push_may_wake()
    }

    /// It gets the call and its end; that it has both is known when it has said so.
    pub(super) fn is_shown_the_end(&mut self) {
        self.returned = true;
        self.leg = Leg::Alive;
    }

    /// Once the call is over: it may yet come back without knowing so.
    pub(super) fn is_unaware(&self) -> bool {
        self.leg == Leg::Alive || self.must_see_the_end()
    }
}
