//! What delivery is told and what it says: the words between it and whoever drives it.

use crate::{
    Change, DeviceId, Message, MessageId, Mode, Note, Timestamp, TraceEvent, TrackingId, trace,
};
use std::time::{Duration, Instant};

/// The clocks of delivery.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Timers {
    /// A device that has not acknowledged a message by then is asleep.
    pub acknowledge: Duration,
    /// One push a conversation and window; what comes meanwhile shares the one at its end.
    pub collapse: Duration,
    /// How long a push for a message is worth trying.
    pub push_lifetime: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            acknowledge: Duration::from_secs(5),
            collapse: Duration::from_secs(5),
            push_lifetime: Duration::from_hours(24),
        }
    }
}

/// Now, on both clocks.
#[derive(Copy, Clone, Debug)]
pub struct Now {
    /// For timers.
    pub instant: Instant,
    /// For records.
    pub wall: Timestamp,
}

/// A device that the message is for, as it is when the message comes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipient {
    /// Which.
    pub device: DeviceId,
    /// What it does.
    pub mode: Mode,
    /// Whether it can be pushed to; if not, why, in words for the trace.
    pub push: Result<(), String>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A message for a user came in.
    Arrived {
        /// The message.
        message: Message,
        /// All devices of the user.
        recipients: Vec<Recipient>,
    },
    /// The device registered, or said that it is in the foreground.
    Returned {
        /// Which.
        device: DeviceId,
        /// Over another way than before: what was on its way over that one is lost.
        fresh: bool,
    },
    /// What the store has queued for the device, oldest first: the answer to [`Effect::Fetch`].
    Fetched {
        /// Which.
        device: DeviceId,
        /// At most [`BATCH`]; fewer means that there is no more.
        messages: Vec<Message>,
    },
    /// The device has the message.
    Acknowledged {
        /// Which.
        device: DeviceId,
        /// Which message.
        message: MessageId,
    },
    /// The message did not get through.
    Failed {
        /// Which device.
        device: DeviceId,
        /// Which message.
        message: MessageId,
        /// Why, in words for the trace.
        why: String,
        /// The device itself refused it for good: trying again would block all that follow.
        for_good: bool,
    },
    /// These effects were not performed: what they were to follow could not be saved, or a queue could not be read.
    Undone {
        /// What was not performed.
        effects: Vec<Effect>,
        /// Whose queues are not as the changes said.
        devices: Vec<DeviceId>,
    },
    /// The device is no more.
    Forgotten(DeviceId),
}

/// What to do once the changes are durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send it over the device's connection, and say what became of it.
    Send(DeviceId, Box<Message>),
    /// Send it and forget it.
    Relay(DeviceId, Box<Message>),
    /// Read the head of the device's queue, with all that was saved before.
    Fetch(DeviceId),
    /// The device does not answer: its connection is dead, whatever the transport says.
    Hibernate(DeviceId),
}

/// What a step changes and does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// To be saved in one transaction. A [`Change::Owe`] among them is also to be carried out.
    pub changes: Vec<Change>,
    /// To be kept if there is room.
    pub notes: Vec<Note>,
    /// To be done after that.
    pub effects: Vec<Effect>,
}

impl Step {
    pub(super) fn trace(
        &mut self,
        tracking: &TrackingId,
        at: Timestamp,
        step: trace::Step,
        device: Option<&DeviceId>,
        detail: &str,
    ) {
        self.notes.push(Note::Story(TraceEvent {
            tracking: tracking.clone(),
            at,
            step,
            alias: None,
            device: device.cloned(),
            detail: detail.to_owned(),
        }));
    }
}
