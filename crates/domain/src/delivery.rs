//! The delivery of messages: to the devices that are there over their connections, to the others into a queue with a
//! push (`behaviour.md` 6). Each device has a lane: one message is on its way at a time, in the order of the queue.
//!
//! What must survive is in the [`Step::changes`]; the effects are performed once those are durable.

use crate::{
    Behaviour, Change, Class, DeviceId, Message, MessageId, Mode, NotificationId, Purpose,
    Timestamp, TraceEvent, TrackingId, behaviour::Happening, push::OwedPush, trace,
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

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

/// Most messages of one device that are held in memory; the rest waits in the store.
pub const BATCH: usize = 32;
/// Most conversations of one device whose pushes are collapsed; the push of one more goes out at once.
pub const WINDOWS: usize = 64;
/// Lanes kept before idle ones are cleared away.
const LANES: usize = 10_000;
/// Acknowledged messages remembered per lane, so that a queue read before they left it does not send them again.
const DONE: usize = 2 * BATCH;
/// Announced messages remembered per lane: the one in flight is among the latest.
const ANNOUNCED: usize = BATCH;

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
        /// Opaque name of its conversation.
        conversation: String,
        /// All devices of the user.
        recipients: Vec<Recipient>,
    },
    /// The device registered, or said that it is in the foreground.
    Returned(DeviceId),
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
    /// To be done after that.
    pub effects: Vec<Effect>,
}

impl Step {
    fn trace(
        &mut self,
        tracking: &TrackingId,
        at: Timestamp,
        step: trace::Step,
        device: Option<&DeviceId>,
        detail: &str,
    ) {
        self.changes.push(Change::Trace(TraceEvent {
            tracking: tracking.clone(),
            at,
            step,
            alias: None,
            device: device.cloned(),
            detail: detail.to_owned(),
        }));
    }
}

#[derive(Debug)]
struct Flight {
    message: Message,
    conversation: String,
}

/// What goes to one device.
#[derive(Debug, Default)]
struct Lane {
    /// The head of the queue.
    ready: VecDeque<Message>,
    in_flight: Option<Flight>,
    /// All that is queued is in `ready` or in flight: the store need not be asked.
    complete: bool,
    fetching: bool,
    done: VecDeque<MessageId>,
    /// Messages that a push was owed for since the device was here last.
    announced: VecDeque<MessageId>,
    /// By conversation: when its last push was or will be due.
    windows: BTreeMap<String, Timestamp>,
}

/// Delivery to all devices.
#[derive(Debug)]
pub struct Delivery {
    behaviour: Behaviour,
    timers: Timers,
    lanes: HashMap<DeviceId, Lane>,
    /// In order of time, since all wait equally long.
    deadlines: VecDeque<(Instant, DeviceId, MessageId)>,
    /// Names the conversation of a message that is delivered from the queue.
    name_conversation: fn(&Message) -> String,
}

impl Delivery {
    /// Delivery by this table.
    pub fn new(
        behaviour: Behaviour,
        timers: Timers,
        name_conversation: fn(&Message) -> String,
    ) -> Self {
        Self {
            behaviour,
            timers,
            lanes: HashMap::new(),
            deadlines: VecDeque::new(),
            name_conversation,
        }
    }

    /// When [`Delivery::timeout`] wants to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.front().map(|(at, ..)| *at)
    }

    /// Something happened.
    pub fn step(&mut self, now: Now, input: Input) -> Step {
        let mut step = Step::default();
        match input {
            Input::Arrived {
                message,
                conversation,
                recipients,
            } => {
                self.arrived(now, &message, &conversation, recipients, &mut step);
            }
            Input::Returned(device) => {
                let lane = self.lane(&device);
                lane.windows.clear();
                lane.announced.clear();
                lane.complete = false;
                self.pump(now, &device, &mut step);
            }
            Input::Fetched { device, messages } => self.fetched(now, &device, messages, &mut step),
            Input::Acknowledged { device, message } => {
                self.acknowledged(now, &device, &message, &mut step);
            }
            Input::Failed {
                device,
                message,
                why,
                for_good,
            } => {
                if for_good {
                    self.refused(now, &device, &message, &why, &mut step);
                } else {
                    self.unacknowledged(now, &device, &message, &why, &mut step);
                }
            }
            Input::Forgotten(device) => {
                self.lanes.remove(&device);
            }
        }
        step
    }

    /// Time passed: devices that have not acknowledged are asleep.
    pub fn timeout(&mut self, now: Now) -> Step {
        let mut step = Step::default();
        while let Some((_, device, message)) =
            self.deadlines.pop_front_if(|(at, ..)| *at <= now.instant)
        {
            if self.unacknowledged(now, &device, &message, "no answer in time", &mut step) {
                step.effects.push(Effect::Hibernate(device));
            }
        }
        step
    }

    fn arrived(
        &mut self,
        now: Now,
        message: &Message,
        conversation: &str,
        recipients: Vec<Recipient>,
        step: &mut Step,
    ) {
        if message.class != Class::Transient {
            step.changes.push(Change::Archive(message.clone()));
            step.trace(
                &message.tracking,
                now.wall,
                trace::Step::MessageStored,
                None,
                "",
            );
            if recipients.is_empty() {
                step.changes.push(Change::EnqueueForUser {
                    user: message.to.clone(),
                    message: message.id.clone(),
                });
                step.trace(
                    &message.tracking,
                    now.wall,
                    trace::Step::MessageQueued,
                    None,
                    "the user has no device yet",
                );
            }
        }
        for Recipient { device, mode, push } in recipients {
            let rule = self.behaviour.rule(mode, Happening::Message);
            if message.class == Class::Transient {
                if rule.direct {
                    step.effects
                        .push(Effect::Relay(device, Box::new(message.clone())));
                }
                continue;
            }
            if rule.keep {
                step.changes.push(Change::Enqueue {
                    device: device.clone(),
                    message: message.id.clone(),
                });
            }
            if rule.direct {
                self.offer(&device, message);
                self.pump(now, &device, step);
            } else {
                step.trace(
                    &message.tracking,
                    now.wall,
                    trace::Step::MessageQueued,
                    Some(&device),
                    mode.name(),
                );
            }
            if rule.push && message.class == Class::Chat {
                match push {
                    Ok(()) => self.owe_push(now, &device, message, conversation, step),
                    Err(why) => {
                        step.trace(
                            &message.tracking,
                            now.wall,
                            trace::Step::PushSkipped,
                            Some(&device),
                            &why,
                        );
                    }
                }
            }
        }
        self.clear_idle_lanes(now.wall);
    }

    fn lane(&mut self, device: &DeviceId) -> &mut Lane {
        self.lanes.entry(device.clone()).or_default()
    }

    /// The message was put at the end of the device's queue.
    fn offer(&mut self, device: &DeviceId, message: &Message) {
        let lane = self.lane(device);
        if lane.complete && !lane.fetching && lane.ready.len() < BATCH {
            lane.ready.push_back(message.clone());
        } else {
            lane.complete = false;
        }
    }

    /// Sends the next message, or asks for more.
    fn pump(&mut self, now: Now, device: &DeviceId, step: &mut Step) {
        let name_conversation = self.name_conversation;
        let lane = self.lane(device);
        if lane.in_flight.is_some() || lane.fetching {
            return;
        }
        let Some(message) = lane.ready.pop_front() else {
            if !lane.complete {
                lane.fetching = true;
                // Whatever is queued from here on clears this again.
                lane.complete = true;
                step.effects.push(Effect::Fetch(device.clone()));
            }
            return;
        };
        lane.in_flight = Some(Flight {
            conversation: name_conversation(&message),
            message: message.clone(),
        });
        self.deadlines.push_back((
            now.instant + self.timers.acknowledge,
            device.clone(),
            message.id.clone(),
        ));
        step.trace(
            &message.tracking,
            now.wall,
            trace::Step::MessageSent,
            Some(device),
            "",
        );
        step.effects
            .push(Effect::Send(device.clone(), Box::new(message)));
    }

    fn fetched(&mut self, now: Now, device: &DeviceId, messages: Vec<Message>, step: &mut Step) {
        let lane = self.lane(device);
        lane.fetching = false;
        lane.complete &= messages.len() < BATCH;
        let fresh = |message: &Message| !lane.done.contains(&message.id);
        lane.ready = messages.into_iter().filter(fresh).collect();
        self.pump(now, device, step);
    }

    fn acknowledged(&mut self, now: Now, device: &DeviceId, id: &MessageId, step: &mut Step) {
        let tracking = self.land(device, id);
        step.changes.push(Change::Delivered {
            device: device.clone(),
            message: id.clone(),
        });
        if let Some(tracking) = tracking {
            step.trace(
                &tracking,
                now.wall,
                trace::Step::MessageDelivered,
                Some(device),
                "",
            );
        }
        self.pump(now, device, step);
    }

    fn refused(&mut self, now: Now, device: &DeviceId, id: &MessageId, why: &str, step: &mut Step) {
        let tracking = self.land(device, id);
        step.changes.push(Change::Delivered {
            device: device.clone(),
            message: id.clone(),
        });
        if let Some(tracking) = tracking {
            step.trace(
                &tracking,
                now.wall,
                trace::Step::MessageRefused,
                Some(device),
                why,
            );
        }
        self.pump(now, device, step);
    }

    /// The message is off our hands; says whose story it was if it was in flight.
    fn land(&mut self, device: &DeviceId, id: &MessageId) -> Option<TrackingId> {
        let lane = self.lane(device);
        lane.ready.retain(|message| message.id != *id);
        lane.done.push_back(id.clone());
        if lane.done.len() > DONE {
            lane.done.pop_front();
        }
        lane.in_flight
            .take_if(|flight| flight.message.id == *id)
            .map(|flight| flight.message.tracking)
    }

    /// The message stays queued, and the device is pushed to. Says whether it was in flight at all.
    fn unacknowledged(
        &mut self,
        now: Now,
        device: &DeviceId,
        id: &MessageId,
        why: &str,
        step: &mut Step,
    ) -> bool {
        let lane = self.lane(device);
        let Some(Flight {
            message,
            conversation,
        }) = lane.in_flight.take_if(|flight| flight.message.id == *id)
        else {
            return false;
        };
        lane.ready.clear();
        lane.complete = false;
        step.trace(
            &message.tracking,
            now.wall,
            trace::Step::MessageUnacknowledged,
            Some(device),
            why,
        );
        if message.class == Class::Chat {
            self.owe_push(now, device, &message, &conversation, step);
        }
        true
    }

    /// One push a message; one a conversation and window: the first goes at once, the others share one at the window's
    /// end.
    fn owe_push(
        &mut self,
        now: Now,
        device: &DeviceId,
        message: &Message,
        conversation: &str,
        step: &mut Step,
    ) {
        let collapse = self.timers.collapse;
        let until = now.wall.plus(self.timers.push_lifetime);
        let Lane {
            announced, windows, ..
        } = self.lane(device);
        if announced.contains(&message.id) {
            step.trace(
                &message.tracking,
                now.wall,
                trace::Step::PushSkipped,
                Some(device),
                "it was pushed for already",
            );
            return;
        }
        announced.push_back(message.id.clone());
        if announced.len() > ANNOUNCED {
            announced.pop_front();
        }
        windows.retain(|_, due| now.wall < due.plus(collapse));
        let due = match windows.get(conversation) {
            Some(&due) if now.wall < due => {
                step.trace(
                    &message.tracking,
                    now.wall,
                    trace::Step::PushSkipped,
                    Some(device),
                    "another is due for it",
                );
                return;
            }
            Some(due) => due.plus(collapse),
            None => now.wall,
        };
        if windows.len() < WINDOWS || windows.contains_key(conversation) {
            windows.insert(conversation.to_owned(), due);
        }
        step.changes.push(Change::Owe(OwedPush {
            id: NotificationId(format!("{}:{device}", message.id)),
            device: device.clone(),
            purpose: Purpose::Message {
                conversation: conversation.to_owned(),
                unread: 0,
            },
            tracking: message.tracking.clone(),
            message: Some(message.id.clone()),
            due,
            until,
            attempts: 0,
        }));
    }

    /// Keeps the number of lanes near that of the devices in use.
    fn clear_idle_lanes(&mut self, now: Timestamp) {
        if self.lanes.len() < LANES || !self.lanes.len().is_power_of_two() {
            return;
        }
        let collapse = self.timers.collapse;
        self.lanes.retain(|_, lane| {
            let windows_open = lane.windows.values().any(|due| now < due.plus(collapse));
            lane.in_flight.is_some() || lane.fetching || !lane.ready.is_empty() || windows_open
        });
    }
}

#[cfg(test)]
mod tests;
