//! What delivery is told and what it says: the words between it and whoever drives it.

use crate::{
    Change, DeviceId, DoorId, Message, MessageId, Mode, Note, Now, Timestamp, TraceEvent,
    TrackingId, push::OwedPush, trace::Step,
};
use std::{sync::Arc, time::Duration};

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

/// A door that messages go through.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Way {
    /// Its number.
    pub door: u32,
    /// How many messages may be on their way through it at once.
    pub window: usize,
}

/// Who knows the doors of devices.
pub trait Ways {
    /// The door of a device that messages are to go through, but for those with these numbers.
    fn way(&self, device: &DeviceId, but: &[u32]) -> Option<Way>;

    /// Whether something can be sent through a door.
    fn is_open(&self, door: &DoorId) -> bool;
}

/// A device that the message is for, as it is when the message comes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipient {
    /// Which.
    pub device: DeviceId,
    /// What it does.
    pub mode: Mode,
    /// The door that messages go through, if one is open.
    pub way: Option<Way>,
    /// Whether it can be pushed to; if not, why, in words for the trace.
    pub push: Result<(), String>,
    /// Until when it is left in peace.
    pub quiet_until: Option<Timestamp>,
    /// As many messages wait for it as may: this one goes over into the archive.
    pub is_full: bool,
}

/// A message that came in: what of it is to be saved, and what follows once it is.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// To be saved in one transaction; nothing for a transient message.
    pub changes: Vec<Change>,
    /// For [`Delivery::stored`](super::Delivery::stored).
    pub then: Stored,
}

/// A message that is saved, and what that means.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The message.
    pub message: Arc<Message>,
    /// The devices that it waits for.
    pub queued: Vec<DeviceId>,
    /// Those for which it went over into the archive.
    pub over: Vec<DeviceId>,
    /// Those that get it over their connection now, and the doors that lead there.
    pub direct: Vec<(DeviceId, Way)>,
    /// The pushes that are owed from now on.
    pub owed: Vec<OwedPush>,
    /// The story so far.
    pub notes: Vec<Note>,
}

impl Stored {
    pub(super) fn new(message: Arc<Message>) -> Self {
        Self {
            message,
            queued: Vec::new(),
            over: Vec::new(),
            direct: Vec::new(),
            owed: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The message's own id names its story, too, by its first step.
    pub(super) fn note(&mut self, now: Now, step: Step, device: Option<&DeviceId>, detail: &str) {
        let Message {
            tracking,
            id,
            from,
            to,
            ..
        } = &*self.message;
        let first = step == Step::MessageStored;
        self.notes.push(Note::Story(TraceEvent {
            tracking: tracking.clone(),
            at: now.wall,
            step,
            alias: first.then(|| id.as_str().to_owned()),
            device: device.cloned(),
            detail: if first {
                format!("from {from} to {to}")
            } else {
                detail.to_owned()
            },
        }));
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send it through this door, and say what became of it.
    Send(DoorId, Arc<Message>),
    /// Send it and forget it.
    Relay(DeviceId, Arc<Message>),
    /// Read the head of the device's queue, with all that was saved before.
    Fetch(DeviceId),
    /// Take it out of the device's queue.
    Landed(DeviceId, Landed),
    /// The device did not take it, and why: it stays queued, and a push may be owed.
    Unacknowledged(DeviceId, Arc<Message>, String),
    /// The same, but the device has another door, which it goes through now.
    Rerouted(DeviceId, Arc<Message>, String),
    /// Whoever is behind this door does not answer: its connection is dead, whatever the transport says.
    Hibernate(DoorId),
}

/// A message that is off our hands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Landed {
    /// Which.
    pub message: MessageId,
    /// What its story says of that, if it was on its way.
    pub told: Option<(TrackingId, Step, String)>,
}
