//! What a wake is told and what it says: the words between it and whoever drives it.

use crate::{DeviceId, Mode, Outcome, trace::Step};
use std::time::Duration;

/// The clocks of a wake, all counted from the INVITE but `no_answer`.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Timers {
    /// Nobody has answered provisionally: the caller hears ringing.
    pub ringing: Duration,
    /// No device came back: the wake has failed.
    pub wake: Duration,
    /// How long a device may ring, counted from the moment the first one does.
    pub no_answer: Duration,
    /// How long devices that are preferred may keep silent before the next ones are rung as well.
    pub turn: Duration,
    /// How long a device that was pushed to is still told of a call that is over.
    pub closing: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            ringing: Duration::from_secs(5),
            wake: Duration::from_secs(13),
            no_answer: Duration::from_mins(1),
            turn: Duration::from_secs(2),
            closing: Duration::from_mins(1),
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
    /// It may not be sent there now, and waking the device would not change that.
    NotSent,
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
    /// The device rang, and comes back elsewhere without having said that it knows of the end: that follows it.
    EndFollows(DeviceId),
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
